"""What trace= takes, and the dicts that it is told: see docs/trace.rst.

Imported when a trace exists. The order of `n` and `text` of a record is that
of the table in csrc/base/events.h.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Info: TypeAlias = dict[str, Any]
    # event, time, request, conn, host, numbers, texts
    Record: TypeAlias = tuple[
        str, float, int, int, str, tuple[int, ...], tuple[Any, ...]
    ]

__all__ = ["EVENTS", "info", "listener"]


def _seconds(ns: int) -> float:
    return ns / 1e9


def _nothing(n: tuple[int, ...], text: tuple[Any, ...]) -> Info:
    return {}


# What belongs to each event besides event, time, request, conn and host.
_DETAILS: dict[str, Callable[[tuple[int, ...], tuple[Any, ...]], Info]] = {
    "request_start": lambda n, text: {"method": text[0], "url": text[1]},
    "get_conn": lambda n, text: {"attempt": n[0]},
    "queue_entered": lambda n, text: {"position": n[0], "waiting": n[1]},
    "queue_left": lambda n, text: {
        "waited": _seconds(n[0]),
        "outcome": text[0],
    },
    "dns_start": lambda n, text: {"name": text[0]},
    "dns_cache_hit": lambda n, text: {
        "name": text[0],
        "addresses": text[1].split(),
    },
    "dns_done": lambda n, text: {
        "name": text[0],
        "addresses": text[1].split(),
        "error": text[2],
        "coalesced": bool(n[0]),
    },
    "connect_start": lambda n, text: {"address": text[0]},
    "connect_done": lambda n, text: {"address": text[0], "error": text[1]},
    "proxy_connect_start": lambda n, text: {
        "proxy": text[0],
        "target": text[1],
    },
    "proxy_connect_done": lambda n, text: {
        "proxy": text[0],
        "target": text[1],
        "status": n[0] or None,
        "headers": text[3],
        "error": text[2],
    },
    "tls_handshake_start": lambda n, text: {"server_name": text[0]},
    "tls_handshake_done": lambda n, text: {
        "version": text[0],
        "cipher": text[1],
        "resumed": bool(n[0]),
        "error": text[2],
    },
    "got_conn": lambda n, text: {
        "reused": bool(n[0]),
        "was_idle": bool(n[1]),
        "idle_time": _seconds(n[2]),
        "age": _seconds(n[3]),
        "requests": n[4],
        "remote": text[0],
    },
    "wrote_header_field": lambda n, text: {"name": text[0], "value": text[1]},
    "wrote_headers": _nothing,
    "wait_100_continue": _nothing,
    "wrote_request": lambda n, text: {"error": text[0]},
    "got_first_response_byte": _nothing,
    "got_1xx_response": lambda n, text: {"status": n[0], "headers": text[0]},
    "got_100_continue": _nothing,
    "got_response": lambda n, text: {"status": n[0]},
    "put_idle_conn": lambda n, text: {"reason": text[0]},
    "retry": lambda n, text: {"reason": text[0], "attempt": n[0]},
    "drain_start": lambda n, text: {"left": None if n[0] < 0 else n[0]},
    "drain_end": lambda n, text: {"reason": text[0]},
    "conn_closed": lambda n, text: {
        "reason": text[0],
        "requests": n[0],
        "age": _seconds(n[1]),
    },
    "request_done": lambda n, text: {
        "status": n[0] or None,
        "error": text[0],
        "duration": _seconds(n[2]),
    },
    "dropped": lambda n, text: {"count": n[0]},
}

EVENTS = tuple(_DETAILS)


def info(record: Record) -> Info:
    """What a handler is given."""
    event, time, request, conn, host, n, text = record
    return {
        "event": event,
        "time": time,
        "request": request,
        "conn": conn,
        "host": host,
        **_DETAILS[event](n, text),
    }


class _Methods:
    """Calls those methods of an object that are named as an event."""

    __slots__ = ("_object",)

    def __init__(self, target: object) -> None:
        self._object = target

    def __call__(self, event: str, info: Info) -> None:
        method = getattr(self._object, event, None)
        if method is not None:
            method(info)

    def __repr__(self) -> str:  # sys.unraisablehook shows it
        return repr(self._object)


def listener(handler: Any) -> Callable[[str, Info], object]:
    """One kind of callable, (event, info), out of either kind of handler.
    TypeError for what is neither."""
    if any(hasattr(handler, event) for event in EVENTS):
        return _Methods(handler)
    if callable(handler):
        called: Callable[[str, Info], object] = handler
        return called
    raise TypeError(
        "trace takes an object with methods named as the events it wants "
        "(request_start, got_conn, ...), a callable (event, info), or None, "
        f"not {type(handler).__name__}"
    )
