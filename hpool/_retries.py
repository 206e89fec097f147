"""Retries: which requests are made again by themselves."""

from __future__ import annotations

from ._frozen import Frozen
from .errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# What may be done twice (RFC 9110, 9.2.2).
_ALLOWED_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE")


class Retries(Frozen):
    """Which requests are made again by themselves; for `retries=` of a client
    or of one request. `Retries(3)` is 3 more attempts after the first.

    total    how many more attempts in all; None: as many as the three below
             have in sum
    connect  of these, after no connection came about; so nothing was sent,
             and any method is repeated
    read     after the connection broke or the server was silent, and
    status   after an answer whose status is in `status_forcelist`: both for
             the allowed methods alone. None: as many as `total` says

    status_forcelist  statuses, e.g. (502, 503, 504)
    allowed_methods   methods; None: any. A request made with
                      `idempotent=True` or an Idempotency-Key is allowed too
    raise_on_status   whether RetryError is raised when such a status is the
                      last, in place of giving back the response

    backoff_factor  the waits are 0, 2, 4, 8, ... times these seconds
    backoff_max     no wait is longer, in seconds
    jitter          the share of each wait that is left to chance: 1.0 waits
                    between nothing and all of it, 0.0 exactly
    respect_retry_after  whether the wait is the one that a 413, 429 or 503
                    asks for in Retry-After; they are then repeated without
                    being in `status_forcelist`. One longer than backoff_max,
                    or than the time that is left, is not waited for at all

    budget   the share of requests that may be retries, over the last 10 s,
             this client and one origin; 10 retries are always free. So a
             server that is down gets 1.2 times the load, not 4 times. None:
             no such bound
    stale    whether a request is sent again when the server had closed the
             kept connection it went out on (True). That happens only where it
             cannot do harm: not a byte of it was written, or it is GET, HEAD,
             OPTIONS or TRACE, bears an Idempotency-Key, or is made with
             `idempotent=True`; and never after the first byte of an answer.
             It counts as no retry
    """

    __slots__ = (
        "total",
        "connect",
        "read",
        "status",
        "status_forcelist",
        "allowed_methods",
        "raise_on_status",
        "backoff_factor",
        "backoff_max",
        "jitter",
        "respect_retry_after",
        "budget",
        "stale",
    )

    total: int | None
    connect: int | None
    read: int | None
    status: int | None
    status_forcelist: frozenset[int]
    allowed_methods: frozenset[str] | None
    raise_on_status: bool
    backoff_factor: float
    backoff_max: float
    jitter: float
    respect_retry_after: bool
    budget: float | None
    stale: bool

    def __init__(
        self,
        total: int | None = None,
        *,
        connect: int | None = None,
        read: int | None = None,
        status: int | None = None,
        status_forcelist: Iterable[int] = (),
        allowed_methods: Iterable[str] | None = _ALLOWED_METHODS,
        raise_on_status: bool = False,
        backoff_factor: float = 0.1,
        backoff_max: float = 120.0,
        jitter: float = 1.0,
        respect_retry_after: bool = True,
        budget: float | None = 0.2,
        stale: bool = True,
    ) -> None:
        values: dict[str, object] = {
            "total": _count("total", total),
            "connect": _count("connect", connect),
            "read": _count("read", read),
            "status": _count("status", status),
            "status_forcelist": _statuses(status_forcelist),
            "allowed_methods": _methods(allowed_methods),
            "raise_on_status": _flag("raise_on_status", raise_on_status),
            "backoff_factor": _seconds("backoff_factor", backoff_factor),
            "backoff_max": _seconds("backoff_max", backoff_max),
            "jitter": _share("jitter", jitter),
            "respect_retry_after": _flag(
                "respect_retry_after", respect_retry_after
            ),
            "budget": None if budget is None else _share("budget", budget),
            "stale": _flag("stale", stale),
        }
        if values["status_forcelist"] and total is None and status is None:
            raise InvalidArgument(
                "status_forcelist says which, not how often: give total or "
                "status as well"
            )
        self._fill(values)

    def __repr__(self) -> str:
        shown = [
            f"{name}={getattr(self, name)!r}"
            for name in self.__slots__
            if getattr(self, name) != getattr(_DEFAULTS, name)
        ]
        return f"Retries({', '.join(shown)})"

    @property
    def are_off(self) -> bool:
        """Whether nothing of it matters but `stale`."""
        if self.raise_on_status and self.status_forcelist:
            return False
        if self.total is not None:
            return self.total == 0
        return not any((self.connect, self.read, self.status))


