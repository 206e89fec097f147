"""dial=: a callable of the user's makes the socket of each connection."""

import contextvars
import errno
import gc
import os
import pickle
import socket
import ssl
import threading
import time
import weakref

import pytest

import hpool
from tests.server.scripted import (
    expect,
    refused_port,
    respond,
    send,
    serve,
    silent_port,
    until_closed,
)
from tests.tools import Call, closes, gauges, until, until_idle

OK = [serve(respond(b"ok"))]
NOBODY = [until_closed()]
NOTHING = (0, 0, 0, 0, 0)
ONE = hpool.Limits(max_conns_per_host=1)


def connect(host, port, timeout):
    """What most do: the address as it is, the time that is left."""
    return socket.create_connection((host, port), timeout)


class Dial:
    """Connects to the server, whatever the host; remembers what it was asked."""

    def __init__(self, server):
        self.server = server
        self.calls = []

    def __call__(self, host, port, timeout):
        self.calls.append((host, port, timeout))
        return connect("127.0.0.1", self.server.port, timeout)


class Blocked(Dial):
    """Does so when `go` is set; `asked` is set when it is called."""

    def __init__(self, server):
        super().__init__(server)
        self.asked, self.go = threading.Event(), threading.Event()

    def __call__(self, host, port, timeout):
        self.asked.set()
        assert self.go.wait(10)
        return super().__call__(host, port, timeout)


# ---- it is called ------------------------------------------------------------


def test_s82_a_custom_dial(server, new_client):
    """It makes the socket of every connection, knows what the caller knows (context
    variables, thread), and is not called while a connection is idle."""
    s = server(OK)
    user = contextvars.ContextVar("user")
    seen = []

    def dial(host, port, timeout):
        seen.append((host, port, user.get(), threading.get_ident()))
        return connect("127.0.0.1", s.port, timeout)

    client = new_client(dial=dial)
    user.set("me")
    for path in "xy":
        assert client.get(f"http://A.test:8080/{path}").read() == b"ok"
    assert seen == [("a.test", 8080, "me", threading.get_ident())]
    assert s.requests[0].get("Host") == "a.test:8080"
    total = client.stats().total
    assert (total.dials, total.lookups, total.reuses) == (1, 0, 1)
    assert client.dial is dial


def test_s82_a_custom_dial_for_tls(server, new_client, ca):
    """hpool makes the handshake over the socket, with the URL's host for the name."""
    s = server(OK, tls=ca.server_context("a.test"))
    dial = Dial(s)
    client = new_client(dial=dial, verify=ca.pem)
    response = client.get("https://a.test/")
    assert response.read() == b"ok"
    assert response.connection.tls_version
    assert response.connection.remote == f"127.0.0.1:{s.port}"
    with pytest.raises(hpool.SSLError, match="b.test"):
        client.get("https://b.test/")
    assert [call[:2] for call in dial.calls] == [("a.test", 443), ("b.test", 443)]


def test_an_ipv6_literal(new_client):
    """The host comes without brackets."""
    seen = []

    def dial(host, port, timeout):
        seen.append((host, port))
        raise LookupError

    with pytest.raises(LookupError):
        new_client(dial=dial).get("http://[::1]/")
    assert seen == [("::1", 80)]


def test_session_and_configure(server):
    """Session and configure() take it too."""
    s = server(OK)
    dial = Dial(s)
    with hpool.Session(dial=dial, timeout=10) as session:
        assert session.get("http://a.test/").content == b"ok"
    try:
        hpool.configure(dial=dial)
        assert hpool.get("http://b.test/", timeout=10).content == b"ok"
    finally:
        hpool.configure()
    assert [call[0] for call in dial.calls] == ["a.test", "b.test"]


def test_the_socket_as_it_is(server, new_client):
    """What the callable has set stays so; hpool makes it non-blocking, closed on
    exec, and switches Nagle's algorithm off."""
    upgrade = {"Connection": "upgrade", "Upgrade": "x"}
    s = server([expect(), send(respond(b"", 101, upgrade)), until_closed()])

    def dial(host, port, timeout):
        sock = connect("127.0.0.1", s.port, timeout)
        sock.setblocking(True)
        sock.set_inheritable(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        return sock

    client = new_client(dial=dial)
    with client.get("http://a.test/", headers=upgrade).upgraded() as connection:
        assert not os.get_inheritable(connection.fileno())
        assert not os.get_blocking(connection.fileno())
        with socket.socket(fileno=os.dup(connection.fileno())) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE) == 1
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_the_socket_object_is_empty_afterwards(server, new_client):
    """It is taken over: the callable's own object has no descriptor any more."""
    s = server(OK)
    made = []

    def dial(host, port, timeout):
        made.append(connect("127.0.0.1", s.port, timeout))
        return made[-1]

    client = new_client(dial=dial)
    assert client.get("http://a.test/").read() == b"ok"
    assert made[0].fileno() == -1
    made[0].close()
    assert client.get("http://a.test/").read() == b"ok"
    assert len(made) == 1


