"""files=: a multipart/form-data body (RFC 7578) that is read from its files
while it is sent."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping

from .._prepare import PIECE, Source, file_length, position
from ..errors import (
    InvalidArgument,
    LocalProtocolError,
    UnrewindableBodyError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_TYPE = "multipart/form-data"
_UNKNOWN_TYPE = "application/octet-stream"
_AT_ONCE = 65536  # what is shorter is not sent in pieces of its own

# RFC 2046, 5.1.1
_BOUNDARY = re.compile(r"(?!.* $)[0-9A-Za-z'()+_,\-./:=? ]{1,70}")
_TOKEN = re.compile(r"[0-9A-Za-z!#$%&'*+\-.^_`|~]+")
_CONTROL = re.compile("[\0-\x08\n-\x1f\x7f]")
# As browsers do (the HTML standard, 4.10.21.8). A backslash is doubled, which
# browsers do not: a name that ends in one would take the closing quote along.
_QUOTED = {code: f"%{code:02X}" for code in (*range(32), ord('"'), 127)}
_QUOTED[ord("\\")] = "\\\\"


def encode(
    data: Any, files: Any, content_type: str | None = None
) -> tuple[Multipart, str | None]:
    """(body, Content-Type) of a call with data= and files=.

    data: the fields that come first, a mapping or (name, value) pairs, a
    value may be a list. files: a mapping or (name, file) pairs, a file as
    `Multipart.add_file` takes it, or a list of them. content_type: the header
    the request has, if it has one. Its boundary is used; where it has none it
    is completed; the second item is None when it can stay as it is.
    TypeError, InvalidArgument.
    """
    kind, boundary = _kind_and_boundary(content_type)
    body = Multipart(boundary)
    for name, values in _fields(data):
        for value in _each(values):
            if value is not None:
                body.add_field(name, value)
    for name, value in _pairs(files, "files"):
        for file in value if _is_several(value) else (value,):
            body.add_file(name, file)
    body.end()
    return body, None if boundary else f"{kind}; boundary={body.boundary}"


class Multipart(Source):
    """Fields and files as one body, a part each, in the order of adding.

    Files are read from where they stand while the body is sent, and never
    closed. length: the sum where every file's size is known, else None.
    rewindable: whether every part can be sent again. Iterating gives what is
    left of the body, in pieces.
    """

    def __init__(self, boundary: str | None = None) -> None:
        self.boundary = boundary or os.urandom(16).hex()
        self.length: int | None = 0
        self.rewindable = True
        self._parts: list[_Part] = []
        self._next = 0  # the part that is sent
        self._begun = False
        self._held = b""  # a long piece that comes next

    # -- building

    def add_field(self, name: Any, value: Any) -> None:
        """A part without a file name. The value: str, bytes, or what str()
        makes of it."""
        value = value if _is_content(value) else str(value)
        content = _utf8(value, f"data: the value of {name!r}")
        self._add_part([_disposition(name, None)], _Content(content))

    def add_file(self, name: Any, file: Any) -> None:
        """A part with a file, which is bytes, str, a binary file, an iterable
        of bytes, or a tuple (file name or None, one of these, content type,
        headers), the last two optional. None as the file adds nothing.
        A content type counts for more than one among the headers.

        Without a tuple the file name is the file's own, else the field's; the
        content type is guessed from it. TypeError, InvalidArgument.
        """
        filename, content, content_type, headers = _file_parts(name, file)
        if content is None:
            return
        fields = [
            (key, value)
            for key, value in _part_headers(headers, name)
            if content_type is None or key.lower() != "content-type"
        ]
        if all(key.lower() != "content-type" for key, _ in fields):
            content_type = content_type or guess_type(filename)
            if content_type is not None:
                fields.insert(0, ("Content-Type", content_type))
        lines = [_header_line(key, value, name) for key, value in fields]
        self._add_part(
            [_disposition(name, filename), *lines], _part(content, name)
        )

    def end(self) -> None:
        """After the last part."""
        self._append(_Content(f"--{self.boundary}--\r\n".encode()))

    def _add_part(self, lines: list[str], part: _Part) -> None:
        head = "\r\n".join([f"--{self.boundary}", *lines, "", ""])
        self._append(_Content(head.encode()))
        self._append(part)
        self._append(_Content(b"\r\n"))

    def _append(self, part: _Part) -> None:
        self._parts.append(part)
        if self.length is None or part.length is None:
            self.length = None
        else:
            self.length += part.length
        self.rewindable = self.rewindable and part.rewindable

    # -- sending

    def next(self) -> bytes:
        """The next piece. Short ones come together, but nothing that is
        there waits for a piece that an iterator still has to make."""
        if self._held:
            piece, self._held = self._held, b""
            return piece
        short: list[bytes] = []
        size = 0
        while size < _AT_ONCE and self._next < len(self._parts):
            part = self._parts[self._next]
            if size and part.may_wait:
                break
            piece = self._piece_of(part)
            if size and len(piece) > _AT_ONCE:
                self._held = piece
                break
            short.append(piece)
            size += len(piece)
            if size and part.may_wait:
                break
        return short[0] if len(short) == 1 else b"".join(short)

    def _piece_of(self, part: _Part) -> bytes:
        """b"" at the part's end, and the next part's turn."""
        if not self._begun:
            part.begin()
            self._begun = True
        piece = part.next()
        if not piece:
            self._next += 1
            self._begun = False
        return piece

    def rewind(self) -> None:
        for part in self._parts:
            part.rewind()
        self._next = 0
        self._begun = False
        self._held = b""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.next, b"")


# ---- parts -------------------------------------------------------------------


class _Part(Source):
    may_wait = False  # for somebody to make the next piece

    def begin(self) -> None:
        """Before the first piece, each time that the body is sent."""


class _Content(_Part):
    """What lies there as a whole."""

    rewindable = True

    def __init__(self, content: bytes) -> None:
        self._content = self._rest = content
        self.length = len(content)

    def next(self) -> bytes:
        piece, self._rest = self._rest, b""
        return piece

    def rewind(self) -> None:
        self._rest = self._content


class _File(_Part):
    """A binary file from where it stands to its end."""

    def __init__(self, file: Any, name: object) -> None:
        self._file = file
        self._what = f"files: the file of {name!r}"
        if isinstance(file, io.TextIOBase):
            raise self._not_binary("str")
        self._start = position(file)
        self.length = file_length(file, self._start)
        self.rewindable = self._start is not None
        self.may_wait = not self.rewindable
        self._left = self.length

    def begin(self) -> None:
        # One file may stand for several parts.
        if self.rewindable:
            self.rewind()

    def next(self) -> bytes:
        if self._left == 0:
            return b""
        piece = self._file.read(self._wanted())
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise self._not_binary(type(piece).__name__)
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise self._changed("longer")
            if not piece:
                raise self._changed("shorter")
        return bytes(piece)

    def _wanted(self) -> int:
        if self._left is None or self._left > PIECE:
            return PIECE
        # One more than there should be shows that it has grown, before its
        # last piece is sent. Where there is no way back, it might be waited
        # for.
        return self._left + 1 if self.rewindable else self._left

    def rewind(self) -> None:
        if self._start is None:
            raise UnrewindableBodyError(
                f"{self._what} cannot go back to its start, and so not be sent "
                "again"
            )
        try:
            self._file.seek(self._start)
        except (OSError, ValueError) as exc:
            raise UnrewindableBodyError(
                f"{self._what} cannot be sent again: {exc}"
            ) from exc
        self._left = self.length

    def _not_binary(self, kind: str) -> TypeError:
        return TypeError(
            f"{self._what} gives {kind}, not bytes; open it in binary mode"
        )

    def _changed(self, how: str) -> LocalProtocolError:
        return LocalProtocolError(
            f"{self._what} became {how} than the {self.length} bytes it had "
            "when the request began"
        )


class _Pieces(_Part):
    """An iterable of pieces, once."""

    may_wait = True

    def __init__(self, pieces: Iterable[Any], name: object) -> None:
        self._what = f"files: the iterator of {name!r}"
        self._pieces = iter(pieces)
        self._begun = False

    def next(self) -> bytes:
        self._begun = True
        for piece in self._pieces:
            if not _is_content(piece):
                raise TypeError(
                    f"{self._what} gave {type(piece).__name__}, not bytes"
                )
            if piece:  # an empty piece is not the end
                return _utf8(piece, self._what)
        return b""

    def rewind(self) -> None:
        if self._begun:
            raise UnrewindableBodyError(
                f"{self._what} gives its pieces once and cannot be sent again"
            )


def _part(content: Any, name: object) -> _Part:
    what = f"files: the content of {name!r}"
    if _is_content(content):
        return _Content(_utf8(content, what))
    if hasattr(content, "read"):
        return _File(content, name)
    if _is_buffer(content):
        return _Content(bytes(memoryview(content)))
    if hasattr(content, "__iter__") and not isinstance(content, Mapping):
        return _Pieces(content, name)
    advice = "; open it" if hasattr(content, "__fspath__") else ""
    raise TypeError(
        f"{what} takes bytes, str, a binary file or an iterable of bytes, not "
        f"{type(content).__name__}{advice}"
    )


# ---- heads of parts ----------------------------------------------------------


def _disposition(name: Any, filename: Any) -> str:
    line = f'Content-Disposition: form-data; name="{_quoted(name, "name")}"'
    if filename is not None:
        line += f'; filename="{_quoted(filename, "file name")}"'
    return line


def _quoted(name: Any, what: str) -> str:
    if not isinstance(name, str):
        name = _plain_text(name, what)
    _utf8(name, f"files: the {what} {name!r}")
    return str(name).translate(_QUOTED)


def _plain_text(name: Any, what: str) -> str:
    if isinstance(name, (bytes, bytearray)):
        try:
            return bytes(name).decode()
        except UnicodeDecodeError:
            raise InvalidArgument(
                f"files: the {what} {name!r} is not in UTF-8"
            ) from None
    if name is None or hasattr(name, "read"):
        raise TypeError(f"files: a {what} is a str, not {type(name).__name__}")
    return str(name)


def _part_headers(headers: Any, name: object) -> Iterator[tuple[str, str]]:
    """The (name, value) pairs that a part was given."""
    for key, value in _pairs(headers, "files: headers"):
        key, value = (
            part.decode("latin-1") if isinstance(part, bytes) else part
            for part in (key, value)
        )
        if value is None:
            continue
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"files: the headers of {name!r} take str")
        if key.lower() == "content-disposition":
            raise InvalidArgument(
                f"files: the Content-Disposition of {name!r} is made of its "
                "names and cannot be given as a header"
            )
        yield key, value


def _header_line(key: str, value: Any, name: object) -> str:
    if not isinstance(value, str):
        raise TypeError(
            f"files: the content type of {name!r} must be a str, not "
            f"{type(value).__name__}"
        )
    # The value is not shown: it may be anything.
    if not _TOKEN.fullmatch(key):
        raise InvalidArgument(
            f"files: {key!r} among the headers of {name!r} is no header name"
        )
    if _CONTROL.search(value):
        raise InvalidArgument(
            f"files: the header {key} of {name!r} has a control character"
        )
    _utf8(value, f"files: the header {key} of {name!r}")
    return f"{key}: {value}"


def guess_type(filename: Any) -> str | None:
    """The content type of a file with this name; None without a name."""
    if filename is None:
        return None
    import mimetypes

    # Of the ending alone: a whole name might be taken for a URL.
    ending = os.path.splitext(_plain_text(filename, "file name"))[1]
    kind, coding = mimetypes.guess_type("file" + ending)
    if coding is not None:
        return "application/gzip" if coding == "gzip" else _UNKNOWN_TYPE
    return kind or _UNKNOWN_TYPE


# ---- arguments ---------------------------------------------------------------


def _kind_and_boundary(content_type: str | None) -> tuple[str, str | None]:
    """A Content-Type header that was given: without a boundary, which has to
    be added, and its boundary."""
    if content_type is None:
        return _TYPE, None
    kind, *parameters = content_type.split(";")
    if not kind.strip().lower().startswith("multipart/"):
        raise InvalidArgument(
            "files= makes a multipart body, but the Content-Type header says "
            f"{kind.strip()[:80]!r}; leave the header out"
        )
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "boundary":
            boundary = value.strip()
            if boundary[:1] == boundary[-1:] == '"':
                boundary = boundary[1:-1]
            if not _BOUNDARY.fullmatch(boundary):
                raise InvalidArgument(
                    "the boundary in the Content-Type header takes 1 to 70 "
                    "characters of RFC 2046"
                )
            return content_type, boundary
    return content_type.rstrip("; \t"), None


def _fields(data: Any) -> list[tuple[Any, Any]]:
    if data is None:
        return []
    if _is_content(data) or hasattr(data, "read"):
        raise TypeError(
            "data takes a mapping or (name, value) pairs where files= is "
            f"given, not {type(data).__name__}"
        )
    return _pairs(data, "data")


def _pairs(pairs: Any, argument: str) -> list[tuple[Any, Any]]:
    takes = f"{argument} takes a mapping or pairs"
    if pairs is None:
        return []
    if _is_content(pairs):
        raise TypeError(f"{takes}, not {type(pairs).__name__}")
    items = pairs.items() if hasattr(pairs, "items") else pairs
    try:
        found = [item if _is_content(item) else tuple(item) for item in items]
    except TypeError:
        raise TypeError(f"{takes}, not {type(pairs).__name__}") from None
    for pair in found:
        if _is_content(pair) or len(pair) != 2:
            raise InvalidArgument(f"{takes} of a name and what belongs to it")
    return found


def _each(values: Any) -> Iterable[Any]:
    """One value, or the values of a list."""
    if _is_content(values) or not hasattr(values, "__iter__"):
        return (values,)
    each: Iterable[Any] = values
    return each


def _is_several(value: Any) -> bool:
    """Whether a list is one of files. requests also takes the list for a
    (file name, file, ...)."""
    if not isinstance(value, list) or not value:
        return False
    return value[0] is not None and not _is_content(value[0])


def _file_parts(name: Any, file: Any) -> tuple[Any, Any, Any, Any]:
    """(file name, content, content type, headers)"""
    if not isinstance(file, (tuple, list)):
        return _own_name(file) or name, file, None, None
    if not 2 <= len(file) <= 4:
        raise InvalidArgument(
            f"files: {name!r} takes (file name, file, content type, headers), "
            f"the last two optional, not {len(file)} items"
        )
    filename, content, content_type, headers = (*file, None, None)[:4]
    return filename, content, content_type, headers


def _own_name(file: Any) -> str | None:
    """The last part of a file's own path; None for "<stdin>" and the like."""
    name = getattr(file, "name", None)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str) or (name[:1] == "<" and name[-1:] == ">"):
        return None
    return os.path.basename(name) or None


def _is_content(value: Any) -> bool:
    return isinstance(value, (str, bytes, bytearray, memoryview))


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value).release()
    except TypeError:
        return False
    return True


def _utf8(value: Any, what: str) -> bytes:
    if not isinstance(value, str):
        return value if isinstance(value, bytes) else bytes(value)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(
            f"{what} has half a surrogate pair, which UTF-8 does not have"
        ) from None
