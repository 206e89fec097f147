"""What pytest loads for everybody who has hpool installed: an option and a
fixture. It stands outside the package because whatever is inside imports hpool
first, and who uses neither shall not pay for that. The rest is in
hpool/pytest_plugin.py, imported when it is used."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("hpool").addoption(
        "--hpool-leaks",
        action="store_true",
        help="fail each test that leaves a response of hpool open, and name the "
        "line that made it",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("hpool_leaks"):
        from hpool.pytest_plugin import check_leaks

        check_leaks(config).of_all_tests = True


@pytest.fixture
def hpool_no_leaks(request: pytest.FixtureRequest) -> None:
    """Fails the test if it leaves a response of hpool open, and names the line
    that made it."""
    from hpool.pytest_plugin import check_leaks

    check_leaks(request.config).begin()
