"""A dial is begun for a request but not tied to it: what becomes of requests whose
dial fails, and of dials whose request is gone. S40 itself is in test_limits.py."""

import errno
import socket
import time

import pytest

import hpool
from tests.server.scripted import respond, serve
from tests.tools import Call, Clogged, closes, gauges, until, until_idle

OK = respond(b"ok")


class OneDoor:
    """A listener that takes one connection and then refuses all others."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._listener.close()
        self.sock.close()

    def accept_and_shut(self):
        self._listener.settimeout(10)
        self.sock, _ = self._listener.accept()
        self.sock.settimeout(10)
        self._listener.close()

    def serve(self, answer):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.sock.recv(65536)
        self.sock.sendall(answer)
        return head


@pytest.fixture
def door():
    with OneDoor() as door:
        yield door


def hold(client, door, **how):
    """A response whose body is under way on the one connection there is."""
    call = Call(client.get, f"{door.url}/held", **how)
    door.accept_and_shut()
    door.serve(OK[:-2])
    return call.result()


def until_refused(client, n=1):
    until(lambda: client.stats().total.closes["dial_failed"] == n)


def test_refused_dial_waits_for_one_in_use(door, new_client):
    """A request whose dial was refused is served on the connection that another one
    gives back within the second."""
    client = new_client()
    held = hold(client, door)
    second = Call(client.get, f"{door.url}/second")
    until_refused(client)
    assert second.is_alive()
    door.sock.sendall(OK[-2:])
    assert held.read() == b"ok"
    assert door.serve(OK).startswith(b"GET /second ")
    response = second.result()
    assert response.read() == b"ok"
    assert response.connection.id == held.connection.id
    assert response.connection.attempts == 1
    assert client.stats().total.dials == 2


def test_refused_dial_gives_up(door, new_client):
    """Nothing comes back: the dial's own error, with its phase, and no later than the
    request would have waited for a slot."""
    client = new_client()
    held = hold(client, door)
    started = time.monotonic()
    with pytest.raises(hpool.ConnectError) as caught:
        client.get(door.url, timeout=hpool.Timeout(pool=0.1))
    assert 0.1 <= time.monotonic() - started < 0.9
    assert caught.value.phase == "connect"
    assert caught.value.errno == errno.ECONNREFUSED
    assert gauges(client) == (0, 1, 0, 0, 0)
    held.close()


def test_refused_dial_without_anything_in_use(door, new_client):
    """There is nothing to wait for: at once."""
    client = new_client()
    hold(client, door).close()
    until_idle(client, 0)
    started = time.monotonic()
    with pytest.raises(hpool.ConnectError):
        client.get(door.url)
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("how", ["cancel", "close", "deadline"])
def test_refused_dial_is_ended(door, new_client, how):
    """What ends a request ends this wait, too."""
    client = new_client()
    held = hold(client, door)
    token = hpool.CancelToken()
    timeout = hpool.Timeout(total=0.15) if how == "deadline" else 30
    second = Call(client.get, door.url, cancel=token, timeout=timeout)
    until_refused(client)
    if how == "cancel":
        token.cancel()
    if how == "close":
        client.close()
    error = second.error()
    expected = {
        "cancel": hpool.Cancelled,
        "close": hpool.ClosedError,
        "deadline": hpool.TotalTimeout,
    }[how]
    assert isinstance(error, expected)
    if how != "close":
        assert error.phase == "connect"
    held.close()


def test_dead_one_costs_no_place(new_client):
    """Limit one: the connection that is handed to the first in line is dead. He dials
    in its place; who came after him goes after him."""
    with Clogged() as c:
        client = new_client(limits=hpool.Limits(max_conns_per_host=1))
        held = Call(client.get, f"{c.url}/held")
        sock = c.accept()
        c.serve(sock, OK[:-2])
        response = held.result()
        waiters = []
        for i in range(2):
            waiters.append(Call(lambda n: client.get(n).read(), f"{c.url}/{i}"))
            until(lambda n=i + 1: client.stats().total.waiting == n)
        sock.sendall(OK[-2:] + b"!")  # more than announced
        sock.close()
        assert response.read() == b"ok"
        sock = c.accept()
        assert c.serve(sock, OK).startswith(b"GET /0 ")
        assert c.serve(sock, OK).startswith(b"GET /1 ")
        assert [w.result() for w in waiters] == [b"ok", b"ok"]


def test_hanging_dial_blocks_no_other_host(server, new_client):
    """Two dials hang and fill the pool. The one whose request is cancelled makes way
    for a request to another host, although the other one might profit from it."""
    s = server([serve(OK)])
    with Clogged() as c:
        c.clog()
        client = new_client(limits=hpool.Limits(max_conns=2))
        token = hpool.CancelToken()
        first = Call(client.get, c.url, cancel=token)
        second = Call(client.get, c.url, timeout=30)
        until(lambda: gauges(client) == (0, 0, 2, 0, 0))
        other = Call(lambda: client.get(s.url).read())
        until(lambda: client.stats().total.waiting == 1)
        token.cancel()
        assert isinstance(first.error(), hpool.Cancelled)
        assert other.result(5) == b"ok"
        assert second.is_alive()
        assert closes(client) == {"surplus_dial": 1}
        client.close()
        assert isinstance(second.error(), hpool.ClosedError)


def test_orphaned_dial_goes_to_the_next_in_line(new_client):
    """Limit one: the request that dials is cancelled. Its dial goes to the next of
    the host that waits, who thereby waits for a dial and no longer for a slot."""
    with Clogged() as c:
        c.clog()
        client = new_client(limits=hpool.Limits(max_conns_per_host=1))
        token = hpool.CancelToken()
        first = Call(client.get, c.url, cancel=token)
        until(lambda: gauges(client) == (0, 0, 1, 0, 0))
        second = Call(client.get, c.url, timeout=hpool.Timeout(connect=0.3, pool=30))
        until(lambda: gauges(client) == (0, 0, 1, 0, 1))
        token.cancel()
        assert isinstance(first.error(), hpool.Cancelled)
        assert gauges(client) == (0, 0, 1, 0, 0)
        assert isinstance(second.error(), hpool.ConnectTimeout)
        assert client.stats().total.dials == 1
        until_idle(client, 0)
