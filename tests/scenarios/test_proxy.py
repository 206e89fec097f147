"""Requests through proxies: http, https and SOCKS5, real ones and scripted ones
(S124 to S128), and what must never go where it does not belong. The bytes of
SOCKS5 are in test_socks.py, the pool's part in test_proxy_pool.py."""

import socket
import ssl
import threading
from base64 import b64encode

import pytest
import trustme

import hpool
from tests.server.proxies import LOGIN, OK, OPEN, tunnel
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    send,
    serve,
    start_tls,
    tell,
    until_closed,
)
from tests.tools import Call, Recorder, advance, gauges, proxy_error

# ---- S124 --------------------------------------------------------------------


def test_s124_https_to_an_http_port(server, new_client):
    s = server([until_closed()], [send(respond(status=400)), close()])
    client = new_client(verify=False)
    url = s.url.replace("http:", "https:")
    with (
        pytest.warns(hpool.InsecureRequestWarning),
        pytest.raises(hpool.ConnectTimeout),
    ):
        client.get(url, timeout=hpool.Timeout(tls=0.05))
    with pytest.raises(hpool.SSLError) as caught:
        client.get(url)
    assert "plain HTTP (is this an http:// port?)" in str(caught.value)


# ---- S125: each kind of target through each kind of proxy ----------------------


def test_s125_http_through_an_http_proxy(server, new_client):
    s = server(OK)
    client = new_client(proxy=s.url)
    for url in ("http://one.test/a?b=c#d", "http://two.test:8080", "http://[::1]/"):
        response = client.get(url)
        assert response.content == b"ok"
        assert response.connection.proxy == s.url
    lines = [request.line for request in s.requests]
    assert lines == [
        "GET http://one.test/a?b=c HTTP/1.1",
        "GET http://two.test:8080/ HTTP/1.1",
        "GET http://[::1]/ HTTP/1.1",
    ]
    assert [r.get("Host") for r in s.requests] == ["one.test", "two.test:8080", "[::1]"]
    assert len(s.connections) == 1  # it may lead to any host
    assert [r.get("Proxy-Authorization") for r in s.requests] == [None] * 3


def test_s125_https_through_an_http_proxy(server, new_client, ca):
    empty = serve(respond(b""))
    s = server(tunnel(ca.server_context("site.example.test"), empty))
    client = new_client(proxy=s.url, verify=ca.pem)
    response = client.head("https://site.example.test/")
    assert response.connection.tls_version == "TLSv1.3"
    client.get("https://site.example.test/x")
    connect, *others = s.requests
    assert connect.head == (
        b"CONNECT site.example.test:443 HTTP/1.1\r\n"
        b"Host: site.example.test:443\r\n"
        b"User-Agent: hpool/%s\r\n\r\n" % hpool.__version__.encode()
    )
    assert [r.line for r in others] == ["HEAD / HTTP/1.1", "GET /x HTTP/1.1"]
    assert len(s.connections) == 1  # the tunnel is kept


KINDS = ["tinyproxy", "squid", "squid-tls", "socks5", "socks5h", "socks-login"]
# Of the first one, which closes after each answer that it forwards.
ONE_BY_ONE = KINDS[0], "http"


@pytest.fixture
def proxy(request, kind):
    """The URL of a real proxy of the kind that is asked for."""
    use = request.getfixturevalue
    match kind:
        case "tinyproxy":
            return use("tinyproxy").url
        case "squid":
            return use("squid").login_url
        case "squid-tls":
            return use("squid").tls_url
        case "socks-login":
            return f"socks5h://{LOGIN}@{use('microsocks_login').address}"
        case scheme:
            return f"{scheme}://{use('microsocks').address}"


