"""Other transports than the client's own pool: what serves which URL, and that
everything above them works as ever."""

import pickle

import httpx
import pytest
import requests
import urllib3

import hpool
from hpool.adapters import BaseAdapter, HTTPAdapter
from hpool.policy.mounts import Mounts
from tests.server.scripted import respond, serve


def named(name):
    return hpool.MockTransport(lambda request: (200, {}, name))


def echo(request):
    return 200, {}, f"{request.method} {request.url}"


# ---- which one ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "serves"),
    [
        ("http://b.test/", "http"),
        ("https://b.test/", "all"),
        ("https://a.test/", "host"),
        ("https://A.TEST/", "host"),
        ("https://u:p@a.test/", "host"),
        ("https://a.test:443/", "port"),
        ("https://a.test:444/", "host"),
        ("https://a.test?x", "host"),
        ("https://a.test/v1/x", "path"),
        ("https://a.test/v2/x", "host"),
        ("http://a.test/v1/x", "http"),
        ("https://a.test.evil/", "all"),
        ("https://evila.test/", "all"),
        ("https://x.b.test/", "below"),
        ("https://c.test/", "it and below"),
        ("https://x.y.c.test/", "it and below"),
        ("https://xc.test/", "all"),
        ("https://[::1]/", "v6"),
        ("https://[::1]:8443/", "v6"),
    ],
)
def test_the_most_specific_prefix_serves(url, serves):
    prefixes = {
        "all://": "all",
        "http://": "http",
        "https://a.test": "host",
        "https://a.test/v1/": "path",
        "https://*.b.test": "below",
        "all://*c.test": "it and below",
        "https://[::1]": "v6",
    }
    if serves == "port":
        prefixes["https://a.test:443"] = "port"
    mounts = {prefix: named(name) for prefix, name in prefixes.items()}
    with hpool.Session(mounts=mounts) as session:
        assert session.get(url).text == serves
        assert session.get_adapter(url) is mounts[
            {name: prefix for prefix, name in prefixes.items()}[serves]
        ]


def test_longest_prefix_of_requests():
    """Where no pattern is meant, the same as with requests."""
    prefixes = ["http://", "https://", "https://a.test/", "https://a.test/x/y"]
    theirs = requests.Session()
    ours = hpool.Session()
    for prefix in prefixes:
        adapter = requests.adapters.HTTPAdapter()
        theirs.mount(prefix, adapter)
        ours.mount(prefix, adapter)
    for url in ("http://a.test/", "https://b.test/", "https://a.test/x/y/z",
                "HTTPS://A.test/x", "https://a.test/"):  # fmt: skip
        assert ours.get_adapter(url) is theirs.get_adapter(url)


def test_none_is_the_own_pool(server, new_client):
    s = server([serve(respond(b"real"))])
    client = new_client(
        transport=named("mock"), mounts={f"http://127.0.0.1:{s.port}": None}
    )
    assert client.get(s.url, stream=False).text == "real"
    assert client.get("http://b.test", stream=False).text == "mock"


def test_without_mounts_there_is_an_adapter_of_the_own_pool(server, new_client):
    s = server([serve(respond(b"x"))])
    session = hpool.Session()
    assert session.mounts == {}
    adapter = session.get_adapter(s.url)
    assert isinstance(adapter, HTTPAdapter)
    response = adapter.send(hpool.Request("GET", s.url + "/a").prepare())
    assert (response.content, s.requests[0].target) == (b"x", "/a")
    with pytest.raises(hpool.InvalidSchema, match="mock"):
        session.get_adapter("mock://a")


def test_a_scheme_of_its_own():
    session = hpool.Session()
    session.mount("mock://", hpool.MockTransport(echo))
    assert session.get("mock://a.test/x?y=1").text == "GET mock://a.test/x?y=1"
    with pytest.raises(hpool.InvalidSchema):
        session.get("other://a.test/")


@pytest.mark.parametrize(
    ("mounts", "error", "text"),
    [
        ({"https": named("")}, ValueError, "a prefix is"),
        ({b"https://": named("")}, ValueError, "a prefix is"),
        ({"https://": object()}, TypeError, r"mounts\['https://'\] must be"),
        ({"https://": hpool.MockTransport}, TypeError, "must be an object"),
        ([("https://", None)], TypeError, "takes a mapping"),
    ],
)
def test_bad_mounts(mounts, error, text):
    with pytest.raises(error, match=text):
        hpool.Client(mounts=mounts)
    with pytest.raises(error, match=text):
        hpool.Client().mounts = mounts