def test_a_dial_that_uses_the_client(server, new_client):
    """Dialing for one host may ask another one, over the same client."""
    s = server(OK)

    def dial(host, port, timeout):
        if host == "a.test":
            assert client.get("http://directory.test/").read() == b"ok"
        return connect("127.0.0.1", s.port, timeout)

    client = new_client(dial=dial)
    assert client.get("http://a.test/").read() == b"ok"
    hosts = [r.get("Host") for r in s.requests]
    assert hosts == ["directory.test", "a.test"]


def test_many_threads(server, new_client):
    """Eight threads share two connections at most, each dialled once."""
    s = server(OK)
    dial = Dial(s)
    client = new_client(dial=dial, limits=hpool.Limits(max_conns_per_host=2))

    def requests():
        return [client.get("http://a.test/").read() for _ in range(20)]

    for call in [Call(requests) for _ in range(8)]:
        assert call.result() == [b"ok"] * 20
    assert 1 <= len(dial.calls) <= 2
    until_idle(client, len(s.connections))


# ---- its time ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "most"),
    [
        (hpool.Timeout(connect=7), 7),
        (hpool.Timeout(connect=7, total=3), 3),
        (hpool.Timeout(None, total=3), 3),
        (None, None),
    ],
    ids=str,
)
def test_s79_the_time_that_is_left(server, new_client, timeout, most):
    """`timeout` is what remains of connect and total; None when neither is set."""
    dial = Dial(server(OK))
    new_client(dial=dial).get("http://a.test/", timeout=timeout).read()
    ((_, _, left),) = dial.calls
    if most is None:
        assert left is None
    else:
        assert most - 1 < left <= most


def test_s79_a_deadline_is_seen(server, new_client):
    """So is hpool.deadline()."""
    dial = Dial(server(OK))
    with hpool.deadline(3):
        new_client(dial=dial).get("http://a.test/", timeout=None).read()
    ((_, _, left),) = dial.calls
    assert 2 < left <= 3


def test_a_dial_that_takes_too_long(server, new_client):
    """The connect timeout holds although the callable did not keep to it, and its
    socket is closed."""
    s = server(NOBODY)

    def dial(host, port, timeout):
        sock = connect("127.0.0.1", s.port, timeout)
        time.sleep(timeout)
        return sock

    client = new_client(dial=dial, limits=ONE)
    with pytest.raises(hpool.ConnectTimeout, match="dial= took longer") as caught:
        client.get("http://a.test/", timeout=hpool.Timeout(connect=0.05))
    assert caught.value.phase == "connect"
    assert gauges(client) == NOTHING
    s.connections[0].wait_closed()


# ---- it fails ----------------------------------------------------------------


class Odd(Exception):
    pass


@pytest.mark.parametrize(
    "error", [Odd("x"), OSError(errno.ENETDOWN, "x"), hpool.ProxyError("x")], ids=repr
)
def test_what_it_raises_is_raised(server, new_client, error):
    """The very exception, with the slot given back."""
    s = server(OK)
    errors = [error]

    def dial(host, port, timeout):
        if errors:
            raise errors.pop()
        return connect("127.0.0.1", s.port, timeout)

    client = new_client(dial=dial, limits=ONE)
    with pytest.raises(type(error)) as caught:
        client.get("http://a.test/")
    assert caught.value is error
    assert any(entry.name == "dial" for entry in caught.traceback)
    assert gauges(client) == NOTHING
    assert closes(client) == {"dial_failed": 1}
    assert client.get("http://a.test/").read() == b"ok"


def test_its_own_timeout_is_its_own(new_client):
    """A TimeoutError of the callable's is raised as it is."""
    with silent_port() as port:
        client = new_client(dial=lambda host, _, timeout: connect(host, port, timeout))
        with pytest.raises(TimeoutError) as caught:
            client.get("http://127.0.0.1/", timeout=hpool.Timeout(connect=0.1))
    assert type(caught.value) is TimeoutError


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_program(new_client, kind):
    """KeyboardInterrupt and its like go through at once; the slot is given back."""

    def dial(host, port, timeout):
        raise kind

    client = new_client(dial=dial, limits=ONE)
    with pytest.raises(kind):
        client.get("http://a.test/")
    until(lambda: gauges(client) == NOTHING)


