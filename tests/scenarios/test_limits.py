"""Limits, waiting and late binding, S33 to S56."""

import gc
import logging
import threading
import time
import weakref

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
from tests.tools import (
    Call,
    Clogged,
    closes,
    gauges,
    sockets_to,
    until,
    until_idle,
    until_waiting,
)

OK = respond(b"ok")


def one(**limits):
    return hpool.Limits(max_conns_per_host=1, **limits)


def fetch(client, url, **how):
    return client.get(url, **how).read()


def test_s33_idle_cap_of_a_host(server, new_client):
    """Three parallel requests that end one by one under an idle cap of two leave
    0, 1, 2 and 2 idle connections: the newcomer goes."""
    go = [threading.Event() for _ in range(3)]
    s = server(*[[expect(), send(OK[:-2], event, OK[-2:])] for event in go])
    client = new_client(limits=hpool.Limits(max_idle_conns_per_host=2))
    held = [client.get(s.url) for _ in go]
    seen = [client.stats().total.idle]
    for response, event in zip(held, go):
        event.set()
        assert response.read() == b"ok"
        seen.append(client.stats().total.idle)
    assert seen == [0, 1, 2, 2]
    assert closes(client) == {"idle_cap_host": 1}
    s.connections[2].wait_closed()


def test_s34_idle_cap_of_all_hosts(server, new_client):
    """A global idle cap of four and five hosts: the oldest of any host goes."""
    servers = [server([serve(OK)]) for _ in range(5)]
    client = new_client(limits=hpool.Limits(max_idle_conns=4))

    def idle():
        hosts = client.stats().hosts
        return [
            i
            for i, s in enumerate(servers)
            if (row := hosts.get(f"|http|127.0.0.1:{s.port}")) and row.idle
        ]

    for s in servers[:4]:
        fetch(client, s.url)
    assert idle() == [0, 1, 2, 3]
    fetch(client, servers[4].url)
    assert idle() == [1, 2, 3, 4]
    assert closes(client) == {"idle_cap_total": 1}
    servers[0].connections[0].wait_closed()


def test_s35_one_connection_for_ten(server, new_client):
    """A limit of one and ten GETs at once: one connection. Broken, it costs exactly
    one more."""
    s = server([serve(OK)])
    client = new_client(limits=one())
    for call in [Call(fetch, client, s.url) for _ in range(10)]:
        assert call.result() == b"ok"
    assert len(s.connections) == 1
    total = client.stats().total
    assert (total.dials, total.reuses) == (1, 9)
    client.close_idle()
    assert fetch(client, s.url) == b"ok"
    assert len(s.connections) == 2
    assert client.stats().total.dials == 2


def test_s35_one_handshake_for_ten(server, new_client, ca):
    """The same over TLS: one handshake."""
    s = server([serve(OK)], tls=ca.server_context())
    client = new_client(limits=one(), verify=ca.pem)
    for call in [Call(fetch, client, s.url) for _ in range(10)]:
        assert call.result() == b"ok"
    assert client.stats().total.handshakes == 1


def test_s36_a_dial_counts(new_client):
    """Under a limit of one, a dial that hangs keeps the second request from
    dialing until the first has failed."""
    with silent_port() as port:
        client = new_client(
            limits=one(disable_keepalives=True),
            timeout=hpool.Timeout(connect=0.3, pool=10),
        )
        calls = [Call(client.get, f"http://127.0.0.1:{port}") for _ in range(2)]
        until(lambda: gauges(client) == (0, 0, 1, 0, 1))
        for call in calls:
            assert isinstance(call.error(), hpool.ConnectTimeout)
    total = client.stats().total
    assert (total.peak.dialing, total.dials) == (1, 2)


def test_s37_a_cancelled_dial_gives_its_slot_back(new_client):
    """Limit one: a request that is cancelled during its dial does not keep the slot;
    the next one is served."""
    with Clogged() as c:
        c.clog()
        client = new_client(limits=one())
        token = hpool.CancelToken()
        first = Call(client.get, c.url, cancel=token)
        until(lambda: gauges(client) == (0, 0, 1, 0, 0))
        token.cancel()
        assert isinstance(first.error(), hpool.Cancelled)
        until_idle(client, 0)
        c.release()
        second = Call(fetch, client, c.url)
        c.serve(c.accept(), OK)
        assert second.result() == b"ok"