def test_bad_transport():
    with pytest.raises(TypeError, match="all://"):
        hpool.Client(transport=3)
    with pytest.raises(TypeError, match="handler must be a callable"):
        hpool.MockTransport(3)
    session = hpool.Session(transport=hpool.MockTransport(lambda r: "text"))
    with pytest.raises(TypeError, match="must return a Response"):
        session.get("http://a.test")
    session = hpool.Session(transport=hpool.MockTransport(lambda r: (1, 2)))
    with pytest.raises(TypeError, match="a tuple of 2"):
        session.get("http://a.test")


def test_mounts_can_be_taken_off_again(server):
    s = server([serve(respond(b"real"))])
    session = hpool.Session(transport=named("mock"))
    assert session.get(s.url).text == "mock"
    session.mounts = {}
    assert session.get(s.url).text == "real"


def test_close_closes_what_is_mounted():
    class Transport(BaseAdapter):
        closed = 0

        def close(self):
            self.closed += 1

    transport = Transport()
    session = hpool.Session(mounts={"http://": transport, "https://": transport})
    session.close()
    assert transport.closed == 1


def test_a_closed_client_asks_nobody():
    transport = hpool.MockTransport(echo)
    client = hpool.Client(transport=transport, retries=3)
    client.close()
    with pytest.raises(hpool.ClosedError, match="the client is closed"):
        client.get("http://a.test/")
    assert transport.requests == []


# ---- MockTransport -----------------------------------------------------------


def test_redirects_cookies_auth_and_hooks_work():
    def handler(request):
        if request.path_url == "/a":
            return 302, {"Location": "/b", "Set-Cookie": "c=1"}, b""
        return hpool.Response(200, content=b"end")

    seen = []
    transport = hpool.MockTransport(handler)
    session = hpool.Session(transport=transport)
    r = session.get(
        "https://a.test/a",
        auth=("u", "p"),
        hooks={"response": lambda r, **how: seen.append(r.status_code)},
    )
    assert (r.text, r.url) == ("end", "https://a.test/b")
    assert [h.status_code for h in r.history] == [302]
    assert seen == [302, 200]
    assert session.cookies.get_dict() == {"c": "1"}
    a, b = transport.requests
    assert a.headers["Authorization"] == b.headers["Authorization"]
    assert ("Cookie" in a.headers, b.headers["Cookie"]) == (False, "c=1")
    assert r.request.url == b.url


def test_digest_works():
    def handler(request):
        if "Authorization" in request.headers:
            return 200, {}, request.headers["Authorization"]
        challenge = 'Digest realm="r", nonce="n", qop="auth"'
        return 401, {"WWW-Authenticate": challenge}, b""

    session = hpool.Session(transport=hpool.MockTransport(handler))
    r = session.get("http://a.test/x", auth=hpool.auth.DigestAuth("u", "p"))
    assert r.text.startswith('Digest username="u"')


def test_the_body_is_recorded_as_bytes_and_can_be_sent_again():
    def handler(request):
        if request.path_url == "/a":
            return 307, {"Location": "/b"}, b""
        return 200, {}, request.body

    transport = hpool.MockTransport(handler)
    session = hpool.Session(transport=transport)
    r = session.post("http://a.test/a", data=iter([b"x", b"y"]))
    assert r.content == b"xy"
    assert [q.body for q in transport.requests] == [b"xy", b"xy"]


def test_what_a_handler_raises_is_raised_with_the_request():
    def handler(request):
        if request.path_url == "/moved":
            return 302, {"Location": "/x"}, b""
        raise hpool.ReadTimeout("too slow")

    session = hpool.Session(transport=hpool.MockTransport(handler))
    for path in ("/x", "/moved"):
        with pytest.raises(hpool.ReadTimeout) as e:
            session.get(f"http://a.test{path}")
        assert e.value.request.url == "http://a.test/x"


def test_retries_work():
    answers = [hpool.ConnectError("no"), (503, {}, b""), (200, {}, b"yes")]

    def handler(request):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    rules = hpool.Retries(3, status_forcelist=[503], backoff_factor=0.001)
    transport = hpool.MockTransport(handler)
    session = hpool.Session(mounts={"mock://": transport}, retries=rules)
    assert session.get("mock://a.test/").text == "yes"
    assert len(transport.requests) == 3


