"""client.leaks(), the lines that made requests, and the warning for a response
that is dropped."""

import gc
import pickle
import sys
import threading
import time
import warnings

import pytest

import hpool
from hpool import _core
from hpool._leaks import Leak, make_leaks
from tests.life.child import run
from tests.server.scripted import expect, respond, send, serve, tell, until_closed
from tests.tools import Call, until, until_idle, until_waiting

# The head and a tenth of the body, and no more.
CUT = respond(b"x" * 100, headers={"Content-Length": 1000})
HOLD = [expect(), send(CUT), until_closed()]


def here(back=0):
    """The caller's line, or one some lines before it, as leaks() names it."""
    frame = sys._getframe(1)
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno - back} in {code.co_qualname}"


# ---- what is listed ----------------------------------------------------------


def test_a_response_that_holds_a_connection(server, new_client):
    """It is listed from its head to its end, and says what it is."""
    s = server(HOLD)
    client = new_client()
    assert client.leaks(0) == []
    response = client.get(f"{s.url}/a%20b?secret=1")
    (leak,) = client.leaks(0)
    assert isinstance(leak, hpool.Leak)
    assert (leak.method, leak.url) == ("GET", f"{s.url}/a%20b")
    assert leak.host == f"127.0.0.1:{s.port}"
    assert leak.connection == response.connection.id
    assert leak.phase == "body unread"
    assert leak.line is None
    assert 0 <= leak.age < 5
    response.read(10)
    assert client.leaks(0)[0].phase == "body half read"
    response.close()
    assert client.leaks(0) == []


def test_the_end_of_the_body_is_the_end_of_it(server, new_client):
    """Read to its end, or complete with the head: no close is needed."""
    s = server([serve(respond(b"body"))])
    client = new_client()
    response = client.get(s.url)
    response.read()
    assert client.leaks(0) == []
    head = client.head(s.url)
    assert client.leaks(0) == []
    assert head.status == 200


def test_a_request_under_way_is_none(server, new_client):
    """What has no head yet is no response that could be leaked."""
    go, asked = threading.Event(), threading.Event()
    s = server([expect(), tell(asked), send(go, respond(b""))])
    client = new_client()
    call = Call(client.get, s.url)
    assert asked.wait(10)
    assert client.leaks(0) == []
    go.set()
    call.result().close()


def test_a_body_read_before_the_call_returns_is_none(server, new_client):
    """With stream=False nobody has the response yet, however long it takes."""
    go = threading.Event()
    s = server([expect(), send(CUT, go, b"x" * 900)])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    call = Call(client.get, s.url, stream=False)
    until(lambda: client.stats().total.in_use == 1)

    def is_read():
        """The pool's diagnosis says so."""
        with pytest.raises(hpool.PoolTimeout) as caught:
            client.get(s.url, timeout=hpool.Timeout(pool=0.002))
        return "its body is half read" in str(caught.value)

    until(is_read)
    assert client.leaks(0) == []
    assert _core._open_responses() == []
    go.set()
    assert len(call.result().content) == 1000


def test_oldest_first(server, new_client):
    """Over all hosts, and only of this client."""
    servers = [server(HOLD) for _ in range(3)]
    client, other = new_client(), new_client()
    mine = [client.get(f"{s.url}/{i}") for i, s in enumerate(servers * 2)]
    theirs = other.get(servers[0].url)
    leaks = client.leaks(0)
    assert [leak.url[-1] for leak in leaks] == list("012345")
    ages = [leak.age for leak in leaks]
    assert ages == sorted(ages, reverse=True)
    assert len(other.leaks(0)) == 1
    for response in [*mine, theirs]:
        response.close()


def test_older_than(server, new_client):
    """In seconds; 30 by default."""
    s = server(HOLD)
    client = new_client()
    with client.get(f"{s.url}/old"):
        assert client.leaks() == []
        _core._advance(29)
        assert client.leaks() == []
        assert len(client.leaks(29)) == 1
        _core._advance(1)
        with client.get(f"{s.url}/new"):
            (leak,) = client.leaks()
            assert leak.url.endswith("/old")
            assert 30 <= leak.age < 40
            assert client.leaks(older_than=1000) == []
            assert client.leaks(float("inf")) == []
            assert len(client.leaks(older_than=0)) == 2


