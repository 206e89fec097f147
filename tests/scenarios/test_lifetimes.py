"""How long a connection lives: age, idle time, the server's word, suspended machines.
By a controlled clock; what no clock decides is in test_limits.py."""

import threading

import pytest

import hpool
from tests.server.scripted import expect, respond, send, serve
from tests.tools import advance, closes, gauges, suspend

OK = respond(b"ok")


def fetch(client, url):
    """Where it came from: the connection's id."""
    with client.get(url) as response:
        assert response.read() == b"ok"
        return response.connection.id


# ---- idle --------------------------------------------------------------------


def test_idle_conn_timeout(server, new_client):
    """Used within the time it lives on, from use to use; after it it is closed."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(idle_conn_timeout=10))
    first = fetch(client, s.url)
    for _ in range(3):
        advance(9)
        assert fetch(client, s.url) == first
    advance(10.1)
    assert fetch(client, s.url) != first
    assert closes(client) == {"idle_timeout": 1}


@pytest.mark.parametrize(
    "says, short, long",
    [
        ("timeout=10", 8.9, 9.1),  # a second early
        ("timeout=2", 1.5, 1.7),  # a fifth early
        ("timeout=10, max=100", 8.9, 9.1),
    ],
)
def test_the_server_s_keep_alive(server, new_client, says, short, long):
    """`Keep-Alive: timeout=` is obeyed, and a little early, since the server's clock
    began before ours."""
    s = server([serve(respond(b"ok", headers={"Keep-Alive": says}))])
    client = new_client()
    first = fetch(client, s.url)
    advance(short)
    assert fetch(client, s.url) == first
    advance(long)
    assert fetch(client, s.url) != first
    assert closes(client) == {"idle_timeout": 1}


def test_the_server_s_keep_alive_lengthens_nothing(server, new_client):
    s = server([serve(respond(b"ok", headers={"Keep-Alive": "timeout=1000"}))])
    client = new_client(limits=hpool.Limits(idle_conn_timeout=10))
    first = fetch(client, s.url)
    advance(10.1)
    assert fetch(client, s.url) != first


def test_asleep(server, new_client):
    """A suspended machine wakes up with an empty pool: the time it slept counts as
    idle, although no deadline has come nearer."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(idle_conn_timeout=90))
    first = fetch(client, s.url)
    suspend(80)
    assert fetch(client, s.url) == first
    suspend(91)
    assert fetch(client, s.url) != first
    assert closes(client) == {"idle_timeout": 1}


def test_asleep_in_a_request(server, new_client):
    """A request under way when the machine falls asleep is given its time all the
    same."""
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:])])
    client = new_client(timeout=30)
    with client.get(s.url) as response:
        suspend(3600)
        go.set()
        assert response.read() == b"ok"
    assert gauges(client) == (1, 0, 0, 0, 0)


# ---- age ---------------------------------------------------------------------


def test_max_conn_age(server, new_client):
    """Not used beyond its age, however busy; at most a tenth earlier."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_conn_age=100, idle_conn_timeout=None))
    first = fetch(client, s.url)
    for _ in range(8):
        advance(11)
        assert fetch(client, s.url) == first
    advance(12.1)
    assert fetch(client, s.url) != first
    assert closes(client) == {"max_age": 1}


def test_max_conn_age_is_jittered(cserver, new_client):
    """Connections made together do not retire together: of forty, some are gone
    after 95 of 100 seconds, and some are not."""
    client = new_client(limits=hpool.Limits(max_conn_age=100, idle_conn_timeout=None))
    assert client.warm(cserver.url, 40) == 40
    now = 0
    for age, least, most in ((89, 40, 40), (95, 1, 39), (100.1, 0, 0)):
        advance(age - now)
        now = age
        held = [client.get(f"{cserver.url}/bytes/200000") for _ in range(40)]
        kept = sum(response.connection.age >= age - 1 for response in held)
        assert least <= kept <= most
        for response in held:
            response.read()


def test_max_conn_age_in_use(server, new_client):
    """It is not taken from under a response, but not kept after it either."""
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:])], [serve(OK)])
    client = new_client(limits=hpool.Limits(max_conn_age=100))
    with client.get(s.url) as response:
        advance(100)
        go.set()
        assert response.read() == b"ok"
        assert response.connection.release == "max_age"
    assert gauges(client) == (0, 0, 0, 0, 0)
    assert closes(client) == {"max_age": 1}


def test_max_requests_per_conn(server, new_client):
    """Counted per connection; the last request's is closed at its end."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_requests_per_conn=2))
    ids = [fetch(client, s.url) for _ in range(5)]
    assert ids[0] == ids[1] != ids[2] == ids[3] != ids[4]
    assert closes(client) == {"max_requests": 2}


# ---- close_idle --------------------------------------------------------------


def test_close_idle_by_every_name(server, new_client):
    """A name, host:port or URL; what is in use is left alone."""
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:])], *[[serve(OK)]] * 4)
    client = new_client()
    held = client.get(s.url)
    for name in ("127.0.0.1", f"127.0.0.1:{s.port}", f"{s.url}/x?y", None):
        fetch(client, s.url)
        assert client.close_idle("example.com") == 0
        assert client.close_idle(name) == 1
    assert gauges(client) == (0, 1, 0, 0, 0)
    go.set()
    assert held.read() == b"ok"
    assert closes(client) == {"close_idle_called": 5}
