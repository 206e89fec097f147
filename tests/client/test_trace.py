"""trace=: who may listen, what he is told, and what becomes of what he raises.
What is told when is in tests/scenarios/test_trace.py."""

import gc
import pickle
import sys
import threading

import pytest

import hpool
from hpool import _core
from hpool._trace import EVENTS
from tests.server.scripted import expect, respond, send, serve, until_closed
from tests.tools import Call, Recorder, until, until_idle

COMMON = {"event", "time", "request", "conn", "host"}
VERBS = ("get", "options", "head", "post", "put", "patch", "delete")


def serve_all(answer=respond(b"ok")):
    return [serve(answer)]


# ---- who may listen ----------------------------------------------------------


def test_a_callable(server, new_client):
    heard = []
    s = server(serve_all())
    new_client(trace=lambda event, info: heard.append((event, info))).get(s.url).read()
    assert heard[0][0] == "request_start"
    assert heard[-1][0] == "request_done"
    assert all(info["event"] == event for event, info in heard)


class Chosen:
    """Wants two events, and has other methods."""

    def __init__(self):
        self.heard = []

    def got_conn(self, info):
        self.heard.append(info)

    def request_done(self, info):
        self.heard.append(info)

    def write(self):
        raise AssertionError("no event")


def test_an_object_with_methods(server, new_client):
    chosen = Chosen()
    s = server(serve_all())
    new_client(trace=chosen).get(s.url).read()
    assert [info["event"] for info in chosen.heard] == ["got_conn", "request_done"]


def test_methods_win_over_call(server, new_client):
    class Both(Chosen):
        def __call__(self, event, info):
            raise AssertionError(event)

    both = Both()
    s = server(serve_all())
    new_client(trace=both).get(s.url).read()
    assert len(both.heard) == 2


def test_an_instance_that_can_be_called(server, new_client):
    recorder = Recorder()
    s = server(serve_all())
    new_client(trace=recorder).get(s.url).read()
    assert recorder.names[0] == "request_start"


@pytest.mark.parametrize("wrong", [1, "request_start", object(), ["got_conn"]])
def test_what_cannot_listen(server, new_client, wrong):
    client = new_client()
    with pytest.raises(TypeError, match="trace takes an object with methods"):
        hpool.Client(trace=wrong)
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        client.trace = wrong
    with pytest.raises(TypeError, match="trace takes"):
        client.get("http://127.0.0.1:1/", trace=wrong)
    assert client.trace is None


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_it(server, new_client, verb):
    s = server(serve_all(respond()))
    recorder = Recorder()
    getattr(new_client(), verb)(s.url, trace=recorder)
    assert recorder.one("request_start")["method"] == verb.upper()
    assert recorder.one("request_done")["status"] == 200


def test_request_and_stream_take_it(server, new_client):
    s = server(serve_all(respond()))
    client, recorder = new_client(), Recorder()
    client.request("PURGE", s.url, trace=recorder)
    with client.stream("GET", s.url, trace=recorder) as response:
        response.read()
    methods = [info["method"] for info in recorder.all("request_start")]
    assert methods == ["PURGE", "GET"]


def test_session_and_module_verbs(server):
    s = server(serve_all())
    recorder = Recorder()
    with hpool.Session(trace=recorder) as session:
        session.get(s.url)
    hpool.get(s.url, trace=recorder)
    hpool.configure(trace=recorder)
    try:
        hpool.get(s.url)
    finally:
        hpool.configure()
    hpool.get(s.url)
    assert len(recorder.all("request_done")) == 3


def test_a_subclass_with_its_own_request(server):
    class Own(hpool.Client):
        def request(self, method, url, **how):
            return super().request(method, url, **how)

    s = server(serve_all())
    recorder = Recorder()
    with Own() as client:
        client.get(s.url, trace=recorder).read()
    assert recorder.one("request_done")["status"] == 200


# ---- the live client ---------------------------------------------------------


