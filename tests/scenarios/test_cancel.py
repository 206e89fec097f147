"""Cancellation and timeouts, S67 to S83, in each phase of a request."""

import threading
import time

import pytest

import hpool
from tests.server.scripted import (
    close,
    expect,
    reset,
    respond,
    send,
    serve,
    silent_port,
    until_closed,
    wait,
)
from tests.tools import Call, gauges, sockets_to, until, until_idle, until_waiting

NOTHING = (0, 0, 0, 0, 0)
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nHello"
OK = respond(b"ok")


def is_cancelled(error, phase):
    assert isinstance(error, hpool.Cancelled)
    assert not isinstance(error, (TimeoutError, ConnectionError))
    assert error.phase == phase
    return True


def is_late(error, phase):
    assert isinstance(error, hpool.TotalTimeout)
    assert isinstance(error, TimeoutError)
    assert error.phase == phase
    return True


# ---- two requests, one connection --------------------------------------------


def test_s27_cancelled_on_a_shared_connection(server, new_client):
    """One connection for two. The first request's put_idle_conn hook blocks, while
    the second takes the connection and is cancelled: each gets its own outcome."""
    taken, go = threading.Event(), threading.Event()

    def hold(event, info):
        if event == "put_idle_conn":
            taken.wait(10)

    s = server(
        [expect(), send(OK), expect(), lambda c: taken.set(), wait(go), close()]
    )
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    first = Call(client.get, s.url, trace=hold, stream=False)
    token = hpool.CancelToken()
    until_idle(client, 1)
    second = Call(client.get, s.url, cancel=token)
    assert taken.wait(10)
    token.cancel()
    assert is_cancelled(second.error(), "head")
    assert first.result().content == b"ok"
    assert gauges(client) == NOTHING
    go.set()


# ---- a token -----------------------------------------------------------------


def test_s67_s72_cancelled_in_the_body(server, new_client):
    """The head and "Hello" have come, one connection is in use; cancel(): the read
    gives no further byte and Cancelled, again and again, and none is in use."""
    s = server([expect(), send(HELLO), until_closed()])
    client = new_client()
    token = hpool.CancelToken()
    response = client.get(s.url, cancel=token)
    assert response.read1() == b"Hello"
    assert client.stats().total.in_use == 1
    token.cancel()
    for _ in range(2):
        with pytest.raises(hpool.Cancelled) as caught:
            response.read()
        assert is_cancelled(caught.value, "body")
    assert gauges(client) == NOTHING
    s.connections[0].wait_closed()


def test_s67_cancelled_under_a_blocked_read(server, new_client):
    """cancel() from another thread ends a read that waits."""
    s = server([expect(), send(HELLO), until_closed()])
    token = hpool.CancelToken()
    response = new_client().get(s.url, cancel=token)
    assert response.read1() == b"Hello"
    reader = Call(response.read)
    until(lambda: is_reading(response))
    token.cancel()
    assert is_cancelled(reader.error(2), "body")


def is_reading(response):
    try:
        response.read(0)
    except hpool.errors.ConcurrentUse:
        return True
    return False


@pytest.mark.parametrize("body", [None, b"x" * 1000])
def test_s68_cancelled_before_the_head(server, new_client, body):
    """The server does not answer; cancel() ends the call at once."""
    s = server([expect(), until_closed()])
    client = new_client()
    token = hpool.CancelToken()
    call = Call(client.post, s.url, data=body, cancel=token)
    s.wait_requests(1)
    token.cancel()
    assert is_cancelled(call.error(2), "head")
    s.connections[0].wait_closed()
    assert gauges(client) == NOTHING


def test_s69_cancelled_in_the_dial(new_client):
    """The dial hangs; cancel(), twice, ends the call at once."""
    with silent_port() as port:
        client = new_client(limits=hpool.Limits(max_conns_per_host=1))
        token = hpool.CancelToken()
        call = Call(client.get, f"http://127.0.0.1:{port}", cancel=token)
        until(lambda: client.stats().total.dialing == 1)
        token.cancel()
        token.cancel()
        assert is_cancelled(call.error(2), "connect")
        until_idle(client, 0)


