"""Bodies as text: which encoding, and characters and lines that are cut anywhere."""

import base64
import codecs
import json
import re
import subprocess
import sys
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hpool
from hpool import _core, _response
from tests.server.scripted import (
    bytewise,
    chunks,
    expect,
    respond,
    respond_chunked,
    send,
    serve,
)

requests = pytest.importorskip("requests")


def made(content, content_type=None, **how):
    headers = {} if content_type is None else {"Content-Type": content_type}
    return hpool.Response(200, headers, content, **how)


def theirs(content, content_type=None):
    response = requests.Response()
    response._content = content
    response.status_code = 200
    if content_type is not None:
        response.headers["Content-Type"] = content_type
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    return response


class Cut:
    """As much of a response as _response needs: a body cut somewhere."""

    def __init__(self, pieces, encoding="utf-8"):
        self.pieces, self.encoding = pieces, encoding

    def iter_bytes(self, chunk_size=None):
        return iter(self.pieces)

    def _encoding_of(self, start):
        return self.encoding or made(start)._encoding_of(start)


# ---- beside requests ---------------------------------------------------------

TEXT = "naïve – 你好 😀\r\nλ\x85\u2028"


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        ('"utf-8"', "utf-8"),
        ("'utf-8'", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-32-be", "utf-32-be"),
        ("gb18030", "gb18030"),
        ("utf-7", "utf-7"),
        ("no-such-thing", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
    ],
)
def test_a_charset_that_was_declared(charset, codec):
    content, content_type = TEXT.encode(codec), f"text/plain; charset={charset}"
    assert made(content, content_type).text == TEXT
    assert theirs(content, content_type).text == TEXT


@pytest.mark.parametrize("charset", ["utf-8", "ascii", "shift_jis", "nonsense"])
@pytest.mark.parametrize("content", [b"a\xffb", b"\xe4\xf6", b"\x80" * 5, b"\xe2\x82"])
def test_bytes_that_do_not_fit(charset, content):
    content_type = f"text/html; charset={charset}"
    text = made(content, content_type).text
    assert text == theirs(content, content_type).text
    assert "\ufffd" in text or charset == "shift_jis"


charsets = st.sampled_from(["utf-8", "latin-1", "utf-16", "cp1252"])


@given(st.binary(max_size=50), charsets)
def test_text_is_that_of_requests(content, charset):
    content_type = f"text/plain; charset={charset}"
    ours, other = made(content, content_type), theirs(content, content_type)
    assert (ours.encoding, ours.text) == (other.encoding, other.text)


def test_encoding_is_set_as_in_requests():
    ours, other = made(b"\xe4", "text/plain; charset=utf-8"), theirs(b"\xe4")
    for response in (ours, other):
        response.encoding = "latin-1"
        assert (response.encoding, response.text) == ("latin-1", "ä")
    ours.encoding = None  # requests guesses then
    assert (ours.encoding, ours.text) == ("utf-8", "\ufffd")
    with pytest.raises(TypeError, match="encoding must be a str or None, not int"):
        ours.encoding = 3


@pytest.mark.parametrize("value", [{"a": ["ü", 1.5, None]}, [], "text", 3])
@pytest.mark.parametrize(
    "codec",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"],
)
def test_json_is_that_of_requests(value, codec):
    """RFC 8259 and 4627: whatever the header says."""
    content = json.dumps(value, ensure_ascii=False).encode(codec)
    for content_type in ("application/json", "text/html; charset=latin-1", None):
        assert made(content, content_type).json() == value
    if len(content) > 3:  # it looks at four bytes
        assert theirs(content).json() == value


GUESSES = {
    "ascii": b"plain",
    "utf-8": "naïve".encode(),
    "utf-8-sig": codecs.BOM_UTF8 + b"x",
    "utf-16": "naïve".encode("utf-16"),
    "utf-16-be": codecs.BOM_UTF16_BE + "x".encode("utf-16-be"),
    "utf-32": "naïve".encode("utf-32"),
    "cp1251": ("Все счастливые семьи похожи друг на друга" * 5).encode("cp1251"),
    "gb18030": ("人之初，性本善。性相近，习相远。" * 9).encode("gb18030"),
    "empty": b"",
}


@pytest.mark.parametrize("name", GUESSES)
def test_apparent_encoding_reads_what_that_of_requests_reads(name):
    content = GUESSES[name]
    text = content.decode(made(content).apparent_encoding)
    other = theirs(content).apparent_encoding or "utf-8"
    assert text.removeprefix("\ufeff") == content.decode(other).removeprefix("\ufeff")


