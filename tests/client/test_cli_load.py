"""The load generator of doctor and top: its histogram, its counts, its ends."""

import random
import threading
import time

import pytest

import hpool
from hpool.cli import CommandError
from hpool.cli import load as load_module
from hpool.cli.histogram import Histogram
from hpool.cli.load import Load
from hpool.cli.load_options import allow_descriptors
from tests.server.scripted import close, expect, refused_port, respond, send, serve
from tests.tools import until

HELLO = respond(b"hello")

# ---- the histogram ----------------------------------------------------------


def histogram_of(durations):
    seen = Histogram()
    for seconds in durations:
        seen.record(seconds)
    return seen


@pytest.mark.parametrize("scale", [1e-5, 1e-3, 0.1, 5.0])
def test_percentiles_are_within_two_percent(scale):
    chance = random.Random(1)
    durations = sorted(chance.expovariate(1 / scale) for _ in range(5000))
    seen = histogram_of(durations)
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        exact = durations[max(0, round(share * 5000) - 1)]
        assert seen.percentile(share) == pytest.approx(exact, rel=0.02, abs=1.5e-6)
    assert seen.longest == pytest.approx(durations[-1], abs=1e-6)
    assert seen.count == 5000


def test_a_histogram_of_little():
    seen = Histogram()
    assert (seen.count, seen.longest, seen.percentile(0.5)) == (0, None, None)
    seen.record(-1)
    assert (seen.longest, seen.percentile(0.5)) == (0.0, 0.0)


def test_a_histogram_has_no_end():
    seen = histogram_of([1e9, 0.5])
    assert seen.longest >= seen.percentile(1.0) > 7200
    assert seen.percentile(0.5) == pytest.approx(0.5, rel=0.02)


def test_what_was_recorded_since():
    seen = histogram_of([0.001] * 10 + [5.0])
    before = seen.copy()
    for _ in range(4):
        seen.record(0.2)
    later = seen.since(before)
    assert later.count == 4
    assert later.percentile(0.01) == pytest.approx(0.2, rel=0.02)
    assert later.longest == pytest.approx(0.2, rel=0.04)
    assert before.count == 11
    assert seen.since(seen.copy()).longest is None


# ---- counts -----------------------------------------------------------------


@pytest.fixture
def run_load(new_client):
    """run_load(url, ...) runs one to its end."""

    def run_load(*urls, threads=4, client=None, **how):
        client = client or new_client()
        load = Load(client, urls, threads=threads, **how)
        with load:
            assert load.wait(20)
        return load

    return run_load


def test_every_request_is_counted_once(run_load, server):
    s = server(serve(HELLO))
    load = run_load(s.url, total=50)
    tally = load.tally()
    assert len(s.requests) == tally.requests == tally.answers == 50
    assert (tally.statuses, tally.bytes, tally.errors) == ({200: 50}, 250, {})
    assert tally.latencies.count == 50
    assert load.elapsed >= tally.latencies.longest > 0


def test_several_urls_in_turn(run_load, server):
    s = server(serve(HELLO))
    run_load(f"{s.url}/a", f"{s.url}/b", total=10, threads=1)
    assert [r.target for r in s.requests] == ["/a", "/b"] * 5


def test_statuses_are_answers(run_load, server):
    codes = iter([200, 404, 503, 404])
    s = server(serve(lambda request: respond(b"", next(codes))))
    tally = run_load(s.url, total=4, threads=1).tally()
    assert tally.statuses == {200: 1, 404: 2, 503: 1}
    assert tally.answers == 4


def test_errors_by_class(run_load, server):
    s = server([expect(), send(HELLO), close()], [expect(), send(b"nonsense\r\n\r\n")])
    tally = run_load(s.url, total=2, threads=1).tally()
    assert (tally.answers, tally.failures) == (1, 1)
    assert tally.errors == {"RemoteProtocolError": 1}
    assert "RemoteProtocolError" in tally.examples
    assert tally.latencies.count == 1


def test_a_body_cut_short_is_an_error_and_no_reason_to_stop(run_load, server):
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    s = server([expect(), send(cut), close()], serve(HELLO))
    load = run_load(s.url, total=3, threads=1)
    tally = load.tally()
    assert load.unreachable is None
    assert tally.errors == {"IncompleteRead": 1}
    assert (tally.answers, tally.bytes) == (2, 14)


def test_bodies_closed_unread(run_load, server, new_client):
    client = new_client(limits=hpool.Limits(drain_bytes=0))
    s = server(serve(respond(bytes(500_000))))
    tally = run_load(s.url, total=3, client=client, read_bodies=False).tally()
    assert (tally.answers, tally.bytes) == (3, 0)
    assert client.stats().total.closes["body_unread"] == 3


def test_nobody_there(run_load):
    with refused_port() as port:
        load = run_load(f"http://127.0.0.1:{port}", total=100)
    assert isinstance(load.unreachable, hpool.ConnectError)
    assert load.tally().requests == 1


def test_not_a_url(run_load):
    load = run_load("a.test", total=100)
    assert isinstance(load.unreachable, hpool.MissingSchema)