@pytest.mark.parametrize("wrong", [-1, -0.001, float("nan")])
def test_older_than_is_not_negative(new_client, wrong):
    with pytest.raises(ValueError, match="older_than takes seconds from 0 up"):
        new_client().leaks(wrong)


@pytest.mark.parametrize("wrong", [None, "30", [1]])
def test_older_than_is_a_number(new_client, wrong):
    with pytest.raises(TypeError, match="older_than must be a number of seconds"):
        new_client().leaks(wrong)


def test_with_a_full_pool(server, new_client):
    """When everything is held and others wait, it answers; who waits in vain is
    told the line of the longest holder."""
    s = server(HOLD)
    limits = hpool.Limits(max_conns_per_host=2)
    client = new_client(limits=limits, leak_warnings="trace")
    first, line = client.get(f"{s.url}/first"), here()
    second = client.get(f"{s.url}/second")
    waiter = Call(client.get, s.url)
    until_waiting(client, 1)
    assert [leak.url[-5:] for leak in client.leaks(0)] == ["first", "econd"]
    with pytest.raises(hpool.PoolTimeout) as caught:
        client.get(s.url, timeout=hpool.Timeout(pool=0.01))
    # Of a long path the end is shown.
    assert f"GET /first and its body is unread, made at {line}"[-100:] in str(
        caught.value
    )
    first.close()
    second.close()
    waiter.result().close()


def test_after_close_and_in_any_thread(server, new_client):
    """A body outlives its client, and stays listed as long as it holds."""
    s = server(HOLD)
    client = new_client()
    response = client.get(s.url)
    client.close()
    assert len(Call(client.leaks, 0).result()) == 1
    response.close()
    assert client.leaks(0) == []


# ---- lines -------------------------------------------------------------------


class Fetcher:
    def __init__(self, client):
        self.client = client

    def fetch(self, url):
        return self.client.request("GET", url)


def test_the_line(server, new_client):
    """The innermost line of the program: function, method, every verb."""
    s = server(HOLD)
    client = new_client(leak_warnings="trace")

    def function():
        return client.get(s.url), here()

    response, line = function()
    assert client.leaks(0)[0].line == line
    response.close()
    with Fetcher(client).fetch(s.url):
        at = Fetcher.fetch.__code__.co_firstlineno + 1
        assert client.leaks(0)[0].line == f"{__file__}:{at} in Fetcher.fetch"
    with client.stream("GET", s.url):
        assert client.leaks(0)[0].line == here(back=1)
    with client.post(s.url, json=[1]):
        assert client.leaks(0)[0].line == here(back=1)


@pytest.mark.parametrize(
    "name, ours", [("hpool.any", True), ("hpool", True), ("hpools", False)]
)
def test_frames_of_the_package_are_passed_over(server, new_client, name, ours):
    """It is the user's line that counts, not one of hpool's own."""
    s = server(HOLD)
    client = new_client(leak_warnings="trace")
    module = {"__name__": name}
    exec(
        compile("def f(client, url): return client.get(url)", "inner.py", "exec"),
        module,
    )
    with module["f"](client, s.url):
        outer = here(back=1)
        assert client.leaks(0)[0].line == (outer if ours else "inner.py:1 in f")


@pytest.mark.parametrize(
    "file, shown", [("\u00e4.py", "\u00e4.py"), ("\udcff.py", "\\udcff.py")]
)
def test_a_file_name_that_is_not_ascii(server, new_client, file, shown):
    """A name that is no text at all is shown escaped; the request goes through."""
    s = server(HOLD)
    client = new_client(leak_warnings="trace")
    module = {"client": client, "url": s.url}
    exec(compile("response = client.get(url)", file, "exec"), module)
    assert client.leaks(0)[0].line == f"{shown}:1 in <module>"
    module["response"].close()


def test_a_module_without_a_name(server, new_client):
    """It is a program like any other."""
    s = server(HOLD)
    client = new_client(leak_warnings="trace")
    module = {"client": client, "url": s.url, "__name__": None}
    exec(compile("response = client.get(url)", "nameless.py", "exec"), module)
    assert client.leaks(0)[0].line == "nameless.py:1 in <module>"
    module["response"].close()


