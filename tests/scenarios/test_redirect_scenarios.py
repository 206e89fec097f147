"""Redirects as Go's client knows them, S75 to S78 and S117 to S123: the chain as a
whole, its time, its methods, its headers."""

import gzip
import io

import pytest

import hpool
from tests.server.scripted import (
    close,
    expect,
    respond,
    respond_chunked,
    send,
    serve,
    until_closed,
)
from tests.server.world import moved
from tests.tools import Call, advance, gauges, until_idle

OK = respond(b"ok")
NOTHING = (0, 0, 0, 0, 0)


@pytest.fixture
def visit(world, new_client, ca):
    """visit(answer, *names, setting=...) -> (a world, a client in it)."""

    def make(answer, *names, **settings):
        w = world(answer, *names)
        return w, new_client(dial=w.dial, verify=ca.pem, **settings)

    return make


def script(*statuses):
    """Answers that go through these statuses, then "ok"."""
    left = list(statuses)

    def answer(url, request):
        return moved("/next", left.pop(0)) if left else OK

    return answer


def countdown(url, request):
    """307 from /?n=7 to /?n=6 and so on."""
    n = int(request.target.partition("=")[2])
    return moved(f"/?n={n - 1}", 307) if n else OK


# ---- time --------------------------------------------------------------------


@pytest.mark.parametrize("bound", ["total", "deadline"])
def test_s75_a_redirect_then_a_body_that_stalls(server, new_client, bound):
    """The time of the whole call ends the body behind a redirect."""
    s = server([
        expect(),
        send(moved("/2")),
        expect(),
        send(respond(b"Hello", headers={"Content-Length": 100})),
        until_closed(),
    ])
    client = new_client()
    if bound == "total":
        response = client.get(s.url, timeout=hpool.Timeout(total=0.2))
    else:
        with hpool.deadline(0.2):
            response = client.get(s.url)
    assert response.read1() == b"Hello"
    with pytest.raises(hpool.TotalTimeout) as caught:
        response.read()
    assert isinstance(caught.value, TimeoutError) and caught.value.phase == "body"
    assert caught.value.request.url == f"{s.url}/2"
    s.connections[0].wait_closed()
    assert gauges(client) == NOTHING


def test_s75_a_session_reads_and_so_raises(server):
    """Where the body is read before the call returns, the call raises."""
    s = server([
        expect(),
        send(moved("/2")),
        expect(),
        send(respond(b"Hello", headers={"Content-Length": 100})),
        until_closed(),
    ])
    with hpool.Session() as session, pytest.raises(hpool.TotalTimeout):
        session.get(s.url, timeout=hpool.Timeout(total=0.2))


def test_s76_the_head_behind_a_redirect(server, new_client):
    s = server([expect(), send(moved("/2")), expect(), until_closed()])
    with pytest.raises(hpool.TotalTimeout) as caught:
        new_client().get(s.url, timeout=hpool.Timeout(total=0.1))
    assert caught.value.phase == "head"
    assert caught.value.request.url == f"{s.url}/2"


@pytest.mark.parametrize("how", [{}, {"extensions": {}, "hooks": {"response": []}}])
def test_s76_one_time_for_all_hops(visit, how):
    """Three hops of 40 s each are more than 100 s, though none is by itself."""

    def answer(url, request):
        advance(40)
        return countdown(url, request)

    w, client = visit(answer)
    limit = hpool.Timeout(total=100, read=1000, response_header=1000)
    with pytest.raises(hpool.TotalTimeout, match="100.0 s"):
        client.get("http://a.test/?n=5", timeout=limit, **how)
    assert len(w.visits) == 3


@pytest.mark.parametrize("way", ["get", "send"])
def test_s77_cancelled_behind_a_redirect(server, new_client, way):
    """An hour's timeout and a cancel in the body: Cancelled, and no timeout."""
    s = server([
        expect(),
        send(moved("/2")),
        expect(),
        send(respond(b"Hello", headers={"Content-Length": 100})),
        until_closed(),
    ])
    token = hpool.CancelToken()
    response = new_client().get(
        s.url, cancel=token, timeout=hpool.Timeout(total=3600)
    )
    assert response.read1() == b"Hello"
    reader = Call(response.read)
    token.cancel()
    error = reader.error()
    assert type(error) is hpool.Cancelled and not isinstance(error, TimeoutError)


