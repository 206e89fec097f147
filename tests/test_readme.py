"""What the README and the pages of docs/ show is run: their Python blocks, and
the README's commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.scripted import respond

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()
PAGES = sorted(ROOT.glob("docs/*.rst"))
WRITTEN = "http://127.0.0.1:8080"
TEXT = {"Content-Type": "text/plain"}
BODIES = {
    "/data": b"abc" * 100,
    "/big": bytes(100_000),
    "/login": b"welcome",
    "/bucket/key": b"stored",
    "/v1/models": b'{"object": "list", "data": [{"id": "m", "object": "model"}]}',
}
FIELDS = {
    "/login": {"Set-Cookie": "session=1"},
    "/moved": {"Location": "/data"},
    "/v1/models": {"Content-Type": "application/json"},
}

RUN_IN_ORDER = """
page = {"__name__": "__main__"}
for line, block in blocks:
    exec(compile("\\n" * (line - 1) + block, name, "exec"), page)
"""


def python_blocks(page):
    """[(line number, code), ...] of the page's Python blocks."""
    blocks = []
    for found in re.finditer(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", page):
        line = page.count("\n", 0, found.start(1)) + 1
        blocks.append((line, re.sub(r"(?m)^    ", "", found[1])))
    return blocks


def answers(connection):
    """What the pages' server is taken to be: /slow never answers, /moved leads
    to /data, /login sets a cookie, a POST gets back what it sent, what is not
    known is a 404 with a body."""
    while request := connection.request(patient=True):
        if request.target == "/slow":
            connection.until_closed()
            return
        path = request.target.partition("?")[0]
        body = request.body if request.method == "POST" else BODIES.get(path)
        answer = (b"not found", 404) if body is None else (body, 200)
        if path == "/moved":
            answer = (b"moved", 302)
        connection.send(respond(*answer, {**TEXT, **FIELDS.get(path, {})}))


def run(server, code, folder):
    """What the code prints, in a process of its own, without a warning."""
    code = code.replace(WRITTEN, server(answers).url)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        cwd=folder,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("number", range(len(python_blocks(README))))
def test_python_block(server, number, tmp_path):
    """Each block of the README runs by itself."""
    out = run(server, python_blocks(README)[number][1], tmp_path)
    if number == 0:
        assert out.startswith("200 text/plain 300\n")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page(server, path, tmp_path):
    """The blocks of a page run in order, in one namespace. Tracebacks bear the
    page's own lines."""
    blocks = python_blocks(path.read_text())
    assert blocks
    program = f"blocks = {blocks!r}\nname = {str(path)!r}\n" + RUN_IN_ORDER
    run(server, program, tmp_path)


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
    """The README's table of goals is the one that the benchmark wrote last, and it
    says what machine that was."""
    page = (ROOT / "benchmarks/results/scorecard.rst").read_text()
    table = re.search(r"(?ms)^(=+  =+.*?\n=[= ]+\n.*?\n=[= ]+)\n", page)[1]
    assert table.startswith("=") and " hpool / the limit " in table
    assert table in README
    found = json.loads((ROOT / "benchmarks/results/scorecard.json").read_text())
    assert found["machine"]["cpu"] in README
    assert f"{found['rounds']} rounds" in README
    for picture in re.findall(r"image:: (\S+)", README):
        assert (ROOT / picture).exists()
