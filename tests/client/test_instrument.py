"""What is told of every request: _core._set_instrument (csrc/py/instrument.h)."""

import gc
import sys

import pytest

import hpool
from hpool import _core
from tests.server.scripted import close, expect, respond, send, serve

OK = respond(b"ok")


class Instrument:
    """Notes what it is called with, and answers with what it was made of."""

    def __init__(self, headers=None, answer=...):
        self.headers = headers
        self.answer = answer
        self.asked = []
        self.finished = []

    def __call__(self, client, method, url):
        self.asked.append((client, method, url))
        return (self.headers, self.finish) if self.answer is ... else self.answer

    def finish(self, response, error):
        self.finished.append((response, error))


@pytest.fixture
def install():
    def put(instrument):
        _core._set_instrument(instrument)
        return instrument

    yield put
    _core._set_instrument(None)


@pytest.fixture
def unraisable(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_value))
    return seen


def test_asked_before_and_finished_after(server, new_client, install):
    """Asked with client, method and the whole URL; finished once, with the
    response, when its head has arrived."""
    s = server([serve(OK)])
    client = new_client(base_url=s.url, params={"a": "1"})
    told = install(Instrument())
    with client.request("get", "/x", params={"b": "2"}) as response:
        assert told.asked == [(client, "GET", f"{s.url}/x?a=1&b=2")]
        assert told.finished == [(response, None)]
        assert response.read() == b"ok"
    assert len(told.finished) == 1


def test_every_verb_is_told(server, new_client, install):
    s = server([serve(OK)], [serve(OK)])
    client = new_client()
    told = install(Instrument())
    for verb in ("get", "options", "post", "put", "patch", "delete"):
        getattr(client, verb)(s.url, stream=False)
    client.request("REPORT", s.url, stream=False)
    client.stream("GET", s.url).close()
    hpool.get(s.url)
    methods = [method for _, method, _ in told.asked]
    assert methods == [
        "GET", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "REPORT", "GET", "GET",
    ]  # fmt: skip
    assert len(told.finished) == len(methods)


@pytest.mark.parametrize(
    "headers",
    [{"X-Id": "7"}, [("X-Id", "7")], [(b"X-Id", b"7")], hpool.Headers({"X-Id": "7"})],
)
def test_headers_are_sent(server, new_client, install, headers):
    """Mapping or pairs; in place of the call's and the client's own."""
    s = server([serve(OK)])
    client = new_client(headers={"x-id": "client's", "X-Other": "stays"})
    install(Instrument(headers))
    client.get(s.url, stream=False)
    client.get(s.url, stream=False, headers=[("x-ID", "1"), ("A", "a"), (b"X-Id", "2")])
    for request in s.requests:
        assert request.all("X-Id") == ["7"]
        assert request.get("X-Other") == "stays"
    assert s.requests[1].get("A") == "a"
    response = client.get(s.url, stream=False)
    assert response.request.headers["X-Id"] == "7"


def test_none_is_no_interest(server, new_client, install):
    s = server([serve(OK)])
    told = install(Instrument(answer=None))
    assert new_client().get(s.url, stream=False).content == b"ok"
    assert len(told.asked) == 1 and told.finished == []


def test_failure_before_the_head(server, new_client, install):
    """The very exception that the caller gets, and no response."""
    s = server([expect(), close()])
    told = install(Instrument())
    with pytest.raises(hpool.ServerDisconnected) as raised:
        new_client().post(s.url, data=b"x")
    assert told.finished == [(None, raised.value)]
    assert raised.value.__traceback__ is not None


def test_failure_in_the_body(server, new_client, install):
    """A call that reads the body has failed when that fails; one that streams
    has not."""
    cut = respond(b"0123456789")[:-5]
    s = server([expect(), send(cut), close()], [expect(), send(cut), close()])
    told = install(Instrument())
    client = new_client()
    with pytest.raises(hpool.IncompleteRead) as raised:
        client.get(s.url, stream=False)
    [(response, error)] = told.finished
    assert response.status_code == 200 and error is raised.value
    with client.get(s.url) as response:
        assert told.finished[1] == (response, None)
        with pytest.raises(hpool.IncompleteRead):
            response.read()


def test_raise_for_status_comes_after(server, new_client, install):
    """An answer with a 404 is no failure of the call."""
    s = server([serve(respond(b"no", 404))])
    told = install(Instrument())
    with pytest.raises(hpool.HTTPError):
        new_client(raise_for_status=True).get(s.url, stream=False)
    [(response, error)] = told.finished
    assert (response.status_code, error) == (404, None)


def test_refused_headers_fail_the_call_and_finish(server, new_client, install):
    told = install(Instrument({"X-Id": "a\nb"}))
    with pytest.raises(hpool.InvalidHeader) as raised:
        new_client().get("http://127.0.0.1:9/")
    assert told.finished == [(None, raised.value)]


@pytest.mark.parametrize("answer", [7, (), ({}, None), ([], print, 3)])
def test_wrong_answer_is_reported(server, new_client, install, unraisable, answer):
    s = server([serve(OK)])
    install(Instrument(answer=answer))
    assert new_client().get(s.url, stream=False).content == b"ok"
    [error] = unraisable
    assert "must return None or (headers, callable)" in str(error)


def test_wrong_headers_are_reported_and_finished(
    server, new_client, install, unraisable
):
    s = server([serve(OK)])
    told = install(Instrument("X-Id: 7"))
    assert new_client().get(s.url, stream=False).content == b"ok"
    [error] = unraisable
    assert isinstance(error, TypeError)
    assert len(told.finished) == 1


def raising(error):
    def raiser(*_):
        raise error

    return raiser


def test_exceptions_do_not_break_the_request(server, new_client, install, unraisable):
    s = server([serve(OK)])
    client = new_client()
    first, second, third = (ValueError(n) for n in range(3))
    install(raising(first))
    assert client.get(s.url, stream=False).content == b"ok"
    install(lambda *_: (None, raising(second)))
    assert client.get(s.url, stream=False).content == b"ok"
    install(lambda *_: (None, raising(third)))
    with pytest.raises(hpool.InvalidHeader):
        client.get(s.url, headers={"a b": "c"})
    assert unraisable == [first, second, third]


def test_interrupts_propagate(server, new_client, install, recwarn):
    """A KeyboardInterrupt in either goes on, with the call's own failure as its
    context, and nothing leaks."""
    # Its body never ends: who drops this response without close() leaks it.
    s = server([expect(), send(respond(b"x" * 9)[:-1])])
    client = new_client()
    install(raising(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        client.get(s.url)
    install(lambda *_: (None, raising(KeyboardInterrupt)))
    with pytest.raises(KeyboardInterrupt):
        client.get(s.url)
    with pytest.raises(KeyboardInterrupt) as raised:
        client.get(s.url, headers={"a b": "c"})
    assert isinstance(raised.value.__context__, hpool.InvalidHeader)
    gc.collect()
    assert client.stats().total.leaked == 0
    assert not recwarn


def test_only_callables(install):
    with pytest.raises(
        TypeError, match="instrument must be a callable or None, not int"
    ):
        install(7)


def test_taken_away_during_a_request(server, new_client, install):
    s = server([serve(OK)])

    def ask(*_):
        _core._set_instrument(None)
        return None, told.finish

    told = Instrument()
    install(ask)
    client = new_client()
    client.get(s.url, stream=False)
    client.get(s.url, stream=False)
    assert len(told.finished) == 1
