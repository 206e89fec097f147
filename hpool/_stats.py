"""`client.stats()`: what the pool holds now and has counted so far."""

from __future__ import annotations

from ._frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


class Counts(dict[str, int]):
    """How often, by name. All names are there, most with 0; only the others
    are shown."""

    __slots__ = ()

    def nonzero(self) -> dict[str, int]:
        """What has been counted at least once, the most frequent first."""
        seen = [(name, n) for name, n in self.items() if n]
        return dict(sorted(seen, key=lambda item: -item[1]))

    def __repr__(self) -> str:
        return repr(self.nonzero())


class Gauges(Frozen):
    """Connections by what they do: `idle in_use dialing draining`. Requests:
    `waiting` in line for one, and `asking`, all that have none yet, be it that
    they wait or that one is being made for them."""

    __slots__ = ("idle", "in_use", "dialing", "draining", "waiting", "asking")

    idle: int
    in_use: int
    dialing: int
    draining: int
    waiting: int
    asking: int

    def __init__(
        self,
        idle: int,
        in_use: int,
        dialing: int,
        draining: int,
        waiting: int,
        asking: int = 0,
    ) -> None:
        self._fill({
            "idle": idle,
            "in_use": in_use,
            "dialing": dialing,
            "draining": draining,
            "waiting": waiting,
            "asking": asking,
        })


class HostStats(Frozen):
    """One host of the pool, or all of them together (key "").

    Now: `idle in_use dialing draining` connections, `open` of them in all,
    `waiting` requests; `peak` has the highest values so far.
    Requests: all `requests` that asked for a connection; those given a `fresh`
    one that nobody had used, and the `reuses`, given an idle or handed-over
    one; `unserved`, which ended without one. `asked_again`: what a request had
    been given was dead, so it asked once more.
    Waits in line: `waits`, `wait_seconds` in all, `max_wait` of one, and
    `wait_histogram`, ((seconds, count), ...): how many ended within so many
    seconds, but not within those before; None stands for longer ones.
    Counted: `dials lookups handshakes resumed drains leaked`; `timeouts` by
    phase, `closes` and `replays` by reason. In all since the client was made;
    for a host since it last was without any connection or waiter, when it is
    forgotten.
    Also: `host_waits`, those of the waits that were for the host's own limit;
    `refused`, requests that found the queue full; `no_descriptors`, how often
    the system had none left for a dial or a wait; `lost`, requests that failed because the
    server had closed the kept connection they went out on; `stale`, idle
    connections that the server had closed, after `stale_seconds` idle in all
    (`stale_squares`: the sum of their squares, for the spread); `cap_misses`,
    dials that a higher `max_idle_conns` would have spared, because it had
    closed an idle connection to the host shortly before, and by how much it
    was too low for them, `cap_short` in all; `unresumed`, full TLS handshakes
    with a host that there had been one with before.
    """

    __slots__ = (
        "key",
        "now",
        "peak",
        "requests",
        "dials",
        "reuses",
        "lookups",
        "handshakes",
        "resumed",
        "drains",
        "waits",
        "wait_seconds",
        "leaked",
        "timeouts",
        "closes",
        "replays",
        "host_waits",
        "refused",
        "no_descriptors",
        "lost",
        "stale",
        "stale_seconds",
        "stale_squares",
        "cap_misses",
        "cap_short",
        "unresumed",
        "asked_again",
        "fresh",
        "unserved",
        "wait_histogram",
        "max_wait",
    )

    key: str
    now: Gauges
    peak: Gauges
    requests: int
    dials: int
    reuses: int
    lookups: int
    handshakes: int
    resumed: int
    drains: int
    waits: int
    wait_seconds: float
    leaked: int
    timeouts: Counts
    closes: Counts
    replays: Counts
    host_waits: int
    refused: int
    no_descriptors: int
    lost: int
    stale: int
    stale_seconds: float
    stale_squares: float
    cap_misses: int
    cap_short: int
    unresumed: int
    asked_again: int
    fresh: int
    unserved: int
    wait_histogram: tuple[tuple[float | None, int], ...]
    max_wait: float

    def __init__(self, **fields: Any) -> None:
        self._fill(fields)

    @property
    def idle(self) -> int:
        return self.now.idle

    @property
    def in_use(self) -> int:
        return self.now.in_use

    @property
    def dialing(self) -> int:
        return self.now.dialing

    @property
    def draining(self) -> int:
        return self.now.draining

    @property
    def waiting(self) -> int:
        return self.now.waiting

    @property
    def open(self) -> int:
        """Connections in all, those being made included."""
        now = self.now
        return now.idle + now.in_use + now.dialing + now.draining

    @property
    def name(self) -> str:
        """The key as a person writes it: "http://example.com:80"."""
        return _name(self.key)

    def __hash__(self) -> int:
        return hash((self.key, self.requests))

    def __str__(self) -> str:
        return "\n".join(_table([self]))


class Stats(Frozen):
    """A snapshot: `total`, and `hosts` by key. `str()` is a table.

    The sums agree, also under load. The total is the sum of the hosts and of
    what hosts that are `gone` had counted (but for peaks and `max_wait`), and
    for each of them:

      requests + asked_again == fresh + reuses + unserved + now.asking
      dials <= open + all closes <= dials + now.dialing
      waits == all of wait_histogram + waiting

    (A slot that a request has been granted, and has not begun to dial with,
    is dialing, but no dial yet.) No counter ever falls.
    """

    __slots__ = ("total", "hosts", "gone")

    total: HostStats
    hosts: dict[str, HostStats]
    gone: HostStats

    def __init__(
        self, total: HostStats, hosts: dict[str, HostStats], gone: HostStats
    ) -> None:
        self._fill({"total": total, "hosts": hosts, "gone": gone})

    def __hash__(self) -> int:
        return hash(self.total)

    def __str__(self) -> str:
        return "\n".join(_table([*self.hosts.values(), self.total]))


