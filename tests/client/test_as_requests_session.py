"""Sessions as people lean on them: attributes, methods put in place of ours,
adapters, patched classes; side by side with requests."""

import copy
import functools
import os
import pickle
import ssl
import sys
import threading
import weakref
from unittest import mock

import pytest
import requests
from urllib3 import PoolManager

import hpool
from tests.client.side_by_side import answer, run
from tests.server.scripted import respond, serve

SNIPPETS = []


def snippet(function):
    SNIPPETS.append(function)
    return function


# ---- attributes --------------------------------------------------------------


@snippet
def attributes_of_ones_own(requests, url):
    s = requests.Session()
    s.my_tag = 1
    s.state = {"a": 2}
    yield s.my_tag, vars(s)["state"], hasattr(s, "other")
    del s.my_tag
    yield hasattr(s, "my_tag"), weakref.ref(s)() is s


@snippet
def a_timeout_for_all(requests, url):
    """The idiom."""
    s = requests.Session()
    s.request = functools.partial(s.request, timeout=5, headers={"X-By": "partial"})
    yield s.get(url).json()["method"], s.post(url, json={}).json()["method"]
    yield s.request("PUT", url).json()["method"]


@snippet
def an_own_verb(requests, url):
    s = requests.Session()
    s.get = functools.partial(s.get, params={"always": "1"})
    yield s.get(url).json()["target"], s.head(url).ok


@snippet
def an_assigned_send(requests, url):
    s = requests.Session()
    s.headers["X-S"] = "1"
    plain = s.send

    def send(request, **how):
        request.headers["X-Sent"] = request.method
        return plain(request, **how)

    s.send = send
    yield s.get(url, params={"a": "b"}).json(), s.post(url, data="x").json()["body"]
    del s.send
    s.get(url)


@snippet
def assigned_steps(requests, url):
    s = requests.Session()
    s.get_redirect_target = lambda response: None
    yield s.get(url + "/redirect/302").status_code
    s.get_redirect_target = lambda response: "/other" if response.status_code == 404 else None
    yield s.get(url + "/status/404").json()["target"]
    s = requests.Session()
    s.rebuild_method = lambda request, response: setattr(request, "method", "PUT")
    yield s.get(url + "/redirect/302").json()["method"]
    s = requests.Session()
    s.should_strip_auth = lambda old, new: True
    s.get(url + "/redirect/302", auth=("u", "p"))


@snippet
def defaults_read_and_written(requests, url):
    s = requests.Session()
    yield bool(s.stream), s.stream == False, not s.stream  # noqa: E712
    s.stream = True
    yield bool(s.stream), s.stream == True, s.stream != False, str(s.stream)  # noqa: E712
    yield len(s.get(url + "/bytes", stream=not s.stream).content)
    yield s.get(url + "/bytes", stream=s.stream).raw.read(3)
    yield s.get(url + "/bytes").raw.read(3)
    s.params["a"] = "1"
    s.params.update({"b": "2"})
    s.auth = ("u", "p")
    s.stream = False
    s.hooks = {"response": lambda r, **how: setattr(r, "encoding", "ascii")}
    r = s.get(url)
    s.cert = ("a.pem", "b.pem")
    s.verify = "ca.pem"
    yield s.params, s.auth, s.cert, s.verify, r.encoding
    s.proxies = {"https": "http://p.test:1"}
    s.proxies["ftp"] = "http://p.test:2"
    yield dict(s.proxies), s.proxies.get("http")


@snippet
def base_url_of_a_subclass(requests, url):
    """Everybody has written this one."""

    class BaseUrl(requests.Session):
        def __init__(self, base_url=None):
            super().__init__()
            self.base_url = base_url

        def request(self, method, url, *args, **kwargs):
            return super().request(method, self.base_url + url, *args, **kwargs)

    s = BaseUrl(url + "/v1")
    yield s.base_url, s.get("/a").json()["target"], s.post("/b?c").json()["target"]
    s.base_url = url
    yield s.get("/a").json()["target"]


# ---- subclasses --------------------------------------------------------------


