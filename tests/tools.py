"""What the tests of the Python client share: calls in threads of their own,
waits that end, commands, and a look at this process's sockets."""

import os
import socket
import subprocess
import sys
import threading
import time

import hpool
from hpool import _core


class Call(threading.Thread):
    """function(...) in a thread of its own, from now on.

    result() gives back or raises what the function did; error() gives back
    what it raised. Both fail when it goes on for too long.
    """

    def __init__(self, function, *arguments, **keywords):
        super().__init__(daemon=True)
        self._job = (function, arguments, keywords)
        self._value = self._error = None
        self.start()

    def run(self):
        function, arguments, keywords = self._job
        try:
            self._value = function(*arguments, **keywords)
        except BaseException as error:
            self._error = error

    def _wait(self, seconds):
        self.join(seconds)
        assert not self.is_alive(), f"still running after {seconds} s"

    def result(self, seconds=10):
        self._wait(seconds)
        if self._error is not None:
            raise self._error
        return self._value

    def error(self, seconds=10):
        self._wait(seconds)
        return self._error


def until(condition, seconds=10):
    """Waits until the condition holds, and gives back what it said."""
    end = time.monotonic() + seconds
    while not (said := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.002)
    return said


def gauges(client):
    """(idle, in_use, dialing, draining, waiting) of the whole pool."""
    now = client.stats().total.now
    return (now.idle, now.in_use, now.dialing, now.draining, now.waiting)


def until_idle(client, n):
    """Waits until n connections are idle and none does anything else."""
    until(lambda: gauges(client) == (n, 0, 0, 0, 0))


def until_waiting(client, n):
    """Waits until n requests wait for a connection."""
    until(lambda: client.stats().total.waiting == n)


def closes(client):
    """How often connections were closed, by reason."""
    return client.stats().total.closes.nonzero()


def proxy_error(client, url, **how):
    """What client.get(url) raises."""
    import pytest  # programs of other Pythons, which use this file, have none

    with pytest.raises(hpool.ProxyError) as caught:
        client.get(url, **how)
    return caught.value


def advance(seconds):
    """The pool's clocks go on by so much at once. Who sleeps is not woken: a
    thread that waits with a deadline sees it when it looks next."""
    _core._advance(seconds)


def suspend(seconds):
    """As if the machine had slept for so long: the clock that idle connections
    age by goes on, the one that deadlines go by stands still."""
    _core._suspend(seconds)


# ---- commands ----------------------------------------------------------------


def python_m_environment():
    environment = os.environ | {"PYTHONPATH": f"{hpool.__path__[0]}/.."}
    environment.pop("PYTHONUNBUFFERED", None)
    return environment


def python_m(*arguments, **how):
    """python -m hpool ... in a process of its own, with pipes to it."""
    return subprocess.Popen(
        [sys.executable, "-m", "hpool", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=python_m_environment(),
        **how,
    )


# ---- advice ------------------------------------------------------------------


def codes(client):
    """Of what client.advise() says, the worst first."""
    return [advice.code for advice in client.advise()]


def found(client, code):
    """The one advice of that code, and it must be there."""
    (advice,) = [a for a in client.advise() if a.code == code]
    return advice


# ---- sockets, as Linux lists them --------------------------------------------

CLOSE_WAIT = "08"


def own_sockets():
    """The inodes of this process's sockets."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:  # the listing's own descriptor
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def tcp_rows():
    """(local port, remote port, state, inode) of every TCP socket."""
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(name):
            continue
        with open(name) as table:
            for line in list(table)[1:]:
                _, local, remote, state, *rest = line.split()
                ports = (int(at.rpartition(":")[2], 16) for at in (local, remote))
                yield (*ports, state, rest[5])


def sockets_to(port):
    """How many sockets of this process are connected to that port."""
    ours = own_sockets()
    return sum(row[1] == port and row[3] in ours for row in tcp_rows())


def close_wait_to(port):
    """How many of them the server has closed, and we have not."""
    ours = own_sockets()
    return sum(
        row[1] == port and row[2] == CLOSE_WAIT and row[3] in ours for row in tcp_rows()
    )


# ---- a port where nobody answers for now -------------------------------------


class Clogged:
    """A listener that takes connections only while it is not clogged: a queue
    of one is full, and Linux drops every further SYN until release()."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self._listener.settimeout(10)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._filler = None
        self._taken = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for sock in [*self._taken, self._filler, self._listener]:
            if sock is not None:
                sock.close()

    def clog(self):
        self._filler = socket.create_connection(("127.0.0.1", self.port), 10)

    def release(self):
        """Takes the connection that fills the queue."""
        self._listener.accept()[0].close()
        self._filler.close()
        self._filler = None

    def accept(self):
        sock, _ = self._listener.accept()
        sock.settimeout(10)
        self._taken.append(sock)
        return sock

    def serve(self, sock, answer):
        """Reads a request's head and answers it."""
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(65536)
            if not data:
                return None
            head += data
        sock.sendall(answer)
        return head


# ---- a trace -----------------------------------------------------------------


class Recorder:
    """A trace= handler that keeps what it is told."""

    def __init__(self):
        self.infos = []

    def __call__(self, event, info):
        assert info["event"] == event
        self.infos.append(info)

    @property
    def names(self):
        return [info["event"] for info in self.infos]

    def story(self, *without):
        """The names, without wrote_header_field and those given."""
        return [e for e in self.names if e not in ("wrote_header_field", *without)]

    def all(self, event):
        return [info for info in self.infos if info["event"] == event]

    def one(self, event):
        found = self.all(event)
        assert len(found) == 1, f"{event} came {len(found)} times in {self.names}"
        return found[0]
