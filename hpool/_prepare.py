"""What a request is made of, when it is more than a URL and bytes.

The C client calls in here for params=, base_url=, json=, forms, files,
iterators and host names beyond ASCII; a plain call needs none of it.
"""

from __future__ import annotations

import io
import os
from collections.abc import ItemsView, Mapping

from .errors import (
    InvalidArgument,
    InvalidJSONError,
    InvalidURL,
    UnrewindableBodyError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

FORM = "application/x-www-form-urlencoded"
PIECE = 262144  # how much of a file is read at a time

# ---- URLs --------------------------------------------------------------------


def add_params(url: str, params: object) -> str:
    """`url` with `params` added to its query, before any fragment.

    params: a mapping or pairs (a value may be a list; None is left out), or
    a str or bytes that is added as it is. TypeError for anything else.
    """
    query = _query_string(params, "params")
    if not query:
        return url
    before, hash_mark, fragment = url.partition("#")
    if "?" not in before:
        joint = "?"
    else:
        joint = "" if before.endswith(("?", "&")) else "&"
    return f"{before}{joint}{query}{hash_mark}{fragment}"


def merge_params(defaults: object, params: object) -> object:
    """A client's `params` with a call's laid over: a name in the call replaces
    the client's, a value of None takes it out. Where one of them is a plain
    string there are no names, and the two are joined."""
    if not defaults or params is None:
        return defaults if params is None else params
    if not params:
        return defaults
    if isinstance(defaults, (str, bytes)) or isinstance(params, (str, bytes)):
        parts = [_query_string(part, "params") for part in (defaults, params)]
        return "&".join(part for part in parts if part)
    named = _pairs(params, "params")
    names = {_text(name) for name, _ in named}
    kept = [
        pair
        for pair in _pairs(defaults, "params")
        if _text(pair[0]) not in names
    ]
    return kept + named


def join_base(base_url: str, url: str) -> str:
    """`url` below `base_url`, unless it has a scheme of its own.

    The path is put behind the base's path whether or not it starts with a
    slash, so a path from elsewhere never leaves the host:
    ("https://a/v1/", "/x?y=1") is "https://a/v1/x?y=1". A query of the base
    comes first.
    """
    if not base_url or _has_scheme(url):
        return url
    base, _, base_query = base_url.partition("#")[0].partition("?")
    rest, hash_mark, fragment = url.partition("#")
    path, _, query = rest.partition("?")
    if path:
        base = base.rstrip("/") + "/" + path.lstrip("/")
    query = "&".join(part for part in (base_query, query) if part)
    return base + (query and "?" + query) + hash_mark + fragment


def _has_scheme(url: str) -> bool:
    scheme, mark, _ = url.partition("://")
    return bool(mark) and not any(c in scheme for c in "/?#")


def idna_url(url: str) -> str:
    """`url` with its host in ASCII (UTS 46, non-transitional, IDNA 2008).

    InvalidURL when the host cannot be encoded. What is left to say about the
    result, the URL parser says.
    """
    scheme, mark, rest = url.partition("://")
    end = min((rest.find(c) for c in "/?#\\" if c in rest), default=len(rest))
    userinfo, at, hostport = rest[:end].rpartition("@")
    host, colon, port = hostport.partition(":")
    if not host or host.startswith("["):
        raise InvalidURL(f"the host of the URL is not a name: {hostport!r}")
    name = encode_host(host)
    return f"{scheme}{mark}{userinfo}{at}{name}{colon}{port}{rest[end:]}"


def encode_host(host: str) -> str:
    """`host` in ASCII, as a URL bears it. InvalidURL when it is no name."""
    import idna

    try:
        name = idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as exc:
        raise InvalidURL(f"the host {host!r} is not a name: {exc}") from None
    return name


# ---- forms and JSON ----------------------------------------------------------


def encode_json(obj: object) -> bytes:
    """`obj` as compact JSON in UTF-8. InvalidJSONError for what JSON does not
    have (NaN, a cycle, half a surrogate pair), TypeError for objects it does
    not know."""
    import json

    try:
        text = json.dumps(
            obj, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except ValueError as exc:
        raise InvalidJSONError(f"json: {exc}") from exc
    except TypeError as exc:
        raise TypeError(f"json: {exc}") from exc


def encode_data(data: object) -> tuple[Any, str | None]:
    """(body, content type) of a data= that is not bytes or str.

    A mapping or pairs become a form, which is str as in requests; a file or an
    iterable of pieces is the body itself. Nothing in a form is no body:
    (None, None).
    """
    if not _is_form(data):
        return data, None
    body = _query_string(data, "data")
    return (body, FORM) if body else (None, None)


def _is_form(data: object) -> bool:
    if isinstance(data, (Mapping, ItemsView)) or hasattr(data, "items"):
        return True
    if not isinstance(data, (list, tuple)):
        return False
    pieces = (bytes, bytearray, memoryview, str)
    return not data or not all(isinstance(item, pieces) for item in data)


def _query_string(params: object, argument: str) -> str:
    if params is None:
        return ""
    if isinstance(params, (str, bytes, bytearray)):
        return _text(params)
    from urllib.parse import quote_plus

    try:
        return "&".join(
            f"{quote_plus(_plain(name))}={quote_plus(_plain(value))}"
            for name, values in _pairs(params, argument)
            for value in _each(values)
            if value is not None
        )
    except UnicodeEncodeError:
        raise InvalidArgument(f"{argument}: half a surrogate pair") from None


def _pairs(params: Any, argument: str) -> list[tuple[Any, Any]]:
    items = params.items() if hasattr(params, "items") else params
    takes = f"{argument} takes a mapping, (name, value) pairs, a str or bytes"
    try:
        pairs = [tuple(item) for item in items]
    except TypeError:
        raise TypeError(f"{takes}, not {type(params).__name__}") from None
    for pair in pairs:
        if len(pair) != 2:
            raise InvalidArgument(f"{takes}, not {len(pair)} in place of two")
    return pairs


def _each(values: Any) -> Iterable[Any]:
    """One value, or the values of a list."""
    if isinstance(values, (str, bytes, bytearray)):
        return (values,)
    return values if hasattr(values, "__iter__") else (values,)


def _plain(value: object) -> str | bytes:
    if isinstance(value, (str, bytes)):
        return value
    return bytes(value) if isinstance(value, bytearray) else str(value)


def _text(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("latin-1")
    return str(value)


# ---- bodies that come in pieces ----------------------------------------------


class Source:
    """A body that is asked for its pieces."""

    length: int | None = None  # in bytes; None: unknown, it goes out chunked
    rewindable: bool = False
    untouched: bool = False  # it is known that nothing was asked for yet

    def next(self) -> bytes:
        """The next piece, b"" at the end. TypeError for one of a wrong type;
        what the producer raises passes through."""
        raise NotImplementedError

    def rewind(self) -> None:
        """Back to the start. UnrewindableBodyError when that fails."""
        raise UnrewindableBodyError(
            "the request's body is an iterator and cannot be sent again"
        )


def body_source(obj: object) -> Source:
    """A Source over a file object or an iterable of pieces.

    Pieces are bytes-like, or str which goes out as UTF-8. TypeError naming
    the argument for an object that is neither.
    """
    if isinstance(obj, Source):
        return obj
    if hasattr(obj, "read"):
        return _FileSource(obj)
    if isinstance(obj, (list, tuple)):
        return _ListSource(obj)
    if hasattr(obj, "__iter__") and not isinstance(obj, Mapping):
        return _IteratorSource(iter(obj), _len_or_none(obj))
    raise TypeError(
        "data/content takes bytes, str, a file or an iterable of bytes, not "
        + type(obj).__name__
    )


def _piece(value: object, where: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(
        f"data/content: {where} gave {type(value).__name__}, not bytes"
    )


class _FileSource(Source):
    """A file from where it stands to its end."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._start = position(file)
        self.length = file_length(file, self._start)
        self.rewindable = self._start is not None
        self.untouched = True
        self._left = self.length

    def next(self) -> bytes:
        self.untouched = False
        # A file that grows meanwhile ends where it ended at first: the head
        # has announced that length.
        want = PIECE if self._left is None else min(PIECE, self._left)
        if want == 0:
            return b""
        piece = _piece(self._file.read(want), "read()")
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def rewind(self) -> None:
        if not self.rewindable:
            raise UnrewindableBodyError(
                "the request's body is a file that cannot go back to its "
                "start, and so not be sent again"
            )
        try:
            self._file.seek(self._start)
        except (OSError, ValueError) as exc:
            raise UnrewindableBodyError(
                f"the request's body cannot be sent again: {exc}"
            ) from exc
        self._left = self.length


class _ListSource(Source):
    """Pieces that lie there already: the length is known."""

    rewindable = True

    def __init__(self, pieces: list[Any] | tuple[Any, ...]) -> None:
        self._pieces = [_piece(item, "the list") for item in pieces]
        self._next = iter(self._pieces)
        self.length = sum(map(len, self._pieces))

    def next(self) -> bytes:
        return next(filter(None, self._next), b"")

    def rewind(self) -> None:
        self._next = iter(self._pieces)


class _IteratorSource(Source):
    """Pieces somebody makes, once: what is re-iterable by its looks may yield
    something else, or nothing, the second time."""

    def __init__(self, pieces: Iterator[Any], length: int | None) -> None:
        self._pieces = pieces
        self.length = length
        self.untouched = True

    def next(self) -> bytes:
        self.untouched = False
        for item in self._pieces:
            piece = _piece(item, "the iterator")
            if piece:  # an empty piece is not the end
                return piece
        return b""


def position(file: Any) -> Any:
    """Where the file stands, if it can go back there; else None."""
    try:
        if hasattr(file, "seekable") and not file.seekable():
            return None
        at = file.tell()
        file.seek(at)
    except (AttributeError, OSError, ValueError):
        return None
    return at


def file_length(file: Any, start: Any) -> int | None:
    """Bytes from `start` to the end, if that can be known beforehand."""
    if isinstance(file, io.TextIOBase):
        return None  # characters are not bytes
    if isinstance(start, int):
        size = _seek_size(file, start)
        # Files of /proc say 0 and then deliver.
        return size if size else _empty_or_unknown(file, start)
    return _announced(file)


def _seek_size(file: Any, start: int) -> int | None:
    try:
        end = file.seek(0, os.SEEK_END)
        if end is None:
            end = file.tell()
        file.seek(start)
    except (OSError, ValueError, TypeError):
        return _announced(file)
    return max(0, int(end) - start)


def _empty_or_unknown(file: Any, start: int) -> int | None:
    more = file.read(1)
    file.seek(start)
    return None if more else 0


def _announced(file: Any) -> int | None:
    """What a file that cannot go back says of its length: `len`, or len()."""
    length = _len_or_none(file)
    if length is None and hasattr(file, "__len__"):
        length = len(file)
    return length


def _len_or_none(obj: Any) -> int | None:
    """`obj.len`, as objects have that build a body while it is read."""
    length = getattr(obj, "len", None)
    return length if isinstance(length, int) and length >= 0 else None
