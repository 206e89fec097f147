"""Which proxy a request goes through: proxy=, proxies=, the environment and
NO_PROXY; hpool.Proxy, and what none of them may be."""

import copy
import os
import pickle
import sys

import pytest

import hpool
from hpool.policy.proxies import Environment, settle
from tests.life import child
from tests.server.scripted import respond, serve
from tests.tools import gauges

OK = [serve(respond(b"ok"))]
P, Q, R = "http://p:1", "http://q:2", "http://r:3"


@pytest.fixture
def environment(monkeypatch):
    """environment(HTTP_PROXY=..., ...) is all there is of it."""

    def put(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    return put


def chosen(settings, url):
    """The proxy's URL for a request, or None."""
    scheme, _, rest = url.partition("://")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit():
        host, port = rest, {"http": 80, "https": 443}[scheme]
    proxy = settings.choose(url, scheme == "https", host.strip("[]"), int(port))
    return None if proxy is None else proxy.url


def goes(client, url, **how):
    """Through which proxy a request would go, by the error of having none."""
    try:
        return client.get(url, **how).connection.proxy
    except hpool.ProxyError as exc:
        words = str(exc)
        return words[words.index("proxy ") + 6 :].partition(": ")[0]
    except hpool.NameResolutionError:
        return None


# ---- hpool.Proxy ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("proxy", "http://proxy:80"),
        ("proxy:3128", "http://proxy:3128"),
        (" http://PROXY.Example/ ", "http://proxy.example:80"),
        ("https://proxy", "https://proxy:443"),
        ("SOCKS5://proxy", "socks5://proxy:1080"),
        ("socks5h://proxy:9050", "socks5h://proxy:9050"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://[2001:DB8::1]", "http://[2001:db8::1]:80"),
        ("user:pass@proxy:3128", "http://proxy:3128"),
        ("http://me:se%63ret@10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("http://büro.example:1", "http://xn--bro-hoa.example:1"),
        ("http://a_b-c.example:1", "http://a_b-c.example:1"),
    ],
)
def test_urls(url, shown):
    proxy = hpool.Proxy(url)
    assert proxy.url == shown
    assert repr(proxy) == str(proxy) == f"<Proxy {shown}>"
    assert f"{proxy.scheme}://" == shown[: len(proxy.scheme) + 3]


BAD_URLS = {
    "": "no host",
    "http://": "no host",
    "http://:3128": "no host",
    "socks9://p": "a proxy is spoken to by http, https, socks5 or socks5h, not socks9",
    "socks://p": "not socks",
    "ftp://p": "not ftp",
    "geheim geheim://p": "a proxy is spoken to by http, https, socks5 or socks5h",
    "socks://me:geheim@p": "not socks (of SOCKS, version 5 alone is spoken)",
    "socks4a://geheim@p": "not socks4a (of SOCKS, version 5 alone is spoken)",
    "http://proxy:geheim": "the port of the proxy's URL is not a number",
    "http://proxy:0": "is not a number from 1 to 65535",
    "http://proxy:65536": "is not a number from 1 to 65535",
    "http://me:geheim/x@proxy:1": "is written %2F %3F %23 or %5C",
    "http://me:1/geheim@proxy:1": "is written %2F",
    "http://proxy/geheim": "ends with host and port",
    "http://proxy?geheim": "ends with host and port",
    "http://proxy#geheim": "ends with host and port",
    "http://proxy\r\nX: geheim:80": "the host of the proxy's URL is not a name",
    "http://pro xy:80": "is not a name",
    "http://pro%78y:80": "is not a name",
    "http://[::1": "no IPv6 address in brackets",
    "http://[proxy]:1": "no IPv6 address in brackets",
    "http://[::1]geheim": "no IPv6 address in brackets",
    "http://" + "x" * 254: "is not a name",
    "http://é..geheim.é:1": "in the proxy's URL the host",
    "socks5://me@proxy": "a user and a password of 1 to 255 bytes each",
    "socks5://me:" + "x" * 256 + "@proxy": "of 1 to 255 bytes each",
}


@pytest.mark.parametrize("url", BAD_URLS, ids=range(len(BAD_URLS)))
def test_bad_urls(url):
    for make in (
        hpool.Proxy,
        lambda url: hpool.Client(proxy=url) if url else hpool.Proxy(url),
        lambda url: hpool.Client(proxies={"http": url}) if url else hpool.Proxy(url),
        lambda url: hpool.get("http://a.test", proxy=url) if url else hpool.Proxy(url),
    ):
        with pytest.raises(hpool.InvalidProxyURL) as caught:
            make(url)
        text = str(caught.value)
        assert BAD_URLS[url] in text
        assert isinstance(caught.value, ValueError)
        if "host" not in text.partition(":")[0] and "é" not in url:
            assert "geheim" not in text


def test_credentials_and_headers():
    proxy = hpool.Proxy("http://u:p%40@p", auth=("ü", b"\xff:"))
    assert proxy.core[5] == b"Basic w7w6/zo="
    proxy = hpool.Proxy(
        "http://u:p@p", headers={"Proxy-Authorization": "Bearer t", "X": " y "}
    )
    assert proxy.core[5:] == (b"Bearer t", ((b"X", b"y"),))
    assert hpool.Proxy("p", headers=[("X", "1"), (b"X", b"2")]).core[6] == (
        (b"X", b"1"),
        (b"X", b"2"),
    )
    assert hpool.Proxy("socks5://u:p%40@p").core[3:6] == (b"u", b"p@", None)
    assert hpool.Proxy("http://@p").core[5] is None
    assert hpool.Proxy("http://u@p").core[5] == b"Basic dTo="


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"headers": {"Host": "x"}}, hpool.InvalidHeader, "Host is not to be set"),
        ({"headers": {"content-LENGTH": "1"}}, hpool.InvalidHeader, "not to be set"),
        ({"headers": {"": "x"}}, hpool.InvalidHeader, "a name is not a token"),
        ({"headers": {"A b": "x"}}, hpool.InvalidHeader, "a name is not a token"),
        ({"headers": {"A": "geheim\r\nB: c"}}, hpool.InvalidHeader, "A has a control"),
        (
            {"headers": {"A": "\u20ac"}},
            hpool.InvalidHeader,
            "not to be said in latin-1",
        ),
        ({"headers": {"A": 1}}, TypeError, "headers takes str and bytes, not int"),
        ({"auth": "me:geheim"}, TypeError, r"auth must be \(user, password\)"),
        ({"auth": ("me", 1)}, TypeError, "auth takes str and bytes, not int"),
    ],
)
def test_bad_credentials_and_headers(how, error, words):
    with pytest.raises(error, match=words) as caught:
        hpool.Proxy("http://p", **how)
    assert "geheim" not in str(caught.value)


