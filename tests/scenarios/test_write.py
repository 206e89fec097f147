"""What goes out and when, S103 to S116."""

import socket
import struct
import sys
import threading

import pytest

import hpool
from tests.server.scripted import (
    close,
    expect,
    half_close,
    read_body,
    reset,
    respond,
    send,
    serve,
    until_closed,
    wait,
)
from tests.tools import Call, closes, gauges

NOTHING = (0, 0, 0, 0, 0)
OK = respond(b"ok")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = {"Expect": "100-continue"}


@pytest.mark.skipif(sys.platform != "linux", reason="counts segments in TCP_INFO")
@pytest.mark.parametrize("body", [None, b"a=1&b=2"], ids=["get", "post"])
def test_s103_one_segment(new_client, body):
    """A GET, and a small POST with its body, arrive in one segment each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = new_client()
        method = "GET" if body is None else "POST"
        call = Call(client.request, method, url, data=body)
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(10)
            got = b""
            while not got.endswith(b"\r\n\r\n" if body is None else body):
                got += sock.recv(65536)
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            sock.sendall(OK)
            call.result()
    (segments,) = struct.unpack_from("I", info, 152)  # tcpi_data_segs_in
    assert segments == 1


def test_s104_each_piece_goes_out_by_itself(server, new_client):
    """The head and each piece of a produced body are sent before the next piece is
    asked for, each as one chunk."""
    seen = [threading.Event() for _ in range(3)]

    def body():
        for i, event in enumerate(seen):
            assert event.wait(10)
            yield b"num%d\n" % i

    def read(connection):
        assert connection.expect(body=False).get("Transfer-Encoding") == "chunked"
        for i, event in enumerate(seen):
            event.set()
            assert connection.read(10) == b"5\r\nnum%d\n\r\n" % i
        assert connection.read(5) == b"0\r\n\r\n"
        connection.send(OK)

    s = server(read)
    assert new_client().post(s.url, data=body()).read() == b"ok"


def test_s105_the_head_of_a_body_that_does_not_come(server, new_client):
    """A body whose first piece takes for ever: its head is on the way all the same."""
    head_is_there = threading.Event()

    def body():
        assert head_is_there.wait(10)
        yield b"x"

    s = server(
        [expect(body=False), lambda c: head_is_there.set(), read_body(), send(OK)]
    )
    assert new_client().post(s.url, data=body()).read() == b"ok"


def test_s106_an_answer_to_an_endless_body(server, new_client):
    """An endless upload is answered by a 401 and not read: the whole 401 can be
    read, and the connection is not used again."""

    def endless():
        while True:
            yield bytes(65536)

    done = threading.Event()
    body = b"sorry, nothing for you" * 100
    s = server([expect(body=False), send(respond(body, 401)), wait(done), close()])
    client = new_client()
    response = client.post(s.url, data=endless())
    assert (response.status_code, response.read()) == (401, body)
    assert closes(client) == {"upload_unfinished": 1}
    done.set()


def test_s107_the_answer_beats_the_write_error(server, new_client):
    """20 PUTs of 2 MiB to a server that answers 400 and stops reading: always the
    400, never a write error."""
    bad = respond(b"bad", 400, {"Connection": "close"})
    s = server([expect(body=False), send(bad), half_close(), until_closed()])
    client = new_client()
    for _ in range(20):
        response = client.put(s.url, data=bytes(2 << 20))
        assert (response.status_code, response.read()) == (400, b"bad")
    assert gauges(client) == NOTHING


def test_s107_an_answer_before_a_reset(server, new_client):
    """A 413 that is followed by a reset while the body is being sent: the 413 if it
    arrived, else a connection error; never anything else, and no hang."""
    too_large = respond(b"", 413, {"Connection": "close"})
    s = server([expect(body=False), send(too_large), reset()])
    client = new_client()
    for _ in range(20):
        try:
            assert client.put(s.url, data=bytes(2 << 20)).status_code == 413
        except hpool.ConnectionError:
            pass
    assert gauges(client) == NOTHING


def test_s108_the_server_aborts(server, new_client):
    """6 MiB POSTs that the server resets in their midst: errors, no hang, nothing
    left in use."""
    s = server([expect(body=False), lambda c: c.read(1 << 20), reset()])
    client = new_client()
    for _ in range(5):
        with pytest.raises(hpool.ConnectionError):
            client.post(s.url, data=bytes(6 << 20))
    assert gauges(client) == NOTHING


def test_s109_100_continue_granted(server, new_client):
    """With `Expect: 100-continue` the body waits for the 100."""

    def grant(connection):
        connection.expect(body=False)
        assert not connection._buffer
        connection.send(CONTINUE)
        connection.read_body()
        connection.send(OK)

    s = server(grant)
    client = new_client(timeout=hpool.Timeout(10, expect_continue=10))
    assert client.put(s.url, data=b"body", headers=EXPECT).read() == b"ok"
    assert s.requests[0].body == b"body"


@pytest.mark.parametrize("status", [200, 500])
def test_s109_a_final_answer_that_keeps(server, new_client, status):
    """A final answer instead of the 100, on a connection that goes on: the body is
    sent all the same, exactly once, and the next request follows on it."""
    early = send(respond(b"early", status))
    s = server([expect(body=False), early, read_body(), serve(OK)])
    client = new_client(timeout=hpool.Timeout(10, expect_continue=10))
    response = client.put(s.url, data=b"body", headers=EXPECT)
    assert (response.status_code, response.read()) == (status, b"early")
    assert client.get(s.url).read() == b"ok"
    assert s.requests[0].body == b"body"
    assert len(s.connections) == 1


def test_s109_a_final_answer_that_closes(server, new_client):
    """A final answer with `Connection: close` instead of the 100: the body is not
    sent at all."""
    final = respond(b"no", 417, {"Connection": "close"})

    def refuse(connection):
        connection.expect(body=False)
        connection.send(final)
        connection.wait_closed()
        assert not connection._receive() and not connection._buffer

    s = server(refuse)
    client = new_client(timeout=hpool.Timeout(10, expect_continue=10))
    response = client.put(s.url, data=b"body", headers=EXPECT)
    assert (response.status_code, response.read()) == (417, b"no")
    s.connections[0].wait_closed()


def test_s109_no_100_comes(server, new_client):
    """The 100 does not come: after expect_continue the body goes out unasked."""
    s = server([expect(), send(OK)])
    client = new_client(timeout=hpool.Timeout(10, expect_continue=0.05))
    assert client.put(s.url, data=b"body", headers=EXPECT).read() == b"ok"
    assert s.requests[0].body == b"body"


def test_s110_a_generator_is_finished(server, new_client):
    """An upload that is given up leaves no generator suspended: its `finally` has
    run when the response is gone."""
    finished = threading.Event()

    def body():
        try:
            while True:
                yield bytes(65536)
        finally:
            finished.set()

    done = threading.Event()
    s = server([expect(body=False), send(respond(b"no", 400)), wait(done), close()])
    with new_client().post(s.url, data=body()) as response:
        assert response.read() == b"no"
    del response
    assert finished.wait(5)
    done.set()


def test_s113_no_way_into_the_head(server, new_client):
    """A Host with a line break in it is refused; nothing is sent."""
    s = server([serve(OK)])
    client = new_client()
    with pytest.raises(hpool.InvalidHeader):
        client.get(s.url, headers={"Host": "go.dev\r\nX-Evil: evil"})
    assert s.connections == []


@pytest.mark.parametrize(
    "headers, sent",
    [
        ({}, f"hpool/{hpool.__version__}"),
        ({"User-Agent": "foo"}, "foo"),
        ({"User-Agent": ""}, None),
        ({"User-Agent": None}, None),
        ({"user-agent": "bar"}, "bar"),
    ],
)
def test_s115_user_agent(server, new_client, headers, sent):
    """The default, one's own, an empty one, none."""
    s = server([serve(OK)])
    new_client().get(s.url, headers=headers).read()
    assert s.requests[0].get("User-Agent") == sent


