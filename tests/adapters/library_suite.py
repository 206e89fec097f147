"""A library's own tests, with hpool below the library: taken from its source
distribution, run as they are and in each way of putting hpool below, and
compared. requests_suite.py and httpx_suite.py are such suites."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OWN = "own"  # the way without hpool
LEAST = 0.98
LIMIT = 600  # seconds for a run


class Unavailable(Exception):
    """The suite cannot be had: no network."""


@dataclass(frozen=True)
class Suite:
    """
    library    its name; what its tests need is the extra `<library>-suite`, and
               <library>_excluded.txt names those that cannot pass
    ways       those of suite_plugin.py, without OWN
    tests, options   pytest's arguments: which, and how
    """

    library: str
    ways: tuple[str, ...]
    tests: tuple[str, ...] = ("tests",)
    options: tuple[str, ...] = ()

    @property
    def work(self):
        """Where all is that is downloaded and written."""
        return ROOT / "build" / f"{self.library}-suite"

    @property
    def exclusions(self):
        return HERE / f"{self.library}_excluded.txt"

    # ---- the tests ---------------------------------------------------------------

    def folder(self):
        """Where the tests of the installed library are; downloads them once."""
        name = f"{self.library}-{version(self.library)}"
        if not (self.work / name).exists():
            self.work.mkdir(parents=True, exist_ok=True)
            wanted = ["--no-deps", "--no-binary", self.library, "-d", self.work]
            pip("download", *wanted, name.replace("-", "=="))
            with tarfile.open(self.work / f"{name}.tar.gz") as archive:
                archive.extractall(self.work, filter="data")
        return self.work / name

    def needs(self):
        """The folder where what they need is; it is installed once, and where no
        other pytest sees its plugins."""
        with open(ROOT / "pyproject.toml", "rb") as file:
            extras = tomllib.load(file)["project"]["optional-dependencies"]
        needs = extras[f"{self.library}-suite"]
        at = self.work / f"site-{sys.version_info.major}.{sys.version_info.minor}"
        stamp = at / "needs.json"
        if not stamp.exists() or json.loads(stamp.read_text()) != needs:
            pip("install", "--upgrade", "--target", at, *needs)
            stamp.write_text(json.dumps(needs))
        return at

    # ---- the runs ----------------------------------------------------------------

    def _start(self, way, arguments):
        environment = os.environ | {
            "HPOOL_SUITE": f"{self.library} {way}",
            "HPOOL_SUITE_RESULTS": str(self._results(way)),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(self.needs())]),
        }
        self._results(way).unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "suite_plugin"]
        command += ["-p", "no:cacheprovider", *self.options, *(arguments or self.tests)]
        with (self.work / f"{way}.log").open("w") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder(),
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _results(self, way):
        return self.work / f"{way}.json"

    def run(self, ways, arguments=()):
        """{way: {test id: outcome}}; the ways run side by side."""
        running = [(way, self._start(way, arguments)) for way in ways]
        try:
            for way, process in running:
                code = process.wait(LIMIT)
                if code not in (0, 1):  # 1: some tests have failed
                    log = f"{self.work}/{way}.log"
                    raise SystemExit(f"pytest ended with {code}: see {log}")
        finally:
            for _, process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        return {way: json.loads(self._results(way).read_text()) for way in ways}

    # ---- the verdict -------------------------------------------------------------

    def excluded(self, way):
        """{test id: reason} of the lines of the exclusions that count."""
        found = {}
        for line in self.exclusions.read_text().splitlines():
            if line and not line.startswith("#"):
                where, name, reason = re.split(r"  +", line, maxsplit=2)
                if self.counts(where, way):
                    found[name] = reason
        return found

    def counts(self, where, way):
        assert where in ("all", *self.ways), where
        return where in ("all", way)

    def verdicts(self, arguments=()):
        """One for each way."""
        results = self.run((OWN, *self.ways), arguments)
        own = results.pop(OWN)
        return [self._judge(way, own, results[way]) for way in results]

    def _judge(self, way, own, with_hpool):
        """Tests that look at the clock get a second chance, alone."""
        verdict = Verdict(way, own, with_hpool, self.excluded(way))
        if 0 < len(verdict.failed) < 20:
            again = self.run([way], sorted(verdict.failed))[way]
            verdict = Verdict(way, own, with_hpool | again, verdict.excluded)
        return verdict

    def main(self, arguments):
        try:
            found = self.verdicts(arguments)
        except Unavailable as error:
            sys.exit(str(error))
        status = 0
        for verdict in found:
            print(f"{verdict.way:8} {verdict.figure(self.library)}")
            # Of a part, the share says nothing.
            for problem in [] if arguments else verdict.problems():
                print(f"  {problem}")
                status = 1
        print(f"pytest's own words are in {self.work}/*.log")
        return status


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"pip {arguments[0]} failed: {done.stderr.strip()[-300:]}")


class Verdict:
    """What became, with hpool, of the tests that pass with the library alone.
    `excluded`: {test id: why it cannot pass}."""

    def __init__(self, way, own, with_hpool, excluded):
        pass_alone = {name for name, outcome in own.items() if outcome == "passed"}
        self.way = way
        self.of = len(pass_alone)
        self.passed = {n for n in pass_alone if with_hpool.get(n) == "passed"}
        self.failed = pass_alone - self.passed - set(excluded)
        # Some run only where the network is of a certain kind.
        self.should_not = sorted(n for n in excluded if n in self.passed)
        self.excluded = excluded

    @property
    def share(self):
        return len(self.passed) / self.of if self.of else 1.0

    def problems(self):
        for name in sorted(self.failed):
            yield f"{name} fails, and is not excluded"
        for name in self.should_not:
            yield f"{name} passes, and yet is excluded"
        if self.share < LEAST:
            yield f"{self.share:.1%} is less than {LEAST:.0%}"

    def figure(self, library):
        return (
            f"{len(self.passed)} of the {self.of} tests that pass with {library} "
            f"alone: {self.share:.2%}"
        )