def test_socks_takes_no_headers():
    with pytest.raises(hpool.InvalidArgument, match="mean nothing to a SOCKS proxy"):
        hpool.Proxy("socks5://p", headers={"A": "b"})
    with pytest.raises(TypeError, match="a proxy's url must be a str, not int"):
        hpool.Proxy(1)


def test_proxies_are_values():
    one = hpool.Proxy("http://u:p@p:1", headers={"A": "b"})
    same = hpool.Proxy("u:p@P:1", headers=[(b"A", b"b")])
    assert one == same and hash(one) == hash(same)
    assert one != hpool.Proxy("http://u:q@p:1", headers={"A": "b"})
    assert pickle.loads(pickle.dumps(one)) == one and copy.copy(one) is one
    with pytest.raises(AttributeError, match="immutable"):
        one.host = "x"


# ---- proxy= and proxies= ----------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "want"),
    [
        # requests' order: scheme://host, scheme, all://host, all.
        ({"http": P}, (P, None, P)),
        ({"https": P}, (None, P, None)),
        ({"all": P, "http": Q}, (Q, P, Q)),
        ({"all": P, "http://a.test": Q}, (Q, P, P)),
        ({"http": P, "all://a.test": Q}, (P, Q, P)),
        ({"http": P, "http://a.test": None}, (None, None, P)),
        ({"all": P, "http": None}, (None, P, None)),
        ({"all": P, "http": ""}, (None, P, None)),
        ({"all": P, "http": False}, (None, P, None)),
        # httpx's forms.
        ({"http://": P, "https://": Q}, (P, Q, P)),
        ({"all://": P, "all://*.test": Q, "all://a.test": R}, (R, R, Q)),
        ({"all://*a.test": Q}, (Q, Q, None)),
        ({"all://*.a.test": Q}, (None, None, None)),
        ({"all://*": Q}, (Q, Q, Q)),
        ({"all://*:443": Q}, (None, Q, None)),
        ({"http://a.test:80": Q, "http://a.test": P}, (Q, None, None)),
        ({"HTTP://A.Test/": Q}, (Q, None, None)),
        # What others keep in the same mapping.
        ({"http": P, "ftp": "x://y", "wss": "z"}, (P, None, P)),
        ({"all": P, "no_proxy": "a.test"}, (None, None, P)),
        ({"all": P, "no": "a.test:443"}, (P, None, P)),
        ({"all": P, "no_proxy": None}, (P, P, P)),
        (P, (P, P, P)),
    ],
)
def test_mappings(proxies, want):
    settings = settle(None, proxies, False)
    urls = ("http://a.test", "https://a.test", "http://b.test")
    assert tuple(chosen(settings, url) for url in urls) == want


