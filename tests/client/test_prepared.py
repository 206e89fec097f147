"""Requests that are made first and sent later: build_request, prepare_request and
send, Request and PreparedRequest."""

import io
import pickle

import pytest

import hpool
from tests.server.scripted import expect, respond, serve, until_closed

OK = respond(b"ok")


@pytest.fixture
def s(server):
    def answer(request):
        if request.target.startswith("/1"):
            return respond(status=307, headers={"Location": "/2"})
        if request.target == "/set":
            return respond(headers={"Set-Cookie": "jar=1"})
        return OK

    return server([serve(answer)], [serve(answer)])


def last(s):
    return s.requests[-1]


# ---- build_request and send --------------------------------------------------


def test_built_as_a_call_would_send_it(s, new_client):
    """base_url, params, headers, cookies and body are in it; nothing is sent until
    send()."""
    client = new_client(
        base_url=s.url, params={"a": "1"}, headers={"X-C": "c"}, cookies={"k": "v"}
    )
    request = client.build_request(
        "post", "/x", params={"b": "2"}, headers={"X-R": "r"}, json={"x": 1}
    )
    assert (request.method, request.url) == ("POST", f"{s.url}/x?a=1&b=2")
    assert request.body == b'{"x":1}' and request.path_url == "/x?a=1&b=2"
    assert request.headers["Cookie"] == "k=v"
    assert request.headers["content-type"] == "application/json"
    assert s.requests == []
    with client.send(request) as r:
        assert r.read() == b"ok"
    sent = last(s)
    client.post("/x", params={"b": "2"}, headers={"X-R": "r"}, json={"x": 1}).read()
    assert sent.fields == last(s).fields and sent.line == last(s).line
    assert sent.body == last(s).body


def test_a_request_may_be_changed(s, new_client):
    client = new_client()
    request = client.build_request("GET", s.url)
    request.method = "PUT"
    request.url = f"{s.url}/changed"
    request.headers["X-A"] = "1"
    del request.headers["User-Agent"]
    request.body = "text"
    client.send(request).read()
    assert last(s).line == "PUT /changed HTTP/1.1"
    assert (last(s).get("X-A"), last(s).get("User-Agent")) == ("1", None)
    assert last(s).body == b"text"


def test_send_goes_by_the_client(s, new_client):
    """stream, redirects, hooks, cookies that come back."""
    told = []
    client = new_client(event_hooks={"request": [lambda r: told.append(r.url)]})
    r = client.send(client.build_request("GET", f"{s.url}/1"))
    assert (r.status, len(r.history), len(told)) == (200, 1, 2)
    r = client.send(client.build_request("GET", f"{s.url}/1"), follow_redirects=False)
    assert r.status == 307 and r.next_request.url == f"{s.url}/2"
    assert client.send(r.next_request).ok
    client.send(client.build_request("GET", f"{s.url}/set")).read()
    assert client.cookies["jar"] == "1"
    with hpool.Session() as session:
        r = session.send(session.build_request("GET", s.url))
        assert r.content == b"ok" and session.stats().total.now.in_use == 0


def test_head_is_not_followed(s, new_client):
    client = new_client()
    request = client.build_request("HEAD", f"{s.url}/1")
    assert client.send(request).status == 307
    assert client.send(request, allow_redirects=True).status == 200


def test_sent_again(s, new_client):
    """One request, sent twice: the same both times, a file from where it stood."""
    client = new_client(auth=("user", "pw"))
    file = io.BytesIO(b"xbody")
    file.read(1)
    request = client.build_request("PUT", f"{s.url}/1", data=file)
    for _ in range(2):
        client.send(request).read()
    assert [r.body for r in s.requests] == [b"body"] * 4
    assert "Authorization" not in request.headers  # a copy had it
    with pytest.raises(hpool.UnrewindableBodyError) as caught:
        request = client.build_request("PUT", s.url, data=iter([b"once"]))
        client.send(request).read()
        client.send(request)
    assert caught.value.request is request


def test_timeouts_of_build_and_send(s, new_client):
    client = new_client()
    request = client.build_request("GET", s.url, timeout=7)
    assert request.extensions == {"timeout": 7}
    seen = []
    hooks = {"response": lambda r, **how: seen.append(how["timeout"])}
    request.register_hook("response", hooks["response"])
    client.send(request, timeout=9).read()
    client.send(request).read()
    assert seen == [9, 7]


@pytest.mark.parametrize("timeout", [0.05, {"read": 0.05}])
def test_the_timeout_of_a_built_request_counts(server, new_client, timeout):
    s = server([expect(), until_closed()])
    client = new_client()
    request = client.build_request("GET", s.url, extensions={"timeout": timeout})
    with pytest.raises(hpool.ReadTimeout):
        client.send(request)


def test_its_total_ends_retries(server, new_client):
    s = server([serve(respond(b"busy", 503, {"Retry-After": "7"}))])
    client = new_client(retries=1)
    timeout = hpool.Timeout(total=5)
    r = client.send(client.build_request("GET", s.url, timeout=timeout))
    assert (r.status, r.read(), len(s.requests)) == (503, b"busy", 1)


