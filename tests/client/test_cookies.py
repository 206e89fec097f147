"""Cookies: which are kept, where they go, and the mapping on top of them."""

import http.cookiejar
import pickle
import sys
import threading
import time

import pytest

import hpool
from hpool.policy import cookie_rules
from tests.server.scripted import respond, serve
from tests.tools import Call


def setting(*lines, body=b"ok", status=200, **headers):
    """A response that sets cookies."""
    fields = [("Set-Cookie", line) for line in lines]
    return respond(body, status=status, headers=fields + list(headers.items()))


@pytest.fixture
def site(server):
    """site(answers) -> (a server that answers by host and path, or by path;
    all else is "ok", settings of a client that finds it as any a.test ...)"""

    def start(answers):
        def answer(request):
            host = request.get("Host").partition(":")[0]
            for key in (f"{host}{request.target}", request.target):
                if key in answers:
                    said = answers[key]
                    return said(request) if callable(said) else said
            return respond(b"ok")

        s = server([serve(answer)])
        names = ("a.test", "b.test", "www.a.test", "evil.test", "co.uk", "x.co.uk")
        return s, {"resolve": {name: ["127.0.0.1"] for name in names}}

    return start


def cookie(s, n=-1):
    """The Cookie header of the n-th request the server has seen."""
    return s.requests[n].get("Cookie")


def taken(url, *lines):
    """A jar after a response from `url` that sets these."""
    jar = hpool.Cookies()
    headers = [("Set-Cookie", line) for line in lines]
    jar.extract(hpool.Response(200, headers=headers, url=url))
    return jar


# ---- rules -------------------------------------------------------------------

