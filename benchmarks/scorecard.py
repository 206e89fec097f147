"""hpool beside its peers and beside the limit, in one run.

    python benchmarks/scorecard.py [--rounds 21] [--cases get,get-tls] [--peers ...]

Writes scorecard.json (every round) and scorecard.rst into benchmarks/results/. See
benchmarks/README.rst.
"""

import argparse
import os
import sys
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.peers import Task  # noqa: E402
from benchmarks.score import instructions, report, servers  # noqa: E402
from benchmarks.score.cases import ALL, CASES, Case  # noqa: E402
from benchmarks.score.limits import Limits  # noqa: E402
from benchmarks.score.machine import about  # noqa: E402
from benchmarks.score.memory import MEMORY, Memory, grown  # noqa: E402
from benchmarks.score.peers import Peers, module_of  # noqa: E402
from benchmarks.score.rounds import Pace, Times, run  # noqa: E402

INSTRUCTIONS = "instructions"


def task_of(case: Case, running: servers.Servers) -> Task:
    content = servers.content_of(case)
    return Task(
        does=case.does,
        url=running.url(case.server) + case.path,
        size=case.size,
        crc=zlib.crc32(content),
        ca=running.ca_of(case),
        count=case.count,
        anew=case.anew,
        addresses=case.addresses,
        upload=running.upload_of(case),
    )


def commands(
    case: Case, running: servers.Servers, limits: Limits, peers: Peers
) -> dict[str, list[str]]:
    """In the order of asking."""
    task = task_of(case, running)
    found = {"limit": limits.command(case, task)} if case.limit else {}
    for name in case.peers:
        if module_of(name) in peers.versions:
            found[name] = peers.command(name, task)
    return found


def pace_of(case: Case, chosen: argparse.Namespace) -> Pace:
    if chosen.quick:
        return Pace(1, 1, 0, 1)
    return Pace(chosen.rounds, case.slices, case.slice_ms, case.turns_max)


def run_cases(
    cases: list[Case], peers: Peers, placement: str, chosen: argparse.Namespace
) -> dict[str, Times]:
    cores = servers.cores_for(placement)
    if cores is None:
        return {}
    with servers.started(cases) as running:
        limits = Limits(running)
        servers.place(running.pids(), {cores[0]})
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cores[1]})
        try:
            found = {}
            for case in cases:
                print(f"{placement}: {case.name}", file=sys.stderr, flush=True)
                who = commands(case, running, limits, peers)
                found[case.name] = run(who, case.size, pace_of(case, chosen))
            return found
        finally:
            os.sched_setaffinity(0, before)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--cases", help="only these, by name, with commas between")
    parser.add_argument("--peers", help="only these beside the limit and hpool")
    parser.add_argument("--one-core", action="store_true", help="not across cores")
    parser.add_argument(
        "--quick", action="store_true", help="one round of one turn: does it run?"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def chosen_cases(chosen: argparse.Namespace) -> tuple[list[Case], list[Memory], bool]:
    """The cases in time, those in memory, and whether instructions are counted."""
    memories = {memory.case.name: memory for memory in MEMORY}
    known = [*(case.name for case in CASES), *memories, INSTRUCTIONS]
    names = chosen.cases.split(",") if chosen.cases else known
    if unknown := set(names) - set(known):
        raise SystemExit(f"no such case: {', '.join(unknown)}; there are {known}")
    cases = [case for case in CASES if case.name in names]
    wanted = [memory for name, memory in memories.items() if name in names]
    if chosen.quick:
        cases = [case.small() for case in cases]
        wanted = [memory.small() for memory in wanted]
    return cases, wanted, INSTRUCTIONS in names and not chosen.quick


def wanted_peers(cases: list[Case], names: str | None) -> list[str]:
    every = {module_of(name): None for case in cases for name in case.peers}
    if names is None:
        return list(every)
    wanted = {"hpool", "bare", *names.split(",")}
    if unknown := wanted - {"bare", *ALL}:
        raise SystemExit(f"no such peer: {', '.join(unknown)}; there are {ALL}")
    return [name for name in every if name in wanted]


def measure(chosen: argparse.Namespace, cases: list[Case]) -> report.Result:
    names = wanted_peers(cases, chosen.peers)
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(names, Path(folder))
        result = report.Result(about(), chosen.rounds, peers.versions, peers.missing)
        for placement in ("one core", "two cores"):
            if placement == "one core" or not chosen.one_core:
                times = run_cases(cases, peers, placement, chosen)
                result.times[placement] = times
    return result


def measure_memory(
    result: report.Result, wanted: list[Memory], chosen: argparse.Namespace
) -> None:
    names = wanted_peers([memory.case for memory in wanted], chosen.peers)
    cases = [memory.case for memory in wanted]
    with servers.started(cases) as running, tempfile.TemporaryDirectory() as folder:
        peers, limits = Peers(names, Path(folder)), Limits(running)
        for memory in wanted:
            print(memory.case.name, file=sys.stderr, flush=True)
            task = task_of(memory.case, running)
            rounds = 1 if chosen.quick else 3
            found = grown(memory, task, limits, peers, rounds)
            result.memory[memory.case.name] = found


def count_instructions(result: report.Result) -> None:
    """The first case's, which is the kept GET."""
    case = CASES[0]
    with servers.started([case]) as running, tempfile.TemporaryDirectory() as folder:
        command = Peers([], Path(folder)).command("hpool", task_of(case, running))
        result.instructions["a Python process"] = instructions.of_process(command)
    result.instructions["the C core alone"] = instructions.of_core()


def main() -> None:
    chosen = options()
    cases, memories, counted = chosen_cases(chosen)
    result = measure(chosen, cases)
    if memories:
        measure_memory(result, memories, chosen)
    if counted and instructions.available():
        count_instructions(result)
    chosen.out.mkdir(parents=True, exist_ok=True)
    result.dump(chosen.out / "scorecard.json")
    text = report.page(cases, result)
    (chosen.out / "scorecard.rst").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
