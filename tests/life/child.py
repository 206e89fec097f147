"""Small programs in processes of their own, with warnings as errors."""

import os
import subprocess
import sys
from pathlib import Path

import hpool

# The machine's own settings play no part.
IGNORED = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


# Another Python, and where hpool was built for it: test_interpreters.py.
PYTHON = os.environ.get("HPOOL_LIFE_PYTHON", sys.executable)
VERSION = sys.version_info[:2]
if "HPOOL_LIFE_VERSION" in os.environ:
    VERSION = tuple(map(int, os.environ["HPOOL_LIFE_VERSION"].split(".")))
FOLDER = os.environ.get("HPOOL_LIFE_HPOOL")
ROOT = str(Path(hpool.__path__[0]).parent)

_started = []


def environment(more):
    """For a program: hpool is found, and the machine's certificates are not."""
    inherited = {k: v for k, v in os.environ.items() if k not in IGNORED}
    folders = os.pathsep.join([FOLDER, ROOT] if FOLDER else [ROOT])
    return inherited | {"PYTHONPATH": folders} | more


def start(program, *arguments, pass_fds=(), **more):
    """Starts the program (source text, or the path of a file with it) with these
    arguments, leaving it these descriptors."""
    what = [program] if isinstance(program, Path) else ["-c", program]
    process = subprocess.Popen(
        [PYTHON, "-X", "faulthandler", "-W", "error", *what,
         *map(str, arguments)],
        cwd=FOLDER,  # -c looks there first
        env=environment(more),
        pass_fds=pass_fds,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    _started.append(process)
    return process


def kill_all():
    """Ends the programs that are still running."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def said(process, line):
    """Waits for this line of a program that then goes on."""
    got = process.stdout.readline()
    if got != line + "\n":
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it said {got + out!r}, not {line!r}: {err}")


def finish(process, seconds=20):
    """(exit code, stdout, stderr) of a program that has to end by itself."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {seconds} s: {out}{err}") from None
    return process.returncode, out, err


def run(program, *arguments, seconds=20, **more):
    """What the program printed; it has to end well and say nothing on stderr."""
    code, out, err = finish(start(program, *arguments, **more), seconds)
    assert (code, err) == (0, ""), (code, out, err)
    return out
