"""The door for httpx: what it builds inside, on hpool's pool.

    import httpx
    from hpool.adapters.httpcore import httpx_client

    with httpx_client(httpx, verify="ca.pem") as client:
        client.get(url)

`ConnectionPool` stands in for httpcore's class of that name: the same
arguments, `handle_request`, `request`, `stream`, `close`. Nothing is imported
from httpcore: requests, responses and exceptions are of the module that the
request came from, so that httpx2 with its own httpcore is served alike.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, Any

from .. import errors
from .._core import Client, _send_once
from ..config import TLS, Limits, Timeout
from ..policy.proxies import settle
from ..policy.proxy import Proxy, of
from ._httpcore_errors import translated
from ._httpcore_response import Body, NetworkStream, is_upgraded, seconds
from ._httpcore_trace import Events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from .._core import Response

__all__ = ["ConnectionPool", "httpx_client", "httpx_transport"]

# Up to here a body of known length is gathered first: it goes out with its
# head in one write, and can be sent again on another connection.
_GATHERED = 65536


class ConnectionPool:
    """A pool for requests of httpcore.

    The arguments are httpcore's; None is no limit, as there. An `ssl_context`
    is read as far as Python lets one, and since a client certificate cannot be
    read out of it, `cert=` carries that; `verify=` takes what hpool's takes,
    and beats `ssl_context`. `http2` and `network_backend` are refused.

    retries: how often a connection that could not be made is tried again.
    """

    def __init__(
        self,
        ssl_context: Any = None,
        proxy: Any = None,
        max_connections: int | None = 10,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = None,
        http1: bool = True,
        http2: bool = False,
        retries: int = 0,
        local_address: str | None = None,
        uds: str | None = None,
        network_backend: Any = None,
        socket_options: Iterable[Any] | None = None,
        *,
        verify: Any = None,
        cert: Any = None,
        trust_env: bool = True,
    ) -> None:
        if http2 or not http1:
            raise errors.InvalidArgument("hpool speaks HTTP/1.1 only")
        if network_backend is not None:
            raise errors.InvalidArgument(
                "network_backend: hpool makes its own sockets; dial= of an "
                "hpool.Client makes others"
            )
        self._retries = retries
        self._closed = Event()
        self._uds = uds
        self._socket = {
            "local_address": local_address,
            "socket_options": socket_options,
        }
        proxy = _proxy(proxy)
        self._proxies = settle(proxy, None, trust_env)
        self.client = Client(
            limits=Limits(
                max_conns=max_connections,
                max_idle_conns=max_keepalive_connections,
                idle_conn_timeout=keepalive_expiry,
            ),
            verify=_trust(verify, ssl_context),
            cert=cert,
            timeout=None,
            trust_env=trust_env,
            decompress=False,
            local_address=local_address,
            uds=uds,
            socket_options=_socket_options(socket_options),
            **({} if proxy is None else {"proxy": proxy}),
        )

    def handle_request(self, request: Any) -> Any:
        """Sends an httpcore.Request: an httpcore.Response whose body is still
        to be read. Raises exceptions of httpcore, and what reading the
        request's stream or telling its `trace` raises; ValueError for a
        timeout below zero."""
        core = _module_of(request)
        scheme = request.url.scheme.decode()
        if scheme not in ("http", "https"):
            raise core.UnsupportedProtocol(
                f"Request URL has an unsupported protocol '{scheme}://': "
                "http and https are supported."
            )
        events = self._events(core, request)
        response = _told(events, self._send(core, request, events))
        stream = NetworkStream(
            core, response, is_upgraded(response, request.method)
        )
        return core.Response(
            status=response.status_code,
            headers=response.headers.raw,
            content=Body(core, response, request, stream, events),
            extensions={
                "http_version": response.http_version.encode(),
                "reason_phrase": response.reason.encode("latin-1"),
                "network_stream": stream,
            },
        )

    def _send(self, core: Any, request: Any, events: Events | None) -> Response:
        arguments = _arguments(request, events)
        failed = 0
        while True:
            try:
                return self._once(core, arguments, events)
            except (core.ConnectError, core.ConnectTimeout):
                if failed == self._retries:
                    raise
            self._pause(core, events, 0.5 * 2 ** (failed - 1) if failed else 0)
            failed += 1

    def _once(
        self, core: Any, arguments: dict[str, Any], events: Events | None
    ) -> Response:
        try:
            return _send_once(self.client, **arguments)
        except BaseException as error:
            raised = translated(core, error)
            if events is not None:
                events.failed(raised)
            raise raised

    def _pause(self, core: Any, events: Events | None, seconds: float) -> None:
        if events is not None:
            events.waits_to_retry()
        if self._closed.wait(seconds):
            raise core.ConnectError("the pool was closed")

    def _events(self, core: Any, request: Any) -> Events | None:
        listener = request.extensions.get("trace")
        if listener is None:
            return None
        timeout = (request.extensions.get("timeout") or {}).get("connect")
        how = {**self._socket, "timeout": timeout}
        if self._uds is not None:
            step = "connect_unix_socket"
            where: dict[str, Any] = {"path": self._uds}
        else:
            step = "connect_tcp"
            where = self._reached(request.url)
        connect = f"connection.{step}", {**where, **how}
        return Events(core, listener, request, connect)

    def _reached(self, url: Any) -> dict[str, Any]:
        """What a connection is made to: the proxy, if there is one."""
        origin = url.origin
        host, https = origin.host.decode(), origin.scheme == b"https"
        to = {"host": host, "port": origin.port}
        if self._proxies is None:
            return to
        proxy = self._proxies.choose(_url(url), https, *to.values())
        return to if proxy is None else {"host": proxy.host, "port": proxy.port}

    def request(
        self,
        method: Any,
        url: Any,
        *,
        headers: Any = None,
        content: Any = None,
        extensions: Any = None,
        core: Any = None,
    ) -> Any:
        """Sends, reads the body and closes. `core`: the httpcore to use."""
        with self.stream(
            method,
            url,
            headers=headers,
            content=content,
            extensions=extensions,
            core=core,
        ) as response:
            response.read()
        return response

    @contextmanager
    def stream(
        self,
        method: Any,
        url: Any,
        *,
        headers: Any = None,
        content: Any = None,
        extensions: Any = None,
        core: Any = None,
    ) -> Iterator[Any]:
        """As request(), but the body is the caller's to read."""
        core = core or import_module("httpcore")
        request = core.Request(
            method, url, headers=headers, content=content, extensions=extensions
        )
        request.headers = [*_implied(request, content), *request.headers]
        response = self.handle_request(request)
        try:
            yield response
        finally:
            response.close()

    @property
    def connections(self) -> list[str]:
        """The hosts that connections are open to, each once a connection."""
        hosts = self.client.stats().hosts
        return [
            key
            for key, host in hosts.items()
            for _ in range(host.now.idle + host.now.in_use)
        ]

    def close(self) -> None:
        self._closed.set()
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        now = self.client.stats().total.now
        return (
            f"<ConnectionPool [Requests: {now.in_use} active, {now.waiting} "
            f"queued | Connections: {now.in_use} active, {now.idle} idle]>"
        )