def test_cancelled_in_the_handshake(server, new_client, ca):
    """The server accepts and says nothing; cancel() ends the handshake."""
    s = server([until_closed()])  # no TLS at all
    client = new_client(verify=ca.pem, limits=hpool.Limits(max_conns_per_host=1))
    token = hpool.CancelToken()
    call = Call(client.get, f"https://127.0.0.1:{s.port}", cancel=token)
    s.wait_connections(1)
    token.cancel()
    assert isinstance(call.error(2), hpool.Cancelled)
    until_idle(client, 0)
    s.connections[0].wait_closed()


def test_cancelled_in_the_queue(server, new_client):
    """A waiter is cancelled: it leaves the queue, and the slot's holder does not
    notice."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:])])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    held = client.get(s.url)
    token = hpool.CancelToken()
    call = Call(client.get, s.url, cancel=token)
    until_waiting(client, 1)
    token.cancel()
    assert is_cancelled(call.error(2), "pool")
    assert gauges(client) == (0, 1, 0, 0, 0)
    go.set()
    assert held.read() == b"ok"


def test_cancelled_while_sending(server, new_client):
    """The server reads nothing of a large body; cancel() ends the upload."""
    done = threading.Event()
    s = server([lambda c: c.expect(body=False), wait(done), lambda c: c.close()])
    client = new_client()
    token = hpool.CancelToken()
    call = Call(client.post, s.url, data=bytes(1 << 26), cancel=token)
    s.wait_requests(1)
    token.cancel()
    assert is_cancelled(call.error(2), "send")
    assert gauges(client) == NOTHING
    done.set()


def test_s70_cancelled_before_the_call(server, new_client):
    """A token that is cancelled already: Cancelled, and no connection is made."""
    s = server([serve(OK)])
    client = new_client()
    token = hpool.CancelToken()
    token.cancel()
    with pytest.raises(hpool.Cancelled):
        client.get(s.url, cancel=token)
    assert s.connections == []
    assert client.stats().total.dials == 0


def test_s71_half_a_head(server, new_client):
    """Half a response head has come; cancel() is Cancelled and no protocol error."""
    s = server([expect(), send(b"HTTP/1.1 200 OK\r\nContent-"), until_closed()])
    token = hpool.CancelToken()
    call = Call(new_client().get, s.url, cancel=token)
    s.wait_requests(1)
    token.cancel()
    assert is_cancelled(call.error(2), "head")


def test_one_token_for_many(server, new_client):
    """One token ends all the requests it was given to, and those made later."""
    s = server([expect(), until_closed()])
    client = new_client()
    token = hpool.CancelToken()
    calls = [Call(client.get, s.url, cancel=token) for _ in range(8)]
    s.wait_requests(8)
    token.cancel()
    for call in calls:
        assert is_cancelled(call.error(2), "head")
    with pytest.raises(hpool.Cancelled):
        client.get(s.url, cancel=token)
    assert gauges(client) == NOTHING


# ---- total and deadline() ----------------------------------------------------


def test_s73_s76_total_before_the_head(server, new_client):
    """`total` ends a request whose head does not come; the server sees the
    connection close."""
    s = server([expect(), until_closed()])
    client = new_client()
    with pytest.raises(hpool.TotalTimeout) as caught:
        client.get(s.url, timeout=hpool.Timeout(total=0.1))
    assert is_late(caught.value, "head")
    s.connections[0].wait_closed()
    assert gauges(client) == NOTHING
    assert client.stats().total.timeouts.nonzero() == {"head": 1}


def test_s73_s75_total_in_the_body(server, new_client):
    """`total` goes on counting after the head: it ends the body, and the server sees
    the connection close."""
    s = server([expect(), send(HELLO), until_closed()])
    client = new_client()
    response = client.get(s.url, timeout=hpool.Timeout(total=0.2))
    assert response.read1() == b"Hello"
    with pytest.raises(hpool.TotalTimeout) as caught:
        response.read()
    assert is_late(caught.value, "body")
    s.connections[0].wait_closed()
    assert gauges(client) == NOTHING


def test_total_in_the_queue(server, new_client):
    """`total` ends the wait for a connection as TotalTimeout."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:])])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    held = client.get(s.url)
    with pytest.raises(hpool.TotalTimeout) as caught:
        client.get(s.url, timeout=hpool.Timeout(total=0.1))
    assert is_late(caught.value, "pool")
    go.set()
    assert held.read() == b"ok"


