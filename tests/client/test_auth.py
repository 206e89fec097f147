"""Auth: who a request is from, and who gets to know it."""

import base64
import pickle

import httpx
import pytest
import requests

import hpool
from hpool import auth
from hpool.policy.auth import split_userinfo
from tests.server.scripted import respond, serve


def basic(user, password):
    """The value of Authorization, by the book."""
    return "Basic " + base64.b64encode(user + b":" + password).decode()


@pytest.fixture
def echo(server):
    """A server that answers with the Authorization it got; /to?URL redirects."""

    def answer(request):
        path, _, query = request.target.partition("?")
        if path == "/to":
            return respond(status=302, headers={"Location": query})
        return respond((request.get("Authorization") or "none").encode("latin-1"))

    return server([serve(answer)])


@pytest.fixture
def sent(echo, new_client):
    """sent(auth=..., ...) -> the Authorization that reached the server."""

    def send(path="/", client=None, **how):
        return (client or new_client()).get(echo.url + path, **how).text

    return send


# ---- basic -------------------------------------------------------------------


@pytest.mark.parametrize(
    "user, password, on_the_wire",
    [
        ("Aladdin", "open sesame", (b"Aladdin", b"open sesame")),
        ("", "", (b"", b"")),
        ("jörg", "pä:ß", ("jörg".encode("latin-1"), "pä:ß".encode("latin-1"))),
        ("имя", "€", ("имя".encode(), "€".encode())),
        ("jörg".encode(), b"\x00\xff", ("jörg".encode(), b"\x00\xff")),
    ],
)
def test_basic(sent, user, password, on_the_wire):
    wanted = basic(*on_the_wire)
    assert sent(auth=(user, password)) == wanted
    assert sent(auth=auth.BasicAuth(user, password)) == wanted
    assert sent(auth=auth.HTTPBasicAuth(user, password)) == wanted
    assert auth._basic_auth_str(user, password) == wanted


@pytest.mark.parametrize("user, password", [("u", "p"), ("jörg", "ä"), (b"\xff", "x")])
def test_basic_is_what_requests_sends(sent, user, password):
    theirs = requests.Request(
        "GET", "http://a.test/", auth=(user, password)
    ).prepare()
    assert sent(auth=(user, password)) == theirs.headers["Authorization"]


@pytest.mark.parametrize("pair", [(None, "p"), ("u", None), (1, 2)])
def test_what_a_password_is(new_client, pair):
    with pytest.raises(TypeError, match="(username|password) must be a str or bytes"):
        new_client(auth=pair)
    with pytest.raises(TypeError, match="must be a str or bytes"):
        new_client().get("http://127.0.0.1:1/", auth=pair)


def test_values():
    one = auth.BasicAuth("u", "p")
    assert one == auth.HTTPBasicAuth("u", "p") != auth.BasicAuth("u", "q")
    assert len({one, auth.BasicAuth("u", "p")}) == 1
    assert auth.DigestAuth("u", "p") == auth.DigestAuth("u", "p")
    for value in (one, auth.DigestAuth("u", "p")):
        copy = pickle.loads(pickle.dumps(value))
        assert type(copy) is type(value) and copy == value
    bearer = pickle.loads(pickle.dumps(auth.BearerAuth("t0ken")))
    assert bearer.token == "t0ken"


def test_no_password_is_shown():
    shown = [auth.BasicAuth("u", "s3cret"), auth.BearerAuth("s3cret")]
    shown += [auth.DigestAuth("u", "s3cret"), auth.ProxyAuth("u", "s3cret")]
    assert "s3cret" not in repr(shown)


def test_proxy_auth_has_a_header_of_its_own(server, new_client):
    s = server([serve(respond())])
    new_client().get(s.url, auth=auth.HTTPProxyAuth("u", "p"))
    (request,) = s.requests
    assert request.get("Proxy-Authorization") == basic(b"u", b"p")
    assert request.get("Authorization") is None


# ---- bearer ------------------------------------------------------------------


def test_bearer(sent):
    assert sent(auth=auth.BearerAuth("a.b-c")) == "Bearer a.b-c"
    assert sent(auth=auth.BearerAuth(b"a.b-c")) == "Bearer a.b-c"


