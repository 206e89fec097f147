"""The errors under the names requests gives them.

All of `hpool.errors`, and `Timeout`, which is the base of the timeout errors
here, as in requests; `hpool.Timeout` is the settings class.
"""

from __future__ import annotations

from . import errors
from .errors import *  # noqa: F403
from .errors import HpoolWarning, TimeoutException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._jsonerror import JSONDecodeError as JSONDecodeError

Timeout = TimeoutException
RequestsWarning = HpoolWarning


class FileModeWarning(RequestsWarning, DeprecationWarning):
    """Not given: a file opened as text is sent as UTF-8. For filters."""


class RequestsDependencyWarning(RequestsWarning):
    """Not given: there are no such dependencies. For filters."""


# Without JSONDecodeError, as in errors.
__all__ = [
    "FileModeWarning",
    "RequestsDependencyWarning",
    "RequestsWarning",
    "Timeout",
]
__all__ += errors.__all__
__all__.sort()


def __getattr__(name: str) -> Any:
    if name == "JSONDecodeError":
        return errors.JSONDecodeError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