def listening():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def closed():
    sock = socket.socket()
    sock.close()
    return sock


def datagrams():
    near, far = socket.socketpair(type=socket.SOCK_DGRAM)
    far.close()
    return near


def spoken():
    """Somebody has sent on it what would pass for an answer."""
    near, far = socket.socketpair()
    far.sendall(respond(b"poison"))
    far.close()
    return near


def wrapped():
    near, far = socket.socketpair()
    far.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return context.wrap_socket(near, server_side=True, do_handshake_on_connect=False)


class Detached:
    """Something else that can be detached, as files can. Cut to an int the one
    number would be 0, which is somebody else's descriptor."""

    def __init__(self, value):
        self.detach = lambda: value


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: None, TypeError, "dial must return a connected socket.*NoneType"),
        (lambda: 7, TypeError, "dial must return a connected socket.*int"),
        (lambda: "sock", TypeError, "dial must return a connected socket.*str"),
        (lambda: Detached(2**32), TypeError, "connected socket.socket, not Detached"),
        (lambda: Detached(2**99), TypeError, "connected socket.socket, not Detached"),
        (lambda: Detached("raw"), TypeError, "connected socket.socket, not Detached"),
        (wrapped, TypeError, "dial must return a socket without TLS, not SSLSocket"),
        (closed, ValueError, "dial must return a connected socket, not a closed one"),
        (socket.socket, hpool.ConnectError, "a.test:80: what dial= ret.*not connected"),
        (listening, hpool.ConnectError, "what dial= returned is not connected"),
        (datagrams, ValueError, "what dial= returned is no stream socket"),
        (spoken, ValueError, "dial must return a socket that has nothing to read yet"),
    ],
    ids="None int str big huge file TLS closed fresh listening datagrams spoken".split(),
)
def test_what_is_no_connected_socket(new_client, make, kind, words):
    """The error says what it should have been; the slot is given back."""
    made = []

    def dial(host, port, timeout):
        made.append(make())
        return made[-1]

    client = new_client(dial=dial, limits=ONE)
    with pytest.raises(kind, match=words):
        client.get("http://a.test/")
    assert gauges(client) == NOTHING
    if hasattr(made[0], "close"):
        made[0].close()


def test_out_of_descriptors(server, new_client):
    """EMFILE: an idle connection of another host is closed, and it is called again;
    not twice."""
    s = server(OK)
    trouble = [OSError(errno.EMFILE, "Too many open files")]
    calls = []

    def dial(host, port, timeout):
        calls.append(host)
        if host != "a.test" and trouble:
            raise trouble.pop()
        return connect("127.0.0.1", s.port, timeout)

    client = new_client(dial=dial)
    assert client.get("http://a.test/").read() == b"ok"
    assert client.get("http://b.test/").read() == b"ok"
    assert calls == ["a.test", "b.test", "b.test"]
    assert gauges(client) == (1, 0, 0, 0, 0)
    trouble += [OSError(errno.EMFILE, "x"), OSError(errno.EMFILE, "y")]
    with pytest.raises(OSError, match="x"):
        client.get("http://c.test/")
    assert calls[3:] == ["c.test", "c.test"]


def test_a_dead_server(new_client):
    """The callable's ConnectionRefusedError, not one of hpool's."""
    with refused_port() as port, pytest.raises(ConnectionRefusedError) as caught:
        new_client(dial=connect).get(f"http://127.0.0.1:{port}/")
    assert not isinstance(caught.value, hpool.RequestException)


# ---- others meanwhile --------------------------------------------------------


def test_s69_cancelled_in_a_custom_dial(server, new_client):
    """The callable runs on the caller's thread and cannot be broken off: Cancelled is
    raised when it returns, and its socket is kept for the next request."""
    s = server(OK)
    dial = Blocked(s)
    client = new_client(dial=dial)
    token = hpool.CancelToken()
    call = Call(client.get, "http://a.test/", cancel=token)
    assert dial.asked.wait(10)
    token.cancel()
    token.cancel()
    dial.go.set()
    assert isinstance(call.error(), hpool.Cancelled)
    until_idle(client, 1)
    response = client.get("http://a.test/")
    assert response.read() == b"ok"
    assert response.connection.was_idle
    assert len(s.connections) == len(dial.calls) == 1


def test_s70_cancelled_before_a_custom_dial(server, new_client):
    """A token that is cancelled already: it is not called."""
    dial = Dial(server(OK))
    token = hpool.CancelToken()
    token.cancel()
    client = new_client(dial=dial)
    with pytest.raises(hpool.Cancelled):
        client.get("http://a.test/", cancel=token)
    with pytest.raises(hpool.TotalTimeout), hpool.deadline(1e-9):
        client.get("http://a.test/")
    assert dial.calls == []


