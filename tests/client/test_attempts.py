"""Retries above the transport: what is tried again, when, and how often."""

import io
import os
import signal
import subprocess
import sys
import time
from email.utils import formatdate

import pytest
import requests
import urllib3

import hpool
from hpool import _core
from hpool.policy import retries as implementation
from hpool.policy.retries import Window, seconds_until
from tests.server.scripted import close, expect, respond, send, serve
from tests.tools import Call, advance, until

REFUSED = "http://127.0.0.1:1/"  # nobody listens there
GONE = [expect(), close()]
OK = [serve(respond(b"ok"))]


@pytest.fixture
def waits(monkeypatch):
    """The waits there were, in seconds; the clock goes on, and nobody waits."""
    waited, pause = [], _core._pause

    def pass_over(client, method, url, at, **how):
        waited.append(round((at - _core._clock()) / 1e9, 2))
        advance(waited[-1])
        pause(client, method, url, _core._clock(), **how)

    monkeypatch.setattr(_core, "_pause", pass_over)
    return waited


@pytest.fixture
def busy(server):
    """busy(n, status, headers) -> a server whose first n answers are that; each
    answer after is 200."""

    def start(n, status=503, headers=(), body=b"busy"):
        def answer(request):
            if len(s.requests) <= n:
                return respond(body, status=status, headers=dict(headers))
            return respond(b"ok")

        s = server([serve(answer)])
        return s

    return start


def exact(total, **how):
    """Rules whose waits are known."""
    return hpool.Retries(total, **{"jitter": 0.0, "budget": None, **how})


LISTED = {"status_forcelist": [503]}

# ---- what is tried again -----------------------------------------------------


def test_no_connection(new_client, waits):
    client = new_client(retries=3)
    with pytest.raises(hpool.ConnectError, match=r"\(tried 4 times\)$") as caught:
        client.get(REFUSED)
    assert caught.value.attempts == 4
    assert client.stats().total.dials == 4


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_connection_any_method(new_client, waits, method):
    """Nothing was sent, so no method is the worse for it."""
    with pytest.raises(hpool.ConnectError, match="tried 2 times"):
        new_client().request(method, REFUSED, data=b"x", retries=1)
    with pytest.raises(hpool.ConnectError, match="tried 2 times"):
        new_client().request(method, REFUSED, data=iter([b"x"]), retries=1)


def test_connection_lost(server, new_client):
    s = server(GONE, OK)
    r = new_client(retries=1).get(s.url)
    first, last = r.attempts
    assert (r.text, r.history) == ("ok", [])
    assert isinstance(first.error, hpool.ServerDisconnected)
    assert (first.method, first.url, first.status, first.wait) == (
        "GET", s.url, None, 0.0,
    )  # fmt: skip
    assert (last.status, last.error, last.wait) == (200, None, None)
    assert "ServerDisconnected, waited 0 s" in repr(first)


