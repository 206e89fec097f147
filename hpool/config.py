"""Settings of a client: Timeout, Limits, TLS. Immutable, validated once.

Times are seconds as float. `None` is "no limit" everywhere. A value that means
nothing is an InvalidArgument (a ValueError), one of the wrong type a TypeError;
the text names the argument and what it takes.
"""

from __future__ import annotations

from ._frozen import Frozen
from .errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final

__all__ = ["TLS", "Limits", "Timeout", "parse_timeout"]


class Unset:
    """The type of UNSET: "this argument was not given"."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<not given>"


UNSET: Final = Unset()


# ---- checks ------------------------------------------------------------------


def _number(name: str, value: object, takes: str) -> float:
    """`value` as a finite float. TypeError or InvalidArgument naming `name`."""
    if isinstance(value, (bool, str, bytes)) or not (
        hasattr(value, "__float__") or hasattr(value, "__index__")
    ):
        kind = type(value).__name__
        raise TypeError(f"{name} takes {takes}, not {kind}")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise InvalidArgument(f"{name} takes {takes}, not an int so large") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise InvalidArgument(f"{name} takes {takes}, not {number}")
    return number


def _seconds(name: str, value: object) -> float | None:
    """A duration above zero, or None."""
    if value is None:
        return None
    takes = "seconds above zero, or None for no limit"
    number = _number(name, value, takes)
    if number <= 0:
        raise InvalidArgument(f"{name} takes {takes}, not {value!r}")
    return number


def _seconds_or_zero(name: str, value: object) -> float | None:
    """A duration of zero or more, or None."""
    if value is None:
        return None
    takes = "seconds, 0 for not at all, or None for no limit"
    number = _number(name, value, takes)
    if number < 0:
        raise InvalidArgument(f"{name} takes {takes}, not {value!r}")
    return number


def _count(name: str, value: object, least: int) -> int | None:
    """A whole number of at least `least` (0 or 1), or None."""
    if value is None:
        return None
    takes = f"a whole number from {least} up, or None for no limit"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} takes {takes}, not {type(value).__name__}")
    number = int(value.__index__())
    if number < least:
        note = " (0 would let nothing through)" if number == 0 else ""
        raise InvalidArgument(f"{name} takes {takes}, not {number}{note}")
    return number


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        kind = type(value).__name__
        raise TypeError(f"{name} takes True or False, not {kind}")
    return value


# ---- Timeout -----------------------------------------------------------------

_PHASES = ("connect", "tls", "pool", "write", "response_header", "read")

# What holds when nothing is said. hp_timeouts_default() in the core says the
# same.
_DEFAULTS: dict[str, Any] = {
    "total": None,
    "connect": 10.0,
    "tls": 10.0,
    "pool": 30.0,
    "write": 60.0,
    "response_header": 60.0,
    "read": 60.0,
    "expect_continue": 1.0,
    "min_rate": None,
}


class Timeout(Frozen):
    """How long a request may take, in seconds; None is no limit.

    total            the whole call including the body (default None)
    connect          name look-up and dial (10)
    tls              the handshake (10)
    pool             waiting for a connection when all are in use (30)
    write            the longest time without progress in sending (60)
    response_header  from the request's last byte to the end of the head (60)
    read             the longest silence, in head and body (60)
    expect_continue  how long a body waits for "100 Continue" (1)
    min_rate         (bytes_per_second, seconds): ends a body that delivers
                     less than that over so many seconds (None)

    What is not given keeps its default, with one exception: a
    `response_header` that is not given never undercuts a longer `read` that
    is, so `Timeout(read=300)` waits 300 s for a head.

    A first argument stands for the defaults: `Timeout(5, connect=2)` is 5 s
    each phase and 2 s to connect, `Timeout(None, total=30)` limits the whole
    call only. It takes what `timeout=` takes.

    >>> Timeout(5).read
    5.0
    >>> Timeout(total=30, connect=3).total
    30.0
    """

    __slots__ = (
        "total",
        "connect",
        "tls",
        "pool",
        "write",
        "response_header",
        "read",
        "expect_continue",
        "min_rate",
    )

    total: float | None
    connect: float | None
    tls: float | None
    pool: float | None
    write: float | None
    response_header: float | None
    read: float | None
    expect_continue: float | None
    min_rate: tuple[float, float] | None

    def __init__(
        self,
        timeout: object = UNSET,
        /,
        *,
        total: float | None | Unset = UNSET,
        connect: float | None | Unset = UNSET,
        tls: float | None | Unset = UNSET,
        pool: float | None | Unset = UNSET,
        write: float | None | Unset = UNSET,
        response_header: float | None | Unset = UNSET,
        read: float | None | Unset = UNSET,
        expect_continue: float | None | Unset = UNSET,
        min_rate: tuple[float, float] | None | Unset = UNSET,
    ) -> None:
        given: dict[str, Any] = {
            "total": total,
            "connect": connect,
            "tls": tls,
            "pool": pool,
            "write": write,
            "response_header": response_header,
            "read": read,
            "expect_continue": expect_continue,
            "min_rate": min_rate,
        }
        given = {k: v for k, v in given.items() if v is not UNSET}
        values = _base_values(timeout) | _checked(given)
        if "read" in given and "response_header" not in given:
            values["response_header"] = _longer(
                values["response_header"], values["read"]
            )
        self._fill(values)


def _base_values(timeout: object) -> dict[str, Any]:
    """What holds for the fields that were not given by name."""
    if timeout is UNSET:
        return dict(_DEFAULTS)
    base = parse_timeout(timeout)
    return dict(zip(base.__slots__, base._values()))


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _min_rate(value) if name == "min_rate" else _seconds(name, value)
        for name, value in given.items()
    }


def _min_rate(value: object) -> tuple[float, float] | None:
    if value is None:
        return None
    takes = "(bytes per second, seconds), both above zero, or None"
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"min_rate takes {takes}, not {value!r}")
    rate, window = (_number("min_rate", item, takes) for item in value)
    if rate <= 0 or window <= 0:
        raise InvalidArgument(f"min_rate takes {takes}, not {value!r}")
    return rate, window


def _longer(a: float | None, b: float | None) -> float | None:
    """The later of two limits, of which None never comes."""
    return None if a is None or b is None else max(a, b)


def _shorter(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


_TIMEOUT_TAKES = (
    "timeout takes seconds, (connect, read), (connect, read, write, pool), "
    "a Timeout, or None for no limits"
)


def parse_timeout(value: object) -> Timeout:
    """Anything that stands for a timeout, as a Timeout.

    A number is each of connect, tls, pool, write, response_header and read,
    and no total; a pair is requests' (connect, read), a 4-tuple httpx's
    (connect, read, write, pool); None is no limits; Timeout objects of httpx
    and urllib3 are read by their attributes. TypeError or InvalidArgument.
    """
    if isinstance(value, Timeout):
        return value
    if value is None:
        return _no_limits()
    if isinstance(value, (tuple, list)):
        return _from_tuple(tuple(value))
    if all(hasattr(value, a) for a in ("connect", "read", "write", "pool")):
        return _from_httpx(value)
    if hasattr(value, "connect_timeout") and hasattr(value, "total"):
        return _from_urllib3(value)
    return _from_number(value)


def _no_limits() -> Timeout:
    # expect_continue ends in sending the body, not in an error: without it a
    # server that does not know Expect would be waited for for ever.
    return Timeout(**dict.fromkeys(_PHASES))


def _from_number(value: object) -> Timeout:
    if isinstance(value, (bool, str, bytes)) or not hasattr(
        value, "__float__"
    ):
        raise TypeError(f"{_TIMEOUT_TAKES}, not {type(value).__name__}")
    return Timeout(**dict.fromkeys(_PHASES, _seconds("timeout", value)))


def _from_tuple(value: tuple[Any, ...]) -> Timeout:
    if len(value) == 2:
        connect, read = _named(("connect", "read"), value)
        return Timeout(connect=connect, tls=connect, read=read)
    if len(value) == 4:
        names = ("connect", "read", "write", "pool")
        connect, read, write, pool = _named(names, value)
        return Timeout(
            connect=connect, tls=connect, read=read, write=write, pool=pool
        )
    why = f"not {len(value)} of them"
    if len(value) == 3:
        why += (
            ": a third could be the write limit or the total, so say it by "
            "name: Timeout(connect=, read=, total=)"
        )
    raise InvalidArgument(f"{_TIMEOUT_TAKES}, {why}")


def _named(
    names: tuple[str, ...], values: tuple[Any, ...]
) -> list[float | None]:
    return [
        _seconds(f"timeout: {name}", value)
        for name, value in zip(names, values)
    ]


def _from_httpx(value: Any) -> Timeout:
    return _from_tuple((value.connect, value.read, value.write, value.pool))


def _from_urllib3(value: Any) -> Timeout:
    """urllib3's `total` spans connecting and each wait for the answer, but not
    a body that keeps coming: it caps those phases and is no total here."""
    total = _plain(value.total, None)
    connect = _shorter(_plain(value.connect_timeout, 10.0), total)
    # read_timeout would look at a clock that only urllib3 itself starts.
    read = _shorter(_plain(getattr(value, "_read", None), 60.0), total)
    head = read if total is not None else _longer(60.0, read)
    return Timeout(
        connect=connect, tls=connect, read=read, response_header=head
    )


def _plain(value: object, default: float | None) -> float | None:
    """A number or None; urllib3's mark for "not given" is the default."""
    if value is None or (
        isinstance(value, (int, float)) and not _is_enum(value)
    ):
        return _seconds("timeout", value)
    return default


