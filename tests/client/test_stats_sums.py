"""The sums of client.stats() agree (I17), in every snapshot and under load."""

import random
import threading
from contextlib import ExitStack

import pytest

import hpool
from tests.server.cserver import CServer
from tests.server.scripted import close, expect, respond, send, serve
from tests.tools import Call, gauges, until, until_idle

OK = respond(b"ok")
GAUGES = ("idle", "in_use", "dialing", "draining", "waiting", "asking")
COUNTERS = (
    "requests",
    "asked_again",
    "fresh",
    "reuses",
    "unserved",
    "dials",
    "lookups",
    "handshakes",
    "resumed",
    "drains",
    "waits",
    "leaked",
    "host_waits",
    "refused",
    "no_descriptors",
    "lost",
    "stale",
    "cap_misses",
    "cap_short",
    "unresumed",
)


def check_row(row, limit=None):
    """What holds for a host, for all of them, and for those that are gone."""
    closed = sum(row.closes.values())
    waited = sum(n for _, n in row.wait_histogram)
    assert row.requests + row.asked_again == (
        row.fresh + row.reuses + row.unserved + row.now.asking
    )
    assert row.dials <= row.open + closed <= row.dials + row.dialing
    assert row.waits == waited + row.waiting
    assert row.open == row.idle + row.in_use + row.dialing + row.draining
    assert limit is None or row.open <= limit
    assert row.waiting <= row.now.asking
    assert row.resumed + row.unresumed <= row.handshakes <= row.dials
    assert row.cap_misses <= row.cap_short and row.cap_misses <= row.dials
    assert row.refused <= row.unserved and row.host_waits <= row.waits
    assert row.max_wait <= row.wait_seconds + 1e-6


def check(stats, limits=None):
    """What holds for every snapshot."""
    rows = [*stats.hosts.values(), stats.gone]
    total = stats.total
    for row in rows:
        check_row(row, limits and limits.max_conns_per_host)
    check_row(total, limits and limits.max_conns)
    assert total.max_wait == max(row.max_wait for row in rows)
    assert total.wait_seconds == pytest.approx(sum(row.wait_seconds for row in rows))
    for name in COUNTERS:
        assert getattr(total, name) == sum(getattr(row, name) for row in rows), name
    for name in GAUGES:
        now = [getattr(row.now, name) for row in rows]
        assert getattr(total.now, name) == sum(now), name
        assert now[-1] == 0
        for row in [*stats.hosts.values(), total]:
            assert 0 <= getattr(row.now, name) <= getattr(row.peak, name), name
    for name in ("closes", "replays", "timeouts"):
        for key, n in getattr(total, name).items():
            assert n == sum(getattr(row, name)[key] for row in rows), (name, key)
    for i, (_, n) in enumerate(total.wait_histogram):
        assert n == sum(row.wait_histogram[i][1] for row in rows)


def check_never_falls(before, after):
    for name in COUNTERS:
        assert getattr(before.total, name) <= getattr(after.total, name), name
    for name in ("closes", "replays", "timeouts"):
        for key, n in getattr(before.total, name).items():
            assert n <= getattr(after.total, name)[key], (name, key)


class Load:
    """Threads that do all that a pool can live through."""

    def __init__(self, client, urls, seed):
        self.client, self.urls = client, urls
        self.random = random.Random(seed)
        self.outcomes = set()

    def run(self, rounds):
        for _ in range(rounds):
            try:
                self.one(self.random.choice(self.urls), self.random.randrange(12))
                self.outcomes.add("answered")
            except hpool.RequestException as error:
                self.outcomes.add(type(error).__name__)
        return self.outcomes

    def one(self, url, what):
        client = self.client
        if what == 0:
            token = hpool.CancelToken()
            timer = threading.Timer(self.random.random() / 100, token.cancel)
            timer.start()
            client.get(f"{url}/delay/10", cancel=token).read()
        elif what == 1:
            client.get(f"{url}/delay/30", timeout=hpool.Timeout(read=0.01))
        elif what == 2:
            client.get(f"{url}/delay/5", timeout=hpool.Timeout(pool=0.002)).read()
        elif what == 3:
            client.get(f"{url}/bytes/100000").close()
        elif what == 4:
            client.get(f"{url}/chunked/900000").close()
        elif what == 5:
            client.close_idle()
        elif what == 6:
            client.post(f"{url}/x", data=b"x" * 1000).read()
        else:
            client.get(f"{url}/small").read()


