"""The `trace` extension of httpx: what httpcore tells of a request, hpool tells,
in the same order and words. Each test runs on both."""

from importlib import import_module

import pytest

from hpool.adapters.httpcore import ConnectionPool, httpx_client
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    send,
    serve,
    silent_port,
    until_closed,
)

OK = respond(b"ok", headers={"X": "y"})

ENDS = ("started", "complete")
CONNECT = ["connection.connect_tcp.started", "connection.connect_tcp.complete"]
WROTE_HEAD = [
    "http11.send_request_headers.started",
    "http11.send_request_headers.complete",
]
WROTE = [
    *WROTE_HEAD,
    "http11.send_request_body.started",
    "http11.send_request_body.complete",
]
HEAD = [
    "http11.receive_response_headers.started",
    "http11.receive_response_headers.complete",
]
BODY = [
    "http11.receive_response_body.started",
    "http11.receive_response_body.complete",
]
CLOSED = ["http11.response_closed.started", "http11.response_closed.complete"]
ALL = [*CONNECT, *WROTE, *HEAD, *BODY, *CLOSED]


class Told(list):
    """The (event, info) pairs; as extensions= of a request."""

    @property
    def extensions(self):
        return {"trace": lambda event, info: self.append((event, dict(info)))}

    @property
    def events(self):
        return [event for event, _ in self]

    def of(self, event):
        (info,) = [info for name, info in self if name == event]
        return info


@pytest.fixture
def told():
    return Told()


# ---- what goes well ----------------------------------------------------------


def test_a_request_on_a_new_connection(server, client, told):
    s = server([serve(OK)])
    client.get(s.url, extensions=told.extensions)
    assert told.events == ALL
    connect = told.of("connection.connect_tcp.started")
    assert connect == {
        "host": "127.0.0.1",
        "port": s.port,
        "local_address": None,
        "timeout": 5,
        "socket_options": None,
    }
    request = told.of("http11.send_request_headers.started")["request"]
    assert (request.method, request.url.target) == (b"GET", b"/")
    head = told.of("http11.receive_response_headers.complete")["return_value"]
    version, status, reason, headers = head
    assert (version, status, reason) == (b"HTTP/1.1", 200, b"OK")
    assert (b"X", b"y") in headers
    for event, info in told:
        if event.endswith(".complete"):
            assert list(info) == ["return_value"]


def test_a_request_on_a_kept_connection(server, client, told):
    s = server([serve(OK)])
    client.get(s.url)
    client.post(s.url, content=iter([b"a", b"b"]), extensions=told.extensions)
    assert told.events == [*WROTE, *HEAD, *BODY, *CLOSED]


def test_a_body_that_nobody_reads(server, client, told):
    s = server([serve(OK)])
    with client.stream("GET", s.url, extensions=told.extensions) as response:
        assert told.events == [*CONNECT, *WROTE, *HEAD]
        next(response.iter_raw())
    begun = [BODY[0], "http11.receive_response_body.failed"]
    assert told.events == [*CONNECT, *WROTE, *HEAD, *begun, *CLOSED]
    assert isinstance(told.of(begun[1])["exception"], GeneratorExit)


def test_tls(server, ca, module, told):
    seen = {}
    s = server(serve(OK), tls=ca.server_context("localhost"))
    url = s.url.replace("127.0.0.1", "localhost")
    context = ca.client_context()
    for kind, make in (("own", module.Client), ("hpool", httpx_client)):
        how = [] if kind == "own" else [module]
        with make(*how, verify=context, trust_env=False, timeout=5) as client:
            client.get(url, extensions=told.extensions)
        info = told.of("connection.start_tls.started")
        seen[kind] = [*told.events, info["server_hostname"], info["timeout"]]
        told.clear()
    assert seen["own"] == seen["hpool"]
    assert seen["hpool"][2:4] == [
        "connection.start_tls.started",
        "connection.start_tls.complete",
    ]


def test_a_unix_socket(server, tmp_path, module, told):
    seen = {}
    path = str(tmp_path / "s")
    server(serve(OK), uds=path)
    transport = module.HTTPTransport(uds=path, trust_env=False)
    with module.Client(transport=transport) as client:
        client.get("http://x/", extensions=told.extensions)
        seen["own"] = told.events, told[0][1]["path"]
        told.clear()
    with ConnectionPool(uds=path) as pool:
        core = import_module(module.__name__.replace("x", "core"))
        pool.request("GET", "http://x/", extensions=told.extensions, core=core)
        seen["hpool"] = told.events, told[0][1]["path"]
    assert seen["own"] == seen["hpool"]


