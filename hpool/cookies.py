"""Cookies, and the functions that code on requests uses around them.

`Cookies` is a mapping on top of a jar of the standard library (`.jar`);
RequestsCookieJar is another name of it.
"""

from __future__ import annotations

from http.cookiejar import Cookie, CookieJar
from http.cookiejar import http2time  # type: ignore[attr-defined]
from time import time
from typing import TypeVar

from .errors import CookieConflict
from .policy.cookies import Cookies, cookies_in, make_cookie, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Jar = TypeVar("Jar", Cookies, CookieJar)

RequestsCookieJar = Cookies
CookieConflictError = CookieConflict

__all__ = [
    "Cookie",
    "CookieConflictError",
    "Cookies",
    "RequestsCookieJar",
    "add_dict_to_cookiejar",
    "cookiejar_from_dict",
    "create_cookie",
    "dict_from_cookiejar",
    "extract_cookies_to_jar",
    "get_cookie_header",
    "merge_cookies",
    "morsel_to_cookie",
    "remove_cookie_by_name",
]


def create_cookie(
    name: str,
    value: str,
    *,
    domain: str = "",
    path: str = "/",
    secure: bool = False,
    expires: int | None = None,
    rest: Mapping[str, Any] | None = None,
) -> Cookie:
    """A Cookie object, for `set_cookie()` of a jar."""
    more = dict(rest or {})
    return make_cookie(name, value, domain, path, secure, expires, more)


def morsel_to_cookie(morsel: Any) -> Cookie:
    """A Cookie of what http.cookies.SimpleCookie has read. ValueError for a
    max-age that is no number; a date that is none counts as not given."""
    expires = None
    if morsel["max-age"]:
        expires = int(time() + int(morsel["max-age"]))
    elif morsel["expires"]:
        expires = http2time(morsel["expires"])
    return create_cookie(
        morsel.key,
        morsel.value,
        domain=morsel["domain"],
        path=morsel["path"],
        secure=bool(morsel["secure"]),
        expires=expires,
        rest={"HttpOnly": morsel["httponly"]},
    )


def cookiejar_from_dict(
    cookie_dict: Mapping[str, str] | None,
    cookiejar: Any = None,
    overwrite: bool = True,
) -> Any:
    """`cookiejar`, or new Cookies, with those of `cookie_dict` put in; without
    `overwrite` a name that is there stays as it is."""
    jar = Cookies() if cookiejar is None else cookiejar
    there = set() if overwrite else set(dict_from_cookiejar(jar))
    for cookie in cookies_in(cookie_dict or {}):
        if cookie.name not in there:
            jar.set_cookie(cookie)
    return jar


def add_dict_to_cookiejar(cj: Any, cookie_dict: Mapping[str, str]) -> Any:
    """`cj` with those of `cookie_dict` put in."""
    return cookiejar_from_dict(cookie_dict, cj)


def dict_from_cookiejar(cj: Any) -> dict[str, str]:
    """Names and values; of a name that is there twice, the last one."""
    return {cookie.name: cookie.value or "" for cookie in cj}


def merge_cookies(cookiejar: Jar, cookies: Any) -> Jar:
    """`cookiejar` with those of `cookies` put in: of a dict only the names
    that it does not have."""
    if isinstance(cookies, dict):
        cookiejar_from_dict(cookies, cookiejar, overwrite=False)
    else:
        for cookie in cookies_in(cookies):
            cookiejar.set_cookie(cookie)
    return cookiejar


def extract_cookies_to_jar(jar: Any, request: Any, response: Any) -> None:
    """Puts what `response`, or its `raw`, sets into `jar`."""
    of(jar).extract(response, request)


def get_cookie_header(jar: Any, request: Any) -> str | None:
    """The Cookie header that `request` is sent with, None for none."""
    return of(jar).header(request.url) or None


def remove_cookie_by_name(
    cookiejar: Any,
    name: str,
    domain: str | None = None,
    path: str | None = None,
) -> None:
    """Takes all out that are meant; none may be there."""
    of(cookiejar).delete(name, domain, path)
