"""`import hpool as requests`: everyday code, side by side.

Each snippet, after a topic of requests' documentation, runs once with requests
and once with hpool in its place, on the same server. What the server saw and
what the snippet got must be the same. What is meant to differ is in
side_by_side.py and in the tests below, and is told in docs/coming-from.rst.
"""

import gzip
import io
import json
import pickle

import pytest
import requests

import hpool
from tests.client.side_by_side import answer, both, fixed, run, without_boundary
from tests.server.scripted import serve

SNIPPETS = []

theirs = requests


def snippet(function):
    SNIPPETS.append(function)
    return function


# ---- quickstart: URLs and what is sent ---------------------------------------


@snippet
def verbs(requests, url):
    return [
        requests.get(url).json()["method"],
        requests.post(url, data={"key": "value"}).json()["method"],
        requests.put(url, data={"key": "value"}).json()["method"],
        requests.patch(url, data=b"x").json()["method"],
        requests.delete(url).json()["method"],
        requests.head(url).content,
        requests.options(url).json()["method"],
        requests.request("GET", url).json()["method"],
        requests.request("get", url).json()["method"],
        requests.request(method="PURGE", url=url).json()["method"],
    ]


@snippet
def params(requests, url):
    for given in (
        {"key1": "value1", "key2": "value2"},
        {"key1": "value1", "key2": ["value2", "value3"]},
        {"a": None, "b": 1, "c": "ä ö&"},
        [("a", "1"), ("a", "2")],
        (("a", "1"), ("b", b"2")),
        "raw=1&x",
        b"bytes=1",
        {},
        None,
        {"t": True, "f": 1.5},
    ):
        yield requests.get(url + "/get", params=given).url
        yield requests.get(url + "/get?x=y#frag", params=given).url
    yield requests.get(url + "/", {"positional": 1}).url


@snippet
def urls(requests, url):
    for path in ("", "/", "/a b", "/ä?ö=ü", "/%2F", "/x?a=b c", "//a", "/a?b?c", "/a;b=c", "/[x]", "/x#y", "?q", "/a%zz"):  # fmt: skip
        yield requests.get(url + path).json()["target"]


@snippet
def forms(requests, url):
    for data in (
        {"key1": "value1", "key2": "value2"},
        [("key1", "value1"), ("key1", "value2")],
        {"key1": ["value1", "value2"]},
        {"a": None, "b": "ä", "c": 1},
        "string",
        "strïng".encode(),
        b"bytes",
        '{"a": 1}',
        {},
        "",
        b"",
        None,
    ):
        yield requests.post(url, data=data).json()["body"]
    yield requests.post(url, {"positional": 1}).json()["body"]


@snippet
def json_bodies(requests, url):
    for value in ({"some": "data"}, [1, "ä"], "text", 1, {}, []):
        yield requests.post(url, json=value).ok
    yield requests.post(url, None, {"positional": 1}).status_code
    yield requests.get(url, json={"a": 1}).ok


@snippet
def custom_headers(requests, url):
    requests.get(url, headers={"user-agent": "my-app/0.0.1", "X-A": b"bytes"})
    requests.get(url, headers={"Accept": None, "X-B": ""})
    requests.post(url, data={"a": "b"}, headers={"content-type": "text/x"})
    requests.get(url, headers={"Cookie": "a=1", "Authorization": "Token x"})
    requests.get(url, headers={"Host": "other.test"})


@snippet
def files(requests, url):
    def post(**how):
        return without_boundary(requests.post(url, **how).json()["body"])

    with open(__file__, "rb") as f:
        yield post(files={"file": f})[:200]
    yield post(files={"file": ("report.csv", "some,data\n")})
    yield post(files={"file": ("r.xls", b"x", "application/vnd.ms-excel", {"Expires": "0"})})
    yield post(files={"file": io.BytesIO(b"content")})
    yield post(files={"file": b"bytes"}, data={"a": "b", "c": ["d", "e"]})
    yield post(files=[("i", ("a.png", b"1", "image/png")), ("i", ("b.png", b"2", "image/png"))])
    yield post(files={"a": (None, "no name")})


