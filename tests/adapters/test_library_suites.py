"""requests' and httpx's own tests pass with hpool below them; by hand: make
requests-suite, make httpx-suite."""

import pytest

from tests.adapters import httpx_suite, requests_suite
from tests.adapters.library_suite import LIMIT, Suite, Unavailable, Verdict

# With how many of their tests there are at least.
SUITES = [(requests_suite.SUITE, 500), (httpx_suite.SUITE, 100)]
EACH = pytest.mark.parametrize(
    "suite, least", SUITES, ids=lambda value: getattr(value, "library", "")
)


@pytest.mark.slow
@pytest.mark.timeout(2 * LIMIT)
@EACH
def test_the_library_s_own_tests_pass(suite, least):
    try:
        verdicts = suite.verdicts()
    except Unavailable as error:
        pytest.skip(f"without network: {error}")
    for verdict in verdicts:
        print(verdict.way, verdict.figure(suite.library))
        assert verdict.of > least
        assert not list(verdict.problems())
    assert tuple(verdict.way for verdict in verdicts) == suite.ways


def test_what_the_verdict_says():
    """Of tests that fail, and of those that are excluded and pass."""
    own = dict.fromkeys("abcd", "passed") | {"e": "failed", "f": "skipped"}

    def problems(**outcomes):
        verdict = Verdict("adapter", own, own | outcomes, {"a": "why"})
        return [line.split()[:2] for line in verdict.problems()]

    assert problems() == [["a", "passes,"]]
    assert problems(a="failed") == [["75.0%", "is"]]
    assert ["b", "fails,"] in problems(a="failed", b="failed")
    assert ["c", "fails,"] in problems(a="failed", c="skipped")


@EACH
def test_every_exclusion_has_a_reason(suite, least):
    for way in suite.ways:
        for name, reason in suite.excluded(way).items():
            assert "::" in name
            assert reason


def test_an_exclusion_of_a_way_that_is_none():
    with pytest.raises(AssertionError):
        Suite("requests", ("adapter",)).counts("both", "adapter")
