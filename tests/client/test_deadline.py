"""deadline(): the variable that requests look at."""

import contextvars
import threading

import pytest

import hpool
from hpool import _core

from tests.server.scripted import expect, respond, send
from tests.tools import Call

now = _core._deadline_var.get


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still."""
    monkeypatch.setattr(_core, "_clock", lambda: 10**9)


def test_inside_and_outside(clock):
    assert now(None) is None
    with hpool.deadline(2):
        assert now() == 3 * 10**9
    assert now(None) is None


def test_nested_only_shorten(clock):
    with hpool.deadline(2):
        with hpool.deadline(5):
            assert now() == 3 * 10**9
        with hpool.deadline(0.5):
            assert now() == 15 * 10**8
        assert now() == 3 * 10**9


def test_one_object_within_itself(clock):
    limit = hpool.deadline(2)
    with limit, limit:
        assert now() == 3 * 10**9
    assert now(None) is None


def test_one_object_in_two_threads(clock):
    """Which is left first does not matter."""
    limit = hpool.deadline(2)
    entered, left = threading.Event(), threading.Event()

    def first():
        with limit:
            entered.set()
            assert left.wait(10)
            assert now() == 3 * 10**9
        assert now(None) is None

    def second():
        assert entered.wait(10)
        with limit:
            left.set()
            one.result()
        assert now(None) is None

    one = Call(first)
    Call(second).result()


def test_an_exception_ends_it(clock):
    with pytest.raises(LookupError), hpool.deadline(2):
        raise LookupError
    assert now(None) is None


def test_a_copied_context_inherits_it(clock):
    with hpool.deadline(2):
        inside = contextvars.copy_context()
    assert inside.run(now) == 3 * 10**9


@pytest.mark.parametrize("seconds", [1e10, 1e300])
def test_longer_than_a_clock_goes(server, new_client, seconds):
    with hpool.deadline(seconds), hpool.deadline(seconds):
        s = server([expect(), send(respond(b"ok"))])
        assert new_client().get(s.url).read() == b"ok"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_no_such_time(seconds):
    with pytest.raises(ValueError, match="deadline takes seconds above zero"):
        hpool.deadline(seconds)


@pytest.mark.parametrize("seconds", [None, "2", True])
def test_no_number(seconds):
    with pytest.raises(TypeError, match="deadline takes seconds above zero"):
        hpool.deadline(seconds)


def test_repr():
    assert repr(hpool.deadline(2)) == "deadline(2.0)"