def test_addresses_as_keys():
    settings = settle(None, {"all://[::1]:8080": P, "all://10.0.0.1": Q}, False)
    assert chosen(settings, "http://[::1]:8080") == P
    assert chosen(settings, "http://[::1]:80") is None
    assert chosen(settings, "https://10.0.0.1:99") == Q


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"proxies": {"htps": P}}, ValueError, "not 'htps'"),
        ({"proxies": {"http://a@b": P}}, ValueError, "that is no host"),
        ({"proxies": {1: P}}, TypeError, "a key is int"),
        ({"proxies": {"http": 1}}, TypeError, r"proxies\['http'\] takes a URL or an"),
        ({"proxies": {"no_proxy": 1}}, TypeError, "must be a str"),
        ({"proxies": 1}, TypeError, "proxies takes a mapping of"),
        ({"proxies": [P]}, TypeError, "not list"),
        ({"proxy": 1}, TypeError, "proxy takes a URL or an hpool.Proxy, not int"),
        ({"proxy": {"http": P}}, TypeError, "not dict"),
        ({"proxy": P, "proxies": {}}, TypeError, "two names of one thing"),
        (
            {"proxies": {"http": "ftp://p"}},
            ValueError,
            r"^proxies\['http'\]: .*not ftp",
        ),
    ],
)
def test_bad_arguments(how, error, words):
    with pytest.raises(error, match=words):
        hpool.Client(**how)
    with pytest.raises(error, match=words):
        hpool.get("http://a.test/", **how)


def test_what_a_function_returns_is_checked(new_client):
    client = new_client(proxy=lambda url: 7)
    with pytest.raises(TypeError, match="what proxy= returned takes a URL"):
        client.get("http://a.test/")


def test_calls_come_before_the_client(new_client, environment):
    client = new_client(proxies={"http": "http://p.invalid"})
    http, https = "http://a.invalid/", "https://a.invalid/"
    p, q = "http://p.invalid:80", "http://q.invalid:80"
    assert (goes(client, http), goes(client, https)) == (p, None)
    assert goes(client, http, proxy=None, proxies=None) == p
    assert goes(client, http, proxy="q.invalid") == q
    assert goes(client, https, proxy=hpool.Proxy("q.invalid")) == q
    assert goes(client, http, proxy=lambda url: "q.invalid") == q
    for none in ({"proxy": ""}, {"proxy": False}, {"proxies": {}}, {"proxies": False}):
        assert goes(client, http, **none) is None
    # A mapping answers for what is in it; the rest is the client's.
    assert goes(client, https, proxies={"https": "q.invalid"}) == q
    assert goes(client, http, proxies={"https": "q.invalid"}) == p
    assert goes(client, http, proxies={"http": None}) is None
    assert (
        goes(
            client, "http://ä.invalid/", proxies={"http://xn--4ca.invalid": "q.invalid"}
        )
        == q
    )


