"""hpool under httpx and httpx2: what each says on its own transport, it says on
hpool's."""

import gzip
import socket
import ssl
import threading
from urllib.parse import unquote

import httpcore
import httpx
import pytest

import hpool
from hpool.adapters.httpcore import ConnectionPool, httpx_client, httpx_transport
from tests.server.proxies import LOGIN
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    respond_chunked,
    send,
    serve,
    silent_port,
    until_closed,
)
from tests.tools import Call, until

OK = respond(b"ok")


def pool_of(client):
    return client._transport._pool.client


# ---- requests and answers ----------------------------------------------------


def test_get(server, client):
    s = server([serve(respond(b"hello", headers=[("X-A", "1"), ("X-A", "2")]))])
    response = client.get(s.url + "/a b?c=d%20e")
    assert (response.status_code, response.text) == (200, "hello")
    assert response.headers.get_list("x-a") == ["1", "2"]
    assert response.http_version == "HTTP/1.1"
    assert response.reason_phrase == "OK"
    (request,) = s.requests
    assert request.target == "/a%20b?c=d%20e"
    assert request.get("Host") == f"127.0.0.1:{s.port}"
    assert request.get("User-Agent").startswith("python-")


def test_the_client_s_headers_and_no_others(server, client):
    s = server([serve(OK)])
    client.get(s.url, headers=[("A", "1"), ("B", "2"), ("a", "3")])
    names = [name.lower() for name, _ in s.requests[0].fields]
    assert sorted(names) == sorted(
        ["host", "accept", "accept-encoding", "connection", "user-agent"]
        + ["a", "b", "a"]
    )


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"x" * 200_000, [b"abc", b"", b"d"]], ids=len
)
def test_post(server, client, content):
    s = server([serve(OK)])
    body = iter(content) if isinstance(content, list) else content
    assert client.post(s.url, content=body).text == "ok"
    (request,) = s.requests
    whole = b"".join(content) if isinstance(content, list) else content
    assert request.body == whole
    chunked = request.get("Transfer-Encoding") == "chunked"
    assert chunked is isinstance(content, list)


def test_json_form_and_files(server, client):
    s = server([serve(OK)])
    client.post(s.url, json={"a": 1})
    client.post(s.url, data={"a": "b c"})
    client.post(s.url, files={"f": ("n.txt", b"inside")})
    one, two, three = s.requests
    assert one.body in (b'{"a":1}', b'{"a": 1}')
    assert two.body == b"a=b+c"
    assert b'filename="n.txt"' in three.body and b"inside" in three.body


def test_codings_are_httpx_s_own_work(server, client):
    body = gzip.compress(b"hello" * 1000)
    s = server([serve(respond(body, headers={"Content-Encoding": "gzip"}))])
    assert client.get(s.url).content == b"hello" * 1000
    with client.stream("GET", s.url) as response:
        assert b"".join(response.iter_raw()) == body


def test_redirects_and_cookies_are_httpx_s_own_work(server, client):
    moved = respond(b"", 302, {"Location": "/b", "Set-Cookie": "k=v"})
    s = server([expect(), send(moved), expect(), send(OK)])
    response = client.get(s.url + "/a")
    assert [r.status_code for r in response.history] == [302]
    assert s.requests[1].get("Cookie") == "k=v"
    assert len(s.connections) == 1


def test_auth_and_hooks(server, client):
    seen = []
    client.event_hooks = {"request": [seen.append], "response": [seen.append]}
    s = server([serve(OK)])
    client.get(s.url, auth=("u", "p"))
    assert s.requests[0].get("Authorization") == "Basic dTpw"
    assert len(seen) == 2


