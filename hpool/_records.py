"""Facts about one request: Attempt, Timings, ConnectionInfo. Immutable."""

from __future__ import annotations

from ._frozen import Frozen
from ._redact import url_for_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._core import Client, Headers
    from .errors import RequestException
    from .policy.request import PreparedRequest


class Attempt(Frozen):
    """One attempt of a request that `retries` made again; `response.attempts`
    has them all, the last one included.

    method, url   str
    status        the answer's, or None
    error         why there was no answer, or None
    wait          seconds that were waited after it; None for the last one
    """

    __slots__ = ("method", "url", "status", "error", "wait")

    method: str
    url: str
    status: int | None
    error: RequestException | None
    wait: float | None

    def __init__(
        self,
        method: str,
        url: str,
        status: int | None = None,
        error: RequestException | None = None,
        wait: float | None = None,
    ) -> None:
        self._fill({
            "method": method,
            "url": url,
            "status": status,
            "error": error,
            "wait": wait,
        })

    def __repr__(self) -> str:
        how = type(self.error).__name__ if self.error else self.status
        where = f"{self.method} {url_for_text(self.url)}"
        waited = "" if self.wait is None else f", waited {self.wait:.3g} s"
        return f"<Attempt [{where}: {how}{waited}]>"

def _span(start: float | None, end: float | None) -> float | None:
    """Seconds from one moment to another, None if one did not happen."""
    if start is None or end is None:
        return None
    return max(0.0, end - start)


class Timings(Frozen):
    """When what happened: seconds since `started`, None = did not happen.

    started     the call began (0.0)
    queued      began to wait, because a limit was reached
    resolved, connected, secured   of the dial it waited for; None on a
                connection that was there
    acquired    has a connection, ready to send
    sent        the last byte of the request is with the kernel
    first_byte  of the answer
    head        the head of the answer is complete
    ended       the end of the body

    The properties are the lengths of the phases, in seconds.
    """

    __slots__ = (
        "started",
        "queued",
        "acquired",
        "resolved",
        "connected",
        "secured",
        "sent",
        "first_byte",
        "head",
        "ended",
    )

    started: float | None
    queued: float | None
    acquired: float | None
    resolved: float | None
    connected: float | None
    secured: float | None
    sent: float | None
    first_byte: float | None
    head: float | None
    ended: float | None

    def __init__(
        self,
        started: float | None = None,
        queued: float | None = None,
        acquired: float | None = None,
        resolved: float | None = None,
        connected: float | None = None,
        secured: float | None = None,
        sent: float | None = None,
        first_byte: float | None = None,
        head: float | None = None,
        ended: float | None = None,
    ) -> None:
        self._fill({
            "started": started,
            "queued": queued,
            "acquired": acquired,
            "resolved": resolved,
            "connected": connected,
            "secured": secured,
            "sent": sent,
            "first_byte": first_byte,
            "head": head,
            "ended": ended,
        })

    @property
    def pool(self) -> float | None:
        """Waiting for a connection or the place for one. When a dial followed,
        its look-up is in here: a host with a full pool has been looked up."""
        ended = self.acquired if self.resolved is None else self.resolved
        return _span(self.queued, ended)

    @property
    def dns(self) -> float | None:
        """Looking up the host's name; about 0 for an address."""
        if self.queued is not None:
            return None
        return _span(self.started, self.resolved)

    @property
    def connect(self) -> float | None:
        """Dialing, after the look-up."""
        return _span(self.resolved, self.connected)

    @property
    def tls(self) -> float | None:
        """The handshake."""
        return _span(self.connected, self.secured)

    @property
    def send(self) -> float | None:
        """Sending the request."""
        return _span(self.acquired, self.sent)

    @property
    def wait(self) -> float | None:
        """From the request's last byte to the answer's first: the server."""
        return _span(self.sent, self.first_byte)

    @property
    def read(self) -> float | None:
        """From the answer's first byte to its end."""
        return _span(self.first_byte, self.ended)

    @property
    def total(self) -> float | None:
        """From the call to the end of the body."""
        return _span(self.started, self.ended)

    def __repr__(self) -> str:
        names = (
            "pool", "dns", "connect", "tls", "send", "wait", "read", "total",
        )  # fmt: skip
        spans = ((name, getattr(self, name)) for name in names)
        shown = [f"{n} {show_seconds(s)}" for n, s in spans if s is not None]
        return f"<Timings {', '.join(shown) or 'none'}>"


