"""Which cookies a jar takes from a response, and which go with a request.

The rules of RFC 6265 with what its successor (6265bis) and the browsers add,
for a jar of the standard library, whose own are those of 1994.
"""

from __future__ import annotations

import re
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from http.cookiejar import Cookie
    from typing import Any

MOST_BYTES = 4096  # of name and value


class Visit:
    """One request and its response, in the form a jar asks about them.

    url        what is asked for, or was
    secure     the Secure ones that are there already
    set_cookie the lines of the response
    is_named   whether the caller has named this host: what has no domain goes
               to no other
    cookie     the header, once the jar has been asked for it
    """

    unverifiable = False

    def __init__(
        self,
        url: str,
        secure: Iterable[Cookie] = (),
        set_cookie: Iterable[str] = (),
        is_named: bool = True,
    ) -> None:
        parts = urlsplit(url)
        self.host = (parts.hostname or "").lower()
        netloc = parts.netloc.rpartition("@")[2]
        if _is_in_local(self.host):
            # A jar puts ".local" behind names without a dot: the dot says that
            # it was there.
            netloc = f"{self.host}."
        self._url = parts._replace(netloc=netloc).geturl()
        self._set_cookie = [_understood(line) for line in set_cookie]
        self.secure = list(secure)
        self.is_named = is_named
        self.origin_req_host = self.host
        self.type = parts.scheme
        self.cookie = ""

    # as a request

    def get_full_url(self) -> str:
        return self._url

    def has_header(self, name: str) -> bool:
        return False

    def get_header(self, name: str, default: Any = None) -> Any:
        return default

    def header_items(self) -> list[tuple[str, str]]:
        return []

    def add_unredirected_header(self, name: str, value: str) -> None:
        if name == "Cookie":
            self.cookie = value

    # as a response

    def info(self) -> Visit:
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        return self._set_cookie if name == "Set-Cookie" else default


def _understood(line: str) -> str:
    """A Set-Cookie without the attributes that are to be ignored (RFC 6265,
    5.2), for which a jar drops the whole cookie or never sends it."""
    pair, *attributes = line.split(";")
    kept = [text for text in attributes if not _is_ignored(text)]
    return ";".join([pair, *kept])


def _is_ignored(attribute: str) -> bool:
    name, _, value = attribute.partition("=")
    name, value = name.strip().lower(), value.strip()
    if name == "max-age":
        return re.fullmatch("-?[0-9]+", value) is None
    if name == "path":
        return not value.startswith("/")
    return name == "port" or name == "domain" and not value.strip(".")


class CookieRules(DefaultCookiePolicy):
    """The policy of our jars."""

    def set_ok(self, cookie: Cookie, request: Any) -> bool:
        return (
            super().set_ok(cookie, request)
            and _has_fitting_size(cookie)
            and is_plain_text(cookie.name)
            and is_plain_text(cookie.value or "")
            and _is_secure_enough(cookie, request)
            and _keeps_its_prefix(cookie, request)
        )

    def set_ok_domain(self, cookie: Cookie, request: Any) -> bool:
        if self.is_blocked(cookie.domain) or self.is_not_allowed(cookie.domain):
            return False
        if not cookie.domain_specified:
            return True
        domain = domain_key(cookie.domain)
        if domain == request.host:
            # Of an address, and of a suffix like co.uk, it is the host's own.
            if is_address(domain) or is_public_suffix(domain):
                cookie.domain, cookie.domain_specified = domain, False
            return True
        return is_within(request.host, domain) and not is_public_suffix(domain)

    def domain_return_ok(self, domain: str, request: Any) -> bool:
        if domain and (self.is_blocked(domain) or self.is_not_allowed(domain)):
            return False
        return domain == "" or any(
            key == request.host or is_within(request.host, key)
            for key in domain_keys(domain)
        )

    def return_ok_domain(self, cookie: Cookie, request: Any) -> bool:
        domain = domain_key(cookie.domain)
        if not domain:
            return bool(request.is_named)
        if domain == request.host:
            return True
        return cookie.domain_specified and any(
            key == request.host or is_within(request.host, key)
            for key in domain_keys(cookie.domain)
        )


