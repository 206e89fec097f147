"""The end of the process, and what is left before it."""

import pytest

from tests.life.child import finish, run, start
from tests.server.scripted import (
    expect,
    respond,
    send,
    serve,
    silent_port,
    until_closed,
)

OK = respond(b"ok")
HALF = respond(b"half", headers={"Content-Length": 100})

COMMON = """
import sys, threading, time
import hpool

url = sys.argv[1]
client = hpool.Client(timeout=60)

def in_daemon(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread
"""


def test_a_thread_is_blocked_in_a_read(server):
    """A daemon thread waits for the rest of a body: the process ends at once, with
    code 0 and without a word."""
    s = server([expect(), send(HALF), until_closed()])
    program = """
response = client.get(url)
assert response.read1() == b"half"
in_daemon(response.read)
while True:
    try:
        response.read(0)
    except hpool.errors.ConcurrentUse:
        break
"""
    run(COMMON + program, s.url, seconds=10)


def test_a_thread_is_blocked_in_a_head(server):
    """The same for a thread that waits for a head, a slot or a dial."""
    s = server([expect(), until_closed()])
    program = """
client = hpool.Client(timeout=60, limits=hpool.Limits(max_conns_per_host=1))
in_daemon(lambda: client.get(url))
while client.stats().total.in_use < 1:
    pass
in_daemon(lambda: client.get(url))
while client.stats().total.waiting < 1:
    pass
"""
    run(COMMON + program, s.url, seconds=10)


def test_a_thread_is_blocked_in_a_dial():
    """The same for a dial that hangs."""
    program = """
in_daemon(lambda: client.get(url))
while client.stats().total.dialing < 1:
    pass
"""
    with silent_port() as port:
        run(COMMON + program, f"http://127.0.0.1:{port}", seconds=10)


def test_many_threads_at_work(server):
    """Eight daemon threads at work when the main one ends."""
    s = server([serve(OK)], backlog=512)
    program = """
def work():
    while True:
        client.get(url).read()

for _ in range(8):
    in_daemon(work)
while client.stats().total.requests < 500:
    pass
"""
    code, out, err = finish(start(COMMON + program, s.url), 10)
    assert code == 0, err


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_idle_connections(server, ca, scheme):
    """Idle connections and a running keeper when the process ends."""
    how = {"tls": ca.server_context()} if scheme == "https" else {}
    s = server([serve(OK)], **how)
    program = """
assert client.get(url).read() == b"ok"
hpool.get(url)
"""
    run(COMMON + program, s.url, seconds=10, SSL_CERT_FILE=ca.pem)
    for connection in s.wait_connections(2):
        connection.wait_closed()


def test_a_response_in_a_global(server):
    """A response that was neither read nor closed, in a global: no crash; what it
    says is the ResourceWarning at most."""
    s = server([expect(), send(HALF), until_closed()])
    program = """
client = hpool.Client(timeout=60, leak_warnings=False)
response = client.get(url)
"""
    run(COMMON + program, s.url, seconds=10)


def test_an_atexit_function_may_still_ask(server):
    """A function registered with atexit can still make a request, or is told that
    it is too late."""
    s = server([serve(OK)])
    program = """
import atexit

def last():
    try:
        client.get(url).read()
    except hpool.RequestException:
        pass
    print("asked", flush=True)

client.get(url).read()
atexit.register(last)
"""
    assert run(COMMON + program, s.url, seconds=10) == "asked\n"


def test_a_destructor_at_the_end(server):
    """Objects that are torn down with the interpreter may close responses."""
    s = server([expect(), send(HALF), until_closed()])
    program = """
class Holder:
    def __init__(self):
        self.response = client.get(url)
    def __del__(self):
        self.response.close()

holder = Holder()
holder.me = holder
"""
    run(COMMON + program, s.url, seconds=10)


LEAKS = """
import gc, os, tracemalloc

def fds():
    return len(os.listdir("/proc/self/fd"))

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def traced(round, n):
    # How many bytes of Python's own memory n rounds leave behind.
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(n):
        round()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown

def measure(round, n):
    for _ in range(n // 4):  # fills caches and free lists
        round()
    gc.collect()
    objects, open_before, size = len(gc.get_objects()), fds(), rss()
    for _ in range(n):
        round()
    gc.collect()
    assert len(gc.get_objects()) - objects < n // 10, len(gc.get_objects()) - objects
    assert fds() <= open_before, (open_before, fds())
    assert rss() - size < 500 * n + (4 << 20), rss() - size
    grown = traced(round, n)
    if grown >= 20 * n + 20000:  # free lists come and go: a leak comes again
        grown = min(grown, traced(round, n), traced(round, n))
    assert grown < 20 * n + 20000, grown
"""

ROUNDS = {
    "read": """
def round():
    with client.get(url + "/small") as r:
        r.read(); r.headers; r.timings; r.connection; r.request; r.text
""",
    "unread": """
def round():
    client.get(url + "/bytes/3000").close()
""",
    "lines": """
def round():
    for line in client.get(url + "/chunked/5000").iter_lines():
        pass
""",
    "post": """
def round():
    client.post(url + "/x", json={"a": 1}).read()
    client.post(url + "/x", data=iter([b"a", b"b"])).read()
""",
    "errors": """
def round():
    for how in ({"headers": {"a b": "c"}}, {"timeout": -1}, {"data": 7}):
        try:
            client.post(url, **how)
        except (TypeError, ValueError):
            pass
    try:
        client.get(url + "/delay/50", timeout=hpool.Timeout(total=0.0005))
    except hpool.TotalTimeout:
        pass
""",
    "clients": """
def round():
    with hpool.Client(headers={"a": "b"}) as one:
        one.get(url + "/small").read()
    gc.collect(0)
""",
    "cancels": """
def round():
    token = hpool.CancelToken()
    r = client.get(url + "/bytes/100000", cancel=token)
    token.cancel()
    try:
        r.read()
    except hpool.Cancelled:
        pass
""",
}


@pytest.mark.parametrize("name", ROUNDS)
def test_leaks(cserver, name):
    """Many rounds of the same leave no more objects, descriptors or memory than a
    few did."""
    n = 200 if name in ("clients", "errors") else 2000
    program = COMMON + LEAKS + ROUNDS[name] + f"\nmeasure(round, {n})\n"
    run(program, cserver.url, seconds=50)
