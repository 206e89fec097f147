"""What a Response does in Python: text, lines, JSON, links, pickling."""

from __future__ import annotations

import codecs
from itertools import chain

from ._redact import url_for_text
from .errors import HTTPError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._core import Response

# ---- text --------------------------------------------------------------------


def charset(content_type: str) -> str | None:
    """The charset parameter of a Content-Type, None without one."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("'\"").strip() or None
    return None


# Codecs of Python's own that no server means, some of them slow on purpose.
_NO_CHARSETS = frozenset({
    "idna",
    "punycode",
    "raw-unicode-escape",
    "undefined",
    "unicode-escape",
})


def _codec(encoding: str) -> str:
    """`encoding` if it is one that makes text, else UTF-8, as in requests."""
    try:
        b"a".decode(encoding, "replace")
        name = codecs.lookup(encoding).name.replace("_", "-")
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if name in _NO_CHARSETS else encoding


def decode(content: bytes, encoding: str) -> str:
    """`content` as text. Never fails: bytes that do not fit become U+FFFD, an
    encoding nobody knows counts as UTF-8."""
    return content.decode(_codec(encoding), "replace")


_MARKS = (
    codecs.BOM_UTF8,
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
    codecs.BOM_UTF32_LE,
    codecs.BOM_UTF32_BE,
)


def _start(pieces: Iterator[bytes]) -> bytes:
    """As many of the first bytes as tell whether there is a byte order mark."""
    start = b""
    for piece in pieces:
        start += piece
        if not any(
            len(start) < len(mark) and mark.startswith(start)
            for mark in _MARKS
        ):
            break
    return start


def iter_text(
    response: Response, chunk_size: int | None = None
) -> Iterator[str]:
    """The body decoded, as it arrives (or in pieces of `chunk_size` bytes).
    A character that is cut by a piece's end comes with the next one."""
    pieces = response.iter_bytes(chunk_size)
    start = _start(pieces)
    codec = _codec(response._encoding_of(start))
    decoder = codecs.getincrementaldecoder(codec)("replace")
    for piece in chain((start,), pieces):
        text = decoder.decode(piece)
        if text:
            yield text
    text = decoder.decode(b"", True)
    if text:
        yield text


