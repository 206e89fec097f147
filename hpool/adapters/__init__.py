"""Doors for code that exists: each module takes the place of another library's
transport and is imported by itself, since it needs that library.

HTTPAdapter and BaseAdapter are for mounting on a client of hpool's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..policy.http_adapter import DEFAULT_POOLSIZE as DEFAULT_POOLSIZE
    from ..policy.http_adapter import BaseAdapter as BaseAdapter
    from ..policy.http_adapter import HTTPAdapter as HTTPAdapter

    from ..policy.http_adapter import DEFAULT_POOLBLOCK as DEFAULT_POOLBLOCK
    from ..policy.http_adapter import DEFAULT_RETRIES as DEFAULT_RETRIES

_HERE = (
    "BaseAdapter",
    "DEFAULT_POOLBLOCK",
    "DEFAULT_POOLSIZE",
    "DEFAULT_RETRIES",
    "HTTPAdapter",
)


def __getattr__(name: str) -> Any:
    if name in _HERE:
        from ..policy import http_adapter

        return getattr(http_adapter, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