def test_it_can_be_changed_later(server, new_client):
    s = server(serve_all())
    client = new_client()
    assert client.trace is None
    client.get(s.url).read()
    first, second = Recorder(), Recorder()
    client.trace = first
    assert client.trace is first
    client.get(s.url).read()
    client.trace = second
    client.get(s.url).read()
    client.trace = None
    assert client.trace is None
    client.get(s.url).read()
    assert len(first.all("request_done")) == len(second.all("request_done")) == 1
    with pytest.raises(AttributeError):
        del client.trace


def test_a_request_keeps_the_one_it_started_with(server, new_client):
    s = server(serve_all(respond(b"x" * 100_000)))
    first, second = Recorder(), Recorder()
    client = new_client(trace=first)
    response = client.get(s.url)
    client.trace = second
    response.read()
    assert first.names[-1] == "request_done"
    assert second.names == []


def test_changing_other_defaults_keeps_it(server, new_client):
    recorder = Recorder()
    client = new_client(trace=recorder)
    client.headers["X"] = "y"
    client.timeout = 3
    client.params = {"a": "b"}
    assert client.trace is recorder
    s = server(serve_all())
    client.get(s.url).read()
    assert recorder.one("request_done")


def test_it_is_pickled_with_the_settings():
    with hpool.Client(trace=print) as client:
        with pickle.loads(pickle.dumps(client)) as copy:
            assert copy.trace is print
        client.trace = None
        with pickle.loads(pickle.dumps(client)) as copy:
            assert copy.trace is None


def test_it_dies_with_its_client(server):
    """A listener that knows its client is garbage with it."""

    class Knows:
        def __call__(self, event, info):
            pass

    import weakref

    s = server(serve_all())
    client = hpool.Client()
    listener = Knows()
    listener.client = client
    client.trace = listener
    client.get(s.url).read()
    gone = weakref.ref(listener)
    del client, listener
    gc.collect()
    assert gone() is None


# ---- both --------------------------------------------------------------------


