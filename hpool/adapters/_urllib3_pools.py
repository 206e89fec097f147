"""A pool manager for code that expects urllib3's: the connections are hpool's.

    manager = PoolManager(timeout=..., limits=...)
    pool = manager.connection_from_host("example.com", 443, "https")
    raw = pool.urlopen("GET", "/x", headers={...}, retries=..., timeout=...)

A Pool is one request's: whoever made it may set on it what requests sets on
urllib3's (`cert_reqs`, `ca_certs`, ...), and no other thread sees that.
"""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, TypeVar

import urllib3
from urllib3 import Timeout as TheirTimeout
from urllib3 import exceptions as theirs
from urllib3.poolmanager import pool_classes_by_scheme
from urllib3.util import SKIP_HEADER, Retry

from .. import Client, Limits, Timeout, _core, errors
from .._prepare import Source, body_source
from .._redact import url_for_text
from ..policy.flow import drain
from ._urllib3_errors import of_request
from ._urllib3_raw import raw_response
from ._urllib3_trust import KEYWORDS, NO_TRUST, Trust, Unsupported, trust

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Literal

    from .. import Proxy
    from ._urllib3_raw import RawResponse

_T = TypeVar("_T")
NO_LIMITS = Timeout(None)
_CACHED = 64  # timeouts and TLS settings that a manager remembers


