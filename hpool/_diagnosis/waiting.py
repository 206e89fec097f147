"""Requests that wait, or wait in vain."""

from __future__ import annotations

from .._advice import Advice
from .._records import show_seconds
from .seen import ENOUGH, HINT, LONG, MOST, PROBLEM, Seen, address, number, to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._leaks import Leak
    from .._stats import HostStats


def queueing(seen: Seen) -> Advice | None:
    """A limit that makes requests wait for a connection."""
    row = seen.place(lambda row: row.waits + row.refused)
    per_host = _is_per_host(seen, row)
    setting = "max_conns_per_host" if per_host else "max_conns"
    limit = getattr(seen.limits, setting)
    if limit is None:
        return None
    if not per_host:
        row = seen.stats.total
    waits, requests = row.waits, row.requests
    given_up = row.timeouts["pool"] + row.refused
    mean = row.wait_seconds / waits if waits else 0.0
    often = waits >= ENOUGH and waits >= 0.1 * requests and mean >= 0.01
    if not often and given_up < ENOUGH:
        return None
    most = _peak_waiting(seen, row, per_host)
    finding = (
        f"{waits} of {requests} requests{to(row)} waited for a connection, "
        f"{show_seconds(mean)} on average and {show_seconds(row.max_wait)} at "
        f"most, up to {most} at a time, because {setting}={limit}"
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
        address(row),
        finding,
        f"Raise Limits({setting}=) to {limit + max(most, 1)} if the server "
        "can take as many, or let fewer requests run at once",
        {
            "waits": waits,
            "requests": requests,
            "mean_wait": mean,
            "max_wait": row.max_wait,
            "limit": limit,
            "peak_waiting": most,
            "pool_timeouts": row.timeouts["pool"],
            "refused": row.refused,
            "suggested": limit + max(most, 1),
        },
    )


def _is_per_host(seen: Seen, row: HostStats) -> bool:
    """Whether it is the host's limit that they wait for."""
    limits = seen.limits
    if limits.max_conns is None or limits.max_conns_per_host is None:
        return limits.max_conns is None
    if row.waits:
        return 2 * row.host_waits > row.waits
    return seen.stats.total.peak.in_use < limits.max_conns


def slow_holders(seen: Seen) -> Advice | None:
    """Responses that keep others from a connection, or that pile up unread."""
    held, waiting = _in_the_way(seen)
    unread = [leak for leak in seen.held if leak.phase == "body unread"]
    if not held and len(unread) < ENOUGH:
        return None
    held = held or unread
    oldest = held[0]
    hosts = {leak.host for leak in held}
    finding = (
        "Responses that were neither read to their end nor closed have held "
        f"{number(len(held), 'connection')} for {LONG:g} s or more"
    )
    if waiting:
        finding += f", with {number(waiting, 'request')} waiting for one"
    finding += f"; the longest: {oldest}"
    return Advice(
        "slow_holders",
        PROBLEM,
        oldest.host if len(hosts) == 1 else None,
        finding,
        "Read responses to their end or close them, at best before the next "
        "request: `with client.get(url) as response:`; client.leaks() lists "
        'them, and leak_warnings="trace" names the lines that made them',
        {
            "held": len(held),
            "unread": len(unread),
            "oldest": oldest.age,
            "waiting": waiting,
        },
    )


def _in_the_way(seen: Seen) -> tuple[list[Leak], int]:
    """Those whose connection somebody else waits for, and how many wait."""
    waiting = seen.stats.total.waiting
    if seen.limits.max_conns is not None or not waiting:
        return (list(seen.held) if waiting else []), waiting
    hosts = {address(h) for h in seen.stats.hosts.values() if h.waiting}
    return [leak for leak in seen.held if leak.host in hosts], waiting


_PHASE_CHANGES = {
    "resolve": "Look at the name server, or remember names longer with "
    "Client(dns_ttl=)",
    "connect": "Look at the network and the server's accept queue; "
    "Timeout(connect=) is how long to wait for it",
    "proxy": "Look at the proxy's load and its way to the server; "
    "Timeout(connect=) is how long to wait",
    "tls": "Look at the server's load; Timeout(tls=) is how long to wait",
    "send": "Look at the network; Timeout(write=) is how long to wait for "
    "progress",
    "head": "Raise Timeout(response_header=, read=) above the server's "
    "slowest answer, or make it answer sooner",
    "body": "Raise Timeout(read=, total=) above the server's longest pause, "
    "or ask for less at a time",
}


def timeouts(seen: Seen) -> Advice | None:
    """Timeouts that strike in one phase. Those in the queue are another
    advice's."""
    row = seen.place(lambda row: _timed_out(row))
    n, requests = _timed_out(row), row.requests
    if n < ENOUGH or n < 0.05 * requests:
        return None
    phase = max(_PHASE_CHANGES, key=lambda phase: row.timeouts[phase])
    if row.timeouts[phase] < MOST * n:
        return None
    return Advice(
        "timeouts",
        PROBLEM,
        address(row),
        f"{row.timeouts[phase]} of {requests} requests{to(row)} timed out in "
        f"the same phase, {phase}",
        _PHASE_CHANGES[phase],
        {"timeouts": n, "requests": requests, phase: row.timeouts[phase]},
    )


def _timed_out(row: HostStats) -> int:
    return sum(row.timeouts[phase] for phase in _PHASE_CHANGES)


def _peak_waiting(seen: Seen, row: HostStats, per_host: bool) -> int:
    """For the same limit, at once."""
    hosts = seen.stats.hosts.values()
    if row.key or not per_host or not hosts:
        return row.peak.waiting
    return max(host.peak.waiting for host in hosts)
