"""Which proxy a request goes through: proxy=, proxies= and the environment.

Imported when somebody says something about proxies. For a request the first of
these that has an answer gives it: the call, the client, the environment as it
was when the client was made. "No proxy" is an answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from .._prepare import encode_host
from ..errors import InvalidArgument, InvalidProxyURL
from . import proxy as _proxy
from .no_proxy import NoProxy, is_loopback
from .proxy import Proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_NOTHING = object()  # no answer: somebody else is asked

_TAKES = (
    "proxies takes a mapping of "
    '"http", "https", "all" or "scheme://host" to a URL, an hpool.Proxy or None'
)

# Of keys as programs have them that mean proxies for something else.
_FOREIGN = frozenset(("ftp", "ftps", "git", "rsync", "socks", "ws", "wss"))


class Proxies:
    """What a client says about proxies. Immutable.

    explicit   what it was given: a mapping, or a callable of the URL
    fixed      (Proxy or None for http, the same for https) when only that
               counts of a request; else None, and choose() is asked
    """

    def __init__(self, explicit: Any, environment: Environment | None) -> None:
        self.explicit = explicit
        self.environment = environment
        self._rules = _Rules(explicit)
        self.fixed = self._fixed()

    def _fixed(self) -> tuple[Any, Any] | None:
        both = self._rules.fixed()
        if both is None or (_NOTHING in both and self.environment is not None):
            return None
        http, https = (None if p is _NOTHING else p for p in both)
        return http, https

    def choose(self, url: str, https: bool, host: str, port: int) -> Any:
        """The Proxy for a request, or None. What a callable raises passes."""
        found = self._rules.find(url, https, host, port)
        if found is _NOTHING and self.environment is not None:
            found = self.environment.find(https, host, port)
        return None if found is _NOTHING else found


def settle(proxy: Any, proxies: Any, trust_env: bool) -> Proxies | None:
    """What Client() was given; None when nothing goes through a proxy.
    TypeError and ValueError name what cannot be."""
    explicit = _explicit(proxy, proxies)
    environment = None
    if trust_env and not _is_none(proxy) and not _is_none(proxies):
        environment = Environment.look()
    return _made(explicit, environment)


def change(before: Proxies | None, proxies: Any) -> Proxies | None:
    """The same for an assignment to client.proxies."""
    environment = before.environment if before is not None else None
    if _is_none(proxies):
        environment = None
    return _made(_explicit(None, proxies), environment)


def trust(before: Proxies | None, trust_env: bool) -> Proxies | None:
    """The same for an assignment to client.trust_env."""
    environment = Environment.look() if trust_env else None
    return _made({} if before is None else before.explicit, environment)


def choose(
    proxy: Any,
    proxies: Any,
    client: Proxies | None,
    *request: Any,
) -> Proxy | None:
    """The Proxy of a call that has its own say, or None. request: url, https,
    host, port."""
    if proxy is not None and proxies is not None:
        raise TypeError("proxy and proxies are two names of one thing")
    value = proxies if proxy is None else proxy
    if _is_none(value) or (proxy is None and _is_empty(value)):
        return None
    found = _Rules(_explicit(proxy, proxies)).find(*request)
    if found is not _NOTHING:
        return found  # type: ignore[no-any-return]
    return None if client is None else client.choose(*request)


def keep(settings: dict[str, Any], now: Proxies | None) -> None:
    """Puts what holds now into the settings of a client for pickling."""
    said = settings.pop("proxy", None), settings.pop("proxies", None)
    if now is not None and now.explicit:
        settings["proxies"] = now.explicit
    elif now is None and said != (None, None):
        settings["proxies"] = False


def _made(explicit: Any, environment: Environment | None) -> Proxies | None:
    if not explicit and environment is None:
        return None
    return Proxies(explicit, environment)


def _is_none(value: Any) -> bool:
    """Whether it says: none at all."""
    return value is False or value == ""


def _is_empty(value: Any) -> bool:
    return isinstance(value, Mapping) and not value


def _explicit(proxy: Any, proxies: Any) -> Any:
    """As a mapping or a callable."""
    if proxy is not None and proxies is not None:
        raise TypeError("proxy and proxies are two names of one thing")
    if proxy is not None:
        if callable(proxy):
            return proxy
        return {} if _is_none(proxy) else {"all": _proxy.of(proxy, "proxy")}
    if proxies is None or _is_none(proxies):
        return {}
    if isinstance(proxies, Mapping):
        return dict(proxies)
    if callable(proxies):
        return proxies
    if isinstance(proxies, str):
        return {"all": _proxy.of(proxies, "proxies")}
    raise TypeError(f"{_TAKES}, not {type(proxies).__name__}")


# ---- rules -------------------------------------------------------------------


class _Rules:
    """A mapping or a callable, to be asked."""

    def __init__(self, explicit: Any) -> None:
        self._function = None
        self._rules: list[_Rule] = []
        self._no_proxy: NoProxy | None = None
        if callable(explicit):
            self._function = explicit
            return
        for key, value in explicit.items():
            self._add(key, value)
        self._rules.sort(key=lambda rule: rule.rank)

    def _add(self, key: Any, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"{_TAKES}; a key is {type(key).__name__}")
        if key in ("no_proxy", "no"):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"proxies[{key!r}] must be a str")
            self._no_proxy = NoProxy(value) if value else None
            return
        scheme, _, host = key.strip().lower().partition("://")
        if scheme in _FOREIGN:
            return
        if scheme not in ("http", "https", "all"):
            raise InvalidArgument(f"{_TAKES}, not {scheme[:20]!r}")
        name = f"proxies[{key!r}]"
        name_and_port = _host_and_port(name, host.removesuffix("/"))
        proxy = _proxy.of(value, name)
        self._rules.append(_Rule(scheme, *name_and_port, proxy))

    def fixed(self) -> tuple[Any, Any] | None:
        """The answers for http and https, if no more is asked than that."""
        named = any(rule.names_host for rule in self._rules)
        if named or self._function is not None or self._no_proxy is not None:
            return None
        return self._first(False, "", 0), self._first(True, "", 0)

    def find(self, url: str, https: bool, host: str, port: int) -> Any:
        if self._function is not None:
            return _proxy.of(self._function(url), "what proxy= returned")
        if self._no_proxy is not None and (host, port) in self._no_proxy:
            return None
        return self._first(https, host, port)

    def _first(self, https: bool, host: str, port: int) -> Any:
        for rule in self._rules:
            if rule.matches(https, host, port):
                return rule.proxy
        return _NOTHING


def _host_and_port(name: str, text: str) -> tuple[str, int]:
    """Of what stands behind the scheme of a key."""
    host, port = text, 0
    before, colon, digits = text.rpartition(":")
    if colon and digits.isascii() and digits.isdigit():
        host, port = before, int(digits)
    if any(c in host for c in "/@?# "):
        raise InvalidArgument(f"{name}: that is no host")
    host = host.strip("[]")
    return host if host.isascii() else encode_host(host), port


class _Rule:
    """One key of a mapping and what it stands for.

    "scheme", "scheme://" or "scheme://host", with http, https or all as the
    scheme; the host may be "*.example.com" (all below it), "*example.com" (and
    itself) or "*", and have a port. Looked at in this order: a scheme before
    all; a host before none; a whole name before a pattern, a longer one before
    a shorter one; with a port before without.
    """

    def __init__(self, scheme: str, host: str, port: int, proxy: Any) -> None:
        self._https = {"http": False, "https": True}.get(scheme)
        self._host = host.removeprefix("*")
        self._pattern = host.startswith("*")
        self._port = port
        self.proxy = proxy
        self.names_host = bool(host.strip("*") or port)
        self.rank = (
            self._https is None,
            not self.names_host,
            self._pattern,
            -len(self._host),
            not port,
        )

    def matches(self, https: bool, host: str, port: int) -> bool:
        if self._https not in (None, https) or self._port not in (0, port):
            return False
        if not self._pattern:
            return self._host in ("", host)
        if self._host.startswith("."):
            return host.endswith(self._host)
        return (
            not self._host
            or host == self._host
            or host.endswith("." + self._host)
        )


# ---- the environment ---------------------------------------------------------


class Environment:
    """What the process was told: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and
    NO_PROXY, each in lower case before upper case.

    Hosts of this machine (localhost, 127.0.0.0/8, ::1) are never asked through
    a proxy. A value that cannot be used is refused when it would be.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {
            name: _variable(values, name)
            for name in ("http_proxy", "https_proxy", "all_proxy")
        }
        self._no_proxy = NoProxy(_variable(values, "no_proxy")[1])
        self._is_cgi = bool(values.get("REQUEST_METHOD"))
        self._made: dict[str, Any] = {}

    @classmethod
    def look(cls) -> Environment | None:
        """As it is now; None when it names no proxy."""
        found = cls(os.environ)
        return found if any(v for _, v in found._values.values()) else None

    def find(self, https: bool, host: str, port: int) -> Any:
        """The Proxy, None for none by rule, or that nothing is said."""
        for name in ("https_proxy" if https else "http_proxy", "all_proxy"):
            if self._values[name][1]:
                break
        else:
            return _NOTHING
        if is_loopback(host) or (host, port) in self._no_proxy:
            return None
        return self._proxy(name)

    def _proxy(self, name: str) -> Any:
        if name not in self._made:
            shown, value = self._values[name]
            if self._is_cgi and shown == "HTTP_PROXY":
                raise InvalidProxyURL(
                    "HTTP_PROXY is not used in a CGI program (REQUEST_METHOD "
                    "is set), where whoever sends a Proxy header sets it; use "
                    "http_proxy or proxy= instead"
                )
            self._made[name] = _proxy.of(value, shown)
        return self._made[name]


