"""Client, Session, Response: what users call, over real connections."""

import datetime
import io
import json
import os
import pickle
import threading

import pytest

import hpool
from hpool import _core
from tests.server.scripted import (
    expect,
    respond,
    respond_chunked,
    send,
    serve,
    until_closed,
)
from tests.tools import Call, gauges, until, until_waiting

OK = [serve(respond(b"ok"))]


@pytest.fixture
def echo(server):
    """A server that answers each request with what it was, as JSON."""

    def answer(request):
        seen = {
            "line": request.line,
            "fields": request.fields,
            "body": request.body.decode("latin-1"),
        }
        return respond(
            json.dumps(seen).encode(), headers={"Content-Type": "application/json"}
        )

    return server([serve(answer)])


def sent(s):
    """The last request the server has seen."""
    return s.requests[-1]


# ---- requests ----------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "options", "post", "put", "patch", "delete"])
def test_verbs(echo, new_client, verb):
    """Each verb sends its own method, and request() any."""
    client = new_client()
    r = getattr(client, verb)(f"{echo.url}/x?y=1")
    assert r.json()["line"] == f"{verb.upper()} /x?y=1 HTTP/1.1"
    r = client.request(verb.upper(), f"{echo.url}/x")
    assert r.json()["line"] == f"{verb.upper()} /x HTTP/1.1"
    assert r.request.method == verb.upper()
    assert client.request("PROPFIND", echo.url).json()["line"].startswith("PROPFIND /")


def test_head(echo, new_client):
    """HEAD has headers and no body."""
    r = new_client().head(echo.url)
    assert (r.ok, r.content) == (True, b"")
    assert sent(echo).method == "HEAD"


def test_defaults_that_are_sent(echo, new_client):
    """User-Agent, Accept and Accept-Encoding go out unless given."""
    new_client().get(echo.url).read()
    assert sent(echo).get("User-Agent") == f"hpool/{hpool.__version__}"
    assert sent(echo).get("Accept") == "*/*"
    assert sent(echo).get("Accept-Encoding") == _core._accept_encoding()
    assert sent(echo).get("Host") == f"127.0.0.1:{echo.port}"


@pytest.mark.parametrize(
    "params, query",
    [
        ({"a": 1, "b": "x y"}, "a=1&b=x+y"),
        ([("a", "1"), ("a", "2")], "a=1&a=2"),
        ({"a": ["1", "2"], "b": None}, "a=1&a=2"),
        ("a=1&b", "a=1&b"),
        ({"\u00fc": "&="}, "%C3%BC=%26%3D"),
        (None, ""),
        ({}, ""),
    ],
)
def test_params(echo, new_client, params, query):
    """params= becomes the query, as with requests; the URL shows it."""
    r = new_client().get(f"{echo.url}/x", params=params)
    target = f"/x?{query}" if query else "/x"
    assert sent(echo).target == target
    assert r.url == echo.url + target


def test_params_of_client_and_call(echo, new_client):
    """A client's params go with each call's; the call's win."""
    client = new_client(params={"key": "1", "a": "client"})
    client.get(f"{echo.url}/?u=0", params={"a": "call"}).read()
    assert sent(echo).target == "/?u=0&key=1&a=call"


def test_base_url(echo, new_client):
    """Paths are put behind base_url; whole URLs are left alone."""
    client = new_client(base_url=f"{echo.url}/v1/")
    for path in ("x", "/x"):
        client.get(path).read()
        assert sent(echo).target == "/v1/x"
    client.get(f"{echo.url}/other").read()
    assert sent(echo).target == "/other"


def test_headers_merge(echo, new_client):
    """A call's headers go over the client's, whatever their case; None takes one
    out; the client's own stay as they are."""
    client = new_client(headers={"X-A": "1", "X-B": "2", "Accept": "text/html"})
    client.get(echo.url, headers={"x-a": "call", "X-B": None, "X-C": "3"}).read()
    request = sent(echo)
    assert request.get("X-A") == "call"
    assert request.get("X-B") is None
    assert request.get("X-C") == "3"
    assert request.get("Accept") == "text/html"
    client.get(echo.url).read()
    assert [sent(echo).get(n) for n in ("X-A", "X-B", "X-C")] == ["1", "2", None]


def test_headers_as_pairs(echo, new_client):
    """Pairs may repeat a name, and go out in their order and spelling."""
    pairs = [("X-b", "1"), ("X-A", "2"), ("X-b", "3")]
    new_client().get(echo.url, headers=pairs).read()
    mine = [field for field in sent(echo).fields if field[0].startswith("X-")]
    assert mine == pairs