@snippet
def an_own_get_adapter(requests, url):
    class Session(requests.Session):
        def get_adapter(self, url):
            asked.append(url)
            return super().get_adapter(url=url)

    asked = []
    s = Session()
    s.get(url + "/a")
    s.get(url + "/redirect/302")
    yield [a.replace(url, "") for a in asked]


@snippet
def an_own_rebuild_proxies(requests, url):
    class Session(requests.Session):
        def rebuild_proxies(self, prepared_request, proxies):
            asked.append((prepared_request.url.replace(url, ""), proxies))
            return super().rebuild_proxies(prepared_request, {})

    asked = []
    s = Session()
    s.trust_env = False
    yield s.get(url + "/redirect/302").status_code
    yield [a for a, _ in asked]


@snippet
def own_settings_of_a_call(requests, url):
    class Session(requests.Session):
        def merge_environment_settings(self, url, proxies, stream, verify, cert):
            settings = super().merge_environment_settings(
                url, proxies, stream, verify, cert
            )
            settings["proxies"].pop("http", None)
            yielded.append(sorted(settings))
            return settings

    yielded = []
    s = Session()
    yield s.get(url).ok, yielded


@snippet
def merged_settings(requests, url):
    s = requests.Session()
    s.verify, s.cert, s.trust_env = "ca.pem", "c.pem", False
    s.proxies = {"http": "http://a.test"}
    merged = s.merge_environment_settings(url, {"https": "x"}, None, None, None)
    yield dict(merged["proxies"]), merged["stream"], merged["verify"], merged["cert"]
    merged = s.merge_environment_settings(url, None, True, False, "d.pem")
    yield dict(merged["proxies"]), merged["stream"], merged["verify"], merged["cert"]


@snippet
def attributes_that_a_pickle_keeps(requests, url):
    s = requests.Session()
    s.headers["X-A"] = "b"
    s.max_redirects = 3
    for other in (copy.copy(s), pickle.loads(pickle.dumps(s))):
        yield other.headers["X-A"], other.max_redirects, other.get(url).ok
    yield sorted(requests.Session.__attrs__)


@snippet
def steps_by_hand(requests, url):
    s = requests.Session()
    s.trust_env = False
    p = requests.Request("GET", url + "/redirect/302", auth=("u", "p")).prepare()
    r = s.send(p, allow_redirects=False)
    q = p.copy()
    q.url = "http://other.test/"
    q.headers["Proxy-Authorization"] = "Basic x"
    s.rebuild_auth(q, r)
    yield "Authorization" in q.headers
    yield dict(s.rebuild_proxies(q, {"http": "http://p.test:1"}))
    yield "Proxy-Authorization" in q.headers, dict(s.rebuild_proxies(q, None))
    q = requests.Request("POST", url, data="x").prepare()
    s.rebuild_method(q, r)
    yield q.method
    s.max_redirects = 0
    try:
        list(s.resolve_redirects(r, p))
    except requests.TooManyRedirects as error:
        yield error.response.status_code


@snippet
def a_request_put_together(requests, url):
    r = requests.Request("POST", url)
    yield r.headers, r.files, r.data, r.params, r.json, r.auth, r.cookies, r.hooks
    r.headers["X-A"] = "b"
    r.params["c"] = "d"
    r.data = {"e": "f"}
    yield requests.Session().send(r.prepare()).json()
    yield requests.Session().send(requests.Session().prepare_request(r)).json()["body"]


# ---- adapters ----------------------------------------------------------------


@snippet
def adapters_by_prefix(requests, url):
    s = requests.Session()
    yield list(s.adapters), [type(a).__name__ for a in s.adapters.values()]
    adapter = requests.adapters.HTTPAdapter()
    s.mount("http://127.0.0.1", adapter)
    s.mount("https://a.test/", adapter)
    yield list(s.adapters), len(s.adapters), "http://" in s.adapters
    yield s.get_adapter(url) is adapter, s.get_adapter("https://a.test/x") is adapter
    s.adapters.pop("http://127.0.0.1")
    yield list(s.adapters), s.get_adapter(url) is adapter, s.get(url).ok
    del s.adapters["http://"]
    yield list(s.adapters), s.adapters.get("http://")
    for call in (lambda: s.get(url), lambda: s.get_adapter(url)):
        try:
            call()
        except requests.exceptions.InvalidSchema:
            yield "nothing is mounted"
    s.mount("http://", requests.adapters.HTTPAdapter())
    yield list(s.adapters), s.get(url).ok


