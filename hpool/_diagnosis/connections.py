"""Connections that are closed though they could have served again."""

from __future__ import annotations

import math

from .._advice import Advice
from .._records import show_seconds
from .seen import (
    ENOUGH,
    HINT,
    PROBLEM,
    Seen,
    address,
    below,
    commonest,
    count,
    listed,
    plain,
    to,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..config import Limits

    # The host, the finding, the change, the figures.
    Told = tuple[str | None, str, str, dict[str, float]]


def idle_cap(seen: Seen) -> Advice | None:
    """An idle cap that is lower than there are parallel requests, or hosts in
    turn."""
    found = (
        _below_parallel(seen, "idle_cap_host", "max_idle_conns_per_host")
        or _below_hosts(seen)
        or _below_parallel(seen, "idle_cap_total", "max_idle_conns")
    )
    return found and Advice("idle_cap", PROBLEM, *found)


def _below_parallel(seen: Seen, reason: str, setting: str) -> Told | None:
    cap = getattr(seen.limits, setting)
    row = seen.stats.total
    if setting == "max_idle_conns_per_host":
        row = seen.place(lambda row: row.closes[reason])
    closed, dials = row.closes[reason], row.dials
    peak = row.peak.in_use
    # Many hosts that are visited once each outnumber any cap, so that closes
    # alone say nothing; those come back to are counted apart (_below_hosts).
    if cap is None or peak <= cap:
        return None
    if closed < ENOUGH or closed < 0.2 * dials:
        return None
    change = f"Raise Limits({setting}=) from {cap} to at least {peak}"
    overall = seen.limits.max_idle_conns
    if setting != "max_idle_conns" and overall is not None and overall < peak:
        change += f", and max_idle_conns={overall} to as many"
    return (
        address(row),
        f"{closed} of {dials} connections{to(row)} were closed when their "
        f"request was done, because {setting}={cap} while up to {peak} were "
        "in use at once",
        change,
        {"closed": closed, "dials": dials, "cap": cap, "peak": peak},
    )


def _below_hosts(seen: Seen) -> Told | None:
    """More hosts in turn than connections may stay idle."""
    total, cap = seen.stats.total, seen.limits.max_idle_conns
    missed, dials = total.cap_misses, total.dials
    if cap is None or missed < ENOUGH or missed < 0.2 * dials:
        return None
    hosts = cap + math.ceil(total.cap_short / missed)
    needed = max(hosts, total.peak.in_use)
    return (
        None,
        f"{missed} of {dials} connections were made to hosts whose last one "
        f"had been closed shortly before, because max_idle_conns={cap} while "
        f"some {hosts} were used in turn",
        f"Raise Limits(max_idle_conns=) from {cap} to at least {needed}",
        {"missed": missed, "dials": dials, "cap": cap, "needed": needed},
    )


_UNREAD = ("body_unread", "drain_too_long", "drain_timeout")


def bodies_unread(seen: Seen) -> Advice | None:
    """Bodies closed before their end that were not worth draining."""
    row = seen.place(lambda row: count(row, _UNREAD))
    closed, requests = count(row, _UNREAD), row.requests
    if closed < ENOUGH or closed < 0.1 * requests:
        return None
    parts = [(reason, row.closes[reason]) for reason in _UNREAD]
    return Advice(
        "bodies_unread",
        PROBLEM,
        address(row),
        f"{closed} of {requests} responses{to(row)} were closed with their "
        "body unread or half read, and their connections with them "
        f"({listed(parts)})",
        "Read bodies to their end (stream=False does), or ask for less with "
        f"HEAD or Range; {_draining(seen.limits, commonest(row, _UNREAD))}",
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
        return f"or raise Limits(drain_timeout=) above {plain(limits.drain_timeout)}"
    return "no more than 64 are drained in the background at once"


def leaked_responses(seen: Seen) -> Advice | None:
    row = seen.place(lambda row: row.leaked)
    if row.leaked < ENOUGH:
        return None
    return Advice(
        "leaked_responses",
        PROBLEM,
        address(row),
        f"{row.leaked} of {row.requests} responses{to(row)} were dropped "
        "without being read to their end or closed",
        "Use `with client.get(url) as response:`, also where an error status "
        "makes you return early; each one's ResourceWarning names it "
        "(python -W default)",
        {"leaked": row.leaked, "requests": row.requests},
    )


def stale_reuse(seen: Seen) -> Advice | None:
    """The server's idle timeout is shorter than ours."""
    row = seen.place(lambda row: row.stale)
    if row.stale < ENOUGH or row.stale < 0.2 * row.dials:
        return None
    mean = row.stale_seconds / row.stale
    spread = math.sqrt(max(0.0, row.stale_squares / row.stale - mean * mean))
    hit = sum(row.replays.values()) + row.lost
    finding = (
        f"The server had closed {row.stale} of {row.dials} connections"
        f"{to(row)} while they were idle, after {show_seconds(mean)} on average"
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
        f"idle_conn_timeout={plain(limit)}"
    )
    # Closed at one age: that is its timeout. At any age: it went away, or
    # counts requests without a word.
    if mean >= 1 and spread <= mean / 3:
        figures["suggested"] = below(0.9 * (mean - spread))
        change = (
            f"Set Limits(idle_conn_timeout={figures['suggested']:g}), a bit "
            "below the server's"
        )
    severity = PROBLEM if hit else HINT
    return Advice(
        "stale_reuse", severity, address(row), finding, change, figures
    )