def test_a_client_s_headers_change(echo, new_client):
    """client.headers can be changed, for the requests that follow."""
    client = new_client()
    client.headers["X-A"] = "1"
    client.headers.update({"x-b": "2"})
    client.get(echo.url).read()
    assert (sent(echo).get("X-A"), sent(echo).get("X-B")) == ("1", "2")
    del client.headers["x-a"]
    client.get(echo.url).read()
    assert sent(echo).get("X-A") is None


@pytest.mark.parametrize(
    "how, body, kind",
    [
        ({"data": b"raw"}, b"raw", None),
        ({"content": b"raw"}, b"raw", None),
        ({"data": "t\u00e4xt"}, "t\u00e4xt".encode(), None),
        ({"content": bytearray(b"raw")}, b"raw", None),
        ({"content": memoryview(b"raw")}, b"raw", None),
        ({"data": {"a": "1", "b": ["x y", "z"]}}, b"a=1&b=x+y&b=z", "form"),
        ({"data": [("a", "1"), ("a", "2")]}, b"a=1&a=2", "form"),
        (
            {"json": {"a": [1, None, "\u00fc"]}},
            '{"a":[1,null,"\u00fc"]}'.encode(),
            "json",
        ),
        ({"json": []}, b"[]", "json"),
        ({"data": io.BytesIO(b"file")}, b"file", None),
        ({"data": [b"a", b"b"]}, b"ab", None),
    ],
    ids=str,
)
def test_bodies(server, new_client, how, body, kind):
    """What is given as a body goes out with its length and, for forms and JSON, its
    type."""
    s = server(OK)
    new_client().post(s.url, **how).read()
    request = sent(s)
    assert request.body == body
    assert request.get("Content-Length") == str(len(body))
    assert request.get("Transfer-Encoding") is None
    kinds = {"form": "application/x-www-form-urlencoded", "json": "application/json"}
    got = request.get("Content-Type")
    assert got == kinds.get(kind) or (kind is None and got.startswith("text/plain"))


def test_one_s_own_content_type(server, new_client):
    """A Content-Type of one's own is kept."""
    s = server(OK)
    new_client().post(s.url, json=1, headers={"content-type": "text/x"}).read()
    assert sent(s).all("Content-Type") == ["text/x"]


def test_a_generator_goes_out_in_chunks(server, new_client):
    """A generator's pieces are chunks on the wire, byte for byte; empty pieces are
    left out, since they would end the body."""

    def body():
        yield b"first"
        yield b""
        yield "s\u00e9cond"
        yield bytearray(b"third")

    s = server(OK)
    new_client().post(s.url, data=body()).read()
    request = sent(s)
    assert request.get("Transfer-Encoding") == "chunked"
    assert request.get("Content-Length") is None
    assert request.raw_body == (
        b"5\r\nfirst\r\n7\r\ns\xc3\xa9cond\r\n5\r\nthird\r\n0\r\n\r\n"
    )


def test_a_generator_of_known_length(server, new_client):
    """With a Content-Length of one's own a generator goes out as it is."""
    s = server(OK)
    pieces = iter([b"abc", b"def"])
    new_client().post(s.url, data=pieces, headers={"Content-Length": "6"}).read()
    assert (sent(s).raw_body, sent(s).get("Transfer-Encoding")) == (b"abcdef", None)