@pytest.mark.parametrize("stream", [True, False])
def test_all_ways_to_read_a_mocked_body(stream):
    def handler(request):
        return hpool.Response(
            200,
            headers={"Content-Type": "application/json; charset=utf-8"},
            content='{"a":\n"ä"}',
            reason="Fine",
        )

    client = hpool.Client(transport=hpool.MockTransport(handler), stream=stream)

    def get():
        return client.get("http://a.test/")

    whole = '{"a":\n"ä"}'
    assert get().json() == {"a": "ä"}
    assert get().text == whole
    assert get().reason == "Fine"
    assert b"".join(get().iter_content(3)) == whole.encode()
    assert list(get().iter_lines()) == whole.encode().split(b"\n")
    assert get().read(2) + get().read() == whole[:2].encode() + whole.encode()
    with get() as r:
        assert next(iter(r)) == b'{"a":\n'
    r = client.get("http://a.test/404")
    assert pickle.loads(pickle.dumps(r)).text == whole


def test_raise_for_status_of_the_client():
    client = hpool.Client(
        transport=hpool.MockTransport(lambda r: (404, {}, b"")),
        raise_for_status=True,
    )
    with pytest.raises(hpool.HTTPError, match="404") as e:
        client.get("http://a.test/")
    assert e.value.request.url == e.value.response.url == "http://a.test/"


# ---- adapters and transports of other libraries ------------------------------


def test_an_adapter_of_requests(server):
    s = server([serve(respond(b"x", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))])
    session = hpool.Session()
    session.mount("http://", requests.adapters.HTTPAdapter())
    r = session.post(f"{s.url}/p", data={"k": "v"})
    assert (type(r), r.content, r.reason) == (hpool.Response, b"x", "OK")
    assert r.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    assert session.cookies.get_dict() == {"a": "1", "b": "2"}
    assert s.requests[0].body == b"k=v"


def test_what_an_adapter_is_given():
    class Adapter(BaseAdapter):
        def send(self, request, stream=False, timeout=None, verify=True,
                 cert=None, proxies=None):  # fmt: skip
            seen.append((stream, timeout, verify, cert, proxies))
            return hpool.Response(200)

    seen = []
    session = hpool.Session(trust_env=False, proxies={"http": "http://p.test"})
    session.mount("https://", Adapter())
    session.get("https://a.test/")
    session.get("https://a.test/", stream=True, timeout=3, verify=False, cert="c")
    default = session.timeout.connect, session.timeout.read
    proxies = dict(session.proxies)
    assert seen == [
        (False, default, True, None, proxies),
        (True, 3, False, "c", proxies),
    ]


@pytest.mark.parametrize(("trust_env", "proxies"), [(True, None), (False, {})])
def test_an_adapter_is_told_whether_the_environment_counts(trust_env, proxies):
    """None: it looks for itself; a dict: it does not."""
    class Adapter(BaseAdapter):
        def send(self, request, **how):
            seen.append(how["proxies"])
            return hpool.Response(200)

    seen = []
    session = hpool.Session(trust_env=trust_env)
    session.mount("https://", Adapter())
    session.get("https://a.test/")
    session.get("https://a.test/", proxy="http://p.test")
    assert seen == [proxies, {"all": "http://p.test"}]


def test_a_transport_of_httpx():
    def handler(request):
        assert isinstance(request, httpx.Request)
        return httpx.Response(
            201, headers=[("a", "1"), ("a", "2")], content=request.content
        )

    client = hpool.Client(transport=httpx.MockTransport(handler))
    r = client.post("https://a.test/", json=[1], stream=False)
    assert (r.status_code, r.reason, r.content) == (201, "Created", b"[1]")
    assert r.headers.get_list("a") == ["1", "2"]


def test_what_httpx_streams_is_read_and_closed():
    class Stream(httpx.SyncByteStream):
        def __init__(self, *pieces):
            self.pieces, self.is_closed = pieces, False

        def __iter__(self):
            for piece in self.pieces:
                yield piece()

        def close(self):
            self.is_closed = True

    def get(stream):
        answer = httpx.Response(200, stream=stream)
        transport = httpx.MockTransport(lambda request: answer)
        return hpool.Client(transport=transport).get("https://a.test/").text

    whole, broken = Stream(lambda: b"x"), Stream(lambda: b"x", lambda: 1 / 0)
    assert get(whole) == "x" and whole.is_closed
    with pytest.raises(ZeroDivisionError):
        get(broken)
    assert broken.is_closed


def test_handle_request_of_anybody():
    class Transport:
        def handle_request(self, request):
            return hpool.Response(200, content=request.url)

    client = hpool.Client(transport=Transport())
    assert client.get("https://a.test/", stream=False).text == "https://a.test/"


# ---- HTTPAdapter -------------------------------------------------------------