SET_AND_SEND = [
    # set by, line, asked for, sent or not
    ("http://a.test/", "k=v", "http://a.test/", True),
    ("http://a.test/", "k=v", "https://a.test/", True),
    ("http://a.test:81/", "k=v", "http://a.test:82/", True),
    ("http://A.test/", "k=v", "http://a.TEST/", True),
    ("http://a.test/", "k=v", "http://www.a.test/", False),  # the host's own
    ("http://www.a.test/", "k=v", "http://a.test/", False),
    ("http://a.test/", "k=v; Domain=a.test", "http://www.a.test/", True),
    ("http://a.test/", "k=v; Domain=.a.test", "http://www.a.test/", True),
    ("http://a.test/", "k=v; domain=A.TEST", "http://www.a.test/", True),
    ("http://www.a.test/", "k=v; Domain=a.test", "http://a.test/", True),
    ("http://x.y.a.test/", "k=v; Domain=a.test", "http://a.test/", True),
    ("http://a.test/", "k=v; Domain=www.a.test", "http://www.a.test/", False),
    ("http://a.test/", "k=v; Domain=b.test", "http://b.test/", False),
    ("http://nota.test/", "k=v; Domain=a.test", "http://a.test/", False),
    ("http://a.test/", "k=v; Domain=test", "http://b.test/", False),
    ("http://a.test/", "k=v; Domain=a.test.", "http://www.a.test/", False),
    ("http://a.test/", "k=v; Domain=.", "http://b.test/", False),
    ("http://x.co.uk/", "k=v; Domain=co.uk", "http://y.co.uk/", False),
    ("http://co.uk/", "k=v; Domain=co.uk", "http://co.uk/", True),
    ("http://co.uk/", "k=v; Domain=co.uk", "http://x.co.uk/", False),
    ("http://127.0.0.1/", "k=v", "http://127.0.0.1/", True),
    ("http://127.0.0.1/", "k=v; Domain=127.0.0.1", "http://127.0.0.1/", True),
    ("http://127.0.0.1/", "k=v; Domain=0.0.1", "http://9.0.0.1/", False),
    ("http://127.0.0.1/", "k=v; Domain=.0.0.1", "http://127.0.0.1/", False),
    ("http://[::1]/", "k=v", "http://[::1]:8080/", True),
    ("http://localhost/", "k=v", "http://localhost/", True),
    ("http://localhost/", "k=v; Domain=localhost", "http://localhost/", True),
    ("http://localhost/", "k=v", "http://x.localhost/", False),
    # The names of mDNS are not what a jar makes of names without a dot.
    ("http://x.local/", "k=v", "http://x.local:81/", True),
    ("http://x.local/", "k=v", "http://y.x.local/", False),
    ("http://x.local/", "k=v", "http://x/", False),
    ("http://x/", "k=v", "http://x/", True),
    ("http://x/", "k=v", "http://x.local/", False),
    ("http://x.local/", "k=v; Domain=x.local", "http://y.x.local/", True),
    ("http://x.local/", "k=v; Domain=x.local", "http://x/", False),
    ("http://x.local/", "k=v; Domain=local", "http://y.local/", False),
    ("http://y.x.local/", "k=v", "http://y.x.local/", True),
    ("http://a.test/x/y", "k=v", "http://a.test/x/z", True),
    ("http://a.test/x/y", "k=v", "http://a.test/", False),
    ("http://a.test/", "k=v; Path=/x", "http://a.test/x", True),
    ("http://a.test/", "k=v; Path=/x", "http://a.test/x/y", True),
    ("http://a.test/", "k=v; Path=/x", "http://a.test/xy", False),
    ("http://a.test/", "k=v; Path=/x/", "http://a.test/x/y?z", True),
    ("https://a.test/", "k=v; Secure", "https://a.test/", True),
    ("https://a.test/", "k=v; Secure", "http://a.test/", False),
    ("http://a.test/", "k=v; Secure", "https://a.test/", False),
    ("https://a.test/", "__Secure-k=v; Secure", "https://a.test/", True),
    ("https://a.test/", "__Secure-k=v", "https://a.test/", False),
    ("https://a.test/", "__Host-k=v; Secure; Path=/", "https://a.test/", True),
    ("https://a.test/", "__Host-k=v; Secure", "https://a.test/", False),
    (
        "https://a.test/",
        "__Host-k=v; Secure; Path=/; Domain=a.test",
        "https://a.test/",
        False,
    ),
    ("http://a.test/", "k=v; Max-Age=60", "http://a.test/", True),
    ("http://a.test/", "k=v; Max-Age=0", "http://a.test/", False),
    ("http://a.test/", "k=v; Max-Age=-1", "http://a.test/", False),
    (
        "http://a.test/",
        "k=v; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "http://a.test/",
        False,
    ),
    (
        "http://a.test/",
        "k=v; Expires=Fri, 01-Jan-2100 00:00:00 GMT",
        "http://a.test/",
        True,
    ),
    ("http://a.test/", f"k={'v' * 4096}", "http://a.test/", False),
    ("http://a.test/", "k=a\x01b", "http://a.test/", False),
    ("http://u:p@a.test/", "k=v", "http://w:q@a.test/", True),
    # Attributes that say nothing are as good as left out.
    ("http://a.test/", "k=v; Max-Age=soon", "http://a.test/", True),
    ("http://a.test/", 'k=v; Max-Age="9"; Path=/x', "http://a.test/x", True),
    ("http://a.test/", "k=v; Max-Age=; Domain=b.test", "http://b.test/", False),
    ("http://a.test/", "k=v; Domain=", "http://a.test/", True),
    ("http://a.test/", "k=v; Domain=", "http://www.a.test/", False),
    ("http://a.test/", "k=v; Domain", "http://a.test/", True),
    ("http://a.test/x/y", "k=v; Path=z", "http://a.test/x/z", True),
    ("http://a.test/x/y", "k=v; Path=z", "http://a.test/", False),
    ("http://a.test/", "k=v; Port=81", "http://a.test/", True),
]


