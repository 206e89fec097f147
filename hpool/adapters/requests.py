"""hpool below requests: an adapter to mount, and patch() for the whole process.

    import requests
    from hpool.adapters.requests import HTTPAdapter

    session = requests.Session()
    session.mount("https://", HTTPAdapter())
    session.mount("http://", HTTPAdapter())

requests keeps everything above the connection: cookies, redirects, auth,
hooks, environment. hpool has the connections, TLS, time limits and the bytes.
Errors are requests' own with `request` set; `response.raw` is a
urllib3.HTTPResponse, and `response.raw.hpool` the hpool.Response below it, with
`timings` and `connection`.
"""

from __future__ import annotations

import threading
from functools import partial, wraps
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import requests.adapters
import requests.exceptions
import urllib3
from requests.adapters import (
    DEFAULT_POOLBLOCK,
    DEFAULT_POOLSIZE,
    DEFAULT_RETRIES,
)
from requests.utils import prepend_scheme_if_needed, select_proxy
from urllib3 import exceptions as theirs

from .. import Client, Limits, Proxy, Timeout
from .. import errors as ours
from ..config import parse_timeout
from ._urllib3_pools import NO_LIMITS, PoolManager, is_replaceable, like
from ._urllib3_trust import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from requests import PreparedRequest, Response
    from requests._types import CertType, TimeoutType, VerifyType
    from urllib3.util.retry import Retry

__all__ = ["HTTPAdapter", "patch", "unpatch"]

_Original = requests.adapters.HTTPAdapter


