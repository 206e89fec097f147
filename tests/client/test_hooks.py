"""Functions that are called around requests: hooks as in requests, event_hooks
as in httpx."""

from types import MappingProxyType

import pytest

import hpool
from tests.server.scripted import respond, serve, until_closed, expect, send
from tests.tools import until_idle

OK = respond(b"ok")
MOVED = respond(status=302, headers={"Location": "/2"})


@pytest.fixture
def s(server):
    """Answers /1 with a redirect to /2, and /404 with that."""

    def answer(request):
        if request.target == "/404":
            return respond(b"no", 404)
        return MOVED if request.target == "/1" else OK

    return server([serve(answer)], [serve(answer)])


class Notes:
    """A hook that takes notes, of one argument or of many."""

    def __init__(self):
        self.seen = []

    def __call__(self, thing, **how):
        self.seen.append((type(thing).__name__, thing.url, how))


@pytest.mark.parametrize("form", ["one", "list", "tuple"])
@pytest.mark.parametrize("where", ["client", "call"])
def test_response_hooks_as_in_requests(s, new_client, where, form):
    """Called for every response, redirects too, with how it was sent."""
    notes = Notes()
    hooks = {"response": {"one": notes, "list": [notes], "tuple": (notes,)}[form]}
    client = new_client(hooks=hooks) if where == "client" else new_client()
    own = {"hooks": hooks} if where == "call" else {}
    r = client.get(f"{s.url}/1", timeout=5, stream=True, **own)
    assert r.read() == b"ok"
    how = {
        "timeout": 5, "stream": True, "verify": None, "cert": None, "proxies": None,
    }  # fmt: skip
    assert notes.seen == [
        ("Response", f"{s.url}/1", how),
        ("Response", f"{s.url}/2", how),
    ]


def test_a_hook_may_return_another_response(s, new_client):
    """The next hook gets it, and so does the caller."""
    other = hpool.Response(200, content=b"other", url="http://other/")
    seen = []

    def replace(response, **how):
        response.close()
        return other

    client = new_client(hooks={"response": [replace, lambda r, **how: seen.append(r)]})
    assert client.get(f"{s.url}/x") is other
    assert seen == [other]
    until_idle(client, 1)


def test_a_hook_may_return_anything(s, new_client):
    marker = object()
    client = new_client()
    got = client.get(s.url, hooks={"response": lambda r, **how: r.close() or marker})
    assert got is marker


def test_a_hook_may_send_again(s, new_client):
    """As auth in requests does it: look, close, send a changed request."""
    client = new_client()

    def again(response, **how):
        if response.status == 404:
            request = response.request.copy()
            response.close()
            request.url = f"{s.url}/there"
            return client.send(request)

    r = client.get(f"{s.url}/404", hooks={"response": again})
    assert (r.status, r.url) == (200, f"{s.url}/there")


def test_a_hook_sees_the_body(s, new_client):
    """It may read it; the caller then has it too."""
    seen = []
    client = new_client(hooks={"response": lambda r, **how: seen.append(r.content)})
    assert client.get(f"{s.url}/x").content == b"ok"
    assert seen == [b"ok"]


def test_a_hook_that_raises(s, new_client):
    """Its exception comes out, and the connection is free."""

    def fail(response, **how):
        raise LookupError("no")

    for hooks in (
        {"hooks": {"response": fail}},
        {"event_hooks": {"response": [fail]}},
    ):
        client = new_client()
        with pytest.raises(LookupError, match="no"):
            client.get(f"{s.url}/x", **hooks)
        until_idle(client, 1)


def test_raise_for_status_in_a_hook(s, new_client):
    """The most common hook there is."""
    hooks = {"response": lambda r, *args, **kwargs: r.raise_for_status()}
    with pytest.raises(hpool.HTTPError, match="404"):
        new_client(hooks=hooks).get(f"{s.url}/404")


def test_hooks_of_a_call_take_the_place_of_the_client_s(s, new_client):
    """As in requests; an empty list does not."""
    notes, own = Notes(), Notes()
    client = new_client(hooks={"response": notes})
    client.get(f"{s.url}/x", hooks={"response": own}).read()
    assert (len(notes.seen), len(own.seen)) == (0, 1)
    client.get(f"{s.url}/x", hooks={"response": []}).read()
    assert len(notes.seen) == 1


# ---- event_hooks -------------------------------------------------------------


def test_event_hooks_as_in_httpx(s, new_client):
    """Each request before it goes out, open to change; each response."""
    told = []

    def before(request):
        told.append(("request", request.method, request.url))
        request.headers["X-Told"] = str(len(told))

    def after(response):
        told.append(("response", response.status))

    client = new_client(event_hooks={"request": [before], "response": [after]})
    r = client.get(f"{s.url}/1")
    assert told == [
        ("request", "GET", f"{s.url}/1"),
        ("response", 302),
        ("request", "GET", f"{s.url}/2"),
        ("response", 200),
    ]
    assert [request.get("X-Told") for request in s.requests] == ["1", "3"]
    assert r.request.headers["X-Told"] == "3"


