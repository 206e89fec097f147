"""The pytest plugin: the fixture hpool_no_leaks and the option --hpool-leaks. Each
run of pytest here is a process of its own."""

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.server.scripted import respond, serve

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

PRELUDE = """
import os, threading, unittest
import hpool, pytest

URL = os.environ["URL"]
client = hpool.Client(timeout=10)
kept = []
"""


@pytest.fixture
def url(server):
    """Answers each request with a head and less than the body it promises."""
    return server([serve(respond(b"x" * 100, headers={"Content-Length": 1000}))]).url


@pytest.fixture
def metadata(tmp_path_factory):
    """A folder with the entry points of pyproject.toml, as an installation has
    them: what is tested is not what happens to be installed."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / f"hpool-{PROJECT['version']}.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: hpool\nVersion: {PROJECT['version']}\n"
    )
    points = PROJECT["entry-points"]["pytest11"].items()
    lines = ["[pytest11]", *(f"{name} = {value}" for name, value in points)]
    info.joinpath("entry_points.txt").write_text("\n".join(lines))
    # Whose assertions pytest would rewrite: those of a distribution with plugins.
    info.joinpath("RECORD").write_text("hpool/__init__.py,,\n_hpool_pytest.py,,\n")
    return folder


class Run:
    """pytest on this code: exit code, output, and who failed with which text."""

    def __init__(self, folder, code, arguments, environment, start):
        (folder / "test_it.py").write_text(PRELUDE + textwrap.dedent(code))
        done = subprocess.run(
            [sys.executable, *start, "-rA", "-p", "no:cacheprovider",
             f"--rootdir={folder}", *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        self.code, self.out = done.returncode, done.stdout + done.stderr
        self.said = {"PASSED": [], "FAILED": [], "ERROR": []}
        self.text = {}
        for word, name, text in re.findall(
            r"(?m)^([A-Z]+) test_it\.py::(\S+)(?: - (.*))?$", self.out
        ):
            self.said.setdefault(word, []).append(name)
            self.text[name] = text

    @property
    def failed(self):
        return self.said["FAILED"]

    @property
    def passed(self):
        return self.said["PASSED"]

    def block(self, name):
        """What stands under the heading of this test."""
        found = re.search(rf"(?ms)^_+ {re.escape(name)} _+\n(.*?)\n[=_]{{3}}", self.out)
        assert found, self.out
        return found[1]


# The others that are installed play no part, and take their time.
OTHERS = {point.name for point in entry_points(group="pytest11")} - {"hpool"}
BLOCKED = [f"-pno:{name}" for name in sorted(OTHERS)]


@pytest.fixture
def run(tmp_path, url, metadata):
    """run(code, *arguments) runs pytest on a file with the code in it, with no
    plugin but this one, which pytest finds by itself."""

    def start(code, *arguments, start=("-m", "pytest"), **more):
        environment = os.environ | {
            "URL": url,
            "PYTHONPATH": f"{metadata}{os.pathsep}{ROOT}",
            "PYTEST_ADDOPTS": "",
            "COLUMNS": "400",
            **more,
        }
        return Run(tmp_path, code, [*BLOCKED, *arguments], environment, start)

    return start


def line_of(code, mark):
    """The number of the line in test_it.py that has the mark."""
    whole = PRELUDE + textwrap.dedent(code)
    return next(i for i, line in enumerate(whole.splitlines(), 1) if mark in line)


# ---- what fails --------------------------------------------------------------

LEFT_OPEN = """
def test_dropped(hpool_no_leaks):
    client.get(URL + "/dropped?secret=1")

def test_kept(hpool_no_leaks):
    kept.append(client.post(URL + "/kept?secret=1"))

def test_half_read(hpool_no_leaks):
    r = client.get(URL + "/half")
    r.read(10)

def test_of_the_module(hpool_no_leaks):
    hpool.get(URL + "/module", stream=True)

def test_in_a_thread(hpool_no_leaks):
    def work():
        kept.append(client.get(URL + "/thread"))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

def test_of_another_client(hpool_no_leaks):
    with hpool.Client(leak_warnings=False) as other:
        other.get(URL + "/other")

def test_two(hpool_no_leaks):
    kept.append(client.get(URL + "/first"))
    kept.append(client.get(URL + "/second"))

@pytest.fixture
def held():
    return client.get(URL + "/fixture")

def test_of_a_fixture(hpool_no_leaks, held):
    assert held.ok

def test_fine(hpool_no_leaks):
    client.get(URL).close()

def test_not_asked_for():
    kept.append(client.get(URL))