@snippet
def basic_auth(requests, url):
    from_module = requests.auth.HTTPBasicAuth
    requests.get(url, auth=("user", "pass"))
    requests.get(url, auth=from_module("user", "pä"))
    requests.get(url.replace("//", "//u:p%40@"))
    requests.get(url, auth=("a", "b"), headers={"Authorization": "mine"})
    return from_module("a", "b") == from_module("a", "b")


@snippet
def digest_auth(requests, url):
    auth = requests.auth.HTTPDigestAuth("user", "pass")
    r = requests.get(url + "/authorized", auth=auth)
    return r.status_code, [h.status_code for h in r.history]


@snippet
def custom_auth(requests, url):
    class PizzaAuth(requests.auth.AuthBase):
        def __init__(self, username):
            self.username = username

        def __call__(self, r):
            r.headers["X-Pizza"] = self.username
            return r

    requests.get(url, auth=PizzaAuth("kenneth"))

    def function(r):
        r.headers["X-Function"] = r.method + r.path_url
        return r

    requests.get(url + "/a?b", auth=function)


# ---- quickstart: responses ---------------------------------------------------


@snippet
def text_and_encoding(requests, url):
    r = requests.get(url + "/utf8")
    yield r.text, r.encoding
    r.encoding = "ISO-8859-1"
    yield r.text, r.encoding
    r = requests.get(url + "/latin1")
    yield r.text, r.encoding.lower()


@snippet
def binary(requests, url):
    r = requests.get(url + "/bytes")
    yield r.content, len(r.content)
    yield requests.get(url + "/gzip").content
    yield requests.get(url + "/empty").content
    yield requests.get(url + "/chunked").text


@snippet
def json_answers(requests, url):
    yield requests.get(url + "/json").json()
    yield requests.get(url + "/json").json(parse_float=str)
    for path in ("/broken.json", "/empty"):
        try:
            requests.get(url + path).json()
        except requests.exceptions.JSONDecodeError as error:
            yield isinstance(error, ValueError), error.pos, error.doc


@snippet
def raw(requests, url):
    r = requests.get(url + "/bytes", stream=True)
    yield r.raw.read(10)
    yield b"".join(r.iter_content(1000))[:5]
    r = requests.get(url + "/gzip", stream=True)
    yield gzip.decompress(r.raw.read())
    r = requests.get(url + "/gzip", stream=True)
    r.raw.decode_content = True
    yield r.raw.read()
    yield r.raw.status, r.raw.reason, r.raw.version


@snippet
def streamed(requests, url):
    with requests.get(url + "/bytes", stream=True) as r:
        yield int(r.headers["content-length"])
        target = io.BytesIO()
        for chunk in r.iter_content(chunk_size=128):
            target.write(chunk)
        yield target.getvalue()
    r = requests.get(url + "/bytes", stream=True)
    yield [len(c) for c in r.iter_content(1024)]
    r = requests.get(url + "/utf8", stream=True)
    yield "".join(r.iter_content(1, decode_unicode=True))
    r = requests.get(url + "/utf8")
    yield [r.content, list(r.iter_content(2)), list(r.iter_content(2))]
    r = requests.get(url + "/bytes", stream=True)
    r.close()
    yield next(requests.get(url + "/bytes").iter_content(3))


@snippet
def streamed_lines(requests, url):
    r = requests.get(url + "/lines", stream=True)
    yield [json.loads(line) for line in r.iter_lines() if line]
    yield list(requests.get(url + "/lines").iter_lines())
    r = requests.get(url + "/lines", stream=True)
    if r.encoding is None:
        r.encoding = "utf-8"
    yield list(r.iter_lines(decode_unicode=True))


@snippet
def consumed(requests, url):
    r = requests.get(url + "/bytes", stream=True)
    list(r.iter_content(100))
    try:
        r.content
    except RuntimeError:
        yield "RuntimeError"
    for wrong in (1, "x"):
        try:
            next(r.iter_content(wrong))
        except TypeError:
            yield "TypeError"


@snippet
def status_codes(requests, url):
    r = requests.get(url + "/status/200")
    yield r.status_code == requests.codes.ok, r.raise_for_status() and None, r.ok
    for code in (404, 500):
        bad = requests.get(f"{url}/status/{code}")
        yield bad.status_code, bad.reason, bad.ok, bool(bad)
        try:
            bad.raise_for_status()
        except requests.exceptions.HTTPError as error:
            yield error.response.status_code, error.request.method, str(error)


