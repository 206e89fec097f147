"""For pytest, in the runs of other libraries' own tests: puts hpool below them in
the way HPOOL_SUITE names, "library way", and writes what became of each test to
HPOOL_SUITE_RESULTS as {test id: "passed" | "failed" | "skipped"}."""

import json
import os
import socket

outcomes = {}


def pytest_configure(config):
    # Before the tests import any of the names.
    WAYS[os.environ["HPOOL_SUITE"]]()


def _requests_adapter():
    import requests.adapters
    import requests.sessions

    from hpool.adapters.requests import HTTPAdapter

    requests.sessions.HTTPAdapter = requests.adapters.HTTPAdapter = HTTPAdapter


def _requests_patch():
    from hpool.adapters.requests import patch

    patch()


def _httpx_own():
    """Their servers take free ports, for runs at the same time."""
    from uvicorn.config import Config

    original = Config.__init__

    def init(self, *arguments, **settings):
        with socket.create_server(("127.0.0.1", 0)) as free:
            settings.setdefault("port", free.getsockname()[1])
        original(self, *arguments, **settings)

    Config.__init__ = init


def _httpx_pool():
    import httpcore

    from hpool.adapters.httpcore import ConnectionPool

    _httpx_own()
    httpcore.ConnectionPool = ConnectionPool


WAYS = {
    "requests own": lambda: None,
    "requests adapter": _requests_adapter,
    "requests patch": _requests_patch,
    "httpx own": _httpx_own,
    "httpx pool": _httpx_pool,
}


def pytest_runtest_logreport(report):
    if report.failed:  # in whatever phase
        outcomes[report.nodeid] = "failed"
    elif report.when == "call" or report.skipped:
        outcomes.setdefault(report.nodeid, report.outcome)


def pytest_sessionfinish(session):
    with open(os.environ["HPOOL_SUITE_RESULTS"], "w") as file:
        json.dump(outcomes, file)
