"""client.advise(): each advice is provoked by what a user does wrong, over real
sockets, and is absent when he does it right."""

import pathlib
import pickle
import re
import threading

import pytest

import hpool
from tests.server.scripted import (
    close,
    expect,
    respond,
    send,
    serve,
    until_closed,
    wait,
)
from tests.tools import Call, advance, closes, codes, found, until_idle, until_waiting

OK = respond(b"ok")


@pytest.fixture(autouse=True)
def process_without_a_past():
    """What other tests have done with their clients is long ago."""
    advance(3600)


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


def in_turn(server, client, n, rounds, **tls):
    """One request at a time, to n hosts in turn."""
    urls = [server([serve(OK)], **tls).url for _ in range(n)]
    for url in urls * rounds:
        assert client.get(url).read() == b"ok"
    assert client.stats().total.peak.in_use == 1


def test_idle_cap_below_the_hosts_in_turn(server, new_client):
    """Each visit dials anew, because twenty others have come in between; and no
    host is remembered long enough to count by itself."""
    client = new_client(limits=hpool.Limits(max_idle_conns=10))
    in_turn(server, client, 30, rounds=3)
    assert str(found(client, "idle_cap")) == (
        "60 of 90 connections were made to hosts whose last one had been closed "
        "shortly before, because max_idle_conns=10 while some 30 were used in turn. "
        "Raise Limits(max_idle_conns=) from 10 to at least 30."
    )


def test_hosts_in_turn_as_advised(server, new_client):
    client = new_client(limits=hpool.Limits(max_idle_conns=30))
    in_turn(server, client, 30, rounds=3)
    assert client.stats().total.dials == 30
    assert client.advise() == []


def test_hosts_that_are_visited_once(server, new_client):
    """No cap would be high enough for them."""
    client = new_client(limits=hpool.Limits(max_idle_conns=10))
    in_turn(server, client, 60, rounds=1)
    assert closes(client) == {"idle_cap_total": 50}
    assert client.advise() == []


def test_hosts_that_are_visited_once_in_a_while(server, new_client):
    """Their connections would have been closed for their age by then."""
    client = new_client(limits=hpool.Limits(max_idle_conns=1, idle_conn_timeout=60))
    urls = [server([serve(OK)]).url for _ in range(2)]
    for url in urls * 20:
        client.get(url).read()
        advance(61)
    assert client.advise() == []


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
    assert advice.figures["max_wait"] >= advice.figures["mean_wait"]
    assert " s at most, up to 10 at a time" in advice.finding
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


# ---- slow_holders --------------------------------------------------------------


def test_slow_holders(server, new_client):
    """A body is left unread for six seconds while two requests wait for its
    connection."""
    s = server([serve(LARGE)])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    held = client.get(f"{s.url}/held?secret=1")
    calls = [Call(lambda: len(client.get(s.url).read())) for _ in range(2)]
    until_waiting(client, 2)
    assert client.advise() == []
    advance(6)
    advice = found(client, "slow_holders")
    assert (advice.severity, advice.host) == ("problem", f"127.0.0.1:{s.port}")
    assert "have held 1 connection for 5 s or more" in advice.finding
    assert "with 2 requests waiting for one; the longest: GET" in advice.finding
    assert f"{s.url}/held: body unread, held for 6." in advice.finding
    assert "secret" not in advice.finding
    assert "with client.get(url) as response" in advice.change
    figures = advice.figures
    assert (figures["held"], figures["unread"], figures["waiting"]) == (1, 1, 2)
    held.close()
    assert [call.result() for call in calls] == [2 << 20] * 2
    assert "slow_holders" not in codes(client)


def test_slow_holders_that_pile_up(server, new_client):
    """The leak of the case study: nobody waits yet, but the connections grow."""
    s = server([serve(LARGE)])
    client = new_client(leak_warnings="trace")
    held = [client.get(s.url) for _ in range(10)]
    assert client.advise() == []
    advance(6)
    advice = found(client, "slow_holders")
    assert "have held 10 connections for 5 s or more; the longest" in advice.finding
    assert "made at " in advice.finding and "test_advise.py" in advice.finding
    held.pop().close()
    assert client.advise() == []  # nine may be nine downloads
    for response in held:
        response.close()


def test_slow_downloads_are_nobody_s_fault(server, new_client):
    """Bodies that are being read take what they take."""
    s = server([serve(LARGE)])
    client = new_client()
    held = [client.get(s.url) for _ in range(12)]
    for response in held:
        response.read(1000)
    advance(60)
    assert client.advise() == []
    for response in held:
        assert len(response.read()) == (2 << 20) - 1000