def test_a_file(server, new_client, tmp_path):
    """A file goes out from where it stands, with its length, in large pieces."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4096)
    s = server(OK)
    with open(path, "rb") as file:
        file.seek(100)
        new_client().put(s.url, data=file).read()
    assert sent(s).body == path.read_bytes()[100:]
    assert sent(s).get("Content-Length") == str(256 * 4096 - 100)


def test_a_response_as_a_body(server, new_client):
    """A response is a file: it can be sent on while it comes in."""
    source = server([serve(respond_chunked(b"a" * 70000, b"b" * 70000))])
    sink = server(OK)
    client = new_client()
    client.post(sink.url, data=client.get(source.url)).read()
    assert sent(sink).body == b"a" * 70000 + b"b" * 70000


def test_auth_in_the_url_is_not_shown(server, new_client):
    """A response's repr and an error's text show no password."""
    s = server(OK)
    url = f"http://user:s3cret@127.0.0.1:{s.port}/x"
    r = new_client().get(url)
    assert "s3cret" not in repr(r) + repr(r.request)


# ---- streaming or not --------------------------------------------------------


def test_a_client_streams_and_a_session_reads(server, new_client):
    """client.get() returns with the head, session.get() with the body; stream= says
    otherwise for one call."""
    go = threading.Event()
    ok = respond(b"ok")
    half = [expect(), send(ok[:-2], go, ok[-2:])]
    s = server(half)
    client = new_client()
    streamed = client.get(s.url)
    assert not go.is_set()
    with hpool.Session(timeout=10) as session:
        whole = Call(session.get, s.url)
        asked = Call(client.get, s.url, stream=False)
        with session.get(s.url, stream=True) as r:
            s.wait_requests(4)
            assert whole.is_alive() and asked.is_alive()
            go.set()
            assert r.read() == b"ok"
        kept = whole.result()
    assert streamed.read() == b"ok"
    assert asked.result().content == b"ok"
    assert kept.content == b"ok"  # outlives its session


def test_a_read_body_outlives_everything(server):
    """A response of a session can be read over and over, after close() of both."""
    s = server(OK)
    session = hpool.Session()
    r = session.get(s.url)
    session.close()
    r.close()
    assert (r.content, r.text, r.read()) == (b"ok", "ok", b"ok")


def test_stream_method(server, new_client):
    """httpx's stream(): for a with statement."""
    s = server(OK)
    with new_client().stream("GET", s.url) as r:
        assert b"".join(r.iter_bytes()) == b"ok"


# ---- facts -------------------------------------------------------------------


def test_the_head(server, new_client):
    """Status, reason, headers, version, in the words of requests and of httpx."""
    answer = respond(
        b"nope",
        404,
        [("Content-Type", "text/plain; charset=latin-1"), ("X-A", "1"), ("X-A", "2"),
         ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
        reason="Not Here",
    )  # fmt: skip
    s = server([serve(answer)])
    r = new_client().get(s.url)
    assert (r.status_code, r.status, r.reason, r.reason_phrase) == (
        404, 404, "Not Here", "Not Here",
    )  # fmt: skip
    assert not r and not r.ok and not r.is_success and r.is_error
    assert r.http_version == "HTTP/1.1"
    assert r.headers["x-a"] == "1, 2"
    assert r.headers.get_list("X-A") == ["1", "2"]
    assert r.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    assert ("X-A", "1") in r.headers.multi_items()
    assert "x-none" not in r.headers
    assert r.encoding == "latin-1"
    assert repr(r) == "<Response [404]>"
    assert isinstance(r.elapsed, datetime.timedelta)
    assert r.history == []
    with pytest.raises(hpool.HTTPError, match="404 Client Error: Not Here") as caught:
        r.raise_for_status()
    assert caught.value.response is r
    assert r.text == "nope"


def test_raise_for_status(server, new_client):
    """raise_for_status() gives back the response itself; raise_for_status=True does
    it by itself, and the error has the response."""
    s = server([serve(lambda r: respond(b"x", 500 if r.target == "/bad" else 200))])
    r = new_client().get(s.url)
    assert r.raise_for_status() is r
    with pytest.raises(hpool.HTTPError) as caught:
        new_client(raise_for_status=True).get(f"{s.url}/bad")
    assert caught.value.response.status_code == 500


def test_timings(server, new_client):
    """The moments come in their order; on a reused connection nothing is dialed."""
    s = server(OK)
    client = new_client()
    first, second = client.get(s.url), client.get(s.url)
    first.read()
    second.read()
    second = client.get(s.url)
    second.read()
    t = first.timings
    moments = [t.started, t.resolved, t.connected, t.acquired, t.sent, t.first_byte,
               t.head, t.ended]  # fmt: skip
    assert None not in moments
    assert moments == sorted(moments)
    assert (t.secured, t.queued) == (None, None)
    assert t.total > 0
    assert second.timings.connected is None
    assert second.timings.ended is not None


def test_timings_of_an_upload(server, new_client):
    """`sent` is when the kernel has the last byte, not when it was given it."""
    s = server(OK)
    with new_client().post(s.url, data=bytes(1 << 19)) as r:
        assert r.timings.send > 10e-6


def test_timings_of_a_wait(server, new_client):
    """A request that had to queue says how long."""
    go = threading.Event()
    ok = respond(b"ok")
    s = server([expect(), send(ok[:-2], go, ok[-2:]), serve(ok)])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    held = client.get(s.url)
    call = Call(client.get, s.url)
    until_waiting(client, 1)
    go.set()
    held.read()
    waited = call.result()
    assert waited.timings.queued is not None
    assert waited.timings.pool > 0
    total = client.stats().total
    assert total.waits == 1
    assert total.wait_seconds > 0


def test_connection_facts(server, new_client):
    """connection: which one, how old, how often used, from where to where."""
    s = server(OK)
    client = new_client()
    first = client.get(s.url)
    assert first.connection.release in (None, "keep")
    first.read()
    second = client.get(s.url)
    second.read()
    a, b = first.connection, second.connection
    assert a.id == b.id > 0
    assert (a.reused, a.was_idle, a.requests) == (False, False, 1)
    assert (b.reused, b.was_idle, b.requests) == (True, True, 2)
    assert b.age >= b.idle_time > 0
    assert b.remote == f"127.0.0.1:{s.port}"
    assert b.local == f"127.0.0.1:{s.connections[0].port}"
    assert (b.tls_version, b.cipher, b.alpn, b.resumed) == (None, None, None, False)
    assert (b.attempts, b.release) == (1, "keep")
    assert b.key == f"|http|127.0.0.1:{s.port}"


def test_the_request(server, new_client):
    """response.request and error.request say what was asked for."""
    s = server([serve(respond(b"ok"))])
    r = new_client(headers={"X-A": "1"}).post(
        f"{s.url}/x", data=b"body", headers={"X-B": "2"}
    )
    assert (r.request.method, r.request.url) == ("POST", f"{s.url}/x")
    assert r.request.headers["x-a"] == "1"
    assert r.request.headers["x-b"] == "2"
    assert r.request.body == b"body"


def test_an_error_says_where_it_happened(server, new_client):
    """error: request, phase, host, timings, attempts."""
    s = server([expect(), until_closed()])
    with pytest.raises(hpool.ReadTimeout) as caught:
        new_client().get(f"{s.url}/x?q=s3cret", timeout=(5, 0.1))
    error = caught.value
    assert error.request.url.endswith("/x?q=s3cret")
    assert error.phase == "head"
    assert error.host == f"|http|127.0.0.1:{s.port}"
    assert error.attempts == 1
    assert error.timings.sent is not None
    assert "s3cret" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.phase) == (type(error), str(error), "head")


