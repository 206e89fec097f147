"""A trace across signals, forks and the interpreter's exit."""

import pytest

from tests.life.child import run
from tests.server.scripted import expect, respond, serve, until_closed

OK = respond(b"ok")

INTERRUPTED = """
import signal, sys
import hpool
from tests.tools import Recorder

class Alarm(BaseException):
    pass

def ring(number, frame):
    raise Alarm

recorder = Recorder()
signal.signal(signal.SIGALRM, ring)

def handler(event, info):
    recorder(event, info)
    if event == "wrote_request":
        signal.setitimer(signal.ITIMER_REAL, 0.05)

with hpool.Client(trace=handler, timeout=10) as client:
    try:
        client.get(sys.argv[1])
    except Alarm:
        pass
    else:
        raise AssertionError
    assert client.stats().total.in_use == 0
done = recorder.one("request_done")
assert (done["status"], done["error"]) == (None, "Alarm"), done
assert recorder.one("conn_closed")["reason"] == "cancelled"
"""


def test_a_signal_ends_a_traced_request(server):
    """What a signal handler raises is named in request_done, and is raised."""
    s = server([expect(), until_closed()])
    run(INTERRUPTED, s.url)


FORKED = """
import os, sys
import hpool
from tests.tools import Recorder

recorder, parent = Recorder(), os.getpid()

def handler(event, info):
    recorder(event, info)
    if event == sys.argv[2] and os.getpid() == parent:
        pids.append(os.fork())
        if pids[-1] == 0:
            recorder.infos.clear()

pids = []
client = hpool.Client(trace=handler, timeout=10)
try:
    assert client.get(sys.argv[1]).read() == b"ok"
except hpool.ForkedError:
    code = 3
    assert "request_done" not in recorder.names
    assert client.get(sys.argv[1]).read() == b"ok"
    assert recorder.one("request_done")
else:
    code = 0
    assert recorder.one("request_done")
    client.stats()
client.close()
if os.getpid() != parent:
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 3
"""


@pytest.mark.parametrize("event", ["connect_start", "wrote_request"])
def test_a_handler_that_forks(server, event):
    """The request goes on in the parent alone; the child's later ones are traced,
    and it tells nothing of the parent's."""
    s = server([serve(OK)])
    run(FORKED, s.url, event)


PENDING = """
import os, sys
import hpool
from tests.tools import Recorder

recorder = Recorder()
client = hpool.Client(trace=recorder, timeout=10)
client.get(sys.argv[1]).read()
client.trace = None
client.trace = lambda event, info: recorder(event, info) or fork(event)

def fork(event):
    if event == "request_start":
        client.close_idle()  # something for the pool to tell
        pid = os.fork()
        if pid == 0:
            client.trace = recorder
            recorder.infos.clear()
            client.stats()
            os._exit(len(recorder.infos))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

client.get(sys.argv[1]).read()
client.close()
assert recorder.all("conn_closed")[0]["reason"] == "close_idle_called"
"""


def test_what_the_pool_has_to_tell_is_the_parents(server):
    s = server([serve(OK)])
    run(PENDING, s.url)


EXIT = """
import sys, threading
import hpool

client = hpool.Client(trace=lambda event, info: told.append(event), timeout=10)
told, waits = [], threading.Event()

def ask():
    client.get(sys.argv[1])

thread = threading.Thread(target=ask, daemon=True)
thread.start()
while "wrote_request" not in told:
    waits.wait(0.001)
"""


def test_exit_with_a_traced_request_in_flight(server):
    """In a daemon thread: no crash, no hang, nothing on stderr."""
    s = server([expect(), until_closed()])
    run(EXIT, s.url)
