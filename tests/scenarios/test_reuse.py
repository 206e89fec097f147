"""Reuse and release, S1 to S32: when a connection is used again."""

import gzip
import threading

import pytest

import hpool
from tests.server.scripted import (
    chunks,
    close,
    expect,
    half_close,
    respond,
    respond_chunked,
    send,
    serve,
    until_closed,
)
from tests.tools import Call, closes, gauges, sockets_to, until, until_idle

KIB = 1024
LONG_DRAIN = hpool.Limits(drain_timeout=5)


def fetch(client, url, **how):
    """One GET, read to its end and never closed."""
    return client.get(url, **how).read()


def test_s1_the_same_request_twice(server, new_client):
    """Two identical GETs work one after the other, though both bodies are closed
    without being read."""
    s = server(serve_all(respond(b"hi")))
    client = new_client()
    for _ in range(2):
        response = client.get(s.url)
        response.close()
        assert response.status_code == 200
    assert len(s.requests) == 2


def serve_all(answer):
    return [serve(answer)]


def test_s2_keep_alive(server, new_client):
    """Two GETs read to their end, never closed, share a connection."""
    s = server(serve_all(respond(b"body")))
    client = new_client()
    assert [fetch(client, s.url) for _ in range(2)] == [b"body", b"body"]
    assert len(s.connections) == 1
    assert client.stats().total.reuses == 1


def test_s2_keep_alive_disabled(server, new_client):
    """With disable_keepalives each request has a connection of its own."""
    s = server(serve_all(respond(b"body")))
    client = new_client(limits=hpool.Limits(disable_keepalives=True))
    assert [fetch(client, s.url) for _ in range(2)] == [b"body", b"body"]
    for connection in s.wait_connections(2):
        connection.wait_closed()


@pytest.mark.parametrize("says_close, n", [(True, 2), (False, 1)])
def test_s3_response_says_close(server, new_client, says_close, n):
    """`Connection: close` in a response ends its connection, and the client closes
    every socket it opened."""
    headers = {"Connection": "close"} if says_close else {}
    s = server(serve_all(respond(b"body", headers=headers)))
    client = new_client()
    for _ in range(2):
        assert fetch(client, s.url) == b"body"
    assert closes(client) == ({"response_says_close": 2} if says_close else {})
    client.close()
    for connection in s.wait_connections(n):
        connection.wait_closed()
    assert len(s.connections) == n


@pytest.mark.parametrize("says_close, n", [(True, 2), (False, 1)])
def test_s4_request_says_close(server, new_client, says_close, n):
    """`Connection: close` in a request is sent, and ends the connection."""
    s = server(serve_all(respond(b"body")))
    client = new_client()
    headers = {"Connection": "close"} if says_close else {}
    for _ in range(2):
        assert fetch(client, s.url, headers=headers) == b"body"
    client.close()
    for connection in s.wait_connections(n):
        connection.wait_closed()
    assert len(s.connections) == n
    assert [r.get("Connection") for r in s.requests] == [
        "close" if says_close else None
    ] * 2