@pytest.mark.parametrize("function", SNIPPETS, ids=lambda f: f.__name__)
def test_side_by_side(function, server):
    saw, got = run(function, requests, server)
    own_saw, own_got = run(function, hpool, server)
    assert own_got == got
    assert own_saw == saw


# ---- patched -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["get", "request", "send"])
def test_a_patched_method_of_the_class(server, name):
    s = server([serve(answer)])
    with mock.patch.object(hpool.Session, name, return_value=5) as method:
        assert hpool.Session().get("http://nowhere.test/") == 5
        assert method.call_count == 1
    assert hpool.Session().get(s.url).ok


def test_a_patched_step_of_the_class(server):
    s = server([serve(answer)])
    other = hpool.Request("PUT", s.url + "/other").prepare()
    patched = mock.patch.object(hpool.Session, "prepare_request", return_value=other)
    with patched:
        assert hpool.Session().get(s.url).json()["method"] == "PUT"
    assert hpool.Session().get(s.url).json()["method"] == "GET"


def test_a_patched_method_of_an_instance(server):
    s = server([serve(answer)])
    session = hpool.Session()
    with mock.patch.object(session, "send", return_value=5) as send:
        assert session.get(s.url) == 5
    request = send.call_args.args[0]
    assert isinstance(request, hpool.PreparedRequest)
    assert session.get(s.url).ok
    with mock.patch.object(session, "request", return_value=6):
        assert session.head(s.url) == 6
    assert session.head(s.url).ok
    assert len(s.connections) == 1


def test_a_specified_mock(server):
    session = mock.create_autospec(hpool.Session, instance=True)
    session.get.return_value = 3
    assert session.get("http://nowhere.test/") == 3


# ---- what stands behind it ---------------------------------------------------


def test_a_client_takes_no_attributes():
    """A misspelled setting is an error there; a session cannot have both."""
    client = hpool.Client()
    with pytest.raises(AttributeError, match="timout"):
        client.timout = 5
    session = hpool.Session()
    for name in ("limits", "retries", "closed"):
        with pytest.raises(AttributeError, match="not writable"):
            setattr(session, name, 1)


def test_a_fixed_name_that_a_subclass_wants(server):
    class Session(hpool.Session):
        retries = None

        def __init__(self):
            super().__init__(retries=hpool.Retries(2))
            self.retries = "mine"

    s = server([serve(answer)])
    session = Session()
    assert session.get(s.url + "/redirect/302").ok
    assert session.get_adapter(s.url).max_retries == hpool.Retries(2)
    assert session.retries == "mine"


def test_assigned_steps_of_a_subclass_of_client(server):
    class Client(hpool.Client):
        pass

    s = server([serve(answer)])
    client = Client()
    with client.get(s.url) as r:
        assert r.ok
    client.send = lambda request, **how: "sent"
    assert client.get(s.url) == "sent"
    client.request = lambda *args, **how: "requested"
    assert client.get(s.url) == "requested"


def test_steps_assigned_before_init(server):
    class Session(hpool.Session):
        def __init__(self):
            self.send = lambda request, **how: request.url
            super().__init__()

    assert Session().get("http://a.test/x") == "http://a.test/x"


def test_attributes_travel_in_a_pickle():
    session = hpool.Session()
    session.my_tag = [1]
    copied = pickle.loads(pickle.dumps(session))
    assert copied.my_tag == [1] and copied.my_tag is not session.my_tag