def test_what_is_no_url_says_so(new_client):
    client = new_client(proxy=lambda url: pytest.fail("asked"))
    for url, error in (
        ("a.test", hpool.MissingSchema),
        ("ftp://a.test", hpool.InvalidSchema),
        ("http://a..test", hpool.InvalidURL),
    ):
        with pytest.raises(error):
            client.get(url)


def test_foreign_proxies():
    httpx = pytest.importorskip("httpx")
    theirs = httpx.Proxy("http://u:p@p:1", headers={"X": "y"})
    settings = settle(theirs, None, False)
    (proxy, _) = settings.fixed
    assert proxy == hpool.Proxy("http://u:p@p:1", headers=[(b"X", b"y")])
    assert settle(httpx.URL("http://u:p@p:1"), None, False).fixed[0].core[5]


def test_redirects_choose_anew(server, new_client):
    there = respond(status=302, headers={"Location": "http://b.test/"})
    one, two = server([serve(there)]), server(OK)
    client = new_client(proxies={"all://a.test": one.url, "all://b.test": two.url})
    assert client.get("http://a.test/").content == b"ok"
    client = new_client()
    proxies = {"all://a.test": one.url, "all://b.test": two.url}
    assert client.get("http://a.test/", proxies=proxies).content == b"ok"
    assert [len(s.requests) for s in (one, two)] == [2, 2]


# ---- client.proxies ---------------------------------------------------------------


def test_a_live_client(new_client, environment):
    client = new_client()
    url = "http://a.invalid/"
    assert client.proxies == {} and goes(client, url) is None
    client.proxies["http"] = "http://p.invalid"
    assert goes(client, url) == "http://p.invalid:80"
    client.proxies.update({"http": "u:geheim@q.invalid", "https": None})
    assert goes(client, url) == "http://q.invalid:80"
    assert client.proxies == {"http": "u:geheim@q.invalid", "https": None}
    assert "geheim" not in repr(client.proxies)
    with pytest.raises(hpool.InvalidProxyURL):
        client.proxies["http"] = "ftp://x"
    assert goes(client, url) == "http://q.invalid:80"
    del client.proxies["http"]
    assert goes(client, url) is None
    client.proxies = {"all": "http://r.invalid"}
    assert goes(client, url) == "http://r.invalid:80"
    client.proxies = lambda url: "s.invalid"
    assert goes(client, url) == "http://s.invalid:80" and callable(client.proxies)
    client.proxies = None
    assert client.proxies == {} and goes(client, url) is None
    with pytest.raises(AttributeError, match="cannot delete proxies"):
        del client.proxies
    assert hpool.Client(proxy=P).proxies == {"all": hpool.Proxy(P)}


def test_a_request_keeps_what_it_started_with(server, new_client):
    """A hop of one call is not changed by what somebody does meanwhile."""
    s = server(OK)
    client = new_client(proxy=s.url)
    with client.get("http://a.test/", stream=True) as response:
        client.proxies = None
        assert response.content == b"ok"
    assert gauges(client) == (1, 0, 0, 0, 0)


def test_pickling(environment):
    environment(HTTPS_PROXY=Q)
    for how in ({"proxy": P}, {"proxies": {"http": P}}, {"proxies": False}, {}):
        client = hpool.Client(**how)
        again = pickle.loads(pickle.dumps(client))
        assert again.proxies == client.proxies
    client = hpool.Client(proxy=P)
    client.proxies = {"https": Q}
    assert pickle.loads(pickle.dumps(client)).proxies == {"https": Q}
    client.proxies = False
    assert pickle.loads(pickle.dumps(client)).proxies == {}


# ---- the environment ----------------------------------------------------------------

A, B = "http://a.test/", "https://a.test/"