class HTTPAdapter(_Original):
    """A requests adapter whose connections are hpool's.

    pool_connections, pool_maxsize  as in requests: hosts, and idle connections
                     kept for each. requests' defaults, 10 and 10, stand for
                     what hpool.Limits() says
    max_retries      as in requests: int or urllib3.Retry. A kept connection
                     that turns out to be dead is replaced without counting
    pool_block       at most `pool_maxsize` connections to a host at a time
    client           an hpool.Client to send through, for all its settings
                     (`resolve`, `local_address`, `trace`, ...); close() leaves
                     it open. Its headers, cookies and auth are not used. With
                     verify=True its own `verify` holds
    limits           hpool.Limits in place of those three
    timeout          seconds, a tuple or hpool.Timeout: what holds where a
                     request says nothing (connect and read), and what requests
                     has no word for (total, pool, ...). Without it: no limits,
                     or the client's

    May be shared by threads and sessions. Pickles with its settings, without
    connections. The methods that requests documents for subclasses are
    called, in requests' order; a keyword of urllib3's pools that hpool has
    nothing for is a ValueError.
    """

    __attrs__ = [*_Original.__attrs__, "_client", "_limits", "_timeout"]

    def __init__(
        self,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        max_retries: int | Retry = DEFAULT_RETRIES,
        pool_block: bool = DEFAULT_POOLBLOCK,
        *,
        client: Client | None = None,
        limits: Limits | None = None,
        timeout: Any = None,
    ) -> None:
        if client is not None and limits is not None:
            raise TypeError(
                "client and limits cannot be given together: a client has its "
                "own limits"
            )
        self._client = client
        self._limits = limits
        self._timeout = _base_timeout(timeout, client)
        super().__init__(
            pool_connections, pool_maxsize, max_retries, pool_block
        )

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = DEFAULT_POOLBLOCK,
        **pool_kwargs: Any,
    ) -> None:
        """Makes `self.poolmanager`. Keywords are urllib3's, as far as hpool
        has such a setting; Unsupported (a ValueError) names any other."""
        self._pool_connections = connections
        self._pool_maxsize = maxsize
        self._pool_block = block
        self.poolmanager: Any = PoolManager(
            client=self._client,
            limits=self._limits or _limits(self),
            timeout=self._timeout,
            settings=pool_kwargs,
        )

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The pool manager for requests through `proxy`, a URL. Keywords are
        as for init_poolmanager, and `proxy_ssl_context` for an https proxy."""
        manager = self.proxy_manager.get(proxy)
        if manager is None:
            context = proxy_kwargs.pop("proxy_ssl_context", None)
            manager = self.proxy_manager[proxy] = PoolManager(
                client=self._client,
                limits=self._limits or _limits(self),
                timeout=self._timeout,
                proxy=_proxy(self, proxy, verify=context),
                settings=proxy_kwargs,
            )
        return manager

    def cert_verify(
        self, conn: Any, url: str, verify: VerifyType, cert: CertType
    ) -> None:
        """Sets on `conn` what verify= and cert= say. OSError for a file that
        is not there."""
        super().cert_verify(conn, url, verify, cert)
        if verify is True and self._client is not None:
            conn.ca_certs = conn.ca_cert_dir = None  # the client's own hold

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: TimeoutType = None,
        verify: VerifyType = True,
        cert: CertType = None,
        proxies: dict[str, str] | None = None,
    ) -> Response:
        """Sends `request` and returns the answer, its body not read.

        Raises requests' exceptions with `request` set; OSError for a CA or
        certificate file that is not there, ValueError for a timeout of zero
        or below, and what reading the request's body raises.
        """
        call = _Call(stream, timeout, verify, cert, proxies)
        return _send(self, request, call, self._connection)

    def _connection(self, request: PreparedRequest, call: _Call) -> Any:
        if isinstance(self.poolmanager, urllib3.PoolManager):
            # A subclass has made it, as requests' own __init__ would.
            self.poolmanager = like(
                self.poolmanager,
                client=self._client,
                limits=self._limits or _limits(self),
                timeout=self._timeout,
            )
        return self.get_connection_with_tls_context(
            request, call.verify, proxies=call.proxies, cert=call.cert
        )


# ---- sending -----------------------------------------------------------------


class _Call(NamedTuple):
    """What send() was called with beside the request."""

    stream: bool
    timeout: TimeoutType
    verify: VerifyType
    cert: CertType
    proxies: dict[str, str] | None


def _send(
    adapter: _Original,
    request: PreparedRequest,
    call: _Call,
    connection: Callable[[PreparedRequest, _Call], Any],
) -> Response:
    """Calls what subclasses override, in the order of requests' adapter."""
    body = request.body
    chunked = body is not None and "Content-Length" not in request.headers
    try:
        conn = connection(request, call)
        adapter.cert_verify(conn, _text(request.url), call.verify, call.cert)
        url = adapter.request_url(request, call.proxies)
        adapter.add_headers(request, **call._asdict())
        raw = conn.urlopen(
            method=request.method,
            url=url,
            body=body,
            headers=request.headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=adapter.max_retries,
            timeout=_urllib3_timeout(call.timeout),
            chunked=chunked,
        )
    except theirs.HTTPError as error:
        raise _requests_error(error, request) from error
    except ours.InvalidProxyURL as error:
        kind = requests.exceptions.InvalidProxyURL
        raise kind(str(error), request=request) from error
    return adapter.build_response(request, raw)


def _proxy(adapter: _Original, url: str, verify: Any = None) -> Proxy:
    """With the headers of an overridden proxy_headers(), to which user and
    password belong. A SOCKS proxy knows no headers."""
    if url.lower().startswith("socks"):
        return Proxy(url)
    return Proxy(url, headers=adapter.proxy_headers(url), verify=verify)


def _text(url: str | None) -> str:
    if url is None:
        raise requests.exceptions.MissingSchema("the request has no URL")
    return url


def _urllib3_timeout(timeout: Any) -> urllib3.Timeout:
    if isinstance(timeout, urllib3.Timeout):
        return timeout
    if not isinstance(timeout, tuple):
        return urllib3.Timeout(connect=timeout, read=timeout)
    if len(timeout) != 2:
        raise ValueError(
            "timeout takes seconds or a pair of them, (connect, read), not "
            f"{timeout!r}"
        )
    return urllib3.Timeout(connect=timeout[0], read=timeout[1])


