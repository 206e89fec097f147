"""Who a request is from: what `auth=` of a client or a call takes.

    import hpool

    hpool.get(url, auth=("user", "password"))
    hpool.get(url, auth=hpool.auth.DigestAuth("user", "password"))

Each class under the name requests has for it and under httpx's.
"""

from __future__ import annotations

from .policy.auth import Auth, BasicAuth, BearerAuth, ProxyAuth, basic_value
from .policy.digest import DigestAuth
from .policy.netrc import NetrcAuth

AuthBase = Auth
HTTPBasicAuth = BasicAuth
HTTPDigestAuth = DigestAuth
HTTPProxyAuth = ProxyAuth
NetRCAuth = NetrcAuth

__all__ = [
    "Auth",
    "AuthBase",
    "BasicAuth",
    "BearerAuth",
    "DigestAuth",
    "HTTPBasicAuth",
    "HTTPDigestAuth",
    "HTTPProxyAuth",
    "NetRCAuth",
    "NetrcAuth",
    "ProxyAuth",
]


def _basic_auth_str(username: str | bytes, password: str | bytes) -> str:
    """Code on requests imports this: the value of Authorization."""
    return basic_value(username, password).decode("ascii")
