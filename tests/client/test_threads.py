"""Eight threads and one client, 100,000 requests: nothing is mixed up, nothing is
lost, and what the statistics say is what the system says."""

import threading

import hpool
from tests.server.cserver import CServer
from tests.tools import Call, close_wait_to, gauges, sockets_to, until, until_idle

THREADS = 8


def storm(client, url, total):
    """`total` requests with an id each, over all threads; how many were right."""

    def work(first):
        right = 0
        for i in range(first, total, THREADS):
            mine = b"%d" % i
            with client.get(url, headers={"X-Id": mine}) as response:
                right += response.read() == mine
        return right

    calls = [Call(work, first) for first in range(THREADS)]
    return sum(call.result(50) for call in calls)


def check_books(client, port, total):
    """The counters add up, and the gauges with what is open."""
    until(lambda: client.stats().total.dialing == 0)  # orphaned dials
    stats = client.stats()
    row = stats.total
    assert row.requests == total
    # A dial whose request was served otherwise counts as reused when it serves.
    assert row.reuses <= total <= row.dials + row.reuses
    assert (row.in_use, row.dialing, row.draining, row.waiting) == (0, 0, 0, 0)
    assert row.open == row.idle
    until(lambda: sockets_to(port) == row.open)
    assert row.dials <= 10 * THREADS  # a hand-over is no reason to go on dialing
    assert sum(row.closes.values()) == row.dials - row.open
    for name in ("requests", "dials", "reuses", "idle", "open"):
        assert sum(getattr(h, name) for h in stats.hosts.values()) == getattr(row, name)
    until(lambda: close_wait_to(port) == 0, 1)


def test_http(cserver, new_client):
    """80,000 requests over http: every answer is the right one and the books
    balance; after close() no socket is left."""
    client = new_client()
    assert storm(client, f"{cserver.url}/id", 80000) == 80000
    check_books(client, cserver.port, 80000)
    client.close()
    until(lambda: sockets_to(cserver.port) == 0)


def test_https(nginx, ca, new_client):
    """20,000 requests over https, likewise."""
    client = new_client(verify=ca.pem)
    assert storm(client, f"{nginx.https_url}/id", 20000) == 20000
    check_books(client, nginx.tls_port, 20000)
    row = client.stats().total
    assert row.handshakes <= row.dials
    client.close()
    until(lambda: sockets_to(nginx.tls_port) == 0)


def test_books_in_the_midst(cserver, new_client):
    """While the threads are at work, each snapshot of the statistics is consistent
    in itself, and no more sockets are open than it can explain."""
    client = new_client(limits=hpool.Limits(max_conns_per_host=4))
    over = threading.Event()

    def look():
        looked = 0
        while not over.is_set():
            row = client.stats().total
            assert 0 <= row.open <= 4
            assert 0 <= row.waiting <= THREADS
            assert row.requests >= row.dials + row.reuses - THREADS
            looked += 1
        return looked

    looker = Call(look)
    assert storm(client, f"{cserver.url}/id", 8000) == 8000
    over.set()
    assert looker.result() > 10
    check_books(client, cserver.port, 8000)
    assert client.stats().total.peak.in_use <= 4


def test_a_server_that_closes(cserver_program, new_client):
    """8 threads against a server that closes every 50th connection at once: each
    call is answered or fails as a connection error; nothing stays in CLOSE_WAIT."""
    with CServer(cserver_program, "--accept-close-every", "50") as s:
        client = new_client(limits=hpool.Limits(max_requests_per_conn=5))

        def work(first):
            outcomes = []
            for i in range(first, 4000, THREADS):
                mine = b"%d" % i
                try:
                    body = client.get(f"{s.url}/id", headers={"X-Id": mine}).read()
                except hpool.ConnectionError:
                    outcomes.append("lost")
                else:
                    outcomes.append("right" if body == mine else "wrong")
            return outcomes

        calls = [Call(work, first) for first in range(THREADS)]
        outcomes = [o for call in calls for o in call.result(50)]
        assert len(outcomes) == 4000
        assert set(outcomes) <= {"right", "lost"}
        assert outcomes.count("right") > 3800
        until(lambda: client.stats().total.open == sockets_to(s.port))
        until(lambda: close_wait_to(s.port) == 0, 2)
        client.close()
        until_idle(client, 0)
        assert gauges(client) == (0, 0, 0, 0, 0)


def test_cancels_amid_requests(cserver, new_client):
    """Half of the requests are cancelled at some moment: the others get their own
    answers, and every slot comes back."""
    client = new_client(limits=hpool.Limits(max_conns_per_host=3))

    def work(first):
        right = 0
        for i in range(first, 2000, THREADS):
            mine = b"%d" % i
            token = hpool.CancelToken()
            killer = None
            if i % 2:
                killer = threading.Timer((i % 7) / 5000, token.cancel)
                killer.start()
            try:
                url = f"{cserver.url}/id"
                body = client.get(url, headers={"X-Id": mine}, cancel=token).read()
                assert body == mine
                right += 1
            except hpool.Cancelled:
                assert i % 2
            if killer is not None:
                killer.join()
        return right

    calls = [Call(work, first) for first in range(THREADS)]
    assert sum(call.result(50) for call in calls) >= 1000
    until(lambda: client.stats().total.dialing == 0)
    now = gauges(client)
    assert now == (client.stats().total.idle, 0, 0, 0, 0)
    assert now[0] <= 3
    until(lambda: sockets_to(cserver.port) == now[0])
