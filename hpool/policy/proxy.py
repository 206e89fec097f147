"""Proxy: one proxy, and as whom it is used. Immutable."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote_to_bytes

from .._frozen import Frozen
from .._prepare import encode_host
from ..errors import (
    InvalidArgument,
    InvalidHeader,
    InvalidProxyURL,
    InvalidURL,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

    from .auth import PasswordAuth
    from .digest import DigestAuth

    Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
    # Of the core: scheme, host, port, user, password, Proxy-Authorization,
    # headers. The scheme is an index into SCHEMES.
    Core: TypeAlias = tuple[
        int, str, int, bytes | None, bytes | None, bytes | None, Fields
    ]

SCHEMES = ("http", "https", "socks5", "socks5h")
_PORTS = (80, 443, 1080, 1080)
_TAKES = "a proxy is spoken to by http, https, socks5 or socks5h"

_TOKEN = frozenset(
    b"!#$%&'*+-.^_`|~0123456789"
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
_AUTH_TAKES = (
    "a proxy's auth must be (user, password) or an hpool.auth.DigestAuth"
)
_NOT_THE_CALLERS = (b"host", b"content-length", b"transfer-encoding")


class Proxy(Frozen):
    """A proxy, for `proxy=` and `proxies=` where a URL does not say it all.

    url      "http://user:password@host:port"; the scheme is http (also when
             there is none), https (TLS to the proxy itself), socks5 (names are
             looked up here) or socks5h (by the proxy). User and password are
             percent-encoded. Ports are 80, 443 and 1080 if not given
    auth     (user, password) instead of those in the URL; or an
             hpool.auth.DigestAuth, which answers the challenges of a proxy that
             asks for Digest. As an attribute, that or None
    headers  mapping or pairs, sent to an http or https proxy: with CONNECT,
             and with each request it forwards; never to the server
    verify, cert, tls   how TLS is spoken to an https proxy, as for a client;
             verify=None is what holds for the request

    InvalidProxyURL, InvalidHeader (both ValueErrors) and TypeError name what
    cannot be; no text and no repr shows user or password.
    """

    __slots__ = (
        "scheme", "host", "port", "core", "auth", "verify", "cert", "tls",
    )  # fmt: skip

    scheme: str
    host: str
    port: int
    core: Core
    auth: DigestAuth | None
    verify: Any
    cert: Any
    tls: Any

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str | bytes, str | bytes] | PasswordAuth | None = None,
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        verify: Any = None,
        cert: Any = None,
        tls: Any = None,
    ) -> None:
        if not isinstance(url, str):
            raise TypeError(
                f"a proxy's url must be a str, not {type(url).__name__}"
            )
        scheme, login, host, port = _parsed(url)
        digest = None
        if auth is not None:
            login, digest = _login_of(auth)
        fields, authorization = _fields(headers)
        socks = scheme >= SCHEMES.index("socks5")
        user, password = login or (None, None)
        if socks:
            _check_socks(login, digest, fields, authorization)
        elif digest is None:
            user = password = None
            if authorization is None and login is not None:
                authorization = b"Basic " + b64encode(b":".join(login))
        elif authorization is not None:
            raise InvalidArgument(
                "a proxy's headers: Proxy-Authorization is for its auth to say"
            )
        core = (scheme, host, port, user, password, authorization, fields)
        self._fill(
            {
                "scheme": SCHEMES[scheme],
                "host": host,
                "port": port,
                "core": core,
                "auth": digest,
                "verify": verify,
                "cert": cert,
                "tls": tls,
            }
        )

    @property
    def url(self) -> str:
        """str: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def without_auth(self) -> Proxy:
        """The same for a caller who says himself who he is."""
        scheme, host, port, _, _, _, fields = self.core
        core = (scheme, host, port, None, None, None, fields)
        values = dict(zip(self.__slots__, self._values()))
        made = Proxy.__new__(Proxy)
        made._fill({**values, "core": core, "auth": None})
        return made

    def __repr__(self) -> str:
        return f"<Proxy {self.url}>"

    __str__ = __repr__


def of(value: Any, name: str) -> Proxy | None:
    """What stands for a proxy: a URL, a Proxy, httpx's Proxy or URL; None,
    False and "" are none. TypeError and InvalidProxyURL name `name`."""
    if value is None or value is False or value == "":
        return None
    if isinstance(value, Proxy):
        return value
    try:
        if isinstance(value, str):
            return Proxy(value)
        if hasattr(value, "url") and hasattr(value, "headers"):
            return _from_httpx(value)
        if hasattr(value, "scheme") and hasattr(value, "host"):
            return Proxy(str(value))
    except (InvalidProxyURL, InvalidHeader) as exc:
        raise type(exc)(f"{name}: {exc}") from None
    raise TypeError(
        f"{name} takes a URL or an hpool.Proxy, not {type(value).__name__}"
    )


def _from_httpx(proxy: Any) -> Proxy:
    return Proxy(
        str(proxy.url),
        auth=getattr(proxy, "auth", None),
        headers=getattr(proxy.headers, "raw", proxy.headers),
        verify=getattr(proxy, "ssl_context", None),
    )


# ---- the URL -----------------------------------------------------------------
#
# No text quotes it: a misplaced slash or colon makes a password look like a
# port or a path.


