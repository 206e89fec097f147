"""The extensions of httpx's requests and responses, on its own transport and on
hpool's; `trace` has a file of its own."""

import threading
from importlib import import_module

import pytest

from hpool.adapters.httpcore import ConnectionPool, httpx_client
from tests.server.scripted import (
    close,
    expect,
    respond,
    send,
    serve,
    silent_port,
    until_closed,
)
from tests.tools import Call, until

OK = respond(b"ok")


# ---- target ------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["*", "/a/../b?c[]={d}|^", "//two", "http://a.test/x", "/%zz%2f", "a.test:443"],
)
def test_target(server, client, target):
    s = server(serve(OK))
    client.options(f"{s.url}/else", extensions={"target": target.encode()})
    assert s.requests[0].line == f"OPTIONS {target} HTTP/1.1"
    assert s.requests[0].get("Host") == f"127.0.0.1:{s.port}"


def test_a_target_that_would_be_more_than_one(server, client, module):
    s = server(serve(OK))
    for target in (b"/a b", b"/a\r\nX: y", b"/\xe9"):
        with pytest.raises(module.LocalProtocolError):
            client.get(s.url, extensions={"target": target})
    assert not s.requests


def test_the_url_s_path_goes_out_as_httpx_has_encoded_it(server, client):
    """It may be signed."""
    s = server(serve(OK))
    client.get(s.url + "/x|y^[é]?a[]=1&b={}~'!")
    expected = client.build_request("GET", s.url + "/x|y^[é]?a[]=1&b={}~'!").url
    assert s.requests[0].target == expected.raw_path.decode()


@pytest.mark.parametrize("target, asked", [("*", ""), ("/a|b", "/a|b")])
def test_target_through_a_proxy(server, module, target, asked):
    s = server(serve(OK))
    with httpx_client(module, proxy=s.url, trust_env=False) as client:
        extensions = {"target": target.encode()}
        client.options("http://a.test/", extensions=extensions)
    assert s.requests[0].line == f"OPTIONS http://a.test{asked} HTTP/1.1"


# ---- addresses ---------------------------------------------------------------


def test_ipv6(server, client):
    s = server(serve(OK), host="::1")
    response = client.get(s.url)
    assert response.text == "ok"
    assert s.requests[0].get("Host") == f"[::1]:{s.port}"


def test_ipv6_by_the_pool_itself(server):
    s = server(serve(OK), host="::1")
    with ConnectionPool() as pool:
        assert pool.request("GET", s.url).status == 200
    assert s.requests[0].get("Host") == f"[::1]:{s.port}"


# ---- timeout -----------------------------------------------------------------


def test_no_timeout_below_zero(hpools):
    with pytest.raises(ValueError, match="above zero"):
        hpools.get("http://127.0.0.1:9/", timeout=-1)


def test_a_pool_timeout_of_zero_is_no_wait(server, module):
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:]), serve(OK)])
    limits, timeout = module.Limits(max_connections=1), module.Timeout(5, pool=0)
    with httpx_client(module, limits=limits, trust_env=False) as client:
        first = Call(client.get, s.url, timeout=timeout)
        s.wait_requests(1)
        with pytest.raises(module.PoolTimeout):
            client.get(s.url, timeout=timeout)
        go.set()
        assert first.result().text == "ok"


def test_a_read_timeout_of_zero_is_no_wait(server, hpools, module):
    s = server([expect(), until_closed()])
    with pytest.raises(module.ReadTimeout):
        hpools.get(s.url, timeout=module.Timeout(5, read=0))


# ---- sni_hostname ------------------------------------------------------------


@pytest.mark.parametrize("name", ["localhost", b"localhost"])
def test_sni_hostname(server, ca, module, name):
    """It is asked for, and verified."""
    asked = []
    context = ca.server_context("localhost")
    context.sni_callback = lambda sock, name, context: asked.append(name)
    s = server(serve(OK), tls=context)
    with httpx_client(module, verify=str(ca.pem), trust_env=False) as client:
        named = {"sni_hostname": name}
        assert client.get(s.url, extensions=named).text == "ok"
        with pytest.raises(module.ConnectError, match="other.example"):
            client.get(s.url, extensions={"sni_hostname": "other.example"})
        assert client.get(s.url, extensions=named).text == "ok"
    assert asked == ["localhost", "other.example"]  # and one connection kept


