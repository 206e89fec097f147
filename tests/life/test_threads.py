"""One thread in a request, and what another may do to it."""

import threading

import pytest

import hpool
from tests.life.child import run
from tests.life.phases import PHASES, possible, program, world
from tests.server.scripted import expect, respond, send, serve, until_closed
from tests.tools import Call, gauges, until

BODIES = {
    "length": b"Content-Length: 100\r\n\r\nline\n",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nline\n\r\n",
    "until the end": b"Connection: close\r\n\r\nline\n",
}
READS = {
    "read": lambda r: r.read(),
    "readline": lambda r: r.readline() and r.readline(),
    "readinto": lambda r: [r.readinto(bytearray(9)) for _ in range(9)],
    "lines": list,
    "iter_bytes": lambda r: list(r.iter_bytes()),
    "iter_text": lambda r: list(r.iter_text()),
    "raw": lambda r: r.raw.read(),
    "content": lambda r: r.content,
    "json": lambda r: r.json(),
}

# For programs: the thread is to end at once, and with ClosedError.
AT_ONCE = """
import time
begun = time.monotonic()
{close}
thread.join(10)
took = time.monotonic() - begun
assert not thread.is_alive() and took < 1, took
assert len(ended) == 1, ended
until(lambda: now() == (0, 0, 0, 0, 0))
"""


def is_read(response):
    """Whether another thread reads the response."""
    try:
        response.read(0)
    except hpool.errors.ConcurrentUse as error:
        assert "another thread is reading this response" in str(error)
        return True
    return False


def half(body):
    return [expect(), send(b"HTTP/1.1 200 OK\r\n" + BODIES[body]), until_closed()]


# ---- two at once -------------------------------------------------------------


@pytest.mark.parametrize("second", [name for name in READS if name != "json"])
def test_two_threads_in_one_response(either, new_client, second):
    """Whatever the second one calls is ConcurrentUse, and says so; the first one is
    not disturbed."""
    go = threading.Event()
    s, trust = either([expect(), send(respond(b"whole")[:-1], go, b"e"), serve(b"")])
    response = new_client(verify=trust["SSL_CERT_FILE"]).get(s.url)
    first = Call(response.read)
    until(lambda: is_read(response))
    with pytest.raises(
        hpool.errors.ConcurrentUse, match="another thread is reading this response"
    ) as caught:
        READS[second](response)
    assert isinstance(caught.value, RuntimeError)
    assert response.status_code == 200  # looking is no use of it
    assert not response.closed
    go.set()
    assert first.result() == b"whole"


# ---- closing what another waits for ------------------------------------------


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("body", BODIES)
def test_close_ends_a_read(either, new_client, body, read):
    """close() from another thread returns at once, and the read ends with
    ClosedError, whatever it was; the client goes on."""
    s, trust = either(half(body), [serve(respond(b"next"))])
    client = new_client(verify=trust["SSL_CERT_FILE"], timeout=60)
    response = client.get(s.url)
    reader = Call(READS[read], response)
    until(lambda: is_read(response))
    response.close()
    assert isinstance(reader.error(2), hpool.ClosedError)
    with pytest.raises(hpool.ClosedError):
        response.read()
    assert client.get(s.url).read() == b"next"
    s.connections[0].wait_closed()


def test_many_close_at_once(either, new_client):
    """Any number of threads may close a response, and its client, at once."""
    s, trust = either(half("length"))
    client = new_client(verify=trust["SSL_CERT_FILE"], timeout=60)
    for _ in range(10):
        response = client.get(s.url)
        reader = Call(response.read)
        until(lambda response=response: is_read(response))
        for call in [Call(response.close) for _ in range(8)]:
            call.result(2)
        assert isinstance(reader.error(2), hpool.ClosedError)
    for call in [Call(client.close) for _ in range(8)]:
        call.result(2)
    until(lambda: gauges(client) == (0, 0, 0, 0, 0))


# Those that client.close() leaves alone.
BODY = ["body", "body, with the head", "upgraded"]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("phase", [phase for phase in possible() if phase not in BODY])
def test_closing_the_client_ends_a_request(ca, tmp_path, phase, tls):
    """client.close() from another thread ends a request whose head is not there yet,
    in every phase, at once, with ClosedError."""
    close = "client.close()"
    if phase == "slot":  # it holds one itself
        close += "; kept[0].close()"
    with world(ca, tmp_path, tls=tls, phase=phase) as w:
        text = program(phase, AT_ONCE.format(close=close))
        run(text, *w.arguments, **w.how)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("phase", ["body", "upgraded"])
def test_closing_the_client_leaves_a_body(ca, tmp_path, phase, tls):
    """A body that is being read goes on, and what was upgraded: each ends when it is
    closed itself."""
    close = """
client.close()
time.sleep(0.05)  # nothing is to happen
assert thread.is_alive()
kept[-1].close()
"""
    assert phase in PHASES
    with world(ca, tmp_path, tls=tls, phase=phase) as w:
        text = program(phase, AT_ONCE.format(close=close))
        run(text, *w.arguments, **w.how)


def test_one_receives_while_another_sends(either, new_client):
    """An upgraded connection may be used in both directions at once, over TLS, too."""
    total = 64 << 20
    headers = {"Upgrade": "echo", "Connection": "Upgrade"}

    def echo(connection):
        connection.expect()
        connection.send(respond(status=101, headers=headers))
        for _ in range(total >> 16):
            connection.send(connection.read(1 << 16))
        connection.until_closed()

    s, trust = either(echo)
    client = new_client(verify=trust["SSL_CERT_FILE"])
    piece = bytes(range(256)) * 256
    with client.get(s.url, headers=headers).upgraded() as connection:
        sender = Call(lambda: [connection.sendall(piece) for _ in range(total >> 16)])
        got = bytearray()
        while len(got) < total:
            got += connection.recv()
        sender.result()
    assert got == piece * (total >> 16)