def _parsed(
    url: str,
) -> tuple[int, tuple[bytes, bytes] | None, str, int]:
    text = url.strip()
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = "http", text
    number = _scheme(scheme)
    end = min((rest.find(c) for c in "/?#\\" if c in rest), default=len(rest))
    if rest[end:] not in ("", "/"):
        raise InvalidProxyURL(
            "a proxy's URL ends with host and port; a / ? # or \\ in its user "
            "or password is written %2F %3F %23 or %5C"
        )
    userinfo, at, hostport = rest[:end].rpartition("@")
    host, port = _host_and_port(hostport, _PORTS[number])
    return number, _login(userinfo) if at else None, host, port


def _scheme(text: str) -> int:
    scheme = text.lower()
    if scheme in SCHEMES:
        return SCHEMES.index(scheme)
    shown = ""
    if scheme.isascii() and scheme.replace("+", "").isalnum():
        shown = f", not {scheme[:20]}"
    if scheme.startswith("socks"):
        shown += " (of SOCKS, version 5 alone is spoken)"
    raise InvalidProxyURL(_TAKES + shown)


def _login(userinfo: str) -> tuple[bytes, bytes] | None:
    if not userinfo:
        return None
    user, _, password = userinfo.partition(":")
    return unquote_to_bytes(user), unquote_to_bytes(password)


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and rest[0] != ":"):
            raise InvalidProxyURL(
                "the host of the proxy's URL is no IPv6 address in brackets"
            )
        return host.lower(), _port(rest[1:], default)
    host, _, rest = text.partition(":")
    return _host(host), _port(rest, default)


def _is_ipv6(host: str) -> bool:
    from socket import AF_INET6, inet_pton

    try:
        inet_pton(AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def _host(host: str) -> str:
    if not host:
        raise InvalidProxyURL("the proxy's URL has no host")
    if not host.isascii():
        try:
            return encode_host(host)
        except InvalidURL as exc:
            raise InvalidProxyURL(f"in the proxy's URL {exc}") from None
    if (
        len(host) > 253
        or not host.replace("-", "a")
        .replace(".", "a")
        .replace("_", "a")
        .isalnum()
    ):
        raise InvalidProxyURL("the host of the proxy's URL is not a name")
    return host.lower()


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or not (
        0 < int(text) < 65536
    ):
        raise InvalidProxyURL(
            "the port of the proxy's URL is not a number from 1 to 65535; a "
            "colon or @ in its user or password is written %3A or %40"
        )
    return int(text)


# ---- what is said to it ------------------------------------------------------


def _login_of(auth: Any) -> tuple[tuple[bytes, bytes], DigestAuth | None]:
    """(user and password, the Digest that is made of them or None)."""
    digest = None
    if not isinstance(auth, (tuple, list)):
        from .auth import BasicAuth, of
        from .digest import DigestAuth

        auth = of(auth) if hasattr(auth, "username") else auth
        if isinstance(auth, DigestAuth):
            digest = auth
        elif not isinstance(auth, BasicAuth):
            raise TypeError(_AUTH_TAKES)
        auth = auth.username, auth.password
    if len(auth) != 2:
        raise TypeError(_AUTH_TAKES)
    user, password = auth
    return (_bytes("auth", user), _bytes("auth", password)), digest


def _bytes(name: str, value: Any, encoding: str = "utf-8") -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError(
            f"a proxy's {name} takes str and bytes, not {type(value).__name__}"
        )
    try:
        return value.encode(encoding)
    except UnicodeEncodeError:
        raise InvalidHeader(
            f"a proxy's {name}: not to be said in {encoding}"
        ) from None


def _check_socks(
    login: tuple[bytes, bytes] | None,
    digest: DigestAuth | None,
    fields: Fields,
    authorization: bytes | None,
) -> None:
    if fields or authorization is not None:
        raise InvalidArgument("headers mean nothing to a SOCKS proxy")
    if digest is not None:
        raise InvalidArgument(
            "a SOCKS proxy takes auth=(user, password), and no Digest"
        )
    if login is not None and not all(0 < len(part) < 256 for part in login):
        raise InvalidProxyURL(
            "SOCKS5 takes a user and a password of 1 to 255 bytes each"
        )


def _fields(headers: Any) -> tuple[Fields, bytes | None]:
    """(the fields, the value of Proxy-Authorization among them or None)."""
    if headers is None:
        return (), None
    fields = []
    authorization = None
    items = headers.items() if hasattr(headers, "items") else headers
    for name, value in items:
        name = _bytes("headers", name, "latin-1")
        value = _bytes("headers", value, "latin-1").strip(b" \t")
        _check_field(name, value)
        if name.lower() == b"proxy-authorization":
            authorization = value
        else:
            fields.append((name, value))
    return tuple(fields), authorization


def _check_field(name: bytes, value: bytes) -> None:
    if not name or not _TOKEN.issuperset(name):
        raise InvalidHeader("a proxy's headers: a name is not a token")
    shown = name.decode()
    if name.lower() in _NOT_THE_CALLERS:
        raise InvalidHeader(
            f"a proxy's headers: {shown} is not to be set for a proxy"
        )
    if any((c < 32 and c != 9) or c == 127 for c in value):
        raise InvalidHeader(
            f"a proxy's headers: {shown} has a control character"
        )
