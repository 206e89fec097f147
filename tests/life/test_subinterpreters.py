"""Interpreters in one process: from 3.12 on each with a GIL of its own, before that
they share one. Each has its own classes and clients; the core below is one."""

import threading

import pytest

from tests.life import child
from tests.life.child import finish, run, said, start
from tests.server.scripted import expect, respond, send, serve, until_closed

OK = respond(b"ok")

COMMON = """
import os, sys, threading, time
try:
    import _interpreters as interpreters  # 3.13
except ImportError:
    import _xxsubinterpreters as interpreters
import hpool
from tests.tools import Call, gauges, until

url = sys.argv[1]

IN_EACH = '''
import hpool
client = hpool.Client(timeout=10)
def ask(path="/", client=client):
    with client.get(url + path) as response:
        return response.read().decode()
'''

def execute(interpreter, program):
    failed = interpreters.run_string(interpreter, program)
    assert failed is None, failed  # before 3.13 it raises

def new(program="", own_gil=True):
    if sys.version_info >= (3, 13):
        interpreter = interpreters.create("isolated" if own_gil else "legacy")
    else:
        interpreter = interpreters.create(isolated=own_gil)
    execute(interpreter, f"url = {url!r}\\n{IN_EACH}\\n{program}")
    return interpreter
"""

# The main interpreter does not use hpool.
WITHOUT = COMMON.replace("import hpool\nfrom tests.tools import Call", "#", 1)


def test_each_makes_its_requests(either):
    """Four interpreters and the main one at once, each with connections of its own."""
    s, trust = either([serve(lambda r: respond(r.target.encode()))], backlog=512)
    program = """
def work(n):
    interpreter = new()
    execute(interpreter, f'''
for i in range(50):
    assert ask(f"/{n}/{{i}}") == f"/{n}/{{i}}"
    assert hpool.get(url + "/{n}/shared").text == "/{n}/shared"
total = client.stats().total
assert (total.requests, total.dials) == (50, 1), total
response = client.get(url + "/{n}")
assert (response.url, response.headers["content-length"]) == (url + "/{n}", "2")
try:
    hpool.get("http://127.0.0.1:1/")
except hpool.ConnectionError:  # this interpreter's own class
    pass
''')
    interpreters.destroy(interpreter)

calls = [Call(work, n) for n in range(4)]
client = hpool.Client(timeout=10)
for i in range(50):
    assert client.get(url + "/main").text == "/main"
for call in calls:
    call.result(20)
assert client.get(url + "/main").text == "/main"
"""
    run(COMMON + program, s.url, seconds=40, **trust)
    targets = [{r.target.split("/")[1] for r in c.requests} for c in s.connections]
    assert all(len(of_one) == 1 for of_one in targets)


def test_one_ends_while_another_waits(either):
    """An interpreter that ends, and one that only imports and ends, disturb neither a
    request of another nor what its client keeps."""
    go = threading.Event()

    def answer(request):
        if request.target == "/slow":
            assert go.wait(10)
        return OK

    s, trust = either([serve(answer)])
    program = """
waiting = new("assert ask() == 'ok'")
slow = Call(execute, waiting, "assert ask('/slow') == 'ok'")
client = hpool.Client(timeout=10)
mine = Call(lambda: client.get(url + "/slow").read())
until(lambda: gauges(client)[1] == 1)
for use in ("", "assert ask() == 'ok'; held = client.get(url)"):
    interpreters.destroy(new(use))
print("ended", flush=True)
slow.result(), mine.result()
execute(waiting, "assert ask() == 'ok' and client.stats().total.dials == 1")
client.get(url).read()
assert client.stats().total.dials == 1
interpreters.destroy(waiting)
"""
    process = start(COMMON + program, s.url, **trust)
    said(process, "ended")
    go.set()
    assert finish(process) == (0, "", "")


def test_the_keeper_is_everybodys(server):
    """The background thread goes on when the interpreter that first needed it ends:
    what another has idle is closed in time."""
    s = server([serve(OK)])
    program = """
first = new("ask()")
second = new('''
limits = hpool.Limits(idle_conn_timeout=0.2)
other = hpool.Client(limits=limits)
ask("/second", other)
''')
interpreters.destroy(first)
sys.stdin.read()
"""
    process = start(COMMON + program, s.url)
    for connection in s.wait_connections(2):
        connection.wait_closed()
    assert finish(process) == (0, "", "")


def test_one_after_the_other(server):
    """The main interpreter does not import hpool at all: the first that does ends, and
    the next has its background thread all the same."""
    s = server([serve(OK)])
    program = (
        WITHOUT
        + '''
assert "hpool" not in sys.modules
interpreters.destroy(new("assert ask() == 'ok'"))
second = new("""
import sys
limits = hpool.Limits(idle_conn_timeout=0.2)
client = hpool.Client(limits=limits)
assert ask("/second", client) == "ok" and client.stats().total.idle == 1
""")
sys.stdin.read()
'''
    )
    process = start(program, s.url)
    for connection in s.wait_connections(2):
        connection.wait_closed()
    assert finish(process) == (0, "", "")


@pytest.mark.skipif(child.VERSION < (3, 13), reason="CPython aborts when one remains")
def test_the_main_one_ends_first(either):
    """The process ends with the main interpreter: a daemon thread of it is in a request
    while another interpreter still has a client."""
    s, trust = either([serve(OK)], [expect(), until_closed()])
    program = """
other = new("assert ask() == 'ok'")
client = hpool.Client(timeout=60)
threading.Thread(target=lambda: client.get(url), daemon=True).start()
until(lambda: gauges(client)[1] == 1)
"""
    run(COMMON + program, s.url, **trust)


def test_threads_of_one(either):
    """Threads of an interpreter share its client; a legacy one's, where an isolated
    one may have none (3.11)."""
    s, trust = either([serve(OK)])
    program = """
interpreter = new(own_gil=sys.version_info >= (3, 12))
execute(interpreter, '''
import threading
said = []
threads = [threading.Thread(target=lambda: said.append(ask())) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert said == ["ok"] * 4
''')
interpreters.destroy(interpreter)
"""
    run(COMMON + program, s.url, **trust)


@pytest.mark.parametrize("common", [COMMON, WITHOUT], ids=["and main", "not main"])
def test_the_process_ends_with_them(either, common):
    """Interpreters with idle connections and half-read bodies when the process ends:
    its exit code is its own."""
    half = respond(b"half", headers={"Content-Length": 100})
    s, trust = either([expect(), send(half), until_closed()], [serve(OK)])
    program = """
one = new("held = hpool.Client(leak_warnings=False).get(url)")
other = new("ask()")
sys.exit(3)
"""
    assert finish(start(common + program, s.url, **trust)) == (3, "", "")
    for connection in s.connections:
        connection.wait_closed()


def test_a_shared_gil(either):
    """The old kind of interpreter, which shares the main one's GIL."""
    s, trust = either([serve(OK)])
    program = """
old = new("assert ask() == 'ok'", own_gil=False)
execute(old, "assert hpool.get(url).text == 'ok'")
interpreters.destroy(old)
assert hpool.get(url).text == "ok"
"""
    run(COMMON + program, s.url, **trust)
