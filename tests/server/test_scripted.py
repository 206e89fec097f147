"""The scripted server itself, asked by http.client and by bare sockets."""

import http.client
import select
import socket
import ssl
import threading
import time

import pytest

from tests.server.scripted import (
    ScriptedServer,
    ScriptError,
    bytewise,
    chunks,
    close,
    expect,
    half_close,
    read_body,
    refused_port,
    reset,
    respond,
    respond_chunked,
    send,
    serve,
    silent_port,
    tell,
    until_closed,
    wait,
)

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def read_all(sock):
    return b"".join(iter(lambda: sock.recv(65536), b""))


def ask(connection, method="GET", target="/x", body=None, headers={}):
    connection.request(method, target, body=body, headers=headers)
    return connection.getresponse().read()


@pytest.fixture
def client():
    made = []

    def make(server, **how):
        made.append(http.client.HTTPConnection("127.0.0.1", server.port, 10, **how))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def test_it_sends_exactly_these_bytes():
    odd = b"HTTP/1.1 200 OK\nX:\x00\xff\r\n\r\nwhatever"
    with ScriptedServer([expect(), send(odd), close()]) as server:
        with connect(server) as sock:
            sock.sendall(GET)
            assert read_all(sock) == odd


def test_one_script_serves_every_connection(client):
    with ScriptedServer([expect(), send(respond(b"hi")), until_closed()]) as server:
        for _ in range(3):
            assert ask(client(server)) == b"hi"
        assert [c.number for c in server.connections] == [1, 2, 3]


def test_each_connection_gets_its_own_script(client):
    one = [expect(), send(respond(b"one"))]
    two = [expect(), send(respond(b"two"))]
    with ScriptedServer(one, two) as server:
        assert ask(client(server)) == b"one"
        assert ask(client(server)) == b"two"


def test_a_connection_without_a_script_is_an_error(client):
    one = [expect(), send(respond(b"one"))]
    with pytest.raises(ScriptError, match="connection 3: one connection more"):
        with ScriptedServer(one, one) as server:
            assert ask(client(server)) == b"one"
            assert ask(client(server)) == b"one"
            with connect(server) as sock:
                assert read_all(sock) == b""


def test_a_function_is_a_script_too(client):
    def script(connection):
        request = connection.expect()
        connection.send(respond(request.target.encode()))

    with ScriptedServer(script) as server:
        assert ask(client(server), target="/path?q") == b"/path?q"


def test_what_is_recorded(client):
    with ScriptedServer([serve(respond())]) as server:
        connection = client(server)
        ask(connection, "PUT", "/a", b"body", {"X-One": "1"})
        port = connection.sock.getsockname()[1]
        ask(connection, "POST", "/b", iter([b"ab", b"", b"cde"]))
        first, second = server.requests
        assert server.connections[0].requests == [first, second]
        assert server.connections[0].port == port
        assert (first.method, first.target, first.body) == ("PUT", "/a", b"body")
        assert first.head.startswith(b"PUT /a HTTP/1.1\r\n")
        assert first.head.endswith(b"\r\n\r\n")
        assert (first.get("x-one"), first.get("x-two")) == ("1", None)
        assert second.body == b"abcde"
        assert second.raw_body == b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
        assert first.complete and second.complete


def test_trailers_of_a_request_belong_to_its_raw_body():
    body = chunks(b"x", trailers=[("T", "1")])
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with ScriptedServer([expect(), close()]) as server, connect(server) as sock:
        sock.sendall(head + body)
        assert read_all(sock) == b""
        assert server.requests[0].body == b"x"
        assert server.requests[0].raw_body == body


def test_an_event_between_two_pieces_is_waited_for():
    go = threading.Event()
    with ScriptedServer([expect(), send(b"one", go, b"two"), close()]) as server:
        with connect(server) as sock:
            sock.sendall(GET)
            assert sock.recv(3) == b"one"
            assert select.select([sock], [], [], 0)[0] == []
            go.set()
            assert read_all(sock) == b"two"


def test_the_head_can_be_answered_before_the_body_is_read():
    script = [expect(body=False), send(b"go on"), read_body(), close()]
    with ScriptedServer(script) as server, connect(server) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
        assert sock.recv(5) == b"go on"
        assert not server.requests[0].complete
        sock.sendall(b"body")
        assert read_all(sock) == b""
        assert server.requests[0].body == b"body"


def test_tell_says_how_far_the_script_is():
    here = threading.Event()
    with ScriptedServer([expect(), tell(here), close()]) as server:
        with connect(server) as sock:
            assert not here.is_set()
            sock.sendall(GET)
            assert here.wait(10)


def test_reset_resets():
    with ScriptedServer([expect(), reset()]) as server, connect(server) as sock:
        sock.sendall(GET)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_after_a_half_close_the_client_can_send():
    with ScriptedServer([expect(), half_close(), expect()]) as server:
        with connect(server) as sock:
            sock.sendall(GET)
            assert read_all(sock) == b""
            sock.sendall(GET)
            server.wait_requests(2)


def test_a_close_of_the_client_is_seen_without_reading():
    go = threading.Event()
    with ScriptedServer([wait(go)]) as server:
        with connect(server):
            (connection,) = server.wait_connections(1)
            assert not connection.closed.is_set()
        connection.wait_closed()
        assert connection.closed_at
        go.set()


