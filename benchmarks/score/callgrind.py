"""Counts instructions with valgrind's callgrind, by line of the source."""

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STOREY = re.compile(r"\bcsrc/(?:(\w+)/)?")
LIBRARY = re.compile(r"/(?:lib)?([a-z_]+)[^/]*$")


@dataclass(frozen=True)
class Line:
    """Where an instruction comes from: of an inlined function, its own file."""

    library: str  # path of the shared object or program
    file: str
    number: int

    @property
    def storey(self) -> str:
        """ "wire", or "hp" for hp.h itself; "" outside of the core."""
        found = STOREY.search(self.file)
        return (found[1] or "hp") if found else ""

    @property
    def place(self) -> str:
        """The storey, or else the library: "python", "c", "ssl"."""
        found = LIBRARY.search(self.library)
        return self.storey or (found[1] if found else self.library)


Counts = Counter[Line]


def counts(command: list[str], stdin: str = "") -> Counts:
    """All that the command does, in all its threads."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        subprocess.run(
            [*valgrind, *command],
            input=stdin,
            stdout=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        return Counter(dict(parse(out.read_text(errors="replace"))))


def parse(text: str) -> Iterator[tuple[Line, int]]:
    """The format's description is in valgrind's manual, "Callgrind Format
    Specification". Costs of callees, after `calls=`, are passed over: they are
    said of their own lines, too."""
    found: Counts = Counter()
    names: dict[tuple[str, str], str] = {}
    at = {"ob": "", "fl": ""}
    number, skip = 0, False
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            kind = {"fi": "fl", "fe": "fl", "cfi": "fl", "cfl": "fl", "cob": "ob"}
            of = kind.get(key, key)
            if of in at:
                name = full_name(names, of, value)
                if not key.startswith("c"):
                    at[of] = name
            skip = skip or key == "calls"
        elif line and line[0] in "0123456789+-*":
            position, cost = line.split()[:2]
            number = absolute(position, number)
            if not skip:
                found[Line(at["ob"], at["fl"], number)] += int(cost)
            skip = False
    yield from found.items()


def full_name(names: dict[tuple[str, str], str], of: str, value: str) -> str:
    """ "(3) name" once, "(3)" from then on."""
    number, _, name = value.partition(" ")
    if name:
        names[of, number] = name
    return names.get((of, number), value)


def absolute(position: str, last: int) -> int:
    if position == "*":
        return last
    if position[0] in "+-":
        return last + int(position)
    return int(position)


def difference(more: Counts, less: Counts, turns: int) -> dict[Line, float]:
    """What one of so many further turns costs."""
    left = Counter(more)
    left.subtract(less)
    return {line: n / turns for line, n in left.items() if n}