def test_without_trace_there_is_no_line(server, new_client):
    s = server(HOLD)
    for setting in (True, False, None):
        client = new_client(leak_warnings=setting)
        with client.get(s.url):
            assert client.leaks(0)[0].line is None


def test_the_setting_is_checked():
    with pytest.raises(ValueError, match='leak_warnings takes True, False or "trace"'):
        hpool.Client(leak_warnings="Trace")
    with pytest.raises(TypeError, match='must be True, False or "trace", not int'):
        hpool.Client(leak_warnings=1)


def test_the_setting_travels(server, new_client):
    """A pickled client records lines as well."""
    s = server(HOLD)
    with pickle.loads(pickle.dumps(new_client(leak_warnings="trace"))) as client:
        with client.get(s.url):
            assert client.leaks(0)[0].line == here(back=1)


# ---- dropped -----------------------------------------------------------------


def dropped(client, url):
    """The text of the warning when a response is dropped."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.get(url)
    return [str(w.message) for w in caught if w.category is ResourceWarning]


def test_the_warning_says_what_to_do(server, new_client):
    """Method, URL without userinfo and query, and what to do."""
    s = server(HOLD)
    client = new_client()
    (text,) = dropped(client, f"http://u:p@127.0.0.1:{s.port}/a?secret=1#part")
    assert text == (
        f"unclosed <Response [200]> GET {s.url}/a: use `with client.get(...) as r:` "
        'or read it to its end (leak_warnings="trace" names the line)'
    )
    until_idle(client, 0)
    assert client.stats().total.leaked == 1


def test_the_warning_names_the_line(server, new_client):
    s = server(HOLD)
    client = new_client(leak_warnings="trace")
    (text,) = dropped(client, f"{s.url}/a")
    at = dropped.__code__.co_firstlineno + 4
    assert text == (
        f"unclosed <Response [200]> GET {s.url}/a, made at {__file__}:{at} in "
        "dropped: use `with client.get(...) as r:` or read it to its end"
    )
    assert client.leaks(0) == []


def test_a_long_url_is_whole(server, new_client):
    s = server(HOLD)
    path = "/p" * 400
    (text,) = dropped(new_client(), s.url + path)
    assert f"GET {s.url}{path}: use" in text


def test_no_warning(server, new_client):
    """leak_warnings=False counts and keeps quiet."""
    s = server(HOLD)
    client = new_client(leak_warnings=False)
    assert dropped(client, s.url) == []
    assert client.stats().total.leaked == 1


def test_in_a_cycle(server, new_client):
    """Found by the cyclic collector, it gives its connection back as well."""
    s = server(HOLD)
    client = new_client(leak_warnings=False)
    cycle = [client.get(s.url)]
    cycle.append(cycle)
    del cycle
    assert len(client.leaks(0)) == 1
    gc.collect()
    assert client.leaks(0) == []
    until_idle(client, 0)
    assert client.stats().total.leaked == 1


IN_A_CHILD = """
import os, sys, warnings
import hpool

client = hpool.Client(leak_warnings="trace")
response = client.get(sys.argv[1])
pid = os.fork()
if pid == 0:
    assert client.leaks(0) == []
    del response  # the parent's, and no loss
    assert client.stats().total.leaked == 0
    with client.get(sys.argv[1]):
        assert len(client.leaks(0)) == 1
    sys.stdout.flush()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert len(client.leaks(0)) == 1
response.close()
print("done")
"""


def test_in_the_child_of_a_fork(server):
    """What the parent holds is no leak of the child's: no warning, no row."""
    assert run(IN_A_CHILD, server(HOLD).url) == "done\n"


# ---- watching (what the pytest plugin does) ----------------------------------


def test_watched(server, new_client):
    """Every client records lines, and who watches is told of each response that
    is collected, with the warning that would have been given."""
    s = server(HOLD)
    client, quiet = new_client(), new_client(leak_warnings=False)
    sink = []
    assert _core._watch_leaks(sink) is None
    try:
        assert dropped(client, f"{s.url}/a") == []
        client.get(f"{s.url}/b").read(1)
        quiet.get(f"{s.url}/c")
    finally:
        assert _core._watch_leaks(None) is sink
    leaks = make_leaks(_core._clock(), [row for row, _ in sink])
    assert [leak.url[-1] for leak in leaks] == list("abc")
    assert [leak.phase[5:] for leak in leaks] == ["unread", "half read", "unread"]
    assert all(leak.line.startswith(f"{__file__}:") for leak in leaks)
    texts = [text for _, text in sink]
    assert texts[2] is None
    assert f"made at {leaks[0].line}: use" in texts[0]
    with client.get(s.url):
        assert client.leaks(0)[0].line is None
    assert len(dropped(client, s.url)) == 1
    assert len(sink) == 3