def test_a_session_in_a_cycle_is_collected():
    import gc

    class Tag:
        pass

    session = hpool.Session()
    session.request = functools.partial(session.request, timeout=5)
    session.tag = Tag()
    gone = weakref.ref(session), weakref.ref(session.tag)
    del session
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_weak_reference_dies_before_the_attributes():
    """As with any object: who is told of the end is told first."""
    order = []

    class Tag:
        def __del__(self):
            order.append("tag")

    session = hpool.Session()
    session.tag = Tag()
    ref = weakref.ref(session, lambda ref: order.append("session"))
    del session
    assert order == ["session", "tag"] and ref() is None


def test_stream_is_a_method_and_a_switch(server):
    s = server([serve(answer)])
    session, client = hpool.Session(), hpool.Client()
    assert not session.stream and client.stream
    assert callable(session.stream)
    with session.stream("GET", s.url + "/bytes") as r:
        assert r.read(3) == bytes(range(3))
    assert session.stream == hpool.Session().stream != client.stream
    assert hash(session.stream) == hash(False)
    session.stream = client.stream
    assert session.stream
    assert pickle.loads(pickle.dumps(session)).stream
    with pytest.raises(TypeError, match="True or False"):
        session.stream = "yes"


def test_base_url_can_be_changed(server):
    s = server([serve(answer)])
    session = hpool.Session(base_url="http://nowhere.test/")
    session.base_url = s.url
    assert session.get("/x").json()["target"] == "/x"
    assert repr(session) == f"<Session {s.url}>"
    assert pickle.loads(pickle.dumps(session)).base_url == s.url
    with pytest.raises(hpool.InvalidArgument, match="base_url must begin"):
        session.base_url = "ftp://a.test"
    assert session.base_url == s.url
    session.base_url = None
    assert session.base_url == "" and repr(session) == "<Session>"


# ---- adapters of the session's own pool --------------------------------------


def test_max_retries_of_the_sessions_own_adapters(server):
    """The idiom: for adapter in session.adapters.values(): ..."""
    busy = [respond(b"", 503), respond(b"", 503)]
    s = server([serve(lambda request: busy.pop() if busy else answer(request))])
    session = hpool.Session()
    rules = hpool.Retries(total=3, status_forcelist=[503], backoff_factor=0)
    for adapter in session.adapters.values():
        adapter.max_retries = rules
    assert session.get(s.url).ok
    assert len(s.requests) == 3 and len(s.connections) == 1
    assert session.get_adapter(s.url).max_retries is rules
    copied = pickle.loads(pickle.dumps(session))
    assert copied.get_adapter(s.url).max_retries == rules
    assert copied.get(s.url).ok


def test_a_deleted_scheme_stays_deleted_in_a_pickle():
    session = hpool.Session()
    del session.adapters["http://"]
    with pytest.raises(KeyError):
        del session.adapters["http://"]
    copied = pickle.loads(pickle.dumps(session))
    assert list(copied.adapters) == ["https://"]
    with pytest.raises(hpool.InvalidSchema, match="nothing is mounted"):
        copied.get("http://127.0.0.1/")


def test_an_adapter_with_a_pool_manager_of_urllib3(server):
    """The idiom to have other TLS settings, or another source address."""

    class Adapter(hpool.adapters.HTTPAdapter):
        def init_poolmanager(self, connections, maxsize, block=False):
            self.poolmanager = PoolManager(
                num_pools=connections,
                maxsize=maxsize,
                block=block,
                ssl_version=ssl.PROTOCOL_TLSv1_2,
                source_address=("127.0.0.4", 0),
            )

    s = server([serve(answer)])
    session = hpool.Session()
    session.mount("http://", Adapter(pool_maxsize=2, pool_block=True))
    assert session.get(s.url).ok
    assert s.connections[0].peer[0] == "127.0.0.4"
    pool = session.get_adapter(s.url).poolmanager
    assert pool.limits.max_conns_per_host == 2
    assert pool.tls.max_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("ssl_version", ssl.PROTOCOL_TLSv1_1, ValueError),
        ("assert_hostname", "a.test", TypeError),
    ],
)
def test_a_pool_manager_that_was_told_what_is_not_on_offer(name, value, error):
    class Adapter(hpool.adapters.HTTPAdapter):
        def init_poolmanager(self, connections, maxsize, block=False):
            self.poolmanager = PoolManager(**{name: value})

    with pytest.raises(error, match=name):
        Adapter()


