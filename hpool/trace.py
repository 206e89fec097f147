"""What a trace handler may be told, and ready-made ones.

    import hpool

    with hpool.Client() as client, hpool.trace.Timeline(client) as timeline:
        ...
    timeline.write("pool.json")  # for ui.perfetto.dev or chrome://tracing

A handler, for `Client(trace=...)`, `client.trace` or `trace=` of a single
request, is an object with any of the methods that EVENTS names, each called
with a dict, or a callable that is called with the event's name and that dict.
Every handler gets a dict of its own.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from ._timeline import SHOWN, draw
from ._trace import EVENTS, listener

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Protocol, Self

    from . import Client

    class _Writable(Protocol):
        def write(self, text: str, /) -> object: ...

    Info = dict[str, Any]

__all__ = ["EVENTS", "Timeline", "all_of"]

# ---- several handlers at once ------------------------------------------------


def all_of(*handlers: Any) -> Any:
    """One handler that calls all of these, in order; None among them is left
    out, and None alone gives None.

    Each is called even when one before it raises; what they raise comes out
    afterwards.
    """
    parts: list[Any] = []
    for handler in handlers:
        if isinstance(handler, _All):
            parts += handler.handlers
        elif handler is not None:
            parts.append(handler)
    if len(parts) < 2:
        return parts[0] if parts else None
    return _All(parts)


class _All:
    __slots__ = ("_listeners", "handlers")

    def __init__(self, handlers: list[Any]) -> None:
        self.handlers = handlers
        self._listeners = [listener(handler) for handler in handlers]

    def __call__(self, event: str, info: Info) -> None:
        raised: list[Exception] = []
        for listen in self._listeners:
            try:
                listen(event, info.copy())
            except Exception as error:
                raised.append(error)
        if len(raised) == 1:
            raise raised[0]
        if raised:
            raise ExceptionGroup(f"trace handlers of {event}", raised)

    def __repr__(self) -> str:
        return f"all_of({', '.join(map(repr, self.handlers))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return all_of, tuple(self.handlers)


_attaching = threading.Lock()


def attach(client: Client, handler: Any) -> None:
    """Has the client tell `handler` too, after those it tells already."""
    with _attaching:
        client.trace = all_of(client.trace, handler)


def detach(client: Client, handler: Any) -> None:
    """Undoes attach(), whatever else has been attached meanwhile."""
    with _attaching:
        now = client.trace
        parts = now.handlers if isinstance(now, _All) else [now]
        client.trace = all_of(*(part for part in parts if part is not handler))


# ---- the timeline ------------------------------------------------------------


class Timeline:
    """Records a client, to show who held which connection when.

    client       what to record inside `with Timeline(client):`, beside the
                 trace handler it has. None: it is given to a client as its
                 handler, `Client(trace=timeline)`
    max_events   the latest so many are kept, some ten for a request; older
                 ones are forgotten and counted in `lost`

    Any number of threads may use the client and call the methods meanwhile.
    In the picture each connection has a row, from its first look-up to its
    close, with its requests on it and gaps where it lay idle. Requests that
    had to queue stand on rows of their own, with arrows to what they got.
    """

    __slots__ = ("_client", "_events", "_lock", "_recorded")

    def __init__(
        self, client: Client | None = None, *, max_events: int = 100_000
    ) -> None:
        takes = "max_events takes a whole number above 0"
        if isinstance(max_events, bool) or not isinstance(max_events, int):
            raise TypeError(f"{takes}, not {type(max_events).__name__}")
        if not 0 < max_events <= sys.maxsize:
            raise ValueError(f"{takes}, not {max_events}")
        self._client = client
        self._lock = threading.Lock()
        self._events: deque[Info] = deque(maxlen=max_events)
        self._recorded = 0

    def __enter__(self) -> Self:
        if self._client is None:
            raise RuntimeError(
                "this timeline was made without a client: it records as "
                "soon as it is a client's trace handler"
            )
        attach(self._client, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._client is not None
        self._flush()
        detach(self._client, self)

    def __call__(self, event: str, info: Info) -> None:
        if event in SHOWN:
            with self._lock:
                self._recorded += 1
                self._events.append(info)
        elif event == "dropped":
            with self._lock:
                self._recorded += info["count"]

    def __reduce__(self) -> tuple[Any, ...]:
        # A client travels with its handler; what was recorded here stays.
        return _empty, (self._events.maxlen,)

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<Timeline of {len(self)} events, {self.lost} lost>"

    @property
    def lost(self) -> int:
        """How many events are missing: forgotten because there were too
        many, or dropped by the pool, which keeps only so many until the next
        call of the client."""
        with self._lock:
            return self._recorded - len(self._events)

    def to_dict(self) -> dict[str, Any]:
        """What has been recorded so far, in the Chrome trace event format;
        fit for json.dump()."""
        self._flush()
        with self._lock:
            events = list(self._events)
            lost = self._recorded - len(events)
        return draw(events, lost)

    def write(self, to: str | os.PathLike[str] | _Writable) -> None:
        """Writes to_dict() as JSON, to a path or a text file."""
        text = json.dumps(self.to_dict(), separators=(",", ":"))
        if isinstance(to, (str, os.PathLike)):
            with open(to, "w", encoding="utf-8") as file:
                file.write(text)
        else:
            to.write(text)

    def _flush(self) -> None:
        """What the pool did by itself is handed out by the next call."""
        if self._client is not None:
            self._client.stats()


def _empty(max_events: int) -> Timeline:
    return Timeline(max_events=max_events)
