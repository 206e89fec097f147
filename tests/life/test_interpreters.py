"""The end of the process, forks and interpreters under the other Pythons that are
here: hpool is built for each, and its programs run by it."""

import os
import subprocess
import sys
from functools import cache

import pytest

from tests.life import child, interpreters

# Those with a life of their own to lose: leaks are the same, and some are long.
FILES = (
    "test_interpreters.py",
    "test_exit.py",
    "test_fork.py",
    "test_subinterpreters.py",
)
NOT = "not leaks and not handshakes and not under_threads"

found = cache(interpreters.others)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(child.FOLDER is not None, reason="is one of them")
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.13t", "3.14", "3.14t"])
def test_another_python(tmp_path, version):
    """The programs of these tests, run by that Python."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        pytest.skip("is the one that runs the tests")
    if f"cpython{version}" not in found():
        pytest.skip(f"there is no CPython {version} with its headers here")
    program, facts = found()[f"cpython{version}"]
    interpreters.build(facts, tmp_path)
    names = {
        "HPOOL_LIFE_PYTHON": str(program),
        "HPOOL_LIFE_HPOOL": str(tmp_path),
        "HPOOL_LIFE_VERSION": version.rstrip("t"),
    }
    built = subprocess.run(
        [program, "-c", "import hpool._core as core; print(core.__file__)"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert built.stdout.startswith(str(tmp_path))
    files = [os.path.join("tests", "life", name) for name in FILES]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            NOT,
            *files,
        ],
        check=False,
        cwd=child.ROOT,
        env=os.environ | names,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:]
