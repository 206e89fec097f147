"""Retries: what is sent again by itself, and how that is switched off."""

import copy
import pickle

import pytest
import requests
import urllib3

import hpool
from tests.server.scripted import close, expect, respond, send, serve

WARM = [expect(), send(respond(b"warm"))]
AGAIN = [serve(respond(b"again"))]
OFF = hpool.Retries(stale=False)


# ---- the class ---------------------------------------------------------------


def test_a_value():
    assert hpool.Retries() == hpool.Retries(stale=True) != OFF
    assert repr(OFF) == "Retries(stale=False)"
    assert pickle.loads(pickle.dumps(OFF)) == copy.copy(OFF) == OFF
    assert len({OFF, hpool.Retries(stale=False)}) == 1
    with pytest.raises(AttributeError, match="immutable"):
        OFF.stale = True
    with pytest.raises(TypeError):
        hpool.Retries(False)
    assert repr(hpool.Retries(3, jitter=0.0)) == "Retries(total=3, jitter=0.0)"
    assert repr(hpool.Retries()) == "Retries()"


@pytest.mark.parametrize("value", [None, 0, 1, "no"])
def test_stale_is_a_bool(value):
    with pytest.raises(TypeError, match="stale takes True or False"):
        hpool.Retries(stale=value)


@pytest.mark.parametrize("name", ["total", "connect", "read", "status"])
def test_counts(name):
    assert getattr(hpool.Retries(**{name: 2}), name) == 2
    for value in (True, "3", 1.0):
        with pytest.raises(TypeError, match=f"{name} takes a number of retries"):
            hpool.Retries(**{name: value})
    with pytest.raises(ValueError, match=f"{name} takes a number from 0 up"):
        hpool.Retries(**{name: -1})


@pytest.mark.parametrize("name", ["backoff_factor", "backoff_max", "jitter", "budget"])
def test_numbers(name):
    assert getattr(hpool.Retries(**{name: 1}), name) == 1.0
    for value in (True, "3", [1]):
        with pytest.raises(TypeError, match=f"{name} takes"):
            hpool.Retries(**{name: value})
    for value in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"{name} takes"):
            hpool.Retries(**{name: value})
    if name in ("jitter", "budget"):
        with pytest.raises(ValueError, match="share from 0.0 to 1.0, not 1.1"):
            hpool.Retries(**{name: 1.1})


def test_statuses_and_methods():
    rules = hpool.Retries(
        1, status_forcelist=[503, 502], allowed_methods=["get", "Put"]
    )
    assert rules.status_forcelist == {502, 503}
    assert rules.allowed_methods == {"GET", "PUT"}
    assert hpool.Retries(allowed_methods=None).allowed_methods is None
    for value in (503, "503", [True], ["503"]):
        with pytest.raises(TypeError, match="status_forcelist takes statuses"):
            hpool.Retries(1, status_forcelist=value)
    with pytest.raises(ValueError, match="status_forcelist takes statuses"):
        hpool.Retries(1, status_forcelist=[100])
    for value in (7, "GET", [b"GET"]):
        with pytest.raises(TypeError, match="allowed_methods takes methods"):
            hpool.Retries(allowed_methods=value)
    with pytest.raises(ValueError, match="give total or status as well"):
        hpool.Retries(status_forcelist=[503])