def test_an_adapter_is_asked_for_once_a_hop(server):
    class Session(hpool.Session):
        def get_adapter(self, url):
            asked.append(url)
            return super().get_adapter(url)

    asked = []
    busy = [respond(b"", 503)]
    s = server([serve(lambda request: busy.pop() if busy else answer(request))])
    rules = hpool.Retries(total=3, status_forcelist=[503], backoff_factor=0)
    session = Session(retries=rules)
    assert session.get(s.url + "/redirect/302").ok
    assert asked == [s.url + "/redirect/302", s.url + "/echo"]


def test_a_mounted_transport_serves_an_own_get_adapter():
    class Session(hpool.Session):
        def get_adapter(self, url):
            return hpool.MockTransport(lambda request: (200, {}, b"mocked"))

    assert Session().get("https://a.test/").text == "mocked"


def test_proxies_that_rebuild_proxies_says(server):
    """The next hop goes there."""
    proxy = server([serve(answer)])
    s = server([serve(answer)])

    class Session(hpool.Session):
        def rebuild_proxies(self, prepared_request, proxies):
            return {"http": proxy.url}

    r = Session().get(s.url + "/redirect/302")
    assert r.json()["target"] == s.url + "/echo"
    assert [len(x.requests) for x in (s, proxy)] == [1, 1]


def test_merged_proxies_are_the_environments_too(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://p.test:1")
    monkeypatch.setenv("no_proxy", "none.test")
    session = hpool.Session()
    merge = session.merge_environment_settings
    for url, given, expected in (
        ("http://a.test/", None, "http://p.test:1"),
        ("http://a.test/", {"http": "x"}, "x"),
        ("http://none.test/", None, None),
    ):
        merged = merge(url, given, None, None, None)["proxies"]
        assert merged.get("http") == expected
    assert merge("http://a.test/", False, None, None, None)["proxies"] is False
    session.trust_env = False
    assert merge("http://a.test/", None, None, None, None)["proxies"] == {}


def test_what_was_taken_back_costs_nothing(server):
    """No Python of hpool's is run for a plain call, as before."""
    s = server([serve(answer)])
    session = hpool.Session()
    session.get(s.url)
    for name in ("send", "get_adapter", "get_redirect_target", "rebuild_auth"):
        setattr(session, name, getattr(session, name))
        delattr(session, name)
    ran = []

    def watch(frame, event, argument):
        if event == "call" and f"{os.sep}hpool{os.sep}" in frame.f_code.co_filename:
            ran.append(frame.f_code.co_qualname)

    sys.setprofile(watch)
    try:
        session.get(s.url)
    finally:
        sys.setprofile(None)
    assert ran == []


def test_attributes_by_many_threads(server):
    """Steps are assigned and taken back while requests are made: each sees one
    or the other."""
    s = server([serve(answer)] * 8)
    session = hpool.Session()
    errors, done = [], threading.Event()

    def get():
        while not done.is_set():
            r = session.get(s.url)
            if not (r == "sent" or r.ok):
                errors.append(r)

    threads = [threading.Thread(target=get) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(50):
        session.send = lambda request, **how: "sent"
        del session.send
    done.set()
    for t in threads:
        t.join()
    assert errors == []


def test_steps_by_hand_take_no_cookie_to_an_origin_that_a_server_named(server):
    named = server([serve(answer)])
    to = {"Location": named.url + "/x"}
    first = server([serve(lambda request: respond(status=302, headers=to))])
    session = hpool.Session(cookies={"k": "v"})
    request = session.prepare_request(hpool.Request("GET", first.url))
    r = session.send(request, allow_redirects=False)
    assert request.headers["Cookie"] == "k=v"
    (last,) = session.resolve_redirects(r, request)
    assert last.json()["target"] == "/x" and last.json()["cookie"] is None
