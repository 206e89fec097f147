"""Redirects: where they lead, what goes there, and when they are not followed."""

import gc
import weakref

import pytest

import hpool
from hpool import _core
from hpool.policy import redirects
from tests.server.scripted import refused_port, respond, serve
from tests.server.world import moved

OK = respond(b"ok")


def redirect(location, status=302, body=b"", **headers):
    headers = {"Location": location, **headers}
    return respond(body, status=status, headers=headers)


@pytest.fixture
def chain(server):
    """chain(answers) -> a server that answers by path: {"/a": answer}; all else
    is 200 with method and body."""

    def start(answers):
        def answer(request):
            if request.target in answers:
                return answers[request.target]
            return respond(f"{request.method} ".encode() + request.body)

        return server([serve(answer)])

    return start


def log(s):
    """(method, target) of every request the server has seen."""
    return [(r.method, r.target) for r in s.requests]


def test_followed_by_default(chain, new_client):
    """Client, Session and the module follow; the response has the history."""
    s = chain({"/a": redirect("/b"), "/b": redirect("/c", 301)})
    for get in (new_client().get, hpool.Session().get, hpool.get):
        r = get(f"{s.url}/a")
        assert (r.status, r.url, r.content) == (200, f"{s.url}/c", b"GET ")
        assert [h.url for h in r.history] == [f"{s.url}/a", f"{s.url}/b"]
        assert [h.status for h in r.history] == [302, 301]
        assert r.request.url == r.url


@pytest.mark.parametrize("name", ["follow_redirects", "allow_redirects"])
def test_not_followed_when_told(chain, new_client, name):
    s = chain({"/a": redirect("/b")})
    r = new_client().get(f"{s.url}/a", **{name: False})
    assert (r.status, r.history) == (302, [])
    r = new_client(**{name: False}).get(f"{s.url}/a")
    assert r.status == 302
    r = new_client(**{name: False}).get(f"{s.url}/a", **{name: True})
    assert r.status == 200


def test_two_names_that_differ(new_client):
    with pytest.raises(TypeError, match="cannot differ"):
        new_client().get(
            "http://127.0.0.1/", follow_redirects=True, allow_redirects=False
        )
    with pytest.raises(TypeError, match="cannot differ"):
        hpool.Client(follow_redirects=True, allow_redirects=False)
    with pytest.raises(TypeError, match="allow_redirects must be True or False"):
        new_client().get("http://127.0.0.1/", allow_redirects=1)


def test_head_is_not_followed_unless_told(chain, new_client):
    s = chain({"/a": redirect("/b")})
    client = new_client()
    assert client.head(f"{s.url}/a").status == 302
    assert client.request("HEAD", f"{s.url}/a").status == 302
    r = client.head(f"{s.url}/a", follow_redirects=True)
    assert (r.status, r.request.method) == (200, "HEAD")
    assert new_client(follow_redirects=True).head(f"{s.url}/a").status == 200


# ---- where a Location leads --------------------------------------------------

LOCATIONS = [
    # asked for, Location as it came, where it leads
    ("http://a.test/x/y?q=1", "z", "http://a.test/x/z"),
    ("http://a.test/x/y?q=1", "/z", "http://a.test/z"),
    ("http://a.test/x/y?q=1", "?r=2", "http://a.test/x/y?r=2"),
    ("http://a.test/x/y", "../z", "http://a.test/z"),
    ("http://a.test/x/y", "../../../z", "http://a.test/z"),
    ("http://a.test/x/y", "./z/./w", "http://a.test/x/z/w"),
    ("http://a.test:81/x", "/z", "http://a.test:81/z"),
    ("http://a.test/x", "//b.test/z", "http://b.test/z"),
    ("https://a.test/x", "//b.test:8443/z", "https://b.test:8443/z"),
    ("http://a.test/x", "HTTP://B.test/z", "http://B.test/z"),
    ("http://a.test/x", "http://b.test", "http://b.test"),
    ("http://a.test/x", "http://b.test?q", "http://b.test?q"),
    ("http://a.test/x", "http://[::1]:81/z", "http://[::1]:81/z"),
    ("http://a.test/x", "/a b", "http://a.test/a%20b"),
    ("http://a.test/x", "/a%20b%2Fc", "http://a.test/a%20b%2Fc"),
    ("http://a.test/x", "/100%", "http://a.test/100%"),
    ("http://a.test/x", "/\u00c3\u00a9", "http://a.test/%C3%A9"),  # UTF-8
    ("http://a.test/x", "/\u00e9", "http://a.test/%C3%A9"),  # Latin-1
    ("http://a.test/x", "/?q=\u00c3\u00a9#\u00c3\u00a9", "http://a.test/?q=%C3%A9#%C3%A9"),
    ("http://a.test/x", "http://b\u00c3\u00bccher.test/", "http://xn--bcher-kva.test/"),
    ("http://a.test/x#f", "/z", "http://a.test/z#f"),
    ("http://a.test/x#f", "/z#g", "http://a.test/z#g"),
    ("http://a.test/x#f", "/z#", "http://a.test/z#f"),
    ("http://a.test/x", "http://u:p@b.test/z", "http://b.test/z"),
    ("http://a.test/x", "/a:b", "http://a.test/a:b"),
    ("http://a.test/x", "/;a=b,c!$'()*", "http://a.test/;a=b,c!$'()*"),
    ("http://a.test/x", "\\\\b.test\\z", "http://a.test/%5C%5Cb.test%5Cz"),
]