@pytest.mark.parametrize("target", ["http_url", "https_url"])
def test_a_proxy(nginx, ca, tinyproxy, module, told, target):
    """What is said to a proxy that is asked for a tunnel is not told of."""
    seen = {}
    url = f"{getattr(nginx, target)}/small"
    context = ca.client_context()
    for kind, make in (("own", module.Client), ("hpool", httpx_client)):
        how = [] if kind == "own" else [module]
        settings = {"verify": context, "proxy": tinyproxy.url, "trust_env": False}
        with make(*how, **settings) as client:
            client.get(url, extensions=told.extensions)
        seen[kind] = told.events
        assert told.of(CONNECT[0])["port"] == tinyproxy.port
        told.clear()
    if target == "https_url":
        assert seen["own"][2:8] == [*WROTE, *HEAD]
        del seen["own"][2:8]
        assert seen["own"][2].startswith("proxy.start_tls")
    assert seen["own"] == seen["hpool"]


def test_a_socks_proxy(nginx, ca, microsocks, told):
    url = f"socks5h://{microsocks.address}"
    with httpx_client(proxy=url, verify=ca.pem, trust_env=False) as client:
        client.get(f"{nginx.https_url}/small", extensions=told.extensions)
    setup, tls = "socks.setup_socks5_connection", "socks.start_tls"
    secured = [f"{step}.{end}" for step in (setup, tls) for end in ENDS]
    assert told.events == [*CONNECT, *secured, *WROTE, *HEAD, *BODY, *CLOSED]
    named = told.of(f"{setup}.started")
    assert f"https://{named['host']}:{named['port']}" == nginx.https_url
    assert told.of(CONNECT[0])["port"] == microsocks.port


def test_a_name_that_is_looked_up_for_a_socks_proxy(microsocks, module, told):
    """When there is a connection to the proxy already: that is no second one."""
    url = f"socks5://{microsocks.address}"
    with httpx_client(module, proxy=url, trust_env=False) as client:
        with pytest.raises(module.ConnectError):
            client.get("http://name.invalid/", extensions=told.extensions)
    assert told.events == CONNECT


def test_the_environment_s_proxy(server, module, told, monkeypatch):
    """A step tells where the connection goes."""
    s = server(serve(OK))
    monkeypatch.setenv("HTTP_PROXY", s.url.replace("127.0.0.1", "localhost"))
    with httpx_client(module) as client:
        for _ in range(2):  # the second time, the name is remembered
            headers = {"Connection": "close"}
            client.get("http://a.test/", headers=headers, extensions=told.extensions)
            connect = told.of(CONNECT[0])
            assert (connect["host"], connect["port"]) == ("localhost", s.port)
            told.clear()


# ---- what fails --------------------------------------------------------------


def failed(events, step):
    """`step` in place of what comes after `events`."""
    return [*events, f"{step}.started", f"{step}.failed"]


def test_no_connection(client, module, told):
    """One step for all addresses of a name, the look-up with it."""
    with refused_port() as port:
        for host in ("127.0.0.1", "localhost", "name.invalid"):
            with pytest.raises(module.ConnectError):
                client.get(f"http://{host}:{port}", extensions=told.extensions)
            assert told.events == failed([], "connection.connect_tcp")
            assert told[0][1]["host"] == host
            assert told[0][1]["port"] == port
            assert type(told[1][1]["exception"]).__name__ == "ConnectError"
            told.clear()


def test_no_connection_in_time(client, module, told):
    with silent_port() as port, pytest.raises(module.ConnectTimeout):
        url = f"http://127.0.0.1:{port}"
        client.get(url, extensions=told.extensions, timeout=0.05)
    assert told.events == failed([], "connection.connect_tcp")
    assert type(told[1][1]["exception"]).__name__ == "ConnectTimeout"


def test_a_certificate_that_is_not_trusted(nginx, client, module, told):
    with pytest.raises(module.ConnectError):
        client.get(nginx.https_url, extensions=told.extensions)
    assert told.events == failed(CONNECT, "connection.start_tls")