@pytest.mark.parametrize("token", ["", "Bearer x", "a\nb", "a b", "é", b"\xff"])
def test_what_a_token_is(token):
    with pytest.raises(ValueError, match="token takes visible ASCII") as caught:
        auth.BearerAuth(token)
    assert not token or str(token) not in str(caught.value)


@pytest.mark.parametrize("value", ["a-token", b"a-token"])
def test_a_token_alone_gets_a_hint(new_client, value):
    for attempt in (
        lambda: new_client(auth=value),
        lambda: new_client().get("http://127.0.0.1:1/", auth=value),
    ):
        with pytest.raises(TypeError, match=r"hpool\.auth\.BearerAuth") as caught:
            attempt()
        assert "a-token" not in str(caught.value)


@pytest.mark.parametrize("value", [7, True, ("u",), ("u", "p", "x"), ["u", "p"]])
def test_what_auth_takes(new_client, value):
    with pytest.raises(TypeError, match="auth takes a"):
        new_client(auth=value)
    with pytest.raises(TypeError, match="auth takes a"):
        new_client().get("http://127.0.0.1:1/", auth=value)


def test_a_class_in_place_of_an_object(new_client):
    with pytest.raises(TypeError, match="not the class BasicAuth itself"):
        new_client(auth=auth.BasicAuth)


# ---- of the client, of the call ----------------------------------------------


def test_the_call_before_the_client(sent, new_client):
    client = new_client(auth=("client", "c"))
    assert sent(client=client) == basic(b"client", b"c")
    assert sent(client=client, auth=("call", "d")) == basic(b"call", b"d")
    assert sent(client=client, auth=None) == basic(b"client", b"c")
    assert sent(client=client, auth=False) == "none"


def test_switched_on_and_off_on_the_living_client(sent, new_client):
    client = new_client()
    assert sent(client=client) == "none"
    client.auth = ("u", "p")
    assert sent(client=client) == basic(b"u", b"p")
    client.auth = None
    assert sent(client=client) == "none"
    with pytest.raises(TypeError, match="auth takes a"):
        client.auth = 7


def test_auth_before_a_header_that_is_there(sent):
    """As with requests and httpx."""
    header = {"Authorization": "mine"}
    assert sent(headers=header) == "mine"
    assert sent(headers=header, auth=("u", "p")) == basic(b"u", b"p")
    assert sent(headers=header, auth=False) == "mine"


# ---- in the URL --------------------------------------------------------------


def with_user(url, userinfo):
    return url.replace("://", f"://{userinfo}@")


@pytest.mark.parametrize(
    "userinfo, pair",
    [
        ("u:p", (b"u", b"p")),
        ("u", (b"u", b"")),
        (":p", (b"", b"p")),
        ("u%40x:p%3Aq%2F", (b"u@x", b"p:q/")),
        ("j%C3%B6rg:%FF", ("jörg".encode(), b"\xff")),
        ("a@b:c", (b"a@b", b"c")),
        ("u:p:q", (b"u", b"p:q")),
    ],
)
def test_in_the_url(echo, new_client, userinfo, pair):
    r = new_client().get(with_user(echo.url, userinfo) + "/x?y=@")
    assert r.text == basic(*pair)
    assert r.url == r.request.url == echo.url + "/x?y=@"
    assert echo.requests[-1].target == "/x?y=@"
    assert echo.requests[-1].get("Host") == echo.url[7:]


@pytest.mark.parametrize("userinfo", ["", ":"])
def test_nothing_in_the_url(echo, new_client, userinfo):
    r = new_client().get(with_user(echo.url, userinfo))
    assert (r.text, r.url) == ("none", echo.url)


def test_the_url_comes_last(echo, new_client):
    url = with_user(echo.url, "u:p")
    assert new_client().get(url, auth=("call", "c")).text == basic(b"call", b"c")
    assert new_client(auth=("own", "o")).get(url).text == basic(b"own", b"o")
    r = new_client().get(url, headers={"Authorization": "mine"})
    assert (r.text, r.url) == ("mine", echo.url)
    r = new_client().get(url, auth=False)
    assert (r.text, r.url) == ("none", echo.url)


def test_a_digest_says_nothing_of_the_url(echo, new_client):
    r = new_client().get(
        with_user(echo.url, "u:p"), auth=auth.DigestAuth("d", "e")
    )
    assert r.text == "none"


