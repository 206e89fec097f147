"""Runs fuzz targets one after the other, each for some seconds, and stops at
the first finding. `make fuzz T=60` builds them first.

    python3 tests/fuzz/run.py BINARIES SECONDS [TARGET...]
    python3 tests/fuzz/run.py --sums

BINARIES is where x_fuzz lie. What is found new goes to build/fuzz/corpus, from
which the next run goes on; a finding goes to tests/fuzz/found/<target>, where
the tests play it ever after. One line for each target is appended to
build/fuzz/log: when, binary, seconds, executions, inputs kept. --sums adds them
up.
"""

import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import seeds  # which stands beside this file

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "fuzz"

LIMITS = [
    "-timeout=10",  # seconds for one input
    "-rss_limit_mb=2048",
    "-malloc_limit_mb=256",
    "-max_len=4096",
    "-print_final_stats=1",
    "-verbosity=0",
]


def number(name, text):
    found = re.search(rf"^stat::{name}:\s+(\d+)$", text, re.M)
    return int(found[1]) if found else 0


def command(binary, target, seconds):
    """Reads and writes the first folder, reads the others."""
    corpus = BUILD / "corpus" / target
    found = HERE / "found" / target
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    return [
        str(binary),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={found}/",
        f"-dict={BUILD / 'seeds' / target}.dict",
        *LIMITS,
        *map(str, (corpus, BUILD / "seeds" / target, found)),
    ]


def fuzz(binary, target, seconds):
    """True when nothing was found."""
    begun = time.monotonic()
    run = subprocess.run(
        command(binary, target, seconds),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    took = time.monotonic() - begun
    executions = number("number_of_executed_units", run.stderr)
    kept = number("new_units_added", run.stderr)
    print(f"{target:10} {executions:>12,} executions in {took:.0f} s", flush=True)
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    with open(BUILD / "log", "a") as log:
        log.write(f"{when} {binary} {took:.0f} {executions} {kept}\n")
    if run.returncode == 0 and executions:
        return True
    print(run.stderr[-6000:], file=sys.stderr)
    inputs = re.findall(r"Test unit written to (\S+)", run.stderr)
    for path in inputs:
        again = shlex.join([str(binary), path])
        print(f"\n{target}: FOUND. Again, and then a test:\n    {again}", file=sys.stderr)
    return False


def print_sums():
    executions, seconds = Counter(), Counter()
    for line in (BUILD / "log").read_text().splitlines():
        _, _, binary, took, n, _ = line.split()
        run = Path(binary).name.removesuffix("_fuzz"), Path(binary).parent.name
        executions[run] += int(n)
        seconds[run] += int(took)
    for run in sorted(executions):
        print(f"{run[0]:10} {run[1]:10} {executions[run]:>14,} in {seconds[run]:>7,} s")
    print(f"{'all':21} {executions.total():>14,} in {seconds.total():>7,} s")


def main(binaries, seconds, *targets):
    seeds.main(BUILD / "seeds")
    for target in targets or seeds.DICTIONARIES:
        if not fuzz(Path(binaries) / f"{target}_fuzz", target, seconds):
            return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--sums"]:
        sys.exit(print_sums())
    sys.exit(main(*sys.argv[1:]))
