"""Bodies and framing, S84 to S102."""

import gzip
import threading

import pytest

import hpool
from tests.server.scripted import (
    bytewise,
    chunks,
    close,
    expect,
    respond,
    respond_chunked,
    send,
    serve,
    until_closed,
)
from tests.tools import Call, closes, gauges, until, until_idle

NOTHING = (0, 0, 0, 0, 0)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("declared, sent", [(123, 26), (3, 2)])
def test_s84_short_body(server, new_client, declared, sent):
    """A body shorter than declared: all its bytes, then IncompleteRead."""
    answer = respond(b"x" * sent, headers={"Content-Length": declared})
    s = server([expect(), send(answer), close()])
    response = new_client().get(s.url)
    assert response.read(sent) == b"x" * sent
    with pytest.raises(hpool.IncompleteRead):
        response.read()


def test_s84_read_gives_the_bytes_first(server, new_client):
    """read(n) across the cut gives the bytes that came, the next one the error, and
    all after that the same."""
    answer = respond(b"Hello", headers={"Content-Length": 100})
    s = server([expect(), send(answer), close()])
    response = new_client().get(s.url)
    assert response.read(50) == b"Hello"
    for _ in range(3):
        with pytest.raises(hpool.IncompleteRead):
            response.read(50)


def test_s84_content_of_a_short_body(server, new_client):
    """`content` of a body that was cut is an error each time, never a part."""
    answer = respond(b"Hello", headers={"Content-Length": 100})
    s = server([expect(), send(answer), close()])
    response = new_client().get(s.url)
    for _ in range(2):
        with pytest.raises(hpool.IncompleteRead):
            response.content


@pytest.mark.parametrize("n", [-1, 0, 1])
def test_s85_read_after_close(server, new_client, n):
    """Any read after close() is a ClosedError, which is a ValueError as with files;
    also when the end had been reached by a stream."""
    s = server([serve(respond(b"body"))])
    client = new_client()
    response = client.get(s.url)
    response.close()
    with pytest.raises(hpool.ClosedError):
        response.read(n)
    response = client.get(s.url)
    assert response.read(4) == b"body"
    response.close()
    response.close()
    with pytest.raises(ValueError):
        response.read(n)
    assert response.closed


def test_s86_the_next_message(server, new_client):
    """A body of 250 KB closed in the middle, the next answer right behind it: that
    answer is whole."""
    for make in (respond, respond_chunked):
        s = server(
            [
                expect(),
                send(make(bytes(range(250)) * 1000)),
                serve(respond(b"next")),
            ]
        )
        client = new_client(limits=hpool.Limits(drain_timeout=5))
        with client.get(s.url) as response:
            assert len(response.read(2500)) == 2500
        until_idle(client, 1)
        assert client.get(s.url).read() == b"next"
        assert len(s.connections) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 20X Unknown\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.1 204 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_s87_s88_s89_bad_heads(server, new_client, head):
    """A head that is cut, or that careful readers refuse: RemoteProtocolError, and
    the connection is gone."""
    s = server([expect(), send(head), close()])
    client = new_client()
    with pytest.raises(hpool.RemoteProtocolError):
        client.get(s.url).read()
    assert gauges(client) == NOTHING


def test_s97_a_space_before_the_colon(server, new_client):
    """"Foo : bar" is never taken for "Foo". Go stores it under "Foo "; RFC 9112 5.1
    wants it refused, so that nobody reads it in another way than we do."""
    s = server([expect(), send(respond(b"", headers=[("Foo ", "bar")])), close()])
    client = new_client()
    with pytest.raises(hpool.RemoteProtocolError, match="field name is not a token"):
        client.get(s.url)
    assert closes(client) == {"protocol_error": 1}


def test_s90_the_end_is_seen_with_the_last_bytes(server, new_client):
    """Exactly the body's bytes were read from a chunked response whose end has come:
    the connection is back."""
    s = server([serve(respond_chunked(b"Foo bar ", b"baz a bar\nX"))])
    client = new_client()
    response = client.get(s.url)
    assert response.read(19) == b"Foo bar baz a bar\nX"
    assert response.connection.release == "keep"
    assert gauges(client) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "cut", [b"", b"0\r\n", b"0\r\nX-T", b"0\r\nX-T: y\r\n", b"0\r\nno colon\r\n\r\n"]
)
def test_s91_bad_trailers(server, new_client, cut):
    """A body whose trailer section is cut or malformed ends in an error."""
    s = server([expect(), send(CHUNKED + b"3\r\nfoo\r\n" + cut), close()])
    response = new_client().get(s.url)
    with pytest.raises(hpool.RemoteProtocolError):
        response.read()