@snippet
def response_headers(requests, url):
    r = requests.get(url + "/json")
    yield r.headers["Content-Type"], r.headers.get("content-type")
    yield "CONTENT-TYPE" in r.headers, r.headers.get("x-none"), dict(r.headers)
    yield sorted(k.lower() for k in r.headers)
    yield requests.get(url + "/twice").headers["X-A"]
    yield r.request.headers["Accept"], r.request.method, r.request.body


@snippet
def response_details(requests, url):
    r = requests.get(url + "/json")
    yield repr(r), r.url, r.reason, r.history, r.is_redirect, r.next
    yield r.is_permanent_redirect, r.elapsed.total_seconds() < 5, r.links
    copy = pickle.loads(pickle.dumps(r))
    yield copy.json(), copy.url, copy.status_code, copy.headers == r.headers
    yield requests.get(url + "/links").links
    yield [type(r.raise_for_status()).__name__ != "x", list(r) != []]


@snippet
def requests_of_responses(requests, url):
    r = requests.post(url + "/a?b", data={"k": "v"}, params={"c": "d"})
    yield r.request.url, r.request.path_url, r.request.body in ("k=v", b"k=v")
    yield r.request.headers["Content-Type"], repr(type(r.request).__name__)


# ---- quickstart: cookies, redirects, time, errors ----------------------------


@snippet
def cookies(requests, url):
    r = requests.get(url + "/cookies/set")
    yield r.cookies["a"], r.cookies.get("b"), r.cookies.get("none")
    yield requests.utils.dict_from_cookiejar(r.cookies)
    requests.get(url, cookies={"cookies_are": "working"})
    jar = requests.cookies.RequestsCookieJar()
    jar.set("tasty_cookie", "yum", domain="127.0.0.1", path="/cookies")
    jar.set("gross_cookie", "blech", domain="127.0.0.1", path="/elsewhere")
    yield requests.get(url + "/cookies", cookies=jar).json()["cookie"]
    yield requests.get(url).json()["cookie"]


@snippet
def redirection(requests, url):
    for status in (301, 302, 303, 307, 308):
        for method in ("GET", "POST"):
            body = b"x" if method == "POST" else None
            r = requests.request(method, f"{url}/redirect/{status}", data=body)
            yield r.status_code, r.url, [h.status_code for h in r.history]
            yield r.request.method, r.request.body
    r = requests.get(url + "/redirect/302", allow_redirects=False)
    yield r.status_code, r.history, r.is_redirect, r.next.url, r.headers["location"]
    yield requests.head(url + "/redirect/302").status_code
    r = requests.head(url + "/redirect/302", allow_redirects=True)
    yield r.status_code, r.request.method
    yield requests.get(url + "/lost").status_code
    yield requests.get(url + "/redirect/302#frag").url


@snippet
def login(requests, url):
    r = requests.post(url + "/login", data={"user": "u"})
    return r.json(), r.history[0].cookies.get_dict(), r.cookies.get_dict()


@snippet
def errors(requests, url):
    def name(function):
        try:
            function()
        except requests.exceptions.RequestException as error:
            kinds = [k.__name__ for k in type(error).__mro__]
            known = [k for k in kinds if hasattr(theirs.exceptions, k)]
            return known[0] if known else kinds
        return None

    get = requests.get
    yield name(lambda: get("no-scheme"))
    yield name(lambda: get("ftp://a.test/"))
    yield name(lambda: get("http://"))
    yield name(lambda: get("http://127.0.0.1:1/"))
    yield name(lambda: get(url + "/loop"))
    yield name(lambda: get(url + "/away"))
    yield name(lambda: get(url, headers={"x": "a\nb"}))
    yield name(lambda: get(url + "/status/404").raise_for_status())
    yield name(lambda: requests.post(url, json=float("nan")))


@snippet
def wrong_arguments(requests, url):
    for how in ({"nonsense": 1}, {"headers": {"a": object()}}, {"cookies": 3}):
        try:
            requests.get(url, **how)
        except (TypeError, ValueError, requests.exceptions.RequestException):
            yield "refused"


# ---- advanced ----------------------------------------------------------------