def test_bytes_that_no_step_expects_are_an_error(client):
    with pytest.raises(ScriptError, match="connection 1: after the end.*GET /two"):
        with ScriptedServer([expect(), send(respond(b"one"))]) as server:
            connection = client(server)
            assert ask(connection) == b"one"
            with pytest.raises((http.client.HTTPException, OSError)):
                ask(connection, target="/two")


def test_a_request_that_does_not_come_is_an_error():
    with pytest.raises(ScriptError, match="the client closed before request 1"):
        with ScriptedServer([expect()]) as server:
            connect(server).close()
            server.wait_connections(1)[0].wait_closed()


def test_the_end_of_the_server_ends_a_script_that_waits(client):
    with pytest.raises(ScriptError, match="the server ended before request 2"):
        with ScriptedServer([expect(), send(respond(b"hi")), expect()]) as server:
            assert ask(client(server)) == b"hi"


def test_a_close_in_the_last_moment_counts(monkeypatch):
    seen = ScriptedServer._saw_close

    def see_late(server, number):
        time.sleep(0.1)
        seen(server, number)

    monkeypatch.setattr(ScriptedServer, "_saw_close", see_late)
    script = [expect(), lambda connection: connection.wait_closed()]
    with ScriptedServer(script, timeout=1) as server, connect(server) as sock:
        sock.sendall(GET)
        server.wait_requests(1)
    assert server.connections[0].closed.is_set()


def test_an_event_that_nobody_sets_is_an_error():
    here, never = threading.Event(), threading.Event()
    with pytest.raises(ScriptError, match="never set"):
        with ScriptedServer([tell(here), wait(never)]) as server:
            with connect(server):
                assert here.wait(10)


def test_an_event_set_in_the_last_moment_is_no_error():
    for _ in range(50):
        here, go = threading.Event(), threading.Event()
        with ScriptedServer([tell(here), wait(go)]) as server:
            with connect(server):
                assert here.wait(10)
                go.set()


def test_silence_is_an_error_after_the_timeout():
    with pytest.raises(ScriptError, match="nothing came for 0.05 s"):
        with ScriptedServer([expect()], timeout=0.05) as server:
            with connect(server) as sock:
                assert read_all(sock) == b""


def test_a_failing_test_is_not_hidden_by_its_script():
    with pytest.raises(ZeroDivisionError) as caught:
        with ScriptedServer([expect()]) as server:
            with connect(server):
                server.wait_connections(1)
                raise ZeroDivisionError
    assert "before request 1" in caught.value.__notes__[0]


def test_a_bug_in_a_script_is_raised():
    with pytest.raises(ScriptError, match="KeyError"):
        with ScriptedServer(lambda connection: {}["x"]) as server:
            with connect(server) as sock:
                assert read_all(sock) == b""


def test_a_client_that_goes_away_while_it_is_sent_to_is_no_error():
    big = bytes(1 << 24)
    with ScriptedServer([expect(), send(big), expect()]) as server:
        with connect(server) as sock:
            sock.sendall(GET)
            sock.recv(1)
        server.connections[0].wait_closed()


def test_tls(ca, client):
    with ScriptedServer([serve(respond(b"hi"))], tls=ca.server_context()) as server:
        assert server.url.startswith("https://")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=10, context=ca.client_context()
        )
        try:
            assert ask(connection) == b"hi"
            assert server.connections[0].tls.version() == "TLSv1.3"
        finally:
            connection.close()
        server.connections[0].wait_closed()


@pytest.mark.parametrize("notify", [True, False])
def test_tls_ends_with_or_without_close_notify(ca, notify):
    script = [expect(), send(b"x"), close(notify=notify)]
    context = ca.client_context()
    # Without this, Python takes a truncation for an end.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    with ScriptedServer(script, tls=ca.server_context()) as server:
        with context.wrap_socket(
            connect(server), server_hostname="localhost", suppress_ragged_eofs=False
        ) as sock:
            sock.sendall(GET)
            assert sock.recv(1) == b"x"
            if notify:
                assert sock.recv(1) == b""
            else:
                with pytest.raises(ssl.SSLError, match="EOF|eof"):
                    sock.recv(1)


def test_a_handshake_that_fails_is_recorded(ca):
    with ScriptedServer([expect()], tls=ca.server_context()) as server:
        with connect(server) as sock:
            sock.sendall(b"this is no TLS at all")
        server.wait_connections(1)[0].wait_ended()
        assert server.connections[0].handshake_error is not None


def test_respond_adds_a_length_only_where_it_belongs():
    assert respond(b"abc").endswith(b"\r\nContent-Length: 3\r\n\r\nabc")
    assert b"Content-Length" not in respond(status=204)
    assert respond(b"x", headers={"content-length": 9}).count(b"ength") == 1
    assert respond_chunked(b"ab").endswith(b"chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
    assert respond(status=200, reason="Fine").startswith(b"HTTP/1.1 200 Fine\r\n")
    assert b"".join(bytewise(b"abc")) == b"abc" and len(bytewise(b"abc")) == 3


def test_ports_where_nobody_answers():
    with refused_port() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)
    with silent_port() as port:
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", port), timeout=0.05)