def test_the_requests_own_comes_first(server, new_client):
    """Each event goes to the request's handler, then to the client's; what one
    does to its dict the other does not see."""
    order = []

    def own(event, info):
        order.append(("own", info.pop("event")))

    def clients(event, info):
        order.append(("client", info["event"]))

    s = server(serve_all())
    new_client(trace=clients).get(s.url, trace=own).read()
    assert [who for who, _ in order] == ["own", "client"] * (len(order) // 2)
    assert [e for _, e in order[::2]] == [e for _, e in order[1::2]]


def test_none_for_a_request_leaves_the_clients(server, new_client):
    recorder = Recorder()
    s = server(serve_all())
    new_client(trace=recorder).get(s.url, trace=None).read()
    assert recorder.one("request_done")


# ---- what is told ------------------------------------------------------------


def clock():
    """time.monotonic(), but for what other tests have put it forward."""
    return _core._clock() / 1e9


def test_what_every_event_has(server, new_client):
    before = clock()
    recorder = Recorder()
    s = server(serve_all())
    client = new_client(trace=recorder)
    client.get(s.url).read()
    client.get(s.url).read()
    after = clock()
    assert recorder.infos
    for info in recorder.infos:
        assert set(info) >= COMMON
        assert info["event"] in EVENTS
        assert info["host"] == f"127.0.0.1:{s.port}"
        assert before <= info["time"] <= after
    times = [info["time"] for info in recorder.infos]
    assert times == sorted(times)
    assert len({info["request"] for info in recorder.infos}) == 2
    assert {info["conn"] for info in recorder.infos if info["conn"]} == {
        recorder.all("got_conn")[0]["conn"]
    }


def test_no_secret_is_told(server, new_client):
    recorder = Recorder()
    s = server(serve_all())
    url = s.url.replace("//", "//user:passwort@") + "/p?token=geheim#geheim"
    secret = dict.fromkeys(("Authorization", "cookie", "PROXY-AUTHORIZATION"), "geheim")
    new_client(trace=recorder).get(url, headers={**secret, "X": "seen"}).read()
    assert "geheim" not in repr(recorder.infos)
    assert "passwort" not in repr(recorder.infos)
    assert recorder.one("request_start")["url"] == s.url + "/p"
    fields = {i["name"]: i["value"] for i in recorder.all("wrote_header_field")}
    assert {name: fields[name] for name in secret} == dict.fromkeys(secret, "***")
    assert fields["X"] == "seen"
    assert fields["Host"] == f"127.0.0.1:{s.port}"


def test_header_values_are_latin_1(server, new_client):
    recorder = Recorder()
    s = server([expect(), send(b"HTTP/1.1 103 Early\r\nX: \xe9\r\n\r\n" + respond())])
    new_client(trace=recorder).get(s.url, headers={b"Y": b"\xe9"}).read()
    assert recorder.one("got_1xx_response")["headers"] == [("X", "\xe9")]
    assert {"name": "Y", "value": "\xe9"}.items() <= recorder.all("wrote_header_field")[
        -1
    ].items()


# ---- what a handler raises ---------------------------------------------------


@pytest.fixture
def unraisable(monkeypatch):
    """What sys.unraisablehook was given."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: seen.append(what))
    return seen


class Raises:
    """Raises `error` at one event, and records all others."""

    def __init__(self, event, error):
        self.at, self.error = event, error
        self.heard = []

    def __call__(self, event, info):
        self.heard.append(event)
        if event == self.at:
            raise self.error

    def __repr__(self):
        return "<the handler>"


@pytest.mark.parametrize(
    "at", ["request_start", "got_conn", "put_idle_conn", "request_done"]
)
def test_an_exception_does_not_break_the_request(server, new_client, unraisable, at):
    s = server(serve_all())
    handler, other = Raises(at, ValueError("no")), Recorder()
    client = new_client(trace=other)
    assert client.get(s.url, trace=handler).read() == b"ok"
    assert [type(what.exc_value) for what in unraisable] == [ValueError]
    assert unraisable[0].object is handler
    assert handler.heard[-1] == "request_done"
    assert other.names == handler.heard


def test_the_object_is_shown_not_its_wrapper(server, new_client, unraisable):
    class Object:
        def got_conn(self, info):
            raise ValueError

        def __repr__(self):
            return "<the object>"

    s = server(serve_all())
    new_client(trace=Object()).get(s.url).read()
    assert repr(unraisable[0].object) == "<the object>"


@pytest.mark.parametrize(
    "at", ["request_start", "got_conn", "wrote_headers", "got_response"]
)
def test_an_interrupt_ends_the_request(server, new_client, at):
    """KeyboardInterrupt and its like go through, and nothing is left behind."""
    s = server([expect(), send(respond(b"x" * 100_000)), until_closed()])
    recorder = Recorder()
    client = new_client(trace=recorder)
    handler = Raises(at, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        client.get(s.url, trace=handler)
    assert handler.heard[-1] == "request_done"
    assert recorder.one("request_done")["error"] == "KeyboardInterrupt"
    assert client.stats().total.in_use == client.stats().total.leaked == 0


def test_an_interrupt_while_the_body_is_read(server, new_client):
    s = server([expect(), send(respond(b"x" * 300_000)), until_closed()])
    client = new_client()
    handler = Raises("put_idle_conn", SystemExit(3))
    response = client.get(s.url, trace=handler)
    with pytest.raises(SystemExit):
        response.read()
    response.close()
    assert client.stats().total.in_use == 0


def test_an_interrupt_at_close(server, new_client):
    s = server(serve_all(respond(b"x" * 3_000_000)))
    client = new_client()
    handler = Raises("request_done", KeyboardInterrupt())
    response = client.get(s.url, trace=handler)
    with pytest.raises(KeyboardInterrupt):
        response.close()
    response.close()
    until(lambda: client.stats().total.in_use == 0)


def test_a_failing_requests_own_error_stays(server, new_client, unraisable):
    """What a handler raises while a request fails hides nothing."""
    s = server([expect(), send(b"garbage\r\n\r\n"), until_closed()])
    handler = Raises("request_done", ValueError("no"))
    with pytest.raises(hpool.RemoteProtocolError):
        new_client().get(s.url, trace=handler)
    assert len(unraisable) == 1


def test_a_producers_error_is_named(server, new_client):
    class Odd(Exception):
        pass

    def body():
        yield b"x"
        raise Odd

    s = server([expect(body=False), until_closed()])
    recorder = Recorder()
    with pytest.raises(Odd):
        new_client(trace=recorder).post(s.url, content=body())
    assert recorder.one("request_done")["error"] == "Odd"
    assert recorder.one("wrote_request")["error"] == "the request body failed"


@pytest.mark.parametrize("name", ["PoolTimeout", "ConnectError", "ReadTimeout"])
def test_errors_are_named_as_they_are_raised(server, new_client, name):
    recorder = Recorder()
    s = server([expect(), send(respond(b"x" * 100_000)), until_closed()])
    client = new_client(limits=hpool.Limits(max_conns=1))
    with client.get(s.url) as response:
        url, how = {
            "PoolTimeout": (s.url, hpool.Timeout(pool=0.05)),
            "ConnectError": ("http://127.0.0.1:1/", 5),
            "ReadTimeout": (s.url, hpool.Timeout(read=0.05)),
        }[name]
        if name != "PoolTimeout":
            response.read()
        with pytest.raises(getattr(hpool, name)):
            client.get(url, timeout=how, trace=recorder)
    done = recorder.one("request_done")
    assert (done["status"], done["error"]) == (None, name)
    assert done["duration"] > 0


# ---- handlers that make requests ---------------------------------------------


def test_a_handler_that_makes_requests(server, new_client):
    """It may use the very client that it listens to: what it asks for itself is
    not told to it, or there would be no end."""
    s = server(serve_all())
    heard = []

    def handler(event, info):
        heard.append(event)
        assert client.get(s.url).read() == b"ok"
        client.stats()

    client = new_client(trace=handler)
    for n in (1, 2):
        client.get(s.url).read()
        assert heard.count("request_start") == heard.count("request_done") == n
    until_idle(client, 2)
    client.trace = None  # its end would be told, too


def test_a_handler_that_makes_requests_under_a_limit(server, new_client):
    """While its request holds the only connection, it waits in vain, and no
    longer than its timeout."""
    s = server(serve_all())
    errors = []

    def handler(event, info):
        if event == "got_conn":
            try:
                client.get(s.url, timeout=hpool.Timeout(pool=0.02))
            except hpool.PoolTimeout as error:
                errors.append(error)

    client = new_client(trace=handler, limits=hpool.Limits(max_conns=1))
    assert client.get(s.url).read() == b"ok"
    assert len(errors) == 1


def test_an_explicit_trace_counts_in_a_handler(server, new_client):
    s = server(serve_all())
    inner = Recorder()

    def handler(event, info):
        if event == "request_done":
            client.get(s.url, trace=inner).read()

    client = new_client(trace=handler)
    client.get(s.url).read()
    assert inner.names[-1] == "request_done"


def test_a_handler_that_closes_the_client(server, new_client):
    s = server([expect(), until_closed()])

    def handler(event, info):
        if event == "wrote_request":
            client.close()

    client = new_client(trace=handler)
    with pytest.raises(hpool.ClosedError):
        client.get(s.url)


# ---- threads -----------------------------------------------------------------


def test_threads_share_a_client(server, new_client):
    s = server(serve_all(respond(b"x" * 10_000)))
    recorder = Recorder()
    client = new_client(trace=recorder)
    start = threading.Barrier(4)

    def many():
        start.wait()
        for _ in range(25):
            client.get(s.url).read()

    for call in [Call(many) for _ in range(4)]:
        call.result()
    done = recorder.all("request_done")
    assert len(done) == len({info["request"] for info in done}) == 100
    by_request = {}
    for info in recorder.infos:
        by_request.setdefault(info["request"], []).append(info["event"])
    for request, events in by_request.items():
        if request:
            assert events[0] == "request_start"
            assert events[-1] == "request_done"


def test_closed_by_another_thread(server, new_client):
    """Who closes tells what the close has caused, or the reader does: once."""
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"
    s = server([expect(), send(half), until_closed()])
    recorder = Recorder()
    client = new_client(trace=recorder)
    response = client.get(s.url)
    reading = Call(response.read)
    until(lambda: client.leaks(older_than=0)[0].phase == "body half read")
    response.close()
    reading.error()
    assert len(recorder.all("request_done")) == 1
    assert len(recorder.all("conn_closed")) == 1
