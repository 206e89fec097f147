"""Cookies as people use them: a session's jar, jars of their own, and the
functions around them; side by side with requests."""

import copy
import http.cookiejar
import os
import pickle
import tempfile

import pytest
import requests

import hpool
from tests.client.side_by_side import answer, run
from tests.server.scripted import serve

SNIPPETS = []


def snippet(function):
    SNIPPETS.append(function)
    return function


@snippet
def as_a_mapping(requests, url):
    s = requests.Session()
    s.get(url + "/cookies/set")
    jar = s.cookies
    yield jar["a"], jar.get("a"), jar.get("none"), jar.get("none", 3), "a" in jar
    yield sorted(jar.keys()), sorted(jar.values()), sorted(jar.items()), len(jar)
    yield dict(jar), jar.get_dict(), jar.get_dict(path="/"), jar.get_dict("x.test")
    yield jar.list_domains(), jar.list_paths(), bool(jar), bool(requests.Session().cookies)
    yield jar.pop("a"), jar.pop("a", None), jar.setdefault("k", "v"), jar.get_dict()
    try:
        jar["none"]
    except KeyError:
        yield "KeyError"


@snippet
def put_in_and_taken_out(requests, url):
    s = requests.Session()
    jar = s.cookies
    jar["x"] = "1"
    jar.set("y", "2", domain="127.0.0.1", path="/")
    jar.set_cookie(requests.cookies.create_cookie("z", "3", domain="127.0.0.1"))
    jar.update({"w": "4"})
    s.get(url)
    jar.set("x", None)
    del jar["w"]
    jar.clear("127.0.0.1", "/", "z")
    yield sorted(jar.get_dict())
    jar.clear(domain="127.0.0.1")
    jar.clear()
    s.get(url)


@snippet
def several_of_a_name(requests, url):
    jar = requests.cookies.RequestsCookieJar()
    jar.set("a", "1", domain="x.test")
    jar.set("a", "2", domain="y.test")
    yield jar.get("a", domain="x.test"), len(jar)
    try:
        jar["a"]
    except requests.cookies.CookieConflictError:
        yield "several"


@snippet
def of_one_call(requests, url):
    jar = requests.cookies.RequestsCookieJar()
    jar.set("t", "1", domain="127.0.0.1", path="/")
    jar.set("other", "2", domain="127.0.0.1", path="/elsewhere")
    requests.get(url, cookies=jar)
    plain = http.cookiejar.CookieJar()
    plain.set_cookie(requests.cookies.create_cookie("q", "1"))
    requests.get(url, cookies=plain)
    s = requests.Session()
    s.get(url, cookies={"once": "1"})
    s.get(url)


@snippet
def of_a_response(requests, url):
    r = requests.get(url + "/cookies/set")
    yield r.cookies["a"], dict(r.cookies), sorted(c.name for c in r.cookies)
    s = requests.Session()
    s.cookies.update(r.cookies)
    s.get(url)
    yield dict(requests.get(url).cookies)


@snippet
def kept_in_a_file(requests, url):
    with tempfile.TemporaryDirectory() as folder:
        for kind in (http.cookiejar.LWPCookieJar, http.cookiejar.MozillaCookieJar):
            file = os.path.join(folder, kind.__name__)
            s = requests.Session()
            s.cookies = kind(file)
            s.get(url + "/cookies/set")
            s.cookies.save(ignore_discard=True)
            yield s.cookies.filename == file
            s = requests.Session()
            s.cookies = kind(file)
            s.cookies.load(ignore_discard=True)
            s.get(url)
            yield sorted(c.name for c in s.cookies)


@snippet
def refused_by_a_policy(requests, url):
    class BlockAll(http.cookiejar.CookiePolicy):
        def return_ok(self, *args, **kwargs):
            return False

        set_ok = domain_return_ok = path_return_ok = return_ok
        netscape = True
        rfc2965 = hide_cookie2 = False

    s = requests.Session()
    s.cookies.set_policy(BlockAll())
    s.get(url + "/cookies/set")
    s.get(url)
    yield len(s.cookies)


@snippet
def those_without_a_date(requests, url):
    s = requests.Session()
    s.cookies.set("past", "1", expires=1, domain="127.0.0.1")
    s.get(url + "/cookies/set")
    s.cookies.clear_expired_cookies()
    s.cookies.clear_session_cookies()
    yield s.cookies.get_dict()


@snippet
def copied(requests, url):
    s = requests.Session()
    s.get(url + "/cookies/set")
    for made in (
        s.cookies.copy(),
        copy.deepcopy(s.cookies),
        pickle.loads(pickle.dumps(s.cookies)),
    ):
        made["c"] = "3"
        yield sorted(made.get_dict()), len(s.cookies)
        other = requests.Session()
        other.cookies = made
        other.get(url)


@snippet
def functions(requests, url):
    jar = requests.utils.cookiejar_from_dict({"k": "v"})
    s = requests.Session()
    s.cookies = jar
    s.get(url)
    yield requests.utils.dict_from_cookiejar(s.cookies)
    requests.utils.add_dict_to_cookiejar(s.cookies, {"l": "w"})
    requests.cookies.merge_cookies(s.cookies, {"l": "x", "m": "y"})
    requests.cookies.remove_cookie_by_name(s.cookies, "k")
    yield sorted(requests.utils.dict_from_cookiejar(s.cookies).items())
    r = requests.get(url + "/cookies/set")
    for target in (requests.cookies.RequestsCookieJar(), http.cookiejar.CookieJar()):
        requests.cookies.extract_cookies_to_jar(target, r.request, r.raw)
        yield requests.utils.dict_from_cookiejar(target)
        yield requests.cookies.get_cookie_header(target, r.request)


@snippet
def a_cookie(requests, url):
    s = requests.Session()
    s.get(url + "/cookies/set")
    c = next(c for c in s.cookies if c.name == "a")
    yield c.value, c.domain, c.path, c.secure, c.expires, c.is_expired(), c.discard
    c = requests.cookies.create_cookie("n", "v", domain="a.test", secure=True, expires=1)
    yield c.name, c.value, c.domain, c.path, c.secure, c.is_expired()


@snippet
def a_jar_with_a_say(requests, url):
    """A subclass that keeps some: a server can still take those out."""

    class Some(requests.cookies.RequestsCookieJar):
        def set_cookie(self, cookie, *args, **kwargs):
            if cookie.name != "b":
                super().set_cookie(cookie, *args, **kwargs)

    s = requests.Session()
    s.cookies = Some()
    s.get(url + "/cookies/set")
    s.get(url + "/cookies/foreign")
    yield s.cookies.get_dict()
    s.get(url + "/cookies/clear")
    yield s.cookies.get_dict()


@pytest.mark.parametrize("function", SNIPPETS, ids=lambda f: f.__name__)
def test_side_by_side(function, server):
    saw, got = run(function, requests, server)
    own_saw, own_got = run(function, hpool, server)
    assert own_got == got
    assert own_saw == saw


def test_what_no_jar_has():
    jar = hpool.Session().cookies
    for name in ("no_such", "_private"):
        with pytest.raises(AttributeError, match=name):
            getattr(jar, name)
    with pytest.raises(AttributeError, match="jar"):
        type(jar).__new__(type(jar)).jar


def test_a_raw_knows_no_url(server):
    r = hpool.get(server([serve(answer)]).url + "/cookies/set")
    jar = hpool.cookies.RequestsCookieJar()
    jar.extract_cookies(r.raw, r.request)
    assert jar.get_dict() == {"a": "1", "b": "2"}
    with pytest.raises(AttributeError):
        jar.extract_cookies(r.raw)