def test_total_in_the_dial(new_client):
    """`total` ends a dial as TotalTimeout."""
    with silent_port() as port:
        with pytest.raises(hpool.TotalTimeout) as caught:
            new_client().get(
                f"http://127.0.0.1:{port}", timeout=hpool.Timeout(total=0.1)
            )
    assert is_late(caught.value, "connect")


@pytest.mark.parametrize("slow", [HELLO, b""], ids=["body", "head"])
def test_deadline_bounds_what_is_inside(server, new_client, slow):
    """deadline() ends requests made inside it, bodies included."""
    s = server([expect(), send(slow), until_closed()])
    client = new_client()
    with pytest.raises(hpool.TotalTimeout), hpool.deadline(0.1):
        client.get(s.url).read()
    with hpool.deadline(10), pytest.raises(hpool.TotalTimeout):
        with hpool.deadline(0.1):
            client.get(s.url).read()


def test_deadline_that_is_over(server, new_client):
    """A request begun after its deadline is not sent."""
    s = server([serve(OK)])
    client = new_client()
    with hpool.deadline(0.01):
        end = time.monotonic() + 0.02
        until(lambda: time.monotonic() > end)
        with pytest.raises(hpool.TotalTimeout):
            client.get(s.url)
    assert s.requests == []
    assert client.get(s.url).read() == b"ok"


def test_deadline_does_not_pass_into_threads(server, new_client):
    """A thread started inside a deadline is not bound by it."""
    go = threading.Event()
    s = server([expect(), wait(go), send(OK)])
    client = new_client()
    with hpool.deadline(0.05):
        call = Call(lambda: client.get(s.url).read())
        end = time.monotonic() + 0.1
        until(lambda: time.monotonic() > end)
    go.set()
    assert call.result() == b"ok"


def test_s77_cancelled_with_a_long_timeout(server, new_client):
    """An hour's timeout and a cancel in the body: Cancelled, and no timeout."""
    s = server([expect(), send(HELLO), until_closed()])
    token = hpool.CancelToken()
    response = new_client().get(s.url, cancel=token, timeout=hpool.Timeout(total=3600))
    token.cancel()
    with pytest.raises(hpool.Cancelled) as caught:
        response.read()
    assert is_cancelled(caught.value, "body")


def test_s77_a_timeout_that_does_not_come(server, new_client):
    """An hour's timeout and a normal body: no error from read or close."""
    s = server([serve(OK)])
    with new_client().get(s.url, timeout=hpool.Timeout(total=3600)) as response:
        assert response.read() == b"ok"


# ---- the phases' own ---------------------------------------------------------


def test_s74_response_header_timeout(server, new_client):
    """A slow head is a ReadTimeout of the head; before and after it the client
    works."""
    slow = [expect(), until_closed()]
    s = server([serve_one(), *slow], [serve(OK)])
    client = new_client()
    limit = hpool.Timeout(response_header=0.1)
    assert client.get(s.url, timeout=limit).read() == b"ok"
    with pytest.raises(hpool.ReadTimeout, match="response head") as caught:
        client.get(s.url, timeout=limit)
    assert caught.value.phase == "head"
    assert isinstance(caught.value, TimeoutError)
    assert client.get(s.url, timeout=limit).read() == b"ok"


def serve_one():
    def play(connection):
        connection.expect()
        connection.send(OK)

    return play


def test_a_dripping_head_is_bounded(server, new_client):
    """A head that comes byte by byte is ended by response_header, though it is never
    silent for long."""

    def drip(connection):
        connection.expect()
        while True:
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            if connection.closed.wait(0.02):
                return

    s = server(drip)
    with pytest.raises(hpool.ReadTimeout):
        new_client().get(s.url, timeout=hpool.Timeout(response_header=0.2))
    s.connections[0].wait_closed()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_requests_pair_bounds_the_head(server, new_client, sent):
    """timeout=(5, 0.2): silence before or within the head ends after 0.2 s."""
    s = server([expect(), send(sent), until_closed()])
    begun = time.monotonic()
    with pytest.raises(hpool.ReadTimeout):
        new_client().get(s.url, timeout=(5, 0.2))
    assert 0.15 < time.monotonic() - begun < 4