def test_s77_a_timeout_that_does_not_come(visit):
    w, client = visit(countdown)
    with client.get("http://a.test/?n=3", timeout=hpool.Timeout(total=3600)) as r:
        assert r.read() == b"ok"


def test_s78_cancelled_or_late(visit):
    """A deadline that is over is a timeout, a token that is cancelled is none; on
    the way as at the start."""
    token = hpool.CancelToken()

    def answer(url, request):
        if "cancel" in url:
            token.cancel()
        else:
            advance(1000)
        return moved("/next")

    w, client = visit(answer)
    with pytest.raises(hpool.TotalTimeout), hpool.deadline(500):
        client.get("http://a.test/late")
    with pytest.raises(hpool.Cancelled) as caught:
        client.get("http://a.test/cancel", cancel=token)
    assert not isinstance(caught.value, TimeoutError)
    assert len(w.visits) <= 4


# ---- how many ----------------------------------------------------------------


def test_s117_too_many(visit):
    """The error says so, and has the last response, closed, with its Location."""
    w, client = visit(countdown, max_redirects=10)
    with pytest.raises(hpool.TooManyRedirects, match="after 10 redirects") as caught:
        client.get("http://a.test/?n=15")
    error = caught.value
    assert len(w.visits) == 11
    assert error.response.status == 307 and error.response.closed
    assert error.response.headers["Location"] == "/?n=4"
    assert error.response.url == "http://a.test/?n=5"
    assert error.request.url == "http://a.test/?n=4"
    until_idle(client, 1)


def test_s117_thirty_unless_told(visit):
    w, client = visit(countdown)
    assert client.max_redirects == 30
    assert client.get("http://a.test/?n=30").ok
    with pytest.raises(hpool.TooManyRedirects, match="after 30"):
        client.get("http://a.test/?n=31")
    assert client.get("http://a.test/?n=31", max_redirects=31).ok
    with pytest.raises(hpool.TooManyRedirects, match="after 0"):
        client.get("http://a.test/?n=1", max_redirects=0)
    client.max_redirects = 2
    with pytest.raises(hpool.TooManyRedirects, match="after 2"):
        client.get("http://a.test/?n=3")


def test_s117_a_check_of_ones_own(visit):
    """It sees the next request and all responses so far, may change the one, and
    its yes is enough."""
    seen = []

    def check(request, history):
        seen.append((request.url, [r.url for r in history]))
        request.headers["X-Hop"] = str(len(history))

    w, client = visit(countdown, check_redirect=check)
    r = client.get("http://a.test/?n=15")
    assert len(r.history) == 15 and len(seen) == 15
    url, history = seen[-1]
    assert url == "http://a.test/?n=0"
    assert history == [f"http://a.test/?n={n}" for n in range(15, 0, -1)]
    assert w.headers("X-Hop") == [None, *map(str, range(1, 16))]


class Stop(Exception):
    pass


@pytest.mark.parametrize("where", ["client", "call"])
def test_s117_a_check_that_raises(visit, where):
    """Its own exception comes out; the response is closed, and one of ours
    knows it."""
    raised = []

    def check(request, history):
        raise raised[0]

    how = {"check_redirect": check}
    w, client = visit(countdown, **(how if where == "client" else {}))
    how = how if where == "call" else {}
    for error in (Stop("no"), hpool.RequestException("no")):
        raised[:] = [error]
        with pytest.raises(type(error), match="no") as caught:
            client.get("http://a.test/?n=2", **how)
        assert caught.value is error
    assert error.response.headers["Location"] == "/?n=1" and error.response.closed
    assert error.request.url == "http://a.test/?n=2"
    until_idle(client, 1)


def test_s117_referers(visit):
    w, client = visit(countdown)
    client.get("http://a.test/?n=8")
    assert w.headers("Referer")[6] == w.urls[5] == "http://a.test/?n=3"