@pytest.mark.parametrize("kind", KINDS)
def test_s125_real_proxies(nginx, new_client, ca, kind, proxy):
    """Both kinds of target, small and big bodies, and connections that serve
    again."""
    client = new_client(proxy=proxy, verify=ca.pem)
    for scheme in ("http", "https"):
        url = nginx.http_url if scheme == "http" else nginx.https_url
        for name, size in (("small", 13), ("big", 10_000_091), ("small", 13)):
            response = client.get(f"{url}/{name}")
            assert (response.status, len(response.content)) == (200, size)
        connection = response.connection
        assert connection.proxy == proxy.replace(LOGIN + "@", "")
        assert connection.requests == (1 if (kind, scheme) == ONE_BY_ONE else 3)


def test_tls_in_tls_is_kept_and_resumed(server, new_client, ca, squid):
    """Two layers, each with tickets of its own (CVE-2021-22890)."""
    s = server(OK, tls=ca.server_context("localhost"))
    url = f"https://localhost:{s.port}/"
    client = new_client(proxy=squid.tls_url, verify=ca.pem)
    first = client.get(url)
    assert first.content == b"ok"
    assert client.get(url).connection.id == first.connection.id
    client.close_idle()
    recorder = Recorder()
    second = client.get(url, trace=recorder)
    assert second.content == b"ok" and second.connection.resumed
    shaken = recorder.all("tls_handshake_done")
    names = [info["server_name"] for info in recorder.all("tls_handshake_start")]
    assert names == ["localhost", "localhost"]
    assert [info["resumed"] for info in shaken] == [True, True]
    assert recorder.story()[2:11] == [
        "dns_cache_hit",
        "connect_start",
        "connect_done",
        "tls_handshake_start",
        "tls_handshake_done",
        "proxy_connect_start",
        "proxy_connect_done",
        "tls_handshake_start",
        "tls_handshake_done",
    ]


# ---- S126: proxies that fail ----------------------------------------------------


def test_s126_a_proxy_that_is_silent_after_connect(server, new_client, ca):
    s = server([expect(), until_closed()])
    client = new_client(proxy=s.url, verify=ca.pem)
    with pytest.raises(hpool.ConnectTimeout) as caught:
        client.get("https://a.test/", timeout=hpool.Timeout(connect=0.1))
    assert str(caught.value) == (
        f"the proxy {s.url} did not open a tunnel to a.test:443 in time: timed out "
        "after 0.1 s"
    )
    assert caught.value.phase == "proxy"
    s.connections[0].wait_closed()
    assert client.stats().total.timeouts["proxy"] == 1


def test_s126_a_minute_at_most(server, new_client, ca):
    """Also when nothing else has a limit."""
    asked = threading.Event()
    s = server([expect(), tell(asked), until_closed()])
    client = new_client(proxy=s.url, verify=ca.pem, timeout=None)
    call = Call(client.get, "https://a.test/")
    assert asked.wait(10)
    advance(61)
    # Who sleeps sees it when he looks next: at an answer that is none yet.
    s.connections[0].send(b"HTTP/1.1 100 Continue\r\n\r\n")
    error = call.error()
    assert isinstance(error, hpool.ConnectTimeout)
    assert str(error).endswith("timed out after 60.0 s")


def test_s126_an_endless_header(server, new_client, ca):
    def endless(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\n")
        while not connection.closed.is_set():
            connection.send(b"X: " + b"y" * 1000 + b"\r\n")

    s = server(endless)
    error = proxy_error(
        new_client(proxy=s.url, verify=ca.pem, max_header_bytes=20_000),
        "https://a.test/",
    )
    assert str(error) == (
        f"the proxy {s.url} answered CONNECT a.test:443 with more than 20000 bytes "
        "of header (max_header_bytes)"
    )


REFUSALS = {
    b"HTTP/1.1 400\r\n\r\n": (400, "400 (no reason)"),
    b"HTTP/1.1 403 Forbidden\r\n\r\n": (403, "403 Forbidden"),
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1048576: (
        502,
        "502 Bad Gateway",
    ),
    b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n": (
        407,
        "407 Proxy Authentication Required; it wants credentials: put them into the "
        "proxy's URL, http://user:password@host:port",
    ),
}


