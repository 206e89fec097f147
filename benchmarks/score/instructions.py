"""Instructions of one kept GET, by storey: of a Python process, and of the C core
alone over a scripted stream. They do not shake with the machine.

    python -m benchmarks.score.instructions            # shows the second
    python -m benchmarks.score.instructions --record   # writes it down

What is written down, for each compiler and architecture, is what
tests/test_instructions.py holds the core to.
"""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.score.callgrind import Line, counts, difference

ROOT = Path(__file__).parent.parent.parent
RECORDED = ROOT / "benchmarks/results/instructions.json"
PROGRAM = "build/c/shipped/core_get_test"
TURNS = 100

# How a line of the core looks that counts for the statistics, or that looks
# whether somebody traces.
COUNTS = re.compile(r"\bcount\.\w+(\[\w+\])?(\+\+| \+= )|\+\+[\w>.-]*count\.|\bpeak\b")
TRACES = re.compile(r"\btrace\b|\bhp_tell_|\bHP_TELL\b|\bTELL\(")


@dataclass(frozen=True)
class Cost:
    """Of one GET."""

    storeys: dict[str, int]  # the core's
    others: dict[str, int]  # libraries, beside it
    statistics: int  # of the core's
    tracing: int  # of the core's, with nobody who traces

    @property
    def core(self) -> int:
        return sum(self.storeys.values())


def available() -> bool:
    return bool(shutil.which("valgrind"))


@cache
def source(file: str) -> list[str]:
    path = ROOT / file[file.index("csrc/") :]
    return path.read_text().splitlines() if path.exists() else []


def text_of(line: Line) -> str:
    lines = source(line.file)
    return lines[line.number - 1] if 0 < line.number <= len(lines) else ""


def summed(lines: dict[Line, float]) -> Cost:
    storeys: Counter[str] = Counter()
    others: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for line, n in lines.items():
        if not line.storey:
            others[line.place] += n  # type: ignore[assignment]
            continue
        storeys[line.storey] += n  # type: ignore[assignment]
        text = text_of(line)
        parts["statistics"] += n if COUNTS.search(text) else 0  # type: ignore[assignment]
        parts["tracing"] += n if TRACES.search(text) else 0  # type: ignore[assignment]
    return Cost(
        whole(storeys),
        whole(others),
        round(parts["statistics"]),
        round(parts["tracing"]),
    )


def whole(parts: Counter[str]) -> dict[str, int]:
    return {name: round(n) for name, n in parts.most_common() if round(n)}


def of_core() -> Cost:
    """The core alone, compiled as the extension is."""
    make = ["make", "-s", f"PYTHON={sys.executable}", PROGRAM]
    subprocess.run(make, cwd=ROOT, check=True, stdout=sys.stderr)
    program = str(ROOT / PROGRAM)
    few, many = (counts([program, str(n * TURNS)]) for n in (1, 2))
    return summed(difference(many, few, TURNS))


def of_process(command: list[str]) -> Cost:
    """A peer's process, see benchmarks/peers."""
    few, many = (counts(command, f"{n * TURNS}\n") for n in (1, 2))
    return summed(difference(many, few, TURNS))


# ---- what is written down --------------------------------------------------------


def compiler() -> str:
    """ "gcc 12.2.0 x86_64": for another one the count is another."""
    cc = shlex.split(os.environ.get("CC", "cc"))
    shown = subprocess.run(
        [*cc, "--version"], capture_output=True, text=True, check=True
    ).stdout
    version = re.search(r"\d+\.\d+(\.\d+)?", shown)
    name = "clang" if "clang" in shown else "gcc"
    return f"{name} {version[0] if version else '?'} {platform.machine()}"


def recorded() -> dict[str, int]:
    return json.loads(RECORDED.read_text()) if RECORDED.exists() else {}


def record(count: int) -> None:
    known = {**recorded(), compiler(): count}
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def main() -> None:
    cost = of_core()
    print(f"{compiler()}: {cost.core} instructions of the core for a kept GET")
    for title, parts in (("", cost.storeys), (" (beside it)", cost.others)):
        for name, n in parts.items():
            print(f"  {name:<10} {n:>6}{title}")
    share = 100 * cost.statistics / cost.core
    print(f"  statistics {cost.statistics:>6} of them, {share:.1f} %")
    print(f"  tracing    {cost.tracing:>6} of them, with nobody who traces")
    if "--record" in sys.argv[1:]:
        record(cost.core)


if __name__ == "__main__":
    main()