def apparent_encoding(content: bytes) -> str:
    """A guess: the byte order mark, UTF-8 if it fits, what a detector says if
    one is installed, else the code page of western web pages, in which all
    bytes mean something."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return name
    try:
        content.decode()
    except UnicodeDecodeError:
        return _detected(content) or "windows-1252"
    return "utf-8"


def _detected(content: bytes) -> str | None:
    """What the detectors that requests knows say, in its order."""
    from importlib import import_module

    for name in ("chardet", "charset_normalizer"):
        try:
            detector = import_module(name)
        except ImportError:
            continue
        found: str | None = detector.detect(content)["encoding"]
        return found
    return None


# ---- lines -------------------------------------------------------------------


def iter_lines(
    response: Response,
    chunk_size: int | None = None,
    decode_unicode: bool = False,
    delimiter: bytes | str | None = None,
) -> Iterator[bytes] | Iterator[str]:
    """The body's lines without their ends, as soon as they are complete.

    bytes as in requests, str with `decode_unicode`. Ends are LF, CR LF and CR,
    or `delimiter` alone; for str no others either, since JSON may have U+2028
    and U+0085 within a line. Nothing is lost or doubled where a piece ends
    between CR and LF. A `chunk_size` would only delay them and has no effect.
    """
    if decode_unicode:
        return _lines(iter_text(response), "", delimiter)
    return _lines(response.iter_bytes(), b"", delimiter)


def iter_text_lines(response: Response) -> Iterator[str]:
    """httpx's iter_lines: the body's lines as str."""
    return _lines(iter_text(response), "", None)


def _lines(pieces: Iterator[Any], empty: Any, delimiter: Any) -> Iterator[Any]:
    if delimiter:
        return _split_at(pieces, _like(empty, delimiter))
    return _split_lines(pieces, empty)


def _like(empty: Any, mark: Any) -> Any:
    """`mark` as str or bytes, whichever `empty` is."""
    if isinstance(mark, type(empty)):
        return mark
    return mark.encode() if isinstance(mark, str) else mark.decode()


# Below, pieces are joined only when one of them ends a line: joining at each
# would make a long line cost its square.


def _split_at(pieces: Iterator[Any], mark: Any) -> Iterator[Any]:
    empty = mark[:0]
    held, tail = [], empty  # tail: as much as a cut mark may begin with
    for piece in pieces:
        held.append(piece)
        tail += piece
        if mark in tail:
            *lines, rest = empty.join(held).split(mark)
            yield from lines
            held, tail = [rest], rest
        tail = tail[max(0, len(tail) - len(mark) + 1) :]
    rest = empty.join(held)
    if rest:
        yield rest


def _split_lines(pieces: Iterator[Any], empty: Any) -> Iterator[Any]:
    cr, lf = _like(empty, "\r"), _like(empty, "\n")
    held: list[Any] = []
    after_cr = False  # an LF now is the second half of CR LF
    for piece in filter(None, pieces):
        text = piece[1:] if after_cr and piece.startswith(lf) else piece
        after_cr = piece.endswith(cr)
        if cr in text:
            text = text.replace(cr + lf, lf).replace(cr, lf)
        held.append(text)
        if lf in text:
            *lines, rest = empty.join(held).split(lf)
            yield from lines
            held = [rest]
    rest = empty.join(held)
    if rest:
        yield rest


# ---- JSON, errors, links -----------------------------------------------------


def loads(response: Response, **kw: Any) -> Any:
    """The body as JSON; `kw` goes to json.loads. JSONDecodeError."""
    import json

    from ._jsonerror import JSONDecodeError

    content = response.content
    try:
        try:
            return json.loads(content, **kw)
        except UnicodeDecodeError:
            # JSON is UTF-8, -16 or -32; a charset that says otherwise is
            # believed once the bytes are none of these.
            return json.loads(response.text, **kw)
    except json.JSONDecodeError as exc:
        raise JSONDecodeError(
            exc.msg, exc.doc, exc.pos, **_where(response)
        ) from None


def _where(response: Response) -> dict[str, Any]:
    """What every error says of its request, where there is an answer."""
    connection = response.connection
    return {
        "request": response.request,
        "response": response,
        "phase": "body",
        "timings": response.timings,
        "attempts": connection.attempts,
        "host": connection.key or None,
    }


def status_error(response: Response) -> HTTPError:
    """What raise_for_status() raises: "404 Client Error: Not Found for url:
    https://a.test/x" (the query's values are not shown)."""
    status = response.status_code
    kinds = {3: "Redirect", 4: "Client Error", 5: "Server Error"}
    kind = kinds.get(status // 100, "Unexpected Status")
    reason = f": {response.reason[:80]}" if response.reason else ""
    url = url_for_text(response.url)
    return HTTPError(
        f"{status} {kind}{reason} for url: {url}", **_where(response)
    )


def parse_links(value: str) -> dict[str, dict[str, str]]:
    """A Link header as {rel, or the URL without one: {"url": ..., ...}}."""
    return {link.get("rel") or link["url"]: link for link in each_link(value)}


def each_link(value: str) -> Iterator[dict[str, str]]:
    """Its links: {"url": ..., "rel": ..., ...}."""
    for url, parameters in _link_values(value):
        link = {"url": url}
        for parameter in split_outside(parameters, ";"):
            name, equals, text = parameter.partition("=")
            if equals:
                link[name.strip().lower()] = text.strip().strip("'\"")
        yield link


def _link_values(value: str) -> Iterator[tuple[str, str]]:
    """(URL, the rest) of each link. A URL may hold commas and semicolons."""
    at = 0
    while True:
        opening = value.find("<", at)
        closing = value.find(">", opening)
        if opening < 0 or closing < 0:
            return
        at = _comma_outside(value, closing + 1)
        yield value[opening + 1 : closing].strip(), value[closing + 1 : at]


def _comma_outside(text: str, at: int) -> int:
    """Where the first comma from `at` on is that is not within double quotes,
    or the end. Looks at no character twice: a server may send a million."""
    comma = text.find(",", at)
    while comma >= 0:
        quote = text.find('"', at, comma)
        if quote < 0:
            return comma
        at = text.find('"', quote + 1) + 1
        if at == 0:
            break
        if comma < at:
            comma = text.find(",", at)
    return len(text)


def split_outside(text: str, mark: str) -> Iterator[str]:
    """Splits at `mark` where it is not within double quotes."""
    quoted = False
    start = 0
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == mark and not quoted:
            yield text[start:at]
            start = at + 1
    yield text[start:]


# ---- pickling ----------------------------------------------------------------

# What comes back, next to status, headers and content.
_KEPT = (
    "reason",
    "url",
    "request",
    "http_version",
    "encoding",
    "elapsed",
    "history",
)


def reduce(response: Response) -> tuple[Any, ...]:
    """For Response.__reduce__: only a response whose body has been read can
    go to another process; the connection stays behind. TypeError otherwise:
    a pickle must not wait for the network."""
    timings = response.timings
    if timings.started is not None and timings.ended is None:
        raise TypeError(
            "a response whose body has not been read cannot be pickled; use "
            "its content first"
        )
    fields = {name: getattr(response, name) for name in _KEPT}
    headers = list(response.headers.multi_items())
    state = (response.status_code, headers, response.content, fields)
    return rebuild, state


def rebuild(
    status: int,
    headers: list[tuple[str, str]],
    content: bytes,
    fields: dict[str, Any],
) -> Response:
    """The read response that `reduce` took apart."""
    from ._core import Response

    return Response(status, headers=headers, content=content, **fields)