@pytest.mark.parametrize("what", [None, "http://a.test/", hpool.Request("GET", "x"), 5])
def test_send_takes_prepared_requests(new_client, what):
    with pytest.raises(TypeError, match=r"PreparedRequest"):
        new_client().send(what)


def test_wrong_arguments(new_client):
    client = new_client()
    with pytest.raises(TypeError, match="unexpected keyword argument 'stream'"):
        client.build_request("GET", "http://a.test/", stream=True)
    with pytest.raises(TypeError, match="missing required argument: 'url'"):
        client.build_request("GET")
    with pytest.raises(TypeError, match="cannot be given together"):
        client.build_request("GET", "http://a.test/", data=b"", content=b"")
    with pytest.raises(TypeError, match="prepare_request"):
        client.prepare_request(client.build_request("GET", "http://a.test/"))


# ---- auth --------------------------------------------------------------------


def test_auth_of_a_built_request(s, new_client):
    """The client's comes with send(), unless it was built with one."""
    client = new_client(auth=("client", "pw"))
    plain = client.build_request("GET", s.url)
    own = client.build_request("GET", s.url, auth=("own", "pw"))
    none = client.build_request("GET", s.url, auth=False)
    client.send(plain).read()
    client.send(own).read()
    client.send(none).read()
    client.send(own, auth=("last", "word")).read()
    basic = ["Basic Y2xpZW50OnB3", "Basic b3duOnB3", None, "Basic bGFzdDp3b3Jk"]
    assert [r.get("Authorization") for r in s.requests] == basic


def test_auth_of_prepare_request(s):
    """As in requests: it is in the request, and may be taken out again."""
    calls = []

    def sign(request):
        calls.append(request.url)
        request.headers["X-Signed"] = request.method
        return request

    with hpool.Session() as session:
        session.auth = sign
        request = session.prepare_request(hpool.Request("GET", s.url))
        assert request.headers["X-Signed"] == "GET" and calls == [s.url]
        session.send(request)
        assert last(s).get("X-Signed") == "GET" and calls == [s.url]
        del request.headers["X-Signed"]
        session.send(request)
        assert last(s).get("X-Signed") is None and calls == [s.url]
        own = hpool.Request("GET", s.url, auth=("own", "pw"))
        request = session.prepare_request(own)
        assert request.headers["Authorization"] == "Basic b3duOnB3"
        assert calls == [s.url]


def test_credentials_in_the_url(s, new_client):
    url = s.url.replace("http://", "http://u:p@")
    assert hpool.Request("GET", url).prepare().headers["Authorization"] == "Basic dTpw"
    client = new_client()
    client.send(client.build_request("GET", url)).read()
    assert last(s).get("Authorization") == "Basic dTpw"


def test_auth_goes_with_a_copy(s, new_client):
    client = new_client()
    request = client.build_request("GET", s.url, auth=hpool.auth.DigestAuth("u", "p"))
    assert request.copy()._auth is request._auth is not None
    client.send(client.build_request("GET", s.url, auth=("u", "p")).copy()).read()
    assert last(s).get("Authorization") == "Basic dTpw"


# ---- what the client adds, and what not --------------------------------------


def test_a_client_s_hooks_are_called_once(s, new_client):
    """build_request and prepare_request put them in, send adds none."""
    told = []
    client = new_client(hooks={"response": lambda r, **how: told.append(r.url)})
    client.send(client.build_request("GET", s.url)).read()
    assert len(told) == 1
    client.send(client.prepare_request(hpool.Request("GET", s.url))).read()
    assert len(told) == 2
    own = {"response": lambda r, **how: told.append("own")}
    client.send(client.build_request("GET", s.url, hooks=own)).read()
    assert told.pop() == "own" and len(told) == 2
    client.send(hpool.Request("GET", s.url).prepare()).read()
    assert len(told) == 2  # as in requests: it never saw the client


def test_no_cookies_are_added_to_what_was_made_without(s, new_client):
    """As in requests; the redirects of it get the client's."""
    client = new_client(cookies={"k": "v"})
    client.send(hpool.Request("GET", f"{s.url}/1").prepare()).read()
    assert [r.get("Cookie") for r in s.requests] == [None, "k=v"]


# ---- Request and PreparedRequest ---------------------------------------------


def test_request_prepare_has_nothing_of_a_client():
    request = hpool.Request(
        "post",
        "http://a.test/x",
        headers={"A": "b"},
        params={"q": "1"},
        data={"f": "1"},
        cookies={"k": "v"},
        auth=("u", "p"),
    ).prepare()
    assert (request.method, request.url) == ("POST", "http://a.test/x?q=1")
    assert request.body == "f=1"
    assert dict(request.headers) == {
        "A": "b",
        "Cookie": "k=v",
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": "Basic dTpw",
    }


