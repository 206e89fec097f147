"""The functions that code on requests imports from its utils."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlparse, urlunparse

from ._core import _accept_encoding
from ._headers import MutableHeaders
from ._prepare import file_length, position
from ._response import charset, each_link, split_outside
from .auth import NetrcAuth
from .cookies import (
    add_dict_to_cookiejar,
    cookiejar_from_dict,
    dict_from_cookiejar,
)
from .errors import InvalidHeader, InvalidURL, UnrewindableBodyError
from .policy.auth import split_userinfo
from .structures import CaseInsensitiveDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = [
    "CaseInsensitiveDict",
    "InvalidHeader",
    "InvalidURL",
    "UnrewindableBodyError",
    "add_dict_to_cookiejar",
    "cookiejar_from_dict",
    "default_headers",
    "default_user_agent",
    "dict_from_cookiejar",
    "from_key_val_list",
    "get_auth_from_url",
    "get_encoding_from_headers",
    "get_netrc_auth",
    "guess_filename",
    "guess_json_utf",
    "iter_slices",
    "parse_dict_header",
    "parse_header_links",
    "parse_list_header",
    "quote",
    "requote_uri",
    "super_len",
    "to_key_val_list",
    "unquote",
    "urldefragauth",
    "urlparse",
    "urlunparse",
]


# ---- headers -----------------------------------------------------------------


def default_user_agent(name: str | None = None) -> str:
    """"<name>/<version of hpool>", the name being hpool unless given."""
    from . import __version__

    return f"{name or 'hpool'}/{__version__}"


def default_headers() -> MutableHeaders:
    """What a client sends that is told nothing."""
    return MutableHeaders({
        "User-Agent": default_user_agent(),
        "Accept": "*/*",
        "Accept-Encoding": _accept_encoding(),
    })


def get_encoding_from_headers(headers: Mapping[str, str]) -> str | None:
    """The charset that a Content-Type names; what requests takes for granted
    where none is named: Latin-1 of text, UTF-8 of JSON; None of the rest.
    (`Response.encoding` goes by what is used today, which is UTF-8.)"""
    content_type = headers.get("content-type")
    if not content_type:
        return None
    named = charset(content_type)
    if named is not None:
        return named
    if "text" in content_type.partition(";")[0]:
        return "ISO-8859-1"
    return "utf-8" if "application/json" in content_type.lower() else None


def parse_header_links(value: str) -> list[dict[str, str]]:
    """A Link header as [{"url": ..., "rel": ..., ...}, ...]."""
    return list(each_link(value))


def parse_list_header(value: str) -> list[str]:
    """'a, "b, c"' as ["a", "b, c"]."""
    items = (item.strip() for item in split_outside(value, ","))
    return [_unquoted(item) for item in items if item]


def parse_dict_header(value: str) -> dict[str, str | None]:
    """'a="b, c", d' as {"a": "b, c", "d": None}."""
    found: dict[str, str | None] = {}
    for item in split_outside(value, ","):
        name, equals, text = item.strip().partition("=")
        if name:
            found[name.strip()] = _unquoted(text.strip()) if equals else None
    return found


def _unquoted(text: str) -> str:
    if len(text) < 2 or not text[0] == text[-1] == '"':
        return text
    return text[1:-1].replace("\\\\", "\\").replace('\\"', '"')


# ---- URLs --------------------------------------------------------------------


def requote_uri(uri: str) -> str:
    """`uri` with everything quoted that must be, and nothing twice."""
    unreserved = "!#$%&'()*+,/:;=?@[]~"
    for at, char in enumerate(uri):
        if char == "%" and not _is_hex(uri[at + 1 : at + 3]):
            return quote(uri, safe=unreserved.replace("%", ""))
    return quote(_plain(uri), safe=unreserved)


def _is_hex(text: str) -> bool:
    digits = "0123456789abcdefABCDEF"
    return len(text) == 2 and all(c in digits for c in text)


def _plain(uri: str) -> str:
    """Without the quoting that nobody needs: %41 is A."""
    first, *rest = uri.split("%")
    for part in rest:
        char = chr(int(part[:2], 16))
        harmless = char.isascii() and (char.isalnum() or char in "-._~")
        first += char + part[2:] if harmless else "%" + part
    return first


def urldefragauth(url: str) -> str:
    """`url` without credentials and fragment."""
    return split_userinfo(url)[0].partition("#")[0]


def get_auth_from_url(url: str) -> tuple[str, str]:
    """(user, password) in the URL, decoded; ("", "") where there is none."""
    _, pair = split_userinfo(url)
    user, password = pair or (b"", b"")
    return user.decode("utf-8", "replace"), password.decode("utf-8", "replace")


def get_netrc_auth(
    url: str, raise_errors: bool = False
) -> tuple[str, str] | None:
    """What netrc has for the URL's host: (user, password) or None.
    `raise_errors` has no effect: a file that cannot be read is told as
    HpoolWarning."""
    from .policy.netrc import find_file

    file = find_file()
    if file is None:
        return None
    return NetrcAuth(file).lookup(urlparse(url).hostname or "")


# ---- bodies ------------------------------------------------------------------


def super_len(o: Any) -> int:
    """How many bytes of `o` (bytes, a file, anything with len) are left to be
    sent; 0 when that cannot be known."""
    if isinstance(o, str):
        return len(o.encode())
    if hasattr(o, "__len__"):
        return len(o)
    length = getattr(o, "len", None)
    if isinstance(length, int):
        return max(0, length - (o.tell() if hasattr(o, "tell") else 0))
    if isinstance(o, io.TextIOBase):
        return _text_length(o)
    return file_length(o, position(o)) or 0 if hasattr(o, "read") else 0


def _text_length(file: io.TextIOBase) -> int:
    try:
        at = file.tell()
        length = len(file.read().encode())
        file.seek(at)
    except (OSError, ValueError):
        return 0
    return length


def guess_filename(obj: Any) -> str | None:
    """The name a file has in its directory, None of what is no such file."""
    name = getattr(obj, "name", None)
    if isinstance(name, str) and name and not name.startswith("<"):
        return os.path.basename(name)
    return None


def guess_json_utf(data: bytes) -> str | None:
    """Which of UTF-8, -16 and -32 the JSON text `data` is in, or None."""
    import json

    encoding = json.detect_encoding(data)
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return encoding


def iter_slices(string: Any, slice_length: int | None) -> Iterator[Any]:
    """Pieces of `slice_length`, the last one perhaps shorter."""
    step = slice_length or len(string) or 1
    for at in range(0, len(string), step):
        yield string[at : at + step]


# ---- mappings and pairs ------------------------------------------------------


def to_key_val_list(
    value: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None,
) -> list[tuple[Any, Any]] | None:
    """The pairs of a mapping, or of what is pairs already. ValueError."""
    if value is None:
        return None
    if isinstance(value, (str, bytes, bool, int)):
        raise ValueError("neither a mapping nor (name, value) pairs")
    return list(value.items() if isinstance(value, Mapping) else value)


def from_key_val_list(
    value: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None,
) -> dict[Any, Any] | None:
    """The same as a dict."""
    pairs = to_key_val_list(value)
    return None if pairs is None else dict(pairs)