@pytest.mark.parametrize("answer", REFUSALS, ids=lambda answer: answer[9:12].decode())
def test_s126_a_refusal(server, new_client, ca, answer):
    """Never shown as the target's answer."""
    status, words = REFUSALS[answer]
    s = server([expect(), send(answer), close()])
    client = new_client(proxy=s.url, verify=ca.pem)
    error = proxy_error(client, "https://a.test/x?secret=1")
    assert str(error) == f"the proxy {s.url} refused a tunnel to a.test:443: {words}"
    assert (error.status, error.phase, error.response) == (status, "proxy", None)
    assert error.request.url == "https://a.test/x?secret=1"
    assert isinstance(error, ConnectionError)  # the builtin one
    assert gauges(client) == (0, 0, 0, 0, 0)


NONSENSE = {
    b"": "closed the connection before it had opened a tunnel to a.test:443",
    b"HTTP/1.1 200 OK\r\n": "closed the connection before it had opened a tunnel",
    b"SSH-2.0-x\r\n": "did not answer CONNECT a.test:443 in HTTP",
    OPEN + b"HTTP/1.1 200 OK\r\n\r\n": "sent 19 bytes behind its answer to CONNECT",
}


@pytest.mark.parametrize("answer", NONSENSE, ids=["nothing", "half", "ssh", "behind"])
def test_s126_nonsense(server, new_client, ca, answer):
    s = server([expect(), send(answer), close()] if answer else [expect(), close()])
    error = proxy_error(new_client(proxy=s.url, verify=ca.pem), "https://a.test/")
    assert str(error).startswith(f"the proxy {s.url} {NONSENSE[answer]}")


@pytest.mark.parametrize("status", [201, 204, 299])
def test_s126_any_2xx_opens_the_tunnel(server, new_client, ca, status):
    answer = b"HTTP/1.1 %d Fine\r\nContent-Length: 3\r\n\r\n" % status
    context = ca.server_context("a.example.test")
    s = server([expect(), send(answer), start_tls(context), *OK])
    client = new_client(proxy=s.url, verify=ca.pem)
    assert client.get("https://a.example.test/").content == b"ok"


def test_s126_interim_answers_are_passed_over(server, new_client, ca):
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OPEN
    context = ca.server_context("a.example.test")
    s = server([expect(), send(answer), start_tls(context), *OK])
    client = new_client(proxy=s.url, verify=ca.pem)
    assert client.get("https://a.example.test/").content == b"ok"


def test_a_real_refusal(new_client, squid, ca):
    client = new_client(proxy=squid.login_url, verify=ca.pem)
    error = proxy_error(client, "https://forbidden.test/")
    assert error.status == 403 and "403 Forbidden" in str(error)
    wrong = proxy_error(client, "https://localhost/", proxy=squid.url)
    assert wrong.status == 407 and "it wants credentials" in str(wrong)
    url = squid.url.replace("//", "//me:geheim@")
    wrong = proxy_error(client, "https://localhost/", proxy=url)
    assert "it does not accept the credentials given" in str(wrong)
    assert "geheim" not in str(wrong)


# ---- S127: the way to the proxy ------------------------------------------------


def test_s127_the_proxy_refuses_the_connection(new_client):
    with refused_port() as port:
        client = new_client(proxy=f"http://me:geheim@127.0.0.1:{port}")
        error = proxy_error(client, "http://a.test/")
        assert str(error) == (
            f"cannot use the proxy http://127.0.0.1:{port}: cannot connect to "
            f"127.0.0.1:{port}: Connection refused"
        )
        assert error.errno == 111 and error.phase == "connect"
        assert error.status is None