def two_and_close(connection):
    """Keeps the connection for two requests, and does not say so."""
    for _ in range(2):
        if connection.request(patient=True) is None:
            return
        connection.send(OK)
    connection.close()


LIMITS = {
    "none": hpool.Limits(max_idle_conns_per_host=2),
    "per host": hpool.Limits(max_conns_per_host=3),
    "both": hpool.Limits(
        max_conns=5, max_conns_per_host=3, max_idle_conns=3, max_waiting=9
    ),
}


@pytest.mark.parametrize("limits", LIMITS)
def test_under_load(server, new_client, cserver, cserver_program, limits):
    """16 threads make requests that are answered, cancelled, time out, are closed
    early or find their connection broken; every snapshot taken meanwhile agrees."""
    limits = LIMITS[limits]
    stale = server(two_and_close)
    with ExitStack() as stack:
        broken = stack.enter_context(
            CServer(cserver_program, "--accept-close-every", "4")
        )
        urls = [cserver.url, f"http://localhost:{cserver.port}", broken.url, stale.url]
        client = new_client(limits=limits, timeout=5)
        calls = [Call(Load(client, urls, i).run, 40) for i in range(16)]
        snapshots, before = 0, client.stats()
        while any(call.is_alive() for call in calls):
            stats = client.stats()
            check(stats, limits)
            check_never_falls(before, stats)
            before = stats
            snapshots += 1
        outcomes = set().union(*(call.result() for call in calls))
        client.close_idle()
        until(lambda: gauges(client) == (0, 0, 0, 0, 0))
        stats = client.stats()
        check(stats, limits)
        assert snapshots > 20
        assert {"answered", "Cancelled", "ReadTimeout"} <= outcomes
        total = stats.total
        assert total.dials == sum(total.closes.values())
        assert total.requests > 400 and total.asked_again and total.drains
        if limits.max_conns_per_host:
            assert total.waits > 20 and total.unserved
        assert stats.hosts == {} and stats.gone.requests == total.requests


def test_replays_are_counted_once(server, new_client):
    """A request that is sent again on a fresh connection is one request, two that it
    asked for, one reuse that came to nothing and one fresh connection."""
    s = server([expect(), send(OK), expect(), close()], [serve(OK)])
    client = new_client()
    client.get(s.url).read()
    response = client.get(s.url)
    assert response.read() == b"ok"
    assert response.connection.attempts == 2
    total = client.stats().total
    check(client.stats())
    assert (total.requests, total.asked_again) == (2, 1)
    assert (total.fresh, total.reuses, total.unserved) == (2, 1, 0)
    assert total.dials == 2
    assert total.replays.nonzero() == {"lost_before_first_byte": 1}
    assert total.closes.nonzero() == {"server_closed_idle": 1}


def test_dead_at_checkout_is_counted_once(server, new_client):
    """The same for one that is found closed before anything is sent."""
    s = server([expect(), send(OK), close()], [serve(OK)])
    client = new_client()
    client.get(s.url).read()
    s.connections[0].wait_ended()
    response = client.get(s.url)
    assert response.read() == b"ok"
    assert response.connection.attempts == 1
    total = client.stats().total
    check(client.stats())
    assert (total.requests, total.dials, total.fresh) == (2, 2, 2)
    assert total.asked_again == total.reuses <= 1  # or the keeper was first
    assert total.closes.nonzero() == {"server_closed_idle": 1}


def test_waits(server, new_client):
    """Each wait is in one bucket once it is over, be it served or not."""
    go = threading.Event()
    s = server([expect(), send(OK[:-2], go, OK[-2:]), serve(OK)])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    held = client.get(s.url)
    with pytest.raises(hpool.PoolTimeout):
        client.get(s.url, timeout=hpool.Timeout(pool=0.02))
    call = Call(lambda: client.get(s.url).read())
    until(lambda: client.stats().total.waiting == 1)
    total = client.stats().total
    assert [n for _, n in total.wait_histogram] == [0, 0, 1, 0, 0, 0]
    assert (total.waits, total.now.asking, total.peak.asking) == (2, 1, 1)
    assert 0.02 <= total.max_wait < 0.1
    check(client.stats())
    go.set()
    held.read()
    assert call.result() == b"ok"
    total = client.stats().total
    assert sum(n for _, n in total.wait_histogram) == 2
    assert total.timeouts.nonzero() == {"pool": 1}
    assert (total.unserved, total.now.asking) == (1, 0)
    assert "waited: 2 requests" in str(client.stats())
    until_idle(client, 1)
    check(client.stats())