"""
LINES = {
    "test_dropped": ("GET", "/dropped", "body unread, collected unclosed"),
    "test_kept": ("POST", "/kept", "body unread, still open"),
    "test_half_read": ("GET", "/half", "body half read, collected unclosed"),
    "test_of_the_module": ("GET", "/module", "body unread, collected unclosed"),
    "test_in_a_thread": ("GET", "/thread", "body unread, still open"),
    "test_of_another_client": ("GET", "/other", "body unread, collected unclosed"),
    "test_two": ("GET", "/first", "body unread, still open"),
    "test_of_a_fixture": ("GET", "/fixture", "body unread, still open"),
}


def in_function(name):
    """Where the request of this test stands."""
    return {
        "test_in_a_thread": "test_in_a_thread.<locals>.work",
        "test_of_a_fixture": "held",
    }.get(name, name)


def check_left_open(done, url):
    for name, (method, path, what) in LINES.items():
        at = f"test_it.py:{line_of(LEFT_OPEN, path)} in {in_function(name)}"
        assert f"left open by {at}: {method} {url}{path} ({what})" in done.block(name)
        assert done.text[name].startswith(f"Failed: left open by {at}: {method}")
    # Nothing passes first that can be told at once.
    collected = {name for name, what in LINES.items() if "collected" in what[2]}
    assert len(collected) == 4
    assert collected.isdisjoint(done.passed)
    first, second, advice = done.block("test_two").splitlines()
    assert "/first" in first and "/second" in second
    assert "`with client.get(...) as r:` closes it" in advice
    assert "secret" not in done.out
    assert done.said["ERROR"] == []
    assert done.code == 1


def test_the_fixture(run, url):
    """One test each; it fails with method, URL without query, phase and line, and
    is told what to do."""
    done = run(LEFT_OPEN)
    assert done.failed == list(LINES)
    assert {"test_fine", "test_not_asked_for"} <= set(done.passed)
    check_left_open(done, url)


def test_the_option(run, url):
    """All tests, with the fixture as well or without."""
    code = LEFT_OPEN.replace("hpool_no_leaks, ", "")
    code = code.replace("(hpool_no_leaks)", "()", 3)
    done = run(code, "--hpool-leaks")
    assert done.failed == [*LINES, "test_not_asked_for"]
    assert "test_fine" in done.passed
    check_left_open(done, url)


@pytest.mark.parametrize("how", ["--hpool-leaks", "--verbose"])
def test_with_warnings_as_errors(run, url, how):
    """The failure is ours in both cases; the warning of a response that is watched
    does not come on top of it."""
    done = run(LEFT_OPEN, "-W", "error", how)
    assert set(LINES) <= set(done.failed)
    assert "test_fine" in done.passed
    assert "ResourceWarning" not in done.out
    check_left_open(done, url)


def test_without_either(run):
    """The plugin alone changes nothing: what is dropped is warned of."""
    done = run(
        """
        def test_kept():
            kept.append(client.get(URL))

        def test_dropped():
            client.get(URL)
        """,
        "-W",
        "default",
    )
    assert (done.code, len(done.passed)) == (0, 2)
    assert "ResourceWarning: unclosed <Response [200]>" in done.out


# ---- what does not -----------------------------------------------------------


def test_responses_that_are_ended(run):
    """In whatever way, fixtures of the test and unittest's cleanups included."""
    done = run(
        """
        from contextlib import ExitStack

        @pytest.fixture(autouse=True)
        def stack():
            with ExitStack() as stack:
                yield stack

        def test_with():
            with client.get(URL) as r:
                r.read(10)

        def test_head():
            kept.append(client.head(URL))

        def test_raised():
            with pytest.raises(hpool.ReadError):
                client.get(URL, timeout=hpool.Timeout(read=0.01)).read()

        def test_closed_by_a_fixture(stack):
            kept.append(stack.enter_context(client.get(URL)))

        def test_finalizer(request):
            kept.append(client.get(URL))
            request.addfinalizer(kept[-1].close)

        class TestUnit(unittest.TestCase):
            def test_cleanup(self):
                kept.append(client.get(URL))
                self.addCleanup(kept[-1].close)
        """.replace("ReadError", "ReadTimeout"),
        "--hpool-leaks",
        "-W",
        "error",
    )
    assert (done.code, len(done.passed)) == (0, 6), done.out


def test_responses_opened_before(run):
    """Fixtures of a wider scope, set up before or in the middle of the test, and
    tests that are not watched: nobody else has to answer for them."""
    done = run(
        """
        @pytest.fixture(scope="session")
        def session():
            with client.get(URL + "/session") as r:
                yield r

        @pytest.fixture(scope="class")
        def of_class():
            return client.get(URL + "/class")

        @pytest.fixture(scope="module")
        def late():
            kept.append(client.get(URL + "/late"))

        def setup_module():
            kept.append(client.get(URL + "/module"))

        def test_session(session):
            assert session.ok

        class TestClass:
            def test_class(self, of_class):
                of_class.read(10)

        def test_late(request):
            request.getfixturevalue("late")

        def test_collects_what_others_opened():
            kept.clear()

        def test_fine(session):
            session.read(10)
        """,
        "--hpool-leaks",
        "-W",
        "default",
    )
    assert (done.code, len(done.passed)) == (0, 5), done.out
    # Dropped while a test was watched, and not by it: warned of, as ever.
    for path in ("class", "late", "module"):
        assert re.search(rf"ResourceWarning: unclosed .*/{path}, made at", done.out)


