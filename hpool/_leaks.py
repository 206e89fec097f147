"""`client.leaks()`: the responses that hold connections."""

from __future__ import annotations

from ._frozen import Frozen
from ._records import show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    # Clock reading (ns), key, method, path, phase, line, connection.
    Row: TypeAlias = tuple[int, str, str, str, str, str, int]


class Leak(Frozen):
    """A response that holds a connection: its body has not been read to its
    end, nor has it been closed.

    method, url   of the request; the URL without its query
    age           seconds since it got the connection
    phase         "body unread" or "body half read"
    line          "app.py:12 in fetch": what made the request; None unless the
                  client was made with leak_warnings="trace"
    connection    the connection's id, as in `response.connection.id`
    host          "example.com:443"
    """

    __slots__ = (
        "method",
        "url",
        "age",
        "phase",
        "line",
        "connection",
        "host",
    )

    method: str
    url: str
    age: float
    phase: str
    line: str | None
    connection: int
    host: str

    def __init__(
        self,
        method: str,
        url: str,
        age: float,
        phase: str,
        line: str | None,
        connection: int,
        host: str,
    ) -> None:
        self._fill(
            {
                "method": method,
                "url": url,
                "age": age,
                "phase": phase,
                "line": line,
                "connection": connection,
                "host": host,
            }
        )

    def __str__(self) -> str:
        made = f", made at {self.line}" if self.line else ""
        held = show_seconds(self.age)
        return f"{self.method} {self.url}: {self.phase}, held for {held}{made}"


# ---- from the core -----------------------------------------------------------

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def make_leaks(now: int, rows: Iterable[Row]) -> list[Leak]:
    """From the core's rows; `now` is a reading of the same clock."""
    return [_leak(now, *row) for row in rows]


def _leak(
    now: int,
    since: int,
    key: str,
    method: str,
    path: str,
    phase: str,
    line: str,
    connection: int,
) -> Leak:
    _, scheme, host, *_ = key.split("|")
    authority = host.removesuffix(_DEFAULT_PORTS[scheme])
    return Leak(
        method=method,
        url=f"{scheme}://{authority}{path if path.startswith('/') else ''}",
        age=max(0, now - since) / 1e9,
        phase=phase,
        line=line or None,
        connection=connection,
        host=host,
    )