@pytest.mark.parametrize(
    ("values", "want"),
    [
        # Go contract 11, with ALL_PROXY (decision 16).
        ({}, (None, None)),
        ({"HTTP_PROXY": P}, (P, None)),
        ({"HTTPS_PROXY": P}, (None, P)),
        ({"ALL_PROXY": P}, (P, P)),
        ({"ALL_PROXY": P, "HTTPS_PROXY": Q}, (P, Q)),
        ({"http_proxy": "p:1"}, (P, None)),
        ({"http_proxy": "p:1", "HTTP_PROXY": Q}, (P, None)),
        ({"http_proxy": "", "HTTP_PROXY": Q}, (None, None)),
        ({"http_proxy": "", "all_proxy": Q}, (Q, Q)),
        ({"https_proxy": P, "HTTPS_PROXY": Q}, (None, P)),
        ({"ALL_PROXY": P, "NO_PROXY": "*"}, (None, None)),
        ({"ALL_PROXY": P, "NO_PROXY": "a.test"}, (None, None)),
        ({"ALL_PROXY": P, "NO_PROXY": "a.test:443"}, (P, None)),
        ({"ALL_PROXY": P, "NO_PROXY": "a.test", "no_proxy": "b.test"}, (P, P)),
        ({"HTTPS_PROXY": P, "REQUEST_METHOD": "GET"}, (None, P)),
        ({"http_proxy": P, "REQUEST_METHOD": "GET"}, (P, None)),
    ],
)
def test_s129_the_environment(values, want, environment):
    environment(**values)
    found = Environment.look()
    if found is None:
        assert want == (None, None)
        return
    settings = settle(None, None, True)
    assert tuple(chosen(settings, url.strip("/")) for url in (A, B)) == want


def test_s129_cgi(environment, new_client):
    """HTTP_PROXY may be a header that a stranger sent."""
    environment(HTTP_PROXY="http://p.invalid", HTTPS_PROXY="http://q.invalid")
    environment(REQUEST_METHOD="GET")
    client = new_client()
    with pytest.raises(hpool.InvalidProxyURL) as caught:
        client.get("http://a.invalid/")
    assert "HTTP_PROXY is not used in a CGI program (REQUEST_METHOD is set)" in str(
        caught.value
    )
    assert goes(client, "https://a.invalid/") == "http://q.invalid:80"
    assert goes(new_client(trust_env=False), "http://a.invalid/") is None
    assert goes(client, "http://a.invalid/", proxy="r.invalid") == "http://r.invalid:80"


def test_s129_lower_case_wins(environment, new_client):
    environment(HTTP_PROXY="http://p.invalid", http_proxy="http://q.invalid")
    assert goes(new_client(), "http://a.invalid/") == "http://q.invalid:80"


def test_the_environment_is_read_once(environment, new_client):
    environment(HTTP_PROXY="http://p.invalid", NO_PROXY="b.invalid")
    client = new_client()
    environment(HTTP_PROXY="http://q.invalid", NO_PROXY="a.invalid")
    assert goes(client, "http://a.invalid/") == "http://p.invalid:80"
    assert goes(client, "http://b.invalid/") is None
    assert goes(new_client(), "http://b.invalid/") == "http://q.invalid:80"


def test_explicit_comes_before_the_environment(environment, new_client):
    """As in requests: what is not said is left to the environment, and NO_PROXY
    is about the environment's own."""
    environment(ALL_PROXY="http://p.invalid", NO_PROXY="b.invalid")
    http, https = "http://a.invalid/", "https://a.invalid/"
    client = new_client(proxies={"http": "http://q.invalid"})
    assert goes(client, http) == "http://q.invalid:80"
    assert goes(client, https) == "http://p.invalid:80"
    assert goes(client, "http://b.invalid/") == "http://q.invalid:80"
    assert goes(client, "https://b.invalid/") is None
    assert goes(client, https, proxies={"https": None}) is None
    assert goes(client, https, proxies={}) is None
    assert goes(new_client(proxies={"http": None}), http) is None
    for none in ({"proxy": False}, {"proxies": False}, {"trust_env": False}):
        assert goes(new_client(**none), http) is None
    assert goes(new_client(proxies={}), http) == "http://p.invalid:80"
    client.proxies = {}
    assert goes(client, http) == "http://p.invalid:80"
    client.proxies = False
    assert goes(client, http) is None