@pytest.mark.parametrize("url", [None, "", "a.test/x", "/x?u=http://a.test/"])
def test_a_url_without_a_scheme(url):
    with pytest.raises(hpool.MissingSchema, match="has no scheme"):
        hpool.Request("GET", url).prepare()


def test_a_prepared_request_of_requests_form(s, new_client):
    request = hpool.PreparedRequest()
    request.prepare(method="GET", url=s.url, params={"a": "1"})
    assert new_client().send(request).read() == b"ok"
    assert last(s).target == "/?a=1"


def test_a_request_without_a_method_is_a_get(s):
    with hpool.Session() as session:
        assert session.prepare_request(hpool.Request(url=s.url)).method == "GET"


@pytest.mark.parametrize("cls", [hpool.Request, hpool.PreparedRequest])
def test_hooks_are_put_in_and_taken_out(cls):
    request, other = cls("GET", "http://a.test/"), cls("GET", "http://a.test/")
    request.register_hook("response", print)
    request.register_hook("response", [repr])
    assert request.hooks == {"response": [print, repr]}
    assert other.hooks == {"response": []}
    assert request.deregister_hook("response", print) is True
    assert request.deregister_hook("response", print) is False
    assert request.hooks == {"response": [repr]}
    with pytest.raises(ValueError, match='hooks are for "response", not'):
        request.register_hook("request", print)


def test_copies_are_their_own():
    request = hpool.Request("GET", "http://a.test/", headers={"A": "1"}).prepare()
    request.register_hook("response", print)
    other = request.copy()
    other.headers["A"] = "2"
    other.deregister_hook("response", print)
    other.extensions["x"] = 1
    assert request.headers["A"] == "1" and request.hooks == {"response": [print]}
    assert request.extensions == {}
    assert not other.deregister_hook("response", print)
    with pytest.raises(ValueError, match='hooks are for "response"'):
        other.register_hook("request", print)


def test_what_is_shown_and_pickled():
    request = hpool.PreparedRequest("get", "http://u:p@a.test/?q=s3cret")
    assert repr(request) == "<PreparedRequest [GET http://a.test/?q=...]>"
    assert repr(hpool.Request("GET", "http://a.test/")) == "<Request [GET]>"
    request.register_hook("response", lambda r: r)
    assert pickle.loads(pickle.dumps(request)).url == request.url


def test_headers_of_a_request():
    """A mapping that keeps order, spelling and repeated fields."""
    request = hpool.PreparedRequest(headers=[("A", "1"), ("b", "2"), ("A", "3")])
    headers = request.headers
    assert headers["a"] == "1, 3" and headers.get_list("A") == ["1", "3"]
    assert headers.multi_items() == [("A", "1"), ("b", "2"), ("A", "3")]
    headers["B"] = "4"
    headers.add("B", "5")
    assert headers.raw[1:] == [(b"B", b"4"), (b"A", b"3"), (b"B", b"5")]
    headers.update({"A": "x"})
    headers["b"] = None
    assert dict(headers) == {"A": "x"} and headers == {"a": "x"}
    assert headers.pop("a") == "x" and "A" not in headers
    for name, value, error in (
        ("A", 5, TypeError), (5, "a", TypeError), ("\u20ac", "a", ValueError),
    ):  # fmt: skip
        with pytest.raises(error):
            headers[name] = value


def test_beside_requests(s):
    """prepare_request and send, the same on the wire."""
    requests = pytest.importorskip("requests")

    def walk(library):
        with library.Session() as session:
            session.headers["X-S"] = "s"
            session.params = {"s": "1"}
            session.auth = ("u", "p")
            request = library.Request(
                "POST", f"{s.url}/1", params={"r": "2"}, data={"d": "3"},
                cookies={"k": "v"},
            )  # fmt: skip
            prepared = session.prepare_request(request)
            prepared.headers["X-Late"] = "1"
            response = session.send(prepared)
            assert response.status_code == 200 and len(response.history) == 1
        names = ("X-S", "X-Late", "Authorization", "Cookie", "Content-Type")
        sent = [
            (r.line, r.body, [r.get(name) for name in names]) for r in s.requests
        ]
        s.requests.clear()
        return sent

    ours, theirs = walk(hpool), walk(requests)
    assert ours == theirs


def test_beside_httpx(s):
    httpx = pytest.importorskip("httpx")

    def walk(client):
        with client:
            request = client.build_request(
                "POST", "/1", params={"r": "2"}, data={"d": "3"}, headers={"A": "b"}
            )
            request.headers["X-Late"] = "1"
            response = client.send(request, follow_redirects=True)
            assert response.status_code == 200 and len(response.history) == 1
            with client.stream("GET", "/x") as response:
                assert response.read() == b"ok"
        names = ("A", "X-Late", "Cookie", "Content-Type")
        sent = [
            (r.line, r.body, [r.get(name) for name in names]) for r in s.requests
        ]
        s.requests.clear()
        return sent

    settings = {"base_url": s.url, "cookies": {"k": "v"}}
    assert walk(hpool.Client(**settings)) == walk(httpx.Client(**settings))
