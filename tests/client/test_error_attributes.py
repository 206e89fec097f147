"""What errors of real requests carry: request, phase, timings, attempts, host; and
those of a pool that has no connection, why it has none. All of it pickles."""

import pickle
import threading

import pytest

import hpool
from tests.server.scripted import (
    close,
    expect,
    respond,
    send,
    serve,
    until_closed,
)
from tests.tools import Call, Clogged, until, until_waiting

OK = respond(b"ok")


def travels(error):
    after = pickle.loads(pickle.dumps(error))
    assert type(after) is type(error) and str(after) == str(error)
    left_behind = {"response"}  # while its body is unread
    for name, value in vars(error).items():
        if name not in left_behind:
            again = getattr(after, name)
            if name == "request":
                again, value = vars(again), vars(value)
            assert again == value, name
    return after


def check(error, url, phase, attempts=1):
    assert isinstance(error, hpool.RequestException)
    assert (error.request.method, error.request.url) == ("GET", url)
    assert (error.phase, error.attempts) == (phase, attempts)
    assert error.timings.started == 0.0
    assert error.host == "|http|" + url.split("/")[2]
    travels(error)


def error_of(call, *arguments, **how):
    with pytest.raises(hpool.RequestException) as caught:
        call(*arguments, **how)
    return caught.value


@pytest.mark.parametrize(
    "script, phase, kind",
    [
        ([close()], "head", hpool.ServerDisconnected),
        ([until_closed()], "head", hpool.ReadTimeout),
        ([send(b"hello\r\n\r\n"), until_closed()], "head", hpool.RemoteProtocolError),
        ([send(OK[:-1]), close()], "body", hpool.IncompleteRead),
        ([send(OK[:-1]), until_closed()], "body", hpool.ReadTimeout),
    ],
)
def test_while_it_is_answered(server, new_client, script, phase, kind):
    s = server([expect(), *script])
    client = new_client(timeout=0.2)
    error = error_of(lambda: client.get(f"{s.url}/").read())
    assert type(error) is kind
    check(error, f"{s.url}/", phase)


def test_while_it_is_connected(new_client):
    with hpool.Client() as client:
        url = "http://127.0.0.1:1/"
        check(error_of(client.get, url), url, "connect")
        url = "http://no-such-host.invalid:80/"
        check(error_of(client.get, url), url, "resolve")


def test_before_it_began(new_client):
    client = new_client()
    token = hpool.CancelToken()
    token.cancel()
    url = "http://127.0.0.1:1/"
    check(error_of(client.get, url, cancel=token), url, "pool")


def test_after_a_replay(server, new_client):
    s = server([expect(), send(OK), expect(), close()], [expect(), close()])
    client = new_client()
    client.get(s.url).read()
    check(error_of(client.get, f"{s.url}/"), f"{s.url}/", "head", attempts=2)


def test_after_the_answer(server, new_client):
    s = server([serve(respond(b"not json", 404))])
    client = new_client()
    response = client.get(f"{s.url}/")
    check(error_of(response.raise_for_status), f"{s.url}/", "body")
    error = error_of(response.json)
    check(error, f"{s.url}/", "body")
    assert isinstance(error, hpool.JSONDecodeError)


def test_arguments_that_mean_nothing(new_client, tmp_path):
    """Nothing was begun, so there is nothing to say but what was asked for."""
    client = new_client()
    url = "https://127.0.0.1:1/"
    for how in (
        {"json": float("nan")},
        {"headers": {"A": "b\n"}},
        {"verify": str(tmp_path / "missing.pem")},
        {"data": iter([b"x"]), "idempotent": True},
    ):
        error = error_of(client.post, url, **how)
        assert (error.request.method, error.request.url) == ("POST", url)
        assert (error.phase, error.timings, error.attempts) == (None, None, 1)
        if "data" not in how:
            travels(error)


# ---- no connection -----------------------------------------------------------


@pytest.fixture
def held(server):
    """server, client(limits) and a response that holds one connection."""
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:]), serve(OK)])

    def hold(client):
        return client.get(f"{s.url}/held?secret=1")

    yield s, hold
    go.set()


def test_pool_timeout(held, new_client):
    s, hold = held
    limits = hpool.Limits(max_conns_per_host=1)
    client = new_client(limits=limits, timeout=hpool.Timeout(pool=0.05))
    response = hold(client)
    error = error_of(client.get, f"{s.url}/")
    assert type(error) is hpool.PoolTimeout
    check(error, f"{s.url}/", "pool")
    assert (error.in_use, error.dialing, error.draining) == (1, 0, 0)
    assert (error.waiting, error.limit) == (1, 1)
    assert error.limit_name == "max_conns_per_host"
    assert error.holder == "GET /held and its body is unread"
    assert 0.05 <= error.held_for < 5
    assert travels(error).holder == error.holder
    response.read(1)
    assert "half read" in error_of(client.get, s.url).holder
    response.close()


def test_pool_timeout_of_all_hosts(held, server, new_client):
    """The limit of all hosts names the holder of whatever host."""
    _, hold = held
    other = server([serve(OK)])
    client = new_client(
        limits=hpool.Limits(max_conns=1), timeout=hpool.Timeout(pool=0.05)
    )
    with hold(client):
        error = error_of(client.get, f"{other.url}/")
    check(error, f"{other.url}/", "pool")
    assert (error.limit_name, error.limit, error.in_use) == ("max_conns", 1, 1)
    assert error.holder == "GET /held and its body is unread"


def test_queue_full(held, new_client):
    """It says all that a pool timeout says."""
    s, hold = held
    client = new_client(limits=hpool.Limits(max_conns_per_host=1, max_waiting=1))
    response = hold(client)
    waiter = Call(client.get, s.url)
    until_waiting(client, 1)
    error = error_of(client.get, f"{s.url}/")
    assert type(error) is hpool.QueueFull
    check(error, f"{s.url}/", "pool")
    assert (error.in_use, error.waiting, error.limit) == (1, 1, 1)
    assert error.limit_name == "max_conns_per_host"
    assert error.holder == "GET /held and its body is unread"
    text = str(error)
    for part in (
        f"127.0.0.1:{s.port}",
        "1 of 1 in use (max_conns_per_host)",
        "1 requests wait already",
        "(max_waiting)",
        "by GET /held and its body is unread",
    ):
        assert part in text
    assert "secret" not in text
    client.close()
    assert isinstance(waiter.error(), hpool.ClosedError)
    response.close()


def test_nobody_holds_one(server, new_client):
    """All of them dial: there is no holder to name."""

    with Clogged() as c:
        c.clog()
        client = new_client(limits=hpool.Limits(max_conns_per_host=1))
        first = Call(client.get, c.url)
        until(lambda: client.stats().total.dialing == 1)
        error = error_of(client.get, c.url, timeout=hpool.Timeout(pool=0.05))
        assert (error.in_use, error.dialing, error.waiting) == (0, 1, 1)
        assert error.holder is error.held_for is None
        assert "the oldest" not in str(error)
        client.close()
        first.error()