def _variable(values: Mapping[str, str], name: str) -> tuple[str, str]:
    """(its name as it was found, its value or "")."""
    for spelled in (name, name.upper()):
        if spelled in values:
            return spelled, values[spelled].strip()
    return name, ""


# ---- client.proxies ----------------------------------------------------------


class ClientProxies(MutableMapping[str, "Any"]):
    """The mapping of a client, whose changes it takes note of.

    Every change calls `changed` with all of it as a dict; if that raises,
    nothing has changed.
    """

    def __init__(
        self, values: Mapping[str, Any], changed: Callable[[Any], object]
    ) -> None:
        self._values = dict(values)
        self._changed = changed

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._put({**self._values, key: value})

    def __delitem__(self, key: str) -> None:
        rest = dict(self._values)
        del rest[key]
        self._put(rest)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = {key: _shown(value) for key, value in self._values.items()}
        return f"{type(self).__name__}({shown})"

    def _put(self, values: dict[str, Any]) -> None:
        self._changed(values)
        self._values = values


def _shown(value: Any) -> Any:
    """Without user and password."""
    if isinstance(value, str) and value:
        return _proxy.of(value, "proxies")
    return value


def view(settings: Proxies | None, changed: Callable[[Any], object]) -> Any:
    """What client.proxies is: the mapping, or the callable."""
    explicit = {} if settings is None else settings.explicit
    return explicit if callable(explicit) else ClientProxies(explicit, changed)
