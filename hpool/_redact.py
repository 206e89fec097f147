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
    values of its query.

    >>> url_for_text("https://u:p@a.test/x?token=t&b#f")
    'https://a.test/x?token=...&...'
    """
    url = url.partition("#")[0]
    before, mark, query = url.partition("?")
    scheme, slashes, rest = before.partition("://")
    authority, slash, path = rest.partition("/")
    authority = authority.rpartition("@")[2]
    fields = "&".join(map(_without_value, query.split("&"))) if query else ""
    return f"{scheme}{slashes}{authority}{slash}{path}{mark}{fields}"


def _without_value(field: str) -> str:
    name, equals, _ = field.partition("=")
    return f"{name}=..." if equals else "..."
