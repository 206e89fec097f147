"""fork() under a live pool: nobody writes to a connection of the other."""

import signal
import ssl
import threading

import pytest

from tests.life.child import finish, run, said, start
from tests.server.scripted import expect, respond, send, serve, until_closed

OK = respond(b"ok")

# Each program gets a URL; ask() is one request.
COMMON = """
import os, sys, threading
import hpool
from tests.tools import Call, gauges, until

url = sys.argv[1]
client = hpool.Client(timeout=10, limits=hpool.Limits(max_conns_per_host=2))

def ask(path):
    with client.get(url + path) as response:
        return response.read().decode()

def in_child(function):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""

BOTH_GO_ON = """
assert ask("/parent") == "ok"
assert client.stats().total.idle == 1

def child():
    now = client.stats().total
    assert (now.idle, now.in_use) == (0, 0), now
    for _ in range(3):
        assert ask("/child") == "ok"
    assert client.stats().total.dials == 1

in_child(child)
for _ in range(3):
    assert ask("/parent") == "ok"
assert client.stats().total.dials == 1
client.close()
"""


def by_connection(s):
    return [[r.target for r in c.requests] for c in s.connections]


def test_both_go_on(either):
    """With an idle connection in the pool the parent forks: the child makes a
    connection of its own, the parent goes on with the one it has."""
    s, trust = either([serve(OK)])
    run(COMMON + BOTH_GO_ON, s.url, **trust)
    assert by_connection(s) == [["/parent"] * 4, ["/child"] * 3]


CHILD_ENDS = """
assert ask("/parent") == "ok"
unread = client.get(url + "/parent")
pid = os.fork()
if pid == 0:
    assert ask("/child") == "ok"
    raise SystemExit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert unread.read() == b"ok"
assert ask("/parent") == "ok"
"""


def test_a_child_that_ends_as_programs_do(either):
    """Not by os._exit: all that is torn down at the child's end, what it inherited
    included, says nothing to the parent's server."""
    s, trust = either([serve(OK)])
    run(COMMON + CHILD_ENDS, s.url, **trust)
    assert by_connection(s) == [["/parent"] * 3, ["/child"]]


SESSIONS_OF_THE_PARENT = """
def resumed():
    client.close_idle()
    with client.get(url) as response:
        response.read()
        return response.connection.resumed

assert [resumed() for _ in range(3)] == [False, True, True]

def child():
    assert [resumed() for _ in range(3)] == [False, True, True]
    assert client.stats().total.resumed == 2

in_child(child)
assert resumed()
client.close()
"""


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_not_shared(server, ca, version):
    """A TLS ticket serves once: the child begins with a full handshake, and the
    parent goes on with what it has."""
    context = ca.server_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    s = server([serve(OK)], tls=context)
    run(COMMON + SESSIONS_OF_THE_PARENT, s.url, SSL_CERT_FILE=ca.pem)


RESPONSE_OF_THE_PARENT = """
response = client.get(url + "/parent")
assert response.read1(2) == b"ha"

def child():
    for use in (response.read, response.readline, response.read1):
        try:
            use()
        except hpool.ForkedError as error:
            assert isinstance(error, RuntimeError)
            assert "belongs to the parent process" in str(error), error
        else:
            raise AssertionError("no error")
    response.close()
    assert response.status_code == 200
    assert ask("/child") == "ok"

in_child(child)
print("forked", flush=True)
assert response.read() == b"lf"
assert ask("/parent") == "ok"
"""


def test_a_response_belongs_to_its_process(either):
    """The child cannot read the parent's response (ForkedError) and does not disturb
    it by closing it; the parent reads it to its end."""
    forked = threading.Event()
    half = respond(b"half")

    def play(connection):
        request = connection.expect()
        if request.target == "/parent":
            connection.send(half[:-2])
            # The child's request comes on another connection, and before its end.
            connection.wait(forked)
            connection.send(half[-2:])
        else:
            connection.send(OK)
            forked.set()
        connection.serve(OK)

    s, trust = either(play)
    run(COMMON + RESPONSE_OF_THE_PARENT, s.url, **trust)
    assert by_connection(s) == [["/parent"] * 2, ["/child"]]


# How the process forks, while another thread waits for the answer to /slow.
FORKS = {
    "main": "in_child(child)",
    "thread": "Call(in_child, child).result()",
}

UNDER_WAY = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads about
assert ask("/parent") == "parent"
slow = Call(ask, "/slow")
until(lambda: gauges(client)[1] == 1)

def child():
    assert gauges(client) == (0, 0, 0, 0, 0), gauges(client)
    for _ in range(3):
        assert ask("/child") == "child"