# ---- hosts -------------------------------------------------------------------


def domain_key(domain: str) -> str:
    """A cookie's domain to be compared with a host: without the dot before it,
    and without the ".local" that a jar puts behind names without a dot."""
    domain = domain.lower()
    if domain.startswith("."):
        return domain[1:]
    if _is_in_local(domain.removesuffix(".")) and domain.endswith("."):
        return domain[:-1]
    bare = domain.removesuffix(".local")
    is_made_up = bare != domain and ("." not in bare or bare.startswith("["))
    return (bare if is_made_up else domain).strip("[]")


def domain_keys(domain: str) -> set[str]:
    """All that it may mean: who writes "x.local" himself means that name, or
    knows what a jar makes of "x"."""
    return {domain_key(domain), domain.lower().strip(".")}


def _is_in_local(host: str) -> bool:
    """A name like "printer.local", as machines without a name server have."""
    name, _, last = host.rpartition(".")
    return last == "local" and name != "" and "." not in name


def is_within(host: str, domain: str) -> bool:
    """`host` is a subdomain of `domain`, by names."""
    return host.endswith("." + domain) and not is_address(host)


def is_address(host: str) -> bool:
    """An IP address, and no name."""
    last = host.rpartition(".")[2]
    return ":" in host or last.isdecimal()


def is_public_suffix(domain: str) -> bool:
    """A name like "com" or "co.uk", under which strangers have their names.

    By the list of publicsuffix.org when the package `publicsuffixlist` is
    installed (the extra hpool[publicsuffix]); else single labels, and the usual
    second levels of two-letter countries.
    """
    global _public
    if _public is None:
        _public = _find_list() or _looks_public
    return _public(domain)


_public: Callable[[str], bool] | None = None

_SECOND_LEVELS = frozenset(
    "ac co com edu go gob gov gouv gub ltd me mil net ne nhs nom or org plc "
    "police sch school".split()
)


def _looks_public(domain: str) -> bool:
    labels = domain.strip(".").split(".")
    if len(labels) == 2:
        return len(labels[1]) == 2 and labels[0] in _SECOND_LEVELS
    return len(labels) < 2


def _find_list() -> Callable[[str], bool] | None:
    try:
        from publicsuffixlist import PublicSuffixList
    except ModuleNotFoundError:
        return None
    known = PublicSuffixList()
    return lambda domain: bool(known.is_public(domain))


# ---- one by one --------------------------------------------------------------


def is_plain_text(text: str) -> bool:
    """Without control characters; a tab is none."""
    return not any(c < " " and c != "\t" or c == "\x7f" for c in text)


def _has_fitting_size(cookie: Cookie) -> bool:
    return len(cookie.name) + len(cookie.value or "") <= MOST_BYTES


def _is_secure_enough(cookie: Cookie, visit: Any) -> bool:
    """What came in the clear is not marked Secure, and takes the place of
    nothing that is."""
    if visit.type in ("https", "wss"):
        return True
    return not cookie.secure and not any(
        other.name == cookie.name
        and _overlap(domain_key(other.domain), domain_key(cookie.domain))
        for other in visit.secure
    )


def _overlap(a: str, b: str) -> bool:
    return a == b or is_within(a, b) or is_within(b, a)


def _keeps_its_prefix(cookie: Cookie, visit: Any) -> bool:
    """__Secure- and __Host- in a name promise something."""
    name = cookie.name.lower()
    if name.startswith("__secure-"):
        return cookie.secure
    if name.startswith("__host-"):
        return (
            cookie.secure
            and not cookie.domain_specified
            and cookie.path_specified
            and cookie.path == "/"
        )
    return True
