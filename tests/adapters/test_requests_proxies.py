"""proxies= of requests, against real proxies, side by side with its own adapter."""

import subprocess
import sys

import pytest
import requests
import urllib3
from requests import exceptions

import hpool
from hpool.adapters.requests import HTTPAdapter, patch
from tests.adapters.conftest import mount
from tests.server.nginx import SMALL
from tests.server.proxies import LOGIN
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    send,
    serve,
    silent_port,
)


def through(url):
    return {"http": url, "https": url}


@pytest.fixture(params=["http_url", "https_url"])
def url(request, nginx):
    return f"{getattr(nginx, request.param)}/small"


def test_an_http_proxy(session, way, url, tinyproxy, ca):
    # The proxy closes after each answer, which urllib3 may see too late.
    for _ in range(1 if way == "own" else 3):
        got = session.get(url, proxies=through(tinyproxy.url), verify=ca.pem)
        assert got.content == SMALL


@pytest.mark.parametrize("key", ["http", "all", "http://a.test", "all://a.test"])
def test_each_form_of_a_key(session, server, key):
    srv = server(serve(respond(b"ok")))
    assert session.get("http://a.test/", proxies={key: srv.url}).ok
    assert srv.requests[0].target == "http://a.test/"


def test_with_credentials(session, url, squid, ca):
    got = session.get(url, proxies=through(squid.login_url), verify=ca.pem)
    assert got.content == SMALL


# requests takes an http URL to mean that its proxy is not to be verified either.
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_an_https_proxy(session, way, url, squid, ca):
    proxies = through(squid.tls_url)
    got = session.get(url, proxies=proxies, verify=ca.pem)
    assert got.content == SMALL
    if way == "own":
        return
    with requests.Session() as fresh:
        fresh.trust_env = False
        mount(fresh, type(session.adapters["http://"])())
        with pytest.raises(exceptions.ProxyError, match="certificate"):
            fresh.get(url, proxies=proxies)


def test_an_https_proxy_may_go_unverified(hpool_session, nginx, squid):
    url = f"{nginx.http_url}/small"
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        got = hpool_session().get(url, proxies={"http": squid.tls_url}, verify=False)
    assert got.content == SMALL


def test_without_a_scheme(session, nginx, tinyproxy):
    proxy = tinyproxy.url.removeprefix("http://")
    got = session.get(f"{nginx.http_url}/small", proxies={"http": proxy})
    assert got.content == SMALL


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks(session, url, microsocks, ca, scheme):
    proxy = f"{scheme}://{microsocks.address}"
    got = session.get(url, proxies=through(proxy), verify=ca.pem)
    assert got.content == SMALL


def test_socks_with_credentials(hpool_session, url, microsocks_login, ca):
    proxy = f"socks5h://{LOGIN}@{microsocks_login.address}"
    got = hpool_session().get(url, proxies=through(proxy), verify=ca.pem)
    assert got.content == SMALL


def test_socks_without_pysocks(nginx, microsocks):
    """What requests needs for it, and hpool does not."""
    code = (
        "import sys\n"
        "sys.modules['socks'] = None\n"
        "import requests\n"
        "from hpool.adapters.requests import HTTPAdapter\n"
        "with requests.Session() as session:\n"
        "    session.mount('http://', HTTPAdapter())\n"
        "    proxies = {'http': sys.argv[1]}\n"
        "    assert session.get(sys.argv[2], proxies=proxies).ok"
    )
    proxy, url = f"socks5h://{microsocks.address}", f"{nginx.http_url}/small"
    subprocess.run([sys.executable, "-c", code, proxy, url], check=True)


def test_the_environment_chooses(session, nginx, tinyproxy, monkeypatch):
    """requests does that, NO_PROXY included."""
    session.trust_env = True
    with refused_port() as nobody:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{nobody}")
        monkeypatch.delenv("http_proxy", raising=False)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(exceptions.ProxyError):
            session.get(f"{nginx.http_url}/small")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert session.get(f"{nginx.http_url}/small").content == SMALL


def test_what_the_proxy_is_asked(session, server):
    proxy = server(serve(respond(b"hello")))
    url = proxy.url.replace("//", f"//{LOGIN}@")
    got = session.get("http://nowhere.invalid/x?a=1#f", proxies={"http": url})
    assert got.content == b"hello"
    (request,) = proxy.requests
    assert request.line == "GET http://nowhere.invalid/x?a=1 HTTP/1.1"
    assert request.get("Host") == "nowhere.invalid"
    assert request.get("Proxy-Authorization").startswith("Basic ")


def test_a_redirect_keeps_the_proxy_and_one_set_of_credentials(session, server):
    """requests puts a Proxy-Authorization into the second request."""
    proxy = server(
        serve(
            lambda r: respond(b"done")
            if r.target.endswith("/there")
            else respond(b"", 302, {"Location": "http://other.invalid/there"})
        )
    )
    url = proxy.url.replace("//", f"//{LOGIN}@")
    got = session.get("http://nowhere.invalid/", proxies={"http": url})
    assert got.content == b"done"
    first, second = (r.all("Proxy-Authorization") for r in proxy.requests)
    assert first == second
    assert len(first) == 1