WITHOUT_DETECTORS = """
import sys
sys.modules["chardet"] = sys.modules["charset_normalizer"] = None
import hpool
print(hpool.Response(200, {}, b"na\\xefve").apparent_encoding)
"""
LAZILY = """
import sys
import hpool
r = hpool.Response(200, {}, "naïve".encode())
assert (r.apparent_encoding, r.text) == ("utf-8", "naïve")
print({"chardet", "charset_normalizer"} & set(sys.modules) or "neither")
"""


@pytest.mark.parametrize(
    ("program", "said"), [(WITHOUT_DETECTORS, "windows-1252"), (LAZILY, "neither")]
)
def test_detectors_are_asked_late_and_need_not_be_there(program, said):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")


# ---- where nothing was declared ----------------------------------------------


def test_utf_8_where_nothing_was_declared():
    """requests takes text/* for latin-1 and guesses at the rest."""
    for content_type in (None, "text/html", "text/html; charset=", "image/png"):
        response = made("ü".encode(), content_type)
        assert (response.charset, response.encoding, response.text) == (
            None,
            "utf-8",
            "ü",
        )


@pytest.mark.parametrize(
    ("mark", "codec", "name"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    ],
)
def test_a_byte_order_mark(server, new_client, mark, codec, name):
    """It says what nobody declared, whole and in pieces; it is no character then."""
    body = mark + "né€\n".encode(codec)
    pieces = [body[i : i + 1] for i in range(len(body))]
    s = server([serve(respond_chunked(*pieces))])
    client = new_client()
    response = client.get(s.url)
    assert response.encoding == "utf-8"  # the body is not there yet
    assert (response.text, response.encoding) == ("né€\n", name)
    assert "".join(client.get(s.url).iter_text()) == "né€\n"
    assert "".join(client.get(s.url).iter_text(1)) == "né€\n"
    assert list(client.get(s.url).iter_lines(decode_unicode=True)) == ["né€"]


def test_a_byte_order_mark_where_something_was_said(new_client):
    """The header and the user are believed, as in requests."""
    content = codecs.BOM_UTF8 + b"x"
    declared = "text/plain; charset=utf-8"
    assert made(content, declared).text == theirs(content, declared).text == "\ufeffx"
    assert made(content, encoding="latin-1").text == "ï»¿x"
    response = made(content)
    response.encoding = "utf-8"
    assert response.text == "\ufeffx"
    assert list(response.iter_text()) == ["\ufeffx"]


@pytest.mark.parametrize("start", [b"\xef", b"\xef\xbb", b"\xff", b"\xff\xfe", b""])
def test_a_body_that_ends_where_a_mark_might_be(start):
    response = Cut([start[:1], start[1:]], None)
    expected = made(start).text
    assert "".join(_response.iter_text(response)) == expected


def test_text_is_not_held_back_for_a_mark(server, new_client):
    """A first piece that begins no mark comes at once."""
    go = threading.Event()
    head = respond(b"", headers={"Transfer-Encoding": "chunked"})
    s = server([expect(), send(head + b"1\r\n{\r\n", go, chunks(b"}"))])
    text = new_client().get(s.url).iter_text()
    assert next(text) == "{"
    go.set()
    assert list(text) == ["}"]


def test_default_encoding_as_a_function(server, new_client):
    """It gets the bytes: all for `text`, those that came first for a stream. None
    is UTF-8."""
    asked = []

    def guess(content):
        asked.append(content)
        return "latin-1" if b"\xe4" in content else None

    s = server([serve(respond_chunked(b"\xe4", b"\xf6"))])
    client = new_client(default_encoding=guess)
    assert client.get(s.url).text == "äö"
    assert asked.pop() == b"\xe4\xf6"
    assert "".join(client.get(s.url).iter_text(1)) == "äö"
    assert asked == [b"\xe4"]
    assert client.get(s.url).encoding == "latin-1"
    utf_8 = server([serve(respond("ü".encode()))])
    response = client.get(utf_8.url)
    assert (response.encoding, response.text) == ("utf-8", "ü")


def test_default_encoding_is_not_asked_where_one_was_declared(server, new_client):
    headers = {"Content-Type": "a/b; charset=latin-1"}
    s = server([serve(respond(b"\xe4", headers=headers))])
    response = new_client(default_encoding=lambda content: 1 / 0).get(s.url)
    assert response.text == "ä"


