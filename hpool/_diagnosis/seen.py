"""What is judged, and the words in which it is told."""

from __future__ import annotations

import math

from .._stats import address_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .._leaks import Leak
    from .._stats import HostStats, Stats
    from ..config import Limits

PROBLEM, HINT = "problem", "hint"

ENOUGH = 10  # fewer cases of anything say nothing
MANY = 20
LONG = 5.0  # seconds to hold a connection for
MOST = 0.8  # the share that makes one host, or one cause, the one


class Seen:
    """What is judged.

    dns_ttl       the client's, in seconds
    descriptors   (open, allowed) of the process; None when unknown
    time_wait     sockets in TIME_WAIT on this machine; None when unknown
    held          responses that have held a connection for `LONG` seconds or
                  more, the longest first
    short_lived   (key, clients, requests): hosts whose clients of this
                  process ended after a few requests, soon after one another
    """

    __slots__ = (
        "stats",
        "limits",
        "dns_ttl",
        "descriptors",
        "time_wait",
        "held",
        "short_lived",
    )

    def __init__(
        self,
        stats: Stats,
        limits: Limits,
        *,
        dns_ttl: float = 10.0,
        descriptors: tuple[int, int] | None = None,
        time_wait: int | None = None,
        held: Sequence[Leak] = (),
        short_lived: Sequence[tuple[str, int, int]] = (),
    ) -> None:
        self.stats = stats
        self.limits = limits
        self.dns_ttl = dns_ttl
        self.descriptors = descriptors
        self.time_wait = time_wait
        self.held = held
        self.short_lived = short_lived

    def place(self, cases: Callable[[HostStats], float]) -> HostStats:
        """The host that has most of the cases, else the total. What a host
        had counted before it was forgotten is in the total alone."""
        total = self.stats.total
        worst = max(self.stats.hosts.values(), key=cases, default=total)
        return worst if cases(worst) >= MOST * cases(total) else total


# ---- words -------------------------------------------------------------------


def address(row: HostStats) -> str | None:
    return address_of(row.key) if row.key else None


def to(row: HostStats) -> str:
    return f" to {address(row)}" if row.key else ""


def number(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def plain(number: float | None) -> str:
    """Whole if it is a whole number."""
    return f"{number:g}" if isinstance(number, float) else str(number)


def below(seconds: float) -> float:
    """Two digits of it, rounded down."""
    step = 10 ** (math.floor(math.log10(seconds)) - 1)
    return float(f"{math.floor(seconds / step) * step:.2g}")


def listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts if n)


def count(row: HostStats, reasons: Iterable[str]) -> int:
    return sum(row.closes[reason] for reason in reasons)


def commonest(row: HostStats, reasons: Iterable[str]) -> str:
    return max(reasons, key=lambda reason: row.closes[reason])