def test_s92_trailers(server, new_client):
    """Trailers, declared or not, are there after the end, and no header before."""
    go = threading.Event()
    answer = respond_chunked(
        b"body",
        headers={"Trailer": "X-Declared"},
        trailers=[("X-Declared", "1"), ("X-Other", "2")],
    )
    end = answer.index(b"0\r\nX-Declared")
    s = server([expect(), send(answer[:end], go, answer[end:])])
    response = new_client().get(s.url)
    assert response.read(4) == b"body"
    assert dict(response.trailers) == {}
    go.set()
    assert response.read() == b""
    assert dict(response.trailers) == {"X-Declared": "1", "X-Other": "2"}
    assert "X-Declared" not in response.headers
    assert response.headers["Trailer"] == "X-Declared"


def gzipped(body=b"body", **how):
    return respond(gzip.compress(body), headers={"Content-Encoding": "gzip"}, **how)


def test_s93_gzip(server, new_client):
    """gzip is asked for and undone; a request's own Accept-Encoding goes out as it
    is, and decompress=False hands the body on as it came."""
    s = server([serve(gzipped())])
    client = new_client()
    assert client.get(s.url).read() == b"body"
    assert "gzip" in s.requests[0].get("Accept-Encoding")
    client.get(s.url, headers={"Accept-Encoding": "foo"}).read()
    assert s.requests[1].get("Accept-Encoding") == "foo"
    plain = client.get(s.url, decompress=False)
    assert plain.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(plain.read()) == b"body"


def test_s94_gzip_partly_read(server, new_client):
    """A large gzip body closed after a few bytes: reads after that are ClosedError,
    and the client goes on."""
    s = server([serve(gzipped(bytes(1 << 20)))])
    client = new_client()
    response = client.get(s.url)
    assert response.read(10) == bytes(10)
    response.close()
    with pytest.raises(hpool.ClosedError):
        response.read()
    assert client.get(s.url).read() == bytes(1 << 20)


def test_s95_gzip_is_undone_once(server, new_client):
    """gzip within gzip comes out as gzip."""
    s = server([serve(gzipped(gzip.compress(b"body")))])
    assert gzip.decompress(new_client().get(s.url).read()) == b"body"


