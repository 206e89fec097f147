"""requests' own test-suite, with hpool below requests.

    .venv/bin/python tests/adapters/requests_suite.py

Downloads the source distribution of the requests that is installed into
build/requests-suite (once), and what its tests need (the extra
`requests-suite`) beside it, where no other pytest sees their plugins. Runs the tests three times side by side: as they are,
with hpool.adapters.requests.HTTPAdapter in place of requests' own, and with
hpool.adapters.requests.patch(). Prints how many of those that pass with
requests alone pass with hpool.

requests_excluded.txt names those that cannot, with a reason each. It is an
error if another one fails, if one that is named there passes, or if fewer than
98 % pass. Arguments are pytest's, to run a part only: -k redirect.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import tomllib
from functools import cache
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WORK = ROOT / "build" / "requests-suite"
EXCLUDED = HERE / "requests_excluded.txt"
MODES = ("own", "adapter", "patch")
LEAST = 0.98
LIMIT = 600  # seconds for a run


class Unavailable(Exception):
    """The suite cannot be had: no network."""


# ---- the suite ---------------------------------------------------------------


def suite_folder():
    """Where the tests of the installed requests are; downloads them once."""
    name = f"requests-{version('requests')}"
    if not (WORK / name).exists():
        WORK.mkdir(parents=True, exist_ok=True)
        requirement = name.replace("-", "==")
        pip("download", "--no-deps", "--no-binary", "requests", "-d", WORK, requirement)
        with tarfile.open(WORK / f"{name}.tar.gz") as archive:
            archive.extractall(WORK, filter="data")
    return WORK / name


def install_needs():
    """The folder where they are; they are installed once."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    needs = extras["requests-suite"]
    folder = WORK / f"site-{sys.version_info.major}.{sys.version_info.minor}"
    stamp = folder / "needs.json"
    if not stamp.exists() or json.loads(stamp.read_text()) != needs:
        pip("install", "--upgrade", "--target", folder, *needs)
        stamp.write_text(json.dumps(needs))
    return folder


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"pip {arguments[0]} failed: {done.stderr.strip()[-300:]}")


# ---- the runs ----------------------------------------------------------------


def start(mode, folder, arguments):
    environment = os.environ | {
        "HPOOL_SUITE_MODE": mode,
        "HPOOL_SUITE_RESULTS": str(results_file(mode)),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(install_needs())]),
    }
    results_file(mode).unlink(missing_ok=True)
    with (WORK / f"{mode}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "suite_plugin",
             "-p", "no:cacheprovider", *(arguments or ["tests"])],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip


def results_file(mode):
    return WORK / f"{mode}.json"


def run(modes, folder, arguments):
    """{mode: {test id: outcome}}; the modes run side by side."""
    running = [(mode, start(mode, folder, arguments)) for mode in modes]
    try:
        for mode, process in running:
            code = process.wait(LIMIT)
            if code not in (0, 1):  # 1: some tests have failed
                raise SystemExit(f"pytest ended with {code}: see {WORK}/{mode}.log")
    finally:
        for _, process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    return {mode: json.loads(results_file(mode).read_text()) for mode in modes}


# ---- the verdict -------------------------------------------------------------


def excluded(mode):
    """{test id: reason} of the lines of requests_excluded.txt that count."""
    found = {}
    for line in EXCLUDED.read_text().splitlines():
        if line and not line.startswith("#"):
            which, name, reason = re.split(r"  +", line, maxsplit=2)
            if counts(which, mode):
                found[name] = reason
    return found


def counts(which, mode):
    if which == "offline":
        return is_offline()
    assert which in ("both", *MODES[1:]), which
    return which in ("both", mode)


@cache
def is_offline():
    """Whether names of the internet cannot be looked up."""
    try:
        socket.getaddrinfo("httpbin.org", 80)
    except socket.gaierror:
        return True
    return False


class Verdict:
    """What became, with hpool, of the tests that pass with requests alone."""

    def __init__(self, mode, own, with_hpool):
        pass_alone = {name for name, outcome in own.items() if outcome == "passed"}
        names = excluded(mode)
        self.mode = mode
        self.of = len(pass_alone)
        self.passed = {n for n in pass_alone if with_hpool.get(n) == "passed"}
        self.failed = pass_alone - self.passed - set(names)
        # Some run only where the network is of a certain kind.
        self.should_not = sorted(
            n for n in names if with_hpool.get(n) == "passed" and n in self.passed
        )

    @property
    def share(self):
        return len(self.passed) / self.of if self.of else 1.0

    def problems(self):
        for name in sorted(self.failed):
            yield f"{name} fails, and is not in {EXCLUDED.name}"
        for name in self.should_not:
            yield f"{name} passes, and yet is in {EXCLUDED.name}"
        if self.share < LEAST:
            yield f"{self.share:.1%} is less than {LEAST:.0%}"

    def __str__(self):
        return (
            f"{self.mode:8} {len(self.passed)} of the {self.of} tests that pass "
            f"with requests alone: {self.share:.2%}"
        )


def verdicts(arguments=()):
    """One for each way of putting hpool below requests."""
    folder = suite_folder()
    results = run(MODES, folder, arguments)
    own = results.pop("own")
    return [judge(mode, own, results[mode], folder) for mode in results]


def judge(mode, own, with_hpool, folder):
    """Tests that look at the clock get a second chance, alone."""
    verdict = Verdict(mode, own, with_hpool)
    if 0 < len(verdict.failed) < 20:
        again = run([mode], folder, sorted(verdict.failed))
        verdict = Verdict(mode, own, with_hpool | again[mode])
    return verdict


def main(arguments):
    try:
        found = verdicts(arguments)
    except Unavailable as error:
        sys.exit(str(error))
    status = 0
    for verdict in found:
        print(verdict)
        # Of a part, the share says nothing.
        for problem in [] if arguments else verdict.problems():
            print(f"  {problem}")
            status = 1
    print(f"pytest's own words are in {WORK}/*.log")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
