"""client.advise(): each advice is provoked by what a user does wrong, over real
sockets, and is absent when he does it right."""

import pickle
import threading

import pytest

import hpool
from tests.server.scripted import expect, respond, send, serve
from tests.tools import Call, advance, closes, until_waiting

OK = respond(b"ok")


def codes(client):
    return [advice.code for advice in client.advise()]


def found(client, code):
    """The one advice of that code, and it must be there."""
    (advice,) = [a for a in client.advise() if a.code == code]
    return advice


def at_once(client, s, go, n):
    """n requests at a time: all are under way before the first one ends."""
    held = [client.get(s.url) for _ in range(n)]
    go.set()
    for response in held:
        assert response.read() == b"ok"


def parallel(server):
    """A server whose connections serve their first request when `go` is set."""
    go = threading.Event()
    return server([expect(), send(OK[:-2], go, OK[-2:]), serve(OK)]), go


def test_nothing_to_say(server, new_client):
    client = new_client()
    assert client.advise() == []
    s = server([serve(OK)])
    for _ in range(50):
        client.get(s.url).read()
    assert client.advise() == []


# ---- idle_cap ------------------------------------------------------------------


def test_idle_cap(server, new_client):
    """Twelve at a time under Go's idle cap of two: ten connections are thrown
    away, and the figure to set is twelve."""
    s, go = parallel(server)
    client = new_client(limits=hpool.Limits.go())
    at_once(client, s, go, 12)
    advice = found(client, "idle_cap")
    assert (advice.severity, advice.host) == ("problem", f"127.0.0.1:{s.port}")
    assert str(advice) == (
        f"10 of 12 connections to 127.0.0.1:{s.port} were closed when their request "
        "was done, because max_idle_conns_per_host=2 while up to 12 were in use at "
        "once. Raise Limits(max_idle_conns_per_host=) from 2 to at least 12."
    )
    assert advice.figures == {"closed": 10, "dials": 12, "cap": 2, "peak": 12}


def test_idle_cap_as_advised(server, new_client):
    s, go = parallel(server)
    client = new_client(limits=hpool.Limits(max_idle_conns_per_host=12))
    at_once(client, s, go, 12)
    assert client.advise() == []


def test_idle_cap_of_all_hosts(server, new_client):
    """The same over two hosts and the cap for all."""
    client = new_client(limits=hpool.Limits(max_idle_conns=4))
    for _ in range(2):
        s, go = parallel(server)
        at_once(client, s, go, 12)
    advice = found(client, "idle_cap")
    assert advice.host is None
    assert "20 of 24 connections were closed" in advice.finding
    assert "max_idle_conns=) from 4 to at least 12" in advice.change


# ---- bodies_unread -------------------------------------------------------------

LARGE = respond(bytes(2 << 20))


def close_unread(client, s, n):
    for _ in range(n):
        client.get(s.url).close()


def test_bodies_unread(server, new_client):
    s = server([serve(LARGE)])
    client = new_client()
    close_unread(client, s, 10)
    assert closes(client) == {"drain_too_long": 10}
    advice = found(client, "bodies_unread")
    assert advice.severity == "problem"
    assert "10 of 10 responses" in advice.finding
    assert "(drain_too_long 10)" in advice.finding
    assert "HEAD or Range; or raise Limits(drain_bytes=) above 262144" in advice.change
    assert advice.figures["drain_too_long"] == 10


def test_bodies_unread_without_drains(server, new_client):
    s = server([serve(LARGE)])
    client = new_client(limits=hpool.Limits(drain_bytes=0))
    close_unread(client, s, 10)
    advice = found(client, "bodies_unread")
    assert "body_unread 10" in advice.finding
    assert "drain_bytes=262144" in advice.change


def test_bodies_read(server, new_client):
    s = server([serve(LARGE)])
    client = new_client()
    for _ in range(10):
        client.get(s.url).read()
    assert client.advise() == []


# ---- leaked_responses ----------------------------------------------------------


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_leaked_responses(server, new_client):
    s = server([serve(LARGE)])
    client = new_client()
    for _ in range(10):
        client.get(s.url)
    advice = found(client, "leaked_responses")
    assert "10 of 10 responses" in advice.finding
    assert "with client.get(url) as response" in advice.change


def test_none_leaked(server, new_client):
    s = server([serve(OK)])
    client = new_client()
    for _ in range(10):
        with client.get(s.url):
            pass
    assert client.advise() == []


# ---- queueing ------------------------------------------------------------------


def wait_in_line(client, s, go, seconds):
    """One request holds the only connection while ten others wait so long."""
    held = client.get(s.url)
    calls = [Call(lambda: client.get(s.url).read()) for _ in range(10)]
    until_waiting(client, 10)
    advance(seconds)
    go.set()
    held.read()
    for call in calls:
        assert call.result() == b"ok"


@pytest.mark.parametrize("setting", ["max_conns_per_host", "max_conns"])
def test_queueing(server, new_client, setting):
    s, go = parallel(server)
    client = new_client(limits=hpool.Limits(**{setting: 1}))
    wait_in_line(client, s, go, 2)
    advice = found(client, "queueing")
    assert advice.severity == "problem"
    assert "10 of 11 requests" in advice.finding
    assert f"up to 10 at a time, because {setting}=1" in advice.finding
    assert f"Limits({setting}=) to 11" in advice.change
    assert 2 <= advice.figures["mean_wait"] < 4
    assert advice.figures["limit"] == 1


def test_short_queues_are_what_limits_are_for(server, new_client):
    """Two of eleven wait: too few to speak of."""
    s, go = parallel(server)
    client = new_client(limits=hpool.Limits(max_conns_per_host=9))
    held = [client.get(s.url) for _ in range(9)]
    calls = [Call(lambda: client.get(s.url).read()) for _ in range(2)]
    until_waiting(client, 2)
    advance(2)
    go.set()
    for response in held:
        response.read()
    for call in calls:
        call.result()
    assert client.advise() == []


def test_refused(server, new_client):
    s, go = parallel(server)
    limits = hpool.Limits(max_conns_per_host=1, max_waiting=0)
    client = new_client(limits=limits)
    held = client.get(s.url)
    for _ in range(10):
        with pytest.raises(hpool.QueueFull):
            client.get(s.url)
    go.set()
    held.read()
    advice = found(client, "queueing")
    assert "10 were refused (QueueFull, max_waiting=0)" in advice.finding


# ---- the record ----------------------------------------------------------------


def test_an_advice_is_a_value():
    advice = hpool.Advice("idle_cap", "hint", None, "Found", "Change", {"closed": 3})
    assert str(advice) == "Found. Change."
    assert advice.figures["closed"] == 3
    copy = pickle.loads(pickle.dumps(advice))
    assert copy == advice and hash(copy) == hash(advice)
    with pytest.raises(AttributeError, match="immutable"):
        advice.code = "other"


def test_after_close(server, new_client):
    """What was counted is still there."""
    s, go = parallel(server)
    client = new_client(limits=hpool.Limits.go())
    at_once(client, s, go, 12)
    client.close()
    assert found(client, "idle_cap").host is None
    assert codes(client) == ["idle_cap"]


def test_not_made():
    with pytest.raises(RuntimeError, match="__init__"):
        hpool.Client.__new__(hpool.Client).advise()
