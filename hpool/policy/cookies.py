"""Cookies: a mapping on top of a jar of the standard library.

The jar keeps them and knows how to read and write files; which ones it takes
and gives away `cookie_rules` says.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, MutableMapping
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import cast

from ..errors import CookieConflict, InvalidArgument
from .cookie_rules import (
    CookieRules,
    Visit,
    domain_key,
    domain_keys,
    is_plain_text,
    is_within,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# A server cannot make a jar grow for ever, nor a request: the oldest go first,
# the last in the header are left out.
MOST_OF_A_DOMAIN = 180
MOST = 3000
MOST_SENT = 150
MOST_BYTES_SENT = 8190


class Cookies(MutableMapping[str, str]):
    """The cookies of a client, a call or a response, by name.

    As in requests: iterating gives the Cookie objects, `keys()` the names, and
    where a name stands for several, `domain=` and `path=` choose. What is set
    without a domain goes to every host that a call names, but not to those it
    is redirected to. Threads share it freely.

    jar  the http.cookiejar.CookieJar underneath. A jar of your own, such as a
         MozillaCookieJar with its save() and load(), is used as it is; one that
         has the standard library's default policy gets hpool's stricter one.
         What it has besides, save() or set_policy() say, is found here as well
    """

    jar: CookieJar

    def __init__(
        self,
        cookies: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        *,
        jar: CookieJar | None = None,
    ) -> None:
        self.jar = CookieJar(CookieRules()) if jar is None else jar
        if type(getattr(self.jar, "_policy", None)) is DefaultCookiePolicy:
            self.jar.set_policy(CookieRules())
        self._lock: threading.RLock = (
            getattr(self.jar, "_cookies_lock", None) or threading.RLock()
        )
        if cookies is not None:
            self.update(cookies)

    def __getattr__(self, name: str) -> Any:
        if name == "jar" or name.startswith("_"):
            raise AttributeError(f"'Cookies' object has no attribute {name!r}")
        return getattr(self.jar, name)

    # -- one by one

    def get(
        self,
        name: str,
        default: Any = None,
        domain: str | None = None,
        path: str | None = None,
    ) -> Any:
        """The value, or `default`. CookieConflict when several are meant that
        differ."""
        values = {c.value or "" for c in self._found(name, domain, path)}
        if len(values) > 1:
            raise CookieConflict(
                f"there are several cookies named {name!r}; say of which "
                "domain and path"
            )
        return values.pop() if values else default

    def set(
        self, name: str, value: str | None, domain: str = "", path: str = "/",
        *, secure: bool = False, expires: int | None = None,
        rest: Mapping[str, Any] | None = None,
    ) -> Cookie | None:  # fmt: skip
        """Puts a cookie in; None as the value takes those of the name out.

        domain   a host, its subdomains included; "" for every host named
        path     "/" for all of the host
        secure   only over https
        expires  in seconds since the epoch; None: with the client
        """
        if value is None:
            self.delete(name, domain or None, path if path != "/" else None)
            return None
        cookie = make_cookie(
            name, value, domain, path, secure, expires, dict(rest or {})
        )
        self.jar.set_cookie(cookie)
        return cookie

    def delete(
        self, name: str, domain: str | None = None, path: str | None = None
    ) -> None:
        """Takes all out that are meant; none may be there."""
        self._take_out(name, domain, path)

    def clear(
        self,
        domain: str | None = None,
        path: str | None = None,
        name: str | None = None,
    ) -> None:
        """Takes out all cookies, or those of a domain, path and name."""
        self._take_out(name, domain, path)

    def set_cookie(self, cookie: Cookie) -> None:
        """Puts a Cookie object in."""
        self.jar.set_cookie(cookie)

    def _all(self) -> list[Cookie]:
        with self._lock:
            return list(self.jar)

    def _found(
        self, name: str | None, domain: str | None, path: str | None
    ) -> list[Cookie]:
        return [
            c
            for c in self._all()
            if (name is None or c.name == name)
            and (domain is None or domain_key(c.domain) in domain_keys(domain))
            and (path is None or c.path == path)
        ]

    def _take_out(
        self, name: str | None, domain: str | None, path: str | None
    ) -> None:
        with self._lock:
            for c in self._found(name, domain, path):
                self.jar.clear(c.domain, c.path, c.name)

    # -- the mapping

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return cast(str, value)

    def __setitem__(self, name: str, value: str | None) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return any(c.name == name for c in self._all())

    def __iter__(self) -> Iterator[Cookie]:  # type: ignore[override]
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def keys(self) -> list[str]:  # type: ignore[override]
        """The names, as often as there are cookies."""
        return [c.name for c in self._all()]

    def values(self) -> list[str]:  # type: ignore[override]
        """The values, one for each of `keys()`."""
        return [c.value or "" for c in self._all()]

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Names and values, a pair for each cookie."""
        return [(c.name, c.value or "") for c in self._all()]

    def popitem(self) -> tuple[str, str]:
        """Takes the first one out. KeyError when there is none."""
        with self._lock:
            for c in self.jar:
                self.jar.clear(c.domain, c.path, c.name)
                return c.name, c.value or ""
        raise KeyError("there are no cookies")

    def get_dict(
        self, domain: str | None = None, path: str | None = None
    ) -> dict[str, str]:
        """Those of a domain and path as a plain dict."""
        return {c.name: c.value or "" for c in self._found(None, domain, path)}

    def update(self, other: Any = (), /, **more: str) -> None:
        """Puts in a mapping, pairs, or all the cookies of a jar."""
        for cookie in cookies_in(other):
            self.jar.set_cookie(cookie)
        for name, value in more.items():
            self.set(name, value)

    def copy(self) -> Cookies:
        """The same cookies in a jar of their own."""
        return Cookies(cast("Any", self))

    def list_domains(self) -> list[str]:
        """The domains of all cookies, each once."""
        return list(dict.fromkeys(c.domain for c in self._all()))

    def list_paths(self) -> list[str]:
        """The paths of all cookies, each once."""
        return list(dict.fromkeys(c.path for c in self._all()))

    def multiple_domains(self) -> bool:
        """Whether there are cookies of more than one domain."""
        return len(self.list_domains()) > 1

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Cookies):
            return _facts(self) == _facts(other)
        if isinstance(other, Mapping):
            return dict(self.items()) == dict(other)
        return NotImplemented

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{c.name} for {c.domain or '*'}" for c in self._all()
        )
        return f"<Cookies [{shown}]>"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            kept = dict(self.jar.__dict__)
            kept.pop("_cookies_lock", None)
            return {"type": type(self.jar), "jar": kept, "all": list(self.jar)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        jar = state["type"].__new__(state["type"])
        jar.__dict__.update(state["jar"], _cookies={})
        self._lock = jar._cookies_lock = threading.RLock()
        self.jar = jar
        for cookie in state["all"]:
            jar.set_cookie(cookie)

    # -- around a request

    def header(self, url: str, is_named: bool = True) -> str:
        """The Cookie header of a request for `url`; "" for none. `is_named`:
        the caller has named its host, it is not where a redirect led."""
        visit = Visit(url, is_named=is_named)
        self.jar.add_cookie_header(cast("Any", visit))
        return visit.cookie

    def extract(self, response: Any, request: Any = None) -> None:
        """Puts in what `response` sets, the answer to `request` if it does not
        say itself what was asked for."""
        lines = _set_cookie(response)
        if not lines:
            return
        secure = [c for c in self._all() if c.secure]
        # More could not be kept.
        url = getattr(response, "url", None) or request.url
        visit = Visit(url, secure, lines[-MOST_OF_A_DOMAIN:])
        if type(self).set_cookie is Cookies.set_cookie:
            self.jar.extract_cookies(cast("Any", visit), cast("Any", visit))
        else:
            self._extract_by_own(visit)
        self._trim(visit.host)

    def _extract_by_own(self, visit: Any) -> None:
        """By the set_cookie() of a subclass, which may say no."""
        policy = cast("Any", self.jar)._policy
        with self._lock:
            for cookie in self.jar.make_cookies(visit, visit):
                if policy.set_ok(cookie, visit):
                    self.set_cookie(cookie)

    extract_cookies = extract

    def _trim(self, host: str) -> None:
        with self._lock:
            every = list(self.jar)
            own = [c for c in every if _is_of(c, host)]
            too_many = own[: max(0, len(own) - MOST_OF_A_DOMAIN)]
            too_many += every[: max(0, len(every) - MOST)]
            for c in {id(c): c for c in too_many}.values():
                self.jar.clear(c.domain, c.path, c.name)


def _set_cookie(response: Any) -> list[str]:
    lines: list[str] = response.headers.get_list("Set-Cookie")
    return lines


def _is_of(c: Cookie, host: str) -> bool:
    domain = domain_key(c.domain)
    return domain == host or is_within(host, domain)


def _facts(cookies: Cookies) -> list[tuple[str, str, str, str]]:
    return sorted(
        (c.domain, c.path, c.name, c.value or "") for c in cookies._all()
    )


# ---- making them -------------------------------------------------------------


def of(value: Any) -> Cookies:
    """What cookies= was given as Cookies: those themselves, or a jar of the
    standard library with its mapping, or new ones. TypeError."""
    if isinstance(value, Cookies):
        return value
    jar = value if isinstance(value, CookieJar) else getattr(value, "jar", None)
    if isinstance(jar, CookieJar):  # httpx's Cookies have theirs as `jar`
        return Cookies(jar=jar)
    return Cookies(value)


def of_response(response: Any) -> Cookies:
    """For Response.cookies: what this one answer sets."""
    own = Cookies()
    own.extract(response)
    return own


def cookies_in(value: Any) -> list[Cookie]:
    """Copies of all the cookies in whatever cookies= takes. TypeError."""
    jar = getattr(value, "jar", value)
    if isinstance(value, Cookies):
        return [_copy(c) for c in value._all()]
    if isinstance(jar, CookieJar):
        return [_copy(c) for c in list(jar)]
    items = value.items() if isinstance(value, Mapping) else value
    try:
        pairs = [(name, content) for name, content in items]
    except (TypeError, ValueError):
        raise TypeError(
            "cookies takes a mapping, (name, value) pairs or an "
            f"http.cookiejar.CookieJar, not {type(value).__name__}"
        ) from None
    return [
        make_cookie(name, content)
        for name, content in pairs
        if content is not None
    ]


def _copy(c: Cookie) -> Cookie:
    new = Cookie.__new__(Cookie)
    new.__dict__.update(c.__dict__)
    return new


def make_cookie(
    name: str,
    value: str,
    domain: str = "",
    path: str = "/",
    secure: bool = False,
    expires: int | None = None,
    rest: dict[str, Any] | None = None,
) -> Cookie:
    """A Cookie object. TypeError, InvalidArgument for what cannot be one."""
    for what, text in (("name", name), ("value", value)):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"cookies: a {what} must be a str, not {kind}")
        if not is_plain_text(text):
            raise InvalidArgument(
                f"cookies: a {what} must not have control characters in it"
            )
        if max(text, default="") > "\xff":
            raise InvalidArgument(
                f"cookies: a {what} takes Latin-1; percent-encode what is not"
            )
    if not name or set(name) & set("=;"):
        raise InvalidArgument(f"cookies: {name!r} cannot be a name")
    return Cookie(
        version=0,
        name=name,
        value=value,
        port=None,
        port_specified=False,
        domain=domain,
        domain_specified=bool(domain),
        domain_initial_dot=domain.startswith("."),
        path=path,
        path_specified=bool(path),
        secure=secure,
        expires=expires,
        discard=expires is None,
        comment=None,
        comment_url=None,
        rest=rest or {},
        rfc2109=False,
    )


