"""`client.advise()`: gathers what `_diagnosis` judges."""

from __future__ import annotations

import os

from ._diagnosis import LONG, Seen, diagnose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import Client
    from ._advice import Advice


def advise(
    client: Client, dns_ttl: float, short_lived: list[tuple[str, int, int]]
) -> list[Advice]:
    """What is wrong with `client`, the worst first. The core gives what no
    attribute tells."""
    return diagnose(
        Seen(
            client.stats(),
            client.limits,
            dns_ttl=dns_ttl,
            descriptors=descriptors(),
            time_wait=time_wait(),
            held=client.leaks(older_than=LONG),
            short_lived=short_lived,
        )
    )


def descriptors() -> tuple[int, int] | None:
    """How many this process has open, and may have; None when there is no
    limit or no way to tell."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError):
        return None
    if limit == resource.RLIM_INFINITY:
        return None
    for place in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(place)) - 1, limit  # the listing's own
        except OSError:
            pass  # no such system, or no descriptor for the listing
    return None


def time_wait() -> int | None:
    """Sockets of this machine (or container) in TIME_WAIT; None when there is
    no cheap way to tell."""
    try:
        with open("/proc/net/sockstat", encoding="ascii") as file:
            for line in file:
                words = line.split()
                if words[:1] == ["TCP:"] and "tw" in words[:-1]:
                    return int(words[words.index("tw") + 1])
    except (OSError, ValueError):
        pass
    return None