@pytest.mark.parametrize("disabled", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_s5_s6_close_is_said_once(server, new_client, disabled, asked):
    """`Connection: close` goes out exactly once if keep-alives are disabled or the
    request asks for it, else not at all."""
    s = server(serve_all(respond(b"body")))
    client = new_client(limits=hpool.Limits(disable_keepalives=disabled))
    fetch(client, s.url, headers={"Connection": "close"} if asked else {})
    assert s.requests[0].all("Connection") == ["close"] * (disabled or asked)


def test_s7_keys(server, new_client):
    """A host is known once it has been asked, under scheme, name and port; after
    close_idle() nothing of it is idle."""
    s = server(serve_all(respond(b"body")))
    client = new_client()
    assert client.stats().hosts == {}
    fetch(client, s.url)
    stats = client.stats()
    assert list(stats.hosts) == [f"|http|127.0.0.1:{s.port}"]
    assert stats.total.idle == 1
    assert client.close_idle() == 1
    assert client.stats().total.idle == 0


@pytest.mark.parametrize(
    "answer, length",
    [(respond(b"foobar"), "6"), (respond_chunked(b"foo", b"bar"), None)],
    ids=["length", "chunked"],
)
def test_s8_read_to_the_end(server, new_client, answer, length):
    """A body read to its end gives the connection back without any close."""
    s = server(serve_all(answer))
    client = new_client()
    held = []
    for _ in range(3):
        held.append(client.get(s.url))
        assert held[-1].headers.get("Content-Length") == length
        assert held[-1].read() == b"foobar"
    assert len(s.connections) == 1
    assert [r.connection.requests for r in held] == [1, 2, 3]


@pytest.mark.parametrize(
    "make",
    [respond, lambda body: respond_chunked(body)],
    ids=["length", "chunked"],
)
def test_s9_closed_unread_within_the_budget(server, new_client, make):
    """200 KiB closed unread are drained and the connection is used again; a token
    cancelled after the close and a read after it change nothing."""
    s = server(serve_all(make(bytes(200 * KIB))))
    client = new_client(limits=LONG_DRAIN)
    for _ in range(10):
        token = hpool.CancelToken()
        response = client.get(s.url, cancel=token)
        response.close()
        token.cancel()
        with pytest.raises(hpool.ClosedError):
            response.read(0)
        until_idle(client, 1)
    assert len(s.connections) == 1
    assert closes(client) == {}


@pytest.mark.parametrize(
    "make",
    [respond, lambda body: respond_chunked(body)],
    ids=["length", "chunked"],
)
def test_s9_closed_unread_beyond_the_budget(server, new_client, make):
    """500 KiB closed unread are not worth draining: the connection is closed, and
    the statistics say so."""
    s = server(serve_all(make(bytes(500 * KIB))))
    client = new_client(limits=LONG_DRAIN)
    for _ in range(2):
        client.get(s.url).close()
        until_idle(client, 0)
    assert len(s.connections) == 2
    assert sum(closes(client).values()) == 2
    assert set(closes(client)) <= {"body_unread", "drain_too_long"}


def test_s9_a_slow_drain_is_given_up(server, new_client):
    """A rest that does not come within drain_timeout costs the connection."""
    go = threading.Event()
    head = respond(b"", headers={"Content-Length": 10})
    s = server([expect(), send(head, go)])
    client = new_client(limits=hpool.Limits(drain_timeout=0.05))
    client.get(s.url).close()
    until_idle(client, 0)
    s.connections[0].wait_closed()
    go.set()
    assert closes(client) == {"drain_timeout": 1}


def test_s9_a_draining_connection_is_not_taken(server, new_client):
    """While a connection drains, a request has one of its own."""
    go = threading.Event()
    head = respond(b"", headers={"Content-Length": 10})
    s = server([expect(), send(head, go, bytes(10))], serve_all(respond(b"2")))
    client = new_client(limits=LONG_DRAIN)
    client.get(s.url).close()
    assert gauges(client) == (0, 0, 0, 1, 0)
    assert fetch(client, s.url) == b"2"
    go.set()
    until_idle(client, 2)


def test_s9_head_of_a_large_body(server, new_client):
    """A HEAD has no body to drain: one connection for all."""
    s = server(serve_all(respond(b"", headers={"Content-Length": 500 * KIB})))
    client = new_client()
    for _ in range(10):
        client.head(s.url).close()
    assert len(s.connections) == 1


HALF = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"


def test_s10_close_under_a_blocked_read(server, new_client):
    """close() from another thread returns at once and ends the read with
    ClosedError; the client goes on."""
    go = threading.Event()
    s = server([expect(), send(HALF, go)], serve_all(respond(b"next")))
    client = new_client()
    response = client.get(s.url)
    assert response.read1(5) == b"first"
    reader = Call(response.read)
    until(lambda: is_reading(response))
    response.close()
    assert isinstance(reader.error(2), hpool.ClosedError)
    assert fetch(client, s.url) == b"next"
    go.set()
    s.connections[0].wait_closed()
    until_idle(client, 1)


def is_reading(response):
    try:
        response.read(0)
    except hpool.errors.ConcurrentUse:
        return True
    return False


@pytest.mark.parametrize("close_it", [False, True])
def test_s10_truncated(server, new_client, close_it):
    """A chunked body that is cut off is an IncompleteRead, and its connection is
    gone; a close() after that is silent."""
    s = server([expect(), send(HALF), close()], serve_all(respond(b"next")))
    client = new_client()
    response = client.get(s.url)
    assert response.read(5) == b"first"
    with pytest.raises(hpool.IncompleteRead):
        response.read()
    if close_it:
        response.close()
    assert gauges(client) == (0, 0, 0, 0, 0)
    assert fetch(client, s.url) == b"next"


def test_s10_the_end_comes_after_the_close(server, new_client):
    """A body closed unread whose end comes in time: the connection is kept."""
    go = threading.Event()
    s = server([expect(), send(HALF, go, b"0\r\n\r\n"), serve(respond(b"next"))])
    client = new_client(limits=LONG_DRAIN)
    client.get(s.url).close()
    go.set()
    until_idle(client, 1)
    assert fetch(client, s.url) == b"next"
    assert len(s.connections) == 1


def test_s10_half_close_after_the_close(server, new_client):
    """A body closed unread and cut off then: the connection is not kept."""
    go = threading.Event()
    s = server([expect(), send(HALF, go), half_close(), until_closed()])
    client = new_client(limits=LONG_DRAIN)
    client.get(s.url).close()
    go.set()
    s.connections[0].wait_closed()
    until_idle(client, 0)
    assert closes(client) == {"drain_failed": 1}


def test_s11_trailers_after_the_close(server, new_client):
    """What a drain reads does not show in the response that was closed."""
    go = threading.Event()
    rest = b"0\r\nX-Trailer: late\r\n\r\n"
    s = server([expect(), send(HALF, go, rest), serve(respond(b"next"))])
    client = new_client(limits=LONG_DRAIN)
    response = client.get(s.url)
    response.close()
    go.set()
    until_idle(client, 1)
    assert dict(response.trailers) == {}
    assert fetch(client, s.url) == b"next"
    assert len(s.connections) == 1


@pytest.mark.parametrize(
    "limits",
    [
        hpool.Limits(disable_keepalives=True, drain_timeout=60),
        hpool.Limits(drain_bytes=0, drain_timeout=60),
        hpool.Limits(drain_timeout=0),
    ],
    ids=["disable_keepalives", "drain_bytes", "drain_timeout"],
)
def test_s12_no_drain(server, new_client, limits):
    """Where the connection would not be kept, or nothing is to be drained, close()
    closes the socket at once."""
    s = server([expect(), send(HALF), until_closed()])
    client = new_client(limits=limits)
    client.get(s.url).close()
    s.connections[0].wait_closed()
    assert client.stats().total.draining == 0


def test_s14_an_endless_body(server, new_client):
    """Three lines of an endless body, then close(): the server's writes fail."""

    def endless(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.send(b"hello\n" * 100)

    s = server(endless)
    client = new_client()
    with client.get(s.url) as response:
        assert [response.readline() for _ in range(3)] == [b"hello\n"] * 3
    s.connections[0].wait_closed()
    s.connections[0].wait_ended()


def test_s15_empty_bodies(server, new_client):
    """A response without a body has given its connection back when the call
    returns: 100 of them, none closed, share one."""
    s = server(serve_all(respond(b"")))
    client = new_client()
    held = [client.get(s.url) for _ in range(100)]
    assert len(s.connections) == 1
    assert {r.connection.release for r in held} == {"keep"}


@pytest.mark.parametrize("chunked", [True, False])
def test_s16_gzip_without_reading_the_end(server, new_client, chunked):
    """Exactly the decoded bytes were read, no end and no close: same connection."""
    packed = gzip.compress(b"hello, world")
    headers = {"Content-Encoding": "gzip"}
    make = respond_chunked if chunked else respond
    s = server(serve_all(make(packed, headers=headers)))
    client = new_client()
    held = []
    for _ in range(2):
        held.append(client.get(s.url))
        assert held[-1].read(12) == b"hello, world"
    assert len(s.connections) == 1


@pytest.mark.parametrize(
    "headers",
    [{"Content-Length": "123"}, {"Transfer-Encoding": "chunked"}],
    ids=["s17_length", "s18_chunked"],
)
def test_s17_s18_head(server, new_client, headers):
    """HEAD: the framing fields are shown, the body is empty, same connection."""
    s = server(serve_all(respond(b"", headers=headers)))
    client = new_client()
    for _ in range(2):
        response = client.head(s.url)
        assert response.content == b""
        assert response.headers.items() >= headers.items()
    assert len(s.connections) == 1


@pytest.mark.parametrize("close_it", [True, False])
def test_s19_no_content(server, new_client, close_it):
    """204s, closed or not, share one connection."""
    s = server(serve_all(respond(b"", 204)))
    client = new_client()
    for _ in range(4):
        response = client.get(s.url)
        if close_it:
            response.close()
    assert len(s.connections) == 1


def test_s20_a_chunked_304(server, new_client):
    """A 304 has no body whatever its fields say; stray bytes after it cost the
    connection and are nobody's response."""
    stray = respond(b"", 304, {"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n"
    s = server([expect(), send(stray)], serve_all(respond(b"next")))
    client = new_client()
    response = client.get(s.url)
    assert (response.status_code, response.content) == (304, b"")
    s.connections[0].wait_closed()
    assert fetch(client, s.url) == b"next"


def test_s21_a_304(server, new_client):
    """A plain 304 is empty and keeps its connection."""
    s = server(serve_all(respond(b"", 304)))
    client = new_client()
    assert [fetch(client, s.url) for _ in range(2)] == [b"", b""]
    assert len(s.connections) == 1


def test_s22_an_answer_before_the_end_of_the_upload(server, new_client):
    """The answer to an upload that the server does not read is given out; the next
    request has another connection."""
    done = threading.Event()

    def answer_early(connection):
        connection.expect(body=False)
        connection.send(respond(b"foo"))
        connection.wait(done)
        connection.close()

    s = server(answer_early, serve_all(respond(b"bar")))
    client = new_client()
    # More than the socket buffers of both sides hold.
    assert client.post(s.url, data=bytes(64 * KIB * KIB)).read() == b"foo"
    assert fetch(client, s.url) == b"bar"
    assert closes(client) == {"upload_unfinished": 1}
    done.set()


def test_s23_closed_after_the_answer(server, new_client):
    """A server that closes right after its answer: it is delivered, and the idle
    connection leaves the pool by itself."""
    s = server([expect(), send(respond(b"")), close()])
    client = new_client()
    assert client.get(s.url).status_code == 200
    until_idle(client, 0)
    until(lambda: sockets_to(s.port) == 0)


def test_s24_tls_server_closes(server, new_client, ca):
    """Over TLS: three bytes, then closed; the next request has a new connection."""
    once = [expect(), send(respond(b"foo")), close()]
    s = server(once, tls=ca.server_context())
    client = new_client(verify=ca.pem)
    for _ in range(5):
        assert fetch(client, s.url) == b"foo"
    assert len(s.connections) == 5


def test_s25_surprise_closes(server, new_client):
    """20 threads, 25 GETs each, to a server that hangs up after every answer
    without saying so: each call gets its answer."""
    s = server([expect(), send(respond(b"once")), close()], backlog=1024)
    client = new_client()

    def many():
        return [fetch(client, s.url) for _ in range(25)]

    for call in [Call(many) for _ in range(20)]:
        assert call.result(30) == [b"once"] * 25
    until_idle(client, 0)


def test_s26_a_late_cancel(server, new_client):
    """A token cancelled after its response has ended does not touch the next
    request on that connection."""
    go = threading.Event()
    second = respond(b"second")
    s = server(
        [
            expect(),
            send(respond(b"first")),
            expect(),
            send(second[:-3], go, second[-3:]),
        ]
    )
    client = new_client()
    token = hpool.CancelToken()
    first = client.get(s.url, cancel=token)
    assert first.read() == b"first"
    with client.get(s.url) as response:
        token.cancel()
        go.set()
        assert response.read() == b"second"
    assert len(s.connections) == 1


def test_s28_switching_protocols(server, new_client):
    """After a 101 the connection is the caller's: first what came with the head,
    then an echo; it counts for no limit any more."""
    head = respond(b"", 101, {"Connection": "upgRADe", "Upgrade": "foo"})

    def upgrade(connection):
        connection.expect()
        connection.send(head + b"Some buffered data\n")
        connection.send(connection.read(6).upper())
        connection.until_closed()

    s = server(upgrade)
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    response = client.get(s.url, headers={"Connection": "upgrade", "Upgrade": "foo"})
    assert response.status_code == 101
    with response.upgraded() as stream:
        assert stream.recv(100) == b"Some buffered data\n"
        stream.sendall(b"hello\n")
        assert stream.recv(100) == b"HELLO\n"
        assert client.stats().total.open == 0
    s.connections[0].wait_closed()


def test_s29_a_bare_101_is_final(server, new_client):
    """A 101 that names no protocol, though one was asked for, is an answer without
    a body and the end of its connection."""
    s = server([expect(), send(respond(b"", 101) + respond(b"", 204))])
    client = new_client()
    asked = {"Connection": "upgrade", "Upgrade": "foo"}
    response = client.get(s.url, headers=asked)
    assert (response.status_code, response.content) == (101, b"")
    s.connections[0].wait_closed()
    with pytest.raises(hpool.InvalidArgument):
        response.upgraded()


def test_s29_an_unasked_101_is_refused(server, new_client):
    """A 101 nobody asked for is the error of a server that talks to somebody
    else."""
    s = server([expect(), send(respond(b"", 101, {"Upgrade": "foo"}))])
    client = new_client()
    with pytest.raises(hpool.RemoteProtocolError, match="no upgrade was asked for"):
        client.get(s.url)
    s.connections[0].wait_closed()
    assert gauges(client) == (0, 0, 0, 0, 0)


def test_s30_connect(server, new_client):
    """After a 200 to CONNECT the connection is a stream both ways: three lines come
    back in capitals, one by one."""

    def tunnel(connection):
        line = connection.expect().line
        assert line == f"CONNECT 127.0.0.1:{s.port} HTTP/1.1"
        connection.send(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        for _ in range(3):
            connection.send(connection.read(6).upper())
        connection.until_closed()

    s = server(tunnel)
    response = new_client().request("CONNECT", s.url)
    assert response.status_code == 200
    with response.upgraded() as stream:
        for line in (b"line0\n", b"line1\n", b"line2\n"):
            stream.sendall(line)
            assert stream.recv(100) == line.upper()


def test_s31_close_and_a_body(server, new_client):
    """`Connection: close` and 20,000 bytes: all of them can be read."""
    answer = respond(b"x" * 20000, headers={"Connection": "close"})
    s = server([expect(), send(answer), close()])
    assert fetch(new_client(), s.url) == b"x" * 20000


def test_s32_streaming(server, new_client):
    """Words sent one at a time can be read as they come."""
    words = [b"I", b"am", b"not", b"the", b"walrus"]
    go = [threading.Event() for _ in words]

    def say(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event, word in zip(go, words):
            connection.wait(event)
            connection.send(chunks(word)[:-5])
        connection.send(b"0\r\n\r\n")

    s = server(say)
    with new_client().get(s.url) as response:
        for event, word in zip(go, words):
            event.set()
            assert response.read1() == word
        assert response.read1() == b""