def test_default_encoding_of_a_wrong_kind(server, new_client):
    s = server([serve(respond(b"x"))])
    response = new_client(default_encoding=lambda content: 7).get(s.url)
    with pytest.raises(TypeError, match="default_encoding must return a str or None"):
        response.text
    broken = new_client(default_encoding=lambda content: 1 / 0).get(s.url)
    with pytest.raises(ZeroDivisionError):
        list(broken.iter_text())


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "unicode_escape", "rot13", "hex"]
)
def test_codecs_that_are_no_charsets(charset):
    """Some cost the square of the length, which a server could use."""
    content_type = f"text/plain; charset={charset}"
    assert made(b"a-\\x41", content_type).text == "a-\\x41"
    assert "".join(made(b"a-\\x41", content_type).iter_text()) == "a-\\x41"


# ---- cut anywhere ------------------------------------------------------------


@st.composite
def cut(draw, contents):
    """A content in pieces."""
    content = draw(contents)
    at = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    return [content[i:j] for i, j in zip([0, *at], [*at, len(content)])]


CODECS = ["utf-8", "utf-16", "utf-16-be", "utf-32", "utf-8-sig", "gb18030", "utf-7"]
characters = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
lines = st.text("ab\r\n\x85\u2028\x0b\x1cé", max_size=20)
marked = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])


@given(st.data(), st.sampled_from(CODECS))
def test_text_is_the_same_however_it_is_cut(data, codec):
    pieces = data.draw(cut(characters.map(lambda text: text.encode(codec))))
    whole = _response.decode(b"".join(pieces), codec)
    assert "".join(_response.iter_text(Cut(pieces, codec))) == whole