@pytest.mark.parametrize(("url", "line", "asked", "sent"), SET_AND_SEND)
def test_what_is_set_and_where_it_goes(url, line, asked, sent):
    if "\x01" in line:  # which no response can bring through the parser
        headers = {"Set-Cookie": "k=v"}
        jar = hpool.Cookies()
        response = hpool.Response(200, headers=headers, url=url)
        visit = cookie_rules.Visit(response.url, (), [line])
        jar.jar.extract_cookies(visit, visit)
    else:
        jar = taken(url, line)
    assert bool(jar.header(asked)) is sent


def test_names_in_local():
    """Taken out again, kept in a file, found by their name, and set by it."""
    for host in ("x", "x.local", "[::1]"):
        jar = taken(f"http://{host}/", "k=v")
        assert jar.get("k", domain=host.strip("[]")) == "v"
        jar = pickle.loads(pickle.dumps(jar))
        visit = {"Set-Cookie": "k=; Max-Age=0"}
        jar.extract(hpool.Response(200, headers=visit, url=f"http://{host}/"))
        assert not jar
    jar.set("k", "v", domain="x.local")
    assert jar.header("http://x.local/") == jar.header("http://y.x.local/") == "k=v"
    jar.delete("k", domain="x.local")
    assert not jar


def test_a_cookie_in_the_clear_hides_no_secure_one():
    jar = taken("https://a.test/", "k=right; Secure")
    headers = {"Set-Cookie": "k=wrong"}
    jar.extract(hpool.Response(200, headers=headers, url="http://a.test/"))
    assert jar.header("https://a.test/") == "k=right"
    headers = {"Set-Cookie": "k=other"}  # another site's is no matter
    jar.extract(hpool.Response(200, headers=headers, url="http://b.test/"))
    assert jar.header("http://b.test/") == "k=other"


def test_a_cookie_that_is_a_name_alone():
    jar = taken("http://a.test/", "k; Path=/", "=v")
    assert jar.header("http://a.test/x") == "k"
    assert jar.items() == [("k", "")]


@pytest.mark.parametrize("with_list", [True, False])
def test_public_suffixes(monkeypatch, with_list):
    """By the list when it is installed, else by its looks."""
    if with_list:
        pytest.importorskip("publicsuffixlist")
    else:
        monkeypatch.setitem(sys.modules, "publicsuffixlist", None)
    monkeypatch.setattr(cookie_rules, "_public", None)
    for name in ("com", "test", "co.uk", "com.au", "ac.jp"):
        assert cookie_rules.is_public_suffix(name), name
    for name in ("a.com", "example.co.uk", "bbc.uk", "a.b.test"):
        assert not cookie_rules.is_public_suffix(name), name
    assert cookie_rules.is_public_suffix("github.io") is with_list
    assert cookie_rules.is_public_suffix("xn--55qx5d.cn") is with_list
    jar = taken("http://me.github.io/", "k=v; Domain=github.io")
    assert ("k" in jar) is not with_list


def test_longest_path_first():
    jar = taken("http://a.test/x/y", "k=1; Path=/", "k=2; Path=/x/y", "k=3; Path=/x")
    assert jar.header("http://a.test/x/y") == "k=2; k=3; k=1"


def test_ten_thousand_cookies():
    """A server can fill neither the memory nor the next request."""
    lines = [f"k{i}={'v' * 100}" for i in range(10_000)]
    jar = taken("http://a.test/", *lines)
    assert len(jar) <= 180
    header = jar.header("http://a.test/")
    assert len(hpool.policy.cookies._joined(header.split("; "))) <= 8190
    assert "k9999" in jar and "k0" not in jar


def test_one_cookie_at_a_time():
    """The oldest of a host make room for the newest; those of others stay."""
    jar = taken("http://b.test/", "other=1")
    for n in range(300):
        headers = {"Set-Cookie": f"k{n}=v"}
        jar.extract(hpool.Response(200, headers=headers, url="http://a.test/"))
    assert len(jar) == 181 and "other" in jar
    assert "k119" not in jar and "k120" in jar and "k299" in jar