@pytest.mark.parametrize(
    "url, rest, pair",
    [
        ("http://a.test/x@y", "http://a.test/x@y", None),
        ("http://a.test?x@y", "http://a.test?x@y", None),
        ("http://a.test#x@y", "http://a.test#x@y", None),
        ("http://a.test:@evil.test/", "http://evil.test/", (b"a.test", b"")),
        ("http://u:p@[::1]:8/", "http://[::1]:8/", (b"u", b"p")),
        ("a@b", "a@b", None),
    ],
)
def test_where_the_userinfo_ends(url, rest, pair):
    assert split_userinfo(url) == (rest, pair)


def test_an_error_does_not_show_it(new_client):
    with pytest.raises(hpool.ConnectError) as caught:
        new_client().get("http://user:s3cret@127.0.0.1:1/")
    assert "s3cret" not in repr(caught.value) + str(caught.value.request)
    assert "s3cret" not in caught.value.request.url


# ---- redirects ---------------------------------------------------------------


def test_27_not_to_another_origin(echo, server, new_client):
    """Reliability row 27, 28 and 38, decision 8: basic and bearer."""
    other = server([serve(respond(b"other"))])
    for how in (("u", "p"), auth.BearerAuth("t"), lambda r: mark(r)):
        for client, call in ((new_client(auth=how), {}), (new_client(), {"auth": how})):
            r = client.get(f"{echo.url}/to?{other.url}/x", **call)
            assert r.text == "other"
            assert r.history[0].request.headers.get("Authorization")
            assert other.requests[-1].get("Authorization") is None


def mark(request):
    request.headers["Authorization"] = "marked"
    return request


def test_33_it_does_not_come_back(server, echo, new_client):
    """Reliability row 33: a -> b -> a."""
    back = respond(status=302, headers={"Location": echo.url + "/end"})
    other = server([serve(back)])
    for how in ({"auth": ("u", "p")}, {"auth": mark}):
        assert new_client().get(f"{echo.url}/to?{other.url}", **how).text == "none"
    url = with_user(echo.url, "u:p")
    assert new_client().get(f"{url}/to?{other.url}").text == "none"


def test_it_goes_on_within_the_origin(echo, new_client):
    assert new_client().get(f"{echo.url}/to?/x", auth=("u", "p")).text == basic(
        b"u", b"p"
    )
    url = with_user(echo.url, "u:p")
    r = new_client().get(f"{url}/to?/x")
    assert (r.text, r.url) == (basic(b"u", b"p"), f"{echo.url}/x")


def test_40_no_referer_with_a_password(echo, new_client):
    """Reliability row 40."""
    new_client().get(with_user(echo.url, "u:s3cret") + "/to?/x")
    assert "s3cret" not in (echo.requests[-1].get("Referer") or "")


# ---- callables and generators ------------------------------------------------


def test_a_callable(sent):
    assert sent(auth=mark) == "marked"


def test_a_callable_that_returns_another_request(sent):
    def other(request):
        copy = request.copy()
        copy.headers["Authorization"] = f"{request.method} {request.path_url}"
        return copy

    assert sent("/x?y", auth=other) == "GET /x?y"


def test_a_callable_that_returns_nothing(sent):
    with pytest.raises(TypeError, match="must yield or return the request"):
        sent(auth=lambda request: None)


def test_a_callable_sees_the_body(server, new_client):
    s = server([serve(respond())])

    def sign(request):
        request.headers["Signature"] = request.body[::-1]
        return request

    new_client().post(s.url, data=b"abc", auth=sign)
    assert s.requests[0].get("Signature") == "cba"


def test_a_subclass_in_the_manner_of_requests(sent):
    class Own(auth.AuthBase):
        def __call__(self, request):
            request.headers["Authorization"] = "own"
            return request

    class Twice(auth.HTTPBasicAuth):
        def __call__(self, request):
            request = super().__call__(request)
            request.headers["Authorization"] += "!"
            return request

    assert sent(auth=Own()) == "own"
    assert sent(auth=Twice("u", "p")) == basic(b"u", b"p") + "!"


def test_a_subclass_of_neither(sent):
    with pytest.raises(NotImplementedError, match="neither __call__ nor auth_flow"):
        sent(auth=auth.Auth())