def test_s127_the_proxy_is_not_found(new_client):
    client = new_client(proxy="http://proxy.invalid:3128")
    error = proxy_error(client, "http://a.test/")
    assert str(error).startswith("cannot use the proxy http://proxy.invalid:3128: ")
    assert error.phase == "resolve"


def test_s127_what_a_function_raises(new_client):
    class Broken(Exception):
        pass

    def broken(url):
        raise Broken(url)

    client = new_client(proxy=broken)
    with pytest.raises(Broken, match="^http://a.test/x$"):
        client.get("http://a.test/x")
    assert gauges(client) == (0, 0, 0, 0, 0)


def test_s127_a_function_chooses(server, new_client):
    one, two = server(OK), server(OK)

    def choose(url):
        return {"http://one.test/": one.url, "http://two.test/": two.url}.get(url)

    client = new_client(proxy=choose)
    client.get("http://one.test/")
    client.get("http://two.test/")
    assert client.get(one.url).connection.proxy is None
    assert [s.requests[0].target for s in (one, two)] == [
        "http://one.test/",
        "http://two.test/",
    ]


def test_tls_with_the_proxy_fails_before_anything_is_said(server, new_client, ca):
    """tls-proxy-bad-cert: no CONNECT, no credentials."""
    stranger = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.issue_cert("localhost").configure_cert(context)
    s = server([], tls=context)
    client = new_client(proxy=f"https://me:geheim@localhost:{s.port}", verify=ca.pem)
    for url in ("http://a.test/", "https://a.test/"):
        error = proxy_error(client, url)
        assert f"cannot use the proxy https://localhost:{s.port}: " in str(error)
        assert "certificate verify failed for localhost" in str(error)
        assert error.phase == "proxy"
    for connection in s.connections:
        connection.wait_ended()
        assert connection.handshake_error is not None
    assert s.requests == []


def test_the_name_of_the_proxy_is_checked(server, new_client, ca):
    s = server([], tls=ca.server_context("other.example.test"))
    client = new_client(proxy=f"https://localhost:{s.port}", verify=ca.pem)
    error = proxy_error(client, "http://a.test/")
    assert "certificate verify failed for localhost: the certificate is for" in str(
        error
    )