@pytest.mark.parametrize(("url", "location", "target"), LOCATIONS)
def test_where_a_location_leads(url, location, target):
    assert redirects.resolve(url, location) == target


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("ftp://a.test/", hpool.InvalidSchema),
        ("mailto:a@b.test", hpool.InvalidSchema),
        ("data:text/plain,x", hpool.InvalidSchema),
        ("b.test:80/x", hpool.InvalidSchema),
        ("http:///x", hpool.InvalidURL),
        ("http://a.test:0x50/", hpool.InvalidURL),
        ("http://a.test:-1/", hpool.InvalidURL),
        ("http://a..test/", hpool.InvalidURL),
        ("http://[::1/", hpool.InvalidURL),
        ("http://a.test\\@b.test:x/", hpool.InvalidURL),
        ("http://a.test\\.b.test/", hpool.InvalidURL),
        ("http://a%2etest/", hpool.InvalidURL),
        ("/a\tb", hpool.InvalidURL),
        ("/a\x00b", hpool.InvalidURL),
        ("/a\x7fb", hpool.InvalidURL),
    ],
)
def test_where_no_location_leads(location, error):
    with pytest.raises(error, match="Location"):
        redirects.resolve("http://a.test/", location)


@pytest.mark.parametrize("how", [{}, {"extensions": {}}])
def test_names_beyond_ascii(world, how):
    """At the start and on the way: one host, one cookie, one connection."""
    answers = iter([moved("/2", headers=[("Set-Cookie", "k=v")]),
                    moved("http://b\u00fccher.test/3".encode())])  # fmt: skip
    w = world(lambda url, request: next(answers, OK))
    with hpool.Client(dial=w.dial, timeout=10) as client:
        auth = {"Authorization": "x"}
        client.get("http://b\u00fccher.test/1", headers=auth, **how).read()
    assert w.urls == [f"http://xn--bcher-kva.test/{n}" for n in (1, 2, 3)]
    assert w.headers("Cookie") == [None, "k=v", "k=v"]
    assert w.headers("Authorization") == ["x"] * 3
    assert len(w.dialed) == 1


# ---- what a response says ----------------------------------------------------


def test_next_request(chain, new_client):
    s = chain({"/a": redirect("/b", 307), "/none": respond(status=307)})
    client = new_client(follow_redirects=False)
    r = client.put(f"{s.url}/a", data=b"body")
    assert r.is_redirect and r.has_redirect_location and not r.is_permanent_redirect
    following = r.next_request
    assert (following.method, following.url) == ("PUT", f"{s.url}/b")
    assert r.next.url == following.url
    assert client.send(following).read() == b"PUT body"
    r = client.get(f"{s.url}/none")
    assert not r.is_redirect and r.next is None
    made = hpool.Response(308, {"Location": "/b"}, url="http://a.test/", method="PUT")
    assert made.is_permanent_redirect and made.next.url == "http://a.test/b"


def test_next_request_of_a_stranger(world, new_client):
    """Who is sent there by hand takes nothing along, to its next hop either;
    but what is put in by hand."""
    w = world(
        lambda url, request: moved("http://b.test/1") if "a.test" in url
        else moved("/2") if url.endswith("1") else OK
    )  # fmt: skip
    client = new_client(dial=w.dial, auth=("u", "p"), cookies={"k": "v"})
    built = client.build_request("GET", "http://a.test/", auth=("own", "pw"))
    for first in (
        client.get("http://a.test/", follow_redirects=False),
        client.send(built, follow_redirects=False),
    ):
        client.send(first.next_request).read()
    assert [url for url in w.urls if "b.test" in url] == [
        "http://b.test/1", "http://b.test/2",
    ] * 2
    for _, request in w.visits:
        is_home = request.get("Host") == "a.test"
        assert bool(request.get("Authorization")) is is_home
        assert bool(request.get("Cookie")) is is_home
    request = first.next_request
    request.prepare_auth(("mine", "pw"))
    client.send(request).read()
    assert w.headers("Authorization")[-2:] == ["Basic bWluZTpwdw=="] * 2


def test_history(chain, new_client):
    """Each has those before it; their small bodies can be read."""
    s = chain({"/a": redirect("/b", body=b"1"), "/b": redirect("/c", body=b"2")})
    r = new_client().get(f"{s.url}/a")
    assert [h.text for h in r.history] == ["1", "2"]
    assert [len(h.history) for h in r.history] == [0, 1]
    assert [h.request.path_url for h in r.history] == ["/a", "/b"]
    assert r.history[0].elapsed and r.elapsed


