"""Trace events drawn as a picture: Timeline.to_dict() of hpool.trace.

The Chrome trace event format: one process, a row ("thread") per connection
and as many as need be for the queue. On a row of a connection:

    conn 12 ------------------------------------------------- closed: idle_timeout
      dns  connect  tls  GET /a 200 -----      GET /b 200 ---
                           send wait body        send wait

Everything is a complete slice ("X"), so nothing can be left open; what still
goes on at the end of the recording ends there and says "unfinished". A slice
ends no later than the next one of its row and depth begins: threads that note
the time in passing a connection on might else make them overlap.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    Info = dict[str, Any]

SHOWN: Final = frozenset({
    "request_start",
    "get_conn",
    "queue_entered",
    "queue_left",
    "dns_start",
    "dns_cache_hit",
    "dns_done",
    "connect_start",
    "connect_done",
    "proxy_connect_start",
    "proxy_connect_done",
    "tls_handshake_start",
    "tls_handshake_done",
    "got_conn",
    "wrote_request",
    "got_first_response_byte",
    "got_response",
    "put_idle_conn",
    "retry",
    "drain_start",
    "drain_end",
    "conn_closed",
    "request_done",
})

#: In the dict of every event; the rest is what an event has of its own.
_COMMON: Final = frozenset({"event", "time", "request", "conn", "host"})


def draw(events: list[Info], lost: int) -> dict[str, Any]:
    """The whole file. The events may come in any order."""
    events.sort(key=lambda info: float(info["time"]))
    chart = _Chart()
    for info in events:
        getattr(chart, info["event"])(info)
    return {
        "traceEvents": chart.finish(events[-1]["time"] if events else 0.0),
        "displayTimeUnit": "ms",
        "otherData": {"lost_events": lost},
    }


def _own(info: Info) -> dict[str, Any]:
    return {key: info[key] for key in info.keys() - _COMMON}


def _path(url: str) -> str:
    rest = url.partition("://")[2]
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


# ---- what is drawn -----------------------------------------------------------


class _Slice:
    __slots__ = ("args", "end", "flow", "inner", "name", "start")

    def __init__(self, name: str, start: float, **args: Any) -> None:
        self.name = name
        self.start = start
        self.end: float | None = None
        self.args = args
        self.inner: list[_Slice] = []
        self.flow: str | None = None  # the id of the arrow that ends here

    def settle(self, low: float, high: float, last: float) -> float:
        """Gives it an end, and keeps it and what is in it between `low` and
        `high`, so that nothing overlaps. `last` is the end of everything."""
        self.start = min(max(self.start, low), high)
        if self.end is None:
            self.end = high
            if high >= last:
                self.args["unfinished"] = True
        self.end = min(max(self.end, self.start), high)
        at = self.start
        for i, part in enumerate(self.inner, 1):
            until = self.inner[i].start if i < len(self.inner) else self.end
            at = part.settle(at, min(max(until, at), self.end), last)
        return self.end


class _Request:
    """What is known of a request while it is drawn."""

    __slots__ = ("attempt", "began", "held", "label", "url", "waits")

    def __init__(self, info: Info) -> None:
        self.label = "request"
        self.url = ""
        self.began = float(info["time"])
        self.attempt = 1
        self.waits: _Slice | None = None  # in the queue
        self.held: _Slice | None = None  # a connection


class _Row:
    """A connection."""

    __slots__ = (
        "attempts", "connecting", "dns", "drain", "held", "holder", "host",
        "instants", "tls", "tunnel", "whole",
    )  # fmt: skip

    def __init__(self, info: Info) -> None:
        self.host = str(info["host"])
        self.whole = _Slice(f"conn {info['conn']}", info["time"])
        self.instants: list[tuple[float, str, dict[str, Any]]] = []
        self.dns: _Slice | None = None
        self.tls: _Slice | None = None
        self.tunnel: _Slice | None = None
        self.connecting: _Slice | None = None
        self.attempts: dict[str, float] = {}  # those under way
        self.drain: _Slice | None = None
        self.held: _Slice | None = None
        self.holder = 0  # the request that holds it

    def add(self, name: str, start: float, **args: Any) -> _Slice:
        made = _Slice(name, start, **args)
        self.whole.inner.append(made)
        self.whole.end = None  # it goes on
        return made

    def failed(self, info: Info) -> None:
        """If this step of the dial did, and no other follows, that was it."""
        if info["error"] is not None:
            self.whole.end = info["time"]

    def let_go(self, time: float) -> None:
        """Whoever holds it holds it no more."""
        if self.held is not None:
            if self.held.end is None:
                self.held.end = time
            self.held = None
            self.holder = 0


class _Chart:
    """Has a method for each event, called in the order of time."""

    def __init__(self) -> None:
        self.rows: dict[int, _Row] = {}
        self.requests: dict[int, _Request] = {}
        self.queue: list[_Slice] = []
        self.notes: list[tuple[float, str, dict[str, Any]]] = []

    def _row(self, info: Info) -> _Row:
        conn = int(info["conn"])
        row = self.rows.get(conn)
        if row is None:
            row = self.rows[conn] = _Row(info)
        return row

    def _request(self, info: Info) -> _Request:
        number = int(info["request"])
        request = self.requests.get(number)
        if request is None:
            request = self.requests[number] = _Request(info)
        return request

    # -- requests

    def request_start(self, info: Info) -> None:
        request = self._request(info)
        request.url = str(info["url"])
        request.label = f"{info['method']} {_path(request.url)}"

    def get_conn(self, info: Info) -> None:
        self._request(info).attempt = int(info["attempt"])

    def queue_entered(self, info: Info) -> None:
        request = self._request(info)
        waits = _Slice(request.label, info["time"], request=info["request"])
        waits.args |= {"host": info["host"], **_own(info)}
        request.waits = waits
        self.queue.append(waits)

    def queue_left(self, info: Info) -> None:
        waits = self._request(info).waits
        if waits is not None and waits.end is None:
            waits.end = info["time"]
            waits.args |= _own(info)

    def got_conn(self, info: Info) -> None:
        row, request, time = self._row(info), self._request(info), info["time"]
        held = row.add(request.label, time, request=info["request"])
        held.args |= {"url": request.url, "attempt": request.attempt}
        held.args |= _own(info) | {"acquired_after": time - request.began}
        if request.waits is not None:
            if request.waits.end is None:
                request.waits.end = time
            held.flow = f"{info['request']}.{request.attempt}"
            request.waits.flow = held.flow
            request.waits = None
        held.inner.append(_Slice("send", time))
        row.held, row.holder = held, int(info["request"])
        request.held = held

    def _phase(self, info: Info, name: str) -> None:
        """The phase under way ends, and the next one begins."""
        held = self._request(info).held
        if held is not None and held.end is None:
            phases = held.inner
            if phases[-1].end is None:
                phases[-1].end = info["time"]
            phases.append(_Slice(name, info["time"]))

    def wrote_request(self, info: Info) -> None:
        held = self._request(info).held
        # An answer may come before the request has been sent to its end.
        if held is not None and held.inner[-1].name == "send":
            self._phase(info, "wait")
        if held is not None and info["error"] is not None:
            held.args["write_error"] = info["error"]

    def got_first_response_byte(self, info: Info) -> None:
        held = self._request(info).held
        if held is not None and held.inner[-1].name in ("send", "wait"):
            self._phase(info, "head")

    def got_response(self, info: Info) -> None:
        request = self._request(info)
        self._phase(info, "body")
        if request.held is not None:
            request.held.args["status"] = info["status"]
            request.held.name = f"{request.label} {info['status']}"

    def retry(self, info: Info) -> None:
        note = (info["time"], f"retry: {info['reason']}", self._about(info))
        row = self.rows.get(int(info["conn"]))
        (self.notes if row is None else row.instants).append(note)
        request = self.requests.get(int(info["request"]))
        if request is not None:  # else retries= makes it again
            self._end(request, info["time"])

    def request_done(self, info: Info) -> None:
        request = self._request(info)
        held = request.held
        if held is not None:
            held.args |= _own(info)
            if info["error"] is not None:
                held.name = f"{request.label} {info['error']}"
        elif info["error"] is not None:
            words = f"{request.label} {info['error']}"
            self.notes.append((info["time"], words, self._about(info)))
        self._end(request, info["time"])
        del self.requests[int(info["request"])]

    def _end(self, request: _Request, time: float) -> None:
        if request.waits is not None and request.waits.end is None:
            request.waits.end = time
        request.waits = None
        if request.held is not None and request.held.end is None:
            request.held.end = time
        request.held = None

    def _about(self, info: Info) -> dict[str, Any]:
        return {"request": info["request"], "host": info["host"], **_own(info)}

    # -- connections

    def dns_start(self, info: Info) -> None:
        row = self._row(info)
        row.dns = row.add(f"dns {info['name']}", info["time"])

    def dns_cache_hit(self, info: Info) -> None:
        note = (info["time"], f"dns cached {info['name']}", _own(info))
        self._row(info).instants.append(note)

    def dns_done(self, info: Info) -> None:
        row = self._row(info)
        dns = row.dns or row.add(f"dns {info['name']}", info["time"])
        dns.end = info["time"]
        dns.args |= _own(info)
        row.dns = None
        row.failed(info)

    def connect_start(self, info: Info) -> None:
        """Attempts that overlap are one slice."""
        row, address = self._row(info), str(info["address"])
        if row.connecting is None:
            row.connecting = row.add(f"connect {address}", info["time"])
            row.connecting.args["attempts"] = []
        else:
            row.connecting.name = "connect"
        row.attempts[address] = float(info["time"])

    def connect_done(self, info: Info) -> None:
        row, time = self._row(info), float(info["time"])
        began = row.attempts.pop(str(info["address"]), None)
        if row.connecting is None or began is None:
            return
        row.connecting.args["attempts"].append({
            **_own(info),
            "seconds": time - began,
        })
        if not row.attempts:
            row.connecting.end = time
            row.connecting = None
            row.failed(info)

    def proxy_connect_start(self, info: Info) -> None:
        row = self._row(info)
        row.tunnel = row.add("proxy", info["time"], **_own(info))

    def proxy_connect_done(self, info: Info) -> None:
        row = self._row(info)
        tunnel = row.tunnel or row.add("proxy", info["time"])
        tunnel.end = info["time"]
        tunnel.args |= _own(info)
        row.tunnel = None
        row.failed(info)

    def tls_handshake_start(self, info: Info) -> None:
        row = self._row(info)
        row.tls = row.add("tls", info["time"], **_own(info))

    def tls_handshake_done(self, info: Info) -> None:
        row = self._row(info)
        tls = row.tls or row.add("tls", info["time"])
        tls.end = info["time"]
        tls.args |= _own(info)
        row.tls = None
        row.failed(info)

    def put_idle_conn(self, info: Info) -> None:
        row = self._row(info)
        if row.holder == info["request"]:
            if row.held is not None and info["reason"] is not None:
                row.held.args["not_kept"] = info["reason"]
            row.let_go(info["time"])

    def drain_start(self, info: Info) -> None:
        row = self._row(info)
        row.let_go(info["time"])
        row.drain = row.add("drain", info["time"], **_own(info))

    def drain_end(self, info: Info) -> None:
        row = self._row(info)
        if row.drain is not None:
            row.drain.end = info["time"]
            row.drain.args |= _own(info)
            row.drain = None

    def conn_closed(self, info: Info) -> None:
        row, time = self._row(info), info["time"]
        row.let_go(time)
        for part in row.whole.inner:
            if part.end is None:
                part.end = time
        row.whole.end = time
        row.whole.args |= _own(info)
        row.instants.append((time, f"closed: {info['reason']}", _own(info)))

    # -- the file

    def finish(self, last: float) -> list[dict[str, Any]]:
        lanes = _lanes(self.queue, last)
        paper = _Paper(self._first())
        if self.notes and not lanes:
            lanes.append([])
        for i, lane in enumerate(lanes):
            paper.row("queue" if i == 0 else f"queue {i + 1}")
            for waits in lane:
                paper.slice(waits, "queue")
                paper.arrow("s", waits)
            for note in self.notes if i == 0 else ():
                paper.instant(*note)
        for conn, row in sorted(self.rows.items()):
            if conn:
                self._put_row(paper, conn, row, last)
        return paper.events

    def _first(self) -> float:
        times = [row.whole.start for row in self.rows.values()]
        times += [waits.start for waits in self.queue]
        times += [time for time, _, _ in self.notes]
        return min(times, default=0.0)

    def _put_row(
        self, paper: _Paper, conn: int, row: _Row, last: float
    ) -> None:
        paper.row(f"conn {conn} {row.host}")
        row.whole.settle(row.whole.start, last, last)
        paper.slice(row.whole, "connection")
        for part in row.whole.inner:
            if part.flow is not None:
                paper.arrow("f", part)
        for note in row.instants:
            paper.instant(*note)


def _lanes(waits: list[_Slice], last: float) -> list[list[_Slice]]:
    """Those who wait at the same time, on rows beside each other."""
    lanes: list[list[_Slice]] = []
    free_at: list[float] = []
    for one in waits:  # in the order of their starts
        end = one.settle(one.start, last, last)
        for i, free in enumerate(free_at):
            if free <= one.start:
                lanes[i].append(one)
                free_at[i] = end
                break
        else:
            lanes.append([one])
            free_at.append(end)
    return lanes


class _Paper:
    """The list of events of the file, row by row."""

    def __init__(self, zero: float) -> None:
        self.zero = zero
        self.pid = os.getpid()
        self.tid = 0
        self.events: list[dict[str, Any]] = []
        self._name("process_name", "hpool client")

    def row(self, name: str) -> None:
        """What follows stands on a new row, below those before."""
        self.tid += 1
        self._name("thread_name", name)
        self._put("M", "thread_sort_index", args={"sort_index": self.tid})

    def _name(self, what: str, name: str) -> None:
        self._put("M", what, args={"name": name})

    def _put(self, phase: str, name: str, **rest: Any) -> None:
        event = {"ph": phase, "name": name, "pid": self.pid, "tid": self.tid}
        self.events.append(event | rest)

    def _ns(self, time: float) -> int:
        return max(0, round((time - self.zero) * 1e9))

    def slice(self, one: _Slice, category: str) -> None:
        assert one.end is not None
        start = self._ns(one.start)
        self._put(
            "X",
            one.name,
            cat=category,
            ts=start / 1e3,
            dur=(self._ns(one.end) - start) / 1e3,
            args=one.args,
        )
        for part in one.inner:
            self.slice(part, category)

    def arrow(self, phase: str, one: _Slice) -> None:
        """From the slice in the queue ("s") to the one it led to ("f")."""
        if one.flow is None:
            return
        assert one.end is not None
        at = start = self._ns(one.start)
        if phase == "s":  # it belongs to the slice that is there at that time
            at = max(start, self._ns(one.end) - 1)
        bind = {"bp": "e"} if phase == "f" else {}
        self._put(
            phase, "served", cat="queue", ts=at / 1e3, id=one.flow, **bind
        )

    def instant(self, time: float, name: str, args: dict[str, Any]) -> None:
        at = self._ns(time) / 1e3
        self._put("i", name, cat="event", ts=at, s="t", args=args)