def test_s95_gzip_cut_short(server, new_client):
    """Two bytes of gzip under a right framing: an error of the read, not of the
    call."""
    answer = respond(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    s = server([serve(answer)])
    response = new_client().get(s.url)
    with pytest.raises(hpool.ContentDecodingError):
        response.read()


def test_s95_gzip_in_capitals(server, new_client):
    """`Content-Encoding: GZIP` is gzip."""
    body = gzip.compress(b"body")
    s = server([serve(respond(body, headers={"Content-Encoding": "GZIP"}))])
    assert new_client().get(s.url).read() == b"body"


def test_s95_a_range_is_not_compressed(server, new_client):
    """A request with a Range does not ask for compression."""
    s = server([serve(respond(b"x", 206))])
    new_client().get(s.url, headers={"Range": "bytes=0-0"}).read()
    assert s.requests[0].get("Accept-Encoding") is None


def test_s96_decompress_off(server, new_client):
    """A client with decompress=False asks for no compression."""
    s = server([serve(respond(b"x"))])
    new_client(decompress=False).get(s.url).read()
    assert s.requests[0].get("Accept-Encoding") is None


def test_s98_rubbish_after_the_request_s_body(server, new_client):
    """The server reads the body and answers rubbish: RemoteProtocolError."""
    s = server([expect(), send(b"Some cookie\r\n\r\n"), close()])
    client = new_client()
    with pytest.raises(hpool.RemoteProtocolError):
        client.post(s.url, data=b"body")
    assert gauges(client) == NOTHING


@pytest.mark.parametrize("cut", [lambda x: [x], bytewise], ids=["whole", "bytewise"])
def test_s99_interim_responses(server, new_client, cut):
    """Interim responses before the final one are passed over."""
    interim = b"HTTP/1.1 123 Whatever\r\nFoo: bar\r\n\r\n"
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    s = server([expect(), send(*cut(interim + hints + respond(b"Hello")))])
    response = new_client().get(s.url)
    assert (response.status_code, response.read()) == (200, b"Hello")
    assert "Foo" not in response.headers and "Link" not in response.headers


def test_s100_too_many_interim_responses(server, new_client):
    """All heads of an answer share max_header_bytes."""
    interim = b"HTTP/1.1 123 Whatever\r\nFoo: %s\r\n\r\n" % (b"x" * 100)
    s = server([expect(), send(*[interim] * 10), until_closed()])
    client = new_client(max_header_bytes=1024)
    with pytest.raises(hpool.RemoteProtocolError, match="1024"):
        client.get(s.url)
    s.connections[0].wait_closed()


def test_s101_too_large_a_head(server, new_client):
    """A head beyond max_header_bytes is an error that names the limit."""
    answer = respond(b"", headers={"X": "x" * (1 << 20)})
    s = server([expect(), send(answer), until_closed()])
    client = new_client(max_header_bytes=512 << 10)
    with pytest.raises(hpool.RemoteProtocolError, match="524288"):
        client.get(s.url)
    assert gauges(client) == NOTHING


def test_s102_unsolicited_100s(server, new_client):
    """Five POSTs on one connection, each answered by a 100 and a 200: each gets its
    own 200."""
    s = server(
        [serve(lambda r: b"HTTP/1.1 100 Continue\r\n\r\n" + respond(r.target.encode()))]
    )
    client = new_client()
    for i in range(5):
        assert client.post(f"{s.url}/{i}", data=b"x").read() == b"/%d" % i
    assert len(s.connections) == 1


def test_chunks_however_they_are_cut(server, new_client):
    """A chunked body with extensions and trailers, byte by byte, is the same."""
    body = CHUNKED + b"4;ext=1\r\nwiki\r\n5\r\npedia\r\n0\r\nX-T: 1\r\n\r\n"
    s = server([expect(), send(*bytewise(body)), serve(respond(b"next"))])
    client = new_client()
    response = client.get(s.url)
    assert response.read() == b"wikipedia"
    assert dict(response.trailers) == {"X-T": "1"}
    assert client.get(s.url).read() == b"next"
    assert len(s.connections) == 1


def test_a_close_delimited_body(server, new_client):
    """Without any framing the body ends with the connection."""
    s = server([expect(), send(b"HTTP/1.1 200 OK\r\n\r\nall of it"), close()])
    client = new_client()
    assert client.get(s.url).read() == b"all of it"
    assert closes(client) == {"until_close_body": 1}


def test_max_size(server, new_client):
    """A body beyond max_size is BodyTooLarge, with and without a length."""
    s = server([serve(respond(bytes(101)))])
    with pytest.raises(hpool.BodyTooLarge):
        new_client(max_size=100).get(s.url).read()
    s = server([serve(respond_chunked(bytes(60), bytes(60)))])
    with pytest.raises(hpool.BodyTooLarge):
        new_client(max_size=100).get(s.url).read()
    assert len(new_client(max_size=120).get(s.url).read()) == 120


def test_max_size_is_for_bodies_that_are_wanted(server, new_client):
    """The head of one that is too large is an answer, and a redirect or an
    answer that is tried again leads on."""
    s = server([serve(respond(bytes(101), status=404))])
    client = new_client(max_size=100)
    with client.get(s.url) as r:
        assert r.status == 404
        with pytest.raises(hpool.BodyTooLarge, match="announces a body of 101 bytes"):
            r.read()
    with pytest.raises(hpool.BodyTooLarge):
        client.get(s.url, stream=False)

    def answer(request):
        if request.target == "/end":
            return respond(b"end")
        if len(s.requests) == 1:
            return respond(bytes(101), status=503)
        return respond(bytes(101), status=302, headers={"Location": "/end"})

    s = server([serve(answer)], [serve(answer)], [serve(answer)])
    rules = hpool.Retries(1, status_forcelist=[503])
    assert client.get(s.url, retries=rules).read() == b"end"
    assert [r.target for r in s.requests] == ["/", "/", "/end"]


def test_max_decoded_size(server, new_client):
    """A bomb stops at max_decoded_size."""
    s = server([serve(gzipped(bytes(1 << 20)))])
    client = new_client(max_decoded_size=1 << 16)
    with pytest.raises(hpool.BodyTooLarge):
        client.get(s.url).read()
    until_idle(client, client.stats().total.idle)


@pytest.mark.parametrize("size", [101, 6000, 20000])
def test_max_decoded_size_of_a_body_that_came_at_once(server, new_client, size):
    """A body whose last decoded byte came with the excess is no shorter body."""
    s = server([serve(gzipped(bytes(size)))])
    client = new_client(max_decoded_size=100)
    for read in (
        lambda r: r.content,
        lambda r: r.read(),
        lambda r: r.text,
        lambda r: r.raw.read(decode_content=True),
    ):
        with pytest.raises(hpool.BodyTooLarge):
            read(client.get(s.url))
    response = client.get(s.url)
    assert response.read(1000) == bytes(100)
    with pytest.raises(hpool.BodyTooLarge):
        response.read(1000)


def test_two_readers_at_once(server, new_client):
    """A second thread that reads the same body gets ConcurrentUse; the first one is
    not disturbed."""
    go = threading.Event()
    s = server([expect(), send(CHUNKED, go, chunks(b"body"))])
    response = new_client().get(s.url)
    first = Call(response.read)

    def second():
        try:
            response.read(0)
        except hpool.errors.ConcurrentUse:
            return True
        return False

    until(second)
    go.set()
    assert first.result() == b"body"
