"""Who is there to be measured, and how each is started."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.peers import Task

HERE = Path(__file__).parent.parent
ROOT = HERE.parent
# It replaces urllib3, so it is not installed beside the others: `make bench`.
NIQUESTS = ROOT / "build/niquests/bin/python"


def python_of(name: str) -> str:
    own = {"niquests": NIQUESTS}
    return str(own.get(name, sys.executable))


def module_of(peer: str) -> str:
    return peer.partition(":")[0]


class Peers:
    """`versions` has those that can be started, `missing` the others."""

    def __init__(self, names: Iterable[str], folder: Path):
        """`names` of modules."""
        self.go = folder / "go-peer"
        self.versions: dict[str, str] = {}
        self.missing: list[str] = []
        for name in names:
            version = self.build_go() if name == "go" else self.ask(self.command(name))
            if version:
                self.versions[name] = version
            else:
                self.missing.append(name)

    def command(self, name: str, task: Task | None = None) -> list[str]:
        """`name` may be module:function. Without a task it prints its version."""
        module, _, function = name.partition(":")
        if task and function:
            task = replace(task, does=function)
        more = [task.dumps()] if task else []
        if module == "go":
            return [str(self.go), *more]
        return [python_of(module), "-m", "benchmarks.peers", module, *more]

    def ask(self, command: list[str]) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        except FileNotFoundError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    def build_go(self) -> str:
        """Where there is a `go`."""
        if not shutil.which("go"):
            return ""
        source = HERE / "peers/go"
        subprocess.run(["go", "build", "-o", str(self.go), "."], cwd=source, check=True)
        return self.ask([str(self.go)])
