"""When a request is sent again, S57 to S65, beyond the table of the corpus."""

import gc
import io
import threading
import weakref

import pytest

import hpool
from tests.server.scripted import (
    close,
    expect,
    reset,
    respond,
    send,
    serve,
    until_closed,
)
from tests.tools import Call, gauges, until, until_idle

WARM = [expect(), send(respond(b"warm"))]
AGAIN = [expect(), send(respond(b"again"))]


def warm(client, s):
    assert client.get(s.url).read() == b"warm"


def test_s57_the_second_request_is_lost(server, new_client):
    """A GET whose reused connection dies before the first byte is sent again on a
    new one; the response names the request that was asked for."""
    s = server([*WARM, expect(), close()], AGAIN)
    client = new_client()
    warm(client, s)
    response = client.get(f"{s.url}/x", headers={"X-Id": "7"})
    assert response.read() == b"again"
    assert response.connection.attempts == 2
    assert response.request.url == f"{s.url}/x"
    assert [r.target for r in s.requests] == ["/", "/x", "/x"]
    assert s.requests[1].head == s.requests[2].head
    assert client.stats().total.replays.nonzero() == {"lost_before_first_byte": 1}


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_s57_nothing_was_written(server, new_client, method):
    """On a connection that the server closed while it was idle, any method goes out
    on another one: the server saw no byte of it."""
    s = server([*WARM, close()], AGAIN)
    client = new_client()
    warm(client, s)
    s.connections[0].wait_ended()
    assert client.request(method, s.url, data=b"body").read() == b"again"
    assert [r.method for r in s.requests] == ["GET", method]
    assert s.requests[1].body == b"body"


@pytest.mark.parametrize(
    "headers", [{"Idempotency-Key": "1"}, {"X-Idempotency-Key": "1"}]
)
def test_s59_an_idempotency_key(server, new_client, headers):
    """A POST that names an idempotency key may be sent again, body and all."""
    s = server([*WARM, expect(), close()], AGAIN)
    client = new_client()
    warm(client, s)
    assert client.post(s.url, data=b"body", headers=headers).read() == b"again"
    assert [r.body for r in s.requests[1:]] == [b"body"] * 2


@pytest.mark.parametrize("how", [{}, {"idempotent": False}])
def test_s59_a_post_is_not_sent_again(server, new_client, how):
    """A POST that may have arrived is not sent a second time; the error says that
    the connection was closed without an answer."""
    s = server([*WARM, expect(), close()])
    client = new_client()
    warm(client, s)
    with pytest.raises(hpool.ServerDisconnected) as caught:
        client.post(s.url, data=b"body", **how)
    assert caught.value.attempts == 1
    assert isinstance(caught.value, ConnectionError)
    assert len(s.requests) == 2


def test_s59_idempotent_with_a_one_shot_body(server, new_client):
    """idempotent=True promises what a body that exists once cannot keep: an error
    before anything is sent."""
    s = server(AGAIN)
    client = new_client()
    with pytest.raises(hpool.InvalidArgument):
        client.post(s.url, data=iter([b"x"]), idempotent=True)
    assert s.connections == []


def test_s59_a_file_goes_back_to_where_it_stood(server, new_client):
    """A seekable file is sent again from the position at which it was given."""
    s = server([*WARM, expect(), close()], AGAIN)
    client = new_client()
    warm(client, s)
    file = io.BytesIO(b"skipped body")
    file.seek(8)
    assert client.put(s.url, data=file, idempotent=True).read() == b"again"
    assert [r.body for r in s.requests[1:]] == [b"body"] * 2


def test_s60_the_body_s_own_error(server, new_client):
    """A body that raises on a reused connection: that very exception, read once, not
    sent again, the connection closed."""
    reads = []

    class Broken(Exception):
        pass

    def body():
        reads.append(1)
        yield b"first"
        raise Broken

    first = b"5\r\nfirst\r\n"  # and no terminating chunk
    head = expect(body=False)
    s = server([*WARM, head, lambda c: c.read(len(first)), until_closed()])
    client = new_client()
    warm(client, s)
    with pytest.raises(Broken):
        client.put(s.url, data=body())
    s.connections[0].wait_closed()
    assert reads == [1]
    assert gauges(client) == (0, 0, 0, 0, 0)


def test_s61_closed_right_after_accept(server, new_client):
    """A fresh connection that the server closes at once is an error, not a loop."""
    s = server([close()])
    client = new_client()
    with pytest.raises(hpool.ConnectionError) as caught:
        client.get(s.url)
    assert caught.value.attempts == 1
    assert len(s.connections) == 1


def test_s62_reset_on_a_fresh_connection(server, new_client):
    """A reset after the request, on a fresh connection, is an error that carries
    the system's number."""
    s = server([expect(), reset()])
    with pytest.raises(hpool.ConnectionError) as caught:
        new_client().get(s.url)
    assert caught.value.errno is not None
    assert len(s.requests) == 1


def test_all_idle_connections_are_dead(server, new_client):
    """Five idle connections, all reset unnoticed: the GET ends on a new one that
    works, however many it went through."""
    go = threading.Event()
    ok = respond(b"ok")
    cut = [expect(), send(ok[:-2], go, ok[-2:]), expect(), reset()]
    s = server(*[cut] * 5, *[[serve(respond(b"again"))]] * 5)
    client = new_client()
    held = [client.get(s.url) for _ in range(5)]
    go.set()
    assert [r.read() for r in held] == [b"ok"] * 5
    response = client.get(s.url)
    assert response.read() == b"again"
    assert response.connection.attempts <= 6


def test_s64_the_body_is_let_go(server, new_client):
    """After a failed request nothing holds its body any more."""

    class Body:
        def __iter__(self):
            return iter([b"x"])

    s = server([expect(body=False), reset()])
    client = new_client()
    body = Body()
    seen = weakref.ref(body)
    with pytest.raises(hpool.ConnectionError):
        client.post(s.url, data=body)
    del body
    gc.collect()
    assert seen() is None


def test_s65_the_buffer_is_free_when_the_call_returns(cserver, new_client):
    """POSTs with deadlines of 0.2 to 5 ms, the caller's buffer used again right
    after each: every call succeeds or times out, and the buffer is his again."""
    client = new_client()
    buffer = bytearray(b"x" * 200000)
    outcomes = set()
    for i in range(200):
        try:
            timeout = hpool.Timeout(total=0.0002 + 0.005 * (i % 25) / 25)
            response = client.post(f"{cserver.url}/x", data=buffer, timeout=timeout)
            assert response.read() == b"%d" % len(buffer)
            outcomes.add("done")
        except hpool.TotalTimeout:
            outcomes.add("late")
        response = None
        buffer.append(0)  # BufferError if anybody held it
    assert outcomes == {"done", "late"}
    until(lambda: client.stats().total.in_use == 0)


def test_concurrent_replays(server, new_client):
    """Ten connections warmed, then all lost under ten GETs: each is answered."""
    go = threading.Event()
    ok = respond(b"ok")
    lost = [expect(), send(ok[:-2], go, ok[-2:]), expect(), close()]
    s = server(*[lost] * 10, *[[serve(respond(b"again"))]] * 10)
    client = new_client()
    held = [client.get(s.url) for _ in range(10)]
    go.set()
    for response in held:
        response.read()
    calls = [Call(lambda: client.get(s.url).read()) for _ in range(10)]
    assert {call.result() for call in calls} == {b"again"}
    until(lambda: client.stats().total.in_use == 0)
    client.close()
    until_idle(client, 0)