def test_s40_late_binding_with_a_custom_dial(server, new_client):
    """While it runs another request gives its connection back: that one is used, the
    new socket is kept."""
    go = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"
    s = server([expect(), send(head, go, b"k"), serve(respond(b"second"))], OK)
    dial = Blocked(s)
    dial.go.set()
    client = new_client(dial=dial)
    first = client.get("http://a.test/")
    dial.asked.clear()
    dial.go.clear()
    call = Call(lambda: client.get("http://a.test/"))
    assert dial.asked.wait(10)
    go.set()
    assert first.read() == b"ok"
    dial.go.set()
    second = call.result()
    assert second.read() == b"second"
    assert second.connection.reused and not second.connection.was_idle
    until_idle(client, 2)
    assert len(dial.calls) == 2


def test_it_fails_while_a_connection_comes_back(server, new_client):
    """Then the request is served on that connection, and nothing is raised."""
    go = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"
    s = server([expect(), send(head, go, b"k"), serve(respond(b"second"))])
    asked, fail = threading.Event(), threading.Event()

    def dial(host, port, timeout):
        if not s.connections:
            return connect("127.0.0.1", s.port, timeout)
        asked.set()
        assert fail.wait(10)
        raise Odd

    client = new_client(dial=dial)
    first = client.get("http://a.test/")
    call = Call(lambda: client.get("http://a.test/").read())
    assert asked.wait(10)
    go.set()
    assert first.read() == b"ok"
    fail.set()
    assert call.result() == b"second"


def test_it_fails_and_no_connection_comes_back(server, new_client):
    """While the other connection stays in use the request waits for it, not for
    long: then it is the callable's exception after all."""
    s = server([expect(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"),
                until_closed()])  # fmt: skip
    error = Odd()

    def dial(host, port, timeout):
        if not s.connections:
            return connect("127.0.0.1", s.port, timeout)
        raise error

    client = new_client(dial=dial)
    with client.get("http://a.test/"):
        with pytest.raises(Odd) as caught:
            client.get("http://a.test/", timeout=hpool.Timeout(pool=0.05))
    assert caught.value is error


def test_close_while_it_runs(server, new_client):
    """client.close(): ClosedError when it returns, and its socket is closed."""
    s = server(NOBODY)
    dial = Blocked(s)
    client = new_client(dial=dial)
    call = Call(client.get, "http://a.test/")
    assert dial.asked.wait(10)
    client.close()
    dial.go.set()
    assert isinstance(call.error(), hpool.ClosedError)
    s.wait_connections(1)[0].wait_closed()


# ---- the client --------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"dial": 7}, TypeError, r"dial takes a callable\(host, port, timeout\)"),
        ({"dial": connect, "uds": "/s"}, ValueError, "uds has no effect.*dial"),
        ({"dial": connect, "resolve": {"a": "::1"}}, ValueError, "resolve.*dial"),
        ({"dial": connect, "local_address": "::1"}, ValueError, "local_address.*dial"),
        ({"dial": connect, "family": "ipv4"}, ValueError, "family.*dial"),
        (
            {"dial": connect, "socket_options": [(1, 9, 1)]},
            ValueError,
            "socket_options.*dial",
        ),
    ],
)
def test_what_makes_no_sense(settings, kind, words):
    """dial= is a callable and makes all other options void."""
    with pytest.raises(kind, match=words):
        hpool.Client(**settings)


def test_a_callable_of_other_arguments(new_client):
    """The TypeError is Python's own."""
    with pytest.raises(TypeError, match="takes 1 positional argument but 3 were given"):
        new_client(dial=lambda host: None).get("http://a.test/")


def test_it_travels_if_it_can(server):
    """A function of a module goes through pickle with the client, a lambda does
    not, and says so."""
    s = server(OK)
    with hpool.Client(dial=connect, timeout=10) as client:
        with pickle.loads(pickle.dumps(client)) as again:
            assert again.dial is connect
            assert again.get(s.url).read() == b"ok"
    with hpool.Client(dial=lambda *ask: connect(*ask)) as client:
        with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
            pickle.dumps(client)


def test_a_client_that_its_dial_refers_to_is_collected():
    """The cycle of client and callable is garbage like any other."""

    class Owner:
        def __init__(self):
            self.client = hpool.Client(dial=self.dial)

        def dial(self, host, port, timeout):
            raise AssertionError

    gone = weakref.ref(Owner().client)
    gc.collect()
    assert gone() is None
