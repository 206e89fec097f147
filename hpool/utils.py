"""The functions that code on requests imports from its utils."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Mapping
from functools import cache
from socket import inet_aton, inet_ntoa
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
from .exceptions import FileModeWarning
from .policy.auth import split_userinfo
from .policy.environment import (
    DEFAULT_PORTS,
    get_environ_proxies,
    resolve_proxies,
    select_proxy,
    should_bypass_proxies,
)
from .structures import CaseInsensitiveDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any
    from urllib.request import getproxies as getproxies
    from urllib.request import getproxies_environment as getproxies_environment
    from urllib.request import proxy_bypass as proxy_bypass

    from ._core import Response
    from .policy.request import PreparedRequest

    DEFAULT_CA_BUNDLE_PATH: str
    proxy_bypass_environment: Any

__all__ = [
    "CaseInsensitiveDict",
    "DEFAULT_ACCEPT_ENCODING",
    "DEFAULT_PORTS",
    "FileModeWarning",
    "InvalidHeader",
    "InvalidURL",
    "NETRC_FILES",
    "UNRESERVED_SET",
    "UnrewindableBodyError",
    "add_dict_to_cookiejar",
    "address_in_network",
    "check_header_validity",
    "cookiejar_from_dict",
    "default_headers",
    "default_user_agent",
    "dict_from_cookiejar",
    "dict_to_sequence",
    "dotted_netmask",
    "extract_zipped_paths",
    "from_key_val_list",
    "get_auth_from_url",
    "get_encoding_from_headers",
    "get_encodings_from_content",
    "get_environ_proxies",
    "get_netrc_auth",
    "get_unicode_from_response",
    "guess_filename",
    "guess_json_utf",
    "is_ipv4_address",
    "is_valid_cidr",
    "iter_slices",
    "parse_dict_header",
    "parse_header_links",
    "parse_list_header",
    "prepend_scheme_if_needed",
    "quote",
    "requote_uri",
    "resolve_proxies",
    "rewind_body",
    "select_proxy",
    "set_environ",
    "should_bypass_proxies",
    "stream_decode_response_unicode",
    "super_len",
    "to_key_val_list",
    "to_native_string",
    "unquote",
    "unquote_header_value",
    "unquote_unreserved",
    "urldefragauth",
    "urlparse",
    "urlunparse",
]

DEFAULT_ACCEPT_ENCODING = _accept_encoding()
NETRC_FILES = (".netrc", "_netrc")

# What never needs quoting in a URL.
UNRESERVED_SET = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)

# Of the standard library, as requests has them here.
_OF_URLLIB = (
    "getproxies",
    "getproxies_environment",
    "proxy_bypass",
    "proxy_bypass_environment",
)


def __getattr__(name: str) -> Any:
    # urllib.request imports much, certifi may not be there.
    if name in _OF_URLLIB:
        import urllib.request

        return getattr(urllib.request, name)
    if name == "DEFAULT_CA_BUNDLE_PATH":
        from .certs import where

        return where()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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


def get_encodings_from_content(content: str) -> list[str]:
    """The charsets that a page of HTML or XML itself names: those of <meta>,
    then that of the XML declaration."""
    meta = r"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([^\s"'/>;]+)"""
    xml = r"""^\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([^"']+)"""
    return re.findall(meta, content, re.IGNORECASE) + re.findall(xml, content)


def get_unicode_from_response(r: Response) -> str:
    """The body as text, by the charset of its Content-Type if that fits."""
    encoding = get_encoding_from_headers(r.headers)
    with contextlib.suppress(UnicodeError, LookupError, TypeError):
        return str(r.content, encoding or "")
    return r.text


def check_header_validity(
    header: tuple[str | bytes, str | bytes],
) -> None:
    """InvalidHeader for a (name, value) that cannot be sent. What the value is,
    is not told."""
    for part, what, form in zip(
        header, ("name", "value"), (r"[^:\s][^:\r\n]*", r"\S[^\r\n]*|")
    ):
        if not isinstance(part, (str, bytes)):
            raise InvalidHeader(
                f"a header's {what} is str or bytes, not {type(part).__name__}"
            )
        text = part if isinstance(part, str) else part.decode("latin-1")
        if not re.fullmatch(form, text):
            raise InvalidHeader(
                f"the {what} of the header {header[0]!r} begins with a blank, "
                "or holds what must not be sent in it"
            )


def parse_header_links(value: str) -> list[dict[str, str]]:
    """A Link header as [{"url": ..., "rel": ..., ...}, ...]."""
    return list(each_link(value))


def parse_list_header(value: str) -> list[str]:
    """'a, "b, c"' as ["a", "b, c"]."""
    items = (item.strip() for item in split_outside(value, ","))
    return [unquote_header_value(item) for item in items if item]


def parse_dict_header(value: str) -> dict[str, str | None]:
    """'a="b, c", d' as {"a": "b, c", "d": None}."""
    found: dict[str, str | None] = {}
    for item in split_outside(value, ","):
        name, equals, text = item.strip().partition("=")
        if name:
            found[name.strip()] = (
                unquote_header_value(text.strip()) if equals else None
            )
    return found