def test_body_cut_off(server, new_client):
    """As long as the whole answer is what was asked for."""
    cut = [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"), close()]
    s = server(cut, OK)
    r = new_client(retries=1).get(s.url, stream=False)
    assert r.text == "ok"
    assert isinstance(r.attempts[0].error, hpool.IncompleteRead)
    s = server(cut)
    r = new_client(retries=1).get(s.url, stream=True)
    with pytest.raises(hpool.IncompleteRead):
        r.read()


@pytest.mark.parametrize(
    "method, how, again",
    [
        ("GET", {}, True),
        ("PUT", {}, True),
        ("DELETE", {}, True),
        ("POST", {}, False),
        ("PATCH", {}, False),
        ("POST", {"idempotent": True}, True),
        ("POST", {"headers": {"Idempotency-Key": "1"}}, True),
        ("GET", {"idempotent": False}, False),
        ("POST", {"retries": hpool.Retries(1, allowed_methods=None)}, True),
        ("POST", {"retries": hpool.Retries(1, allowed_methods=["POST"])}, True),
        ("GET", {"retries": hpool.Retries(1, allowed_methods=["POST"])}, False),
    ],
)
def test_which_methods(server, new_client, method, how, again):
    client = new_client(retries=1)
    if again:
        s = server(GONE, OK)
        assert client.request(method, s.url, **how).status == 200
        return
    s = server(GONE)
    with pytest.raises(hpool.ServerDisconnected) as caught:
        client.request(method, s.url, **how)
    assert caught.value.attempts == 1
    assert "tried" not in str(caught.value)


def test_statuses(busy, new_client, waits):
    s = busy(2)
    client = new_client(retries=exact(3, **LISTED))
    r = client.get(s.url)
    assert [a.status for a in r.attempts] == [503, 503, 200]
    assert r.history == []
    assert client.stats().total.dials == 1  # the bodies were read
    assert waits == [0.2]


def test_statuses_that_are_not_listed(busy, new_client):
    s = busy(1)
    r = new_client(retries=3).get(s.url)
    assert (r.status, len(r.attempts)) == (503, 1)
    s = busy(1)
    r = new_client(retries=exact(3, **LISTED)).post(s.url)
    assert (r.status, len(r.attempts)) == (503, 1)


def test_the_last_answer_when_there_are_no_more(busy, new_client, waits):
    s = busy(9)
    r = new_client(retries=exact(2, **LISTED)).get(s.url)
    assert (r.status, r.text, len(s.requests)) == (503, "busy", 3)
    with pytest.raises(hpool.HTTPError):
        r.raise_for_status()


def test_an_error_for_it_when_asked(busy, new_client, waits):
    s = busy(9)
    client = new_client(retries=exact(2, raise_on_status=True, **LISTED))
    with pytest.raises(hpool.RetryError, match="is 503 .tried 3 times") as caught:
        client.get(s.url)
    assert caught.value.attempts == 3
    assert caught.value.response.text == "busy"
    assert client.stats().total.now.in_use == 0


@pytest.mark.parametrize(
    "error, make",
    [
        (hpool.PoolTimeout, {"timeout": hpool.Timeout(pool=0.01)}),
        (hpool.TotalTimeout, {"timeout": hpool.Timeout(total=0.05)}),
    ],
)
def test_what_is_not_tried_again(server, new_client, error, make):
    """Our own limits do not go away by asking again."""
    s = server([expect(), send(respond(b"x" * 9)[:-1])])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    with client.get(s.url, stream=True):
        with pytest.raises(error) as caught:
            client.get(s.url, retries=3, **make)
    assert caught.value.attempts == 1


def test_a_certificate_does_not_get_better(server, new_client, ca):
    s = server([], tls=ca.server_context("127.0.0.1"))
    with pytest.raises(hpool.SSLError) as caught:
        new_client(retries=3).get(s.url)
    assert caught.value.attempts == 1


# ---- how often ---------------------------------------------------------------


def attempts_of(client, url, rules):
    try:
        return len(client.get(url, retries=rules).attempts) or 1
    except hpool.RequestException as error:
        return error.attempts


@pytest.mark.parametrize(
    "rules, connects, statuses",
    [
        ({"total": 2}, 3, 3),
        ({"connect": 1}, 2, 1),
        ({"total": 5, "connect": 1}, 2, 6),
        ({"total": 1, "connect": 5}, 2, 2),
        ({"total": 5, "status": 0}, 6, 1),
        ({"status": 1}, 1, 2),
        ({"total": 0, "status": 5}, 1, 1),
    ],
)
def test_of_each_kind(busy, new_client, waits, rules, connects, statuses):
    listed = LISTED if rules.keys() & {"total", "status"} else {}
    rules = hpool.Retries(**rules, **listed, budget=None)
    client = new_client()
    assert attempts_of(client, REFUSED, rules) == connects
    expected = statuses if listed else 1
    assert attempts_of(client, busy(99).url, rules) == expected


def test_kinds_add_up(server, new_client, waits):
    s = server(GONE, [expect(), send(respond(status=503)), close()], GONE)
    rules = exact(None, read=1, status=1, status_forcelist=[503])
    with pytest.raises(hpool.ServerDisconnected, match="tried 3 times"):
        new_client(retries=rules).get(s.url)


def test_off(busy, new_client):
    s = busy(1)
    client = new_client(retries=exact(3, **LISTED))
    r = client.get(s.url, retries=0)
    assert (r.status, r.attempts) == (503, [])


@pytest.mark.parametrize("total", [0, 1, 3])
def test_as_often_as_requests(busy, new_client, waits, total):
    """The same rules, given to both."""
    rules = urllib3.Retry(total, status_forcelist=[503], backoff_factor=0)
    theirs, ours = busy(9), busy(9)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=rules))
        with pytest.raises(requests.exceptions.RetryError):
            session.get(theirs.url)
    with pytest.raises(hpool.RetryError):
        new_client(retries=rules).get(ours.url)
    assert len(ours.requests) == len(theirs.requests)


# ---- how long it waits -------------------------------------------------------


