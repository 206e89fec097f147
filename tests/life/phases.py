"""Every phase in which a request can be, for tests that end it there: a server
that lets it come so far and no further, and a program that has a thread in it."""

import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.server.cserver import compile_c
from tests.server.scripted import ScriptedServer, respond, until_closed
from tests.tools import Clogged

SLOW_DNS = Path(__file__).parent.parent / "server" / "slow_dns.c"
UPGRADE = {"Upgrade": "echo", "Connection": "Upgrade"}

# Name: (what the thread does, when it is there). `reached` it sets itself where
# the gauges do not tell; `now` are the gauges.
PHASES = {
    "slot": ("ask('/half'), ask('/')", "now()[4] == 1"),
    "look-up": ("client.get('http://slow.test/')", "now()[2] == 1"),
    "connect": ("client.get(clogged)", "now()[2] == 1"),
    "handshake": ("client.get(mute)", "now()[2] == 1"),
    "tunnel": (
        "client.get('https://a.test/', proxy=f'http://{proxy}')",
        "now()[2] == 1",
    ),
    "socks": (
        "client.get('http://a.test/', proxy=f'socks5h://{proxy}')",
        "now()[2] == 1",
    ),
    "send": ("client.post(url + '/deaf', data=bytes(1 << 26))", "now()[1] == 1"),
    "send pieces": ("client.post(url + '/deaf', data=pieces())", "now()[1] == 1"),
    "continue": (
        "client.post(url + '/hang', data=b'x', headers={'Expect': '100-continue'})",
        "now()[1] == 1",
    ),
    "head": ("ask('/hang')", "now()[1] == 1"),
    "head, kept": (
        "ask('/').read(), reached.set(), ask('/hang')",
        "reached.is_set() and now()[1] == 1",
    ),
    "body": ("reach(ask('/half')).read()", "reached.is_set()"),
    "body, with the head": ("client.get(url + '/half', stream=False)", "now()[1] == 1"),
    "upgraded": ("upgraded().recv()", "reached.is_set()"),
    "pause": ("client.get(url + '/busy', retries=retries)", "now()[0] == 1"),
    "warm, connect": ("client.warm(clogged, 1)", "now()[2] == 1"),
    "warm, handshake": ("client.warm(mute, 1)", "now()[2] == 1"),
}

# What goes on without a thread of the program's.
KEEPER = {
    "drain": ("client.get(url + '/half').close()", "now()[3] == 1"),
    "orphan": ("orphan()", "now() == (0, 0, 1, 0, 0)"),
    "idle": ("client.get(url).read()", "now()[0] == 1"),
}

PROGRAM = """
import os, sys, threading, warnings
import hpool
from tests.life.interrupt import reached, thread_is_asleep
from tests.tools import gauges, until

url, clogged, mute = sys.argv[1:4]
proxy = mute.removeprefix("https://")
timeout = hpool.Timeout(expect_continue=60)
limits = hpool.Limits(max_conns_per_host=1, drain_timeout=60)
client = hpool.Client(timeout=timeout, limits=limits, leak_warnings=False)
retries = hpool.Retries(5, status_forcelist=[503])

def now():
    return gauges(client)

def ask(path):
    response = client.get(url + path)
    kept.append(response)
    return response

def reach(what):
    reached.set()
    return what

def pieces():
    while True:
        yield bytes(65536)

def upgraded():
    headers = {"Upgrade": "echo", "Connection": "Upgrade"}
    kept.append(client.get(url + "/upgrade", headers=headers).upgraded())
    return reach(kept[-1])

def orphan():
    global client
    client = hpool.Client(timeout=60)
    try:
        client.get(clogged, timeout=hpool.Timeout(total=0.01))
    except hpool.TotalTimeout:
        pass

kept, ended = [], []
thread = None

def in_daemon(function):
    def run():
        try:
            function()
        except hpool.ClosedError as error:  # the program closes the client at its end
            ended.append(error)

    global thread
    thread = threading.Thread(target=run, daemon=True)
    thread.start()

def until_there(condition):
    until(lambda: condition() and (
        thread is None or thread_is_asleep(thread.native_id)))
"""


def program(phase, end):
    """A program with a daemon thread in that phase (or a keeper at that work) when
    its main thread goes on to `end`."""
    if phase in KEEPER:
        doing, when = KEEPER[phase]
        begin = doing
    else:
        doing, when = PHASES[phase]
        begin = f"in_daemon(lambda: ({doing}))"
    return f"{PROGRAM}\n{begin}\nuntil_there(lambda: {when})\n{end}\n"


class World:
    """What the programs talk to. arguments and environment are for start()."""

    def __init__(self, stack, tls, trust, slow_dns):
        self.go = threading.Event()
        enter = stack.enter_context
        self.server = enter(ScriptedServer(self._play, tls=tls, backlog=512))
        mute = enter(ScriptedServer([until_closed()]))
        clogged = enter(Clogged())
        clogged.clog()
        stack.callback(self.go.set)
        self.arguments = (
            self.server.url,
            clogged.url,
            f"https://127.0.0.1:{mute.port}",
        )
        self.how = {"SSL_CERT_FILE": trust}
        if slow_dns:
            ends = [*os.pipe(), *os.pipe()]
            stack.callback(lambda: [os.close(end) for end in ends])
            self.how |= {
                "pass_fds": (ends[0], ends[3]),
                "LD_PRELOAD": slow_dns,
                "SLOW_DNS_GO": str(ends[0]),
                "SLOW_DNS_ASKED": str(ends[3]),
            }

    def _play(self, connection):
        while (request := connection.request(body=False, patient=True)) is not None:
            match request.target:
                case "/hang":
                    return connection.until_closed()
                case "/deaf":
                    connection.wait(self.go)
                    return connection.close()
                case "/half":
                    connection.send(respond(b"half", headers={"Content-Length": 100}))
                case "/busy":  # come back in a minute
                    connection.send(respond(status=503, headers={"Retry-After": "60"}))
                case "/upgrade":
                    connection.send(respond(status=101, headers=UPGRADE))
                    return connection.until_closed()
                case _:
                    connection.send(respond(b"ok"))


@contextmanager
def world(ca, folder, *, tls=False, phase=""):
    slow = None
    if phase == "look-up":
        slow = compile_c(SLOW_DNS, Path(folder) / "slow_dns.so", "-shared", "-fPIC")
    with ExitStack() as stack:
        context = ca.server_context() if tls else None
        yield World(stack, context, ca.pem, slow)


def possible():
    """The phases that can be had here."""
    linux = sys.platform.startswith("linux")
    return [phase for phase in PHASES if phase != "look-up" or linux]