def test_s37_a_cancelled_waiter_leaves_the_queue(server, new_client):
    """Limit one: of three waiters the middle one is cancelled; the others are served
    in their order."""
    go = threading.Event()
    s = server(
        [
            expect(),
            send(OK[:-2], go, OK[-2:]),
            serve(lambda r: respond(r.target.encode())),
        ]
    )
    client = new_client(limits=one())
    held = client.get(s.url)
    tokens = [hpool.CancelToken() for _ in range(3)]
    calls = []
    for i, token in enumerate(tokens):
        calls.append(Call(fetch, client, f"{s.url}/{i}", cancel=token))
        until_waiting(client, i + 1)
    tokens[1].cancel()
    assert isinstance(calls[1].error(), hpool.Cancelled)
    until_waiting(client, 2)
    go.set()
    assert held.read() == b"ok"
    assert calls[0].result() == b"/0"
    assert calls[2].result() == b"/2"
    assert [r.target for r in s.requests] == ["/", "/0", "/2"]


def test_first_come_first_served(server, new_client):
    """Limit one: requests that wait are sent in the order in which they came."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:]), serve(OK)])
    client = new_client(limits=one())
    held = client.get(s.url)
    calls = []
    for i in range(8):
        calls.append(Call(fetch, client, f"{s.url}/{i}"))
        until_waiting(client, i + 1)
    go.set()
    held.read()
    assert [call.result() for call in calls] == [b"ok"] * 8
    assert [r.target for r in s.requests[1:]] == [f"/{i}" for i in range(8)]


def test_s39_queues_forget_whom_they_served(server, new_client):
    """Limit one, 64 POSTs at once: nothing of theirs is kept afterwards."""

    class Body:
        def __iter__(self):
            return iter([b"body"])

    s = server([serve(OK)])
    client = new_client(limits=one())
    bodies = [Body() for _ in range(64)]
    seen = [weakref.ref(body) for body in bodies]
    calls = [Call(lambda b: client.post(s.url, data=b).read(), b) for b in bodies]
    for call in calls:
        assert call.result() == b"ok"
    del bodies, calls, call
    gc.collect()
    assert [ref() for ref in seen if ref() is not None] == []
    assert gauges(client) == (1, 0, 0, 0, 0)


def test_s40_late_binding(new_client):
    """A request whose dial hangs is served on the connection that another one has
    finished with meanwhile."""
    with Clogged() as c:
        client = new_client()
        first = Call(client.get, f"{c.url}/foo")
        sock = c.accept()
        c.serve(sock, OK[:-2])
        held = first.result()
        c.clog()
        second = Call(client.get, f"{c.url}/bar")
        until(
            lambda: (
                gauges(client) == (0, 1, 1, 0, 1) or gauges(client) == (0, 1, 1, 0, 0)
            )
        )
        sock.sendall(OK[-2:])
        assert held.read() == b"ok"
        assert c.serve(sock, OK).startswith(b"GET /bar ")
        response = second.result()
        assert response.read() == b"ok"
        assert response.connection.id == held.connection.id
        assert response.connection.reused


@pytest.mark.parametrize("disabled", [False, True])
def test_s41_nothing_waits_afterwards(server, new_client, disabled):
    """After requests to five hosts nothing waits or dials at any of them."""
    servers = [server([serve(OK)]) for _ in range(5)]
    client = new_client(limits=hpool.Limits(disable_keepalives=disabled))
    for s in servers:
        assert fetch(client, s.url) == b"ok"
    assert gauges(client) == (0 if disabled else 5, 0, 0, 0, 0)


def test_s42_each_gets_its_own(cserver, new_client):
    """500 requests through 32 threads: each gets the answer to its own."""
    client = new_client()
    ids = iter(range(500))
    lock = threading.Lock()

    def work():
        got = 0
        while True:
            with lock:
                mine = next(ids, None)
            if mine is None:
                return got
            body = fetch(client, f"{cserver.url}/id", headers={"X-Id": str(mine)})
            assert body == str(mine).encode()
            got += 1

    assert sum(call.result(30) for call in [Call(work) for _ in range(32)]) == 500


def test_s44_stalled_requests_released(server, new_client):
    """25 requests that were stalled and then answered leave no socket behind."""
    go = threading.Event()
    s = server([expect(), wait(go), send(OK), close()])
    client = new_client()
    calls = [Call(fetch, client, s.url) for _ in range(25)]
    s.wait_requests(25)
    go.set()
    assert {call.result() for call in calls} == {b"ok"}
    until_idle(client, 0)
    until(lambda: sockets_to(s.port) == 0)


def test_s44_short_bodies(server, new_client):
    """20 responses shorter than declared are 20 errors, and leave no socket."""
    s = server([expect(), send(respond(b"x", headers={"Content-Length": 20})), close()])
    client = new_client()
    for _ in range(20):
        with pytest.raises(hpool.IncompleteRead):
            fetch(client, s.url)
    until_idle(client, 0)
    until(lambda: sockets_to(s.port) == 0)


def test_s44_hang_up_on_each_post(server, new_client):
    """POSTs to a server that hangs up on each: errors, no socket left, nothing sent
    twice."""
    s = server([expect(), close()])
    client = new_client()
    for _ in range(20):
        with pytest.raises(hpool.ServerDisconnected):
            client.post(s.url, data=b"x")
    assert len(s.requests) == 20
    until_idle(client, 0)
    until(lambda: sockets_to(s.port) == 0)


def test_s45_close_idle_and_then_return(server, new_client):
    """close_idle() closes what is idle and what becomes idle; the next request ends
    that."""
    go = threading.Event()
    answers = [[expect(), send(OK[:-2], go, OK[-2:])] for _ in range(2)]
    s = server(*answers, [serve(OK)])
    client = new_client()
    held = [client.get(s.url), client.get(s.url)]
    assert client.close_idle() == 0
    go.set()
    assert [r.read() for r in held] == [b"ok", b"ok"]
    assert gauges(client) == (0, 0, 0, 0, 0)
    assert closes(client) == {"close_idle_called": 2}
    assert fetch(client, s.url) == b"ok"
    assert client.stats().total.idle == 1


def test_s46_close_idle(server, new_client):
    """GET, close_idle(), GET: two connections."""
    s = server([serve(OK)])
    client = new_client()
    fetch(client, s.url)
    assert client.close_idle() == 1
    s.connections[0].wait_closed()
    fetch(client, s.url)
    assert len(s.connections) == 2


def test_close_idle_of_one_host(server, new_client):
    """close_idle() of a URL, a host:port or a name leaves other hosts alone."""
    a, b = server([serve(OK)]), server([serve(OK)])
    client = new_client()
    for host in (f"{a.url}/x?y#z", f"127.0.0.1:{a.port}"):
        fetch(client, a.url)
        fetch(client, b.url)
        assert client.close_idle(host) == 1
        assert client.stats().hosts[f"|http|127.0.0.1:{b.port}"].idle == 1
    fetch(client, a.url)
    assert client.close_idle("127.0.0.1") == 2


def test_s47_close_idle_during_a_response(server, new_client):
    """close_idle() while a body is under way does not touch it."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:])])
    client = new_client()
    with client.get(s.url) as response:
        client.close_idle()
        go.set()
        assert response.read() == b"ok"
    s.connections[0].wait_closed()


