"""What the whole process does: its descriptors, its other clients."""

from __future__ import annotations

from .._advice import Advice
from .._stats import address_of
from .seen import ENOUGH, HINT, PROBLEM, Seen, number


def descriptors(seen: Seen) -> Advice | None:
    used, allowed = seen.descriptors or (0, 0)
    missed = seen.stats.total.no_descriptors
    evicted = seen.stats.total.closes["no_descriptors"]
    near = bool(allowed) and used >= 0.8 * allowed
    if not missed and not near:
        return None
    finding = f"The process has {used} of {allowed} descriptors open"
    if missed:
        finding = (
            f"{number(missed, 'time')} no descriptor was left for a connection"
        )
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


def short_lived_clients(seen: Seen) -> Advice | None:
    """The client-per-request trap. It is told to a client that talks to the
    host, and of all hosts to one that talks to none."""
    rows = seen.short_lived
    if seen.stats.hosts:
        ours = {_host_part(key) for key in seen.stats.hosts}
        rows = [row for row in rows if row[0] in ours]
    key, clients, requests = max(
        rows, key=lambda row: row[1], default=("", 0, 0)
    )
    if clients < ENOUGH:
        return None
    host = address_of(key)
    return Advice(
        "short_lived_clients",
        PROBLEM,
        host,
        f"{clients} clients of this process were made for {host}, each soon "
        f"after the one before, for {number(requests, 'request')} in all: each "
        "dialed anew",
        "Make one hpool.Client when the program starts and share it, it is "
        "thread-safe; or use hpool.get(), which shares one",
        {"clients": clients, "requests": requests},
    )


def _host_part(key: str) -> str:
    """Of a pool key what does not depend on the client."""
    proxy, scheme, host, *_ = key.split("|")
    return "|".join((proxy.partition("#")[0], scheme, host))
