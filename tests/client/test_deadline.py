"""deadline(): the variable that requests look at."""

import contextvars

import pytest

import hpool
from hpool import _core

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


def test_an_exception_ends_it(clock):
    with pytest.raises(LookupError), hpool.deadline(2):
        raise LookupError
    assert now(None) is None


def test_a_copied_context_inherits_it(clock):
    with hpool.deadline(2):
        inside = contextvars.copy_context()
    assert inside.run(now) == 3 * 10**9


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
