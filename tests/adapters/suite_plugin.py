"""For pytest, in the runs of requests' own tests: puts hpool below requests in
the way HPOOL_SUITE_MODE says, and writes what became of each test to
HPOOL_SUITE_RESULTS as {test id: "passed" | "failed" | "skipped"}."""

import json
import os

outcomes = {}


def pytest_configure(config):
    # Before requests' tests import any of the names.
    MODES[os.environ["HPOOL_SUITE_MODE"]]()


def _adapter():
    import requests.adapters
    import requests.sessions

    from hpool.adapters.requests import HTTPAdapter

    requests.sessions.HTTPAdapter = requests.adapters.HTTPAdapter = HTTPAdapter


def _patch():
    from hpool.adapters.requests import patch

    patch()


MODES = {"own": lambda: None, "adapter": _adapter, "patch": _patch}


def pytest_runtest_logreport(report):
    if report.failed:  # in whatever phase
        outcomes[report.nodeid] = "failed"
    elif report.when == "call" or report.skipped:
        outcomes.setdefault(report.nodeid, report.outcome)


def pytest_sessionfinish(session):
    with open(os.environ["HPOOL_SUITE_RESULTS"], "w") as file:
        json.dump(outcomes, file)
