"""What may be shown: no password, no query's value, no secret header."""

from __future__ import annotations

SECRET_HEADERS = frozenset({
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
})


def url_for_text(url: str) -> str:
    """`url` for an error or a warning: without userinfo, fragment and the
    values of its query, and in one line. What is no URL may hold a password,
    too.

    >>> url_for_text("https://u:p@a.test/x?token=t&b#f")
    'https://a.test/x?token=...&...'
    >>> url_for_text("https://u:p/w@a.test/x")
    'https://a.test/x'
    """
    scheme, slashes, rest = url.partition("://")
    if not slashes or set(scheme) & set("/?#@"):
        scheme, slashes, rest = "", "", url
    rest = _without_userinfo(rest, bool(slashes)).partition("#")[0]
    before, mark, query = rest.partition("?")
    fields = "&".join(map(_without_value, query.split("&"))) if query else ""
    shown = f"{scheme}{slashes}{before}{mark}{fields}"
    return shown if shown.isprintable() else repr(shown)[1:-1]


def _without_userinfo(rest: str, has_scheme: bool) -> str:
    rest = rest if has_scheme else rest.removeprefix("//")
    end = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    _, at, host = rest[:end].rpartition("@")
    if at:
        return host + rest[end:]
    _, colon, port = rest[:end].rpartition(":")
    is_port = port.isdecimal() or port.endswith("]") or has_scheme and not port
    if colon and not is_port:  # a password with one of these in it
        return rest.rpartition("@")[2]
    return rest


def _without_value(field: str) -> str:
    name, equals, _ = field.partition("=")
    return f"{name}=..." if equals else "..."