def test_this_machine_is_never_asked_through_the_environments(
    server, environment, new_client
):
    """Decision 16: an explicit proxy is used for it, too."""
    s, proxy = server(OK), server(OK)
    environment(ALL_PROXY=proxy.url)
    client = new_client()
    for host in ("127.0.0.1", "localhost"):
        assert client.get(f"http://{host}:{s.port}/").connection.proxy is None
    assert client.get("http://a.test/").connection.proxy == proxy.url
    explicit = new_client(proxy=proxy.url)
    assert explicit.get(s.url).connection.proxy == proxy.url


def test_a_bad_variable_is_refused_when_it_would_be_used(environment, new_client):
    environment(HTTP_PROXY="socks4://me:geheim@p", HTTPS_PROXY="http://p.invalid")
    client = new_client()
    assert goes(client, "https://a.invalid/") == "http://p.invalid:80"
    with pytest.raises(
        hpool.InvalidProxyURL, match="^HTTP_PROXY: .*not socks4"
    ) as caught:
        client.get("http://a.invalid/")
    assert "geheim" not in str(caught.value)
    assert caught.value.request.url == "http://a.invalid/"


def test_the_shared_client(environment):
    program = """
import hpool, os, sys
os.environ["http_proxy"] = "http://p.invalid"
try:
    hpool.get("http://a.invalid/")
except hpool.ProxyError as exc:
    assert "the proxy http://p.invalid:80" in str(exc), exc
else:
    raise AssertionError
hpool.configure(proxy="http://q.invalid")
try:
    hpool.get("http://a.invalid/")
except hpool.ProxyError as exc:
    assert "the proxy http://q.invalid:80" in str(exc), exc
"""
    child.run(program)


# ---- cost --------------------------------------------------------------------------------


def python_calls(function):
    """The Python functions of hpool that this calls."""
    called = set()

    def note(frame, event, arg):
        if event == "call" and "hpool" in frame.f_code.co_filename:
            called.add(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return called


def test_one_proxy_for_everything_runs_no_python(server, environment, new_client):
    s = server(OK)
    for how in (
        {"proxy": s.url},
        {"proxies": {"http": s.url}},
        {"proxies": {"http://": s.url, "https": None}},
    ):
        client = new_client(**how)
        client.get("http://a.test/").close()
        assert python_calls(lambda: client.get("http://a.test/").close()) == set()  # noqa: B023
    environment(HTTP_PROXY="http://p.invalid")
    client = new_client(proxy=s.url)  # the environment is never asked
    client.get("http://a.test/").close()
    assert python_calls(lambda: client.get("http://a.test/").close()) == set()
    client = new_client(proxies={"http://a.test": s.url})
    client.get("http://a.test/").close()
    asked = python_calls(lambda: client.get("http://a.test/").close())
    assert "Proxies.choose" in asked


LIGHT = """
import sys
import hpool

client = hpool.Client()
client.get(sys.argv[1]).content
assert not [m for m in sys.modules if m.startswith("hpool.policy.prox")]
hpool.Proxy
assert "hpool.policy.proxy" in sys.modules
"""


def test_nothing_is_imported_without_a_proxy(server):
    s = server(OK)
    child.run(LIGHT, s.url)


def test_uds_and_a_proxy_exclude_each_other(server, environment, new_client, tmp_path):
    path = tmp_path / "socket"
    with pytest.raises(hpool.InvalidArgument, match="a proxy has no effect beside uds"):
        hpool.Client(uds=path, proxy=P)
    server(OK, uds=path)
    environment(ALL_PROXY=P)
    client = new_client(uds=path)
    assert client.get("http://a.test/").content == b"ok"
    with pytest.raises(
        hpool.InvalidArgument, match="connections all go to a Unix socket"
    ):
        client.get("http://a.test/", proxy=P)
    assert os.environ["ALL_PROXY"] == P