def test_credentials_go_to_the_proxy_only(session, nginx, server, ca):
    seen = []

    def tunnel(connection):
        seen.append(connection.expect().all("Proxy-Authorization"))
        connection.send(respond(b"", 403))

    proxy = server(tunnel)
    url = proxy.url.replace("//", f"//{LOGIN}@")
    with pytest.raises(exceptions.ProxyError, match="403"):
        session.get(f"{nginx.https_url}/small", proxies={"https": url})
    assert [len(values) for values in seen] == [1]
    assert proxy.requests[0].line.startswith("CONNECT ")


# ---- errors ------------------------------------------------------------------


@pytest.fixture(params=["http", "https"])
def target(request):
    return f"{request.param}://nowhere.invalid/"


def error_of(session, target, proxy, **how):
    with pytest.raises(exceptions.RequestException) as caught:
        session.get(target, proxies=through(proxy), **how)
    return caught.value


def test_nobody_is_there(session, target):
    with refused_port() as port:
        error = error_of(session, target, f"http://127.0.0.1:{port}")
    assert type(error) is exceptions.ProxyError
    assert "Connection refused" in str(error)
    assert error.request.url == target


def test_nobody_answers(session, target):
    with silent_port() as port:
        error = error_of(session, target, f"http://127.0.0.1:{port}", timeout=0.05)
    assert type(error) is exceptions.ProxyError


def test_an_unknown_proxy(session, target):
    error = error_of(session, target, "http://proxy.invalid")
    assert type(error) is exceptions.ProxyError


def test_a_tunnel_refused(session, server):
    proxy = server([expect(), send(respond(b"", 407)), close()])
    error = error_of(session, "https://nowhere.invalid/", proxy.url)
    assert type(error) is exceptions.ProxyError
    assert "407" in str(error)
    (outer,) = error.args
    assert isinstance(outer.reason.original_error, OSError)


@pytest.mark.parametrize("proxy", ["http:badproxy", "http://", "http://:1", "http:///x"])
def test_no_proxy_url(session, target, proxy):
    error = error_of(session, target, proxy)
    assert isinstance(error, exceptions.InvalidURL)


def test_a_proxy_that_hpool_does_not_speak_to(hpool_session, target):
    error = error_of(hpool_session(), target, "socks4://127.0.0.1:9")
    assert type(error) is exceptions.InvalidProxyURL
    assert "http, https, socks5 or socks5h, not socks4" in str(error)
    assert error.request.url == target


def test_no_password_is_shown(hpool_session, target):
    with refused_port() as port:
        proxy = f"http://me:secret@127.0.0.1:{port}"
        error = error_of(hpool_session(), target, proxy)
    while error is not None:
        assert "secret" not in f"{error} {error!r}"
        error = error.__cause__


# ---- subclasses and clients --------------------------------------------------


def test_proxy_headers_may_be_more(server):
    class Known(HTTPAdapter):
        def proxy_headers(self, proxy):
            return {**super().proxy_headers(proxy), "X-Proxy": "1"}

    proxy = server(serve(respond(b"hello")))
    with requests.Session() as session:
        session.trust_env = False
        mount(session, Known())
        session.get("http://nowhere.invalid/", proxies={"http": proxy.url})
        with pytest.raises(exceptions.RequestException):
            session.get("https://nowhere.invalid/", proxies={"https": proxy.url})
    assert [r.get("X-Proxy") for r in proxy.requests] == ["1", "1"]


def test_proxy_manager_for_may_be_given_more(squid, nginx, ca):
    context = ca.client_context()

    class Trusting(HTTPAdapter):
        def proxy_manager_for(self, proxy, **how):
            return super().proxy_manager_for(proxy, proxy_ssl_context=context, **how)

    with requests.Session() as session:
        session.trust_env = False
        mount(session, Trusting())
        # Not what is trusted of the server, but of the proxy.
        proxies = {"http": squid.tls_url}
        got = session.get(f"{nginx.http_url}/small", proxies=proxies)
    assert got.content == SMALL


def test_a_client_with_a_proxy(hpool_session, nginx, tinyproxy):
    with hpool.Client(proxy=tinyproxy.url) as client:
        raw = hpool_session(client=client).get(f"{nginx.http_url}/small").raw
        assert raw.hpool.connection.proxy == tinyproxy.url


def test_patch_leaves_proxy_managers_of_ones_own_alone(nginx, tinyproxy):
    class Own(requests.adapters.HTTPAdapter):
        def proxy_manager_for(self, proxy, **how):
            return super().proxy_manager_for(proxy, **how)

    with patch(), requests.Session() as session:
        session.trust_env = False
        mount(session, Own())
        got = session.get(
            f"{nginx.http_url}/small", proxies={"http": tinyproxy.url}
        )
    assert got.content == SMALL
    assert not hasattr(got.raw, "hpool")


def test_close_closes_connections_to_proxies(session, server):
    proxy = server(serve(respond(b"hello")))
    session.get("http://nowhere.invalid/", proxies={"http": proxy.url})
    session.close()
    proxy.connections[0].wait_closed()


def test_a_connection_to_a_proxy_is_kept(session, server):
    proxy = server(serve(respond(b"hello")))
    for host in ("a.invalid", "b.invalid", "a.invalid"):
        session.get(f"http://{host}/", proxies={"http": proxy.url})
    assert len(proxy.connections) == 1
