"""The examples of docs/examples: each is run as a reader runs it, and says what it
is there to say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "examples"
PATTERNS = {
    # example: (phase, how many leak)
    "leak_early_return": ("body unread", 3),
    "leak_half_read": ("body half read", 3),
    "leak_error_ignored": ("body unread", 2),
    "leak_in_thread": ("body unread", 3),
}


def run(name):
    """What it prints. It ends well and says nothing on stderr."""
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py"],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def line_of(name, text):
    """The path and line, as leaks() gives them, of the first line with the text."""
    path = FOLDER / f"{name}.py"
    lines = path.read_text().splitlines()
    return f"{path}:{next(n for n, line in enumerate(lines, 1) if text in line)}"


def test_every_example_is_here():
    """backend.py is what they share."""
    assert {path.stem for path in FOLDER.glob("*.py")} == {
        *PATTERNS,
        "backend",
        "case_study",
    }


@pytest.mark.parametrize("name", PATTERNS)
def test_a_leak_pattern(name):
    """leaks() finds every response by the line that made it; with the fixed form
    there is none."""
    phase, n = PATTERNS[name]
    leaking, fixed = re.split(r"(?m)^(?=\w|`).*:\n", run(name))[1:]
    line = line_of(name, "client.get(url)")
    found = re.findall(
        r"GET http://\S+: (.*), held for .*, made at (\S+) in \w+", leaking
    )
    assert found == [(phase, line)] * n
    assert "no response holds a connection" in fixed
    assert "made at" not in fixed


def table(text):
    """The columns of the case study's table, as lists."""
    rows = re.findall(r"(?m)^  hour \d +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$", text)
    return [list(map(int, column)) for column in zip(*rows)]


@pytest.mark.slow
def test_the_case_study():
    """The leak grows with every hour and nearly every request makes a connection;
    leaks() names the line, advise() both faults. Then neither is left."""
    before, after = run("case_study").split("fixed:\n")
    requests, new, reused, open_now, held = table(before)
    assert requests == [160] * 4
    assert held == [16, 32, 48, 64]
    # How many meet an idle connection, or one just handed back, is a matter of
    # luck on a busy machine; at most two are kept.
    assert min(new) >= 80 > max(reused)
    assert all(now >= kept for now, kept in zip(open_now, held))
    line = line_of("case_study", "self.client.get(url)")
    leaks, advice = before.split("client.advise():")
    assert re.search(
        rf"\d\d responses, body unread, made at {re.escape(line)} in", leaks
    )
    assert "because max_idle_conns_per_host=2" in advice
    assert "neither read to their end nor closed have held" in advice
    assert f"made at {line}" in advice
    requests, new, reused, open_now, held = table(after)
    assert (requests, held) == ([160], [0])
    assert new[0] <= 40 and open_now[0] <= 40
    assert "client.leaks(): nothing" in after
    assert "client.advise(): nothing" in after