def test_an_error_on_the_way_knows_its_request(chain, new_client):
    with refused_port() as port:
        s = chain({"/a": redirect(f"http://127.0.0.1:{port}/b")})
        with pytest.raises(hpool.ConnectError) as caught:
            new_client().post(f"{s.url}/a", data=b"x")
    request = caught.value.request
    assert (request.method, request.url) == ("GET", f"http://127.0.0.1:{port}/b")


def test_a_subclass_that_overrides_request(chain):
    """It is asked once, redirects are followed below it."""
    asked = []

    class Mine(hpool.Session):
        def request(self, method, url, **how):
            asked.append((method, sorted(how)))
            return super().request(method, url, **how)

    s = chain({"/a": redirect("/b")})
    with Mine() as session:
        r = session.get(f"{s.url}/a", max_redirects=1, cookies={"a": "b"})
    assert r.ok and asked == [("GET", ["cookies", "max_redirects"])]


def test_the_line_that_made_it(chain, new_client):
    """A leak behind a redirect is the caller's, not hpool's."""
    s = chain({"/a": redirect("/b"), "/b": respond(b"x" * 1_000_000)})
    client = new_client(leak_warnings="trace")
    r = client.get(f"{s.url}/a")
    (leak,) = client.leaks(0)
    assert __file__ in str(leak) and "/b" in str(leak)
    r.close()


def test_a_client_in_its_own_hook_is_collected():
    """A cycle through the settings is no leak."""
    client = hpool.Client()
    client.hooks["response"].append(lambda r, **how: client.get("http://a.test/"))
    client.check_redirect = lambda request, history: client is not None
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


def test_every_hop_is_instrumented(chain, new_client):
    """Each request that is sent is asked for and finished once."""
    told = []

    def instrument(client, method, url):
        told.append(("asked", url))
        return None, lambda response, error: told.append(("finished", response.url))

    s = chain({"/a": redirect("/b")})
    _core._set_instrument(instrument)
    try:
        new_client().get(f"{s.url}/a").read()
    finally:
        _core._set_instrument(None)
    urls = (f"{s.url}/a", f"{s.url}/b")
    assert told == [(what, url) for url in urls for what in ("asked", "finished")]


# ---- beside the real ones ----------------------------------------------------

WALKS = [
    ("GET", [301, 302]),
    ("GET", [303, 307, 308]),
    ("POST", [302]),
    ("POST", [303, 307]),
    ("POST", [307, 308]),
    ("PUT", [307]),
    ("PUT", [303]),
    ("DELETE", [308]),
]


@pytest.mark.parametrize(("method", "statuses"), WALKS)
@pytest.mark.parametrize("name", ["requests", "httpx"])
def test_beside_others(chain, name, method, statuses):
    """The same requests, the same history."""
    library = pytest.importorskip(name)
    paths = {f"/{n}": redirect(f"/{n + 1}", status) for n, status in enumerate(statuses)}
    s = chain(paths)
    body = {"data": b"a=1"} if method in ("POST", "PUT") else {}
    if name == "httpx":
        other = library.Client(follow_redirects=True)
        theirs = {"content": body["data"]} if body else {}
    else:
        other, theirs = library.Session(), body

    def walk(client, how):
        with client:
            r = client.request(method, f"{s.url}/0", **how)
        names = ("Content-Type", "Content-Length", "Transfer-Encoding")
        seen = [
            (q.method, q.target, q.body, [q.get(n) for n in names if q.body])
            for q in s.requests
        ]
        s.requests.clear()
        history = [(h.status_code, str(h.url), h.is_redirect) for h in r.history]
        return seen, history, (r.status_code, str(r.url), r.content)

    assert walk(hpool.Session(), body) == walk(other, theirs)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("http://a.test:81/", "http://a.test:82/"),
        ("http://a.test:443/", "https://a.test/"),
        ("https://a.test:80/", "http://a.test/"),
        ("http://a.test/", "https://a.test/"),
        ("http://a.test/", "http://a.test:8080/"),
    ],
)
@pytest.mark.parametrize("auth", [None, ("u", "p")])
def test_another_port_or_scheme_is_another_origin(first, then, auth, world, ca):
    """Decided so: same scheme, host and port; an upgrade to https is no exception."""
    w = world(lambda url, request: OK if len(w.visits) > 1 else moved(then), "a.test")

    def dial(host, port, timeout):
        is_tls = (then if w.visits else first).startswith("https")
        w.tls_ports = {port} if is_tls else set()
        return w.dial(host, port, timeout)

    headers = {"Cookie": "k=v"}
    if auth is None:
        headers["Authorization"] = "x"
    with hpool.Client(dial=dial, verify=ca.pem, timeout=10) as client:
        client.get(first, headers=headers, auth=auth).read()
    assert w.headers("Authorization")[1] is None and w.headers("Cookie")[1] is None
    assert w.headers("Authorization")[0] is not None


def test_no_referer_has_a_password():
    """Not that of a URL which no request took it out of, either."""
    response = hpool.Response(302, {"Location": "/b"}, url="http://u:p@a.test/x#y")
    assert response.next_request.headers["Referer"] == "http://a.test/x"