def test_s48_idle_timeout(server, new_client):
    """Each use starts the idle time anew; unused, the connection leaves the pool by
    itself."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(idle_conn_timeout=0.5))
    begun = threading.Event()
    timer = threading.Timer(1.0, begun.set)
    timer.start()
    while not begun.is_set():  # twice as long as the idle time
        assert fetch(client, s.url) == b"ok"
        begun.wait(0.05)
    timer.join()
    assert len(s.connections) == 1
    until_idle(client, 0)
    s.connections[0].wait_closed()
    assert closes(client) == {"idle_timeout": 1}


def test_s49_a_timed_out_connection_gives_its_slot_back(server, new_client):
    """Limits of one and one: after the idle time the next request has a new
    connection."""
    s = server([serve(OK)])
    limits = one(max_idle_conns_per_host=1, idle_conn_timeout=0.1)
    client = new_client(limits=limits)
    fetch(client, s.url)
    until_idle(client, 0)
    assert fetch(client, s.url) == b"ok"
    assert len(s.connections) == 2


def test_s50_a_broken_connection_gives_its_slot_back(server, new_client):
    """Limits of one and one: the server closes the idle connection, the next request
    has a new one."""
    s = server([expect(), send(OK), close()], [serve(OK)])
    client = new_client(limits=one(max_idle_conns_per_host=1))
    assert fetch(client, s.url) == b"ok"
    s.connections[0].wait_ended()
    assert fetch(client, s.url) == b"ok"
    assert len(s.connections) == 2


def test_s51_the_dial_of_a_cancelled_request(new_client):
    """Without a limit the dial of a cancelled request goes on and becomes idle; when
    it has timed out there, the next request has its own."""
    with Clogged() as c:
        c.clog()
        client = new_client(limits=hpool.Limits(idle_conn_timeout=0.2))
        token = hpool.CancelToken()
        call = Call(client.get, c.url, cancel=token)
        until(lambda: client.stats().total.dials == 1)
        token.cancel()
        assert isinstance(call.error(), hpool.Cancelled)
        assert client.stats().total.dialing == 1
        c.release()
        c.accept()
        until_idle(client, 0)
        assert closes(client) == {"idle_timeout": 1}
        second = Call(fetch, client, c.url)
        c.serve(c.accept(), OK)
        assert second.result() == b"ok"


def test_s52_dead_idle_connections_go_by_themselves(server, new_client):
    """The server closes its idle connections: they leave the pool without any call
    of the client, and a POST works afterwards."""
    s = server([expect(), send(OK), close()])
    client = new_client()
    for n in (1, 2):
        assert client.post(s.url, data=b"x").read() == b"ok"
        until_idle(client, 0)
        assert closes(client) == {"server_closed_idle": n}
    assert len(s.requests) == 2


def test_s53_cut_abruptly(server, new_client):
    """Two bodies on one connection; it is reset while idle; the third request works
    on another one."""
    s = server([expect(), send(OK), expect(), send(OK), reset()], [serve(OK)])
    client = new_client()
    assert [fetch(client, s.url) for _ in range(3)] == [b"ok"] * 3
    assert [len(c.requests) for c in s.connections] == [2, 1]


def test_s54_an_unsolicited_408(server, new_client, caplog):
    """A 408 sent to an idle connection ends it quietly (only the debug log tells)
    and is nobody's answer."""
    go = threading.Event()
    bye = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\nbye"
    s = server([expect(), send(OK, go, bye)], [serve(respond(b"next"))])
    client = new_client()
    with caplog.at_level(logging.INFO):
        assert fetch(client, s.url) == b"ok"
        go.set()
        s.connections[0].wait_closed()
        until_idle(client, 0)
    assert caplog.records == []
    assert fetch(client, s.url) == b"next"