@pytest.mark.parametrize("name", ["", "x"])
def test_sni_hostname_has_no_meaning_here(server, client, name):
    """Without a name, and without TLS."""
    s = server(serve(OK))
    assert client.get(s.url, extensions={"sni_hostname": name}).text == "ok"


# ---- what a response has -----------------------------------------------------


def test_version_and_reason(server, client):
    s = server([expect(), send(b"HTTP/1.0 200 Mostly \xe9\r\n\r\nok"), close()])
    extensions = client.get(s.url).extensions
    assert extensions["http_version"] == b"HTTP/1.0"
    assert extensions["reason_phrase"] == b"Mostly \xe9"


def test_what_is_known_of_the_connection(server, client):
    s = server(serve(OK))
    with client.stream("GET", s.url) as response:
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", s.port)
        own = s.connections[0].peer
        assert stream.get_extra_info("client_addr") == own
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("else") is None


def test_what_is_known_of_tls(server, ca, module):
    context = ca.client_context()
    seen = []
    s = server(serve(OK), tls=ca.server_context("127.0.0.1"))
    for make, how in ((module.Client, []), (httpx_client, [module])):
        with make(*how, verify=context, trust_env=False) as client:
            with client.stream("GET", s.url) as response:
                stream = response.extensions["network_stream"]
                ssl_object = stream.get_extra_info("ssl_object")
                seen.append((ssl_object.version(), ssl_object.cipher()[:2]))
    assert seen[0] == seen[1]


def test_no_bytes_of_a_response_by_its_connection(server, hpools, module):
    """They are the body's to read, or what is kept would be spoilt."""
    s = server(serve(OK))
    with hpools.stream("GET", s.url) as response:
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("is_readable") is False
        for use in (lambda: stream.read(1), lambda: stream.write(b"x")):
            with pytest.raises(Exception, match="101 or a CONNECT"):
                use()
        assert response.read() == b"ok"
    hpools.get(s.url)
    assert len(s.connections) == 1


# ---- upgrades ----------------------------------------------------------------

SWITCH = respond(b"", 101, {"Connection": "upgrade", "Upgrade": "echo"})
ASK = {"Connection": "upgrade", "Upgrade": "echo"}


def echo(connection):
    """Says hello at once, and what it hears in capitals."""
    connection.expect()
    connection.send(SWITCH + b"hello")
    connection.send(connection.read(3).upper())
    connection.until_closed()


def test_upgrade(server, client):
    s = server(echo)
    with client.stream("GET", s.url, headers=ASK) as response:
        assert response.status_code == 101
        stream = response.extensions["network_stream"]
        assert stream.read(100, timeout=5) == b"hello"
        stream.write(b"abc", timeout=5)
        assert stream.read(100, timeout=5) == b"ABC"
        stream.close()
        s.connections[0].wait_closed()


def test_the_end_of_the_block_closes_an_upgraded_connection(server, client):
    s = server([expect(), send(SWITCH), until_closed()])
    with client.stream("GET", s.url, headers=ASK) as response:
        response.extensions["network_stream"].write(b"abc")
    s.connections[0].wait_closed()


def test_an_upgrade_that_is_read_as_a_response(server, client):
    """It has no body, and is closed with it."""
    s = server([expect(), send(SWITCH), until_closed()])
    assert client.get(s.url, headers=ASK).content == b""
    s.connections[0].wait_closed()


def test_silence_after_an_upgrade(server, client, module):
    core = import_module(module.__name__.replace("x", "core"))
    s = server([expect(), send(SWITCH), until_closed()])
    with client.stream("GET", s.url, headers=ASK) as response:
        stream = response.extensions["network_stream"]
        assert not stream.get_extra_info("is_readable")
        with pytest.raises(core.ReadTimeout):
            stream.read(1, timeout=0.05)


def test_no_wait_after_an_upgrade(server, hpools, module):
    core = import_module(module.__name__.replace("x", "core"))
    s = server([expect(), send(SWITCH), until_closed()])
    with hpools.stream("GET", s.url, headers=ASK) as response:
        with pytest.raises(core.ReadTimeout):
            response.extensions["network_stream"].read(1, timeout=0)


