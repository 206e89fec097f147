"""fork() under a live pool: nobody writes to a connection of the other."""

import ssl
import threading

import pytest

from tests.life.child import run
from tests.server.scripted import respond, serve

OK = respond(b"ok")

# Each program gets a URL; ask() is one request.
COMMON = """
import os, sys
import hpool

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


def test_both_go_on(server):
    """With an idle connection in the pool the parent forks: the child makes a
    connection of its own, the parent goes on with the one it has."""
    s = server([serve(OK)])
    run(COMMON + BOTH_GO_ON, s.url)
    assert by_connection(s) == [["/parent"] * 4, ["/child"] * 3]


def test_both_go_on_over_tls(server, ca):
    """The same over TLS: the child's end says nothing on the parent's connection."""
    s = server([serve(OK)], tls=ca.server_context())
    run(COMMON + BOTH_GO_ON, s.url, SSL_CERT_FILE=ca.pem)
    assert by_connection(s) == [["/parent"] * 4, ["/child"] * 3]


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


def test_a_response_belongs_to_its_process(server):
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

    s = server(play)
    run(COMMON + RESPONSE_OF_THE_PARENT, s.url)
    assert by_connection(s) == [["/parent"] * 2, ["/child"]]


FORKED_UNDER_THREADS = """
import threading, warnings
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


def test_fork_under_threads(server):
    """20 forks while four threads are at work: no child hangs on a lock, no request
    is mixed up."""
    s = server([serve(OK)], backlog=512)
    run(COMMON + FORKED_UNDER_THREADS, s.url, seconds=50)
    for targets in by_connection(s):
        assert len(set(targets)) == 1


MULTIPROCESSING = """
import multiprocessing

def in_worker(n):
    return ask("/child")

if __name__ == "__main__":
    assert ask("/parent") == "ok"
    context = multiprocessing.get_context(sys.argv[2])
    with context.Pool(3) as pool:
        assert pool.map(in_worker, range(12)) == ["ok"] * 12
    assert ask("/parent") == "ok"
"""


@pytest.mark.parametrize("method", ["fork"])
def test_multiprocessing(server, method):
    """multiprocessing's workers use the client they inherited."""
    s = server([serve(OK)])
    run(COMMON + MULTIPROCESSING, s.url, method)
    targets = by_connection(s)
    assert targets[0] == ["/parent", "/parent"]
    assert sum(targets[1:], []) == ["/child"] * 12
    assert all(set(t) <= {"/child"} for t in targets[1:])


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