{forks}
assert ask("/parent") == "parent"
print("forked", flush=True)
assert slow.result() == "slow"
"""


@pytest.mark.parametrize("forks", FORKS)
def test_a_request_is_under_way(either, forks):
    """A thread waits for its answer while another, main or not, forks: the answer
    comes to that thread, and to each process only what it asked for."""
    forked = threading.Event()

    def answer(request):
        if request.target == "/slow":
            assert forked.wait(10)
        return respond(request.target[1:].encode())

    s, trust = either([serve(answer)])
    process = start(COMMON + UNDER_WAY.format(forks=FORKS[forks]), s.url, **trust)
    said(process, "forked")
    forked.set()
    assert finish(process) == (0, "", "")
    assert by_connection(s) == [["/parent", "/slow"], ["/child"] * 3, ["/parent"]]


IN_A_HANDLER = """
import signal
pids = []

def on_alarm(*_):
    pids.append(os.fork())
    if pids[0] == 0:  # the interrupted request is the parent's
        assert ask("/child") == "child"

signal.signal(signal.SIGALRM, on_alarm)
try:
    print("ready", flush=True)
    said = ask("/parent")
except hpool.ForkedError:
    assert pids == [0]
    assert ask("/child") == "child"
else:
    assert said == "parent", said
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0
    assert ask("/parent") == "parent"
"""


def test_fork_in_a_signal_handler(either):
    """A signal handler forks while its thread waits in a request: in the child the
    request fails with ForkedError, in the parent it goes on."""
    forked = threading.Event()

    def answer(request):
        if request.target == "/child":
            forked.set()
        else:
            assert forked.wait(10)
        return respond(request.target[1:].encode())

    s, trust = either([serve(answer)])
    process = start(COMMON + IN_A_HANDLER, s.url, **trust)
    said(process, "ready")
    s.wait_requests(1)
    process.send_signal(signal.SIGALRM)
    assert finish(process) == (0, "", "")
    assert by_connection(s) == [["/parent"] * 2, ["/child"] * 2]


IN_A_BODY = """
pid = None

def body():
    global pid
    yield b"one,"
    pid = os.fork()
    yield b"two"

try:
    said = client.post(url + "/parent", data=body()).read()
except hpool.ForkedError:
    assert pid == 0
    assert ask("/child") == "ok"
else:
    assert said == b"ok" and pid
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def test_fork_in_the_middle_of_a_body(either):
    """The iterator that makes a body forks: the child sends nothing of it."""
    s, trust = either([serve(OK)])
    run(COMMON + IN_A_BODY, s.url, **trust)
    assert sorted(by_connection(s)) == [["/child"], ["/parent"]]
    bodies = {r.target: r.body for r in s.requests}
    assert bodies == {"/parent": b"one,two", "/child": b""}


CTRL_C_IN_THE_CHILD = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads about
from tests.life.interrupt import measure

def child():
    measure(client, lambda: client.get(url + "/hang"), lambda: gauges(client)[1] == 1)

Call(in_child, child).result()
"""


def test_ctrl_c_in_the_child_of_a_thread(server):
    """The thread that forked is the child's main thread, and has its signals."""
    s = server([expect(), until_closed()])
    run(COMMON + CTRL_C_IN_THE_CHILD, s.url)


# ---- what the parent was doing -----------------------------------------------

NOT_USED_AGAIN = """
import warnings
limits = hpool.Limits(idle_conn_timeout=0.3, drain_timeout=30)
client = hpool.Client(limits=limits)
{before}
if sys.argv[2] == "thread":
    warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads about
    Call(in_child, lambda: None).result()
else:
    in_child(lambda: None)
print("forked", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("who", ["main", "thread"])
def test_the_parent_expires_what_is_idle(server, who):
    """A parent that does not touch its client again still closes what was idle for
    too long, and sees what the server closes."""
    s = server([serve(OK)])
    process = start(COMMON + NOT_USED_AGAIN.format(before='ask("/parent")'), s.url, who)
    said(process, "forked")
    s.connections[0].wait_closed()
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("how", ["client.close()", "del client"])
def test_the_parent_drains_on(server, how):
    """A body that is being drained when its client is closed, or let go, and the
    process forks: the rest is taken and the connection closed."""
    forked = threading.Event()
    whole = respond(b"whole")
    s = server([expect(), send(whole[:-1], forked, whole[-1:]), until_closed()])
    before = f"""
client.get(url).close()
assert gauges(client)[3] == 1
{how}
"""
    process = start(COMMON + NOT_USED_AGAIN.format(before=before), s.url, "main")
    said(process, "forked")
    assert not s.connections[0].closed.is_set()
    forked.set()
    s.connections[0].wait_closed()
    assert finish(process) == (0, "", "")


IMPORTING = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads about

class Slow:  # the import of that module waits until the process is about to fork
    def find_spec(self, name, path, target=None):
        if name == "hpool._prepare" and not forking.is_set():
            importing.set()
            assert forking.wait(10)

importing, forking = threading.Event(), threading.Event()
sys.meta_path.insert(0, Slow())
os.register_at_fork(before=forking.set)

def post():
    return client.post(url + "/", data=iter([b"body"])).read()

thread = Call(post)
assert importing.wait(10)
in_child(post)
thread.result()
"""