def test_head_and_no_content(server, client):
    s = server(
        [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")]
        + [expect(), send(respond(b"", 204))]
    )
    assert client.head(s.url).headers["Content-Length"] == "9"
    assert client.get(s.url).status_code == 204
    assert len(s.connections) == 1


def test_chunked_answer_in_pieces(server, client):
    s = server([serve(respond_chunked(b"ab", b"cd", b"ef"))])
    with client.stream("GET", s.url) as response:
        assert b"".join(response.iter_bytes(chunk_size=3)) == b"abcdef"


# ---- connections -------------------------------------------------------------


def test_a_hundred_requests_on_one_connection(server, client):
    s = server([serve(OK)])
    for _ in range(100):
        client.get(s.url)
    assert len(s.connections) == 1


def test_a_body_left_early(server, hpools):
    """Leaving the block gives the connection up, or back: nothing is held."""
    big = respond(bytes(10_000_000))
    s = server([expect(), send(big), until_closed()], [serve(OK)])
    with hpools.stream("GET", s.url) as response:
        next(response.iter_raw())
    now = pool_of(hpools).stats().total.now
    assert (now.in_use, now.draining) == (0, 0)
    assert hpools.get(s.url).text == "ok"


def test_a_stale_connection_is_httpx_s_worry_no_more(server, hpools):
    s = server([expect(), send(OK), expect(), close()], [serve(OK)])
    assert hpools.get(s.url).text == "ok"
    assert hpools.get(s.url).text == "ok"
    assert pool_of(hpools).stats().total.replays.nonzero() == {
        "lost_before_first_byte": 1
    }


def test_a_short_body_goes_out_again(server, hpools):
    """It is gathered first, although httpx gives an iterator."""
    s = server([expect(), send(OK), expect(), close()], [serve(OK)])
    hpools.get(s.url)
    assert hpools.request("GET", s.url, content=b"abc").text == "ok"
    assert [request.body for request in s.requests] == [b"", b"abc", b"abc"]


def test_threads(server, hpools):
    s = server([serve(lambda request: respond(request.target.encode()))])

    def work(n):
        for i in range(20):
            assert hpools.get(f"{s.url}/{n}-{i}").text == f"/{n}-{i}"

    for call in [Call(work, n) for n in range(8)]:
        call.result(30)


def test_limits(server, module):
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:]), serve(OK)])
    limits = module.Limits(max_connections=1, max_keepalive_connections=1)
    with httpx_client(module, limits=limits, trust_env=False) as client:
        first = Call(client.get, s.url)
        until(lambda: pool_of(client).stats().total.in_use == 1)
        with pytest.raises(module.PoolTimeout, match="1 of 1 in use"):
            client.get(s.url, timeout=module.Timeout(5, pool=0.05))
        go.set()
        assert first.result().text == "ok"


# ---- errors ------------------------------------------------------------------


def test_refused(client, module):
    with refused_port() as port, pytest.raises(module.ConnectError) as caught:
        client.get(f"http://127.0.0.1:{port}")
    assert caught.value.request.method == "GET"


def test_unknown_name(client, module):
    with pytest.raises(module.ConnectError):
        client.get("http://name.invalid")


def test_unknown_scheme(client, module):
    with pytest.raises(module.UnsupportedProtocol):
        client.get("ftp://127.0.0.1/")


def test_connect_timeout(client, module):
    with silent_port() as port, pytest.raises(module.ConnectTimeout):
        client.get(f"http://127.0.0.1:{port}", timeout=module.Timeout(5, connect=0.05))


def test_read_timeout_of_the_head(server, client, module):
    s = server([expect(), until_closed()])
    with pytest.raises(module.ReadTimeout):
        client.get(s.url, timeout=module.Timeout(5, read=0.05))


def test_read_timeout_of_the_body(server, client, module):
    s = server([expect(), send(OK[:-1]), until_closed()])
    with pytest.raises(module.ReadTimeout):
        client.get(s.url, timeout=module.Timeout(5, read=0.05))


