"""The door for urllib3: pools for a PoolManager, on hpool's connections.

    import urllib3
    from hpool.adapters.urllib3 import pool_classes

    manager = urllib3.PoolManager()
    manager.pool_classes_by_scheme = pool_classes
    manager.request("GET", url)

Retries, redirects and the wrapping of exceptions stay urllib3's own; making,
keeping and securing connections is hpool's. A pool has a client of its own,
`pool.client`, with the limits that `maxsize` and `block` stand for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import urllib3
from urllib3 import Timeout as TheirTimeout
from urllib3 import _version
from urllib3.util import SKIP_HEADER

from .. import Client, Limits, Proxy, Timeout, _core, errors
from .._redact import url_for_text
from ._urllib3_errors import of_request
from ._urllib3_pools import upload
from ._urllib3_raw import raw_response
from ._urllib3_trust import KEYWORDS, NO_TRUST, Trust, Unsupported, trust

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._urllib3_raw import RawResponse

_DEFAULT = TheirTimeout.DEFAULT_TIMEOUT

__all__ = ["HTTPConnectionPool", "HTTPSConnectionPool", "pool_classes"]


class _Lease:
    """Where urllib3 expects a connection: what it notes on one. The connection
    itself is hpool's, and nobody's between two requests."""

    is_closed = False
    is_connected = True
    is_verified = True
    proxy_is_verified = None
    has_connected_to_proxy = True

    def __init__(self, pool_timeout: float | None, proxy: Any) -> None:
        self.pool_timeout = pool_timeout
        self.proxy = proxy
        self.timeout: object = None  # urllib3 notes one, of no meaning here

    def close(self) -> None:
        pass


class HTTPConnectionPool(urllib3.HTTPConnectionPool):
    """urllib3's HTTPConnectionPool on hpool's connections; the same arguments.

    maxsize, block   connections kept idle; with `block` also the most at once,
                     and `pool_timeout` is the wait for one
    """

    client: Client

    def __init__(
        self,
        host: str,
        port: int | None = None,
        timeout: Any = _DEFAULT,
        maxsize: int = 1,
        block: bool = False,
        headers: Mapping[str, str] | None = None,
        retries: Any = None,
        _proxy: Any = None,
        _proxy_headers: Mapping[str, str] | None = None,
        _proxy_config: Any = None,
        **connection: Any,
    ) -> None:
        # By name: urllib3's HTTPSConnectionPool, which may be next in line, has
        # others behind the headers of the proxy.
        super().__init__(
            host,
            port,
            timeout,
            maxsize,
            block,
            headers,
            retries,
            _proxy=_proxy,
            _proxy_headers=_proxy_headers,
            _proxy_config=_proxy_config,
            **connection,
        )
        self.client = Client(
            limits=Limits(
                max_conns_per_host=maxsize if block else None,
                max_idle_conns_per_host=maxsize,
                idle_conn_timeout=None,
            ),
            timeout=None,
            trust_env=False,
            local_address=connection.get("source_address"),
            socket_options=connection.get("socket_options"),
        )
        self._hpool_proxy = self._make_proxy()

    def _make_proxy(self) -> Proxy | None:
        if self.proxy is None:
            return None
        config = self.proxy_config
        if config is not None and config.use_forwarding_for_https:
            raise Unsupported(
                "use_forwarding_for_https: hpool asks a proxy for a tunnel to "
                "an https server, and shows it nothing else"
            )
        return Proxy(
            self.proxy.url,
            headers=self.proxy_headers,
            verify=None if config is None else config.ssl_context,
        )

    # ---- what urllib3's urlopen asks for -------------------------------------

    def _get_conn(self, timeout: float | None = None) -> Any:
        if self.client.closed:
            raise urllib3.exceptions.ClosedPoolError(self, "Pool is closed.")
        return _Lease(timeout, self.proxy)

    def _put_conn(self, conn: Any) -> None:
        pass

    def _validate_conn(self, conn: Any) -> None:
        pass

    def _prepare_proxy(self, conn: Any) -> None:
        pass

    def _trust(self) -> Trust:
        return NO_TRUST

    def _make_request(
        self,
        conn: Any,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        retries: Any = None,
        timeout: Any = _DEFAULT,
        chunked: bool = False,
        response_conn: Any = None,
        preload_content: bool = True,
        decode_content: bool = True,
        enforce_content_length: bool = True,
    ) -> RawResponse:
        """One attempt. Raises urllib3's errors, and what reading `body`
        raises."""
        self.num_requests += 1
        shown = url_for_text(url)
        trusted = self._trust()
        try:
            response = _core._send_once(
                self.client,
                method,
                self._full_url(url),
                _fields(headers or {}),
                content=upload(body, chunked),
                timeout=_limits(self._get_timeout(timeout), conn),
                verify=trusted.verify,
                cert=trusted.cert,
                tls=trusted.tls,
                proxy=self._hpool_proxy,
                decompress=False,
            )
        except errors.PoolTimeout as error:
            raise urllib3.exceptions.EmptyPoolError(self, str(error)) from error
        except errors.RequestException as error:
            raise of_request(error, self, shown) from error
        return raw_response(
            response,
            pool=self,
            method=method,
            url=url,
            retries=retries,
            preload_content=preload_content,
            decode_content=decode_content,
        )

    def _full_url(self, target: str) -> str:
        """`target` is all of it when it is meant for a proxy."""
        if not target.startswith("/"):
            return target
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{target}"

    def close(self) -> None:
        self.client.close()
        super().close()


class HTTPSConnectionPool(HTTPConnectionPool, urllib3.HTTPSConnectionPool):
    """urllib3's HTTPSConnectionPool on hpool's connections; the same
    arguments. An `ssl_context` is read as far as Python lets one."""

    scheme = "https"

    # Of the last request, and what that came to.
    _trusted: tuple[Any, Trust] = (None, NO_TRUST)

    def _trust(self) -> Trust:
        trusted = self._trust_of(self._said())
        if trusted.insecure:
            import warnings

            warnings.warn(
                f"the certificate of {self.host} is not checked, so anybody "
                "on the way can read and change what is sent",
                urllib3.exceptions.InsecureRequestWarning,
                stacklevel=4,
            )
        return trusted


    def _said(self) -> tuple[Any, ...]:
        """The values of KEYWORDS by now: botocore, and others, set attributes
        of a pool that is made already."""
        now, made_with = vars(self), self.conn_kw
        return tuple([now.get(name, made_with.get(name)) for name in KEYWORDS])

    def _trust_of(self, said: tuple[Any, ...]) -> Trust:
        before, trusted = self._trusted
        if said != before:
            trusted = trust(dict(zip(KEYWORDS, said)))
            self._trusted = (said, trusted)
        return trusted


pool_classes: dict[str, Any] = {
    "http": HTTPConnectionPool,
    "https": HTTPSConnectionPool,
}


def _limits(timeout: TheirTimeout, lease: _Lease) -> Timeout:
    timeout.start_connect()  # a `total` counts from here
    resolve = TheirTimeout.resolve_default_timeout
    connect = resolve(timeout.connect_timeout)
    read = resolve(timeout.read_timeout)
    return Timeout(
        None,
        connect=connect,
        tls=connect,
        read=read,
        response_header=read,
        write=read,
        pool=lease.pool_timeout,
    )


def _fields(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers as urllib3's own connection would send them."""
    given = urllib3.HTTPHeaderDict(headers)
    fields = [(n, v) for n, v in given.iteritems() if v != SKIP_HEADER]
    names = {name.lower() for name in given}
    for name, implied in (
        ("Accept-Encoding", "identity"),
        ("User-Agent", f"python-urllib3/{_version.__version__}"),
    ):
        if name.lower() not in names:
            fields.append((name, implied))
    return fields
