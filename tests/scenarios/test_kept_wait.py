"""Waiting for the answer on a kept connection, where the driver blocks in recv()
for a moment before it polls: nothing that ends a wait may be lost there."""

import threading

import pytest

import hpool
from tests.server.scripted import close, expect, respond, send, serve, tell, until_closed
from tests.tools import Call, gauges

NOTHING = (0, 0, 0, 0, 0)
WARM = [expect(), send(respond(b"warm"))]


def warm(client, server):
    with client.get(server.url) as response:
        assert response.read() == b"warm"


@pytest.fixture
def asked(server, new_client):
    """(server, client, an event that is set when the second request is there),
    the server being one that never answers it."""
    here = threading.Event()
    s = server([*WARM, expect(), tell(here), until_closed()])
    client = new_client()
    warm(client, s)
    return s, client, here


def test_cancelled_at_once(asked):
    """cancel() as soon as the server has the request ends it, and its connection."""
    s, client, here = asked
    token = hpool.CancelToken()
    call = Call(client.get, s.url, cancel=token)
    assert here.wait(10)
    token.cancel()
    error = call.error(2)
    assert isinstance(error, hpool.Cancelled) and error.phase == "head"
    s.connections[0].wait_closed()
    assert gauges(client) == NOTHING


def test_the_client_is_closed(asked):
    """client.close() ends it with ClosedError."""
    s, client, here = asked
    call = Call(client.get, s.url)
    assert here.wait(10)
    client.close()
    assert isinstance(call.error(2), hpool.ClosedError)
    s.connections[0].wait_closed()


@pytest.mark.parametrize("timeout", [0.01, 0.06, 0.15])
def test_read_timeouts_on_both_sides_of_the_wait(asked, timeout):
    """A read timeout shorter, a little longer and much longer than that moment."""
    s, client, _ = asked
    with pytest.raises(hpool.ReadTimeout):
        client.get(s.url, timeout=hpool.Timeout(read=timeout))
    s.connections[0].wait_closed()


def test_an_answer_that_takes_longer(cserver, new_client):
    """An answer after 200 ms is waited for, and the connection goes on."""
    client = new_client()
    for _ in range(3):
        with client.get(f"{cserver.url}/delay/200") as response:
            assert response.read() == b"Hello, world!"
    assert client.stats().total.dials == 1


def test_a_head_in_pieces(server, new_client):
    """The head comes in two parts with the moment between them."""
    go = threading.Event()
    whole = respond(b"second")
    s = server([*WARM, expect(), send(whole[:20], go, whole[20:])])
    client = new_client()
    warm(client, s)
    call = Call(lambda: client.get(s.url).content)
    call.join(0.15)
    assert call.is_alive()
    go.set()
    assert call.result() == b"second"


def test_the_server_closes_instead(server, new_client):
    """EOF in that moment is the server's: a GET is sent again."""
    s = server([*WARM, expect(), close()], serve(respond(b"again")))
    client = new_client()
    warm(client, s)
    assert client.get(s.url).content == b"again"
    assert client.stats().total.replays.nonzero() == {"lost_before_first_byte": 1}