def test_slow_holders_of_another_host(server, new_client):
    """They are in nobody's way: the requests that wait do so elsewhere."""
    a, b = server([serve(LARGE)]), server([serve(LARGE)])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    slow = client.get(a.url)
    advance(60)
    held = client.get(b.url)
    call = Call(lambda: len(client.get(b.url).read()))
    until_waiting(client, 1)
    assert client.advise() == []
    held.close()
    assert call.result() == 2 << 20
    slow.close()


def test_slow_holders_of_any_host(server, new_client):
    """With a limit for all hosts, a holder of any host is in the way."""
    a, b = server([serve(LARGE)]), server([serve(LARGE)])
    client = new_client(limits=hpool.Limits(max_conns=1))
    slow = client.get(a.url)
    call = Call(lambda: len(client.get(b.url).read()))
    until_waiting(client, 1)
    advance(6)
    assert found(client, "slow_holders").host == f"127.0.0.1:{a.port}"
    slow.close()
    assert call.result() == 2 << 20


# ---- timeouts ------------------------------------------------------------------


def test_timeouts(server, new_client):
    """Ten requests time out, all while the server makes up its mind."""
    s = server([expect(), until_closed()])
    client = new_client(timeout=hpool.Timeout(response_header=0.02))
    for _ in range(10):
        with pytest.raises(hpool.ReadTimeout):
            client.get(s.url)
    advice = found(client, "timeouts")
    assert "10 of 10 requests" in advice.finding
    assert "in the same phase, head" in advice.finding
    assert "Raise Timeout(response_header=, read=)" in advice.change


# ---- time_wait -----------------------------------------------------------------


def fetch(client, url, n, **how):
    for _ in range(n):
        assert client.get(url, **how).read() == b"ok"


@pytest.mark.parametrize(
    "limits, reason, change",
    [
        (
            {"disable_keepalives": True},
            "request_says_close",
            "disable_keepalives=False",
        ),
        (
            {"max_requests_per_conn": 1},
            "max_requests",
            "Raise Limits(max_requests_per_conn=) from 1",
        ),
        ({"idle_conn_timeout": 0}, "idle_timeout", "idle_conn_timeout=) from 0 s"),
    ],
)
def test_time_wait(server, new_client, limits, reason, change):
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(**limits))
    fetch(client, s.url, 20)
    assert codes(client) == ["time_wait"]
    (advice,) = client.advise()
    assert advice.host is None  # forgotten with each of its connections
    assert "20 of 20 connections were closed by this side after one" in advice.finding
    assert f"({reason} 20)" in advice.finding
    assert change in advice.change


def test_time_wait_by_headers(server, new_client):
    s = server([serve(OK)])
    client = new_client()
    fetch(client, s.url, 20, headers={"Connection": "close"})
    assert "`Connection: close`" in found(client, "time_wait").change


def test_time_wait_by_close_idle(server, new_client):
    s = server([serve(OK)])
    client = new_client()
    for _ in range(20):
        fetch(client, s.url, 1)
        client.close_idle()
    assert "close_idle()" in found(client, "time_wait").change


def test_time_wait_by_max_conns(server, new_client):
    """One connection for two hosts in turn."""
    a, b = server([serve(OK)]), server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_conns=1))
    for _ in range(11):
        fetch(client, a.url, 1)
        fetch(client, b.url, 1)
    assert "Raise Limits(max_conns=) from 1" in found(client, "time_wait").change