def unquote_header_value(value: str, is_filename: bool = False) -> str:
    """Without the quotes around it. In a file name with a UNC path only \\\" is
    one character, as browsers have it."""
    if len(value) < 2 or not value[0] == value[-1] == '"':
        return value
    text = value[1:-1]
    if is_filename and text.startswith("\\\\"):
        return text
    return text.replace("\\\\", "\\").replace('\\"', '"')


# ---- URLs --------------------------------------------------------------------


def requote_uri(uri: str) -> str:
    """`uri` with everything quoted that must be, and nothing twice."""
    reserved = "!#$&'()*+,/:;=?@[]~"
    try:
        return quote(unquote_unreserved(uri), safe=reserved + "%")
    except InvalidURL:
        return quote(uri, safe=reserved)  # a % that quotes nothing


def unquote_unreserved(uri: str) -> str:
    """Without the quoting that nobody needs: %41 is A. InvalidURL for %zz."""
    first, *rest = uri.split("%")
    for part in rest:
        digits = part[:2]
        if len(digits) < 2 or not digits.isalnum():
            first += "%" + part
            continue
        if not re.fullmatch("[0-9a-fA-F]{2}", digits):
            raise InvalidURL(f"%{digits} quotes nothing")
        char = chr(int(digits, 16))
        first += char + part[2:] if char in UNRESERVED_SET else "%" + part
    return first


def prepend_scheme_if_needed(url: str, new_scheme: str) -> str:
    """`url` with this scheme, unless it has one."""
    return url if "://" in url else f"{new_scheme}://{url.lstrip('/')}"


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


# ---- addresses ---------------------------------------------------------------


def is_ipv4_address(string_ip: str) -> bool:
    """Whether it is one, in any of the ways inet_aton takes."""
    try:
        inet_aton(string_ip)
    except OSError:
        return False
    return True


def is_valid_cidr(string_network: str) -> bool:
    """Whether it is an IPv4 network: "192.0.2.0/24", 1 to 32 bits."""
    address, slash, bits = string_network.partition("/")
    known = slash and bits.isascii() and bits.isdigit()
    return bool(known) and 1 <= int(bits) <= 32 and is_ipv4_address(address)


def dotted_netmask(mask: int) -> str:
    """24 as "255.255.255.0"."""
    bits = (1 << 32) - (1 << 32 - mask)
    return inet_ntoa(bits.to_bytes(4, "big"))


def address_in_network(ip: str, net: str) -> bool:
    """Whether the IPv4 address is in the network, "192.0.2.0/24"."""
    network, _, bits = net.partition("/")
    rest = 32 - int(bits)
    return _number(ip) >> rest == _number(network) >> rest


def _number(ip: str) -> int:
    return int.from_bytes(inet_aton(ip), "big")


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


def rewind_body(prepared_request: PreparedRequest) -> None:
    """Puts its body back to where it began. UnrewindableBodyError."""
    prepared_request._rewind()


def stream_decode_response_unicode(
    iterator: Iterable[bytes], r: Any
) -> Iterator[Any]:
    """The pieces as text in the encoding of `r`; as they are without one."""
    if r.encoding is None:
        yield from iterator
        return
    from codecs import getincrementaldecoder

    decoder = getincrementaldecoder(r.encoding)("replace")
    for piece in iterator:
        text = decoder.decode(piece)
        if text:
            yield text
    text = decoder.decode(b"", True)
    if text:
        yield text


def to_native_string(string: str | bytes, encoding: str = "ascii") -> str:
    """As str."""
    return string if isinstance(string, str) else string.decode(encoding)


# ---- files and variables -----------------------------------------------------


def extract_zipped_paths(path: str) -> str:
    """`path`, or, if it leads into a ZIP archive, that of a copy of the member,
    which lasts as long as the process."""
    from zipfile import is_zipfile

    archive, inside = path, ""
    while archive and not os.path.exists(archive):
        archive, _, name = archive.rpartition(os.sep)
        inside = f"{name}/{inside}" if inside else name
    if not inside or not os.path.isfile(archive) or not is_zipfile(archive):
        return path
    return _extracted(archive, inside) or path


@cache
def _extracted(archive: str, inside: str) -> str | None:
    """A copy in a directory that is nobody else's to write to."""
    import atexit
    from tempfile import mkdtemp
    from zipfile import ZipFile

    with ZipFile(archive) as zipped:
        if inside not in zipped.namelist():
            return None
        directory = mkdtemp(prefix="hpool-")
        atexit.register(_remove, directory, os.getpid())
        copy = os.path.join(directory, os.path.basename(inside))
        with open(copy, "wb") as file:
            file.write(zipped.read(inside))
    return copy


def _remove(directory: str, pid: int) -> None:
    import shutil

    if os.getpid() == pid:  # a child of a fork leaves it to its parent
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def set_environ(env_name: str, value: str | None) -> Iterator[None]:
    """With the variable set to `value`; as it is with None."""
    before = os.environ.get(env_name)
    if value is not None:
        os.environ[env_name] = value
    try:
        yield
    finally:
        if value is not None:
            del os.environ[env_name]
            if before is not None:
                os.environ[env_name] = before


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


def dict_to_sequence(d: Any) -> Any:
    """The pairs of a mapping; anything else as it is."""
    return d.items() if hasattr(d, "items") else d