@pytest.mark.parametrize("wrong", [1, (), "x"])
def test_what_watches_is_a_list(wrong):
    with pytest.raises(TypeError, match="sink must be a list or None"):
        _core._watch_leaks(wrong)


def test_open_responses_of_all_clients(server, new_client):
    """Rows of the whole process, as make_leaks takes them."""
    s = server(HOLD)
    with new_client().get(f"{s.url}/a"), new_client().get(f"{s.url}/b"):
        rows = _core._open_responses()
        assert [leak.url[-1] for leak in make_leaks(0, rows)] == ["a", "b"]
        assert all(0 < row[0] <= _core._clock() for row in rows)


# ---- under load --------------------------------------------------------------

THREADS = 4


def test_under_load(cserver, new_client):
    """While threads make, hold and end responses, each row is consistent: every
    thread has its own path and its own line."""
    client = new_client(leak_warnings="trace")
    stop = threading.Event()
    module = {"get": client.get, "url": f"{cserver.url}/bytes/300000"}
    lines = [f"def f{i}(): return get(url + '?{i}')" for i in range(THREADS)]
    exec(compile("\n".join(lines), "load.py", "exec"), module)
    known = {f"load.py:{i + 1} in f{i}" for i in range(THREADS)}

    def work(function):
        while not stop.is_set():
            with function() as response:
                response.read(1000)
                time.sleep(0)  # with the connection: others run
            function().read()

    def watch():
        """Until each line has been seen in each phase."""
        seen = set()
        while len(seen) < 2 * THREADS and not stop.is_set():
            for leak in client.leaks(0):
                assert leak.url == module["url"]
                assert 0 <= leak.age < 40
                seen.add((leak.line, leak.phase))
        return seen

    workers = [Call(work, module[f"f{i}"]) for i in range(THREADS)]
    watcher = Call(watch)
    watcher.join(40)
    stop.set()
    for call in workers:
        call.result()
    phases = ("body unread", "body half read")
    assert watcher.result() == {(line, phase) for line in known for phase in phases}
    assert client.leaks(0) == []


# ---- the record --------------------------------------------------------------

LEAK = Leak(
    "GET", "https://a.test/x", 31.2, "body unread", "app.py:12 in f", 7, "a.test:443"
)


def test_the_record_reads_well():
    assert str(LEAK) == (
        "GET https://a.test/x: body unread, held for 31.20 s, made at app.py:12 in f"
    )
    plain = Leak(
        "GET", "https://a.test/x", 0.0012, "body half read", None, 7, "a.test:443"
    )
    assert str(plain) == "GET https://a.test/x: body half read, held for 1.2 ms"


def test_the_record_is_a_value():
    assert pickle.loads(pickle.dumps(LEAK)) == LEAK
    assert len({LEAK, pickle.loads(pickle.dumps(LEAK))}) == 1
    with pytest.raises(AttributeError, match="immutable"):
        LEAK.age = 0
    assert "url='https://a.test/x'" in repr(LEAK)


@pytest.mark.parametrize(
    "key, path, url, host",
    [
        ("|http|a.test:80", "/", "http://a.test/", "a.test:80"),
        ("|https|a.test:443|tls=2", "/x", "https://a.test/x", "a.test:443"),
        ("|https|a.test:80|tls=2", "/x", "https://a.test:80/x", "a.test:80"),
        ("|http|[::1]:8080", "/x", "http://[::1]:8080/x", "[::1]:8080"),
        ("|http|a.test:80", "*", "http://a.test", "a.test:80"),
    ],
)
def test_rows_of_the_core(key, path, url, host):
    """A port that goes without saying is not said."""
    (leak,) = make_leaks(3_000_000_000, [(1_000_000_000, key, "GET", path, "p", "", 4)])
    assert (leak.url, leak.host, leak.age, leak.line) == (url, host, 2.0, None)