def test_read_timeout_in_the_body(server, new_client):
    """Silence in a body is a ReadTimeout, and the connection is closed."""
    s = server([expect(), send(HELLO), until_closed()])
    client = new_client()
    response = client.get(s.url, timeout=(5, 0.1))
    with pytest.raises(hpool.ReadTimeout) as caught:
        response.read()
    assert caught.value.phase == "body"
    s.connections[0].wait_closed()
    assert gauges(client) == NOTHING


def test_min_rate(server, new_client):
    """A body that drips, never silent for long, falls below min_rate."""

    def drip(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not connection.closed.wait(0.02):
            connection.send(b"x")

    s = server(drip)
    response = new_client().get(s.url, timeout=hpool.Timeout(min_rate=(10000, 0.2)))
    with pytest.raises(hpool.ReadTimeout, match="min_rate|slow|rate"):
        response.read()
    s.connections[0].wait_closed()


def test_min_rate_is_per_second(server, new_client):
    """100 bytes per second are not too few for 70 in a window of 2 s."""

    def drip(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
        for _ in range(30):
            if not connection.closed.wait(0.1):
                connection.send(b"x" * 10)

    s = server(drip)
    rate = hpool.Timeout(min_rate=(70, 2))
    assert len(new_client().get(s.url, timeout=rate).read()) == 300


def test_s80_tls_handshake_timeout(server, new_client, ca):
    """A server that accepts and says nothing: a ConnectTimeout of the handshake."""
    s = server([until_closed()])
    client = new_client(verify=ca.pem)
    with pytest.raises(hpool.ConnectTimeout) as caught:
        client.get(f"https://127.0.0.1:{s.port}", timeout=hpool.Timeout(tls=0.2))
    assert caught.value.phase == "tls"
    assert "handshake" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    s.connections[0].wait_closed()


def test_connect_timeout(new_client):
    """A port that does not answer: a ConnectTimeout that names it."""
    with silent_port() as port:
        with pytest.raises(hpool.ConnectTimeout, match=str(port)) as caught:
            new_client().get(f"http://127.0.0.1:{port}", timeout=(0.1, 5))
    assert caught.value.phase == "connect"


def test_write_timeout(server, new_client):
    """A server that takes nothing of a large body: a WriteTimeout."""
    done = threading.Event()
    s = server([lambda c: c.expect(body=False), wait(done), lambda c: c.close()])
    client = new_client()
    with pytest.raises(hpool.WriteTimeout) as caught:
        client.post(s.url, data=bytes(1 << 26), timeout=hpool.Timeout(write=0.2))
    assert caught.value.phase == "send"
    assert gauges(client) == NOTHING
    done.set()


def test_s81_an_endless_answer_as_a_body(server, new_client):
    """An endless GET ends with its deadline; passed on as the body of a PUT, its
    error ends the PUT, unchanged."""

    def endless(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.send(b"some bytes")
            if connection.closed.wait(0.01):
                return

    source = server(endless)
    sink = server([lambda c: c.request(body=False), until_closed()])
    client = new_client()
    limit = hpool.Timeout(total=0.2)
    with pytest.raises(hpool.TotalTimeout):
        client.get(source.url, timeout=limit).read()
    response = client.get(source.url, timeout=limit)
    with pytest.raises(hpool.TotalTimeout) as caught:
        client.put(sink.url, data=response.iter_bytes())
    assert caught.value.request.url == f"{source.url}"
    sink.connections[0].wait_closed()
    assert gauges(client) == NOTHING


def test_s83_the_upload_breaks(server, new_client):
    """The connection is reset under an upload: an error, nothing left in use."""
    s = server([lambda c: c.read(4), reset()])
    client = new_client()
    with pytest.raises(hpool.ConnectionError):
        client.post(s.url, data=bytes(1 << 24))
    assert gauges(client) == NOTHING
    until(lambda: sockets_to(s.port) == 0)


def test_a_timed_out_response_does_not_reach_the_next_request(server, new_client):
    """The answer that comes too late is nobody's: the next request has a connection
    of its own."""
    late = threading.Event()
    s = server(
        [expect(), wait(late), send(respond(b"late"))], [serve(respond(b"mine"))]
    )
    client = new_client()
    with pytest.raises(hpool.ReadTimeout):
        client.get(s.url, timeout=(5, 0.1))
    late.set()
    assert client.get(s.url).read() == b"mine"
