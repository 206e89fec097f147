"""Limits that contradict each other: one of them has no effect."""

from __future__ import annotations

from .._advice import Advice
from .seen import HINT, Seen, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..config import Limits

    # What is so, what to change, the figures of both.
    Contradiction = tuple[str, str, dict[str, float]]

# The first of each two means nothing above the second.
_WITHIN = (
    ("max_conns_per_host", "max_conns"),
    ("max_idle_conns_per_host", "max_idle_conns"),
    ("max_idle_conns_per_host", "max_conns_per_host"),
    ("max_idle_conns_per_host", "max_conns"),
    ("max_idle_conns", "max_conns"),
)

# What disable_keepalives makes pointless.
_OF_KEPT = (
    "max_idle_conns",
    "max_idle_conns_per_host",
    "idle_conn_timeout",
    "max_conn_age",
    "max_requests_per_conn",
)


def contradictory_limits(seen: Seen) -> Advice | None:
    allowed = seen.descriptors[1] if seen.descriptors else None
    found = _contradictions(seen.limits, seen.stats.total.refused, allowed)
    if not found:
        return None
    findings, changes, figures = zip(*found)
    change = "; ".join(changes)
    return Advice(
        "contradictory_limits",
        HINT,
        None,
        "; ".join(findings),
        change[:1].upper() + change[1:],
        {name: number for each in figures for name, number in each.items()},
    )


def _contradictions(
    limits: Limits, refused: int, allowed: int | None
) -> list[Contradiction]:
    """All of them. A default contradicts nothing: nobody has chosen it.

    refused: requests that found the queue full. allowed: descriptors.
    """
    given = _given(limits)
    return [
        *_above(given, limits),
        *_keepalives(given),
        *_ages(given),
        *_drains(given),
        *_queues(given, refused),
        *_descriptors(given, allowed),
    ]


def _given(limits: Limits) -> dict[str, float]:
    """The settings that are not the defaults and not None, by name."""
    default = type(limits)()
    values = ((name, getattr(limits, name)) for name in limits.__slots__)
    return {
        name: value
        for name, value in values
        if value is not None and value != getattr(default, name)
    }


def _above(given: dict[str, float], limits: Limits) -> Iterator[Contradiction]:
    said = set()
    for narrow, wide in _WITHIN:
        most = getattr(limits, wide)
        if narrow in said or narrow not in given or most is None:
            continue
        value = given[narrow]
        if value > most:
            said.add(narrow)
            yield (
                f"{narrow}={value} is above {wide}={most} and has no effect",
                f"lower {narrow} to {most} or raise {wide}",
                {narrow: value, wide: most},
            )


def _keepalives(given: dict[str, float]) -> Iterator[Contradiction]:
    idle = given.get("idle_conn_timeout")
    kept = given.get("max_idle_conns_per_host") or given.get("max_idle_conns")
    if given.get("disable_keepalives"):
        names = [name for name in _OF_KEPT if name in given]
        if names:
            yield (
                "disable_keepalives=True keeps no connection, so that "
                f"{' and '.join(names)} {_have(names)} no effect",
                f"leave out disable_keepalives or {' and '.join(names)}",
                {name: given[name] for name in names},
            )
    elif idle == 0 and kept:
        yield (
            "idle_conn_timeout=0 closes the idle connections that the idle "
            f"cap of {kept} would keep",
            "raise idle_conn_timeout, or leave out the idle cap",
            {"idle_conn_timeout": 0, "idle_cap": kept},
        )


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _ages(given: dict[str, float]) -> Iterator[Contradiction]:
    idle, age = given.get("idle_conn_timeout"), given.get("max_conn_age")
    if idle and age and idle > age:
        yield (
            f"idle_conn_timeout={plain(idle)} is longer than "
            f"max_conn_age={plain(age)}, which ends connections before it",
            f"lower idle_conn_timeout below {plain(age)} or raise max_conn_age",
            {"idle_conn_timeout": idle, "max_conn_age": age},
        )


def _drains(given: dict[str, float]) -> Iterator[Contradiction]:
    for off, other in (
        ("drain_bytes", "drain_timeout"),
        ("drain_timeout", "drain_bytes"),
    ):
        if given.get(off) == 0 and given.get(other):
            yield (
                f"{off}=0 switches draining off, so that "
                f"{other}={plain(given[other])} has no effect",
                f"raise {off} or leave out {other}",
                {off: 0, other: given[other]},
            )


def _queues(given: dict[str, float], refused: int) -> Iterator[Contradiction]:
    waiting = given.get("max_waiting")
    names = ("max_conns_per_host", "max_conns")
    limit = next((name for name in names if name in given), None)
    if waiting is not None and limit is None:
        yield (
            f"max_waiting={waiting} has no effect: without max_conns or "
            "max_conns_per_host no request ever waits",
            "set one of them or leave out max_waiting",
            {"max_waiting": waiting},
        )
    elif waiting == 0 and limit is not None and refused:
        # To fail at once may be what is wanted; that it happens is not.
        yield (
            f"max_waiting=0 refused {refused} requests that found all of "
            f"{limit}={given[limit]} in use",
            f"let some wait: raise max_waiting, or {limit}",
            {"max_waiting": 0, limit: given[limit], "refused": refused},
        )


def _descriptors(
    given: dict[str, float], allowed: int | None
) -> Iterator[Contradiction]:
    name = "max_conns" if "max_conns" in given else "max_conns_per_host"
    most = given.get(name, 0)
    if allowed is not None and most > allowed:
        yield (
            f"{name}={most} is above the {allowed} descriptors that the "
            "process may have (RLIMIT_NOFILE)",
            f"lower {name} or raise RLIMIT_NOFILE (ulimit -n)",
            {name: most, "allowed": allowed},
        )