def test_what_is_sent_has_a_limit(site, new_client):
    s, settings = site({})
    jar = {f"k{i}": "v" * 200 for i in range(200)}
    new_client(cookies=jar, **settings).get(f"http://a.test:{s.port}/").read()
    assert len(cookie(s)) <= 8190 and cookie(s).count(";") < 150


# ---- clients -----------------------------------------------------------------


def test_a_client_keeps_cookies(site, new_client):
    s, settings = site({"/set": setting("k=v", "l=w; Path=/set")})
    client = new_client(**settings)
    r = client.get(f"http://a.test:{s.port}/set")
    assert r.cookies["k"] == "v" and r.cookies.get_dict() == {"k": "v", "l": "w"}
    client.get(f"http://a.test:{s.port}/")
    assert cookie(s) == "k=v"
    client.get(f"http://a.test:{s.port}/set")
    assert cookie(s) == "l=w; k=v"
    client.get(f"http://b.test:{s.port}/")
    assert cookie(s) is None
    assert client.cookies["k"] == "v"


def test_a_session_keeps_cookies_and_a_response_its_own(site):
    s, settings = site({"/1": setting("a=1"), "/2": setting("b=2")})
    with hpool.Session(**settings) as session:
        session.get(f"http://a.test:{s.port}/1")
        r = session.get(f"http://a.test:{s.port}/2")
        assert r.cookies.get_dict() == {"b": "2"}
        assert session.cookies.get_dict() == {"a": "1", "b": "2"}


def test_without_cookies_nothing_is_imported():
    """A client whose servers set none never loads the jar."""
    code = (
        "import sys, hpool\n"
        "from tests.server.scripted import ScriptedServer, respond, serve\n"
        "with ScriptedServer([serve(respond(b'ok'))]) as s, hpool.Client() as c:\n"
        "    c.get(s.url).read()\n"
        "    hpool.get(s.url)\n"
        "assert not {'http.cookiejar', 'hpool.policy.flow'} & set(sys.modules)\n"
    )
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_module_level_verbs_forget(site):
    """... after the call; during its redirects they know."""
    s, _ = site({"/a": setting("k=v", status=302, Location="/b")})
    assert hpool.get(f"{s.url}/a").ok
    assert [r.get("Cookie") for r in s.requests] == [None, "k=v"]
    hpool.get(f"{s.url}/b")
    assert cookie(s) is None


def test_a_shared_client_with_cookies_keeps_no_others(site):
    s, _ = site({"/a": setting("k=v")})
    try:
        hpool.configure(cookies={"own": "1"})
        hpool.get(f"{s.url}/a")
        hpool.get(f"{s.url}/b")
        assert [r.get("Cookie") for r in s.requests] == ["own=1", "own=1"]
    finally:
        hpool.configure()


def test_redirects_set_and_send(site, new_client):
    """Cookies are stored and chosen at each hop."""
    s, settings = site({
        "a.test/1": setting("a=1; Domain=a.test", status=302, Location="/2"),
        "a.test/2": lambda _: setting(
            "b=2", status=302, Location=f"http://www.a.test:{s.port}/3"
        ),
        "www.a.test/3": lambda _: setting(
            status=302, Location=f"http://b.test:{s.port}/4"
        ),
    })
    new_client(**settings).get(f"http://a.test:{s.port}/1")
    sent = [r.get("Cookie") for r in s.requests]
    assert sent == [None, "a=1", "a=1", None]


# ---- of a call ---------------------------------------------------------------


def test_cookies_of_a_call(site, new_client):
    """Sent for this call, over the client's of that name, and not kept."""
    s, settings = site({})
    client = new_client(cookies={"a": "client", "b": "client"}, **settings)
    url = f"http://a.test:{s.port}/"
    r = client.get(url, cookies={"a": "call"})
    assert cookie(s) == "a=call; b=client"
    assert r.request.headers["Cookie"] == cookie(s)
    client.get(url)
    assert cookie(s) == "a=client; b=client"


