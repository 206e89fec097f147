"""requests-toolbelt, which subclasses requests' sessions, auth and adapters, with
hpool where it imports requests."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.side_by_side import answer, seen
from tests.server.scripted import ScriptedServer, serve

pytest.importorskip("requests_toolbelt")

PROGRAM = Path(__file__).parent / "toolbelt_program.py"


@pytest.fixture(scope="module")
def runs():
    """{library: (what it printed, what the server saw)}"""
    found = {}
    for library in ("requests", "hpool"):
        with ScriptedServer(serve(answer)) as s:
            done = subprocess.run(
                [sys.executable, PROGRAM, library, s.url],
                capture_output=True, text=True, timeout=50,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
            found[library] = json.loads(done.stdout), [seen(r) for r in s.requests]
    return found


@pytest.mark.parametrize(
    "program",
    [
        "base_url",
        "forgetful_cookies",
        "guessed_auth",
        "auth_by_host",
        "adapters",
        "multipart",
        "streamed_upload",
        "downloads",
        "many_threads",
        "agent",
    ],
)
def test_what_comes_back_is_the_same(runs, program):
    assert runs["hpool"][0][program] == runs["requests"][0][program] != []


def test_what_is_sent_is_the_same(runs):
    assert runs["hpool"][1] == runs["requests"][1]