def test_unsolicited_bytes(server, new_client):
    """Bytes that nobody asked for end an idle connection; they never become the
    answer to the next request."""
    go = threading.Event()
    s = server([expect(), send(OK, go, respond(b"evil"))], [serve(respond(b"next"))])
    client = new_client()
    assert fetch(client, s.url) == b"ok"
    go.set()
    s.connections[0].wait_closed()
    assert fetch(client, s.url) == b"next"
    assert closes(client) == {"unsolicited_bytes": 1}


def test_bytes_after_the_body(server, new_client):
    """Bytes that come with the end of a body cost the connection at once."""
    s = server([expect(), send(OK + respond(b"evil"))], [serve(respond(b"next"))])
    client = new_client()
    assert fetch(client, s.url) == b"ok"
    assert fetch(client, s.url) == b"next"
    assert closes(client) == {"leftover_bytes": 1}


# ---- what Go does not have ---------------------------------------------------


def test_max_conns_makes_room(server, new_client):
    """At max_conns an idle connection of another host is closed for a request."""
    a, b = server([serve(OK)]), server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_conns=1))
    assert fetch(client, a.url) == b"ok"
    assert fetch(client, b.url) == b"ok"
    a.connections[0].wait_closed()
    assert closes(client) == {"made_room": 1}
    assert gauges(client) == (1, 0, 0, 0, 0)


def test_max_conns_is_first_come_first_served_over_hosts(server, new_client):
    """At max_conns the oldest waiter of any host is next: a connection that comes
    back is closed for it."""
    go = threading.Event()
    a = server([expect(), send(OK[:-2], go, OK[-2:])], [serve(OK)])
    b = server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_conns=1))
    held = client.get(a.url)
    first = Call(fetch, client, b.url)
    until_waiting(client, 1)
    second = Call(fetch, client, a.url)
    until_waiting(client, 2)
    go.set()
    assert held.read() == b"ok"
    assert first.result() == second.result() == b"ok"
    assert len(a.connections) == 2