def test_cookies_of_a_call_do_not_come_back(site, new_client):
    """What a server has set does, and what was given with a domain."""
    def to(host, *cookies):
        return lambda _: setting(
            *cookies, status=302, Location=f"http://{host}:{s.port}/2"
        )

    s, settings = site({
        "a.test/1": to("evil.test", "set=1"), "evil.test/2": to("a.test")
    })
    given = hpool.cookies.Cookies({"k": "v"})
    given.set("own", "1", domain="a.test")
    new_client(**settings).get(f"http://a.test:{s.port}/1", cookies=given)
    sent = [r.get("Cookie") for r in s.requests]
    assert sent == ["k=v; own=1", None, "own=1; set=1"]


def test_cookies_without_a_domain_follow_no_redirect(site, new_client):
    """Client(cookies={...}) is for every host that is named, not for those a
    server names."""
    s, settings = site({
        "a.test/1": lambda _: setting(
            status=302, Location=f"http://evil.test:{s.port}/2"
        )
    })
    client = new_client(cookies={"k": "v"}, **settings)
    client.get(f"http://a.test:{s.port}/1")
    client.get(f"http://evil.test:{s.port}/")
    assert [r.get("Cookie") for r in s.requests] == ["k=v", None, "k=v"]


@pytest.mark.parametrize("what", [5, "ab=cd", ["a"], [("a", "b", "c")], object()])
def test_what_cookies_takes(new_client, what):
    for call in (
        lambda: hpool.Client(cookies=what),
        lambda: new_client().get("http://127.0.0.1:1/", cookies=what),
        lambda: setattr(new_client(), "cookies", what),
    ):
        with pytest.raises(TypeError, match="cookies takes a mapping"):
            call()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"a": 1}, TypeError),
        ({1: "a"}, TypeError),
        ({"a": "b\r\nX: y"}, ValueError),
        ({"a": "b\x7f"}, ValueError),
        ({"": "a"}, ValueError),
        ({"a;b": "c"}, ValueError),
        ({"a=b": "c"}, ValueError),
        ({"a": "\u20ac"}, ValueError),
        ({"\u20ac": "a"}, ValueError),
    ],
)
def test_cookies_that_cannot_be(new_client, given, error):
    with pytest.raises(error, match="cookies: "):
        new_client().get("http://127.0.0.1:1/", cookies=given)


def test_a_cookie_header_of_ones_own(site, new_client):
    """It is sent with the jar's, and comes first; a server that sets one of
    its names has the last word (scenario S122)."""
    s, settings = site({
        "/1": setting("jar=1"),
        "/2": setting("own=server", status=302, Location="/3"),
    })
    client = new_client(**settings)
    url = f"http://a.test:{s.port}"
    client.get(f"{url}/1")
    client.get(f"{url}/2", headers={"Cookie": "own=mine; two=2"})
    assert [r.get("Cookie") for r in s.requests] == [
        None,
        "own=mine; two=2; jar=1",
        "two=2; jar=1; own=server",
    ]


def test_a_cookie_header_does_not_follow_to_strangers(site, new_client):
    """Not where a jar has cookies of its own for them, either."""

    def go(request):
        return setting(status=302, Location=f"http://evil.test:{s.port}/2")

    s, settings = site({"a.test/1": go, "evil.test/set": setting("evil=1")})
    client = new_client(**settings)
    client.get(f"http://evil.test:{s.port}/set")
    client.get(f"http://a.test:{s.port}/1", headers={"Cookie": "own=1"})
    assert [r.get("Cookie") for r in s.requests] == [None, "own=1", "evil=1"]


