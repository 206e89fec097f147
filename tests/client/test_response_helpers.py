"""Text, lines, JSON, links and status errors, over a response that is a stub."""

import itertools
import json
import pickle

import pytest

import hpool
from hpool import _response


class Stub:
    """As much of a response as the helpers look at."""

    status_code = 200
    reason = "OK"
    url = "http://u:p@a.test/x?token=secret"
    request = hpool.PreparedRequest("GET", "http://a.test/x")
    timings = hpool.Timings(started=0.0, head=1.0)
    connection = hpool.ConnectionInfo(attempts=2, key="|http|a.test:80")

    def __init__(self, *pieces, encoding="utf-8"):
        self.pieces = pieces
        self.encoding = encoding
        self.asked = []

    def iter_bytes(self, chunk_size=None):
        self.asked.append(chunk_size)
        return iter(self.pieces)

    def _encoding_of(self, start):
        return self.encoding

    @property
    def content(self):
        return b"".join(self.pieces)

    @property
    def text(self):
        return _response.decode(self.content, self.encoding)


def splits(data):
    """Every way to cut the data into pieces."""
    for cuts in itertools.product([False, True], repeat=len(data) - 1):
        pieces, start = [], 0
        for at, cut in enumerate(cuts, 1):
            if cut:
                pieces.append(data[start:at])
                start = at
        yield [*pieces, data[start:]]


# ---- lines ------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"a\nb\n", b"a\r\nb", b"\r\n\r\na", b"a\rb\r", b"\n\r\r\n\r", b"ab\n\ncd", b"abc"],
)
def test_lines_however_they_are_cut(data):
    for pieces in splits(data):
        assert list(_response.iter_lines(Stub(*pieces))) == data.splitlines()


def test_no_lines():
    assert list(_response.iter_lines(Stub())) == []
    assert list(_response.iter_lines(Stub(b"", b""))) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("ü\u2028\n", ["ü\u2028"]),
        ("é\r\nx\x85y", ["é", "x\x85y"]),
        ("a\x0b\x0cb", ["a\x0b\x0cb"]),
        ("\r\nü\r\r\n", ["", "ü", ""]),
    ],
)
def test_lines_as_text_however_they_are_cut(data, expected):
    for pieces in splits(data.encode()):
        lines = list(_response.iter_lines(Stub(*pieces), decode_unicode=True))
        assert lines == expected
        assert list(_response.iter_text_lines(Stub(*pieces))) == lines


@pytest.mark.parametrize(
    ("data", "delimiter", "lines"),
    [
        (b"a;b;c", b";", [b"a", b"b", b"c"]),
        (b"a;b;", ";", [b"a", b"b"]),
        (b";;a", b";", [b"", b"", b"a"]),
        (b"a\r\n\r\nb", b"\r\n\r\n", [b"a", b"b"]),
        (b"a--b--c-", b"--", [b"a", b"b", b"c-"]),
        (b"aaaa", b"aaa", [b"", b"a"]),
        (b"a\nb", b"||", [b"a\nb"]),
    ],
)
def test_lines_with_a_delimiter_however_they_are_cut(data, delimiter, lines):
    for pieces in splits(data):
        stub = Stub(*pieces)
        assert list(_response.iter_lines(stub, delimiter=delimiter)) == lines
        texts = _response.iter_lines(
            Stub(*pieces), decode_unicode=True, delimiter=delimiter
        )
        assert list(texts) == [line.decode() for line in lines]


def test_a_line_comes_when_it_is_complete():
    seen = []

    def pieces():
        for piece in (b"a\nb", b"c\n", b"d"):
            yield piece
            seen.append("|")

    stub = Stub()
    stub.iter_bytes = pieces
    for line in _response.iter_lines(stub):
        seen.append(line)
    assert seen == [b"a", "|", b"bc", "|", "|", b"d"]


def test_a_long_line_is_joined_once():
    # A quadratic version would copy some 50 GB here.
    pieces = [b"x" * 1000] * 10_000
    assert list(map(len, _response.iter_lines(Stub(*pieces)))) == [10_000_000]
    lines = _response.iter_lines(Stub(*pieces), delimiter=b"--")
    assert list(map(len, lines)) == [10_000_000]