@pytest.mark.parametrize(
    "max_retries",
    [
        hpool.Retries(2, status_forcelist=[503], backoff_factor=0),
        urllib3.Retry(2, status_forcelist=[503], backoff_factor=0),
    ],
)
def test_retries_of_an_adapter(server, max_retries):
    answers = iter([respond(status=503), respond(status=503), respond(b"x")])
    s = server([serve(lambda request: next(answers))])
    session = hpool.Session()
    session.mount("http://", HTTPAdapter(max_retries=max_retries))
    assert session.get(s.url).content == b"x"
    assert len(s.requests) == 3


def test_a_number_of_retries_counts_connecting_alone(server):
    """As in requests: what was sent is not sent again."""
    s = server([serve(respond(status=503))])
    adapter = HTTPAdapter(max_retries=2)
    assert (adapter.max_retries.connect, adapter.max_retries.read) == (2, None)
    session = hpool.Session(mounts={"http://": adapter})
    assert session.get(s.url).status_code == 503
    adapter.max_retries = hpool.Retries(0)
    assert session.get(s.url).status_code == 503
    assert len(s.requests) == 2


def test_the_call_overrides_the_retries_of_an_adapter(server):
    s = server([serve(respond(status=503))])
    rules = hpool.Retries(2, status_forcelist=[503], backoff_factor=0)
    session = hpool.Session(mounts={"http://": HTTPAdapter(max_retries=rules)})
    assert session.get(s.url, retries=0).status_code == 503
    assert len(s.requests) == 1


def test_pools_of_adapters():
    adapter = HTTPAdapter()
    assert adapter.poolmanager.limits.max_conns_per_host is None
    assert adapter.poolmanager.limits.max_idle_conns == 100
    adapter = HTTPAdapter(20, 30)
    assert adapter.poolmanager.limits.max_idle_conns == 600
    adapter = HTTPAdapter(pool_maxsize=2, pool_block=True)
    assert adapter.poolmanager.limits.max_conns_per_host == 2


def test_an_adapter_streams_and_keeps_its_connection(server):
    s = server([serve(respond(b"x" * 1000))])
    adapter = HTTPAdapter()
    session = hpool.Session(mounts={"http://": adapter})
    for _ in range(2):
        r = session.get(s.url, stream=True)
        assert b"".join(r.iter_content(100)) == b"x" * 1000
    assert len(s.connections) == 1
    assert adapter.poolmanager.stats().total.reuses == 1
    assert session.stats().total.dials == 0


def test_a_closed_adapter_can_be_used_by_another_session(server):
    s = server(serve(respond(b"x")))
    adapter = HTTPAdapter()
    for _ in range(2):
        with hpool.Session(mounts={"http://": adapter}) as session:
            assert session.get(s.url).content == b"x"
    assert adapter.poolmanager.stats().total.dials == 2


def test_an_overridden_send(server):
    """The everyday adapter that brings a timeout of its own."""

    class TimeoutAdapter(HTTPAdapter):
        def __init__(self, *args, timeout, **kwargs):
            self.timeout = timeout
            super().__init__(*args, **kwargs)

        def send(self, request, **kwargs):
            if kwargs.get("timeout") is None:
                kwargs["timeout"] = self.timeout
            seen.append(kwargs["timeout"])
            return super().send(request, **kwargs)

    seen = []
    s = server([serve(respond(b"x"))])
    session = hpool.Session()
    session.mount("http://", TimeoutAdapter(timeout=7))
    assert session.get(s.url).content == b"x"
    assert session.get(s.url, timeout=3).content == b"x"
    assert seen == [7, 3]


def test_an_overridden_init_poolmanager(server):
    class Source(HTTPAdapter):
        def init_poolmanager(self, *args, **kwargs):
            kwargs["source_address"] = ("127.0.0.2", 0)
            super().init_poolmanager(*args, **kwargs)

    s = server([serve(respond(b"x"))])
    session = hpool.Session(mounts={"http://": Source()})
    assert session.get(s.url).content == b"x"
    assert s.connections[0].peer[0] == "127.0.0.2"

    class Wrong(HTTPAdapter):
        def init_poolmanager(self, *args, **kwargs):
            super().init_poolmanager(*args, retries=3, **kwargs)

    with pytest.raises(TypeError, match="not retries"):
        Wrong()


def test_mounts_are_pickled():
    session = hpool.Session()
    session.mount("https://a.test", HTTPAdapter(max_retries=2))
    copy = pickle.loads(pickle.dumps(session))
    assert list(copy.mounts) == ["https://a.test"]
    assert copy.get_adapter("https://a.test/").max_retries.connect == 2
    assert isinstance(copy.mounts, Mounts)
    session = pickle.loads(pickle.dumps(hpool.Session(transport=HTTPAdapter())))
    assert list(session.mounts) == ["all://"]
    session.mounts = None
    assert pickle.loads(pickle.dumps(session)).mounts == {}
