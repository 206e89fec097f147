"""What counters and settings say is wrong: a rule for each code of Advice.

A rule looks at what was `Seen` and gives an Advice or None. It needs both a
number of cases and a share of all: nothing is said about a handful of
requests, nor about what is rare.
"""

from __future__ import annotations

from . import churn, connections, process, settings, waiting
from .seen import LONG, PROBLEM, Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .._advice import Advice

__all__ = ["LONG", "Seen", "diagnose"]

# The worst first.
_RULES: tuple[Callable[[Seen], Advice | None], ...] = (
    process.descriptors,
    connections.leaked_responses,
    waiting.slow_holders,
    connections.bodies_unread,
    connections.idle_cap,
    process.short_lived_clients,
    churn.time_wait,
    waiting.timeouts,
    waiting.queueing,
    connections.stale_reuse,
    churn.server_closes,
    settings.contradictory_limits,
    churn.full_handshakes,
    churn.lookups,
)


def diagnose(seen: Seen) -> list[Advice]:
    """What the rules find: problems before hints, the worst first."""
    found = [advice for rule in _RULES if (advice := rule(seen)) is not None]
    return sorted(found, key=lambda advice: advice.severity != PROBLEM)