@pytest.mark.parametrize("who", ["client", "module"])
def test_a_server_has_the_last_word_on_cookies_of_a_call(site, new_client, who):
    s, _ = site({"/x/1": setting("k=server", status=302, Location="/x/2")})
    get = new_client().get if who == "client" else hpool.get
    get(f"{s.url}/x/1", cookies={"k": "call", "l": "call"})
    sent = [sorted(r.get("Cookie").split("; ")) for r in s.requests]
    assert sent == [["k=call", "l=call"], ["k=server", "l=call"]]


# ---- the mapping -------------------------------------------------------------


def test_the_mapping():
    jar = hpool.Cookies({"a": "1"})
    jar["b"] = "2"
    jar.update({"c": "3"}, d="4")
    jar.set("e", "5", domain="a.test", path="/x", secure=True)
    assert dict(jar) == {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}
    assert sorted(jar.keys()) == list("abcde") and len(jar) == 5
    assert jar.get("nobody") is None and jar.get("nobody", "x") == "x"
    with pytest.raises(KeyError):
        jar["nobody"]
    with pytest.raises(KeyError):
        del jar["nobody"]
    assert "a" in jar and "nobody" not in jar and 5 not in jar
    assert jar.get("e", domain="a.test") == "5"
    assert jar.get("e", domain="b.test") is None
    assert jar.get("e", path="/") is None
    assert jar.get_dict(domain="a.test") == {"e": "5"}
    assert jar.pop("a") == "1" and "a" not in jar
    assert (jar == 5) is False
    jar["b"] = None
    assert "b" not in jar
    assert jar.setdefault("c", "9") == "3"
    jar.clear(domain="a.test")
    assert "e" not in jar
    assert jar.popitem() == ("c", "3") and "c" not in jar
    jar.clear()
    assert not jar and jar == {} and list(jar) == []
    with pytest.raises(KeyError):
        jar.popitem()


def test_iterating_gives_cookies_as_in_requests():
    jar = hpool.Cookies({"a": "1"})
    assert [(c.name, c.value, c.path) for c in jar] == [("a", "1", "/")]


def test_one_name_for_several():
    jar = hpool.Cookies()
    jar.set("k", "1", domain="a.test")
    jar.set("k", "1", domain="b.test")
    assert jar["k"] == "1"  # they agree
    jar.set("k", "2", domain="b.test")
    with pytest.raises(hpool.CookieConflict, match="domain and path"):
        jar["k"]
    assert jar.get("k", domain=".b.test") == "2"
    assert jar.list_domains() == ["a.test", "b.test"] and jar.multiple_domains()
    del jar["k"]
    assert len(jar) == 0


def test_copies_are_their_own():
    jar = hpool.Cookies({"a": "1"})
    other = jar.copy()
    assert other == jar
    other["a"] = "2"
    assert jar["a"] == "1" and other != jar


def test_a_repr_shows_no_value():
    jar = hpool.Cookies({"session": "s3cret"})
    assert "s3cret" not in repr(jar) and "session" in repr(jar)


def test_live_changes(site, new_client):
    s, settings = site({})
    client = new_client(**settings)
    url = f"http://a.test:{s.port}/"
    client.cookies["k"] = "1"
    client.get(url)
    assert cookie(s) == "k=1"
    client.cookies = {"l": "2"}
    client.get(url)
    assert cookie(s) == "l=2"
    client.cookies.clear()
    client.get(url)
    assert cookie(s) is None
    client.cookies = None
    client.get(url)
    assert cookie(s) is None


@pytest.mark.parametrize("kind", ["MozillaCookieJar", "LWPCookieJar"])
def test_cookies_on_disk(site, new_client, tmp_path, kind):
    """A jar of the standard library reads and writes them; a cookie that is
    the host's own stays that."""
    s, settings = site({
        "/": setting("own=1; Max-Age=60", "all=2; Max-Age=60; Domain=a.test")
    })
    path = str(tmp_path / "cookies")
    client = new_client(**settings)
    client.cookies = jar = getattr(http.cookiejar, kind)(path)
    client.get(f"http://a.test:{s.port}/")
    assert client.cookies.jar is jar
    jar.save()
    other = getattr(http.cookiejar, kind)(path)
    other.load()
    client = new_client(cookies=other, **settings)
    client.get(f"http://a.test:{s.port}/x")
    assert sorted(cookie(s).split("; ")) == ["all=2", "own=1"]
    client.get(f"http://www.a.test:{s.port}/x")
    assert cookie(s) == "all=2"


