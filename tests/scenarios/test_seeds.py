"""What the project was conceived from: the investigation of a pool that does not
reuse, and the table of a pool's settings."""

import json
import os
import subprocess
import sys
import threading

import pytest

import hpool
from tests.server.scripted import expect, respond, send, serve, until_closed
from tests.tools import Call, closes, sockets_to, until, until_idle

REQUESTS = 20
AT_A_TIME = 5
FIVE = hpool.Limits(max_conns_per_host=AT_A_TIME, drain_timeout=5)

# In a process of its own, which has looked nothing up before.
INVESTIGATION = """
import json, sys, threading
import hpool

url, what = sys.argv[1:]
limits = hpool.Limits(max_conns_per_host=5, drain_timeout=5)
client = hpool.Client(limits=limits, timeout=10)
slots = threading.Semaphore(5)
right = []

def one():
    with slots, client.get(url) as response:
        right.append(what == "close" or response.read() == b"x" * 2000)

threads = [threading.Thread(target=one) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
while client.stats().total.draining:
    pass
total = client.stats().total
print(json.dumps({
    "right": right.count(True), "lookups": total.lookups, "dials": total.dials,
    "requests": total.requests, "reuses": total.reuses, "idle": total.idle,
    "closes": total.closes.nonzero(),
}))
"""


def investigate(s, what):
    """What the investigation's 20 requests, 5 at a time, have counted."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INVESTIGATION, local(s), what],
        env=os.environ | {"PYTHONPATH": f"{hpool.__path__[0]}/.."},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def run(client, url, fetch):
    """The same here: 20 requests, 5 at a time."""
    slots = threading.Semaphore(AT_A_TIME)

    def one():
        with slots:
            fetch(client, url)

    for call in [Call(one) for _ in range(REQUESTS)]:
        call.result()


def local(s):
    """The server under its name, so that there is something to look up."""
    return f"http://localhost:{s.port}/"


def close_unread(client, url):
    client.get(url).close()


def check(n, conns):
    """What holds for both: nothing but a dial that was no longer needed is closed,
    and all that is left is idle."""
    assert n["right"] == n["requests"] == REQUESTS
    assert n["lookups"] == 1
    assert REQUESTS - conns <= n["reuses"] < REQUESTS
    assert set(n["closes"]) <= {"surplus_dial"}
    assert n["idle"] == n["dials"] - sum(n["closes"].values())
    assert n["idle"] <= AT_A_TIME


def test_bodies_that_are_read(server):
    """Bodies read: at most five connections for 20 requests, one look-up in all, and
    every request that made no connection of its own reuses one."""
    s = server([serve(respond(b"x" * 2000))])
    n = investigate(s, "read")
    check(n, len(s.connections))
    assert len(s.connections) <= 5


def test_bodies_that_are_closed_unread(server):
    """The investigation's mistake: small bodies closed unread. Here they are drained
    and their connections used again: at most ten, and one look-up."""
    s = server([serve(respond(b"x" * 2000))])
    n = investigate(s, "close")
    check(n, len(s.connections))
    assert len(s.connections) <= 10


def test_drained_connections_serve_again(server, new_client):
    """The same with bodies that are still on their way when they are closed: each
    connection is drained, then serves again."""
    half = threading.Event()
    body = respond(b"x" * 200000)
    s = server([expect(), send(body[:1000], half, body[1000:]), serve(body)])
    client = new_client(limits=FIVE)
    held = [client.get(local(s)) for _ in range(5)]
    for response in held:
        response.close()
    assert client.stats().total.draining == 5
    waiting = [Call(client.get, local(s)) for _ in range(5)]
    until(lambda: client.stats().total.waiting == 5)
    half.set()
    for call in waiting:
        with call.result() as response:
            assert len(response.read()) == 200000
    assert len(s.connections) == 5
    until(lambda: client.stats().total.drains == 5)
    assert closes(client) == {}


def test_large_bodies_closed_unread(server, new_client):
    """What would cost more to drain than to connect anew is closed, and the
    statistics say that this is why."""
    s = server([serve(respond(bytes(2 << 20)))])
    client = new_client(limits=FIVE)
    run(client, local(s), close_unread)
    until_idle(client, 0)
    assert closes(client) == {"drain_too_long": REQUESTS}


# ---- the table of settings: MaxIdleConns 100, MaxIdleConnsPerHost 10, IdleConnTimeout


def open_at_once(client, s, n, go):
    """n connections to s, all idle afterwards as far as the limits let them."""
    held = [client.get(s.url) for _ in range(n)]
    go.set()
    for response in held:
        assert response.read() == b"ok"


def test_which_connections_stay(server, new_client):
    """100 in all and 10 of a host: of 12 connections to each of 11 hosts, 10 of each
    stay, and then 100 in all: the first host's are the ones that go."""
    ok = respond(b"ok")
    limits = hpool.Limits(max_idle_conns=100, max_idle_conns_per_host=10)
    client = new_client(limits=limits)
    servers = []
    for _ in range(11):
        go = threading.Event()
        s = server([expect(), send(ok[:-2], go, ok[-2:]), serve(ok)])
        servers.append(s)
        open_at_once(client, s, 12, go)
    idle = [client.stats().hosts.get(f"|http|127.0.0.1:{s.port}") for s in servers]
    assert [row.idle if row else 0 for row in idle] == [0] + [10] * 10
    assert client.stats().total.idle == 100
    assert closes(client) == {"idle_cap_host": 22, "idle_cap_total": 10}
    until(lambda: sum(sockets_to(s.port) for s in servers) == 100)
    until(lambda: sockets_to(servers[0].port) == 0)


