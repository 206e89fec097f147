"""hpool beside its peers and beside the limit, in one run.

    python benchmarks/scorecard.py [--rounds 21] [--cases get,get-tls] [--peers ...]

Writes scorecard.json (every round), scorecard.rst and two pictures into
benchmarks/results/. See benchmarks/README.rst.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.score import instructions, pictures, report  # noqa: E402
from benchmarks.score.cases import ALL, CASES  # noqa: E402
from benchmarks.score.measure import PLACEMENTS, Run  # noqa: E402
from benchmarks.score.memory import MEMORY  # noqa: E402

COUNTED = "instructions"
KNOWN = [
    *(case.name for case in CASES),
    *(memory.case.name for memory in MEMORY),
    COUNTED,
]


def some_of(known: list[str]) -> Callable[[str], list[str]]:
    """For an option that takes names with commas between."""

    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown}; there are {', '.join(known)}")
        return chosen

    return names


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=21)
    add("--cases", type=some_of(KNOWN), default=KNOWN, help="only these: A,B,...")
    add(
        "--peers", type=some_of(list(ALL)), help="only these beside hpool and the limit"
    )
    add("--one-core", action="store_true", help="not across cores")
    add("--quick", action="store_true", help="one round of one turn: does it run?")
    add(
        "--again",
        action="store_true",
        help="measure nothing: page and pictures from what is in --out",
    )
    add("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def measure(chosen: argparse.Namespace) -> report.Result:
    cases = [case for case in CASES if case.name in chosen.cases]
    memories = [memory for memory in MEMORY if memory.case.name in chosen.cases]
    if chosen.quick:
        cases = [case.small() for case in cases]
        memories = [memory.small() for memory in memories]
    written = chosen.out / "scorecard.json"
    peers = {"hpool", "bare", *chosen.peers} if chosen.peers else set()
    run = Run(chosen.rounds, chosen.quick, peers, lambda result: result.dump(written))
    for placement in PLACEMENTS[: 1 if chosen.one_core else None]:
        run.times(cases, placement)
    if memories:
        run.memory(memories)
    if COUNTED in chosen.cases and not chosen.quick and instructions.available():
        run.instructions()
    return run.result


def main() -> None:
    chosen = options()
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.again:
        result = report.Result.load(chosen.out / "scorecard.json")
    else:
        result = measure(chosen)
    text = report.page(CASES, result)
    (chosen.out / "scorecard.rst").write_text(text)
    if pictures.available():
        pictures.draw(CASES, result.times.get(PLACEMENTS[0], {}), chosen.out)
    print(text)


if __name__ == "__main__":
    main()
