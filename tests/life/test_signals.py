"""SIGINT in each phase: KeyboardInterrupt within 60 ms, and nothing left behind."""

import os
import random
import sys
import threading
import zlib
from pathlib import Path

import pytest

from tests.life.child import finish, run, said, start
from tests.server.cserver import compile_c
from tests.server.scripted import expect, respond, send, serve, tell, until_closed
from tests.tools import Clogged

OK = respond(b"ok")
HALF = respond(b"half", headers={"Content-Length": 100})
SLOW_DNS = Path(__file__).parent.parent / "server" / "slow_dns.c"

COMMON = """
import os, signal, sys, threading, time
import hpool
from tests.life.interrupt import NOTHING, interrupted, measure, reached
from tests.tools import gauges, until

url = sys.argv[1]
client = hpool.Client(timeout=30, limits=hpool.Limits(max_conns_per_host=1))

def now():
    return gauges(client)

def in_use():
    return now()[1] == 1

def dialing():
    return now()[2] == 1
"""


def hang_or_answer(connection):
    """Answers each request, but not the one for /hang; half for /half."""
    while (request := connection.request(body=False, patient=True)) is not None:
        if request.target == "/hang":
            return connection.until_closed()
        connection.send(HALF if request.target == "/half" else OK)


# ---- the phases, in order ----------------------------------------------------


def test_waiting_for_a_slot(server):
    """SIGINT while all connections are in use: the waiter leaves the queue, and the
    next request gets the slot."""
    s = server([expect(), send(HALF), until_closed()], [serve(OK)])
    program = """
held = client.get(url)
measure(client, lambda: client.get(url), lambda: now()[4] == 1, (0, 1, 0, 0, 0))
held.close()
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses LD_PRELOAD")
def test_looking_up(server, tmp_path):
    """SIGINT during a look-up that takes for ever. It does not keep the process from
    ending, either."""
    s = server([serve(OK)])
    slow = compile_c(SLOW_DNS, tmp_path / "slow_dns.so", "-shared", "-fPIC")
    program = """
measure(client, lambda: client.get("http://slow.test/"), dialing)
assert client.get(url).read() == b"ok"
"""
    (go_r, go_w), (asked_r, asked_w) = os.pipe(), os.pipe()
    try:
        process = start(
            COMMON + program,
            s.url,
            pass_fds=(go_r, asked_w),
            LD_PRELOAD=slow,
            SLOW_DNS_ASKED=str(asked_w),
            SLOW_DNS_GO=str(go_r),
        )
        assert finish(process) == (0, "", "")
        assert os.read(asked_r, 10) == b"."  # all tries waited for the same one
    finally:
        for end in (go_r, go_w, asked_r, asked_w):
            os.close(end)


def test_connecting(server):
    """SIGINT while a connection is made to a host that does not answer: the slot
    comes back."""
    s = server([serve(OK)])
    program = """
silent = sys.argv[2]
measure(client, lambda: client.get(silent), dialing)
assert client.get(url).read() == b"ok"
"""
    with Clogged() as c:
        c.clog()
        run(COMMON + program, s.url, c.url)


def test_connecting_without_a_limit(server):
    """Without a limit a dial goes on for those who come later, as Go's does, but not
    for longer than its own timeout."""
    s = server([serve(OK)])
    program = """
silent = sys.argv[2]
client = hpool.Client(timeout=hpool.Timeout(connect=0.5))
took = interrupted(lambda: client.get(silent), dialing)
until(lambda: now() == NOTHING)
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
measure(client, lambda: client.get(silent), dialing)
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url, f"https://127.0.0.1:{silent.port}")
    for connection in silent.connections:
        connection.wait_closed()


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_proxy_that_says_nothing(server, scheme):
    """SIGINT while a proxy is asked for a tunnel, or shakes hands itself."""
    silent = server([until_closed()])
    program = """
proxy = sys.argv[2]
ask = lambda: client.get("https://127.0.0.1:1/", proxy=proxy)
measure(client, ask, dialing)
"""
    run(COMMON + program, "", f"{scheme}://127.0.0.1:{silent.port}")
    for connection in silent.connections:
        connection.wait_closed()


def test_sending_a_body(either):
    """SIGINT while the server takes nothing of a large body."""
    go = threading.Event()
    s, trust = either([expect(body=False), lambda c: c.wait(go), lambda c: c.close()])
    program = """
body = bytes(1 << 26)
measure(client, lambda: client.post(url, data=body), in_use)
"""
    run(COMMON + program, s.url, **trust)
    go.set()


def test_sending_a_body_without_end(server):
    """SIGINT while a body is made that the server takes, and one that it does not."""
    go = threading.Event()
    stuck = server([expect(body=False), lambda c: c.wait(go), lambda c: c.close()])
    s = server([lambda c: c.request(body=False), until_closed()])
    program = """
def body():
    while True:
        yield bytes(65536)

for where in sys.argv[1:]:
    measure(client, lambda: client.post(where, data=body()), in_use)
"""
    run(COMMON + program, stuck.url)
    go.set()
    run(COMMON + program, s.url)