def test_the_proxys_own_trust(server, new_client, ca):
    """verify= of the Proxy is for TLS with it, that of the client for the rest;
    a client certificate is not shown to it."""
    stranger = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.issue_cert("localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    ca.ca.configure_trust(context)
    shown = []

    def forward(connection):
        shown.append(connection.tls.getpeercert())
        connection.serve(respond(b"ok"))

    s = server(forward, tls=context)
    pem = stranger.cert_pem.bytes()
    proxy = hpool.Proxy(f"https://localhost:{s.port}", verify=pem)
    client = new_client(proxy=proxy, verify=ca.pem, cert=ca.files("localhost"))
    assert client.get("http://a.test/").content == b"ok"
    assert shown == [None]


def test_a_proxy_that_is_not_verified(server, new_client):
    """It is warned of as a host is: once."""
    stranger = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.issue_cert("localhost").configure_cert(context)
    s = server([serve(respond(b"ok"))], tls=context)
    client = new_client(proxy=f"https://localhost:{s.port}", verify=False)
    with pytest.warns() as caught:
        for _ in range(2):
            assert client.get("http://a.test/").content == b"ok"
    (warning,) = caught
    assert warning.category is hpool.InsecureRequestWarning
    assert f"the certificate of localhost:{s.port} is" in str(warning.message)


def test_the_target_is_verified_inside_the_tunnel(server, new_client, ca):
    """tls-proxy-origin-bad-cert."""
    stranger = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.issue_cert("a.example.test").configure_cert(context)

    def fails(connection):
        connection.expect()
        connection.send(OPEN)
        with pytest.raises(ssl.SSLError):
            connection.start_tls(context)
        connection.close(notify=False)

    s = server(fails)
    with pytest.raises(hpool.SSLError) as caught:
        new_client(proxy=s.url, verify=ca.pem).get("https://a.example.test/")
    assert "certificate verify failed for a.example.test" in str(caught.value)
    assert caught.value.phase == "tls"
    assert len(s.requests) == 1


def test_a_bad_target_behind_an_https_proxy(server, new_client, ca, squid):
    """The reason survives the layer below, through which the alert goes."""
    stranger = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.issue_cert("localhost").configure_cert(context)
    s = server([], tls=context)
    with pytest.raises(hpool.SSLError) as caught:
        new_client(proxy=squid.tls_url, verify=ca.pem).get(
            f"https://localhost:{s.port}/"
        )
    assert "certificate verify failed for localhost" in str(caught.value)


def test_tls_with_the_proxy_has_its_own_time(new_client, ca):
    """connect is for the dial and the tunnel, tls for the handshake between."""
    context = ca.server_context("localhost")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = new_client(proxy=f"https://localhost:{port}", verify=ca.pem)
        call = Call(client.get, "https://a.test/")
        sock, _ = listener.accept()
        assert sock.recv(1, socket.MSG_PEEK)  # it has begun the handshake
        advance(8)
        with context.wrap_socket(sock, server_side=True) as tls:
            assert tls.recv(65536).startswith(b"CONNECT a.test:443 ")
            advance(8)
            tls.sendall(b"HTTP/1.1 403")  # it looks at the clock
            tls.sendall(b" Forbidden\r\n\r\n")
            error = call.error()
    assert isinstance(error, hpool.ProxyError) and error.status == 403


# ---- S128: what is said to the proxy ------------------------------------------


def test_s128_headers_for_the_proxy(server, new_client, ca):
    """With CONNECT and with each forwarded request, and nowhere else."""
    headers = {"X-Team": "a", "X-Key": "b", "user-agent": "mine"}
    before = dict(headers)
    s = server(tunnel(ca.server_context("a.example.test")), OK)
    client = new_client(proxy=hpool.Proxy(s.url, headers=headers), verify=ca.pem)
    client.get("https://a.example.test/")
    client.get("http://b.test/", headers={"x-team": "own"})
    connect, inner, forwarded = s.requests
    assert connect.fields[1:] == [
        ("X-Team", "a"),
        ("X-Key", "b"),
        ("user-agent", "mine"),
    ]
    assert (inner.get("X-Team"), inner.get("X-Key")) == (None, None)
    assert forwarded.all("X-Team") == ["own"] and forwarded.get("X-Key") == "b"
    assert forwarded.get("User-Agent") == f"hpool/{hpool.__version__}"
    assert headers == before


def test_s128_a_function_gives_the_headers(server, new_client, ca):
    def proxy(url):
        return hpool.Proxy(s.url, headers={"X-For": url})

    s = server(tunnel(ca.server_context("a.example.test")))
    client = new_client(proxy=proxy, verify=ca.pem)
    for path in ("x", "x", "y"):
        client.get(f"https://a.example.test/{path}")
    asked = [r.get("X-For") for r in s.requests if r.method == "CONNECT"]
    # What a tunnel was opened with is in the key: it serves no other.
    assert asked == [f"https://a.example.test/{path}" for path in "xy"]


@pytest.mark.parametrize("login", [LOGIN, "u:%40/?!", "u:", "%C3%BC:x"])
def test_s128_credentials_of_the_url(server, new_client, ca, login):
    if "/" in login:
        with pytest.raises(hpool.InvalidProxyURL, match="is written %2F"):
            hpool.Proxy(f"http://{login}@proxy")
        login = "u:%40%2F%3F!"
    user, _, password = login.partition(":")
    pair = b":".join(map(_decoded, (user, password)))
    s = server(tunnel(ca.server_context("a.example.test")), OK)
    client = new_client(proxy=s.url.replace("//", f"//{login}@"), verify=ca.pem)
    client.get("https://a.example.test/")
    client.get("http://b.test/")
    client.get("http://b.test/")
    want = "Basic " + b64encode(pair).decode()
    connect, inner, *forwarded = s.requests
    assert connect.get("Proxy-Authorization") == want
    assert inner.get("Proxy-Authorization") is None
    assert [r.get("Proxy-Authorization") for r in forwarded] == [want, want]


def _decoded(text):
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text)


