"""Where a redirect leads, and what goes there.

301, 302, 303   GET and HEAD stay, QUERY stays but for 303, all else becomes a
                GET; a body is dropped, with the headers that speak of it
307, 308        method and body stay; a body that cannot be sent again leaves
                the redirect as the answer

Authorization, Cookie and the like stay behind when the origin (scheme, host
and port) changes, and do not come back when a later hop returns: each request
is made of the one before it.
"""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

from .. import _core
from .._prepare import idna_url
from ..errors import InvalidSchema, InvalidURL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from urllib.parse import SplitResult

    from .request import PreparedRequest

STATUSES = frozenset({301, 302, 303, 307, 308})

_CREDENTIALS = ("Authorization", "WWW-Authenticate", "Cookie", "Cookie2")

# What was meant for a proxy is nothing for the next origin, nor the next proxy.
_OF_A_PROXY = ("Proxy-Authorization", "Proxy-Authenticate")


def next_request(response: Any) -> PreparedRequest | None:
    """For Response.next_request: what it asks for, if it is a redirect."""
    if not response.is_redirect:
        return None
    return following(response.request, response)


def following(
    request: PreparedRequest,
    response: Any,
    own_referer: bool = False,
    target: str | None = None,
) -> PreparedRequest | None:
    """The request that `response`, a redirect, asks for; None when there is
    no Location or the body cannot be sent again. With `own_referer` the Referer
    is the caller's and stays, unless it would leave https. `target` is what
    counts in place of the Location.

    InvalidURL, InvalidSchema for a Location that leads nowhere.
    """
    location = target_of(response) if target is None else target
    if not location:
        return None
    next_request = request.copy()
    change_method(next_request, response.status_code)
    if not next_request._can_rewind():
        return None
    next_request.url = resolve(request.url, location)
    strip = list(_OF_A_PROXY)
    if not is_same_origin(request.url, next_request.url):
        strip += _CREDENTIALS
        next_request._forget_auth()
    if urlsplit(location).netloc:
        strip.append("Host")
    for name in strip:
        next_request.headers.pop(name, None)
    _set_referer(next_request, request.url, own_referer)
    return next_request


def target_of(response: Any) -> str:
    """Its Location, as it came, in Latin-1; "" without one."""
    values: list[str] = response.headers.get_list("Location")
    return values[0] if values else ""


def as_text(location: str) -> str:
    """Bytes beyond ASCII in it count as UTF-8 where they are."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location  # Latin-1 after all, or it did not come from a header


def change_method(request: PreparedRequest, status: int) -> None:
    """The method that a redirect with this status leads to, and no body where
    that has none."""
    if status in (307, 308):
        return
    if request.method == "QUERY" and status != 303:
        return
    if request.method != "HEAD":
        request.method = "GET"
    request._drop_body()


def _set_referer(request: PreparedRequest, before: str, own: bool) -> None:
    old, new = urlsplit(before), urlsplit(request.url)
    if old.scheme == "https" and new.scheme == "http":
        request.headers.pop("Referer", None)
    elif not own:
        parts = _without_userinfo(_encoded(old._replace(fragment="")))
        request.headers["Referer"] = parts.geturl()


# ---- URLs --------------------------------------------------------------------


def resolve(url: str, location: str) -> str:
    """The URL that a Location means when `url` was asked for.

    `location` is as it came or as text. What the URL has after # holds on
    unless the Location has its own; credentials in a Location are a server's,
    and left out. InvalidURL, InvalidSchema.
    """
    location = as_text(location)
    if any(c < " " or c == "\x7f" for c in location):
        raise InvalidURL("the Location of a redirect has control characters")
    try:
        given, parts = urlsplit(location), urlsplit(urljoin(url, location))
        parts.port  # it may be no number
    except ValueError as exc:
        raise InvalidURL(f"the Location of a redirect is no URL: {exc}")
    if given.netloc:
        parts = _without_userinfo(parts)
    elif given.scheme in ("http", "https"):
        raise InvalidURL("the Location of a redirect has no host")
    fragment = parts.fragment or urlsplit(url).fragment
    target = ascii_url(_encoded(parts._replace(fragment=fragment)).geturl())
    try:
        _core._origin(target)
    except (InvalidURL, InvalidSchema) as exc:
        raise type(exc)(f"the Location of a redirect: {exc}") from None
    return target


def _without_userinfo(parts: SplitResult) -> SplitResult:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def ascii_url(url: str) -> str:
    """`url` with a host in ASCII, so that all who look at it see the same."""
    if url.isascii():
        return url
    host = urlsplit(url).netloc.rpartition("@")[2]
    return url if host.isascii() else idna_url(url)


def _encoded(parts: SplitResult) -> SplitResult:
    """Without spaces and bytes beyond ASCII, but for the host."""
    path, query, fragment = (
        quote(part, safe="!#$%&'()*+,/:;=?@[]~")
        for part in (parts.path, parts.query, parts.fragment)
    )
    return parts._replace(path=path, query=query, fragment=fragment)


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port), as the core reads them; to be compared."""
    try:
        return _core._origin(url)
    except InvalidSchema:  # of a scheme that something is mounted for
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or 0


def is_same_origin(a: str, b: str) -> bool:
    return origin(a) == origin(b)
