"""The end of the process, and what is left before it."""

import signal
import threading

import pytest

from tests.life.child import finish, run, said, start
from tests.life.phases import KEEPER, possible, program, world
from tests.server.scripted import expect, respond, send, serve, until_closed

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


# How the main thread ends: what it does, and the exit code.
ENDS = {
    "return": ("", 0),
    "exit": ("with client, hpool.Client():\n    sys.exit(3)", 3),
    "exception": ("raise SystemExit(ValueError('x').args[0])", 1),
    "_exit": ("with client:\n    os._exit(4)", 4),
    "signal": ("import signal\nos.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "forked": ("if os.fork() == 0:\n    sys.exit(5)\nos.wait()\nsys.exit(6)", 6),
}


def ends_well(ca, folder, phase, end, *, tls=False):
    action, code = ENDS[end]
    action = f"warnings.simplefilter('ignore', DeprecationWarning)\n{action}"
    with world(ca, folder, tls=tls, phase=phase) as w:
        process = start(program(phase, action), *w.arguments, **w.how)
        out, err = ("", "x\n" if end == "exception" else "")
        assert finish(process, 10) == (code, out, err)


@pytest.mark.parametrize("phase", [*possible(), *KEEPER])
def test_a_thread_is_in_the_middle_of_something(ca, tmp_path, phase):
    """A daemon thread is somewhere in a request, or the keeper at some work, when the
    main thread ends: so does the process, at once, with code 0 and without a word."""
    ends_well(ca, tmp_path, phase, "return")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("phase", ["slot", "connect", "head, kept", "body", "drain"])
def test_ways_to_end(ca, tmp_path, phase, end):
    """The same for other ways to end."""
    ends_well(ca, tmp_path, phase, end)


@pytest.mark.parametrize("phase", ["handshake", "send", "head", "body", "drain"])
def test_in_the_middle_of_something_over_tls(ca, tmp_path, phase):
    """The same over TLS."""
    ends_well(ca, tmp_path, phase, "return", tls=True)


def test_threads_that_are_waited_for(server):
    """Threads that are no daemons the interpreter waits for: they get their answers
    although the main thread has ended."""
    go = threading.Event()

    def answer(request):
        assert go.wait(10)
        return OK

    s = server([serve(answer)])
    program = """
import os
from tests.tools import gauges, until
client = hpool.Client(timeout=60, limits=hpool.Limits(max_conns_per_host=1))

def work():
    assert client.get(url).read() == b"ok"
    os.write(1, b"answered,")

for _ in range(3):
    threading.Thread(target=work).start()
until(lambda: gauges(client) == (0, 1, 0, 0, 2))
print("ended", flush=True)
"""
    process = start(COMMON + program, s.url)
    said(process, "ended")
    go.set()
    assert finish(process, 10) == (0, "answered," * 3, "")


def test_many_threads_at_work(either):
    """Eight daemon threads at work when the main one ends."""
    s, trust = either([serve(OK)], backlog=512)
    program = """
def work():
    while True:
        client.get(url).read()

for _ in range(8):
    in_daemon(work)
while client.stats().total.requests < 300:
    pass
"""
    assert finish(start(COMMON + program, s.url, **trust), 10) == (0, "", "")


def test_threads_that_never_stop_asking(either):
    """Twenty ends, each in the middle of what eight threads begin and end: whichever
    step it meets, none has a word to say."""
    s, trust = either([serve(OK)], backlog=512)
    program = """
sys.setswitchinterval(1e-4)

def work():
    while True:
        client.get(url).read()

for _ in range(8):
    in_daemon(work)
while client.stats().total.requests < 50:
    pass
"""
    for _ in range(5):
        four = [start(COMMON + program, s.url, **trust) for _ in range(4)]
        assert [finish(process, 20) for process in four] == [(0, "", "")] * 4


def test_a_request_that_begins_while_the_process_ends(server):
    """The exit hook has begun to end what clients do, and a thread makes another
    request before its client's turn comes."""
    s = server([until_closed()])
    program = """
import atexit
go = threading.Event()
atexit.register(go.set)  # called right before our own
others = [hpool.Client() for _ in range(2000)]
client = hpool.Client(timeout=60)

def ask():
    go.wait()
    client.get(url)

in_daemon(ask)
sys.setswitchinterval(100)  # the thread runs when the hook lets go, not before
"""
    assert finish(start(COMMON + program, s.url), 20) == (0, "", "")


def test_a_response_that_is_read_when_the_process_ends(either):
    """The exit hook has ended it; a thread that reads on just then stops there."""
    s, trust = either([expect(), send(HALF), until_closed()])
    program = """
import atexit, threading
go, over = threading.Event(), threading.Event()
atexit.register(lambda: (go.set(), over.wait(0.2)))  # called after our own
"""
    work = """
def work():
    response = client.get(url)
    ready.set()
    go.wait()
    try:
        response.read()
    finally:
        over.set()

ready = threading.Event()
in_daemon(work)
ready.wait()
"""
    process = start(program + COMMON + work, s.url, **trust)
    assert finish(process, 10) == (0, "", "")


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


@pytest.mark.parametrize("before", ["", "import hpool"])
def test_an_atexit_function_may_still_ask(either, before):
    """A function registered with atexit before hpool was imported is called when the
    core has shut down: it is served all the same, and nothing is kept."""
    s, trust = either([serve(OK)])
    program = f"""
import atexit, sys
{before}

def last():
    for _ in range(2):
        assert hpool.get(sys.argv[1]).content == b"ok"
        assert client.get(sys.argv[1]).read() == b"ok"
    client.get(sys.argv[1]).close()
    print("asked", flush=True)

atexit.register(last)
import hpool
client = hpool.Client(timeout=10)
assert client.get(sys.argv[1]).read() == b"ok"
"""
    assert run(program, s.url, seconds=10, **trust) == "asked\n"


CYCLE = """
class Holder:
    def __init__(self):
        self.client = hpool.Client(timeout=10, leak_warnings=False)
        self.response = self.client.get(url)
        self.me = self

    def __del__(self):
        {at_end}

holders = [Holder() for _ in range(3)]
hpool.holder = Holder()
sys.holder = Holder()
{where}
"""


@pytest.mark.parametrize("where", ["", "del holders"])
@pytest.mark.parametrize(
    "at_end",
    [
        "pass",
        "self.response.close(); self.client.close()",
        "self.client.close()",
        "self.response.read1(2)",
        "self.client.get(url).close()",
    ],
)
def test_what_is_torn_down_with_the_interpreter(either, at_end, where):
    """Clients and responses in globals, in other modules and in cycles, used by
    destructors that run when the interpreter is half gone."""
    s, trust = either([expect(), send(HALF), until_closed()])
    at_end = f"""
        try:
            {at_end}
        except hpool.RequestException:
            pass
"""
    run(COMMON + CYCLE.format(at_end=at_end, where=where), s.url, seconds=10, **trust)


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
    "proxies": """
proxy = hpool.Proxy(url, headers={"X": "y"})
def round():
    client.get("http://a.test/small", proxy=url).read()
    client.get("http://a.test/small", proxies={"http://a.test": proxy}).read()
    client.proxies = {"http": url}
    client.get("http://a.test/small").read()
    client.proxies = None
    try:
        client.get("https://a.test/", proxy=url)
    except hpool.ProxyError as error:
        assert error.status
""",
}


@pytest.mark.parametrize("name", ROUNDS)
def test_leaks(cserver, name):
    """Many rounds of the same leave no more objects, descriptors or memory than a
    few did."""
    n = 200 if name in ("clients", "errors", "proxies") else 2000
    program = COMMON + LEAKS + ROUNDS[name] + f"\nmeasure(round, {n})\n"
    run(program, cserver.url, seconds=50)