def test_lines_do_not_wait_for_a_chunk_to_be_full():
    stub = Stub(b"a")
    list(_response.iter_lines(stub, 512))
    list(_response.iter_lines(stub, 512, decode_unicode=True))
    list(_response.iter_text_lines(stub))
    list(_response.iter_text(stub, 7))
    assert stub.asked == [None, None, None, 7]


# ---- text -------------------------------------------------------------------


def test_text_however_it_is_cut():
    for pieces in splits("aü€😀".encode()):
        assert "".join(_response.iter_text(Stub(*pieces))) == "aü€😀"


def test_text_that_ends_in_the_middle_of_a_character():
    pieces = "ü".encode()[:1], b""
    assert list(_response.iter_text(Stub(*pieces))) == ["\ufffd"]


@pytest.mark.parametrize(
    "encoding", ["no-such-thing", "base64", "rot13", "a\0b", "punycode", ""]
)
def test_an_encoding_nobody_knows_is_utf_8(encoding):
    stub = Stub("ü".encode(), encoding=encoding)
    assert "".join(_response.iter_text(stub)) == "ü"
    if encoding:
        assert _response.decode("ü".encode(), encoding) == "ü"


def test_decode():
    assert _response.decode(b"\xfc", "latin-1") == "ü"
    assert _response.decode(b"\xfc", "utf-8") == "\ufffd"
    assert _response.decode(b"", "utf-8") == ""


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/html", None),
        ("text/html; charset=utf-8", "utf-8"),
        ('text/html;Charset = "Latin-1" ; x=y', "Latin-1"),
        ("text/html; charset='utf-8'", "utf-8"),
        ("text/html; charset=", None),
        ("text/html; x=charset", None),
        ("charset=utf-8", None),
        ("", None),
    ],
)
def test_charset(content_type, expected):
    assert _response.charset(content_type) == expected


# ---- JSON -------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"]
)
def test_json_in_its_encodings(encoding):
    assert _response.loads(Stub('{"a": "ü"}'.encode(encoding))) == {"a": "ü"}


def test_json_in_a_charset_it_should_not_have():
    stub = Stub('{"a": "ü"}'.encode("latin-1"), encoding="latin-1")
    assert _response.loads(stub) == {"a": "ü"}


def test_json_keywords():
    assert _response.loads(Stub(b"1.5"), parse_float=str) == "1.5"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": '])
def test_json_that_is_none(body):
    stub = Stub(body)
    with pytest.raises(hpool.JSONDecodeError, match="line 1 column") as caught:
        _response.loads(stub)
    assert isinstance(caught.value, json.JSONDecodeError)
    assert caught.value.response is stub
    assert caught.value.request is stub.request
    assert pickle.loads(pickle.dumps(caught.value)).doc == body.decode()


# ---- errors and links -------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "text"),
    [
        (404, "Not Found", "404 Client Error: Not Found"),
        (503, "", "503 Server Error"),
        (302, "Found", "302 Redirect: Found"),
        (999, "?" * 500, "999 Unexpected Status: " + "?" * 80),
    ],
)
def test_status_error(status, reason, text):
    stub = Stub()
    stub.status_code, stub.reason = status, reason
    error = _response.status_error(stub)
    assert type(error) is hpool.HTTPError
    assert str(error) == f"{text} for url: http://a.test/x?token=..."
    assert (error.response, error.request) == (stub, stub.request)


def test_links():
    value = (
        '<http://a.test/?page=2,3;x>; rel="next"; title="a, b; c", '
        '<http://a.test/9>; REL=last , </other>;type=x,<>; rel=empty'
    )
    assert _response.parse_links(value) == {
        "next": {
            "url": "http://a.test/?page=2,3;x",
            "rel": "next",
            "title": "a, b; c",
        },
        "last": {"url": "http://a.test/9", "rel": "last"},
        "/other": {"url": "/other", "type": "x"},
        "empty": {"url": "", "rel": "empty"},
    }


@pytest.mark.parametrize("value", ["", "nothing", "<unclosed", "a>b"])
def test_no_links(value):
    assert _response.parse_links(value) == {}