# ---- what comes after a 101 --------------------------------------------------


def test_upgraded(server, new_client):
    """upgraded() hands the connection out once: recv, sendall, shutdown, fileno,
    close; the client's close() does not touch it."""
    head = respond(b"", 101, {"Connection": "upgrade", "Upgrade": "echo"})

    def echo_until_end(connection):
        connection.expect()
        connection.send(head)
        while connection._receive():
            connection.send(connection._take(100))
        connection.send(b"bye")

    s = server(echo_until_end)
    asked = {"Connection": "upgrade", "Upgrade": "echo"}
    client = new_client()
    r = client.get(s.url, headers=asked)
    stream = r.upgraded()
    with pytest.raises(hpool.InvalidArgument):
        r.upgraded()
    assert stream.fileno() > 2
    client.close()
    stream.sendall(b"x" * 50)
    got = b""
    while len(got) < 50:
        got += stream.recv(50)
    assert got == b"x" * 50
    stream.shutdown()
    assert stream.recv(100) == b"bye"
    assert stream.recv(100) == b""
    stream.close()
    stream.close()
    with pytest.raises(ValueError):
        stream.sendall(b"x")
    s.connections[0].wait_ended()


def test_nothing_to_upgrade(server, new_client):
    """upgraded() of a plain answer is an InvalidArgument."""
    s = server(OK)
    with new_client().get(s.url) as r:
        with pytest.raises(hpool.InvalidArgument):
            r.upgraded()
        assert r.read() == b"ok"


# ---- pickling, sharing, statistics -------------------------------------------


def test_a_read_response_travels(server, new_client):
    """A response that has been read goes through pickle with all it says."""
    answer = respond(b'{"a": 1}', 201, {"Content-Type": "application/json", "X-A": "1"})
    s = server([serve(answer)])
    r = new_client().post(f"{s.url}/x", data=b"body")
    with pytest.raises(TypeError, match="not been read"):
        held = server([expect(), send(answer[:-1]), until_closed()])
        with new_client().get(held.url) as unread:
            pickle.dumps(unread)
    r.read()
    again = pickle.loads(pickle.dumps(r))
    assert (again.status_code, again.json(), again.url) == (201, {"a": 1}, r.url)
    assert again.headers["X-A"] == "1"
    assert again.request.method == "POST"
    assert again.closed