def parse_retries(value: object) -> Retries:
    """Anything that stands for retries, as a Retries: None, a number of
    retries, a Retries, or urllib3's Retry. TypeError or InvalidArgument."""
    if isinstance(value, Retries):
        return value
    if value is None:
        return _DEFAULTS
    if isinstance(value, int) and not isinstance(value, bool):
        return Retries(_count("retries", value) or None)
    if hasattr(value, "status_forcelist") and hasattr(value, "backoff_factor"):
        return _of_urllib3(value)
    kind = type(value).__name__
    raise TypeError(f"retries takes a number or a Retries, not {kind}")


# What urllib3 counts where nobody says how often.
_URLLIB3_TOTAL = 10


def _of_urllib3(retry: Any) -> Retries:
    """Its waits are exact, and it knows no budget; redirects are not its
    business here."""
    total = _urllib3_count(retry.total)
    counts: dict[str, Any] = {
        kind: _urllib3_count(getattr(retry, kind, None))
        for kind in ("connect", "read", "status")
    }
    if total is None and all(count is None for count in counts.values()):
        total = _URLLIB3_TOTAL
    methods = getattr(retry, "allowed_methods", _ALLOWED_METHODS)
    counts_statuses = total is not None or counts["status"] is not None
    return Retries(
        total,
        **counts,
        status_forcelist=retry.status_forcelist if counts_statuses else (),
        allowed_methods=methods or None,
        raise_on_status=bool(getattr(retry, "raise_on_status", True)),
        backoff_factor=retry.backoff_factor,
        backoff_max=getattr(retry, "backoff_max", 120.0),
        jitter=1.0 if getattr(retry, "backoff_jitter", 0) else 0.0,
        respect_retry_after=getattr(retry, "respect_retry_after_header", True),
        budget=None,
    )


def _urllib3_count(value: Any) -> int | None:
    """False is its way to say 0."""
    return None if value is None else max(0, int(value))


# ---- checks ------------------------------------------------------------------


def _count(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        kind = type(value).__name__
        raise TypeError(f"{name} takes a number of retries, not {kind}")
    if value < 0:
        raise InvalidArgument(f"{name} takes a number from 0 up, not {value}")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        kind = type(value).__name__
        raise TypeError(f"{name} takes True or False, not {kind}")
    return value


def _number(name: str, value: object, takes: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} takes {takes}, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgument(f"{name} takes {takes}, not an int so large") from None


def _seconds(name: str, value: object) -> float:
    number = _number(name, value, "seconds")
    if not 0 <= number < float("inf"):
        raise InvalidArgument(f"{name} takes seconds from 0 up, not {value!r}")
    return number


def _share(name: str, value: object) -> float:
    number = _number(name, value, "a share from 0.0 to 1.0")
    if not 0 <= number <= 1:
        raise InvalidArgument(
            f"{name} takes a share from 0.0 to 1.0, not {value!r}"
        )
    return number


def _statuses(value: Iterable[int]) -> frozenset[int]:
    takes = "status_forcelist takes statuses, e.g. (502, 503, 504)"
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{takes}, not {type(value).__name__}")
    statuses = frozenset(value)
    for status in statuses:
        if isinstance(status, bool) or not hasattr(status, "__index__"):
            raise TypeError(f"{takes}, not {type(status).__name__} in it")
        if not 200 <= status <= 999:
            raise InvalidArgument(f"{takes}, not {status}")
    return frozenset(map(int, statuses))


def _methods(value: Iterable[str] | None) -> frozenset[str] | None:
    if value is None:
        return None
    takes = 'allowed_methods takes methods, e.g. ("GET", "PUT"), or None'
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{takes}, not {type(value).__name__}")
    methods = list(value)
    for method in methods:
        if not isinstance(method, str):
            raise TypeError(f"{takes}, not {type(method).__name__} in it")
    return frozenset(method.upper() for method in methods)


_DEFAULTS = Retries()