@pytest.fixture
def tokens(server):
    """A server that wants the token that it gives out at /token."""

    def answer(request):
        if request.target == "/token":
            return respond(b"t%d" % len(server_.requests))
        if request.get("Authorization"):
            return respond(b"hello " + request.get("Authorization").encode())
        return respond(b"no" * 100, status=401)

    server_ = server([serve(answer)])
    return server_


class Refresh:
    """In the manner of httpx: asks for a token once it is refused."""

    requires_response_body = True

    def __init__(self, base):
        self.base = base

    def auth_flow(self, request):
        response = yield request
        if response.status_code == 401:
            assert response.content == b"no" * 100
            answer = yield hpool.policy.request.Request(
                "GET", self.base + "/token"
            )
            request.headers["Authorization"] = answer.text
            yield request


class Refresh2(Refresh, auth.Auth):
    pass


@pytest.mark.parametrize("cls", [Refresh, Refresh2])
def test_a_generator(tokens, new_client, cls):
    client = new_client(auth=cls(tokens.url))
    r = client.get(tokens.url)
    assert r.text == "hello t2"
    assert [h.status for h in r.history] == [401, 200]
    assert client.stats().total.dials == 1


def test_a_generator_may_send_a_body_for_the_first_time_later(tokens, new_client):
    """The body of the second request was not sent before: no need to rewind."""

    class First:
        def auth_flow(self, request):
            token = yield hpool.policy.request.Request("GET", tokens.url + "/token")
            request.headers["Authorization"] = token.text
            yield request

    r = new_client().post(tokens.url, data=iter([b"a", b"b"]), auth=First())
    assert r.text == "hello t1"
    assert tokens.requests[-1].body == b"ab"


def test_a_cookie_of_the_refusal_is_sent_with_the_answer(server, new_client):
    def answer(request):
        if request.get("Cookie") == "session=1":
            return respond(b"in")
        headers = {"Set-Cookie": "session=1", "WWW-Authenticate": DIGEST}
        return respond(status=401, headers=headers)

    s = server([serve(answer)])
    assert new_client().get(s.url, auth=auth.DigestAuth("u", "p")).text == "in"


DIGEST = 'Digest realm="r", nonce="n", qop="auth"'


def test_a_generator_that_wants_the_body(server, new_client):
    s = server([serve(respond())])

    class Signed(auth.Auth):
        requires_request_body = True

        def auth_flow(self, request):
            request.headers["Signature"] = request.body[::-1]
            yield request

    new_client().post(s.url, data=iter([b"ab", b"c"]), auth=Signed())
    (request,) = s.requests
    assert (request.get("Signature"), request.body) == ("cba", b"abc")


def test_a_generator_is_closed_when_sending_fails(new_client):
    ended = []

    class Watch:
        def auth_flow(self, request):
            try:
                yield request
            finally:
                ended.append(True)

    with pytest.raises(hpool.ConnectError):
        new_client().get("http://127.0.0.1:1/", auth=Watch())
    assert ended == [True]


def test_what_a_generator_raises(server, new_client):
    s = server([serve(respond(b"x" * 10))])

    class Angry:
        def auth_flow(self, request):
            yield request
            raise KeyError("angry")

    client = new_client()
    with pytest.raises(KeyError, match="angry"):
        client.get(s.url, auth=Angry())
    assert client.stats().total.now.in_use == 0


# ---- objects of other libraries ----------------------------------------------


def test_objects_of_requests(sent):
    assert sent(auth=requests.auth.HTTPBasicAuth("u", "p")) == basic(b"u", b"p")


def test_objects_of_httpx(sent):
    assert sent(auth=httpx.BasicAuth("u", "p")) == basic(b"u", b"p")

    class Own(httpx.Auth):
        requires_request_body = requires_response_body = True

        def auth_flow(self, request):
            request.headers["Authorization"] = "own"
            yield request

    assert sent(auth=Own()) == "own"


def test_ours_with_requests(echo):
    """The other way round: as long as only headers are concerned."""
    r = requests.get(echo.url, auth=auth.BasicAuth("u", "p"))
    assert r.text == basic(b"u", b"p")
    assert requests.get(echo.url, auth=auth.BearerAuth("t")).text == "Bearer t"
