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
from ..policy.proxy import Proxy
from ._httpcore_trace import Events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from .._core import Response, Upgraded

__all__ = ["ConnectionPool", "httpx_client", "httpx_transport"]

# Up to here a body of known length is gathered first: it goes out with its
# head in one write, and can be sent again on another connection.
_GATHERED = 65536

# The most specific first: the first that fits names httpcore's class.
_CLASSES = (
    (errors.PoolTimeout, "PoolTimeout"),
    (errors.QueueFull, "PoolTimeout"),
    (errors.ConnectTimeout, "ConnectTimeout"),
    (errors.WriteTimeout, "WriteTimeout"),
    (errors.TimeoutException, "ReadTimeout"),
    (errors.ProxyError, "ProxyError"),
    (errors.UnsupportedProtocol, "UnsupportedProtocol"),
    (errors.LocalProtocolError, "LocalProtocolError"),
    (errors.InvalidHeader, "LocalProtocolError"),
    (errors.InvalidMethod, "LocalProtocolError"),
    (errors.InvalidURL, "LocalProtocolError"),
    (errors.RemoteProtocolError, "RemoteProtocolError"),
    (errors.ClosedError, "NetworkError"),
    (errors.ReadError, "ReadError"),
    (errors.WriteError, "WriteError"),
    (errors.ConnectError, "ConnectError"),
    (errors.ConnectionError, "ConnectError"),
)


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
        settings: dict[str, Any] = {}
        if proxy is not None:
            settings["proxy"] = _proxy(proxy)
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
            **settings,
        )

    def handle_request(self, request: Any) -> Any:
        """Sends an httpcore.Request: an httpcore.Response whose body is still
        to be read. Raises exceptions of httpcore."""
        core = _module_of(request)
        scheme = request.url.scheme.decode()
        if scheme not in ("http", "https"):
            raise core.UnsupportedProtocol(
                f"Request URL has an unsupported protocol '{scheme}://': "
                "http and https are supported."
            )
        response = self._send(core, request)
        return core.Response(
            status=response.status_code,
            headers=response.headers.raw,
            content=_Body(core, response, request),
            extensions={
                "http_version": response.http_version.encode(),
                "reason_phrase": response.reason.encode("latin-1"),
                "network_stream": _NetworkStream(core, response),
            },
        )

    def _send(self, core: Any, request: Any) -> Response:
        for attempt in range(self._retries + 1):
            try:
                return self._once(request)
            except errors.RequestException as error:
                again = isinstance(error, errors.ConnectError) and (
                    attempt < self._retries
                )
                if not again:
                    raise _translated(core, error) from error
            if self._closed.wait(0.5 * 2 ** (attempt - 1) if attempt else 0):
                raise core.ConnectError("the pool was closed")
        raise AssertionError("every attempt returns or raises")

    def _once(self, request: Any) -> Response:
        extensions = request.extensions
        name = extensions.get("sni_hostname")
        listener = extensions.get("trace")
        return _send_once(
            self.client,
            request.method.decode("latin-1"),
            bytes(request.url).decode("latin-1"),
            request.headers,
            content=_content(request),
            timeout=_timeout(extensions.get("timeout") or {}),
            tls=None if name is None else TLS(server_hostname=_text(name)),
            trace=None if listener is None else Events(listener, request),
        )

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


def _proxy(proxy: Any) -> Proxy:
    """An httpcore.Proxy, as ours; a str is a URL."""
    if isinstance(proxy, str):
        return Proxy(proxy)
    auth = proxy.auth and tuple(part.decode("latin-1") for part in proxy.auth)
    return Proxy(
        bytes(proxy.url).decode("latin-1"),
        auth=auth or None,
        headers=[
            (name, value)
            for name, value in proxy.headers
            if name.lower() != b"proxy-authorization" or not auth
        ],
        verify=proxy.ssl_context,
    )


def _timeout(phases: dict[str, float | None]) -> Timeout:
    connect, read = phases.get("connect"), phases.get("read")
    return Timeout(
        connect=connect,
        tls=connect,
        read=read,
        response_header=read,
        write=phases.get("write"),
        pool=phases.get("pool"),
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
    url = request.url
    port = b"" if url.port is None else b":%d" % url.port
    framing = (b"Transfer-Encoding", b"chunked")
    if isinstance(content, bytes):
        framing = (b"Content-Length", b"%d" % len(content))
    implied = [] if _field(request, b"host") else [(b"Host", url.host + port)]
    framed = _field(request, b"content-length") or _field(
        request, b"transfer-encoding"
    )
    if content is not None and framed is None:
        implied.append(framing)
    return implied


def _translated(core: Any, error: errors.RequestException) -> Exception:
    for ours, theirs in _CLASSES:
        if isinstance(error, ours):
            made: Exception = getattr(core, theirs)(str(error))
            return made
    return error


# ---- the answer --------------------------------------------------------------


class _Body:
    """The bytes as they came. Gives the connection back at its end, at close()
    and after an error."""

    def __init__(self, core: Any, response: Response, request: Any) -> None:
        self._core = core
        self._response = response
        self._request = request  # whose stream must live as long

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_raw()
        except errors.RequestException as error:
            raise _translated(self._core, error) from error
        finally:
            self.close()

    def close(self) -> None:
        if self._response.status_code != 101:
            self._response.close()


class _Secured:
    """What can be asked of an ssl object."""

    def __init__(self, version: str, cipher: str) -> None:
        self._version, self._cipher = version, cipher

    def version(self) -> str:
        return self._version

    def cipher(self) -> tuple[str, str, int | None]:
        return (self._cipher, self._version, None)

    def selected_alpn_protocol(self) -> str | None:
        return None


class _NetworkStream:
    """After a 101 the connection itself; before, what is known of it."""

    def __init__(self, core: Any, response: Response) -> None:
        self._core = core
        self._response = response
        self._upgraded: Upgraded | None = None

    def _socket(self, timeout: float | None) -> Upgraded:
        if self._upgraded is None:
            self._upgraded = self._response.upgraded()
        self._upgraded.settimeout(timeout)
        return self._upgraded

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._socket(timeout).recv(max_bytes)
        except errors.RequestException as error:
            raise _translated(self._core, error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self._socket(timeout).sendall(buffer)
        except errors.RequestException as error:
            raise _translated(self._core, error) from error

    def close(self) -> None:
        if self._upgraded is not None:
            self._upgraded.close()
        self._response.close()

    def start_tls(self, *args: object, **kwargs: object) -> Any:
        raise NotImplementedError(
            "hpool secures connections itself: request an https URL"
        )

    def get_extra_info(self, info: str) -> Any:
        facts = self._response.connection
        if info in ("server_addr", "client_addr"):
            known = facts.remote if info == "server_addr" else facts.local
            return _address(known)
        if info == "ssl_object" and facts.tls_version:
            return _Secured(facts.tls_version, facts.cipher or "")
        if info == "is_readable":
            return False
        return None


def _address(text: str | None) -> tuple[str, int] | str | None:
    """("127.0.0.1", 80) out of "127.0.0.1:80"."""
    host, colon, port = (text or "").rpartition(":")
    if not colon or not port.isdigit():
        return text or None
    return host.strip("[]"), int(port)


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
    limits: Any = None,
    proxy: str | None = None,
    **settings: Any,
) -> Any:
    """An httpx.Client on hpool's pool: httpx's arguments, `verify` and `cert` as
    hpool's.

    httpx: the module, httpx or httpx2; None imports httpx.
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
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        proxy=proxy,
    )
    return module.Client(transport=transport, trust_env=trust_env, **settings)
