"""Proxies by the environment, as functions in requests' manner; what they say
is what a client does that is made now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from .no_proxy import NoProxy, is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_PORTS = {"http": 80, "https": 443}


def should_bypass_proxies(url: str, no_proxy: str | None) -> bool:
    """Whether the environment's proxies are not for `url`: its host is in
    `no_proxy` (NO_PROXY when that is None), or is this machine."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if host is None:
        return True  # a path, a file
    if no_proxy is None:
        no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    origin = host, port or DEFAULT_PORTS.get(parts.scheme, 0)
    return is_loopback(host) or origin in NoProxy(no_proxy or "")


def get_environ_proxies(
    url: str, no_proxy: str | None = None
) -> dict[str, str]:
    """The environment's proxies as {"http": ..., "https": ..., "all": ...};
    empty where none is for `url`."""
    from urllib.request import getproxies

    return {} if should_bypass_proxies(url, no_proxy) else getproxies()


def select_proxy(url: str, proxies: Mapping[str, Any] | None) -> Any:
    """What `proxies` has for `url`, under its scheme and host, its scheme, its
    host ("all://host") or "all"; None for nothing."""
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname
    for key in (f"{scheme}://{host}", scheme, f"all://{host}", "all"):
        if proxies and key in proxies:
            return proxies[key]
    return None


def resolve_proxies(
    request: Any, proxies: Mapping[str, Any] | None, trust_env: bool = True
) -> dict[str, Any]:
    """`proxies`, and under the scheme of the request's URL the environment's
    where they have none for that."""
    found = dict(proxies or {})
    if trust_env:
        environment = get_environ_proxies(request.url, found.get("no_proxy"))
        scheme = urlsplit(request.url).scheme
        proxy = environment.get(scheme, environment.get("all"))
        if proxy:
            found.setdefault(scheme, proxy)
    return found