@snippet
def sessions(requests, url):
    s = requests.Session()
    s.get(url + "/cookies/set")
    yield s.get(url).json()["cookie"]
    s.auth = ("user", "pass")
    s.headers.update({"x-test": "true"})
    s.params = {"p": "1"}
    s.get(url, headers={"x-test2": "true"}, params={"q": "2"})
    s.get(url, headers={"x-test": None}, params={"p": None})
    s.headers["X-A"] = "b"
    del s.headers["X-Test"]
    yield s.get(url, cookies={"from-my": "browser"}).json()
    yield s.get(url).json()["cookie"]
    s.cookies.set("c", "3", domain="127.0.0.1", path="/")
    s.get(url + "/cookies/clear")
    yield s.get(url).json()["cookie"]
    yield s.cookies.get_dict(), sorted(c.name for c in s.cookies)
    s.cookies.clear()
    yield s.get(url).json()["cookie"]
    s.close()
    with requests.session() as s:
        yield s.get(url + "/status/404").status_code


@snippet
def session_defaults(requests, url):
    s = requests.Session()
    yield s.max_redirects, s.trust_env, s.verify, s.cert, s.auth, dict(s.proxies)
    yield s.params, s.hooks, list(s.cookies)
    s.verify = False
    s.cert = None
    s.trust_env = False
    s.stream = True
    s.max_redirects = 2
    s.proxies.update({"https": "http://p.test"})
    yield s.verify, s.trust_env, s.max_redirects, dict(s.proxies)
    r = s.get(url + "/bytes")
    yield r.raw.read(3)
    try:
        s.get(url + "/loop")
    except requests.TooManyRedirects as error:
        yield error.response.status_code


@snippet
def positional(requests, url):
    s = requests.Session()
    s.request("POST", url, {"p": "1"}, {"d": "2"}, {"X-H": "3"}, {"c": "4"}, None,
              ("u", "p"), 5, False)  # fmt: skip
    s.get(url)
    s.post(url, {"d": "1"})
    s.post(url, None, {"j": 1})
    s.put(url, {"d": "1"})
    s.patch(url, b"x")


@snippet
def prepared_requests(requests, url):
    s = requests.Session()
    s.headers["X-Session"] = "1"
    s.cookies.set("k", "v", domain="127.0.0.1", path="/")
    s.auth = ("u", "p")
    req = requests.Request("POST", url + "/a", data={"a": "b"}, headers={"X-H": "1"})
    prepped = req.prepare()
    prepped.body = "No, I want exactly this as the body."
    prepped.prepare_content_length(prepped.body)
    del prepped.headers["Content-Type"]
    r = s.send(prepped, stream=False, verify=True, cert=None, proxies={}, timeout=5)
    yield r.status_code, r.json()["body"]
    prepped = s.prepare_request(req)
    prepped.headers["Keep-Dead"] = "parrot"
    yield prepped.method, prepped.url, prepped.path_url, prepped.headers["X-Session"]
    yield prepped.headers["Authorization"], prepped.headers["Cookie"]
    settings = s.merge_environment_settings(prepped.url, {}, None, None, None)
    yield s.send(prepped, **settings).json()
    p = requests.Request("GET", url, params={"q": "ä"}, auth=("a", "b"), cookies={"c": "d"}).prepare()
    yield p.url, p.body, p.headers["Authorization"], p.headers["Cookie"], p.method
    copy = p.copy()
    copy.headers["X-Copy"] = "1"
    yield "X-Copy" in p.headers, s.send(copy, allow_redirects=False).ok
    yield requests.Request("POST", url, json={"a": 1}).prepare().headers["Content-Type"]


@snippet
def send_follows(requests, url):
    s = requests.Session()
    p = requests.Request("POST", url + "/login", data={"a": "b"}).prepare()
    r = s.send(p)
    yield r.json(), [h.status_code for h in r.history], s.cookies.get_dict()
    yield s.send(p, allow_redirects=False).status_code


@snippet
def steps(requests, url):
    s = requests.Session()
    p = requests.Request("GET", url + "/login").prepare()
    r = s.send(p, allow_redirects=False)
    yield s.get_redirect_target(r)
    yield [q.json() for q in s.resolve_redirects(r, p)]
    yield next(s.resolve_redirects(r, p, yield_requests=True)).url
    yield s.should_strip_auth("http://a.test/", "http://b.test/")
    yield s.should_strip_auth("http://a.test/", "http://a.test:80/x")
    yield s.should_strip_auth("https://a.test/", "https://a.test:444/x")


