"""SIGINT in each phase: KeyboardInterrupt at once, and a pool that goes on."""

import threading

import pytest

from tests.life.child import finish, run, start
from tests.server.scripted import expect, respond, send, serve, until_closed
from tests.tools import Clogged

OK = respond(b"ok")
HALF = respond(b"half", headers={"Content-Length": 100})

# interrupted(call, when): the main thread is in call() when the condition holds;
# then SIGINT comes, and call() has to raise KeyboardInterrupt within two seconds.
COMMON = """
import os, signal, sys, threading, time
import hpool

url = sys.argv[1]
client = hpool.Client(timeout=30, limits=hpool.Limits(max_conns_per_host=1))

def now():
    row = client.stats().total
    return (row.idle, row.in_use, row.dialing, row.draining, row.waiting)

def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)

def interrupted(call, when):
    sent = []

    def send():
        until(when)
        time.sleep(0.05)  # from "about to wait" to waiting
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        call()
    except KeyboardInterrupt:
        took = time.monotonic() - sent[0]
    else:
        raise AssertionError("no KeyboardInterrupt")
    finally:
        sender.join()
    assert took < 2, took
"""


def test_waiting_for_a_slot(server):
    """SIGINT while all connections are in use: the waiter leaves the queue, and the
    next request gets the slot."""
    s = server([expect(), send(HALF), until_closed()], [serve(OK)])
    program = """
held = client.get(url)
interrupted(lambda: client.get(url), lambda: now()[4] == 1)
assert now() == (0, 1, 0, 0, 0), now()
held.close()
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url)


def test_connecting(server):
    """SIGINT while a connection is made to a host that does not answer: the slot
    comes back."""
    s = server([serve(OK)])
    program = """
silent = sys.argv[2]
interrupted(lambda: client.get(silent), lambda: now()[2] == 1)
until(lambda: now() == (0, 0, 0, 0, 0))
assert client.get(url).read() == b"ok"
"""
    with Clogged() as c:
        c.clog()
        run(COMMON + program, s.url, c.url)


def test_handshaking(server):
    """SIGINT during a TLS handshake that the server does not answer."""
    silent = server([until_closed()])
    s = server([serve(OK)])
    program = """
silent = sys.argv[2]
interrupted(lambda: client.get(silent), lambda: now()[2] == 1)
until(lambda: now() == (0, 0, 0, 0, 0))
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url, f"https://127.0.0.1:{silent.port}")
    silent.connections[0].wait_closed()


def test_awaiting_the_head(server):
    """SIGINT while the server thinks: the connection is closed, the next request has
    a new one."""
    s = server([expect(), until_closed()], [serve(OK)])
    program = """
interrupted(lambda: client.get(url), lambda: now()[1] == 1)
assert now() == (0, 0, 0, 0, 0), now()
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url)
    assert s.connections[0].closed.is_set()


def test_reading_the_body(server):
    """SIGINT in a read: the body has failed for good, the connection is closed."""
    s = server([expect(), send(HALF), until_closed()], [serve(OK)])
    program = """
response = client.get(url)
assert response.read1() == b"half"
interrupted(response.read, lambda: now()[1] == 1)
try:
    response.read()
except hpool.RequestException:
    pass
else:
    raise AssertionError("a cut body ended well")
response.close()
until(lambda: now() == (0, 0, 0, 0, 0))
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url)
    assert s.connections[0].closed.is_set()


def test_sending_the_body(server):
    """SIGINT while the server takes nothing of a large body."""
    go = threading.Event()
    s = server(
        [expect(body=False), lambda c: c.wait(go), lambda c: c.close()], [serve(OK)]
    )
    program = """
interrupted(lambda: client.post(url, data=bytes(1 << 26)), lambda: now()[1] == 1)
assert now() == (0, 0, 0, 0, 0), now()
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url)
    go.set()


def test_a_handler_that_returns(server):
    """A signal whose handler only returns does not end a request, nor does it
    lengthen its timeout."""
    go = threading.Event()
    s = server([expect(), lambda c: c.wait(go), send(OK)])
    program = """
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
begun = time.monotonic()
try:
    client.get(url, timeout=(5, 0.5))
except hpool.ReadTimeout:
    took = time.monotonic() - begun
signal.setitimer(signal.ITIMER_REAL, 0)
assert 0.4 < took < 3, took
assert len(seen) > 5, seen
"""
    run(COMMON + program, s.url)
    go.set()


@pytest.mark.parametrize("blocked", [True, False])
def test_another_thread_goes_on(server, blocked):
    """SIGINT reaches the main thread; a request in another thread is not disturbed,
    whether the main thread is in a request or not."""
    go = threading.Event()
    s = server([expect(), lambda c: c.wait(go), send(OK)], [expect(), until_closed()])
    program = """
client = hpool.Client(timeout=30)
got = []
thread = threading.Thread(target=lambda: got.append(client.get(url).read()))
thread.start()
until(lambda: now()[1] == 1)
if sys.argv[2] == "True":
    interrupted(lambda: client.get(url), lambda: now()[1] == 2)
else:
    interrupted(lambda: time.sleep(10), lambda: True)
print("interrupted", flush=True)
sys.stdin.readline()
thread.join()
assert got == [b"ok"], got
"""
    process = start(COMMON + program, s.url, blocked)
    assert process.stdout.readline() == "interrupted\n", process.stderr.read()
    go.set()
    assert finish(process) == (0, "", "")


def test_raise_signal_in_a_body(server):
    """KeyboardInterrupt from a signal raised inside a body's own code passes through
    and closes the connection."""
    s = server([lambda c: c.request(body=False), until_closed()], [serve(OK)])
    program = """
def body():
    yield b"x"
    signal.raise_signal(signal.SIGINT)
    yield b"y"

try:
    client.post(url, data=body())
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("no KeyboardInterrupt")
assert now() == (0, 0, 0, 0, 0), now()
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url)
