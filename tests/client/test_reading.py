"""Response: every way in which a body is read."""

import array
import gzip
import io
import json
import shutil
import threading
import zlib

import pytest

from hpool import _core
from tests.server.scripted import (
    chunks,
    expect,
    respond,
    respond_chunked,
    send,
    serve,
)

BODY = b"first line\nsecond\r\n\nlast, no end"


@pytest.fixture(params=["length", "chunked", "gzip", "bytewise"])
def body(request, server, new_client):
    """A response with BODY, in several guises."""
    answer = {
        "length": respond(BODY),
        "chunked": respond_chunked(BODY[:7], BODY[7:20], BODY[20:]),
        "gzip": respond(gzip.compress(BODY), headers={"Content-Encoding": "gzip"}),
        "bytewise": respond_chunked(*[BODY[i : i + 1] for i in range(len(BODY))]),
    }[request.param]
    return new_client().get(server([serve(answer)]).url)


def test_read(body):
    """read(n) gives n bytes unless the body ends; read() the rest; then b""."""
    assert body.read(5) == BODY[:5]
    assert body.read(0) == b""
    assert body.read(10) == BODY[5:15]
    assert body.read() == BODY[15:]
    assert body.read() == body.read(1) == b""


def test_readinto(body):
    """readinto() fills a buffer with what is there; 0 is the end."""
    buffer = bytearray(8)
    got = b""
    while n := body.readinto(buffer):
        assert 0 < n <= 8
        got += buffer[:n]
    assert got == BODY


def test_readinto_other_buffers(server, new_client):
    """memoryviews and arrays are buffers too."""
    s = server([serve(respond(b"abcdefgh"))])
    r = new_client().get(s.url)
    numbers = array.array("I", [0])
    assert r.readinto(numbers) == 4
    assert numbers.tobytes() == b"abcd"
    target = bytearray(10)
    assert r.readinto(memoryview(target)[2:6]) == 4
    assert target == b"\0\0efgh\0\0\0\0"


def test_readline(body):
    """readline() and iteration give lines with their ends, as files do."""
    assert body.readline() == b"first line\n"
    assert body.readline(3) == b"sec"
    assert list(body) == [b"ond\r\n", b"\n", b"last, no end"]


def test_reading_mixed(body):
    """read() after readline() goes on where it stopped."""
    assert body.readline() == b"first line\n"
    assert body.read(3) == b"sec"
    assert body.readline() == b"ond\r\n"
    assert body.read() == b"\nlast, no end"


def test_a_buffered_reader(body):
    """io.BufferedReader and io.TextIOWrapper work on it."""
    reader = io.BufferedReader(body, 4)
    assert reader.peek(1)[:1] == b"f"
    assert reader.readline() == b"first line\n"
    assert io.TextIOWrapper(reader, "ascii", newline="").read() == (
        "second\r\n\nlast, no end"
    )


def test_as_a_file(server, new_client, tmp_path):
    """json.load, shutil.copyfileobj and zipfile-like readers take it as a file."""
    s = server([serve(respond(b'{"a": 1}'))])
    client = new_client()
    assert json.load(client.get(s.url)) == {"a": 1}
    with open(tmp_path / "out", "wb") as file:
        shutil.copyfileobj(client.get(s.url), file)
    assert (tmp_path / "out").read_bytes() == b'{"a": 1}'
    r = client.get(s.url)
    assert (r.readable(), r.writable(), r.seekable()) == (True, False, False)
    r.read()


def test_iter_content(body):
    """iter_content(n) gives pieces of at most n bytes, in all the body."""
    pieces = list(body.iter_content(7))
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) <= 7


def test_iter_bytes(body):
    """iter_bytes(n) gives pieces of exactly n bytes but for the last."""
    pieces = list(body.iter_bytes(7))
    assert b"".join(pieces) == BODY
    assert {len(piece) for piece in pieces[:-1]} == {7}


def test_iter_lines(body):
    """iter_lines() gives lines without their ends however they were cut."""
    assert list(body.iter_lines()) == BODY.splitlines()


def test_iter_lines_as_text(body):
    """The same as str."""
    lines = BODY.decode().splitlines()
    assert list(body.iter_lines(decode_unicode=True)) == lines


def test_iter_text(body):
    """iter_text() gives str."""
    assert "".join(body.iter_text()) == BODY.decode()


def test_content_then_the_rest(body):
    """After `content` everything can be read again from the start."""
    assert body.content == BODY
    assert b"".join(body.iter_content(5)) == BODY
    assert list(body.iter_lines()) == BODY.splitlines()
    assert body.text == BODY.decode()


def test_raw(server, new_client):
    """raw and iter_raw() give the bytes before decoding."""
    packed = gzip.compress(BODY)
    s = server([serve(respond(packed, headers={"Content-Encoding": "gzip"}))])
    client = new_client()
    assert client.get(s.url).raw.read() == packed
    assert b"".join(client.get(s.url).iter_raw(10)) == packed


def test_lines_as_they_come(server, new_client):
    """A line is given out when it is complete, not when the body ends."""
    go = threading.Event()
    head = respond(b"", headers={"Transfer-Encoding": "chunked"})
    first, rest = chunks(b"one\ntw")[:-5], chunks(b"o\n")
    s = server([expect(), send(head + first, go, rest)])
    lines = new_client().get(s.url).iter_lines()
    assert next(lines) == b"one"
    go.set()
    assert list(lines) == [b"two"]


@pytest.mark.parametrize(
    "name, coding, pack",
    [
        ("gzip", "gzip", gzip.compress),
        ("x-gzip", "x-gzip", gzip.compress),
        ("deflate", "deflate", zlib.compress),
        ("raw", "deflate", lambda b: zlib.compress(b, wbits=-15)),
        ("members", "gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
        ("twice", "deflate, gzip", lambda b: gzip.compress(zlib.compress(b))),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
@pytest.mark.parametrize("chunked", [False, True])
def test_compressed(server, new_client, name, coding, pack, chunked):
    """Compressed bodies come out as they were, whole and piece by piece."""
    body = b"0123456789" * 30000
    packed = pack(body)
    headers = {"Content-Encoding": coding}
    if chunked:
        pieces = [packed[i : i + 11] for i in range(0, len(packed), 11)]
        answer = respond_chunked(*pieces, headers=headers)
    else:
        answer = respond(packed, headers=headers)
    s = server([serve(answer)])
    client = new_client()
    assert client.get(s.url).content == body
    assert b"".join(client.get(s.url).iter_content(1000)) == body
    assert len(s.connections) == 1


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_other_codings(server, new_client, coding):
    """br and zstd are undone where the library was there when hpool was built; they
    are asked for only then. (Stored blocks, so that any decoder reads them.)"""
    asked = _core._accept_encoding().split(", ")
    packed = {
        # RFC 7932: a window, one uncompressed meta-block, the end.
        "br": bytes.fromhex("0b0280") + b"hello" + b"\x03",
        # RFC 8878: single segment, 5 bytes, one raw block, the last.
        "zstd": bytes.fromhex("28b52ffd2005290000") + b"hello",
    }[coding]
    s = server([serve(respond(packed, headers={"Content-Encoding": coding}))])
    r = new_client().get(s.url)
    if coding not in asked:
        assert r.read() == packed
        return
    assert r.read() == b"hello"


def test_accept_encoding_names_what_is_built_in():
    """gzip and deflate are always there."""
    asked = _core._accept_encoding().split(", ")
    assert asked[:2] == ["gzip", "deflate"]
    assert set(asked) <= {"gzip", "deflate", "br", "zstd"}