# ---- methods and bodies ------------------------------------------------------

GET = ("GET", b"")


@pytest.mark.parametrize("kind", ["bytes", "str", "form", "file", "list", "json"])
@pytest.mark.parametrize(
    ("method", "statuses", "then"),
    [
        ("POST", [], []),
        ("POST", [301], [GET]),
        ("POST", [302, 302], [GET, GET]),
        ("POST", [303], [GET]),
        ("POST", [307], ["same"]),
        ("POST", [308], ["same"]),
        ("POST", [303, 307, 308], [GET, GET, GET]),
        ("POST", [307, 308, 307], ["same", "same", "same"]),
        ("POST", [307, 303, 308], ["same", GET, GET]),
        ("DELETE", [301], [GET]),
        ("DELETE", [307, 302, 307], ["same", GET, GET]),
        ("QUERY", [301, 302], ["same", "same"]),
        ("QUERY", [303, 307], [GET, GET]),
        ("QUERY", [308], ["same"]),
    ],
)
def test_s118_methods_and_bodies_hop_by_hop(visit, method, statuses, then, kind):
    """Once a body is dropped it stays dropped."""
    body = b'{"a":1}' if kind == "json" else b"a=1"
    how = {
        "bytes": {"data": body},
        "str": {"data": "a=1"},
        "form": {"data": {"a": 1}},
        "file": {"data": io.BytesIO(body)},
        "list": {"content": [b"a", b"=1"]},
        "json": {"json": {"a": 1}},
    }[kind]
    w, client = visit(script(*statuses))
    r = client.request(method, "http://a.test/", **how)
    first = (method, body)
    expected = [first, *(first if x == "same" else x for x in then)]
    assert [(m, b) for m, _, b in w.log] == expected
    assert (r.request.method, r.request.body or b"") in (
        expected[-1],
        (expected[-1][0], how.get("data", how.get("content"))),
        (expected[-1][0], "a=1" if kind == "form" else None),
    )
    for _, request in w.visits:
        if request.body == b"":
            assert request.get("Content-Type") is None
        elif kind in ("form", "json"):
            assert request.get("Content-Type") is not None


def test_s118_a_file_goes_on_from_where_it_stood(visit):
    file = io.BytesIO(b"skipped sent")
    file.seek(8)
    w, client = visit(script(307, 308))
    client.put("http://a.test/", data=file)
    assert [body for _, _, body in w.log] == [b"sent"] * 3


TYPES = [
    (method, status)
    for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "GET")
    for status in (301, 302, 303, 307, 308)
]


@pytest.mark.parametrize(("method", "status"), TYPES)
def test_s119_method_after_status(visit, method, status):
    w, client = visit(script(status))
    client.request(method, "http://a.test/", follow_redirects=True)
    kept = status in (307, 308) or method in ("HEAD", "GET")
    assert [m for m, _, _ in w.log] == [method, method if kept else "GET"]


@pytest.mark.parametrize("location", [None, ""])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s119_without_a_location(visit, status, location):
    """The redirect is the answer, its body is there."""
    w, client = visit(lambda url, request: moved(location, status, b"body"))
    with client.get("http://a.test/") as r:
        assert (r.status, r.read(), r.history) == (status, b"body", [])


@pytest.mark.parametrize("status", [300, 304, 305, 306, 310, 200, 201])
def test_s119_what_is_no_redirect(visit, status):
    w, client = visit(lambda url, request: moved("/next", status))
    with client.get("http://a.test/") as r:
        assert r.status == status and not r.is_redirect and r.next is None
    assert len(w.visits) == 1


class Unseekable(io.BytesIO):
    def seekable(self):
        return False

    def tell(self):
        raise io.UnsupportedOperation("tell")


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "body", [lambda: iter([b"once"]), lambda: Unseekable(b"once")]
)
@pytest.mark.parametrize("how", [{}, {"extensions": {}}])
def test_s119_a_body_that_cannot_be_sent_again(visit, status, body, how):
    """The redirect is the answer, with its body; no error."""
    w, client = visit(lambda url, request: moved("/next", status, b"moved"))
    with client.post("http://a.test/", data=body(), **how) as r:
        assert (r.status, r.history, r.read()) == (status, [], b"moved")
        assert r.next_request is None
    assert w.log == [("POST", "http://a.test/", b"once")]