class PoolManager:
    """Connections of one kind, kept by an hpool.Client.

    client   the user's, who closes it; else one is made when it is first
             needed, with `limits` and what `settings` say about sockets
    timeout  what holds for requests that name no limit for connecting or
             reading, and for what a request cannot name (`total`, `pool`,
             ...)
    proxy    what all go through; None is what the client says
    settings  keywords of urllib3's pools, kept and not copied: those about TLS,
             `source_address` and `socket_options`, and some that say nothing
             here

    Unsupported, a ValueError, for any other setting, and for those about
    sockets beside a `client`.
    """

    def __init__(
        self,
        *,
        timeout: Timeout,
        limits: Limits | None = None,
        client: Client | None = None,
        proxy: Proxy | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        # As in urllib3, where subclasses of requests' adapter change it.
        self.connection_pool_kw = {} if settings is None else settings
        self.timeout = timeout
        self.proxy = proxy
        self._limits = limits
        self._given = client
        self._made: Client | None = None
        self._lock = threading.Lock()
        self._timeouts: dict[Any, Timeout] = {}
        self._trusts: dict[Any, Trust] = {}
        self._known = _OF_MANAGERS if client is None else _OF_GIVEN_CLIENTS
        _refuse_unknown(self.connection_pool_kw, self._known)

    @property
    def client(self) -> Client:
        if self._given is not None:
            return self._given
        made = self._made
        if made is None:
            with self._lock:
                made = self._made = self._made or self._new_client()
        return made

    def _new_client(self) -> Client:
        settings = self.connection_pool_kw
        return Client(
            limits=self._limits,
            timeout=self.timeout,
            trust_env=False,
            local_address=settings.get("source_address"),
            socket_options=settings.get("socket_options"),
        )

    def clear(self) -> None:
        """Closes the connections of a client that was made here. The next
        request makes another one; bodies under way stay readable."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: Mapping[str, Any] | None = None,
    ) -> Pool:
        """A Pool for one request. LocationValueError without a host."""
        if not host:
            raise theirs.LocationValueError("No host specified.")
        settings = self.connection_pool_kw
        _refuse_unknown(settings, self._known)
        if pool_kwargs:
            _refuse_unknown(pool_kwargs, _OF_REQUESTS)
            settings = {**settings, **pool_kwargs}
        return Pool(self, scheme or "http", host, port, settings)

    def timeout_of(self, timeout: TheirTimeout) -> Timeout:
        """A request's own limits over the manager's."""
        connect = TheirTimeout.resolve_default_timeout(timeout.connect_timeout)
        # Not read_timeout, which needs a clock that only urllib3 starts.
        read = TheirTimeout.resolve_default_timeout(timeout._read)
        if timeout.total is not None:
            total = TheirTimeout.resolve_default_timeout(timeout.total)
            read = total if read is None else min(read, total or read)
        if connect is None and read is None:
            return self.timeout
        return _kept(
            self._timeouts, (connect, read), lambda: self._merged(connect, read)
        )

    def _merged(self, connect: float | None, read: float | None) -> Timeout:
        named: dict[str, Any] = {}
        if connect is not None:
            named |= {"connect": connect, "tls": connect}
        if read is not None:
            named |= {"read": read, "write": read}
        return Timeout(self.timeout, **named)

    def trust_of(self, settings: tuple[Any, ...]) -> Trust:
        """`settings` in the order of KEYWORDS."""
        return _kept(
            self._trusts,
            settings,
            lambda: trust(dict(zip(KEYWORDS, settings))),
        )


def like(
    manager: urllib3.PoolManager,
    *,
    timeout: Timeout,
    limits: Limits | None,
    client: Client | None,
    proxy: Proxy | None = None,
) -> PoolManager:
    """A manager of hpool's with the settings of one of urllib3's; for a proxy
    requests makes another one, without them. Unsupported if it is not
    replaceable, or says what hpool has nothing for."""
    if not is_replaceable(manager):
        raise Unsupported(
            f"{type(manager).__name__}: this pool manager makes connections of "
            "its own, which hpool cannot stand in for"
        )
    return PoolManager(
        timeout=timeout,
        limits=limits,
        client=client,
        proxy=proxy,
        settings=manager.connection_pool_kw if proxy is None else {},
    )


def is_replaceable(manager: object) -> bool:
    """Whether it is urllib3's own, and makes urllib3's own connections."""
    return (
        type(manager) is urllib3.PoolManager
        and manager.pool_classes_by_scheme is pool_classes_by_scheme
    )


_OF_REQUESTS = frozenset(KEYWORDS)
_OF_GIVEN_CLIENTS = _OF_REQUESTS | {
    # Limits are given apart, and the rest is each request's own.
    "maxsize",
    "block",
    "blocksize",
    "headers",
    "retries",
    "timeout",
}
_OF_MANAGERS = _OF_GIVEN_CLIENTS | {"source_address", "socket_options"}


def _refuse_unknown(settings: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = settings.keys() - known
    if unknown:
        raise Unsupported(
            f"{min(unknown)}: hpool has no such setting of urllib3's; what it "
            "has is given with client=hpool.Client(...)"
        )


def _kept(cache: dict[Any, _T], key: Any, make: Callable[[], _T]) -> _T:
    """From the cache, which is emptied when full: calls that differ each time
    must not pile up."""
    found = cache.get(key)
    if found is None:
        if len(cache) >= _CACHED:
            cache.clear()
        found = cache[key] = make()
    return found


class Pool:
    """What one request is sent with."""

    def __init__(
        self,
        manager: PoolManager,
        scheme: str,
        host: str,
        port: int | None,
        settings: Mapping[str, Any],
    ) -> None:
        self.manager = manager
        self.scheme = scheme
        self.host = host
        self.port = port
        self.proxy = manager.proxy
        self._settings = tuple([settings.get(name) for name in KEYWORDS])
        for name, value in zip(KEYWORDS, self._settings):
            setattr(self, name, value)

    def __str__(self) -> str:
        return f"hpool(host={self.host!r}, port={self.port!r})"

    def urlopen(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[Any, Any] | None = None,
        retries: Retry | bool | int | None = None,
        *,
        timeout: TheirTimeout,
        chunked: bool = False,
        redirect: Literal[False] = False,
        assert_same_host: Literal[False] = False,
        preload_content: Literal[False] = False,
        decode_content: Literal[False] = False,
    ) -> RawResponse:
        """The answer, its body unread, undecoded and no redirect followed: the
        last four arguments are those of requests' adapter, and nothing else.

        url      the path and query, or all of it
        headers  sent as they are, with a Host if there is none
        chunked  the body goes out in chunks whatever its length
        retries  as in urllib3, on top of hpool's own replay on a fresh
                 connection when a kept one was dead

        Raises urllib3's errors, and what reading `body` raises.
        """
        attempts = _Attempts(self, method, url)
        attempts.headers = _fields(headers or {})
        attempts.content = upload(body, chunked)
        attempts.timeout = self.manager.timeout_of(timeout)
        return attempts.until_done(Retry.from_int(retries, redirect=False))

    def trust(self) -> Trust:
        """Of this request. Warns if nothing will be verified."""
        if self.scheme == "https":
            settings = tuple([getattr(self, name) for name in KEYWORDS])
        elif self.proxy is not None and self.proxy.scheme == "https":
            # requests has set on us that an http URL wants no verification,
            # which is not meant for the proxy.
            settings = self._settings
        else:
            return NO_TRUST
        trust = self.manager.trust_of(settings)
        if trust.insecure:
            warnings.warn(
                f"the certificate of {self.host} is not checked "
                "(verify=False), so anybody on the way can read and change "
                "what is sent",
                theirs.InsecureRequestWarning,
                stacklevel=2,
            )
        return trust

    def full_url(self, target: str) -> str:
        """`target` may be all of it, as it is for proxies."""
        if not target.startswith("/"):
            return target
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{target}"


class _Attempts:
    """One request, sent until an answer stands or urllib3's Retry gives up.
    A `total` in `timeout` is that of all attempts together."""

    headers: list[tuple[Any, Any]]
    content: Any
    timeout: Timeout

    def __init__(self, pool: Pool, method: str, target: str) -> None:
        self._pool = pool
        self._method = method
        self._target = target
        self._url = pool.full_url(target)
        self._started = _core._clock()

    def until_done(self, retries: Retry) -> RawResponse:
        trust = self._pool.trust()
        while True:
            try:
                raw = self._once(trust, retries)
            except _RETRIABLE as error:
                retries = self._after_error(retries, error)
                retries.sleep()
            else:
                after = bool(raw.headers.get("Retry-After"))
                if not retries.is_retry(self._method, raw.status, after):
                    return raw
                try:
                    retries = self._increment(retries, response=raw)
                except theirs.MaxRetryError:
                    if not retries.raise_on_status:
                        return raw
                    self._drop(raw)
                    raise
                self._drop(raw)
                retries.sleep(raw)
            self._rewind()

    def _after_error(self, retries: Retry, error: theirs.HTTPError) -> Retry:
        if isinstance(error.__cause__, errors.TotalTimeout):
            raise error  # there is no time left for another attempt
        return self._increment(
            retries, error=error, _stacktrace=error.__traceback__
        )

    def _increment(self, retries: Retry, **outcome: Any) -> Retry:
        """Raises MaxRetryError, or the error, when there is to be no more."""
        shown = url_for_text(self._target)
        pool: Any = self._pool
        return retries.increment(self._method, shown, _pool=pool, **outcome)

    def _drop(self, raw: RawResponse) -> None:
        drain(self._pool.manager.client, raw.hpool)

    def _rewind(self) -> None:
        if isinstance(self.content, Source):
            try:
                self.content.rewind()
            except errors.UnrewindableBodyError as error:
                raise theirs.UnrewindableBodyError(str(error)) from error

    def _once(self, trust: Trust, retries: Retry) -> RawResponse:
        try:
            response = _core._send_once(
                self._pool.manager.client,
                self._method,
                self._url,
                self.headers,
                content=self.content,
                timeout=self.timeout,
                verify=trust.verify,
                cert=trust.cert,
                tls=trust.tls,
                proxy=self._pool.proxy,
                decompress=False,
                started=self._started,
            )
        except errors.RequestException as error:
            shown = url_for_text(self._target)
            raise of_request(error, self._pool, shown) from error
        return raw_response(
            response,
            pool=self._pool,
            method=self._method,
            url=self._target,
            retries=retries,
        )


_RETRIABLE = (
    theirs.TimeoutError,
    theirs.ProtocolError,
    theirs.SSLError,
    theirs.ProxyError,
)


def _fields(headers: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """The headers as they are to be sent: without those that urllib3's mark
    keeps out, and asking for no coding unless they ask for one."""
    fields = {}
    for name, value in headers.items():
        lower = name.lower() if isinstance(name, str) else name.decode().lower()
        fields[lower] = (name, value)
    if "content-length" in fields:
        # requests adds this one beside a length that was given by hand.
        fields.pop("transfer-encoding", None)
    fields.setdefault("accept-encoding", ("Accept-Encoding", "identity"))
    return [
        (name, value)
        for name, value in fields.values()
        if not (isinstance(value, str) and value == SKIP_HEADER)
    ]


# ---- bodies ------------------------------------------------------------------


def upload(body: Any, chunked: bool) -> Any:
    """What hpool's content= takes."""
    plain = isinstance(body, (str, bytes, bytearray, memoryview))
    if body is None or (plain and not chunked):
        return body
    return _Upload([body] if plain else body, chunked)


class _Upload(Source):
    """A body that is read while it is sent, maybe more than once. `chunked`:
    whatever its length."""

    def __init__(self, body: Any, chunked: bool) -> None:
        self._source = body_source(body)
        self._begun = False
        self.length = None if chunked else self._source.length
        self.rewindable = self._source.rewindable

    def next(self) -> bytes:
        self._begun = True
        return self._source.next()

    def rewind(self) -> None:
        if self._begun:
            self._source.rewind()
