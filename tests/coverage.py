#!/usr/bin/env python3
"""Lines of the core that the C tests have run, per file, by gcov's count.

usage: coverage.py DIR [--lines]

DIR is where `make coverage` has compiled; --lines names those that were not
run. Fails when it is less than 95 % of all.
"""

import pathlib
import re
import subprocess
import sys

STORIES = ("base", "wire", "net", "pool", "run")
LEAST = 95


def not_run(build: pathlib.Path, source: pathlib.Path) -> tuple[list[int], int]:
    """Which lines were not run, and how many there are."""
    objects = build / source.with_suffix(".gcno")
    text = subprocess.run(
        ["gcov", "-t", str(objects)], capture_output=True, text=True, check=True
    ).stdout
    counts: dict[int, bool] = {}
    inside = False
    for line in text.splitlines():
        if found := re.match(r" *-: *0:Source:(.*)", line):
            inside = found[1].endswith(str(source))
        elif inside and (found := re.match(r" *([^:]+): *(\d+):", line)):
            if found[1] != "-" and int(found[2]) > 0:
                at = int(found[2])
                counts[at] = counts.get(at, False) or found[1][0] not in "#="
    return sorted(n for n, run in counts.items() if not run), len(counts)


def ranges(lines: list[int]) -> str:
    out: list[list[int]] = []
    for n in lines:
        if out and n <= out[-1][1] + 2:
            out[-1][1] = n
        else:
            out.append([n, n])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def row(name: str, missed: int, lines: int, more: str = "") -> None:
    share = 100 * (1 - missed / lines) if lines else 100
    print(f"{name:32} {lines:6} {share:6.1f} %  {more}".rstrip())


def main(args: list[str]) -> int:
    build = pathlib.Path(args[0])
    all_missed = all_lines = 0
    for story in STORIES:
        story_missed = story_lines = 0
        for source in sorted(pathlib.Path("csrc", story).glob("*.c")):
            missed, lines = not_run(build, source)
            row(str(source), len(missed), lines,
                ranges(missed) if "--lines" in args else "")  # fmt: skip
            story_missed += len(missed)
            story_lines += lines
        row(story, story_missed, story_lines)
        print()
        all_missed += story_missed
        all_lines += story_lines
    row("all", all_missed, all_lines)
    return 0 if 100 * (all_lines - all_missed) >= LEAST * all_lines else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