def test_no_more_threads(run_load, server, monkeypatch):
    s = server(serve(HELLO))
    started = []

    class Thread(threading.Thread):
        def start(self):
            started.append(self)
            if len(started) > 2:
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(load_module.threading, "Thread", Thread)
    tally = run_load(s.url, total=10).tally()
    assert tally.answers == 10
    assert tally.errors == {"RuntimeError": 1}


# ---- ends -------------------------------------------------------------------


class Held:
    """A server that answers its first request at once, and each further one
    when it is let go."""

    def __init__(self, server):
        self.go = threading.Event()
        self.server = server(self._script)
        self.url = self.server.url

    def _script(self, connection):
        while connection.request(patient=True):
            if len(self.server.requests) > 1:
                connection.wait(self.go)
            connection.send(HELLO)


@pytest.fixture
def held(server):
    return Held(server)


def test_the_others_begin_with_the_first_head(new_client, server):
    """However long the first body takes."""
    go = threading.Event()
    s = server([expect(), send(HELLO[:-1], go, HELLO[-1:])], serve(HELLO))
    with Load(new_client(), [s.url], threads=2, total=3) as load:
        until(lambda: load.tally().answers == 2)
        go.set()
        assert load.wait(10)
    assert load.tally().answers == 3


def test_stop_lets_requests_end(new_client, held):
    with Load(new_client(), [held.url], threads=3) as load:
        held.server.wait_requests(4)
        load.stop()
        assert not load.wait(0)
        held.go.set()
        assert load.wait(10)
    assert load.tally().answers == len(held.server.requests) == 4


def test_cancel_does_not(new_client, held):
    ended = threading.Event()
    with Load(new_client(), [held.url], threads=3, on_end=ended.set) as load:
        held.server.wait_requests(4)
        load.cancel()
        assert ended.wait(10)
        assert load.wait(0)
    assert (load.tally().answers, load.tally().errors) == (1, {})
    held.go.set()


def test_the_end_of_the_block_cancels(new_client, held):
    client = new_client()
    with Load(client, [held.url], threads=3):
        held.server.wait_requests(4)
    assert client.stats().total.in_use == 0
    held.go.set()


def test_cancelled_before_any_answer(new_client, server):
    go = threading.Event()
    s = server([expect(), send(go)])
    with Load(new_client(), [s.url], threads=3) as load:
        s.wait_requests(1)
        load.cancel()
        assert load.wait(10)
    assert (load.unreachable, load.tally().requests) == (None, 0)
    go.set()


def test_so_many_seconds(run_load, server):
    load = run_load(server(serve(HELLO)).url, seconds=0.05)
    assert load.elapsed >= 0.05
    assert load.tally().answers > 0


def test_overdue(new_client, held, monkeypatch):
    monkeypatch.setattr(load_module, "_GRACE", 0.0)
    with Load(new_client(), [held.url], threads=2, seconds=0.01) as load:
        held.server.wait_requests(3)
        until(lambda: load.overdue)
        assert not load.wait(0)
    held.go.set()


def test_a_rate(run_load, server):
    """20 requests, 400 a second: the last one is due after 19 / 400 s."""
    s = server(serve(HELLO))
    load = run_load(s.url, total=20, rate=400.0)
    assert load.tally().answers == 20
    assert load.elapsed >= 19 / 400


def test_a_rate_ends_in_time(run_load, server):
    """No thread sleeps until a turn that comes after the end."""
    begun = time.monotonic()
    load = run_load(server(serve(HELLO)).url, seconds=0.02, rate=0.01)
    assert load.tally().answers == 1
    assert time.monotonic() - begun < 10


def test_latencies_count_from_when_a_request_was_due(new_client, server):
    """One thread, ten due at once, and the server holds the second."""
    go = threading.Event()
    s = server([expect(), send(HELLO), expect(), send(go, HELLO), serve(HELLO)])
    with Load(new_client(), [s.url], threads=1, total=10, rate=1e6) as load:
        s.wait_requests(2)
        held_at = load.elapsed
        until(lambda: load.elapsed > held_at + 0.05)
        go.set()
        assert load.wait(10)
    assert load.tally().latencies.percentile(0.5) >= 0.05


# ---- descriptors ------------------------------------------------------------


class Limits:
    """Stands for the resource module."""

    RLIMIT_NOFILE, RLIM_INFINITY = 7, -1

    def __init__(self, soft, hard):
        self.now = soft, hard

    def getrlimit(self, _):
        return self.now

    def setrlimit(self, _, pair):
        self.now = pair


def test_descriptors(monkeypatch):
    limits = Limits(256, 4096)
    monkeypatch.setattr("hpool.cli.load_options.resource", limits)
    allow_descriptors(50)
    assert limits.now == (256, 4096)
    allow_descriptors(500)
    assert limits.now == (1064, 4096)
    with pytest.raises(CommandError, match=r"-c 5000 needs 10064 .* -c 2016 is"):
        allow_descriptors(5000)
    limits.now = 256, Limits.RLIM_INFINITY
    allow_descriptors(5000)
    assert limits.now == (10064, -1)
