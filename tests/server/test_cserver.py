"""The C server, asked by http.client."""

import http.client
import socket
import time

import pytest

from tests.server.cserver import SMALL, CServer, body


@pytest.fixture
def connection(cserver):
    made = http.client.HTTPConnection("127.0.0.1", cserver.port, timeout=10)
    yield made
    made.close()


def ask(connection, method, target, **how):
    connection.request(method, target, **how)
    response = connection.getresponse()
    return response, response.read()


def test_the_connection_is_kept(connection):
    for _ in range(3):
        assert ask(connection, "GET", "/small")[1] == SMALL
        first = connection.sock
        assert first is connection.sock is not None


@pytest.mark.parametrize("kind", ["bytes", "chunked"])
@pytest.mark.parametrize("n", [0, 1, 16384, 16385, 251 * 4096, 5_000_001])
def test_bodies(connection, kind, n):
    response, got = ask(connection, "GET", f"/{kind}/{n}")
    assert got == body(n)
    length = response.getheader("Content-Length")
    assert length == (str(n) if kind == "bytes" else None)
    assert ask(connection, "GET", "/small")[1] == SMALL


def test_id_comes_back_in_header_and_body(connection):
    response, got = ask(connection, "GET", "/id", headers={"X-Id": "abc 1"})
    assert (got, response.getheader("X-Id")) == (b"abc 1", "abc 1")


@pytest.mark.parametrize("n", [0, 1, 100_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_is_measured(connection, n, chunked):
    data = iter([bytes(n // 2), bytes(n - n // 2)]) if chunked else bytes(n)
    assert ask(connection, "POST", "/", body=data)[1] == str(n).encode()
    assert ask(connection, "GET", "/small")[1] == SMALL


def test_expect_is_answered_before_the_body(cserver):
    with socket.create_connection(("127.0.0.1", cserver.port), 10) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ab")
        assert sock.recv(1000).endswith(b"\r\n\r\n2")


def test_delay_delays_and_holds_nobody_else_up(cserver, connection):
    begin = time.monotonic()
    connection.request("GET", "/delay/200")
    other = http.client.HTTPConnection("127.0.0.1", cserver.port, timeout=10)
    assert ask(other, "GET", "/small")[1] == SMALL
    other.close()
    assert connection.getresponse().read() == SMALL
    assert 0.15 < time.monotonic() - begin


def test_head_and_unknown_paths(connection):
    response, got = ask(connection, "HEAD", "/bytes/5")
    assert (got, response.getheader("Content-Length")) == (b"", "5")
    assert ask(connection, "GET", "/nothing")[0].status == 404


def test_pipelined_requests_are_answered_in_order(cserver):
    with socket.create_connection(("127.0.0.1", cserver.port), 10) as sock:
        for n in (1, 2, 3):
            sock.sendall(b"GET /id HTTP/1.1\r\nX-Id: %d\r\n\r\n" % n)
        sock.sendall(b"GET /id HTTP/1.1\r\nX-Id: 4\r\nConnection: close\r\n\r\n")
        got = b"".join(iter(lambda: sock.recv(65536), b""))
    bodies = [part[:1] for part in got.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"1", b"2", b"3", b"4"]


def test_a_head_in_pieces(cserver):
    with socket.create_connection(("127.0.0.1", cserver.port), 10) as sock:
        for byte in b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert sock.recv(1000).endswith(SMALL)


def test_every_nth_connection_is_closed_at_once(cserver_program):
    with CServer(cserver_program, "--accept-close-every", "2") as server:
        for n in range(1, 5):
            with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
                if n % 2 == 0:
                    assert sock.recv(1) == b""
                else:
                    sock.sendall(b"GET /small HTTP/1.1\r\n\r\n")
                    assert sock.recv(1000).endswith(SMALL)


def test_it_quits_when_its_stdin_closes(cserver_program):
    server = CServer(cserver_program)
    server.close()
    assert server.process.returncode == 0
