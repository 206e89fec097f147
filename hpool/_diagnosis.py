"""What counters and settings say is wrong: a rule for each code of Advice.

A rule looks at what was `Seen` and gives an Advice or None. It needs both a
number of cases and a share of all: nothing is said about a handful of
requests, nor about what is rare. The thresholds are the constants.
"""

from __future__ import annotations

import math

from ._advice import Advice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._stats import HostStats, Stats
    from .config import Limits

PROBLEM, HINT = "problem", "hint"

_ENOUGH = 10  # fewer cases of anything say nothing
_MANY = 20
_MOST = 0.8  # the share that makes one host, or one cause, the one


class Seen:
    """What is judged.

    dns_ttl       the client's, in seconds
    descriptors   (open, allowed) of the process; None when unknown
    time_wait     sockets in TIME_WAIT on this machine; None when unknown
    """

    __slots__ = ("stats", "limits", "dns_ttl", "descriptors", "time_wait")

    def __init__(
        self,
        stats: Stats,
        limits: Limits,
        *,
        dns_ttl: float = 10.0,
        descriptors: tuple[int, int] | None = None,
        time_wait: int | None = None,
    ) -> None:
        self.stats = stats
        self.limits = limits
        self.dns_ttl = dns_ttl
        self.descriptors = descriptors
        self.time_wait = time_wait

    def place(self, cases: Callable[[HostStats], float]) -> HostStats:
        """The host that has most of the cases, else the total. What a host
        had counted before it was forgotten is in the total alone."""
        total = self.stats.total
        worst = max(self.stats.hosts.values(), key=cases, default=total)
        return worst if cases(worst) >= _MOST * cases(total) else total


def diagnose(seen: Seen) -> list[Advice]:
    """What all rules find, the worst first."""
    found = [advice for rule in _RULES if (advice := rule(seen)) is not None]
    return sorted(found, key=lambda advice: advice.severity != PROBLEM)


# ---- words -------------------------------------------------------------------


def _address(row: HostStats) -> str | None:
    return row.key.split("|")[2] if row.key else None


def _to(row: HostStats) -> str:
    return f" to {_address(row)}" if row.key else ""


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s"


def _below(seconds: float) -> float:
    """Two digits of it, rounded down."""
    step = 10 ** (math.floor(math.log10(seconds)) - 1)
    return float(f"{math.floor(seconds / step) * step:.2g}")


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts if n)


def _count(row: HostStats, reasons: Iterable[str]) -> int:
    return sum(row.closes[reason] for reason in reasons)


def _commonest(row: HostStats, reasons: Iterable[str]) -> str:
    return max(reasons, key=lambda reason: row.closes[reason])


# ---- connections that are thrown away ----------------------------------------


def _idle_cap(seen: Seen) -> Advice | None:
    """Parallel requests over an idle cap that is lower than they are many."""
    return _idle_cap_of(
        seen, "idle_cap_host", "max_idle_conns_per_host"
    ) or _idle_cap_of(seen, "idle_cap_total", "max_idle_conns")


def _idle_cap_of(seen: Seen, reason: str, setting: str) -> Advice | None:
    cap = getattr(seen.limits, setting)
    row = seen.stats.total
    if setting == "max_idle_conns_per_host":
        row = seen.place(lambda row: row.closes[reason])
    closed, dials = row.closes[reason], row.dials
    peak = row.peak.in_use
    # Many hosts that are visited once each outnumber any cap: it is too low
    # when it is lower than the number of requests at a time.
    if cap is None or peak <= cap:
        return None
    if closed < _ENOUGH or closed < 0.2 * dials:
        return None
    change = f"Raise Limits({setting}=) from {cap} to at least {peak}"
    overall = seen.limits.max_idle_conns
    if setting != "max_idle_conns" and overall is not None and overall < peak:
        change += f", and max_idle_conns={overall} to as many"
    return Advice(
        "idle_cap",
        PROBLEM,
        _address(row),
        f"{closed} of {dials} connections{_to(row)} were closed when their "
        f"request was done, because {setting}={cap} while up to {peak} were "
        "in use at once",
        change,
        {"closed": closed, "dials": dials, "cap": cap, "peak": peak},
    )


_UNREAD = ("body_unread", "drain_too_long", "drain_timeout")


def _bodies_unread(seen: Seen) -> Advice | None:
    """Bodies closed before their end that were not worth draining."""
    row = seen.place(lambda row: _count(row, _UNREAD))
    closed, requests = _count(row, _UNREAD), row.requests
    if closed < _ENOUGH or closed < 0.1 * requests:
        return None
    parts = [(reason, row.closes[reason]) for reason in _UNREAD]
    return Advice(
        "bodies_unread",
        PROBLEM,
        _address(row),
        f"{closed} of {requests} responses{_to(row)} were closed with their "
        "body unread or half read, and their connections with them "
        f"({_listed(parts)})",
        "Read bodies to their end (stream=False does), or ask for less with "
        f"HEAD or Range; {_draining(seen.limits, _commonest(row, _UNREAD))}",
        {
            "closed": closed,
            "requests": requests,
            "drained": row.drains,
            **dict(parts),
        },
    )


def _draining(limits: Limits, reason: str) -> str:
    if limits.drain_bytes == 0 or limits.drain_timeout == 0:
        return (
            "Limits(drain_bytes=262144, drain_timeout=0.05) would read short "
            "rests in the background"
        )
    if reason == "drain_too_long":
        return f"or raise Limits(drain_bytes=) above {limits.drain_bytes}"
    if reason == "drain_timeout":
        return (
            f"or raise Limits(drain_timeout=) above {limits.drain_timeout:g}"
        )
    return "no more than 64 are drained in the background at once"