def test_s116_idna(new_client):
    """A host beyond ASCII is looked up under its ASCII name."""
    with pytest.raises(hpool.NameResolutionError) as caught:
        new_client().get("http://\u043f\u0440\u0438\u043c\u0435\u0440.invalid/")
    assert "xn--e1afmkfd.invalid" in str(caught.value)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_empty_body_has_a_length(server, new_client, method):
    """POST, PUT and PATCH without a body say `Content-Length: 0`; GET says nothing."""
    s = server([serve(OK)])
    client = new_client()
    client.request(method, s.url).read()
    client.get(s.url).read()
    assert [r.get("Content-Length") for r in s.requests] == ["0", None]


def test_a_slow_server_gets_all_of_a_large_body(server, new_client):
    """32 MiB to a server that starts to read late arrive whole."""
    go = threading.Event()
    body = bytes(range(256)) * (1 << 17)
    s = server([expect(body=False), wait(go), read_body(), send(OK)])
    client = new_client()
    call = Call(lambda: client.post(s.url, data=body).read())
    s.wait_requests(1)
    go.set()
    assert call.result(30) == b"ok"
    assert s.requests[0].body == body


def test_a_large_body_over_tls(server, new_client, ca):
    """The same over TLS, produced in pieces."""
    body = [bytes([i]) * 100000 for i in range(50)]
    s = server([expect(), send(OK)], tls=ca.server_context())
    client = new_client(verify=ca.pem)
    assert client.post(s.url, data=iter(body)).read() == b"ok"
    assert s.requests[0].body == b"".join(body)