def _is_enum(value: object) -> bool:
    return hasattr(value, "_value_")


# ---- Limits ------------------------------------------------------------------


class Limits(Frozen):
    """What a client's pool may hold and for how long. None is no limit.

    max_conns                connections in all; beyond it the longest idle one
                             of any host makes room, else requests queue (None)
    max_conns_per_host       the same for one host (None)
    max_idle_conns           kept open without a request, in all (100)
    max_idle_conns_per_host  the same for one host; None is no cap below the
                             one above
    idle_conn_timeout        seconds until an idle one is closed (90)
    max_conn_age             seconds a connection is used at most, up to a
                             tenth less so that not all end at once (None)
    max_requests_per_conn    requests on one connection (None)
    disable_keepalives       True: a connection for every request (False)
    max_waiting              requests that may queue; beyond it QueueFull (None)
    idle_order               "lifo" takes the last one used, "fifo" the longest
                             idle (to spread load over servers)
    drain_bytes              a body that is closed early is read to its end if
                             no more than this is left (262144) ...
    drain_timeout            ... and it takes no longer than this (0.05 s);
                             else its connection is closed

    0 means none at all: nothing idle, no queue, no draining. For max_conns,
    max_conns_per_host, max_conn_age and max_requests_per_conn it is an error,
    negative ones always are. A per-host limit above the one for all hosts has
    no effect and warns (LimitsWarning).
    """

    __slots__ = (
        "max_conns",
        "max_conns_per_host",
        "max_idle_conns",
        "max_idle_conns_per_host",
        "idle_conn_timeout",
        "max_conn_age",
        "max_requests_per_conn",
        "disable_keepalives",
        "max_waiting",
        "idle_order",
        "drain_bytes",
        "drain_timeout",
    )

    max_conns: int | None
    max_conns_per_host: int | None
    max_idle_conns: int | None
    max_idle_conns_per_host: int | None
    idle_conn_timeout: float | None
    max_conn_age: float | None
    max_requests_per_conn: int | None
    disable_keepalives: bool
    max_waiting: int | None
    idle_order: str
    drain_bytes: int | None
    drain_timeout: float | None

    def __init__(
        self,
        *,
        max_conns: int | None = None,
        max_conns_per_host: int | None = None,
        max_idle_conns: int | None = 100,
        max_idle_conns_per_host: int | None = None,
        idle_conn_timeout: float | None = 90.0,
        max_conn_age: float | None = None,
        max_requests_per_conn: int | None = None,
        disable_keepalives: bool = False,
        max_waiting: int | None = None,
        idle_order: str = "lifo",
        drain_bytes: int | None = 262144,
        drain_timeout: float | None = 0.05,
    ) -> None:
        self._fill({
            "max_conns": _count("max_conns", max_conns, 1),
            "max_conns_per_host": _count(
                "max_conns_per_host", max_conns_per_host, 1
            ),
            "max_idle_conns": _count("max_idle_conns", max_idle_conns, 0),
            "max_idle_conns_per_host": _count(
                "max_idle_conns_per_host", max_idle_conns_per_host, 0
            ),
            "idle_conn_timeout": _seconds_or_zero(
                "idle_conn_timeout", idle_conn_timeout
            ),
            "max_conn_age": _seconds("max_conn_age", max_conn_age),
            "max_requests_per_conn": _count(
                "max_requests_per_conn", max_requests_per_conn, 1
            ),
            "disable_keepalives": _flag(
                "disable_keepalives", disable_keepalives
            ),
            "max_waiting": _count("max_waiting", max_waiting, 0),
            "idle_order": _idle_order(idle_order),
            "drain_bytes": _count("drain_bytes", drain_bytes, 0),
            "drain_timeout": _seconds_or_zero("drain_timeout", drain_timeout),
        })
        self._warn_if_above("max_conns_per_host", "max_conns")
        self._warn_if_above("max_idle_conns_per_host", "max_idle_conns")

    @classmethod
    def go(cls) -> Limits:
        """The limits of Go's http.DefaultTransport, to the figure."""
        return cls(
            max_conns=None,
            max_conns_per_host=None,
            max_idle_conns=100,
            max_idle_conns_per_host=2,
            idle_conn_timeout=90.0,
        )

    def _warn_if_above(self, per_host: str, overall: str) -> None:
        narrow, wide = getattr(self, per_host), getattr(self, overall)
        if narrow is None or wide is None or narrow <= wide:
            return
        import warnings

        from .errors import LimitsWarning

        warnings.warn(
            f"{per_host}={narrow} is above {overall}={wide}, which holds for "
            "all hosts together, and has no effect",
            LimitsWarning,
            stacklevel=3,
        )


