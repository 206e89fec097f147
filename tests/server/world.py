"""A world of hosts for tests that go from one to another: every name and every
port is the same two servers, one of them with TLS."""

import socket
import threading
from contextlib import ExitStack

from tests.server.scripted import ScriptedServer, respond, serve


class World:
    """answer(url, request) -> bytes gives every answer there is.

    dial     for Client(dial=...): connects to any host and port
    visits   (url as the server sees it, request), in the order they came
    tls_ports  whose connections speak TLS
    """

    def __init__(self, answer, tls=None):
        self._answer = answer
        self._lock = threading.Lock()
        self._names = {}  # local port of a connection: "http://a.test:81"
        self.visits = []
        self.dialed = []  # (host, port)
        self.tls_ports = {443, 8443}
        self._stack = ExitStack()
        self._servers = {"http": ScriptedServer(serve_as(self))}
        if tls is not None:
            self._servers["https"] = ScriptedServer(serve_as(self), tls=tls)

    def __enter__(self):
        for server in self._servers.values():
            self._stack.enter_context(server)
        return self

    def __exit__(self, *exc):
        return self._stack.__exit__(*exc)

    def dial(self, host, port, timeout):
        scheme = "https" if port in self.tls_ports else "http"
        sock = socket.create_connection(("127.0.0.1", self._servers[scheme].port), 10)
        shown = f"[{host}]" if ":" in host else host
        is_default = port == {"http": 80, "https": 443}[scheme]
        with self._lock:
            self.dialed.append((host, port))
            name = f"{scheme}://{shown}" + ("" if is_default else f":{port}")
            self._names[sock.getsockname()[1]] = name
        return sock

    def answer(self, connection, request):
        name = self._names[connection.peer[1]]
        url = f"{name}{request.target}"
        with self._lock:
            self.visits.append((url, request))
        return self._answer(url, request)

    @property
    def urls(self):
        return [url for url, _ in self.visits]

    @property
    def log(self):
        """(method, url, body) of each visit."""
        return [(r.method, url, r.body) for url, r in self.visits]

    def headers(self, name):
        """That header of each visit, or None."""
        return [request.get(name) for _, request in self.visits]


def serve_as(world):
    """A script that answers as the world does."""

    def play(connection):
        serve(lambda request: world.answer(connection, request))(connection)

    return [play]


def moved(location, status=302, body=b"", headers=()):
    """A redirect; a Location of None is left out."""
    fields = [] if location is None else [("Location", location)]
    return respond(body, status=status, headers=[*fields, *headers])