def test_after_the_end_of_an_upgraded_connection(server, client, module):
    core = import_module(module.__name__.replace("x", "core"))
    s = server([expect(), send(SWITCH), until_closed()])
    with client.stream("GET", s.url, headers=ASK) as response:
        stream = response.extensions["network_stream"]
        stream.close()
        stream.close()
        with pytest.raises(core.NetworkError):
            stream.read(1)
        with pytest.raises(core.NetworkError):
            stream.write(b"x")


def test_is_readable(server, hpools):
    go, gone = threading.Event(), threading.Event()
    s = server([expect(), send(SWITCH + b"ab"), send(go, b"c"), send(gone), close()])
    with hpools.stream("GET", s.url, headers=ASK) as response:
        stream = response.extensions["network_stream"]
        is_readable = lambda: stream.get_extra_info("is_readable")  # noqa: E731
        assert is_readable() and is_readable()
        assert stream.read(1) + stream.read(1) == b"ab"
        assert not is_readable()
        go.set()
        until(is_readable)
        assert stream.read(9) == b"c"
        gone.set()
        until(is_readable)
        assert stream.read(9) == b""


def test_a_tunnel_by_hand(server, client, module):
    """CONNECT, with the authority as its target."""

    def tunnel(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.send(connection.read(3).upper())
        connection.until_closed()

    s = server(tunnel)
    asked = {"target": b"a.test:443"}
    with client.stream("CONNECT", s.url, extensions=asked) as response:
        stream = response.extensions["network_stream"]
        stream.write(b"abc", timeout=5)
        assert stream.read(3, timeout=5) == b"ABC"
    assert s.requests[0].line == "CONNECT a.test:443 HTTP/1.1"
    s.connections[0].wait_closed()


def test_a_tunnel_that_is_refused(server, client):
    s = server(serve(respond(b"no", 403)))
    asked = {"target": b"a.test:443"}
    with client.stream("CONNECT", s.url, extensions=asked) as response:
        assert (response.status_code, response.read()) == (403, b"no")


def test_no_tls_upon_an_upgrade(server, hpools):
    s = server([expect(), send(SWITCH), until_closed()])
    with hpools.stream("GET", s.url, headers=ASK) as response:
        with pytest.raises(NotImplementedError, match="https"):
            response.extensions["network_stream"].start_tls(None)


# ---- making the connection again ---------------------------------------------


def test_retries_of_a_connection_that_is_too_slow():
    with silent_port() as port, ConnectionPool(retries=1) as pool:
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(Exception, match="timed out"):
            pool.request("GET", url, extensions={"timeout": {"connect": 0.05}})
        assert pool.client.stats().total.dials == 2


def test_the_stream_of_a_request_is_read_once(module):
    """However often its connection is tried."""
    read = []

    def body():
        read.append(1)
        yield b"abc"

    with silent_port() as port, ConnectionPool(retries=2) as pool:
        headers = {"Content-Length": "3", "Host": "x"}
        core = import_module(module.__name__.replace("x", "core"))
        request = core.Request(
            "POST",
            f"http://127.0.0.1:{port}",
            headers=headers,
            content=body(),
            extensions={"timeout": {"connect": 0.02}},
        )
        with pytest.raises(core.ConnectTimeout):
            pool.handle_request(request)
    assert len(read) == 1


# ---- settings ----------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"http2": True}, {"http1": False}])
def test_another_version_of_http(module, settings):
    with pytest.raises(ValueError, match="HTTP/1.1"):
        httpx_client(module, **settings)


@pytest.mark.parametrize("kind", ["str", "URL", "Proxy"])
def test_proxy_in_httpx_s_words(server, module, kind):
    s = server(serve(OK))
    url = s.url.replace("://", "://me:pw@")
    proxy = url if kind == "str" else getattr(module, kind)(url)
    with httpx_client(module, proxy=proxy, trust_env=False) as client:
        assert client.get("http://a.test/x").text == "ok"
    (request,) = s.requests
    assert request.target == "http://a.test/x"
    assert request.get("Proxy-Authorization") == "Basic bWU6cHc="