# ---- from httpcore's words to ours -------------------------------------------


def _module_of(request: Any) -> Any:
    """httpcore, httpcore2, ...: where the request's class comes from."""
    return sys.modules[type(request).__module__.partition(".")[0]]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("ascii")


def _trust(verify: Any, ssl_context: Any) -> Any:
    if verify is not None:
        return verify
    return True if ssl_context is None else ssl_context


def _socket_options(options: Iterable[Any] | None) -> list[Any] | None:
    return None if options is None else [tuple(option) for option in options]


def _proxy(proxy: Any) -> Proxy | None:
    """An httpcore.Proxy, as ours; or what hpool's proxy= takes, httpx's URL and
    Proxy among it."""
    url = getattr(proxy, "url", None)
    if not isinstance(getattr(url, "scheme", None), bytes):
        return of(proxy, "proxy")
    auth = proxy.auth and tuple(part.decode("latin-1") for part in proxy.auth)
    return Proxy(
        _url(proxy.url),
        auth=auth or None,
        headers=[
            (name, value)
            for name, value in proxy.headers
            if name.lower() != b"proxy-authorization" or not auth
        ],
        verify=proxy.ssl_context,
    )


def _host(url: Any) -> bytes:
    """Of an httpcore.URL, as it stands in a URL."""
    host: bytes = url.host
    bare = b":" in host and not host.startswith(b"[")
    port = b"" if url.port is None else b":%d" % url.port
    return (b"[%b]%b" if bare else b"%b%b") % (host, port)


