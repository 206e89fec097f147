"""`requests.packages.urllib3`, for the one thing programs want of it.

    import hpool as requests

    requests.packages.urllib3.disable_warnings()
"""

from __future__ import annotations

from types import SimpleNamespace

from . import exceptions
from .errors import HpoolWarning

__all__ = ["urllib3"]


def _disable_warnings(category: type[Warning] = HpoolWarning) -> None:
    """No more warnings of this kind, for the rest of the process."""
    import warnings

    warnings.simplefilter("ignore", category)


urllib3 = SimpleNamespace(
    disable_warnings=_disable_warnings, exceptions=exceptions
)