def _leaked_responses(seen: Seen) -> Advice | None:
    row = seen.place(lambda row: row.leaked)
    if row.leaked < _ENOUGH:
        return None
    return Advice(
        "leaked_responses",
        PROBLEM,
        _address(row),
        f"{row.leaked} of {row.requests} responses{_to(row)} were dropped "
        "without being read to their end or closed",
        "Use `with client.get(url) as response:`, also where an error status "
        "makes you return early; each one's ResourceWarning names it "
        "(python -W default)",
        {"leaked": row.leaked, "requests": row.requests},
    )


def _stale_reuse(seen: Seen) -> Advice | None:
    """The server's idle timeout is shorter than ours."""
    row = seen.place(lambda row: row.stale)
    if row.stale < _ENOUGH or row.stale < 0.2 * row.dials:
        return None
    mean = row.stale_seconds / row.stale
    spread = math.sqrt(max(0.0, row.stale_squares / row.stale - mean * mean))
    hit = sum(row.replays.values()) + row.lost
    finding = (
        f"The server had closed {row.stale} of {row.dials} connections"
        f"{_to(row)} while they were idle, after {_seconds(mean)} on average"
    )
    if hit:
        finding += (
            f"; {hit} requests went out on one that it was just closing, "
            f"{row.lost} of them failed"
        )
    limit = seen.limits.idle_conn_timeout
    figures = {
        "closed": row.stale,
        "dials": row.dials,
        "mean_idle": mean,
        "spread": spread,
        "hit": hit,
        "lost": row.lost,
    }
    change = (
        "Raise the server's keep-alive timeout above "
        f"idle_conn_timeout={limit if limit is None else format(limit, 'g')}"
    )
    # Closed at one age: that is its timeout. At any age: it went away, or
    # counts requests without a word.
    if mean >= 1 and spread <= mean / 3:
        figures["suggested"] = _below(0.9 * (mean - spread))
        change = (
            f"Set Limits(idle_conn_timeout={figures['suggested']:g}), a bit "
            "below the server's"
        )
    severity = PROBLEM if hit else HINT
    return Advice(
        "stale_reuse", severity, _address(row), finding, change, figures
    )


# ---- waiting -----------------------------------------------------------------


def _queueing(seen: Seen) -> Advice | None:
    """A limit that makes requests wait for a connection."""
    row = seen.place(lambda row: row.waits + row.refused)
    waits, requests = row.waits, row.requests
    given_up = row.timeouts["pool"] + row.refused
    mean = row.wait_seconds / waits if waits else 0.0
    often = waits >= _ENOUGH and waits >= 0.1 * requests and mean >= 0.01
    if not often and given_up < _ENOUGH:
        return None
    per_host = seen.limits.max_conns is None or 2 * row.host_waits > waits
    setting = "max_conns_per_host" if per_host else "max_conns"
    limit = getattr(seen.limits, setting)
    if limit is None:
        return None
    if not per_host:
        row = seen.stats.total
    most = _peak_waiting(seen, row, per_host)
    finding = (
        f"{waits} of {requests} requests{_to(row)} waited for a connection, "
        f"{_seconds(mean)} on average and up to {most} at a time, because "
        f"{setting}={limit}"
    )
    if row.timeouts["pool"]:
        finding += f"; {row.timeouts['pool']} gave up (PoolTimeout)"
    if row.refused:
        finding += (
            f"; {row.refused} were refused "
            f"(QueueFull, max_waiting={seen.limits.max_waiting})"
        )
    return Advice(
        "queueing",
        PROBLEM if given_up or mean >= 1 else HINT,
        _address(row),
        finding,
        f"Raise Limits({setting}=) to {limit + max(most, 1)} if the server "
        "can take as many, or let fewer requests run at once",
        {
            "waits": waits,
            "requests": requests,
            "mean_wait": mean,
            "limit": limit,
            "peak_waiting": most,
            "pool_timeouts": row.timeouts["pool"],
            "refused": row.refused,
            "suggested": limit + max(most, 1),
        },
    )


def _peak_waiting(seen: Seen, row: HostStats, per_host: bool) -> int:
    """For the same limit, at once."""
    hosts = seen.stats.hosts.values()
    if row.key or not per_host or not hosts:
        return row.peak.waiting
    return max(host.peak.waiting for host in hosts)


# ---- the process -------------------------------------------------------------


def _descriptors(seen: Seen) -> Advice | None:
    used, allowed = seen.descriptors or (0, 0)
    missed = seen.stats.total.no_descriptors
    evicted = seen.stats.total.closes["no_descriptors"]
    near = bool(allowed) and used >= 0.8 * allowed
    if not missed and not near:
        return None
    finding = f"The process has {used} of {allowed} descriptors open"
    if missed:
        finding = f"{missed} dials found no free descriptor"
        if allowed:
            finding += f" ({used} of {allowed} are open now)"
    return Advice(
        "descriptors",
        PROBLEM if missed or used >= 0.95 * allowed else HINT,
        None,
        finding,
        "Raise RLIMIT_NOFILE (`ulimit -n 65536`, systemd's LimitNOFILE=), or "
        "hold fewer: close responses, share one client, set max_conns",
        {
            "open": used,
            "allowed": allowed,
            "missed": missed,
            "evicted": evicted,
            "connections": seen.stats.total.open,
        },
    )


_RULES: tuple[Callable[[Seen], Advice | None], ...] = (
    _descriptors,
    _leaked_responses,
    _bodies_unread,
    _idle_cap,
    _stale_reuse,
    _queueing,
)