def test_fork_in_the_middle_of_an_import(server):
    """Some of our modules are imported when first needed. A fork waits for that: the
    child could not, for the thread that is at it is gone."""
    s = server([serve(OK)])
    run(COMMON + IMPORTING, s.url)


# ---- many --------------------------------------------------------------------

FORKED_UNDER_THREADS = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads about
stop = threading.Event()
errors = []

def work():
    while not stop.is_set():
        try:
            assert ask("/parent") == "ok"
        except BaseException as error:
            errors.append(error)
            return

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()

def child():
    for _ in range(3):
        assert ask("/child") == "ok"

for _ in range(20):
    in_child(child)
stop.set()
for thread in threads:
    thread.join()
assert errors == [], errors
"""


DIAL_FORKS = """
import socket
pid = None

def dial(host, port, timeout):
    global pid
    sock = socket.create_connection((host, port), timeout)
    if pid is None:
        pid = os.fork()
    return sock

client = hpool.Client(dial=dial, timeout=10)
try:
    assert ask("/parent") == "ok"
    assert pid
except hpool.ForkedError:
    assert pid == 0
    assert ask("/child") == "ok"
    client.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert ask("/parent") == "ok"
client.close()
"""


def test_a_dial_that_forks(server):
    """dial= forks: the request goes on in the parent, and is the parent's in the
    child, whose own requests work."""
    s = server([serve(OK)])
    run(COMMON + DIAL_FORKS, s.url)
    assert by_connection(s) == [["/parent"] * 2, ["/child"]]


def test_fork_under_threads(either):
    """20 forks while four threads are at work: no child hangs on a lock, no request
    is mixed up."""
    s, trust = either([serve(OK)], backlog=512)
    run(COMMON + FORKED_UNDER_THREADS, s.url, seconds=50, **trust)
    for targets in by_connection(s):
        assert len(set(targets)) == 1


FORKED_AMONG_HANDSHAKES = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads about
with open(os.environ["SSL_CERT_FILE"], "rb") as file:
    pem = file.read()
ok = ask("/data")
stop = threading.Event()

def work(n):
    # A setting that nobody had before: an SSL_CTX is made for it.
    i = 0
    while not stop.is_set():
        with hpool.Client(timeout=10, verify=pem + b"# %d %d" % (n, i)) as one:
            assert one.get(url + "/data").read().decode() == ok
        i += 1

def come_and_go():
    while not stop.is_set():
        one = hpool.Client(timeout=10)
        Call(lambda: one.get(url + "/data").read()).result()

def child():
    assert ask("/data") == ok
    with hpool.Client(timeout=10, verify=pem + b"# child") as one:
        assert one.get(url + "/data").read().decode() == ok

calls = [Call(work, i) for i in range(3)] + [Call(come_and_go)]
for _ in range(int(sys.argv[2])):
    in_child(child)
stop.set()
for call in calls:
    call.result()
"""


def test_fork_among_handshakes(nginx, ca):
    """50 forks while threads are inside OpenSSL, which has locks of its own: no child
    waits for one of them."""
    n = 50
    run(
        COMMON + FORKED_AMONG_HANDSHAKES,
        nginx.https_url,
        n,
        seconds=50,
        SSL_CERT_FILE=ca.pem,
    )


GRANDCHILD = """
assert ask("/1") == "ok"

def child():
    assert ask("/2") == "ok"
    in_child(grandchild)
    assert ask("/2") == "ok"

def grandchild():
    assert ask("/3") == "ok"

in_child(child)
assert ask("/1") == "ok"
"""


def test_a_grandchild(server):
    """A child forks in its turn: three processes, three connections."""
    s = server([serve(OK)])
    run(COMMON + GRANDCHILD, s.url)
    assert by_connection(s) == [["/1", "/1"], ["/2", "/2"], ["/3"]]


FULL_POOL = """
held = [client.get(url + "/parent") for _ in range(2)]  # all there may be

def child():
    assert ask("/child") == "ok"

in_child(child)
print("ok", flush=True)
for response in held:
    response.close()
"""


def test_the_child_of_a_full_pool(server):
    """The parent's connections are all in use when it forks: the child's pool is
    empty, not full."""

    def play(connection):
        if connection.expect().target == "/parent":
            connection.send(respond(b"", headers={"Content-Length": 5}))
        else:
            connection.send(OK)

    s = server(play)
    assert run(COMMON + FULL_POOL, s.url) == "ok\n"