def test_a_cap_of_two_is_go_s_trap(server, new_client):
    """Limits.go() keeps two of a host, as Go does; the default keeps what there
    was."""
    for limits, kept in ((hpool.Limits.go(), 2), (hpool.Limits(), 12)):
        go = threading.Event()
        ok = respond(b"ok")
        s = server([expect(), send(ok[:-2], go, ok[-2:]), serve(ok)])
        client = new_client(limits=limits)
        open_at_once(client, s, 12, go)
        assert client.stats().total.idle == kept


def test_idle_ones_go_in_time(server, new_client):
    """After the idle timeout none is left, with no request made meanwhile."""
    go = threading.Event()
    ok = respond(b"ok")
    s = server([expect(), send(ok[:-2], go, ok[-2:]), serve(ok)])
    client = new_client(limits=hpool.Limits(idle_conn_timeout=0.2))
    open_at_once(client, s, 10, go)
    until_idle(client, 0)
    assert closes(client) == {"idle_timeout": 10}
    until(lambda: sockets_to(s.port) == 0)


def test_a_body_that_is_not_closed(server, new_client):
    """The first cause in the list: responses dropped without being read or closed.
    They are counted, and their connections do not exhaust the pool."""
    cut = respond(b"x" * 100, headers={"Content-Length": 1000})
    s = server([expect(), send(cut), until_closed()])
    client = new_client(limits=hpool.Limits(max_conns_per_host=2), leak_warnings=False)
    for _ in range(10):
        client.get(s.url)
    assert client.stats().total.leaked == 10
    until_idle(client, 0)
    assert len(s.connections) == 10
    assert closes(client) == {"drain_timeout": 10}


def test_a_body_that_is_not_closed_warns(server, new_client):
    """Dropping such a response is a ResourceWarning that names it, without the
    query."""
    cut = respond(b"x" * 100, headers={"Content-Length": 1000})
    s = server([expect(), send(cut), until_closed()])
    client = new_client()
    with pytest.warns(ResourceWarning, match="GET http.*/held") as caught:
        client.get(f"{s.url}/held?secret=1")
    assert "secret" not in str(caught[0].message)
