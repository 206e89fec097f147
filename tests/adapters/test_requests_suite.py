"""requests' own tests pass with hpool below it; by hand: make requests-suite."""

import pytest

from tests.adapters import requests_suite


@pytest.mark.slow
@pytest.mark.timeout(2 * requests_suite.LIMIT)
def test_requests_own_tests_pass():
    try:
        verdicts = requests_suite.verdicts()
    except requests_suite.Unavailable as error:
        pytest.skip(f"without network: {error}")
    for verdict in verdicts:
        print(verdict)
        assert verdict.of > 500
        assert not list(verdict.problems())
    assert [verdict.mode for verdict in verdicts] == ["adapter", "patch"]


def test_what_the_verdict_says(monkeypatch):
    """Of tests that fail, and of those that are excluded and pass."""
    monkeypatch.setattr(requests_suite, "excluded", lambda mode: {"a": "why"})
    own = dict.fromkeys("abcd", "passed") | {"e": "failed", "f": "skipped"}

    def problems(**outcomes):
        verdict = requests_suite.Verdict("adapter", own, own | outcomes)
        return [line.split()[:2] for line in verdict.problems()]

    assert problems() == [["a", "passes,"]]
    assert problems(a="failed") == [["75.0%", "is"]]
    assert ["b", "fails,"] in problems(a="failed", b="failed")
    assert ["c", "fails,"] in problems(a="failed", c="skipped")