class Broken(io.BytesIO):
    broken = False

    def seek(self, *where):
        if self.broken:
            raise OSError("the tape is gone")
        return super().seek(*where)


def test_s119_a_file_that_will_not_go_back(visit):
    """It said it could, and then cannot: an error that says so."""
    file = Broken(b"body")

    def answer(url, request):
        file.broken = True
        return moved("/next", 308)

    w, client = visit(answer)
    with pytest.raises(hpool.UnrewindableBodyError, match="the tape is gone") as e:
        client.post("http://a.test/", data=file)
    assert e.value.response.status == 308 and e.value.request.method == "POST"
    until_idle(client, 1)


@pytest.mark.parametrize("answer", [False, hpool.USE_LAST_RESPONSE])
def test_s119_use_the_last_response(visit, answer):
    """A check that says so gets the redirect, its body to be read."""
    w, client = visit(lambda url, request: moved("/next", 302, b"body"))
    client.check_redirect = lambda request, history: answer
    with client.get("http://a.test/") as r:
        assert (r.status, r.read(), r.history) == (302, b"body", [])
    client.check_redirect = lambda request, history: len(history) < 3 or answer
    with client.get("http://a.test/") as r:
        assert (r.status, r.read(), len(r.history)) == (302, b"body", 2)


# ---- the bodies of redirects -------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        moved("/2"),
        moved("/2", 302, b"moved"),
        moved("/2", 302, b"x" * 65536),
        respond_chunked(b"mo", b"ved", headers={"Location": "/2"}, status=302),
        moved("/2", 302, gzip.compress(b"x" * 1000), [("Content-Encoding", "gzip")]),
        moved("/2", 302, b"no gzip", [("Content-Encoding", "gzip")]),
    ],
    ids=["none", "small", "64k", "chunked", "gzip", "broken gzip"],
)
def test_s120_a_small_body_is_read(server, new_client, first):
    """... and the next request goes out on the same connection."""
    s = server(
        [expect(), send(first), serve(OK)],
        [serve(OK)],
    )
    client = new_client()
    r = client.get(f"{s.url}/1")
    assert r.read() == b"ok"
    assert len(s.connections) == 1
    assert r.history[0].closed
    if b"no gzip" not in first:
        assert len(r.history[0].content) in (0, 5, 1000, 65536)


BOMB = gzip.compress(b"\0" * 50_000_000)


@pytest.mark.parametrize(
    "first",
    [
        moved("/2", 302, b"x" * 70_000),
        respond_chunked(*[b"x" * 10_000] * 7, headers={"Location": "/2"}, status=302),
        moved("/2", 302, BOMB, [("Content-Encoding", "gzip")]),
    ],
    ids=["big", "chunked", "bomb"],
)
def test_s120_a_big_body_is_not(server, new_client, first):
    """What is left of it is the pool's to drain, or the connection closes; a bomb
    is not inflated."""
    s = server([expect(), send(first), serve(OK)], [serve(OK)])
    client = new_client()
    r = client.get(f"{s.url}/1")
    assert r.read() == b"ok"
    with pytest.raises(hpool.ClosedError):
        r.history[0].content


def test_s120_a_body_that_stalls_is_not_waited_for(server, new_client):
    """A redirect is followed though its body never comes."""
    stalled = moved("/2", 302, b"", [("Content-Length", "10")])
    s = server([expect(), send(stalled), until_closed()], [serve(OK)])
    client = new_client(timeout=60)
    assert Call(client.get, f"{s.url}/1").result(5).read() == b"ok"
    s.connections[0].wait_closed()


def test_s120_a_body_known_to_be_big_is_not_begun(server, new_client):
    big = moved("/2", 302, b"", [("Content-Length", "65537")])
    s = server([expect(), send(big), until_closed()], [serve(OK)])
    client = new_client(timeout=60, limits=hpool.Limits(drain_timeout=30))
    assert Call(client.get, f"{s.url}/1").result(5).read() == b"ok"