def test_s128_proxy_authorization_of_the_request(server, new_client, ca):
    """It comes before the URL's, goes into CONNECT, and never to the target
    (CVE-2023-32681)."""
    s = server(tunnel(ca.server_context("a.example.test")))
    client = new_client(proxy=s.url.replace("//", "//u:p@"), verify=ca.pem)
    for token in ("one", "one", "two"):
        headers = {"Proxy-Authorization": f"Bearer {token}"}
        client.get("https://a.example.test/", headers=headers)
    connects = [r for r in s.requests if r.method == "CONNECT"]
    assert [r.get("Proxy-Authorization") for r in connects] == [
        "Bearer one",
        "Bearer two",
    ]
    inner = [r for r in s.requests if r.method == "GET"]
    assert len(inner) == 3
    assert {r.get("Proxy-Authorization") for r in inner} == {None}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_server_sees_the_proxys_credentials(server, new_client, ca, proxy, tls):
    """Behind real proxies: not by way of the URL, nor after a redirect to a host
    that is reached without one."""
    context = ca.server_context("localhost", "127.0.0.1") if tls else None
    last = server(OK, tls=context)
    s = server([serve(respond(status=302, headers={"Location": last.url}))], tls=context)
    first = s.url.replace("127.0.0.1", "localhost")
    rules = {first.rpartition(":")[0]: proxy}
    response = new_client(proxies=rules, verify=ca.pem).get(first)
    assert response.content == b"ok"
    assert response.history[0].connection.proxy == proxy.replace(LOGIN + "@", "")
    assert response.connection.proxy is None
    for request in (*s.requests, *last.requests):
        assert b"authorization" not in request.head.lower()


def test_proxy_authorization_is_not_for_those_reached_directly(server, new_client):
    s, proxy = server(OK), server(OK)
    headers = {"Proxy-Authorization": "Bearer t"}
    client = new_client(
        proxies={"all": proxy.url, "no_proxy": "127.0.0.1"}, headers=headers
    )
    assert client.get(s.url).connection.proxy is None
    assert client.get("http://a.test/", proxy=proxy.url).content == b"ok"
    assert client.get(s.url, proxies={}).content == b"ok"
    assert [r.get("Proxy-Authorization") for r in s.requests] == [None, None]
    assert proxy.requests[0].get("Proxy-Authorization") == "Bearer t"
    # Without any proxy around it is a header like others.
    new_client(headers=headers).get(s.url)
    assert s.requests[-1].get("Proxy-Authorization") == "Bearer t"


def test_a_redirect_out_of_the_tunnel(server, new_client, ca):
    """Each hop has its own proxy and what belongs to it: nothing of the first
    one's credentials reaches the second, or a target."""
    there = respond(status=302, headers={"Location": "http://b.test/"})
    with_user = server(
        tunnel(ca.server_context("a.example.test"), expect(), send(there))
    )
    without = server(OK)
    client = new_client(
        proxies={
            "https": with_user.url.replace("//", "//me:geheim@"),
            "http": without.url,
        },
        verify=ca.pem,
    )
    response = client.get("https://a.example.test/")
    assert response.content == b"ok" and len(response.history) == 1
    connect, inner = with_user.requests
    (last,) = without.requests
    assert connect.get("Proxy-Authorization").startswith("Basic ")
    assert inner.get("Proxy-Authorization") is None
    assert last.get("Proxy-Authorization") is None
    assert last.target == "http://b.test/"