# ---- those of one call -------------------------------------------------------


class CallCookies:
    """What a call sends at each hop: the pieces of its own Cookie header, then
    its cookies=, then the client's. Of one name the first wins; a name that a
    server has set meanwhile is the server's. What was given without a domain
    is for the first origin alone."""

    def __init__(self, kept: Cookies | None, given: Any, header: str) -> None:
        self._own = [piece.strip() for piece in header.split(";")]
        self._own = [piece for piece in self._own if piece]
        self._given = None if given is None else Cookies(given)
        self._kept = kept

    def header(self, url: str, is_named: bool) -> str:
        """The Cookie header for this hop; "" for none. `is_named`: no hop has
        led to another origin yet."""
        if not is_named:
            self._own = []
        pieces = list(self._own)
        for jar in (self._given, self._kept):
            if jar is not None:
                line = jar.header(url, is_named)
                names = {_name(piece) for piece in pieces}
                new = line.split("; ") if line else []
                pieces += [p for p in new if _name(p) not in names]
        return _joined(pieces)

    def learn(self, response: Any, kept: Cookies | None) -> None:
        """Takes note of what `response` sets: in `kept`, the client's, or for
        the rest of the call."""
        if kept is not None:
            self._kept = kept
        elif self._given is None:
            self._given = Cookies()
        names = {_name(line) for line in _set_cookie(response)}
        self._own = [p for p in self._own if _name(p) not in names]
        if self._given is not None:
            for name in names:
                self._given.delete(name)
        target = self._kept if kept is not None else self._given
        if target is not None:
            target.extract(response)


def _name(piece: str) -> str:
    return piece.partition("=")[0].strip()


def _joined(pieces: list[str]) -> str:
    size, kept = 0, []
    for piece in pieces[:MOST_SENT]:
        size += len(piece) + 2
        if size > MOST_BYTES_SENT + 2:
            break
        kept.append(piece)
    return "; ".join(kept)

