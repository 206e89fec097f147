"""What the README shows is run: its Python blocks and its commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.scripted import respond

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()
WRITTEN = "http://127.0.0.1:8080"
BODIES = {"/data": b"abc" * 100, "/big": bytes(100_000)}


def python_blocks():
    found = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README)
    return [re.sub(r"(?m)^    ", "", block) for block in found]


def answers(connection):
    """What the README's server is taken to be; /slow never answers."""
    while request := connection.request(patient=True):
        if request.target == "/slow":
            connection.until_closed()
            return
        body = request.body if request.method == "POST" else BODIES[request.target]
        connection.send(respond(body, headers={"Content-Type": "text/plain"}))


@pytest.mark.parametrize("number", range(len(python_blocks())))
def test_python_block(server, number, tmp_path):
    """Each block runs by itself, in a process of its own, without a warning."""
    url = server(answers).url
    code = python_blocks()[number].replace(WRITTEN, url)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        cwd=tmp_path,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if number == 0:
        assert done.stdout.startswith("200 text/plain 300\n")


def make_targets():
    return set(re.findall(r"(?m)^([a-z-]+):.*##", (ROOT / "Makefile").read_text()))


@pytest.mark.parametrize("page", ["README.rst", "tests/README.rst"])
def test_make_targets_exist(page):
    """Every `make X` that the pages name is a target with a line of help."""
    named = re.findall(r"(?:``|    )make ([a-z-]+)", (ROOT / page).read_text())
    assert named
    assert set(named) <= make_targets()


def test_tables_are_the_defaults():
    """The two tables of settings say what a new Limits() and Timeout() hold."""
    import hpool

    rows = re.findall(r"(?m)^``(\w+)`` +(\S+)(?: (s))?", README)
    shown = {name: value for name, value, _ in rows}
    for settings in (hpool.Limits(), hpool.Timeout()):
        for name in type(settings).__slots__:
            value = getattr(settings, name.lstrip("_"))
            written = shown[name.lstrip("_")].strip('"')
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                assert float(written) == value, name
            else:
                assert written == str(value), name


def test_the_newest_figures_are_shown():
    """The README's table of ratios is the one that the benchmark wrote last."""
    ratios = json.loads((ROOT / "benchmarks/results/first.json").read_text())["ratios"]
    page = (ROOT / "benchmarks/results/first.rst").read_text()
    table = page[page.index("\n=========================================================") :]
    table = table[: table.index("\n:cpu:")].strip()
    assert len(table.splitlines()) == len(ratios) + 4
    assert table in README
