"""A server that sends exactly the bytes its script says, when it says so.

    go = threading.Event()
    script = [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Le", go, b"ngth: 0\r\n\r\n")]
    with ScriptedServer(script) as server:
        ... server.url ... go.set() ...
    assert server.connections[0].requests[0].target == "/x"

A script is a list of steps, or a function that is given the Connection and
calls its methods, which bear the steps' names. One script serves every
connection; several serve the first, the second, ... connection, and one more
connection than that is an error.

Every wait ends: at an event, at the end of the server, or in an error after
`timeout` seconds. What went wrong in a script is raised when the server ends.
A client that goes away while it is being sent to is no error, since it may have
every reason to; an expected request that does not come is one.
"""

import select
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds
REASONS = {
    100: "Continue",
    101: "Switching Protocols",
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    401: "Unauthorized",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class ScriptError(AssertionError):
    """The script could not be played as it is written."""


class _Gone(Exception):
    """The client went away while it was being sent to."""


# ---- bytes -------------------------------------------------------------------


def _bytes(value):
    return value if isinstance(value, bytes) else str(value).encode("latin-1")


def respond(body=b"", status=200, headers=(), *, reason=None):
    """A whole response. Content-Length is added unless the headers have a
    framing of their own or the status has no body."""
    pairs = headers.items() if hasattr(headers, "items") else headers
    fields = [(_bytes(name), _bytes(value)) for name, value in pairs]
    names = {name.lower() for name, _ in fields}
    bodiless = status < 200 or status in (204, 304)
    if not bodiless and not names & {b"content-length", b"transfer-encoding"}:
        fields.append((b"Content-Length", b"%d" % len(body)))
    reason = REASONS.get(status, "Whatever") if reason is None else reason
    lines = [b"HTTP/1.1 %d %s" % (status, _bytes(reason))]
    lines += [b"%s: %s" % pair for pair in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunks(*pieces, trailers=()):
    """A body in chunked coding, its end included."""
    coded = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    tail = b"".join(b"%s: %s\r\n" % (_bytes(n), _bytes(v)) for n, v in trailers)
    return coded + b"0\r\n" + tail + b"\r\n"


def respond_chunked(*pieces, trailers=(), headers=(), status=200):
    pairs = headers.items() if hasattr(headers, "items") else headers
    headers = [*pairs, ("Transfer-Encoding", "chunked")]
    return respond(chunks(*pieces, trailers=trailers), status, headers)


def bytewise(data):
    """For send(*bytewise(data)): one byte at a time."""
    return [data[i : i + 1] for i in range(len(data))]


@dataclass
class Request:
    head: bytes  # as it came, with the empty line
    body: bytes = b""  # without the chunked coding
    raw_body: bytes = b""  # with it
    complete: bool = False  # the body has been read to its end
    fields: list = field(init=False)  # [(name, value)], in order

    def __post_init__(self):
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        parts = (line.partition(":") for line in lines)
        self.fields = [(name, value.strip(" \t")) for name, _, value in parts]

    @property
    def line(self):
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self):
        return self.line.split(" ")[0]

    @property
    def target(self):
        return self.line.split(" ")[1]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        """The only value of this field, or None."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None


# ---- one connection ----------------------------------------------------------


class Connection:
    """What the script does it does with these methods; what the test wants to
    know it reads from these attributes."""

    def __init__(self, server, number, sock, peer):
        self.server = server
        self.number = number  # 1 is the first
        self.peer = peer  # the client's (host, port, ...); "" on a Unix socket
        self.port = peer[1] if peer else None
        self.requests = []
        # The client's FIN or RST has come. A FIN stands in line behind what the
        # client has sent before: while a script leaves a big upload unread there
        # is none to see, and until_closed() is the step to take.
        self.closed = threading.Event()
        self.closed_at = None  # time.monotonic() of that
        self.ended = threading.Event()  # the script is over
        self.handshake_error = None
        self.tls = None  # the SSLSocket, when there is one
        self._awaits_close = False  # somebody is in wait_closed()
        self._sock = sock
        self._open = True
        self._buffer = bytearray()

    # -- for the test

    def wait_closed(self, timeout=None):
        """Waits until the client has closed its side."""
        self._awaits_close = True
        seen = self.closed.wait(timeout or self.server.timeout)
        self._awaits_close = False
        if not seen:
            raise ScriptError(f"no close of the client on connection {self.number}")

    def wait_ended(self, timeout=None):
        """Waits until the script is over, a failed handshake included."""
        if not self.ended.wait(timeout or self.server.timeout):
            raise ScriptError(f"the script of connection {self.number} goes on")

    # -- receiving

    def _receive(self, patient=False):
        """More bytes into the buffer; False at the end, however it came.
        Patient: an idle connection is no error."""
        self._sock.settimeout(None if patient else self.server.timeout)
        try:
            data = self._sock.recv(65536)
        except TimeoutError:
            raise ScriptError(f"nothing came for {self.server.timeout} s") from None
        except OSError:
            data = b""
        finally:
            self._sock.settimeout(self.server.timeout)
        if not data:
            self._client_closed()
        self._buffer += data
        return bool(data)

    def _take(self, n):
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken

    def _read_until(self, mark, what):
        while mark not in self._buffer:
            if not self._receive():
                raise ScriptError(f"{what} was cut off after {bytes(self._buffer)!r}")
        return self._take(self._buffer.index(mark) + len(mark))

    def read(self, n):
        """Exactly n bytes, as they come: for what is no request."""
        while len(self._buffer) < n:
            if not self._receive():
                raise ScriptError(f"{len(self._buffer)} bytes came, not {n}")
        return self._take(n)

    def request(self, body=True, patient=False):
        """The next request, or None when the client has closed instead.
        Patient: however long it takes."""
        if not self._buffer and not self._receive(patient):
            return None
        request = Request(self._read_until(b"\r\n\r\n", "a request head"))
        self.requests.append(request)
        self.server._took(request)
        if body:
            self.read_body()
        return request

    def expect(self, body=True):
        """The next request, which has to come."""
        request = self.request(body)
        if request is None:
            number = len(self.requests) + 1
            who = "client closed" if self.closed.is_set() else "server ended"
            raise ScriptError(f"the {who} before request {number}")
        return request

    def read_body(self):
        """The body of the request whose head was read with body=False."""
        request = self.requests[-1]
        if "chunked" in (request.get("Transfer-Encoding") or "").lower():
            self._read_chunks(request)
        else:
            request.body = self.read(int(request.get("Content-Length") or 0))
            request.raw_body = request.body
        request.complete = True
        return request.body

    def _read_chunks(self, request):
        size = 1
        while size:
            line = self._read_until(b"\r\n", "a chunk size")
            size = int(line.partition(b";")[0], 16)
            data = self.read(size + 2) if size else b""
            request.raw_body += line + data
            request.body += data[:size]
        line = b""
        while line != b"\r\n":
            line = self._read_until(b"\r\n", "a trailer")
            request.raw_body += line

    # -- sending

    def send(self, *pieces):
        """Sends each piece by itself; an Event among them is waited for."""
        for piece in pieces:
            if isinstance(piece, threading.Event):
                self.wait(piece)
            else:
                self._send_all(piece)

    def _send_all(self, data):
        try:
            self._sock.sendall(data)
        except TimeoutError:
            raise ScriptError(
                f"the client took nothing for {self.server.timeout} s"
            ) from None
        except OSError:
            self._client_closed()
            raise _Gone from None

    def serve(self, answer):
        """Answers every request with these bytes, or with what this function
        makes of it, until the client closes."""
        while (request := self.request(patient=True)) is not None:
            self.send(answer(request) if callable(answer) else answer)

    def start_tls(self, context):
        """TLS from here on, as the target of a tunnel."""
        assert not self._buffer, f"there is {bytes(self._buffer)!r} to read"
        self._sock = self.tls = context.wrap_socket(self._sock, server_side=True)

    # -- waiting

    def wait(self, event):
        """Until the test has set the event."""
        self.server._wait(event)

    def tell(self, event):
        """Lets the test know that the script has come this far."""
        event.set()

    def until_closed(self):
        """Reads and forgets whatever comes until the client closes."""
        self._buffer.clear()
        while self._receive():
            self._buffer.clear()

    # -- ending

    def close(self, notify=True):
        """FIN, after a close_notify if this is TLS. Bytes of the client that
        were never read make the kernel send RST instead."""
        self._notify(notify)
        self._drop()

    def half_close(self, notify=True):
        """FIN, and the client may still send."""
        self._notify(notify)
        self._quietly(self._sock.shutdown, socket.SHUT_WR)

    def reset(self):
        """RST."""
        self._quietly(self._sock.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._drop()

    def _notify(self, wanted):
        if not (wanted and self.tls):
            return
        # Without blocking: unwrap() would also wait for the client's own.
        self._quietly(self.tls.setblocking, False)
        self._quietly(self.tls.unwrap)
        self._quietly(self.tls.settimeout, self.server.timeout)

    @staticmethod
    def _quietly(call, *arguments):
        """For a socket that the client may have reset meanwhile."""
        try:
            call(*arguments)
        except (OSError, ValueError):
            pass

    def _drop(self):
        if self._open:
            self._open = False
            self.server._unwatch(self)
            self._sock.close()

    # -- for the server

    def _client_closed(self):
        """Seen by the watching thread or by this connection's own, whichever
        is first. The end of the server looks the same and does not count."""
        if not self.closed.is_set() and not self.server._ending:
            self.closed_at = time.monotonic()
            self.closed.set()

    def _shut(self):
        """Wakes whatever is blocked on this socket. An SSLSocket's own shutdown()
        would make its reader go on without TLS."""
        self._quietly(socket.socket.shutdown, self._sock, socket.SHUT_RDWR)

    def _play(self, script):
        try:
            if self._handshake():
                self._perform(script)
        except _Gone:
            pass
        except Exception as error:
            self.server._failed(self, error)
        finally:
            self._drop()
            self.ended.set()

    def _handshake(self):
        if self.server.tls is None:
            return True
        try:
            # In two steps: a handshake that fails in the first would close the
            # socket, and its number be somebody else's while it is watched.
            self.tls = self._sock = self.server.tls.wrap_socket(
                self._sock, server_side=True, do_handshake_on_connect=False
            )
            self.tls.do_handshake()
        except OSError as error:  # ssl.SSLError is one
            self.handshake_error = error
            self._client_closed()
            return False
        return True

    def _perform(self, script):
        if callable(script):
            script(self)
        else:
            for step in script:
                step(self)
        if self._open and (self._buffer or self._receive(patient=True)):
            raise ScriptError(
                f"after the end of the script came {bytes(self._buffer)!r}"
            )


def _step(method):
    def make(*arguments, **how):
        return lambda connection: method(connection, *arguments, **how)

    make.__doc__ = method.__doc__
    return make


expect = _step(Connection.expect)
read_body = _step(Connection.read_body)
send = _step(Connection.send)
start_tls = _step(Connection.start_tls)
serve = _step(Connection.serve)
wait = _step(Connection.wait)
tell = _step(Connection.tell)
until_closed = _step(Connection.until_closed)
close = _step(Connection.close)
half_close = _step(Connection.half_close)
reset = _step(Connection.reset)


# ---- the server --------------------------------------------------------------


class ScriptedServer:
    def __init__(
        self,
        *scripts,
        tls=None,
        host="127.0.0.1",
        port=0,
        uds=None,
        backlog=128,
        timeout=10.0,
    ):
        self.host, self.tls, self.timeout = host, tls, timeout
        self.connections = []
        self.requests = []  # of all connections, by the end of their heads
        self._scripts = scripts
        self._errors = []
        self._news = threading.Condition()
        self._ending = False
        self._waited_for = set()
        self._watched = {}  # descriptor: connection
        self._threads = []
        if uds is None:
            self._listener = self._listen(host, port, backlog)
            self.port = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(uds))
            self._listener.listen(backlog)

    @staticmethod
    def _listen(host, port, backlog):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=backlog)

    @property
    def url(self):
        """Without a path: f"{server.url}/x"."""
        scheme = "http" if self.tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    # -- for the test

    def wait_connections(self, n):
        """The first n connections, once there are as many."""
        self._wait_news(lambda: len(self.connections) >= n, f"connection {n}")
        return self.connections[:n]

    def wait_requests(self, n):
        """The first n requests, once the heads of as many have come."""
        self._wait_news(lambda: len(self.requests) >= n, f"request {n}")
        return self.requests[:n]

    def _wait_news(self, there, what):
        with self._news:
            if not self._news.wait_for(there, self.timeout):
                raise ScriptError(f"no {what} within {self.timeout} s")

    # -- life

    def __enter__(self):
        self._epoll = select.epoll()
        self._wake, self._woken = socket.socketpair()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(self._woken, select.EPOLLIN)
        self._acceptor = threading.Thread(target=self._accept_and_watch, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, kind, error, traceback):
        self._end()
        problems = "\n".join(self._errors)
        if problems and error is not None:
            error.add_note(f"and the server's script failed:\n{problems}")
        elif problems:
            raise ScriptError(problems)

    def _end(self):
        # What the clients have closed is to count, and the watching thread may
        # not have seen it yet: from _ending on a close counts no more.
        deadline = time.monotonic() + self.timeout
        for connection in list(self.connections):
            if connection._awaits_close:
                connection.closed.wait(max(0, deadline - time.monotonic()))
        self._wake.close()
        self._acceptor.join()
        with self._news:
            self._ending = True
            self._waited_for = {e for e in self._waited_for if not e.is_set()}
        for event in self._waited_for:
            event.set()
        for connection in self.connections:
            connection._shut()
        deadline = time.monotonic() + self.timeout
        for connection, thread in zip(self.connections, self._threads):
            thread.join(max(0, deadline - time.monotonic()))
            if thread.is_alive():
                self._failed(connection, ScriptError("the script does not end"))
        self._epoll.close()
        self._woken.close()
        self._listener.close()

    # -- the thread that accepts, and sees clients close without reading

    def _accept_and_watch(self):
        while True:
            events = dict(self._epoll.poll())
            accepts = events.pop(self._listener.fileno(), 0)
            ends = events.pop(self._woken.fileno(), 0)
            # Before the accept, which may reuse the number of a descriptor
            # that these events still speak of.
            for number in events:
                self._saw_close(number)
            if ends:
                return
            if accepts:
                self._accept()

    def _saw_close(self, number):
        with self._news:
            connection = self._watched.pop(number, None)
            if connection is not None:
                Connection._quietly(self._epoll.unregister, number)
        if connection is not None:
            connection._client_closed()

    def _accept(self):
        sock, peer = self._listener.accept()
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(self.timeout)
        connection = Connection(self, len(self.connections) + 1, sock, peer)
        thread = threading.Thread(
            target=connection._play, args=(self._script(connection.number),), daemon=True
        )
        self._threads.append(thread)
        with self._news:
            self._watched[sock.fileno()] = connection
            self._epoll.register(sock, select.EPOLLRDHUP)
            self.connections.append(connection)
            self._news.notify_all()
        thread.start()

    def _script(self, number):
        if len(self._scripts) == 1:
            return self._scripts[0]
        if number <= len(self._scripts):
            return self._scripts[number - 1]
        return self._one_too_many

    @staticmethod
    def _one_too_many(connection):
        raise ScriptError("one connection more than there are scripts")

    # -- for the connections' threads

    def _unwatch(self, connection):
        with self._news:
            number = connection._sock.fileno()
            if self._watched.pop(number, None) is not None:
                self._epoll.unregister(number)

    def _took(self, request):
        with self._news:
            self.requests.append(request)
            self._news.notify_all()

    def _failed(self, connection, error):
        text = str(error) if isinstance(error, ScriptError) else repr(error)
        self._errors.append(f"connection {connection.number}: {text}")

    def _wait(self, event):
        with self._news:
            if not self._ending:
                self._waited_for.add(event)
        in_time = event.wait(0 if self._ending else self.timeout)
        with self._news:
            # The server's end sets those that nobody else has set.
            abandoned = self._ending and event in self._waited_for
            if not self._ending:
                self._waited_for.discard(event)
        if abandoned or not in_time:
            raise ScriptError("waited for an event that was never set")


# ---- addresses where nobody answers -------------------------------------------


@contextmanager
def refused_port(host="127.0.0.1"):
    """A port that refuses: bound, so that nobody else gets it, and deaf."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        yield sock.getsockname()[1]


@contextmanager
def silent_port(host="127.0.0.1"):
    """A port that does not answer at all. Its queue of one is full, and Linux
    drops every further SYN."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        sock.listen(0)
        port = sock.getsockname()[1]
        with socket.create_connection((host, port)):
            yield port
