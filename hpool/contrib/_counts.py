"""Counters by host that never go backwards, out of snapshots of a pool that
forgets a host as soon as it has no connection and no waiter."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from typing import TYPE_CHECKING, Final

from .._stats import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._stats import HostStats, Stats

    # What is counted, and its reason, phase, kind or bound, if it has one.
    Counted = tuple[str, str]

#: Stands for all hosts beyond the first so many, and for what hosts counted
#: that came and went between two looks.
OTHER: Final = "other"


class Names:
    """Tells the first `most` hosts apart."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._named: set[str] = set()

    def of(self, host: str) -> str:
        """The host itself, or OTHER; always the same for the same host."""
        if host in self._named:
            return host
        with self._lock:
            if len(self._named) < self._most:
                self._named.add(host)
            return host if host in self._named else OTHER


class Counts:
    """What each host has counted since the client was made.

    The pool's record of a host starts anew whenever the host comes back. What
    the last snapshot of a record showed is kept when the record is gone, or
    shows less of anything than it did: then it is another record of the same
    host. What a record counted after that snapshot nobody saw; it is in the
    pool's totals, and so it is OTHER, as are hosts that have no name: the
    total less all that is told apart. Neither part can shrink.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._records: dict[str, Tally[Counted]] = {}  # by the pool's key
        self._gone: dict[str, Tally[Counted]] = {}  # by host
        self._other: Tally[Counted] = Tally()

    def update(self, stats: Stats) -> None:
        now = {
            key: _counted(row)
            for key, row in stats.hosts.items()
            if self._names.of(address_of(key)) != OTHER
        }
        for key, before in self._records.items():
            record = now.get(key)
            if record is None or any(
                record[of] < n for of, n in before.items()
            ):
                self._gone.setdefault(address_of(key), Tally()).update(before)
        self._records = now
        rest = _counted(stats.total)
        for _, counts in self._named():
            rest.subtract(counts)
        self._other = +rest

    def by_host(self) -> Iterator[tuple[str, Tally[Counted]]]:
        """(host, what it counted), OTHER last and only if it counted."""
        yield from self._named()
        if self._other:
            yield OTHER, self._other

    def _named(self) -> Iterator[tuple[str, Tally[Counted]]]:
        hosts = {host: counts.copy() for host, counts in self._gone.items()}
        for key, counts in self._records.items():
            hosts.setdefault(address_of(key), Tally()).update(counts)
        yield from hosts.items()


def _counted(row: HostStats) -> Tally[Counted]:
    counted: Tally[Counted] = Tally()
    counted["tls_handshakes", "full"] = row.handshakes - row.resumed
    counted["tls_handshakes", "resumed"] = row.resumed
    # Whole numbers: sums of fractions depend on their order, and a counter
    # that is less by a rounding counts as one that began anew.
    counted["wait_nanoseconds", ""] = round(row.wait_seconds * 1e9)
    for name, n in (
        ("requests", row.requests),
        ("dials", row.dials),
        ("reuses", row.reuses),
        ("lookups", row.lookups),
        ("drains", row.drains),
        ("queue_refused", row.refused),
        ("requests_lost", row.lost),
        ("no_descriptors", row.no_descriptors),
        ("leaked_responses", row.leaked),
    ):
        counted[name, ""] = n
    for bound, n in row.wait_histogram:
        counted["waits", "+Inf" if bound is None else str(bound)] = n
    for name, by_reason in (
        ("connections_closed", row.closes),
        ("replays", row.replays),
        ("timeouts", row.timeouts),
    ):
        for reason, n in by_reason.items():
            if n:
                counted[name, reason] = n
    return counted
