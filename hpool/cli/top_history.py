"""What `top` has seen so far, and what it shows of it at one moment."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .histogram import Histogram
from .report import per_second

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hpool

    from .load import Tally

RECENT = 5.0  # seconds for which latencies count as recent on a screen
_NOW = 1.0  # seconds over which "per second" is measured
_COLUMNS = 500  # of the chart: wider terminals leave some empty


@dataclass(frozen=True)
class View:
    """All that a frame shows.

    title, threads      the load
    limit               connections a host may have, None without a limit
    elapsed             seconds
    rates               requests per second, an interval each, newest last
    rate, bytes_rate    per second, over the last second
    recent              latencies of the last `recent_seconds`
    tally, stats        the counts until now
    """

    title: str
    threads: int
    limit: int | None
    elapsed: float
    rates: list[float]
    rate: float
    bytes_rate: float
    recent: Histogram
    recent_seconds: float
    tally: Tally
    stats: hpool.Stats


class History:
    """Is shown the load and the pool once an interval, and remembers enough
    for the next view: some seconds of counts, some hundred rates."""

    def __init__(
        self,
        title: str,
        threads: int,
        limit: int | None,
        recent: float = RECENT,
    ) -> None:
        self._title = title
        self._recent = recent
        self._threads = threads
        self._limit = limit
        self._seen: deque[tuple[float, Tally]] = deque()
        self._rates: deque[float] = deque(maxlen=_COLUMNS)

    def add(self, elapsed: float, tally: Tally, stats: hpool.Stats) -> View:
        """What is there `elapsed` seconds after the start."""
        if self._seen:
            then, before = self._seen[-1]
            made = tally.requests - before.requests
            if elapsed > then:
                self._rates.append(per_second(made, elapsed - then))
        self._seen.append((elapsed, tally))
        # The first one kept is the last that is old enough.
        while (
            len(self._seen) > 1 and self._seen[1][0] <= elapsed - self._recent
        ):
            self._seen.popleft()
        return self._view(elapsed, tally, stats)

    def _view(self, elapsed: float, tally: Tally, stats: hpool.Stats) -> View:
        then, before = self._at(elapsed - _NOW)
        return View(
            title=self._title,
            threads=self._threads,
            limit=self._limit,
            elapsed=elapsed,
            rates=list(self._rates),
            rate=per_second(tally.requests - before.requests, elapsed - then),
            bytes_rate=per_second(tally.bytes - before.bytes, elapsed - then),
            recent=tally.latencies.since(self._seen[0][1].latencies),
            recent_seconds=self._recent,
            tally=tally,
            stats=stats,
        )

    def _at(self, moment: float) -> tuple[float, Tally]:
        """What was seen at that moment or last before it, else first."""
        best = self._seen[0]
        for seen in self._seen:
            if seen[0] > moment:
                break
            best = seen
        return best