def test_awaiting_100_continue(either):
    """SIGINT while the server is asked whether it wants the body."""
    s, trust = either([expect(body=False), until_closed()])
    program = """
client = hpool.Client(timeout=hpool.Timeout(expect_continue=30))
ask = {"Expect": "100-continue"}
measure(client, lambda: client.post(url, data=b"abc", headers=ask), in_use)
"""
    run(COMMON + program, s.url, **trust)
    assert all(c.requests[0].body == b"" for c in s.connections)


def test_awaiting_the_head(either):
    """SIGINT while the server thinks: the connection is closed, the next request has
    a new one."""
    s, trust = either(hang_or_answer)
    program = """
measure(client, lambda: client.get(url + "/hang"), in_use)
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url, **trust)
    for connection in s.connections:
        connection.wait_closed()


def test_awaiting_the_head_on_a_kept_connection(either):
    """The same when the connection was used before, where one waits in another way."""
    s, trust = either(hang_or_answer)
    program = """
def ask():
    assert client.get(url + "/ok").read() == b"ok"
    reached.set()
    client.get(url + "/hang")

measure(client, ask, lambda: reached.is_set() and in_use())
"""
    run(COMMON + program, s.url, **trust)
    assert all(
        [r.target for r in c.requests] == ["/ok", "/hang"] for c in s.connections
    )


@pytest.mark.parametrize(
    "read",
    [
        "response.read()",
        "while response.read1(): pass",
        "while response.readinto(bytearray(100)): pass",
        "list(response.iter_bytes())",
        "list(response)",
        "response.json()",
    ],
)
def test_reading_the_body(server, read):
    """SIGINT in a read: the body has failed for good, the connection is closed."""
    s = server(hang_or_answer)
    program = f"""
def ask():
    global response
    response = client.get(url + "/half")
    reached.set()
    {read}

measure(client, ask, lambda: reached.is_set() and in_use())
try:
    response.read()
except hpool.RequestException:
    pass
else:
    raise AssertionError("a cut body ended well")
response.close()
assert client.get(url).read() == b"ok"
"""
    run(COMMON + program, s.url)


def test_reading_the_body_with_the_head(either):
    """SIGINT in a call that reads the body, too."""
    s, trust = either(hang_or_answer)
    program = """
measure(client, lambda: client.get(url + "/half", stream=False), in_use)
"""
    run(COMMON + program, s.url, **trust)


def test_waiting_to_try_again(server):
    """SIGINT between two attempts, which are a minute apart."""
    busy = respond(status=503, headers={"Retry-After": "60"})
    s = server([serve(busy)])
    program = """
retries = hpool.Retries(5, status_forcelist=[503])

def ask():
    global asked
    asked = client.stats().total.requests
    reached.set()
    client.get(url, retries=retries)

def answered():  # and the next attempt has not begun
    row = client.stats().total
    return reached.is_set() and (row.requests, row.idle) == (asked + 1, 1)

measure(client, ask, answered, (1, 0, 0, 0, 0))
"""
    run(COMMON + program, s.url)


@pytest.mark.parametrize("phase", ["connect", "handshake"])
def test_warming_up(server, phase):
    """SIGINT while connections are made for later."""
    silent = server([until_closed()])
    program = """
client = hpool.Client(timeout=30)
measure(client, lambda: client.warm(url, 3), lambda: now()[2] == 3)
"""
    with Clogged() as c:
        c.clog()
        url = c.url if phase == "connect" else f"https://127.0.0.1:{silent.port}"
        run(COMMON + program, url)


@pytest.mark.parametrize("stuck", ["recv", "sendall"])
def test_an_upgraded_connection(server, stuck):
    """SIGINT while somebody else's protocol is spoken."""
    go = threading.Event()
    headers = {"Upgrade": "echo", "Connection": "Upgrade"}
    switched = respond(status=101, headers=headers)
    s = server([expect(), send(switched), lambda c: c.wait(go), lambda c: c.close()])
    program = """
headers = {"Upgrade": "echo", "Connection": "Upgrade"}

def ask():
    with client.get(url, headers=headers).upgraded() as connection:
        reached.set()
        if sys.argv[2] == "sendall":
            connection.sendall(bytes(1 << 26))
        connection.recv()

measure(client, ask, reached.is_set)
"""
    run(COMMON + program, s.url, stuck)
    go.set()


def test_close_does_not_wait(server):
    """close() has nothing that could be interrupted: the rest of a body that does not
    come is the keeper's affair."""
    s = server(hang_or_answer)
    program = """
with hpool.Client(limits=hpool.Limits(drain_timeout=30)) as client:
    response = client.get(url + "/half")
    begun = time.monotonic()
    response.close()
    took = time.monotonic() - begun
    assert now() == (0, 0, 0, 1, 0), now()
assert took < 1, took
"""
    run(COMMON + program, s.url)


# ---- a peer that is never waited for -------------------------------------------

MIB = 1 << 20
BUSY = """
import collections, resource

resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # should it not end

def flooded():  # the server says so
    return os.read(int(sys.argv[2]), 1) == b"."

"""