def test_backoff(new_client, waits):
    with pytest.raises(hpool.ConnectError):
        new_client(retries=exact(6, backoff_max=1.0)).get(REFUSED)
    assert waits == [0.2, 0.4, 0.8, 1.0, 1.0]  # and none before the first


@pytest.mark.parametrize(
    "jitter, chance, wanted",
    [(1.0, 0.5, 0.1), (1.0, 0.0, 0.2), (0.5, 1.0, 0.1), (0.0, 0.9, 0.2)],
)
def test_jitter(new_client, waits, monkeypatch, jitter, chance, wanted):
    monkeypatch.setattr(implementation.random, "random", lambda: chance)
    with pytest.raises(hpool.ConnectError):
        new_client(retries=exact(2, jitter=jitter)).get(REFUSED)
    assert waits == [wanted]


@pytest.mark.parametrize("status, asks", [(503, 1), (429, 1), (413, 1), (500, 0)])
def test_retry_after(busy, new_client, waits, status, asks):
    s = busy(1, status, {"Retry-After": "7"})
    r = new_client(retries=exact(1)).get(s.url)
    assert (r.status, waits) == ((200, [7.0]) if asks else (status, []))


def test_retry_after_a_date(busy, new_client, waits):
    s = busy(1, 503, {"Retry-After": formatdate(time.time() + 30, usegmt=True)})
    assert new_client(retries=exact(1)).get(s.url).ok
    assert 28 <= waits[0] <= 30


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("9" * 400, 1e12), ("-1", None),
        ("1.5", None), ("soon", None), ("", None), ("٣", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)  # fmt: skip
def test_what_retry_after_means(value, seconds):
    assert seconds_until(value) == seconds


def test_retry_after_that_is_switched_off(busy, new_client, waits):
    s = busy(1, 503, {"Retry-After": "7"})
    rules = exact(1, respect_retry_after=False)
    assert new_client(retries=rules).get(s.url).status == 503
    s = busy(1, 503, {"Retry-After": "7"})
    rules = exact(1, respect_retry_after=False, **LISTED)
    assert new_client(retries=rules).get(s.url).ok
    assert waits == []


@pytest.mark.parametrize(
    "how",
    [
        {"retries": exact(3, backoff_max=5.0)},
        {"retries": exact(3), "timeout": hpool.Timeout(total=5)},
    ],
)
def test_retry_after_that_is_too_long(busy, new_client, waits, how):
    """Not worth waiting for: the answer is given back at once."""
    s = busy(9, 503, {"Retry-After": "7"})
    r = new_client().get(s.url, **how)
    assert (r.status, r.text, waits, len(s.requests)) == (503, "busy", [], 1)


def test_a_wait_within_the_time(busy, new_client, waits):
    s = busy(1, 503, {"Retry-After": "7"})
    client = new_client(retries=exact(1), timeout=hpool.Timeout(total=60))
    with hpool.deadline(60):
        assert client.get(s.url).ok
    assert waits == [7.0]


def test_a_wait_beyond_the_deadline(new_client, waits):
    with hpool.deadline(1.0):
        with pytest.raises(hpool.ConnectError, match="less than the wait"):
            new_client(retries=exact(9, backoff_factor=4.0)).get(REFUSED)
    assert waits == []


# ---- what ends a wait --------------------------------------------------------


@pytest.fixture
def waiting(busy):
    """waiting(client, ...) -> a Call that waits for a minute."""

    def start(client, **how):
        s = busy(99, 503, {"Retry-After": "60"})
        call = Call(client.get, s.url, retries=hpool.Retries(3), **how)
        until(lambda: s.requests)
        return call

    return start


def test_cancel_ends_it(waiting, new_client):
    token = hpool.CancelToken()
    call = waiting(new_client(), cancel=token)
    token.cancel()
    assert isinstance(call.error(5), hpool.Cancelled)


def test_close_ends_it(waiting, new_client):
    client = new_client()
    call = waiting(client)
    client.close()
    assert isinstance(call.error(5), hpool.ClosedError)


def test_the_wait_leaves_nothing_behind(waiting, new_client):
    client, token = new_client(), hpool.CancelToken()
    call = waiting(client, cancel=token)
    until(lambda: client.stats().total.now.idle == 1)
    token.cancel()
    call.error(5)
    now = client.stats().total.now
    assert (now.in_use, now.dialing, now.waiting) == (0, 0, 0)
    client.close()