def test_of_an_earlier_test(run):
    """A response that a test has left open, and was blamed for, is not held against
    the next one, whatever becomes of it."""
    done = run(
        """
        def test_leaves_it():
            kept.append(client.get(URL))

        def test_finds_it():
            assert len(client.leaks(0)) == 1

        def test_drops_it():
            kept.clear()
            assert client.leaks(0) == []
        """,
        "--hpool-leaks",
        "-W",
        "error",
    )
    assert (done.failed, done.said["ERROR"]) == (["test_leaves_it"], [])
    assert set(done.passed) >= {"test_finds_it", "test_drops_it"}


def test_tests_that_end_otherwise(run):
    """A test that fails, skips or is expected to fail says so itself, and what its
    frames hold is not added to it."""
    done = run(
        """
        def test_fails():
            r = client.get(URL)
            assert r.status_code == 500

        @pytest.fixture
        def broken():
            kept.append(client.get(URL))
            raise ValueError("in the fixture")

        def test_broken(broken):
            pass

        def test_skips():
            r = client.get(URL)
            pytest.skip("later")

        @pytest.mark.xfail(strict=True)
        def test_expected():
            r = client.get(URL)
            assert r.status_code == 500
        """,
        "--hpool-leaks",
    )
    assert (done.failed, done.said["ERROR"]) == (["test_fails"], ["test_broken"])
    assert done.said["XFAIL"] == ["test_expected"]
    assert "1 skipped" in done.out
    assert "left open" not in done.out


def test_lines_are_recorded_only_meanwhile(run):
    done = run(
        """
        def line():
            with client.get(URL):
                return client.leaks(0)[0].line

        def test_before():
            assert line() is None

        def test_watched(hpool_no_leaks):
            assert line().endswith("in line")

        def test_after():
            assert line() is None
        """
    )
    assert (done.code, len(done.passed)) == (0, 3), done.out


def test_pytest_within_pytest(run, tmp_path):
    """A run within a watched test watches for itself, and then the outer one goes
    on."""
    (tmp_path / "test_inner.py").write_text(
        PRELUDE + "def test_inner(hpool_no_leaks): client.get(URL + '/inner')"
    )
    done = run(
        """
        BLOCKED = {BLOCKED}

        def test_outer(hpool_no_leaks):
            assert pytest.main([*BLOCKED, "test_inner.py"]) == 1
            client.get(URL + "/outer")
        """.replace("{BLOCKED}", repr(BLOCKED)),
        "test_it.py",
    )
    assert done.failed == ["test_outer"]
    assert "/outer" in done.text["test_outer"]


# ---- being loaded ------------------------------------------------------------

WHAT_IS_LOADED = """
import sys

def pytest_collection_finish():
    print("loaded:", [name for name in sys.modules if name.startswith("hpool")])
"""
NOTHING = """
def test_nothing():
    pass
"""


@pytest.mark.parametrize("arguments", [(), ("-W", "error")])
def test_loading_it_does_not_import_hpool(run, tmp_path, arguments):
    """pytest loads it for everybody who has hpool, by its entry point, and does not
    touch hpool itself; with the option it does."""
    (tmp_path / "conftest.py").write_text(WHAT_IS_LOADED)
    (tmp_path / "test_nothing.py").write_text(NOTHING)
    arguments = ("-s", "--trace-config", "test_nothing.py", *arguments)
    done = run("", *arguments)
    assert done.code == 0
    assert "_hpool_pytest.py" in done.out
    assert "loaded: []" in done.out
    assert "'hpool.pytest_plugin'" in run("", "--hpool-leaks", *arguments).out


def test_hpool_may_be_imported_before(run):
    """pytest would rewrite the assertions of whatever has a plugin, and warns of
    what it came too late for."""
    program = "import sys, hpool, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    done = run(KEPT, "-W", "error", "--hpool-leaks", start=("-c", program))
    assert done.failed == ["test_kept"], done.out


KEPT = """
def test_kept():
    kept.append(client.get(URL))
"""


def test_switched_off(run):
    """-p no:hpool leaves nothing behind."""
    done = run(KEPT, "-p", "no:hpool")
    assert (done.code, done.passed) == (0, ["test_kept"])
    done = run(KEPT, "-p", "no:hpool", "--hpool-leaks")
    assert done.code == 4
    assert "unrecognized arguments: --hpool-leaks" in done.out


@pytest.mark.parametrize("name", ["hpool", "hpool.pytest_plugin"])
@pytest.mark.parametrize("no_autoload", ["", "1"])
def test_by_its_name(run, name, no_autoload):
    """-p finds it by the name of the entry point and by that of the module, in
    addition to pytest's own search and in place of it."""
    done = run(
        KEPT, "-p", name, "--hpool-leaks", PYTEST_DISABLE_PLUGIN_AUTOLOAD=no_autoload
    )
    assert (done.code, done.failed) == (1, ["test_kept"])


def test_help(run):
    """Option and fixture introduce themselves."""
    assert "name the line that made it" in " ".join(run("", "--help").out.split())
    out = run("", "--fixtures").out
    assert "hpool_no_leaks" in out
    assert "Fails the test if it leaves a response of hpool open" in out