# ---- from the core -----------------------------------------------------------

# In the core's order.
_PLAIN = HostStats.__slots__[3:13]  # requests ... leaked
_TROUBLES = HostStats.__slots__[16:26]  # host_waits ... unresumed
_ACCOUNTS = HostStats.__slots__[26:29]  # asked_again ... unserved


def make_stats(
    total: tuple[Any, ...],
    gone: tuple[Any, ...],
    hosts: Iterable[tuple[Any, ...]],
) -> Stats:
    """From the core's tuples: (key, gauges, peaks, requests, dials, reuses,
    lookups, handshakes, resumed, drains, waits, wait_seconds, leaked,
    timeouts by phase, closes by reason, replays by reason, (host_waits,
    refused, no_descriptors, lost, stale, stale_seconds, stale_squares,
    cap_misses, cap_short, unresumed),
    (asked_again, fresh, unserved), wait_histogram, max_wait)."""
    from . import _core

    names = (_core._phases, _core._close_reasons, _core._replay_reasons)
    rows = [_host_stats(row, names) for row in hosts]
    return Stats(
        _host_stats(total, names),
        {row.key: row for row in rows},
        _host_stats(gone, names),
    )


def _host_stats(
    row: tuple[Any, ...], names: tuple[tuple[str, ...], ...]
) -> HostStats:
    key, now, peak, *plain = row[:13]
    phases, closes, replays = names
    return HostStats(
        key=key,
        now=Gauges(*now),
        peak=Gauges(*peak),
        timeouts=_counts(phases, row[13]),
        closes=_counts(closes, row[14]),
        replays=_counts(replays, row[15]),
        **dict(zip(_PLAIN, plain)),
        **dict(zip(_TROUBLES, row[16])),
        **dict(zip(_ACCOUNTS, row[17])),
        wait_histogram=row[18],
        max_wait=row[19],
    )


def _counts(names: Iterable[str], values: Iterable[int]) -> Counts:
    # The first name of each list stands for "none", and nothing counts it.
    named = list(zip(names, values))[1:]
    return Counts(named)


# ---- the table ---------------------------------------------------------------

_NAME = 24
_COLUMNS = (
    ("idle", 5, "idle"),
    ("in_use", 5, "used"),
    ("dialing", 5, "dial"),
    ("draining", 6, "drain"),
    ("waiting", 5, "wait"),
    ("requests", 10, "requests"),
    ("dials", 7, "dials"),
    ("reuses", 9, "reuses"),
)


def _table(rows: list[HostStats]) -> Iterator[str]:
    """80 columns wide at most, unless the counts are huge."""
    heads = "".join(f" {head:>{w - 1}}" for _, w, head in _COLUMNS)
    yield f"{'host':<{_NAME}}{heads}"
    for row in rows:
        cells = "".join(
            f" {getattr(row, field):>{w - 1}}" for field, w, _ in _COLUMNS
        )
        yield f"{_fit(row.name):<{_NAME}}{cells}"
    yield from _notes(rows[-1])


def _notes(row: HostStats) -> Iterator[str]:
    """What has happened besides, of the last row."""
    for title, counts in (
        ("closed", row.closes),
        ("timeouts", row.timeouts),
        ("sent again", row.replays),
    ):
        shown = counts.nonzero()
        if shown:
            listed = (f"{name} {n}" for name, n in shown.items())
            yield from _wrapped(f"{title}:", listed)
    if row.waits:
        yield (
            f"waited: {row.waits} requests, {row.wait_seconds:.3f} s in all, "
            f"at most {row.max_wait:.3f} s"
        )
        listed = (
            f"{n} {_bucket(row.wait_histogram, i)}"
            for i, (_, n) in enumerate(row.wait_histogram)
            if n
        )
        yield from _wrapped("   ", listed)
    if row.leaked:
        yield f"leaked: {row.leaked} responses neither read nor closed"


def _bucket(
    histogram: tuple[tuple[float | None, int], ...], i: int
) -> str:
    bound, _ = histogram[i]
    if bound is None:
        return f"over {histogram[i - 1][0]:g} s"
    return f"up to {bound * 1000:g} ms" if bound < 1 else f"up to {bound:g} s"


def _wrapped(line: str, words: Iterable[str]) -> Iterator[str]:
    comma = ""
    for word in words:
        if len(line) + len(f"{comma} {word},") > 79:
            yield line + comma
            line, comma = "   ", ""
        line += f"{comma} {word}"
        comma = ","
    yield line


def address_of(key: str) -> str:
    """ "example.com:80" of "|http|example.com:80|tls=3"; else the address of the
    proxy, which leads to any host then."""
    proxy, _, host, *_ = key.split("|")
    return host or proxy.partition("#")[0].rpartition("/")[2]


def _name(key: str) -> str:
    if not key:
        return "total"
    proxy, scheme, host, *_ = [*key.split("|"), "", ""]
    proxy = proxy.partition("#")[0]
    where = f"{scheme}://{host}" if host else scheme
    return where + (f" via {proxy}" if proxy else "")


def _fit(name: str) -> str:
    return name if len(name) < _NAME else name[: _NAME - 4] + "..."