@given(cut(st.binary(max_size=20)), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_garbage_is_the_same_however_it_is_cut(pieces, codec):
    whole = _response.decode(b"".join(pieces), codec)
    assert "".join(_response.iter_text(Cut(pieces, codec))) == whole


@given(cut(st.tuples(marked, st.binary(max_size=6)).map(b"".join)))
def test_a_mark_is_seen_however_it_is_cut(pieces):
    whole = made(b"".join(pieces)).text
    assert "".join(_response.iter_text(Cut(pieces, None))) == whole


def split(text):
    """At LF, CR LF and CR, and no end makes an empty line."""
    end = r"\r\n|\r|\n" if isinstance(text, str) else rb"\r\n|\r|\n"
    *found, last = re.split(end, text)
    return [*found, last] if last else found


@given(cut(lines.map(str.encode)))
def test_lines_are_the_same_however_they_are_cut(pieces):
    content = b"".join(pieces)
    assert list(_response.iter_lines(Cut(pieces))) == content.splitlines()
    assert content.splitlines() == split(content)
    texts = _response.iter_lines(Cut(pieces), decode_unicode=True)
    assert list(texts) == split(content.decode())
    assert list(_response.iter_text_lines(Cut(pieces))) == split(content.decode())


marks = st.sampled_from([b"\n", b"ab", b"\r\n", b"aa", b"\0"])


@given(cut(st.text("ab\r\n\0").map(str.encode)), marks)
def test_delimited_lines_are_the_same_however_they_are_cut(pieces, mark):
    *found, last = b"".join(pieces).split(mark)
    expected = [*found, last] if last else found
    assert list(_response.iter_lines(Cut(pieces), delimiter=mark)) == expected


@given(cut(lines), st.sampled_from(["\n", "ab", "é", "\u2028"]))
def test_delimited_texts_are_the_same_however_they_are_cut(pieces, mark):
    *found, last = "".join(pieces).split(mark)
    expected = [*found, last] if last else found
    encoded = Cut([piece.encode() for piece in pieces])
    got = _response.iter_lines(encoded, decode_unicode=True, delimiter=mark)
    assert list(got) == expected


LINES = "one\r\ntwö\rthree\n\r\n\u2028{}\x85€\n\nlast"


@pytest.mark.parametrize("how", ["bytewise", "chunks of one", "at once"])
def test_lines_from_a_server(server, new_client, how):
    body = LINES.encode()
    answer = respond(body)
    if how == "chunks of one":
        answer = respond_chunked(*[body[i : i + 1] for i in range(len(body))])
    pieces = bytewise(answer) if how == "bytewise" else [answer]

    def play(connection):
        while connection.request(patient=True):
            connection.send(*pieces)

    client, s = new_client(), server(play)
    assert list(client.get(s.url).iter_lines()) == body.splitlines()
    texts = client.get(s.url).iter_lines(decode_unicode=True)
    assert list(texts) == split(LINES)
    assert list(client.get(s.url).iter_text_lines()) == split(LINES)
    assert "".join(client.get(s.url).iter_content(3, decode_unicode=True)) == LINES


def test_a_line_does_not_wait_for_the_other_half_of_its_end(server, new_client):
    """CR ends a line at once; an LF that follows belongs to it."""
    go = threading.Event()
    head = respond(b"", headers={"Transfer-Encoding": "chunked"})
    s = server([expect(), send(head + b"4\r\none\r\r\n", go, chunks(b"\ntwo"))])
    found = new_client().get(s.url).iter_lines()
    assert next(found) == b"one"
    go.set()
    assert list(found) == [b"two"]


def test_ndjson_with_line_separators_in_it():
    """JSON may have U+2028 and U+0085 within a line; requests would cut there."""
    rows = [{"a": "x\u2028y"}, {"b": "\x85"}, {"c": "\x0b".join("de")}]
    body = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    found = made(body.encode()).iter_lines(decode_unicode=True)
    assert [json.loads(line) for line in found] == rows


# ---- bombs -------------------------------------------------------------------

BOMB = """
import resource, sys
import hpool

def highest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def refused(read, **settings):
    with hpool.Client(**settings) as client:
        try:
            read(client)
        except hpool.BodyTooLarge as exc:
            return str(exc)

url = sys.argv[1]
with hpool.Client() as client:
    client.get(url + "/small").read()
    before = highest()
    read = {
        "content": lambda client: client.get(url).content,
        "text": lambda client: client.get(url).text,
        "lines": lambda client: list(client.get(url).iter_lines()),
        "pieces": lambda client: sum(map(len, client.get(url).iter_bytes(65536))),
        "not streamed": lambda client: client.get(url, stream=False),
    }
    for name, function in read.items():
        said = refused(function, max_decoded_size=1 << 20)
        assert said and "1048576" in said, (name, said)
    print(highest() - before)
"""


SIZE = 64 << 20

# 64 MiB of zeros as a brotli encoder has them, and zlib made that short.
BROTLI = (
    "eNrtzT8OwWAcBuD3a9GIRCUSk6Q2iwOY9LuB1SpOILFJ08/ELfQIZolEwgF6ASKmThiaVPzpz2Bx"
    "BMP7XOBJxbv1sR/N9CUwudh52XQ7VrxxYwm3vqrNi1hn6iHuvY3zCjrraRElBd1sIDk6ifinJRY7"
    "C4cn3uK86hgPEE29SMSEVqtaweRqp99kqMxPAiZMmDBhwoQJEyZMmDBhwoQJEyZMmDBhwoQJk79M"
    "Sh/rgrUw"
)


def deflated(wbits):
    packer = zlib.compressobj(9, wbits=wbits)
    block = bytes(1 << 20)
    packed = [packer.compress(block) for _ in range(SIZE >> 20)]
    return b"".join(packed) + packer.flush()


def zstandard():
    """RFC 8878: a window of 128 KiB, and blocks that say: so many zeros."""
    size = 128 << 10
    block, last = (
        (end | 1 << 1 | size << 3).to_bytes(3, "little") + b"\0" for end in (0, 1)
    )
    return bytes.fromhex("28b52ffd 00 38") + block * (SIZE // size - 1) + last


BOMBS = {
    "gzip": ("gzip", lambda: deflated(31)),
    "deflate": ("deflate", lambda: deflated(15)),
    "raw deflate": ("deflate", lambda: deflated(-15)),
    "br": ("br", lambda: zlib.decompress(base64.b64decode(BROTLI))),
    "zstd": ("zstd", zstandard),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_stops_early(server, new_client, name):
    """64 MiB in a few KiB: refused at max_decoded_size, in little memory."""
    coding, make = BOMBS[name]
    if coding not in _core._accept_encoding().split(", "):
        pytest.skip(f"hpool was built without {coding}")
    bomb = respond(make(), headers={"Content-Encoding": coding})
    s = server([serve(lambda r: respond(b"") if r.target == "/small" else bomb)])
    pieces = new_client().get(s.url).iter_bytes(1 << 20)
    assert sum(piece.count(0) for piece in pieces) == SIZE  # that much is in it
    done = subprocess.run(
        [sys.executable, "-c", BOMB, s.url], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8 << 20