def test_s120_a_body_that_is_cut_is_none(server, new_client):
    cut = moved("/2", 302, b"short", [("Content-Length", "10")])
    s = server([expect(), send(cut), close()], [serve(OK)])
    r = new_client().get(f"{s.url}/1")
    assert r.read() == b"ok"
    with pytest.raises(hpool.ClosedError):
        r.history[0].content


def test_s120_no_budget_no_drain(server, new_client):
    slow = moved("/2", 302, b"", [("Content-Length", "5")])
    s = server([expect(), send(slow), until_closed()], [serve(OK)])
    client = new_client(limits=hpool.Limits(drain_bytes=0, drain_timeout=0))
    assert client.get(f"{s.url}/1").read() == b"ok"
    s.connections[0].wait_closed()
    assert client.stats().total.drains == 0


def test_s120_an_upload_that_goes_on_is_not_waited_for(server, new_client):
    """The redirect comes in the middle of an upload that has no end."""
    head = expect(body=False)
    half = moved("/2", 303, b"mo", [("Content-Length", "5")])
    s = server([head, send(half), until_closed()], [serve(OK)])
    moved_on = []

    def endless():
        while not moved_on:
            yield b"x" * 1024
        moved_on.append("asked for more")

    def check(request, history):
        moved_on.append("moved on")

    client = new_client(check_redirect=check)
    assert client.post(f"{s.url}/1", data=endless()).read() == b"ok"
    assert moved_on == ["moved on"]
    s.connections[0].wait_closed()


# ---- headers -----------------------------------------------------------------

SECRETS = {
    "Authorization": "secret",
    "Proxy-Authorization": "secret",
    "Cookie": "secret=1",
    "Cookie2": "secret",
    "WWW-Authenticate": "secret",
    "Proxy-Authenticate": "secret",
}


def test_s121_what_was_taken_off_stays_off(visit):
    """a -> b -> b -> a: no credentials from the first hop to b on, not even back
    at a."""
    way = iter(["http://b.test/1", "http://b.test/2", "http://a.test/3"])

    def answer(url, request):
        location = next(way, None)
        return moved(location) if location else OK

    w, client = visit(answer, headers={"Authorization": "the client's"})
    client.get("http://a.test/", headers={**SECRETS, "X-Other": "kept"})
    first, *others = [request for _, request in w.visits]
    for name, value in SECRETS.items():
        assert first.get(name) == value
        assert [r.get(name) for r in others] == [None] * 3
    assert w.headers("X-Other") == ["kept"] * 4


def test_s121_a_relative_hop_keeps_them(visit):
    w, client = visit(script(302, 302))
    client.get("http://a.test/", headers={"Authorization": "secret"})
    assert w.headers("Authorization") == ["secret"] * 3


BODY_HEADERS = {
    "Content-Type": "text/x",
    "Content-Encoding": "identity",
    "Content-Language": "en",
    "Content-Location": "/x",
    "Content-Length": "3",
}


@pytest.mark.parametrize("status", [301, 302, 303])
def test_s121_what_speaks_of_a_body_goes_with_it(visit, status):
    w, client = visit(script(status, 307))
    client.post("http://a.test/", data=b"abc", headers=BODY_HEADERS)
    for name, value in BODY_HEADERS.items():
        assert w.headers(name) == [value, None, None]


def test_s122_a_host_of_ones_own(visit):
    """It goes along with a relative redirect, not with an absolute one."""
    way = iter(["/1", "http://a.test/2", "/3"])
    w, client = visit(
        lambda url, request: moved(to) if (to := next(way, None)) else OK
    )
    client.get("http://a.test/", headers={"Host": "own.test"})
    assert w.headers("Host") == ["own.test", "own.test", "a.test", "a.test"]
    assert w.dialed == [("a.test", 80)]