@snippet
def hooks(requests, url):
    seen = []

    def print_url(r, *args, **kwargs):
        seen.append((r.url, sorted(kwargs) != []))

    def record(r, *args, **kwargs):
        r.encoding = "ascii"
        return r

    requests.get(url + "/", hooks={"response": print_url})
    r = requests.get(url + "/", hooks={"response": [print_url, record]})
    yield r.encoding
    s = requests.Session()
    s.hooks["response"].append(print_url)
    s.get(url + "/redirect/302")
    yield seen


@snippet
def uploads(requests, url):
    def generator():
        yield b"hi"
        yield b"there"

    yield requests.post(url, data=generator()).json()["body"]
    yield requests.post(url, data=io.BytesIO(b"file")).json()["body"]
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    yield requests.post(url, data=file).json()["body"]
    with open(__file__, "rb") as f:
        yield len(requests.post(url, data=f).json()["body"])
    yield requests.post(url, data=iter([])).json()["body"]
    yield requests.put(url + "/redirect/307", data=io.BytesIO(b"again")).json()["body"]


@snippet
def subclasses(requests, url):
    class Base(requests.Session):
        def __init__(self, base):
            super().__init__()
            self.base = base
            self.calls = []

        def request(self, method, url, *args, **kwargs):
            self.calls.append(method)
            return super().request(method, self.base + url, *args, **kwargs)

    s = Base(url)
    yield s.get("/a", params={"x": "y"}).json(), s.post("/b", data={"c": "d"}).json()
    yield s.request("DELETE", "/c").json(), s.calls

    class Sends(requests.Session):
        def send(self, request, **kwargs):
            request.headers["X-Sent"] = request.method
            kwargs["timeout"] = 5
            return super().send(request, **kwargs)

    s = Sends()
    s.auth = ("u", "p")
    s.cookies.set("k", "v", domain="127.0.0.1", path="/")
    yield s.get(url + "/x", params={"a": "b"}).json()
    yield s.post(url, json=[1]).ok, s.head(url).content
    yield s.get(url + "/bytes", stream=True).raw.read(2)

    class Prepares(requests.Session):
        def prepare_request(self, request):
            p = super().prepare_request(request)
            p.url += "?signed"
            return p

    yield Prepares().get(url + "/x").json()["target"]


@snippet
def pickled_sessions(requests, url):
    s = requests.Session()
    s.headers["X-A"] = "b"
    s.cookies.set("k", "v", domain="127.0.0.1", path="/")
    s.params = {"p": "1"}
    s.max_redirects = 3
    copy = pickle.loads(pickle.dumps(s))
    yield copy.get(url).json(), copy.max_redirects, copy.params


@snippet
def adapters(requests, url):
    from_module = requests.adapters.HTTPAdapter

    class Timeouts(from_module):
        def send(self, request, **kwargs):
            if kwargs.get("timeout") is None:
                kwargs["timeout"] = 4
            request.headers["X-Timeout"] = str(kwargs["timeout"])
            return super().send(request, **kwargs)

    s = requests.Session()
    s.mount("http://", Timeouts(max_retries=1, pool_connections=2, pool_maxsize=5))
    s.mount(url, from_module(pool_maxsize=3))
    yield type(s.get_adapter(url + "/x")) is from_module
    yield type(s.get_adapter("http://other.test/x")) is Timeouts
    yield s.get(url + "/redirect/302").json()
    s = requests.Session()
    s.mount("http://", Timeouts())
    s.get(url)
    s.get(url, timeout=(3, 4))
    yield s.get(url + "/bytes", stream=True).raw.read(4)
    try:
        s.get_adapter("nothing://x")
    except requests.exceptions.InvalidSchema:
        yield "InvalidSchema"


@snippet
def kept_alive(requests, url):
    s = requests.Session()
    for _ in range(3):
        s.get(url)
    s.get(url, headers={"Connection": "close"})


# ---- side by side ------------------------------------------------------------

@pytest.mark.parametrize("function", SNIPPETS, ids=lambda f: f.__name__)
def test_side_by_side(function, server):
    saw, got = run(function, requests, server)
    own_saw, own_got = run(function, hpool, server)
    assert own_got == got
    assert own_saw == saw