def test_event_hooks_of_client_and_call(s, new_client):
    """Both are called, the client's first."""
    told = []
    client = new_client(event_hooks={"request": [lambda r: told.append("client")]})
    client.get(s.url, event_hooks={"request": lambda r: told.append("call")}).read()
    assert told == ["client", "call"]


def test_a_request_hook_that_raises_sends_nothing(s, new_client):
    def fail(request):
        raise LookupError("no")

    with pytest.raises(LookupError):
        new_client(event_hooks={"request": [fail]}).get(s.url)
    assert s.requests == []


@pytest.mark.parametrize("name", ["hooks", "event_hooks"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (5, TypeError),
        ([print], TypeError),
        ({"response": 5}, TypeError),
        ({"response": [5]}, TypeError),
        ({"nothing": [print]}, ValueError),
    ],
)
def test_what_hooks_take(new_client, name, value, error):
    for call in (
        lambda: hpool.Client(**{name: value}),
        lambda: new_client().get("http://127.0.0.1:1/", **{name: value}),
        lambda: setattr(new_client(), name, value),
    ):
        with pytest.raises(error, match=name):
            call()


# ---- live changes ------------------------------------------------------------


def test_hooks_can_be_filled_later(s, new_client):
    client = new_client()
    notes, events = Notes(), Notes()
    client.hooks["response"].append(notes)
    client.event_hooks["request"].append(events)
    client.get(s.url).read()
    assert (len(notes.seen), len(events.seen)) == (1, 1)
    client.hooks["response"] = notes  # requests takes a function as well
    client.get(s.url).read()
    assert len(notes.seen) == 2
    client.hooks = {"response": []}
    client.event_hooks = None
    client.get(s.url).read()
    assert (len(notes.seen), len(events.seen)) == (2, 2)


def test_what_was_given_can_be_filled_later(s, new_client):
    notes = Notes()
    given = {"response": []}
    client = new_client(hooks=given, event_hooks=MappingProxyType({"request": []}))
    given["response"].append(notes)
    client.get(s.url).read()
    assert len(notes.seen) == 1


def test_a_call_s_hooks_are_left_alone(s, new_client):
    """The dict of a call is the caller's, and is not filled in."""
    mine = {"response": print}
    new_client().get(s.url, hooks=mine | {"response": lambda r, **how: None}).read()
    events = {}
    new_client().get(s.url, event_hooks=events).read()
    assert mine == {"response": print} and events == {}


def test_a_request_uses_what_held_when_it_started(server, new_client):
    """A change on the way is for the requests that follow."""
    client = new_client()

    def answer(request):
        client.event_hooks = {"request": [lambda r: r.headers.update({"X-New": "1"})]}
        return MOVED if request.target == "/1" else OK

    s = server([serve(answer)])
    client.event_hooks = {"request": [lambda r: r.headers.update({"X-Old": "1"})]}
    client.get(f"{s.url}/1")
    client.get(f"{s.url}/3")
    assert [(r.get("X-Old"), r.get("X-New")) for r in s.requests] == [
        ("1", None), ("1", None), (None, "1"),
    ]  # fmt: skip


# ---- beside the real ones ----------------------------------------------------


def test_beside_requests(s):
    """The same hooks, the same calls in the same order."""
    requests = pytest.importorskip("requests")

    def walk(session):
        told = []

        def first(response, *args, **kwargs):
            told.append(("first", response.status_code, sorted(kwargs)))

        def second(response, *args, **kwargs):
            told.append(("second", response.status_code))

        session.hooks["response"] += [first, second]
        session.get(f"{s.url}/1")
        session.get(f"{s.url}/2", hooks={"response": second})
        return told

    with requests.Session() as theirs, hpool.Session() as ours:
        assert walk(ours) == walk(theirs)


def test_beside_httpx(s):
    httpx = pytest.importorskip("httpx")

    def walk(make):
        told = []
        hooks = {
            "request": [lambda r: told.append((r.method, str(r.url)))],
            "response": [lambda r: told.append((r.status_code, str(r.url)))],
        }
        with make(event_hooks=hooks, follow_redirects=True) as client:
            client.get(f"{s.url}/1")
        return told

    assert walk(hpool.Client) == walk(httpx.Client)


# ---- raise_for_status of the client ------------------------------------------


def test_raise_for_status_is_about_the_last_response(server, new_client):
    """A 401 that auth answers, or a redirect, is none of its business."""

    def answer(request):
        if request.target == "/1":
            return respond(status=302, headers={"Location": "/404"})
        return respond(b"no", 404)

    s = server([serve(answer)])
    client = new_client(raise_for_status=True)
    with pytest.raises(hpool.HTTPError) as caught:
        client.get(f"{s.url}/1")
    error = caught.value
    assert error.response.url == error.request.url == f"{s.url}/404"
    assert [r.status for r in error.response.history] == [302]
    with pytest.raises(hpool.HTTPError):
        client.get(f"{s.url}/404", hooks={"response": []})


def test_hooks_and_a_stream_that_is_given_up(server, new_client):
    """A response hook gets the response before its body has come."""
    s = server([
        expect(),
        send(respond(b"", headers={"Content-Length": 5})),
        until_closed(),
    ])
    seen = []
    client = new_client(hooks={"response": lambda r, **how: seen.append(r.status)})
    client.get(s.url).close()
    assert seen == [200]