@pytest.fixture
def flooding():
    """A descriptor for the program, and what the server calls for each connection on
    which much has gone."""
    told, telling = os.pipe()
    yield told, lambda: os.write(telling, b".")
    os.close(told)
    os.close(telling)


def packed():
    """How the data begins, and what may be repeated: it is four times as long."""
    packer = zlib.compressobj(wbits=31)
    begin = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    numbers = random.Random(1)
    pieces = [numbers.randbytes(250) + bytes(750) for _ in range(1000)]
    return begin, packer.compress(b"".join(pieces)) + packer.flush(zlib.Z_FULL_FLUSH)


EMPTY = b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\0\0\0\xff\xff"
FLOODS = {  # coding, how the body begins, what comes again and again
    "plain": ("identity", b"", b"x"),
    "packed": ("gzip", *packed()),
    "nothing": ("gzip", *EMPTY),
}
MUCH = 16  # MiB, more than can be under way between server and client


@pytest.mark.parametrize(
    "what, read",
    [
        ("plain", "response.read()"),
        ("plain", "response.read(1 << 36)"),
        ("plain", "response.raw.read(1 << 36)"),
        ("plain", "response.readline()"),
        ("plain", "collections.deque(response.iter_bytes(), 0)"),
        ("plain", "collections.deque(response.iter_content(1000), 0)"),
        ("packed", "response.read()"),
        ("packed", "collections.deque(response.iter_bytes(), 0)"),
        ("nothing", "response.read()"),
        ("nothing", "response.read1()"),
        ("nothing", "response.readline()"),
    ],
)
def test_a_flood_of_a_body(server, flooding, what, read):
    """SIGINT while the body comes as fast as it is read, or is decoded to
    nothing. No code of Python's runs between two reads."""
    told, much_has_gone = flooding
    coding, begin, again = FLOODS[what]
    fields = {"Content-Encoding": coding, "Content-Length": 10**15}
    drops = again * (MIB // len(again))

    def flood(connection):
        connection.expect()
        connection.send(respond(begin, headers=fields))
        for _ in range(MUCH):
            connection.send(drops)
        much_has_gone()
        while True:
            connection.send(drops)

    program = f"""
def ask():
    response = client.get(url)
    {read}

measure(client, ask, flooded, busy=True)
"""
    s = server(flood)
    process = start(COMMON + BUSY + program, s.url, told, pass_fds=[told])
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("upgraded", [False, True])
def test_a_flood_to_the_server(server, flooding, upgraded):
    """SIGINT while the server takes a body, or what is sent on an upgraded
    connection, as fast as it comes."""
    told, much_has_gone = flooding

    def swallow(connection):
        connection.expect(body=False)
        if upgraded:
            headers = {"Upgrade": "x", "Connection": "Upgrade"}
            connection.send(respond(status=101, headers=headers))
        connection.read(MUCH * MIB)
        much_has_gone()
        connection.until_closed()

    program = """
body = bytes(4 << 30)  # which takes no memory

def post():
    client.post(url, data=body)

def sendall():
    headers = {"Upgrade": "x", "Connection": "Upgrade"}
    with client.get(url, headers=headers).upgraded() as connection:
        connection.sendall(body)

measure(client, sendall if sys.argv[3] == "True" else post, flooded, busy=True)
"""
    s = server(swallow)
    process = start(COMMON + BUSY + program, s.url, told, upgraded, pass_fds=[told])
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("read", ["read()", "read(999)", "readinto(bytearray(9))"])
def test_the_last_bytes_of_a_body(server, read):
    """SIGINT while the server has its moment for the rest of a request that it has
    answered in full."""
    go, sent = threading.Event(), threading.Event()
    head = respond(headers={"Content-Length": 9})
    s = server(
        [expect(body=False), send(head, go, b"the bytes"), tell(sent), until_closed()]
    )
    program = f"""
signal.signal(signal.SIGALRM, signal.default_int_handler)
response = client.post(url, data=bytes(1 << 26))
print("answered", flush=True)
sys.stdin.readline()
signal.setitimer(signal.ITIMER_REAL, 0.02)
try:
    response.{read}
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("no KeyboardInterrupt")
until(lambda: now() == NOTHING)
"""
    process = start(COMMON + program, s.url)
    said(process, "answered")
    go.set()
    assert sent.wait(10)
    process.stdin.write("\n")
    assert finish(process) == (0, "", "")


# ---- other signals, other threads --------------------------------------------


def test_a_signal_that_another_thread_takes(either):
    """The system may give the signal to any thread: then nothing wakes the main one
    but itself."""
    s, trust = either(hang_or_answer)
    program = """
def kill():
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

measure(client, lambda: client.get(url + "/hang"), in_use, kill=kill)

def ask():
    assert client.get(url + "/ok").read() == b"ok"
    reached.set()
    client.get(url + "/hang")

measure(client, ask, lambda: reached.is_set() and in_use(), kill=kill)
"""
    run(COMMON + program, s.url, **trust)


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