# ---- what is meant to differ -------------------------------------------------


def test_a_url_stays_as_it_was_written(server):
    """requests adds the slash, takes quoting off that is not needed, and dots
    out; here what was written goes out."""

    def function(requests, url):
        yield requests.get(url).url
        yield requests.get(url + "/%41/../b").json()["target"]

    (_, theirs), (_, ours) = both(server, function)
    assert theirs == ["<url>/", "/b"]
    assert ours == ["<url>", "/%41/../b"]


def test_json_is_compact_and_utf_8(server):
    def function(requests, url):
        return requests.post(url, json=["ä", 1]).json()["body"].encode("latin-1")

    (_, theirs), (_, ours) = both(server, function)
    assert (theirs, ours) == (b'["\\u00e4", 1]', '["ä",1]'.encode())


def test_a_put_that_is_redirected_becomes_a_get(server):
    """As browsers and Go have it; requests keeps the method at a 301, without
    the body."""

    def function(requests, url):
        return requests.put(url + "/redirect/301", data=b"x").json()["method"]

    assert [got for _, got in both(server, function)] == ["PUT", "GET"]


def test_head_by_request_is_not_followed(server):
    """HEAD by any name."""

    def function(requests, url):
        return requests.request("HEAD", url + "/redirect/302").status_code

    assert [got for _, got in both(server, function)] == [200, 302]


def test_no_length_without_a_body(server):
    s = server(serve(answer))
    requests.delete(s.url)
    hpool.delete(s.url)
    lengths = [r.get("Content-Length") for r in s.requests]
    assert lengths == ["0", None]


def test_a_referer_is_sent_along_redirects(server):
    s = server([serve(answer)])
    hpool.get(s.url + "/redirect/302")
    assert s.requests[1].get("Referer") == s.url + "/redirect/302"


def test_text_without_a_charset_is_utf_8(server):
    def function(requests, url):
        return requests.get(url + "/plain").encoding

    assert [got for _, got in both(server, function)] == ["ISO-8859-1", "utf-8"]


def test_the_module_shares_connections_but_no_cookies(server):
    """requests makes one for each call."""
    s = server([serve(answer)])
    hpool.get(s.url + "/cookies/set")
    assert hpool.get(s.url).json()["cookie"] is None
    assert len(s.connections) == 1


def test_rebuild_auth_of_a_subclass(server):
    """The session of a data portal's documentation: the password goes on to the
    one host it trusts."""
    target = server([serve(answer)])
    source = server([serve(fixed(status=302, Location=f"{target.url}/data"))])

    class Session(hpool.Session):
        def rebuild_auth(self, prepared_request, response):
            seen.append((prepared_request.url, response.request.url))

    class Strips(hpool.Session):
        def should_strip_auth(self, old_url, new_url):
            return False

    seen = []
    for session in (Session(), Strips(), hpool.Session()):
        session.get(source.url, auth=("u", "p"))
    kept = [r.get("Authorization") is not None for r in target.requests]
    assert kept == [True, True, False]
    assert seen == [(f"{target.url}/data", source.url)]


def test_rebuild_method_of_a_subclass(server):
    class Session(hpool.Session):
        def rebuild_method(self, prepared_request, response):
            prepared_request.method = "OPTIONS"

    s = server([serve(answer)])
    assert Session().get(s.url + "/redirect/302").json()["method"] == "OPTIONS"
    assert hpool.Session().get(s.url + "/redirect/302").json()["method"] == "GET"


def test_an_own_send_is_not_given_what_nobody_said(server):
    class Session(hpool.Session):
        def send(self, request, **kwargs):
            given.append(kwargs)
            return super().send(request, **kwargs)

    given = []
    s = server([serve(answer)])
    session = Session()
    session.get(s.url, timeout=3, allow_redirects=False)
    session.get(s.url, timeout=None)
    assert given[0]["timeout"] == 3
    assert given[0]["allow_redirects"] is False
    assert given[1]["timeout"] is None
    session.get(s.url)
    assert "timeout" not in given[2]
    with pytest.raises(hpool.HTTPError):
        session.get(s.url + "/status/404").raise_for_status()
    session = Session(raise_for_status=True)
    with pytest.raises(hpool.HTTPError):
        session.get(s.url + "/status/404")