def test_few_requests_per_connection_are_enough(server, new_client):
    """With ten requests each, connections are worth their while."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_requests_per_conn=10))
    fetch(client, s.url, 200)
    assert closes(client) == {"max_requests": 20}
    assert client.advise() == []


# ---- server_closes -------------------------------------------------------------


def test_server_closes(server, new_client):
    s = server([serve(respond(b"ok", headers={"Connection": "close"}))])
    client = new_client()
    fetch(client, s.url, 20)
    advice = found(client, "server_closes")
    assert advice.severity == "hint"
    assert "ended 20 of 20 connections" in advice.finding
    assert "(response_says_close 20)" in advice.finding
    assert codes(client) == ["server_closes"]


# ---- full_handshakes -----------------------------------------------------------


def handshakes(server, new_client, ca, tickets):
    """One request under way, so that the host is remembered, and 20 connections
    one after the other."""
    context = ca.server_context()
    context.num_tickets = tickets
    go = threading.Event()
    slow = [expect(), send(OK[:-2], go, OK[-2:])]
    s = server(slow, *[[serve(OK)]] * 20, tls=context)
    client = new_client(verify=ca.pem)
    held = client.get(s.url)
    fetch(client, s.url, 20, headers={"Connection": "close"})
    go.set()
    held.read()
    return client


def test_full_handshakes(server, new_client, ca):
    client = handshakes(server, new_client, ca, 0)
    advice = found(client, "full_handshakes")
    assert "20 of 21 TLS handshakes" in advice.finding
    assert "tickets" in advice.change


def test_resumed_handshakes(server, new_client, ca):
    client = handshakes(server, new_client, ca, 2)
    assert client.stats().total.resumed > 10
    assert "full_handshakes" not in codes(client)


def test_hosts_in_turn_are_resumed(server, new_client, ca):
    """Sessions outlive what the pool knows of a host; what is dialed too often
    is still said."""
    client = new_client(verify=ca.pem, limits=hpool.Limits(max_idle_conns=10))
    in_turn(server, client, 30, rounds=2, tls=ca.server_context())
    total = client.stats().total
    assert (total.handshakes, total.resumed, total.unresumed) == (60, 30, 0)
    assert codes(client) == ["idle_cap"]


def test_hosts_in_turn_that_resume_nothing(server, new_client, ca):
    """Of no host alone there are enough handshakes to judge by."""
    context = ca.server_context()
    context.num_tickets = 0
    client = new_client(verify=ca.pem, limits=hpool.Limits(max_idle_conns=10))
    in_turn(server, client, 30, rounds=2, tls=context)
    advice = found(client, "full_handshakes")
    assert advice.host is None
    assert "30 of 60 TLS handshakes were full ones" in advice.finding
    assert advice.figures == {"full": 30, "handshakes": 60, "resumed": 0}
    assert codes(client) == ["idle_cap", "full_handshakes"]


# ---- lookups -------------------------------------------------------------------


@pytest.mark.parametrize("ttl, said", [(0, True), (10, False)])
def test_lookups(server, new_client, ttl, said):
    s = server([serve(OK)])
    limits = hpool.Limits(disable_keepalives=True)
    client = new_client(limits=limits, dns_ttl=ttl)
    fetch(client, f"http://localhost:{s.port}/", 20)
    assert ("lookups" in codes(client)) == said
    if said:
        advice = found(client, "lookups")
        assert "20 names were looked up for 20 connections" in advice.finding


# ---- stale_reuse ---------------------------------------------------------------


def idle_for(client, s, go, seconds):
    """Twelve connections, idle for so long."""
    at_once(client, s, go, 12)
    advance(seconds)


def test_stale_reuse(server, new_client):
    """A server that closes what has been idle for a minute; we would keep it for
    longer."""
    go, minute = threading.Event(), threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:]), wait(minute), close()])
    client = new_client()
    idle_for(client, s, go, 60)
    minute.set()
    until_idle(client, 0)
    advice = found(client, "stale_reuse")
    assert advice.severity == "hint"  # it has hurt nobody yet
    assert "had closed 12 of 12 connections while they were idle" in advice.finding
    assert 60 <= advice.figures["mean_idle"] < 61
    assert "Set Limits(idle_conn_timeout=5" in advice.change
    assert 50 <= advice.figures["suggested"] < 60


def test_stale_reuse_as_advised(server, new_client):
    """With the timeout that is advised, it is we who close."""
    s, go = parallel(server)
    client = new_client(limits=hpool.Limits(idle_conn_timeout=53))
    idle_for(client, s, go, 60)
    until_idle(client, 0)
    assert closes(client) == {"idle_timeout": 12}
    assert client.advise() == []


def test_stale_reuse_that_hurts(server, new_client):
    """Ten POSTs go out at the very moment at which the server closes: it takes
    them and answers nothing."""
    s = server([expect(), send(OK), expect(), close()])
    client = new_client()
    for _ in range(10):
        fetch(client, s.url, 1)
        advance(5)
        with pytest.raises(hpool.ServerDisconnected):
            client.post(s.url, data=b"x")
    advice = found(client, "stale_reuse")
    assert advice.severity == "problem"
    assert "10 requests went out on one" in advice.finding
    assert "10 of them failed" in advice.finding
    assert 4 <= advice.figures["suggested"] < 5


def test_stale_after_any_time(server, new_client):
    """Closed at ages from 1 to 55 s: that is no timeout, and no figure is made up
    for it."""
    s = server([expect(), send(OK), expect(), close()])
    client = new_client()
    for i in range(10):
        fetch(client, s.url, 1)
        advance(1 + 6 * i)
        with pytest.raises(hpool.ServerDisconnected):
            client.post(s.url, data=b"x")
    advice = found(client, "stale_reuse")
    assert "suggested" not in advice.figures
    assert "server's keep-alive timeout above idle_conn_timeout=90" in advice.change


# ---- the page ------------------------------------------------------------------


def test_every_code_is_documented():
    root = pathlib.Path(__file__).parents[2]
    rules = "".join(p.read_text() for p in (root / "hpool/_diagnosis").glob("*.py"))
    page = (root / "docs/advise.rst").read_text()
    documented = re.findall(r"(?m)^``(\w+)``  ", page)
    assert sorted(documented) == sorted(re.findall(r'Advice\(\s*"(\w+)"', rules))


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