def _idle_order(value: object) -> str:
    if isinstance(value, str) and value in ("lifo", "fifo"):
        return value
    raise InvalidArgument(f'idle_order takes "lifo" or "fifo", not {value!r}')


# ---- TLS ---------------------------------------------------------------------

_VERSIONS = {
    "TLSV1.2": 0x0303,
    "1.2": 0x0303,
    "TLSV1.3": 0x0304,
    "1.3": 0x0304,
}


class TLS(Frozen):
    """TLS settings beyond trust (`verify=`) and identity (`cert=`).

    min_version, max_version  "TLSv1.2" or "TLSv1.3" (an ssl.TLSVersion will
                              do); None is the library's default, 1.2 at least
    ciphers         for TLS 1.2, in OpenSSL's syntax or as names
    ciphersuites    for TLS 1.3, the same
    groups          key exchange groups, "X25519:P-256" or as names
    server_hostname  the name to ask for and to verify instead of the URL's
    fingerprint     SHA-256 of the server's certificate, 32 bytes or hex with
                    or without colons; any other certificate is refused
    alpn            the protocols to offer, by name, the one preferred first;
                    () offers none. "http/1.1", the default, must be among
                    them: a server that chooses another is an SSLError
    """

    __slots__ = (
        "min_version",
        "max_version",
        "ciphers",
        "ciphersuites",
        "groups",
        "server_hostname",
        "fingerprint",
        "alpn",
    )

    min_version: int | None
    max_version: int | None
    ciphers: str | None
    ciphersuites: str | None
    groups: str | None
    server_hostname: str | None
    fingerprint: bytes | None
    alpn: tuple[str, ...] | None

    def __init__(
        self,
        *,
        min_version: str | int | None = None,
        max_version: str | int | None = None,
        ciphers: str | Iterable[str] | None = None,
        ciphersuites: str | Iterable[str] | None = None,
        groups: str | Iterable[str] | None = None,
        server_hostname: str | None = None,
        fingerprint: str | bytes | None = None,
        alpn: str | Iterable[str] | None = None,
    ) -> None:
        lowest = _version("min_version", min_version)
        highest = _version("max_version", max_version)
        if lowest and highest and lowest > highest:
            raise InvalidArgument("min_version is above max_version")
        self._fill({
            "min_version": lowest,
            "max_version": highest,
            "ciphers": _names("ciphers", ciphers),
            "ciphersuites": _names("ciphersuites", ciphersuites),
            "groups": _names("groups", groups),
            "server_hostname": _text("server_hostname", server_hostname),
            "fingerprint": _fingerprint(fingerprint),
            "alpn": _alpn(alpn),
        })