@pytest.mark.parametrize(
    ("url", "location", "own", "sent"),
    [
        ("http://a.test/x?y=1#z", "http://b.test/", None, "http://a.test/x?y=1"),
        ("http://a.test", "http://b.test/", None, "http://a.test"),
        ("http://u:p@a.test/x", "http://b.test/", None, "http://a.test/x"),
        ("http://a.test/x", "https://b.test/", None, "http://a.test/x"),
        ("https://a.test/x", "https://b.test/", None, "https://a.test/x"),
        ("https://a.test/x", "http://b.test/", None, None),
        ("http://a.test/x", "/y", "http://own/", "http://own/"),
        ("https://a.test/x", "/y", "http://own/", "http://own/"),
        ("https://a.test/x", "http://b.test/", "https://own/", None),
        ("http://a.test/\u00e4 b", "/y", None, "http://a.test/%C3%A4%20b"),
    ],
)
def test_s122_referers(visit, url, location, own, sent):
    """The URL before without credentials; one's own stays; nothing of https is told
    to http."""
    w, client = visit(
        lambda _, request: moved(location) if len(w.visits) == 1 else OK,
        "a.test",
        "b.test",
    )
    client.get(url, headers={"Referer": own} if own else None)
    assert w.headers("Referer") == [own, sent]


def test_s122_a_referer_for_each_hop(visit):
    """https -> http -> http: none, then that of the hop before."""
    way = iter(["http://b.test/", "/last"])
    w, client = visit(
        lambda _, request: moved(to) if (to := next(way, None)) else OK,
        "a.test",
    )
    client.get("https://a.test/")
    assert w.headers("Referer") == [None, None, "http://b.test/"]


def test_s122_cookies_that_change_on_the_way(visit):
    """Set, changed and taken back hop by hop, by their names."""
    sets = iter([["a=1", "b=2"], ["a=; Max-Age=0"], ["b=3", "c=4"]])

    def answer(url, request):
        lines = next(sets, None)
        if lines is None:
            return OK
        return moved("/n", 302, headers=[("Set-Cookie", line) for line in lines])

    w, client = visit(answer)
    client.get("http://a.test/", headers={"Cookie": "a=0; own=9"})
    sent = [sorted(c.split("; ")) for c in w.headers("Cookie")]
    assert sent == [
        ["a=0", "own=9"],
        ["a=1", "b=2", "own=9"],
        ["b=2", "own=9"],
        ["b=3", "c=4", "own=9"],
    ]
    assert client.cookies.get_dict() == {"b": "3", "c": "4"}


def test_s122_the_order_of_looks_at_the_jar(visit):
    """Asked before each request, filled after each response."""
    calls = []

    class Jar(hpool.Cookies):
        def header(self, url, is_named=True):
            calls.append(("asked", url))
            return super().header(url, is_named)

        def extract(self, response):
            calls.append(("filled", response.url))
            return super().extract(response)

    def answer(url, request):
        if url.endswith("/1"):
            return moved("/2", headers=[("Set-Cookie", "a=1")])
        return respond(headers={"Set-Cookie": "b=2"})

    w, client = visit(answer, cookies=Jar())
    client.get("http://a.test/1")
    urls = ("http://a.test/1", "http://a.test/2")
    assert calls == [(what, url) for url in urls for what in ("asked", "filled")]


@pytest.mark.parametrize(
    "userinfo", ["user:s3cret@", "user:s3%63ret@", "s3cret@", ":s3cret@"]
)
def test_s123_no_password_in_an_error(visit, userinfo):
    """Nor in what the response, its history and the requests look like; the word
    elsewhere is left alone."""
    w, client = visit(countdown, max_redirects=1)
    url = f"http://{userinfo}a.test/?n=5"
    with pytest.raises(hpool.TooManyRedirects) as caught:
        client.get(url)
    error = caught.value
    for shown in (str(error), repr(error), repr(error.request), repr(error.response)):
        assert "s3cret" not in shown and "s3%63ret" not in shown
    r = client.get(f"http://{userinfo}s3cret.test/s3cret?n=0")
    with pytest.raises(hpool.HTTPError) as caught:
        hpool.Response(404, url=r.url).raise_for_status()
    assert "http://s3cret.test/s3cret" in str(caught.value)
    assert "user" not in str(caught.value)