def test_write_timeout(hpools, module):
    """Nobody reads what is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        timeout = module.Timeout(5, write=0.05)
        with pytest.raises(module.WriteTimeout):
            hpools.post(url, content=bytes(50_000_000), timeout=timeout)


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", OK[:-1]], ids=["none", "bad", "cut"]
)
def test_bad_answers(server, client, module, answer):
    s = server([expect(), send(answer), close()])
    with pytest.raises(module.RemoteProtocolError):
        client.get(s.url)


def test_a_body_s_own_error(server, client):
    def body():
        yield b"x"
        raise KeyError("mine")

    s = server([expect(body=False), until_closed()])
    with pytest.raises(KeyError, match="mine"):
        client.post(s.url, content=body())


def test_untrusted_certificate(nginx, client, module):
    with pytest.raises(module.ConnectError, match="(?i)certificate"):
        client.get(nginx.https_url)


# ---- TLS, sockets, upgrades --------------------------------------------------


def test_tls(nginx, ca, module):
    with httpx_client(module, verify=str(ca.pem), trust_env=False) as client:
        response = client.get(nginx.https_url)
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("ssl_object").version().startswith("TLSv1")
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"


def test_ssl_context(nginx, ca):
    context = ssl.create_default_context(cafile=str(ca.pem))
    with ConnectionPool(ssl_context=context) as pool:
        assert pool.request("GET", nginx.https_url + "/small").status < 500


def test_a_client_certificate(server, ca, module):
    """Which cannot be read out of a context, so cert= carries it."""
    context = ca.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.pem)
    s = server(serve(OK), tls=context)
    for verify in (ca.pem, ca.client_context()):
        settings = {"verify": verify, "trust_env": False}
        with httpx_client(module, cert=ca.files("me"), **settings) as client:
            assert client.get(s.url).text == "ok"
    with httpx_client(module, **settings) as client:
        with pytest.raises(module.NetworkError):
            client.get(s.url)


def test_versions_of_a_context_hold(server, ca, module):
    context = ca.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    s = server(serve(OK), tls=ca.server_context("127.0.0.1"))
    with httpx_client(module, verify=context, trust_env=False) as client:
        client.get(s.url, extensions={"sni_hostname": "127.0.0.1"})
        client.get(s.url)
    assert {c.tls.version() for c in s.connections} == {"TLSv1.2"}


def test_settings_of_sockets(server, module):
    s = server(serve(OK))
    nodelay_off = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    transport = httpx_transport(
        module,
        local_address="127.0.0.9",
        socket_options=[nodelay_off],
        trust_env=False,
    )
    with module.Client(transport=transport) as client:
        client.get(s.url)
    assert s.connections[0].peer[0] == "127.0.0.9"


# ---- proxies -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tinyproxy", "squid", "microsocks"])
def test_real_proxies(request, nginx, ca, module, kind):
    proxy = request.getfixturevalue(kind)
    url = f"socks5h://{proxy.address}" if kind == "microsocks" else proxy.url
    if kind == "squid":
        url = proxy.login_url
    with httpx_client(
        module, proxy=url, verify=ca.pem, trust_env=False, timeout=10
    ) as client:
        for target in (nginx.http_url, nginx.https_url):
            assert client.get(f"{target}/small").status_code == 200
        assert pool_of(client).stats().total.dials == 2


def test_the_environment_s_proxy(server, module, monkeypatch):
    s = server(serve(OK))
    monkeypatch.setenv("HTTP_PROXY", s.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for trust_env, reached in ((True, True), (False, False)):
        with httpx_client(module, trust_env=trust_env) as client:
            if reached:
                assert client.get("http://a.invalid/x").text == "ok"
            else:
                with pytest.raises(module.ConnectError):
                    client.get("http://a.invalid/x")
    assert [request.target for request in s.requests] == ["http://a.invalid/x"]


def test_httpcore_s_own_proxy(nginx, ca, squid):
    """With its credentials and headers, as httpx hands them over."""
    user, password = map(unquote, LOGIN.split(":"))
    proxy = httpcore.Proxy(squid.url, auth=(user, password), headers={"X-A": "1"})
    with ConnectionPool(proxy=proxy, verify=ca.pem) as pool:
        assert pool.request("GET", f"{nginx.https_url}/small").status == 200


def test_a_proxy_that_refuses(server, module):
    s = server([expect(), send(respond(b"", 403, reason="Forbidden"))])
    with httpx_client(module, proxy=s.url, trust_env=False) as client:
        with pytest.raises(module.ProxyError, match="403"):
            client.get("https://name.invalid/")


# ---- the pool by itself ------------------------------------------------------


def test_pool_by_itself(server):
    s = server([serve(OK)])
    with ConnectionPool() as pool:
        response = pool.request("GET", s.url)
        assert (response.status, response.content) == (200, b"ok")
        pool.request("POST", s.url, content=b"abc")
        pool.request("POST", s.url, content=iter([b"a", b"bc"]))
        with pool.stream("GET", s.url) as streamed:
            assert b"".join(streamed.iter_stream()) == b"ok"
        assert "1 idle" in repr(pool)
        assert pool.connections == [f"|http|127.0.0.1:{s.port}"]
    assert [r.body for r in s.requests] == [b"", b"abc", b"abc", b""]
    with pytest.raises(httpcore.NetworkError, match="closed"):
        pool.request("GET", s.url)


def test_retries_of_the_connection(server):
    """The first connection cannot be made; the second try finds the server."""
    dials = []
    s = server([serve(OK)])
    with ConnectionPool(retries=1) as pool:
        real = pool.client
        with refused_port() as port:
            url = f"http://127.0.0.1:{port}"
            with pytest.raises(httpcore.ConnectError):
                pool.request("GET", url)
        dials.append(real.stats().total.dials)
        assert pool.request("GET", s.url).status == 200
    assert dials == [2]


@pytest.mark.parametrize("settings", [{"http2": True}, {"network_backend": object()}])
def test_what_is_not_on_offer(settings):
    with pytest.raises(hpool.InvalidArgument):
        ConnectionPool(**settings)


def test_who_patches_the_module_s_transport_patches_ours(module, monkeypatch):
    """As instrumentation and mocks do, before or after it is made."""
    with httpx_client(module, trust_env=False) as client:
        assert isinstance(client._transport, module.HTTPTransport)

        def answer(self, request):
            return module.Response(418, text=type(self).__name__)

        monkeypatch.setattr(module.HTTPTransport, "handle_request", answer)
        response = client.get("http://a.invalid/")
        assert (response.status_code, response.text) == (418, "HTTPTransport")


def test_nothing_of_httpcore_is_imported():
    import subprocess
    import sys

    code = (
        "import sys, hpool.adapters.httpcore\n"
        "assert not {'httpx', 'httpcore'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