def _base_timeout(timeout: Any, client: Client | None) -> Timeout:
    if timeout is not None:
        return parse_timeout(timeout)
    return NO_LIMITS if client is None else client.timeout


def _limits(adapter: _Original) -> Limits:
    """requests keeps `pool_maxsize` idle connections for each of the last
    `pool_connections` hosts."""
    hosts, size = adapter._pool_connections, adapter._pool_maxsize
    block = adapter._pool_block
    if (hosts, size, block) == (DEFAULT_POOLSIZE, DEFAULT_POOLSIZE, False):
        return Limits()
    return Limits(
        max_idle_conns=hosts * size,
        max_idle_conns_per_host=size,
        max_conns_per_host=size if block else None,
    )


# ---- errors ------------------------------------------------------------------

_Classes: TypeAlias = tuple[
    tuple[type[theirs.HTTPError], type[requests.exceptions.RequestException]],
    ...,
]
# The first that fits holds: (of urllib3, of requests).
_CLASSES: _Classes = (
    (theirs.NewConnectionError, requests.exceptions.ConnectionError),
    (theirs.ConnectTimeoutError, requests.exceptions.ConnectTimeout),
    (theirs.ReadTimeoutError, requests.exceptions.ReadTimeout),
    (theirs.ResponseError, requests.exceptions.RetryError),
    (theirs.ProxyError, requests.exceptions.ProxyError),
    (theirs.SSLError, requests.exceptions.SSLError),
    (theirs.InvalidHeader, requests.exceptions.InvalidHeader),
    (theirs.LocationValueError, requests.exceptions.InvalidURL),
    (
        theirs.UnrewindableBodyError,
        requests.exceptions.UnrewindableBodyError,
    ),
    (theirs.HTTPError, requests.exceptions.ConnectionError),
)
# When the retries have run out, requests says so by the reason, and a server
# that was silent each time counts as a connection that failed.
_CLASSES_OF_REASONS: _Classes = tuple(
    pair for pair in _CLASSES if pair[0] is not theirs.ReadTimeoutError
)


def _requests_error(
    error: theirs.HTTPError, request: PreparedRequest
) -> requests.exceptions.RequestException:
    reason: BaseException | None = error
    classes = _CLASSES
    if isinstance(error, theirs.MaxRetryError):
        reason, classes = error.reason, _CLASSES_OF_REASONS
    for kind, of_requests in classes:
        if isinstance(reason, kind):
            return of_requests(error, request=request)
    return requests.exceptions.ConnectionError(error, request=request)


# ---- for the whole process ---------------------------------------------------

# Those who override one of these choose the connections themselves.
_CHOOSERS = ("get_connection_with_tls_context", "get_connection")
# An ssl.SSLContext may hold what Python does not show, a client's key for one.
_UNREADABLE = ("ssl_context", "assert_hostname")


def patch(
    *,
    client: Client | None = None,
    limits: Limits | None = None,
    timeout: Any = None,
) -> Patch:
    """From now on requests' own HTTPAdapter sends through hpool, and so does
    every session of the process, also of libraries and of adapters that
    subclass it.

    client, limits, timeout   as for HTTPAdapter; with `client`, all sessions
                              share its connections

    Ends with unpatch(), or as a context manager. An adapter whose settings
    hpool cannot honour to the letter (an ssl_context, connections of its own)
    goes on as before: patching never changes what is verified or who is asked.
    """
    return Patch(client, limits, timeout)


def unpatch() -> None:
    """Undoes the last patch() that is in force; does nothing without one."""
    for patch in reversed(_installed):
        if patch.active:
            return patch.stop()


