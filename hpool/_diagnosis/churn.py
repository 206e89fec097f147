"""Connections that serve a request or two, and what each new one costs."""

from __future__ import annotations

from .._advice import Advice
from .seen import (
    HINT,
    MANY,
    PROBLEM,
    Seen,
    address,
    commonest,
    count,
    listed,
    plain,
    to,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..config import Limits

# What this side closes of its own will, and what to do about it. Who closes
# first has the port in TIME_WAIT.
_OURS = {
    "keepalives_disabled": "Set Limits(disable_keepalives=False)",
    "request_says_close": "Do not send `Connection: close`",
    "max_requests": "Raise Limits(max_requests_per_conn=) from {0}",
    "max_age": "Raise Limits(max_conn_age=) from {0} s",
    "made_room": "Raise Limits(max_conns=) from {0} to the number of "
    "connections that all hosts need together",
    "idle_timeout": "Raise Limits(idle_conn_timeout=) from {0} s above the "
    "time between two requests",
    "close_idle_called": "Do not call close_idle() after each request",
}
_SETTINGS = {
    "max_requests": "max_requests_per_conn",
    "max_age": "max_conn_age",
    "made_room": "max_conns",
    "idle_timeout": "idle_conn_timeout",
}
_SHORT_IDLE = 10.0  # below it, an idle timeout is more than housekeeping


def time_wait(seen: Seen) -> Advice | None:
    """Connections that serve a request or two before we close them."""
    reasons = [reason for reason in _OURS if _is_churn(seen.limits, reason)]
    row = seen.place(lambda row: count(row, reasons))
    closed, dials = count(row, reasons), row.dials
    if closed < MANY or closed < 0.5 * dials or 2 * row.reuses > row.requests:
        return None
    reason = commonest(row, reasons)
    finding = (
        f"{closed} of {dials} connections{to(row)} were closed by this side "
        f"after {_each(row.requests, dials)} each ({reason} "
        f"{row.closes[reason]}), and a closed one keeps its port in "
        "TIME_WAIT for a minute"
    )
    figures: dict[str, float] = {
        "closed": closed,
        "dials": dials,
        "reuses": row.reuses,
        "requests": row.requests,
    }
    if seen.time_wait is not None:
        finding += f" ({seen.time_wait} on this machine now)"
        figures["time_wait"] = seen.time_wait
    return Advice(
        "time_wait",
        PROBLEM,
        address(row),
        finding,
        _change(seen.limits, reason),
        figures,
    )


def _change(limits: Limits, reason: str) -> str:
    if limits.disable_keepalives:  # which is told to the server, too
        reason = "keepalives_disabled"
    setting = _SETTINGS.get(reason)
    value = plain(getattr(limits, setting)) if setting else ""
    return _OURS[reason].format(value)


def _is_churn(limits: Limits, reason: str) -> bool:
    if reason == "max_requests":  # else the server's own: Keep-Alive: max=
        return limits.max_requests_per_conn is not None
    if reason == "idle_timeout":
        timeout = limits.idle_conn_timeout
        return timeout is not None and timeout < _SHORT_IDLE
    return True


def _each(requests: int, dials: int) -> str:
    if requests < 1.05 * dials:
        return "one request"
    return f"{requests / dials:.1f} requests"


_SERVERS = ("response_says_close", "http_1_0", "until_close_body")


def server_closes(seen: Seen) -> Advice | None:
    """A server, or a proxy before it, that keeps nothing open."""
    row = seen.place(lambda row: count(row, _SERVERS))
    closed, dials = count(row, _SERVERS), row.dials
    if closed < MANY or closed < 0.5 * dials or 2 * row.reuses > row.requests:
        return None
    parts = [(reason, row.closes[reason]) for reason in _SERVERS]
    return Advice(
        "server_closes",
        HINT,
        address(row),
        f"The server ended {closed} of {dials} connections{to(row)} after "
        f"{_each(row.requests, dials)} each ({listed(parts)})",
        "Turn keep-alive on at the server, or at the proxy before it",
        {"closed": closed, "dials": dials, **dict(parts)},
    )


def full_handshakes(seen: Seen) -> Advice | None:
    """Servers that resume no TLS session. The first handshake with a host says
    nothing, it is always a full one."""
    row = seen.place(lambda row: row.unresumed)
    full = row.unresumed
    if full < MANY or row.resumed > 0.1 * (full + row.resumed):
        return None
    return Advice(
        "full_handshakes",
        HINT,
        address(row),
        f"{full} of {row.handshakes} TLS handshakes{to(row)} were full ones "
        "with a host that had had one before: it resumes no sessions",
        "Turn session tickets on at the server (nginx: ssl_session_tickets, "
        "with the same key on all its machines), or keep connections longer",
        {"full": full, "handshakes": row.handshakes, "resumed": row.resumed},
    )


def lookups(seen: Seen) -> Advice | None:
    total = seen.stats.total
    if seen.dns_ttl > 0 or total.lookups < MANY:
        return None
    return Advice(
        "lookups",
        HINT,
        None,
        f"{total.lookups} names were looked up for {total.dials} connections, "
        "because dns_ttl=0 remembers none",
        "Set Client(dns_ttl=) to a few seconds; the default is 10",
        {"lookups": total.lookups, "dials": total.dials},
    )