def show_seconds(seconds: float) -> str:
    """A duration for a person: "85 us", "1.2 ms", "3.40 s"."""
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 0.0995:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.2f} s"


class _Sends(Frozen):
    """What can send once more through the client it came from; that is no part
    of its value."""

    __slots__ = ("_client",)

    _client: Callable[[], Client | None] | None

    def send(self, request: PreparedRequest, **how: Any) -> Any:
        """For hooks and auth that were written for requests: sends `request`
        through the client that this came from, and gives the answer, redirects
        not followed and its body not read.

        how  stream, timeout, verify, cert, proxies, as hooks are given them

        RuntimeError when there is no such client any more.
        """
        reference = getattr(self, "_client", None)
        client = None if reference is None else reference()
        if client is None:
            raise RuntimeError("the client that this came from is gone")
        request._rewind()
        return client.get_adapter(request.url).send(request, **how)


class ConnectionInfo(_Sends):
    """The connection a response came on.

    id           counts up over the process; 0: there never was one
    reused       it had served a request before, or was handed over
    was_idle     it lay idle in the pool, for `idle_time` seconds
    age          seconds since it was connected, when this request got it
    requests     on it so far, this one included
    remote, local   "127.0.0.1:80"
    tls_version, cipher, alpn   "TLSv1.3" ...; None without TLS
    resumed      the TLS session was resumed
    attempts     1, and 1 more for each time the request was sent again
    key          the pool's key
    release      None while in use; "keep", or why it was not kept
    proxy        "http://proxy:3128" if it goes through one; `remote` is then
                 the proxy's address, and tls_version ... tell of TLS with the
                 server alone
    proxy_headers   hpool.Headers of the proxy's answer to CONNECT; None without
                 such a tunnel
    """

    __slots__ = (
        "id",
        "reused",
        "was_idle",
        "idle_time",
        "age",
        "requests",
        "remote",
        "local",
        "tls_version",
        "cipher",
        "alpn",
        "resumed",
        "attempts",
        "key",
        "release",
        "proxy",
        "proxy_headers",
    )

    id: int
    reused: bool
    was_idle: bool
    idle_time: float
    age: float
    requests: int
    remote: str
    local: str
    tls_version: str | None
    cipher: str | None
    alpn: str | None
    resumed: bool
    attempts: int
    key: str
    release: str | None
    proxy: str | None
    proxy_headers: Headers | None

    def __init__(
        self,
        id: int = 0,
        reused: bool = False,
        was_idle: bool = False,
        idle_time: float = 0.0,
        age: float = 0.0,
        requests: int = 0,
        remote: str = "",
        local: str = "",
        tls_version: str | None = None,
        cipher: str | None = None,
        alpn: str | None = None,
        resumed: bool = False,
        attempts: int = 1,
        key: str = "",
        release: str | None = None,
        proxy: str | None = None,
        proxy_headers: Headers | None = None,
        client: Callable[[], Client | None] | None = None,
    ) -> None:
        object.__setattr__(self, "_client", client)
        self._fill({
            "id": id,
            "reused": reused,
            "was_idle": was_idle,
            "idle_time": idle_time,
            "age": age,
            "requests": requests,
            "remote": remote,
            "local": local,
            "tls_version": tls_version or None,
            "cipher": cipher or None,
            "alpn": alpn or None,
            "resumed": resumed,
            "attempts": attempts,
            "key": key,
            "release": release,
            "proxy": proxy or None,
            "proxy_headers": proxy_headers,
        })

    def __hash__(self) -> int:  # headers have none
        return hash((type(self), self.id, self.requests))

    def __repr__(self) -> str:
        if not self.id:
            return "<ConnectionInfo: none>"
        parts = [f"#{self.id} to {self.remote}", self._history()]
        if self.proxy:
            parts.append(f"by {self.proxy}")
        if self.tls_version:
            parts.append(self.tls_version + " resumed" * self.resumed)
        if self.attempts > 1:
            parts.append(f"attempt {self.attempts}")
        if self.release not in (None, "keep"):
            parts.append(f"closed: {self.release}")
        return f"<ConnectionInfo {', '.join(parts)}>"

    def _history(self) -> str:
        if not self.reused:
            return "new"
        if not self.was_idle:
            return f"handed over, request {self.requests}"
        idle = show_seconds(self.idle_time)
        return f"request {self.requests}, after {idle} idle"
