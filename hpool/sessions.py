"""Session, where code on requests may look for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from ._core import Session
from .policy.redirects import STATUSES as REDIRECT_STATI
from .policy.request import PreparedRequest, Request
from .policy.settings import MAX_REDIRECTS as DEFAULT_REDIRECT_LIMIT

__all__ = [
    "DEFAULT_REDIRECT_LIMIT",
    "PreparedRequest",
    "REDIRECT_STATI",
    "Request",
    "Session",
    "merge_setting",
    "session",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def session() -> Session:
    """A new Session."""
    return Session()


def merge_setting(
    request_setting: Any, session_setting: Any, dict_class: Any = OrderedDict
) -> Any:
    """What holds of the two: of mappings both, the request's over the session's
    and without what is None; else the request's unless it is None."""
    if request_setting is None or session_setting is None:
        return session_setting if request_setting is None else request_setting
    if not isinstance(request_setting, Mapping) or not isinstance(
        session_setting, Mapping
    ):
        return request_setting
    merged = dict_class(session_setting)
    merged.update(request_setting)
    for name in [name for name, value in merged.items() if value is None]:
        del merged[name]
    return merged