def test_jars_of_other_libraries(site, new_client):
    requests, httpx = pytest.importorskip("requests"), pytest.importorskip("httpx")
    s, settings = site({})
    url = f"http://a.test:{s.port}/"
    theirs = requests.cookies.RequestsCookieJar()
    theirs.set("r", "1", domain="a.test")
    other = httpx.Cookies()
    other.set("h", "2", domain="a.test")
    for jar, sent in ((theirs, "r=1"), (other, "h=2")):
        new_client(cookies=jar, **settings).get(url)
        assert cookie(s) == sent
        new_client(**settings).get(url, cookies=jar)
        assert cookie(s) == sent


def test_a_policy_of_ones_own_stays():
    """Only the standard library's default gives way to ours."""

    class Mine(http.cookiejar.DefaultCookiePolicy):
        pass

    policy = Mine()
    jar = http.cookiejar.CookieJar(policy)
    assert hpool.Cookies(jar=jar).jar._policy is policy
    jar = http.cookiejar.CookieJar()
    assert type(hpool.Cookies(jar=jar).jar._policy) is cookie_rules.CookieRules


def test_pickled_with_the_client(tmp_path):
    jar = http.cookiejar.MozillaCookieJar(str(tmp_path / "file"))
    with hpool.Client(cookies=jar) as client:
        client.cookies.set("k", "v", domain="a.test")
        with pickle.loads(pickle.dumps(client)) as again:
            assert again.cookies == client.cookies
            assert type(again.cookies.jar) is type(jar)
            assert again.cookies.jar.filename == jar.filename
            again.cookies["k"] = None
            again.cookies.jar.save()
            assert "k" in client.cookies


def test_threads_share_a_jar(site, new_client):
    """Cookies come, go and are looked at from several threads at once."""
    s, settings = site({f"/{i}": setting(f"k{i}={i}") for i in range(40)})
    client = new_client(limits=hpool.Limits(max_conns=4), **settings)
    barrier = threading.Barrier(4)

    def work(first):
        barrier.wait(10)
        for i in range(first, 40, 4):
            client.get(f"http://a.test:{s.port}/{i}").read()
            assert f"k{i}" in client.cookies
            len(client.cookies), client.cookies.get_dict(), dict(client.cookies)

    for call in [Call(work, n) for n in range(4)]:
        call.result()
    assert client.cookies.get_dict() == {f"k{i}": str(i) for i in range(40)}


def test_expired_cookies_are_not_sent():
    jar = hpool.Cookies()
    jar.set("old", "1", expires=int(time.time()) - 1)
    jar.set("new", "1", expires=int(time.time()) + 100)
    assert jar.header("http://a.test/") == "new=1"


def test_as_requests_and_httpx(site, new_client):
    """The same server, the same cookies, side by side."""
    requests, httpx = pytest.importorskip("requests"), pytest.importorskip("httpx")
    s, _ = site({
        "/set": setting("a=1", "b=2; Path=/x", "c=3; Max-Age=0"),
        "/go": setting("d=4", status=302, Location="/x/y"),
    })

    def walk(client):
        for path in ("/set", "/go", "/x/z", "/"):
            client.get(f"{s.url}{path}").content
        sent = [sorted((r.get("Cookie") or "").split("; ")) for r in s.requests]
        s.requests.clear()
        return sent

    ours = walk(new_client())
    with requests.Session() as session:
        assert walk(session) == ours
    with httpx.Client(follow_redirects=True) as client:
        assert walk(client) == ours
