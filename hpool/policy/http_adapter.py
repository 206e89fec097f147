"""HTTPAdapter: a pool of its own that serves some URLs of a client."""

from __future__ import annotations

from .. import _core
from .._retries import Retries, parse_retries
from ..config import TLS, Limits
from ..errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._core import Client, Response
    from .request import PreparedRequest

DEFAULT_POOLSIZE = 10
DEFAULT_POOLBLOCK = False
DEFAULT_RETRIES = 0

# What requests' users hand down to the pool, and what it is called here.
_POOL_SETTINGS = {
    "ssl_context": "verify",
    "ca_certs": "verify",
    "ca_cert_dir": "verify",
    "socket_options": "socket_options",
    "source_address": "local_address",
}
_TLS_SETTINGS = {
    "assert_fingerprint": "fingerprint",
    "server_hostname": "server_hostname",
}


class BaseAdapter:
    """What can be mounted, in the manner of requests."""

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        """The response to `request`, redirects not followed, its body not
        read."""
        raise NotImplementedError

    def close(self) -> None:
        """Called by the client's close()."""
        raise NotImplementedError


class HTTPAdapter(BaseAdapter):
    """Serves the URLs it is mounted for from a pool of its own.

        session.mount("https://", HTTPAdapter(max_retries=3))

    pool_maxsize, pool_block  with pool_block=True never more than pool_maxsize
                      connections to a host are open, and requests wait for one.
                      Without it there is no limit, and no need to raise one
    pool_connections  how many hosts are expected. hpool keeps at least
                      pool_connections * pool_maxsize idle connections
    max_retries       how often requests of these URLs are made again: an int
                      counts failures to connect alone, as in requests;
                      Retries, or urllib3's Retry, for more

    A subclass may have its own send(), which gets what requests would give it,
    and its own init_poolmanager(), which may hand on ssl_context, ssl_version,
    source_address, socket_options, ca_certs, ca_cert_dir, assert_fingerprint
    and server_hostname, or put a PoolManager of urllib3's with these into
    `poolmanager`. max_retries may be assigned. Settings of the client
    that concern its pool (limits, resolve, ...) do not hold here.
    """

    __attrs__ = ["max_retries", "config"]  # for subclasses that add to it

    poolmanager: Client | None = None
    _prefix: str | None = None  # where one of a client's own pool belongs

    def __init__(
        self,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        max_retries: Any = DEFAULT_RETRIES,
        pool_block: bool = DEFAULT_POOLBLOCK,
    ) -> None:
        self._retries = _rules(max_retries)
        self.config: dict[str, Any] = {}
        self._has_tls = False
        self.init_poolmanager(pool_connections, pool_maxsize, block=pool_block)
        given = getattr(self.poolmanager, "connection_pool_kw", None)
        if isinstance(given, dict):
            self._adopt(pool_connections, pool_maxsize, given)

    def _adopt(
        self, connections: int, maxsize: int, given: dict[str, Any]
    ) -> None:
        """A subclass has made urllib3's PoolManager: what that was told holds
        for a pool of ours."""
        kwargs = {"maxsize": maxsize, "block": False, **given}
        HTTPAdapter.init_poolmanager(self, connections, **kwargs)

    @classmethod
    def _of(cls, client: Client, prefix: str) -> HTTPAdapter:
        """One of the client's own pool, which is mounted at `prefix` once it is
        told anything."""
        adapter = cls.__new__(cls)
        # A subclass may mean something of its own by the name.
        adapter._retries = vars(_core.Client)["retries"].__get__(client)
        adapter._prefix = prefix
        adapter.config = {}
        adapter.poolmanager = client
        adapter._has_tls = False
        return adapter

    @property
    def max_retries(self) -> Retries:
        """How often requests of these URLs are made again."""
        return self._retries

    @max_retries.setter
    def max_retries(self, value: Any) -> None:
        self._retries = _rules(value)
        if self._prefix is not None and self.poolmanager is not None:
            self.poolmanager.mount(self._prefix, self)
            self._prefix = None

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,
        **pool_kwargs: Any,
    ) -> None:
        """Makes the pool. TypeError for what it does not know."""
        idle = max(Limits().max_idle_conns or 0, connections * maxsize)
        limits = Limits(
            max_idle_conns=idle, max_conns_per_host=maxsize if block else None
        )
        settings = _settings(pool_kwargs)
        self._has_tls = bool({"verify", "tls"} & set(settings))
        self.poolmanager = _core.Client(limits=limits, **settings)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        """The response to `request`, its head read.

        timeout  None: what the client says that this is mounted on
        """
        if self.poolmanager is None:
            raise ValueError("init_poolmanager() has made no pool")
        sent = dict(getattr(request, "_sent_with", None) or {})
        if timeout is not None:
            sent["timeout"] = timeout
        sent.pop("proxy", None)
        sent["proxies"] = proxies
        if verify is not None and not (self._has_tls and verify is True):
            sent["verify"] = verify
        if cert is not None:
            sent["cert"] = cert
        return _core._send_once(
            self.poolmanager,
            request.method,
            request.url,
            request.headers.raw,
            content=request._content(),
            request=request,
            **sent,
        )

    def close(self) -> None:
        """Closes what is idle; the next request makes new connections."""
        if self.poolmanager is not None:
            self.poolmanager.close_idle()

    def add_headers(self, request: PreparedRequest, **kwargs: Any) -> None:
        """For subclasses of requests' that call it; adds nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} max_retries={self.max_retries}>"


def _rules(max_retries: Any) -> Retries:
    if isinstance(max_retries, int) and max_retries:
        return Retries(connect=max_retries)
    return parse_retries(max_retries)


def _settings(pool_kwargs: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    tls: dict[str, Any] = {}
    for name, value in pool_kwargs.items():
        if value is None:
            continue
        if name == "ssl_version":
            tls.update(_versions(value))
        elif name in _POOL_SETTINGS:
            settings[_POOL_SETTINGS[name]] = value
        elif name in _TLS_SETTINGS:
            tls[_TLS_SETTINGS[name]] = value
        else:
            every = {**_POOL_SETTINGS, **_TLS_SETTINGS, "ssl_version": ""}
            known = ", ".join(sorted(every))
            raise TypeError(f"init_poolmanager() takes {known}, not {name}")
    if tls:
        settings["tls"] = TLS(**tls)
    return settings


def _versions(protocol: Any) -> dict[str, Any]:
    """What one of ssl's PROTOCOL_... means."""
    import ssl

    if protocol in (ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLS_CLIENT):
        return {}
    if protocol == ssl.PROTOCOL_TLSv1_2:
        return {"min_version": "TLSv1.2", "max_version": "TLSv1.2"}
    raise InvalidArgument(
        f"ssl_version={protocol!r}: TLS 1.2 and 1.3 are on offer, by "
        "ssl.PROTOCOL_TLSv1_2 or, for both, ssl.PROTOCOL_TLS_CLIENT"
    )