@pytest.mark.parametrize(
    "script, name",
    [
        ([until_closed()], "ReadTimeout"),
        ([close()], "RemoteProtocolError"),
        ([send(b"nonsense\r\n\r\n"), close()], "RemoteProtocolError"),
    ],
    ids=["silence", "close", "nonsense"],
)
def test_no_head(server, client, module, told, script, name):
    s = server([expect(), *script])
    with pytest.raises(getattr(module, name)):
        timeout = module.Timeout(5, read=0.05)
        client.get(s.url, extensions=told.extensions, timeout=timeout)
    head = failed([*CONNECT, *WROTE], "http11.receive_response_headers")
    assert told.events == [*head, *CLOSED]
    assert type(told.of(head[-1])["exception"]).__name__ == name


def test_half_a_body(server, client, module, told):
    s = server([expect(), send(OK[:-1]), close()])
    with pytest.raises(module.RemoteProtocolError):
        client.get(s.url, extensions=told.extensions)
    body = failed([*CONNECT, *WROTE, *HEAD], "http11.receive_response_body")
    assert told.events == [*body, *CLOSED]


def test_an_upload_that_raises(server, client, told):
    def body():
        yield b"x"
        raise KeyError("mine")

    s = server([expect(body=False), until_closed()])
    with pytest.raises(KeyError):
        client.post(s.url, content=body(), extensions=told.extensions)
    wrote = failed([*CONNECT, *WROTE_HEAD], "http11.send_request_body")
    assert told.events == [*wrote, *CLOSED]
    assert isinstance(told.of(wrote[-1])["exception"], KeyError)


def test_an_upload_that_is_cut_short_by_the_answer(server, hpools, told):
    """httpcore goes on sending as long as it can; hpool does not."""
    s = server([expect(body=False), send(respond(b"", 413)), until_closed()])
    pieces = (bytes(100_000) for _ in range(1000))
    response = hpools.post(s.url, content=pieces, extensions=told.extensions)
    assert response.status_code == 413
    wrote = failed([*CONNECT, *WROTE_HEAD], "http11.send_request_body")
    assert told.events == [*wrote, *HEAD, *BODY, *CLOSED]
    assert type(told.of(wrote[-1])["exception"]).__name__ == "WriteError"


def test_a_kept_connection_that_was_dead(server, hpools, told):
    """hpool sends the request again, on another."""
    s = server([expect(), send(OK), expect(), close()], [serve(OK)])
    hpools.get(s.url)
    assert hpools.get(s.url, extensions=told.extensions).text == "ok"
    lost = failed(WROTE, "http11.receive_response_headers")
    assert told.events == [*lost, *CLOSED, *ALL]


def test_retries_of_the_connection(told):
    with refused_port() as port, ConnectionPool(retries=1) as pool:
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(Exception, match="refused"):
            pool.request("GET", url, extensions=told.extensions)
    retry = ["connection.retry.started", "connection.retry.complete"]
    once = failed([], "connection.connect_tcp")
    assert told.events == [*once, *retry, *once]


# ---- listeners that fail -----------------------------------------------------


@pytest.mark.parametrize("event", [CONNECT[0], HEAD[1], BODY[0], BODY[1], CLOSED[0]])
def test_what_a_listener_raises(server, client, event):
    def listen(name, info):
        if name == event:
            raise KeyError("mine")

    s = server(serve(OK))
    with pytest.raises(KeyError, match="mine"):
        client.get(s.url, extensions={"trace": listen})
    assert client.get(s.url).text == "ok"


def test_what_a_listener_raises_of_a_failure(client):
    """Comes out in its place."""

    def listen(name, info):
        if name.endswith(".failed"):
            raise KeyError("mine")

    with refused_port() as port, pytest.raises(KeyError, match="mine"):
        client.get(f"http://127.0.0.1:{port}", extensions={"trace": listen})


def test_a_response_that_nobody_gets_is_closed(server, hpools):
    """Because the listener has raised."""

    def listen(name, info):
        if name == HEAD[1]:
            raise KeyError("mine")

    s = server([expect(), send(respond(bytes(10_000_000))), until_closed()])
    with pytest.raises(KeyError) as caught:
        hpools.get(s.url, extensions={"trace": listen})
    stats = hpools._transport._pool.client.stats().total
    assert (stats.now.in_use, stats.leaked) == (0, 0)
    assert caught  # and with it, in its traceback, the response


def test_a_listener_that_would_have_to_be_awaited(server, hpools):
    async def listen(name, info):
        raise AssertionError

    s = server(serve(OK))
    with pytest.raises(TypeError, match="function"):
        hpools.get(s.url, extensions={"trace": listen})