class Patch:
    """One patch(), in force until stop()."""

    def __init__(
        self, client: Client | None, limits: Limits | None, timeout: Any
    ) -> None:
        self._client = client
        self._limits = limits
        self._timeout = _base_timeout(timeout, client)
        self._lock = threading.Lock()
        # urllib3's manager: ours in its place, by proxy. Gone when the adapter
        # is.
        self._managers: WeakKeyDictionary[Any, dict[str | None, PoolManager]]
        self._managers = WeakKeyDictionary()
        self.active = True
        self.before = (_Original.send, _Original.close)
        self.after = (self._new_send(), self._new_close())
        _set(self.after)
        _installed.append(self)

    def stop(self) -> None:
        """requests is as it was. Where others have patched it meanwhile, they
        stay, and what they have below them is as it was. Connections that are
        idle are closed."""
        self.active = False
        while _installed and _installed[-1].is_done_with():
            _set(_installed.pop().before)
        with self._lock:
            left = list(self._managers.values())
            self._managers.clear()
        for of_adapter in left:
            _clear(of_adapter)

    def is_done_with(self) -> bool:
        """Stopped, and nobody else's method is on top of ours."""
        on_top = (_Original.send, _Original.close) == self.after
        return on_top and not self.active

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _new_send(self) -> Any:
        before = self.before[0]

        def send(
            self_: _Original,
            request: PreparedRequest,
            stream: bool = False,
            timeout: TimeoutType = None,
            verify: VerifyType = True,
            cert: CertType = None,
            proxies: dict[str, str] | None = None,
        ) -> Response:
            call = _Call(stream, timeout, verify, cert, proxies)
            try:
                connection = partial(self._connection, self_)
                return _send(self_, request, call, connection)
            except Unsupported:
                return before(self_, request, *call)

        return wraps(before)(send)

    def _new_close(self) -> Any:
        before = self.before[1]

        def close(self_: _Original) -> None:
            before(self_)
            if is_replaceable(self_.poolmanager):
                with self._lock:
                    managers = self._managers.get(self_.poolmanager, {}).copy()
                _clear(managers)

        return wraps(before)(close)

    def _connection(
        self, adapter: _Original, request: PreparedRequest, call: _Call
    ) -> Any:
        """Unsupported when the adapter has to do it by itself."""
        if not self.active:
            raise Unsupported("not patched any more")
        _leave_alone_if(adapter, *_CHOOSERS)
        proxy = select_proxy(_text(request.url), call.proxies)
        if proxy:
            _leave_alone_if(adapter, "proxy_manager_for")
            proxy = prepend_scheme_if_needed(proxy, "http")
        manager = self._manager(adapter, proxy or None)
        try:
            where, how = adapter.build_connection_pool_key_attributes(
                request, call.verify, call.cert
            )
        except ValueError as error:  # a port that is none
            raise theirs.LocationValueError(str(error)) from error
        for name in _UNREADABLE:
            if name in how or name in manager.connection_pool_kw:
                raise Unsupported(name)
        return manager.connection_from_host(**where, pool_kwargs=how)

    def _manager(self, adapter: _Original, proxy: str | None) -> PoolManager:
        replaced = adapter.poolmanager
        if not is_replaceable(replaced):
            raise Unsupported("a pool manager of another kind")
        with self._lock:
            of_adapter = self._managers.setdefault(replaced, {})
            manager = of_adapter.get(proxy)
            if manager is None:
                manager = of_adapter[proxy] = like(
                    replaced,
                    client=self._client,
                    limits=self._limits or _limits(adapter),
                    timeout=self._timeout,
                    proxy=_proxy(adapter, proxy) if proxy else None,
                )
        return manager


def _leave_alone_if(adapter: _Original, *overridden: str) -> None:
    for name in overridden:
        if getattr(type(adapter), name) is not getattr(_Original, name):
            raise Unsupported(f"{name} is overridden")


def _clear(managers: dict[Any, PoolManager]) -> None:
    for manager in managers.values():
        manager.clear()


def _set(methods: tuple[Any, Any]) -> None:
    _Original.send, _Original.close = methods  # type: ignore[method-assign]


# In the order in which they were put on top of each other. One that was stopped
# below another stays, and passes everything on.
_installed: list[Patch] = []