def test_max_waiting(server, new_client):
    """Beyond max_waiting a request fails at once with QueueFull; 0 is no queue."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:]), serve(OK)])
    client = new_client(limits=one(max_waiting=1))
    held = client.get(s.url)
    waiter = Call(fetch, client, s.url)
    until_waiting(client, 1)
    with pytest.raises(hpool.QueueFull, match="max_waiting"):
        client.get(s.url)
    go.set()
    held.read()
    assert waiter.result() == b"ok"

    none = new_client(limits=one(max_waiting=0))
    go.clear()
    s = server([expect(), send(OK[:-2], go, OK[-2:])])
    with none.get(s.url) as held:
        with pytest.raises(hpool.QueueFull):
            none.get(s.url)
        go.set()
        assert held.read() == b"ok"


def test_max_requests_per_conn(server, new_client):
    """After max_requests_per_conn requests a connection is closed."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_requests_per_conn=3))
    for _ in range(6):
        fetch(client, s.url)
    assert [len(c.requests) for c in s.connections] == [3, 3]
    assert closes(client) == {"max_requests": 2}


def test_max_conn_age(server, new_client):
    """A connection older than max_conn_age is not used again."""
    s = server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_conn_age=0.1))
    fetch(client, s.url)
    begun = time.monotonic()
    until(lambda: time.monotonic() > begun + 0.11)
    assert fetch(client, s.url) == b"ok"
    assert len(s.connections) == 2
    assert closes(client) == {"max_age": 1}


@pytest.mark.parametrize("order, again", [("lifo", 1), ("fifo", 0)])
def test_idle_order(server, new_client, order, again):
    """lifo takes the connection used last, fifo the one that is idle longest."""
    go = [threading.Event(), threading.Event()]
    s = server(*[[expect(), send(OK[:-2], e, OK[-2:]), serve(OK)] for e in go])
    client = new_client(limits=hpool.Limits(idle_order=order))
    held = [client.get(s.url), client.get(s.url)]
    for response, event in zip(held, go):
        event.set()
        response.read()
    response = client.get(s.url)
    assert response.read() == b"ok"
    assert response.connection.id == held[again].connection.id


@pytest.mark.parametrize(
    "value, closed",
    [("timeout=1", {"idle_timeout": 1}), ("timeout=0", {"idle_timeout": 1})],
)
def test_the_server_s_keep_alive_timeout(server, new_client, value, closed):
    """`Keep-Alive: timeout=` shortens the idle time."""
    s = server([serve(respond(b"ok", headers={"Keep-Alive": value}))])
    client = new_client()
    fetch(client, s.url)
    until_idle(client, 0)
    assert sum(closes(client).values()) == 1


def test_the_server_s_keep_alive_max(server, new_client):
    """`Keep-Alive: max=` is what remains: at 0 the connection is not kept."""
    left = iter([1, 0, 1, 0])
    s = server(
        [serve(lambda r: respond(b"ok", headers={"Keep-Alive": f"max={next(left)}"}))]
    )
    client = new_client()
    for _ in range(4):
        fetch(client, s.url)
    assert [len(c.requests) for c in s.connections] == [2, 2]


def test_the_server_s_keep_alive_lengthens_nothing(server, new_client):
    """`Keep-Alive: timeout=1000` does not lengthen the client's own idle time."""
    s = server([serve(respond(b"ok", headers={"Keep-Alive": "timeout=1000"}))])
    client = new_client(limits=hpool.Limits(idle_conn_timeout=0.1))
    fetch(client, s.url)
    until_idle(client, 0)
    assert closes(client) == {"idle_timeout": 1}


def test_pool_timeout_is_a_diagnosis(server, new_client):
    """The text of a pool timeout names the host, the counts, the limit and who has
    held a connection for longest, without the query."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:])])
    client = new_client(limits=one(), timeout=hpool.Timeout(pool=0.1))
    held = client.get(f"{s.url}/held?secret=1")
    with pytest.raises(hpool.PoolTimeout) as caught:
        client.get(s.url)
    text = str(caught.value)
    for part in (
        f"127.0.0.1:{s.port}",
        "1 of 1 in use (max_conns_per_host)",
        "1 waiting",
        "GET /held",
        "unread",
    ):
        assert part in text
    assert "secret" not in text
    assert caught.value.phase == "pool"
    assert isinstance(caught.value, TimeoutError)
    go.set()
    assert held.read() == b"ok"
    assert client.stats().total.timeouts.nonzero() == {"pool": 1}


def test_a_closed_client_lets_its_waiters_go(server, new_client):
    """close() ends waiters and heads with ClosedError; a body under way stays
    readable, and its connection closes after it."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:]), until_closed()])
    client = new_client(limits=one())
    held = client.get(s.url)
    waiter = Call(client.get, s.url)
    until_waiting(client, 1)
    client.close()
    assert isinstance(waiter.error(), hpool.ClosedError)
    go.set()
    assert held.read() == b"ok"
    s.connections[0].wait_closed()
