"""A short form of differ.py: the corpus and 3,000 cases more."""

from collections import Counter

import pytest

from . import differ, readers
from .readers import Case, Reading


@pytest.fixture(scope="module", autouse=True)
def program():
    readers.build()


@pytest.mark.timeout(300)
def test_hpool_reads_nothing_that_both_others_refuse_or_read_otherwise():
    failures, totals, used = differ.run(3000, seed=1)
    assert not failures, "\n".join(map(differ.describe, failures))
    assert totals[True, True, True] > 300  # all three do read something


@pytest.mark.parametrize("name", differ.REASONS)
def test_each_reason_is_needed(name):
    case = Case(differ.REASONS[name].example)
    rest = {other: reason for other, reason in differ.REASONS.items() if other != name}
    used = Counter()
    assert list(differ.judge([case], Counter(), Counter(), rest))
    assert not list(differ.judge([case], Counter(), used))
    assert used[name] == 1


def test_the_three_readers_see_the_same():
    """And what none of them should take is taken by none."""
    data = b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nokHTTP"
    case, head = Case(data), Case(data, head=True)
    want = Reading(200, ((b"x", b"y"),), b"ok")
    assert readers.hpool([case, head]) == [(want, ""), (want._replace(body=b""), "")]
    assert differ.others(case) == (want, want)
    assert differ.others(head) == (want._replace(body=b""),) * 2
    cut = Case(data[:-5])
    assert readers.hpool([cut])[0][0] is None
    assert differ.others(cut) == (None, None)
    until_close = Case(b"HTTP/1.1 200 OK\r\n\r\nok")
    assert readers.hpool([until_close])[0][0] == Reading(200, (), b"ok")
    assert differ.others(until_close) == (Reading(200, (), b"ok"),) * 2
    assert differ.others(until_close._replace(close=False)) == (None, None)