CTRL_C = """
import os, signal, threading, time
import hpool
from tests.server.scripted import ScriptedServer, respond, serve
from tests.tools import until

busy = respond(status=503, headers={"Retry-After": "60"})
with ScriptedServer([serve(busy)]) as server, hpool.Client(retries=1) as client:
    def interrupt():
        until(lambda: client.stats().total.now.idle == 1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        client.get(server.url)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_ends_it():
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C],
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_the_deadline_ends_it(new_client):
    client = new_client()
    with pytest.raises(hpool.TotalTimeout):
        _core._pause(
            client, "GET", REFUSED, _core._clock() + 10**12,
            timeout=hpool.Timeout(total=0.05),
        )  # fmt: skip
    client.close()
    with pytest.raises(hpool.ClosedError):
        _core._pause(client, "GET", REFUSED, _core._clock() + 10**12)


# ---- bodies ------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda: b"body", lambda: io.BytesIO(b"body"), lambda: [b"bo", b"dy"]]
)
def test_the_body_is_sent_again(busy, new_client, waits, make):
    s = busy(2)
    r = new_client(retries=exact(2, **LISTED)).put(s.url, data=make())
    assert r.ok
    assert [request.body for request in s.requests] == [b"body"] * 3


def test_a_body_that_is_there_once(busy, server, new_client):
    client = new_client(retries=exact(2, **LISTED))
    s = busy(2)
    with pytest.raises(hpool.UnrewindableBodyError, match="with: status 503") as caught:
        client.put(s.url, data=iter([b"x"]))
    assert caught.value.response.text == "busy"
    assert client.stats().total.now.in_use == 0
    s = server(GONE)
    with pytest.raises(hpool.UnrewindableBodyError, match="with: the server") as caught:
        client.put(s.url, data=iter([b"x"]))
    assert isinstance(caught.value.__cause__, hpool.ServerDisconnected)


def test_a_pipe(busy, new_client):
    """A file that cannot seek."""
    r, w = os.pipe()
    os.write(w, b"body")
    os.close(w)
    with open(r, "rb") as pipe:
        with pytest.raises(hpool.UnrewindableBodyError, match="cannot seek"):
            new_client(retries=exact(2, **LISTED)).put(busy(2).url, data=pipe)


# ---- with the rest -----------------------------------------------------------


def test_with_redirects(server, new_client, waits):
    """The counts are for the whole call."""
    seen = []

    def answer(request):
        seen.append(request.target)
        if seen.count(request.target) == 1:
            return respond(status=503)
        if request.target == "/a":
            return respond(status=302, headers={"Location": "/b"})
        return respond(b"ok")

    s = server([serve(answer)])
    client = new_client()
    r = client.get(f"{s.url}/a", retries=exact(2, **LISTED))
    assert (r.text, [h.status for h in r.history]) == ("ok", [302])
    assert [a.status for a in r.attempts] == [503, 302, 503, 200]
    seen.clear()
    assert client.get(f"{s.url}/a", retries=exact(1, **LISTED)).status == 503


def test_hooks_see_the_last_answer_alone(busy, new_client, waits):
    seen = []
    s = busy(1)
    new_client(retries=exact(1, **LISTED)).get(
        s.url, hooks={"response": lambda r, **how: seen.append(r.status)}
    )
    assert seen == [200]


def test_each_retry_is_told(busy, new_client, waits):
    """The client's handler and the call's."""
    own, of_call = [], []
    client = new_client(
        retries=exact(2, **LISTED), trace=lambda event, info: own.append(info)
    )
    s = busy(2)
    client.get(f"{s.url}/x?q", trace=lambda event, info: of_call.append(info))
    for told in (own, of_call):
        retries = [info for info in told if info["event"] == "retry"]
        assert [(i["reason"], i["attempt"], i["wait"]) for i in retries] == [
            ("status", 2, 0.0), ("status", 3, 0.2),
        ]  # fmt: skip
        assert retries[0]["host"] == s.url[7:]
        assert retries[0]["url"] == f"{s.url}/x" and retries[0]["method"] == "GET"
        times = [info["time"] for info in told]
        assert times == sorted(times)
        ended = [info for info in told if info["event"] == "request_done"]
        assert [i["request"] for i in retries] == [i["request"] for i in ended[:2]]
        assert all(i["conn"] == ended[0]["conn"] > 0 for i in retries)
        again = told.index(retries[0])
        assert told[again - 1] is ended[0]
        assert told[again + 1]["event"] == "request_start"


def test_a_retry_after_an_error_is_told_of_its_request(server, new_client, waits):
    """With the connection on which it failed, and without one."""
    s = server(GONE, GONE)
    told = []
    client = new_client(trace=lambda event, info: told.append(info))
    for url in (s.url, REFUSED):
        told.clear()
        with pytest.raises(hpool.ConnectionError):
            client.get(url, retries=exact(1))
        retry = next(i for i in told if i["event"] == "retry")
        ended = next(i for i in told if i["event"] == "request_done")
        assert retry["request"] == ended["request"] > 0
        assert retry["conn"] == ended["conn"]
        assert bool(retry["conn"]) is (url == s.url)


def test_a_handler_that_raises_at_a_retry_breaks_nothing(
    busy, new_client, waits, monkeypatch
):
    class Bad:
        def retry(self, info):
            raise ValueError("mine")

    raised = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda hook: raised.append(hook.exc_value)
    )
    client = new_client(retries=exact(1, **LISTED), trace=Bad())
    assert client.get(busy(1).url).ok
    assert [str(error) for error in raised] == ["mine"]


def test_a_retry_is_logged(busy, new_client, waits, caplog):
    caplog.set_level("DEBUG", "hpool")
    s = busy(1)
    new_client(retries=exact(1, **LISTED)).get(f"{s.url}/a?key=secret")
    lines = [r.getMessage() for r in caplog.records]
    assert f"GET {s.url}/a: sent again, attempt 2: status" in lines


def test_a_timeline_of_retries(new_client, waits, busy, tmp_path):
    client = new_client(retries=exact(2, **LISTED))
    with hpool.trace.Timeline(client) as timeline:
        assert client.get(busy(2).url).ok
    timeline.write(tmp_path / "pool.json")
    assert (tmp_path / "pool.json").stat().st_size


@pytest.mark.parametrize(
    ("status", "asked"), [(403, 1), (407, 1), (400, 1), (429, 3), (408, 3), (502, 3)]
)
def test_a_refusal_of_a_proxy_stands(server, new_client, waits, status, asked):
    """Wrong credentials are not said three times."""
    s = server(*([expect(), send(respond(status=status)), close()] for _ in range(3)))
    client = new_client(proxy=s.url, retries=exact(2))
    with pytest.raises(hpool.ProxyError) as caught:
        client.get("https://a.test/")
    assert caught.value.status == status and len(s.requests) == asked


# ---- the budget --------------------------------------------------------------


def test_r_storm_of_retries(busy, new_client, waits):
    """A server that is down is not asked 4 times as much, but 1.2 times."""
    s = busy(10**6)
    client = new_client(retries=hpool.Retries(3, backoff_factor=0.0, **LISTED))
    for _ in range(200):
        assert client.get(s.url).status == 503
    assert 200 + 10 <= len(s.requests) <= 200 * 1.2
    assert client.get(s.url, retries=0).status == 503


def test_requests_that_succeed_make_room_for_retries(server, new_client, waits):
    """20 % of all requests, and so more than the 10 that are free."""
    answer = {"/good": respond(b"ok"), "/bad": respond(b"busy", status=503)}
    s = server([serve(lambda request: answer[request.target])])
    client = new_client(retries=hpool.Retries(1, backoff_factor=0.0, **LISTED))
    for _ in range(100):
        client.get(f"{s.url}/good").read()
    for _ in range(15):
        assert len(client.get(f"{s.url}/bad").attempts) == 2


def test_the_budget_is_named(new_client, waits):
    rules = hpool.Retries(20, budget=0.0, backoff_factor=0.0)
    with pytest.raises(hpool.ConnectError, match="the budget for retries is spent"):
        new_client(retries=rules).get(REFUSED)


def test_a_window():
    """10 are free; then the share; after 10 s it all begins anew."""
    window = Window()
    window.request()
    assert [window.retry(0.5) for _ in range(12)] == [True] * 10 + [False] * 2
    for _ in range(21):
        window.request()
    assert [window.retry(0.5) for _ in range(2)] == [True, False]
    assert window.retry(None)
    advance(5)
    assert not window.retry(0.5)
    advance(6)
    assert window.retry(0.5)


def test_each_client_and_origin_has_its_own(new_client):
    one, other = new_client(), new_client()
    window = implementation.window_of
    assert window(one, REFUSED) is window(one, REFUSED + "x?y")
    assert window(one, REFUSED) is not window(other, REFUSED)
    assert window(one, REFUSED) is not window(one, "http://127.0.0.1:2/")


def test_windows_of_origins_long_ago_are_dropped(new_client):
    client = new_client()
    window = implementation.window_of
    for n in range(256):
        window(client, f"http://h{n}.test/").request()
    old = window(client, "http://h0.test/")
    advance(11)
    window(client, "http://one.more.test/").request()
    assert window(client, "http://h0.test/") is not old