def test_what_urllib3_says():
    rules = hpool.Client(
        retries=urllib3.Retry(
            4,
            connect=2,
            status_forcelist=[500],
            backoff_factor=0.5,
            allowed_methods=False,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
    ).retries
    assert rules == hpool.Retries(
        4,
        connect=2,
        status_forcelist=[500],
        backoff_factor=0.5,
        allowed_methods=None,
        jitter=0.0,
        respect_retry_after=False,
        budget=None,
    )
    rules = hpool.Client(retries=urllib3.Retry()).retries
    assert (rules.total, rules.raise_on_status) == (10, True)
    assert rules.allowed_methods == hpool.Retries().allowed_methods
    assert hpool.Client(retries=urllib3.Retry(False)).retries.are_off
    assert hpool.Client(retries=urllib3.Retry(None)).retries.total == 10
    requests_own = requests.adapters.HTTPAdapter().max_retries
    assert hpool.Client(retries=requests_own).retries.are_off


@pytest.mark.parametrize("value", [True, False, "3", 1.0, [OFF]])
def test_what_it_takes(value):
    with pytest.raises(TypeError, match="retries takes a number or a Retries"):
        hpool.Client(retries=value)
    with hpool.Client() as client:
        with pytest.raises(TypeError, match="retries takes a number or a Retries"):
            client.get("http://127.0.0.1:1/", retries=value)


def test_a_negative_number():
    with pytest.raises(ValueError, match="^retries takes a number from 0 up, not -1"):
        hpool.Client(retries=-1)


def test_of_a_client():
    for given, seen in (
        (None, hpool.Retries()),
        (0, hpool.Retries()),
        (hpool.Retries(), hpool.Retries()),
        (OFF, OFF),
        (3, hpool.Retries(3)),
    ):
        with hpool.Client(retries=given) as client:
            assert client.retries == seen
            assert pickle.loads(pickle.dumps(client)).retries == seen
            with pytest.raises(AttributeError):
                client.retries = OFF
    with hpool.Client() as client:
        assert client.retries == hpool.Retries()


# ---- a stale connection ------------------------------------------------------


def stale(server, client):
    """A server whose second request is lost on the kept connection."""
    s = server([*WARM, expect(), close()], AGAIN)
    assert client.get(s.url).read() == b"warm"
    return s


@pytest.mark.parametrize(
    "of_client, of_call, again",
    [
        (None, None, True),
        (0, None, True),
        (None, 0, True),
        (OFF, None, False),
        (None, OFF, False),
        (OFF, hpool.Retries(), True),
        (OFF, 0, True),
        (hpool.Retries(), OFF, False),
    ],
)
def test_switched_off(server, new_client, of_client, of_call, again):
    """A call's own retries= beats the client's; 0 does not switch it off."""
    client = new_client(retries=of_client)
    s = stale(server, client)
    if again:
        response = client.get(s.url, retries=of_call)
        assert response.read() == b"again"
        assert response.connection.attempts == 2
        return
    with pytest.raises(hpool.ServerDisconnected) as caught:
        client.get(s.url, retries=of_call)
    error = caught.value
    assert "this one is not repeated: Retries(stale=False)" in str(error)
    assert (error.attempts, error.reason) == (1, "stale_retries_off")
    assert len(s.requests) == 2
    assert client.stats().total.replays.nonzero() == {}


@pytest.mark.parametrize(
    "how", [{"idempotent": True}, {"headers": {"Idempotency-Key": "1"}}]
)
def test_off_is_off(server, new_client, how):
    """Also for what may be sent again by all other rules."""
    client = new_client(retries=OFF)
    s = stale(server, client)
    with pytest.raises(hpool.ServerDisconnected):
        client.post(s.url, data=b"x", **how)
    assert len(s.requests) == 2


def test_a_dead_connection_is_not_taken_all_the_same(server, new_client):
    """One that is found closed before anything is sent is no retry: the request goes
    out once, on another one."""
    s = server([*WARM, close()], AGAIN)
    client = new_client(retries=OFF)
    assert client.get(s.url).read() == b"warm"
    s.connections[0].wait_ended()
    response = client.post(s.url, data=b"x")
    assert response.read() == b"again"
    assert response.connection.attempts == 1


def test_why_not(server, new_client):
    """The error names the rule that kept a lost request from being sent again."""
    client = new_client()
    s = stale(server, client)
    with pytest.raises(hpool.ServerDisconnected) as caught:
        client.post(s.url, data=b"x")
    assert caught.value.reason == "not_idempotent"
    assert "idempotent=True" in str(caught.value)

    client = new_client()
    s = stale(server, client)
    with pytest.raises(hpool.ServerDisconnected) as caught:
        client.request("OPTIONS", s.url, data=iter([b"x"]))
    assert caught.value.reason == "body_cannot_be_sent_again"

    s = server([expect(), close()])
    with pytest.raises(hpool.ServerDisconnected) as caught:
        new_client().get(s.url)
    assert caught.value.reason == "fresh_connection"

    client = new_client()
    s = server([*WARM, expect(), send(b"HTTP/1.1 2"), close()])
    assert client.get(s.url).read() == b"warm"
    with pytest.raises(hpool.RemoteProtocolError) as caught:
        client.get(s.url)
    assert caught.value.reason == "answer_begun"