def _url(url: Any) -> str:
    """With the path and query that are asked for, if that is what the target
    is."""
    path = url.target if url.target.startswith(b"/") else b"/"
    whole = b"%b://%b%b" % (url.scheme, _host(url), path)
    return whole.decode("latin-1")


def _arguments(request: Any, events: Events | None) -> dict[str, Any]:
    """What _send_once is called with."""
    extensions = request.extensions
    name = extensions.get("sni_hostname")
    return {
        "method": request.method.decode("latin-1"),
        "url": _url(request.url),
        "headers": request.headers,
        "content": _content(request),
        "timeout": _timeout(extensions.get("timeout") or {}),
        "tls": TLS(server_hostname=_text(name)) if name else None,
        "trace": events,
        "target": request.url.target.decode("latin-1"),
    }


def _told(events: Events | None, response: Response) -> Response:
    """That the head has come."""
    if events is None:
        return response
    try:
        events.answered(
            (
                response.http_version.encode(),
                response.status_code,
                response.reason.encode("latin-1"),
                response.headers.raw,
            )
        )
    except BaseException:
        response.close()
        raise
    return response


def _timeout(phases: dict[str, float | None]) -> Timeout:
    connect = seconds(phases.get("connect"))
    read = seconds(phases.get("read"))
    return Timeout(
        connect=connect,
        tls=connect,
        read=read,
        response_header=read,
        write=seconds(phases.get("write")),
        pool=seconds(phases.get("pool")),
    )


def _field(request: Any, name: bytes) -> bytes | None:
    return next((v for n, v in request.headers if n.lower() == name), None)


def _content(request: Any) -> Any:
    """The body; its framing is decided in the headers already."""
    length = _field(request, b"content-length")
    if length is None and _field(request, b"transfer-encoding") is None:
        return None
    if length is not None and length.isdigit() and int(length) <= _GATHERED:
        return b"".join(request.stream)
    return iter(request.stream)


def _implied(request: Any, content: Any) -> list[tuple[bytes, bytes]]:
    """The fields that httpx writes itself and direct callers leave out."""
    framing = (b"Transfer-Encoding", b"chunked")
    if isinstance(content, bytes):
        framing = (b"Content-Length", b"%d" % len(content))
    implied = []
    if not _field(request, b"host"):
        implied.append((b"Host", _host(request.url)))
    framed = _field(request, b"content-length") or _field(
        request, b"transfer-encoding"
    )
    if content is not None and framed is None:
        implied.append(framing)
    return implied


# ---- httpx -------------------------------------------------------------------


def httpx_transport(httpx: Any = None, **pool: Any) -> Any:
    """An HTTPTransport of the module `httpx` (httpx or httpx2) on a
    ConnectionPool made with `pool`'s arguments.

    It is a subclass of httpx's own, so that what patches or wraps that one
    (instrumentation, mocks) goes on working.
    """
    module = httpx or import_module("httpx")

    # Not by httpx's own __init__, which would load certificates for its pool.
    kind: Any = type("HTTPTransport", (module.HTTPTransport,), {})
    transport = kind.__new__(kind)
    transport._pool = ConnectionPool(**pool)
    return transport


def httpx_client(
    httpx: Any = None,
    *,
    verify: Any = True,
    cert: Any = None,
    trust_env: bool = True,
    http1: bool = True,
    http2: bool = False,
    limits: Any = None,
    proxy: Any = None,
    **settings: Any,
) -> Any:
    """An httpx.Client on hpool's pool: httpx's arguments, `verify` and `cert`
    with hpool's values.

    httpx: the module, httpx or httpx2; None imports httpx.

    InvalidArgument for http2=True or http1=False.
    """
    module = httpx or import_module("httpx")
    limits = limits or module.Limits(
        max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0
    )
    transport = httpx_transport(
        module,
        verify=verify,
        cert=cert,
        trust_env=trust_env,
        http1=http1,
        http2=http2,
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        proxy=proxy,
    )
    return module.Client(transport=transport, trust_env=trust_env, **settings)