def _version(name: str, value: object) -> int | None:
    """0x0303 or 0x0304; None for "the library's choice"."""
    if value is None:
        return None
    if isinstance(value, str):
        number = _VERSIONS.get(value.upper())
    elif isinstance(value, int) and not isinstance(value, bool):
        # ssl.TLSVersion.MINIMUM_SUPPORTED and MAXIMUM_SUPPORTED
        if value in (-2, -1):
            return None
        number = int(value)
    else:
        number = None
    if number in (0x0303, 0x0304):
        return number
    raise InvalidArgument(
        f'{name} takes "TLSv1.2" or "TLSv1.3", not {value!r}'
    )


def _names(name: str, value: object) -> str | None:
    """OpenSSL's colon-separated form of a string or several."""
    if value is None or isinstance(value, str):
        return _text(name, value)
    takes = f"{name} takes a string or several, not"
    if isinstance(value, bytes) or not hasattr(value, "__iter__"):
        raise TypeError(f"{takes} {type(value).__name__}")
    names = list(value)
    if not all(isinstance(item, str) for item in names):
        raise TypeError(f"{takes} {value!r}")
    return _text(name, ":".join(names))


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} takes a string, not {type(value).__name__}")
    if not value or "\0" in value:
        raise InvalidArgument(f"{name} is empty or holds a NUL")
    return value


def _fingerprint(value: object) -> bytes | None:
    if value is None:
        return None
    takes = "fingerprint takes a SHA-256, 32 bytes or 64 hex digits"
    if isinstance(value, bytes):
        raw = value
    elif isinstance(value, str):
        try:
            raw = bytes.fromhex(value.replace(":", ""))
        except ValueError:
            raise InvalidArgument(f"{takes}, not {value!r}") from None
    else:
        raise TypeError(f"{takes}, not {type(value).__name__}")
    if len(raw) != 32:
        raise InvalidArgument(f"{takes}, not {len(raw)} bytes")
    return raw


def _alpn(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    takes = 'alpn takes names of protocols, such as ["http/1.1"], or ()'
    if isinstance(value, bytes) or not hasattr(value, "__iter__"):
        raise TypeError(f"{takes}, not {type(value).__name__}")
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{takes}, not {name!r}")
        if not (0 < len(name) < 256 and name.isascii() and "\0" not in name):
            raise InvalidArgument(f"{takes}; a name is 1 to 255 ASCII letters")
    if names and "http/1.1" not in names:
        raise InvalidArgument(
            f'{takes}; "http/1.1" is the one that is spoken here, and must be '
            "among them"
        )
    return names