def test_a_client_travels(server):
    """A client goes through pickle with its settings, and works at the other end."""
    s = server(OK)
    limits = hpool.Limits(max_conns=7)
    with hpool.Client(headers={"X-A": "1"}, limits=limits, timeout=5) as client:
        client.get(s.url).read()
        with pickle.loads(pickle.dumps(client)) as again:
            assert type(again) is hpool.Client
            assert again.get(s.url).read() == b"ok"
            assert sent(s).get("X-A") == "1"
            assert len(s.connections) == 2
            assert again.stats().total.requests == 1


def test_module_level_verbs_share_a_pool(server):
    """hpool.get() and friends share one pool, and read the body before they
    return."""
    s = server(OK)
    answers = [hpool.get(s.url), hpool.post(s.url, data=b"x"), hpool.get(s.url)]
    assert [r.content for r in answers] == [b"ok"] * 3
    assert len({r.connection.id for r in answers}) == 1
    assert len(s.connections) == 1
    seen = [Call(hpool.get, s.url).result().content for _ in range(3)]
    assert seen == [b"ok"] * 3
    assert len(s.connections) == 1


def test_a_response_by_hand():
    """Response(...) makes a read one, for tests of one's own."""
    r = hpool.Response(200, headers={"Content-Type": "text/plain"}, content="h\u00e9")
    assert (r.ok, r.text, r.content) == (True, "h\u00e9", "h\u00e9".encode())
    assert r.headers["content-type"] == "text/plain"
    assert r.closed


def test_stats_and_their_table(server, new_client):
    """stats() counts, by host and in all; as text it is a table."""
    a, b = server(OK), server(OK)
    client = new_client()
    for s, n in ((a, 3), (b, 2)):
        for _ in range(n):
            client.get(s.url).read()
    stats = client.stats()
    row = stats.hosts[f"|http|127.0.0.1:{a.port}"]
    assert (row.requests, row.dials, row.reuses, row.idle) == (3, 1, 2, 1)
    assert (stats.total.requests, stats.total.dials, stats.total.idle) == (5, 2, 2)
    table = str(stats).splitlines()
    assert table[0].split()[0] == "host"
    assert any(line.startswith("http://127.0.0.1") for line in table)
    assert table[3].split()[:2] == ["total", "2"]


def test_a_client_of_no_requests_costs_nothing():
    """A client that is made and dropped opens no descriptor and starts no thread."""
    before = len(os.listdir("/proc/self/fd"))
    threads = set(os.listdir("/proc/self/task"))
    clients = [hpool.Client() for _ in range(100)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert set(os.listdir("/proc/self/task")) <= threads  # one may be ending
    del clients


def test_a_dropped_client_closes_its_connections(server):
    """A client that is dropped without close() closes what it kept."""
    s = server(OK)
    client = hpool.Client()
    client.get(s.url).read()
    del client
    s.connections[0].wait_closed()


def test_a_body_outlives_its_client(server):
    """A client that is dropped while a body is under way: the body can be read."""
    go = threading.Event()
    ok = respond(b"ok")
    s = server([expect(), send(ok[:-2], go, ok[-2:])])
    client = hpool.Client()
    r = client.get(s.url)
    del client
    go.set()
    assert r.read() == b"ok"
    del r
    s.connections[0].wait_closed()


def test_default_encoding(server, new_client):
    """default_encoding is for text without a charset: a name, or a function of the
    bytes; response.encoding can be set."""
    s = server([serve(respond("\u00e9".encode("latin-1")))])
    assert new_client(default_encoding="latin-1").get(s.url).text == "\u00e9"
    guess = new_client(default_encoding=lambda content: "latin-1").get(s.url)
    assert guess.text == "\u00e9"
    r = new_client().get(s.url)
    assert r.text == "\ufffd"
    r.encoding = "latin-1"
    assert r.text == "\u00e9"


def test_json(server, new_client):
    """json() of a body that is none is a JSONDecodeError with the response."""
    s = server([serve(respond(b"<html>"))])
    with pytest.raises(hpool.JSONDecodeError) as caught:
        new_client().get(s.url).json()
    assert isinstance(caught.value, ValueError)


def test_a_response_in_a_with_block_gives_its_connection_back(server, new_client):
    """Leaving the block, by an exception too, leaves nothing in use."""
    s = server([serve(respond(b"x" * 2000))])
    client = new_client(limits=hpool.Limits(drain_timeout=5))
    with pytest.raises(ZeroDivisionError):
        with client.get(s.url):
            1 / 0
    until(lambda: gauges(client)[1:] == (0, 0, 0, 0))
