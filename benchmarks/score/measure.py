"""A run of the scorecard: starts the servers, asks everybody, keeps the answers."""

import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.peers import Task
from benchmarks.score import instructions, servers
from benchmarks.score.cases import CASES, Case
from benchmarks.score.limits import Limits, fold
from benchmarks.score.machine import about
from benchmarks.score.memory import Memory, grown
from benchmarks.score.peers import Peers, module_of
from benchmarks.score.report import Result
from benchmarks.score.rounds import Pace, run

PLACEMENTS = ("one core", "two cores")


def task_of(case: Case, running: servers.Servers) -> Task:
    return Task(
        does=case.does,
        url=running.url(case.server) + case.path,
        size=case.size,
        crc=zlib.crc32(servers.content_of(case)),
        ca=running.ca_of(case),
        count=case.count,
        anew=case.anew,
        addresses=case.addresses,
        upload=running.upload_of(case),
    )


def modules_of(cases: Iterable[Case]) -> list[str]:
    """In the order in which they come first."""
    return list(dict.fromkeys(module_of(name) for case in cases for name in case.peers))


class Run:
    """`result` is what was found; `save` is called whenever there is more of it.
    `peers` are the only ones that take part, if any are named."""

    def __init__(
        self,
        rounds: int,
        quick: bool,
        peers: set[str],
        save: Callable[[Result], None],
    ):
        self.rounds, self.quick, self.save = 1 if quick else rounds, quick, save
        self.wanted = peers
        self.result = Result(about(), self.rounds, versions={}, missing=[])

    @contextmanager
    def started(
        self, cases: Sequence[Case]
    ) -> Iterator[tuple[servers.Servers, Limits, Peers]]:
        names = modules_of(cases)
        if self.wanted:
            names = [name for name in names if name in self.wanted]
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            peers = Peers(names, Path(folder))
            self.result.versions |= peers.versions
            missing = dict.fromkeys([*self.result.missing, *peers.missing])
            self.result.missing = list(missing)
            running = stack.enter_context(servers.started(cases))
            yield running, Limits(running), peers

    def pace_of(self, case: Case, placement: str) -> Pace:
        if self.quick:
            return Pace(1, 1, 0, 1)
        # What is not judged is not asked as often.
        rounds = self.rounds if placement == PLACEMENTS[0] else -(-self.rounds // 3)
        return Pace(rounds, case.slices, case.slice_ms, case.turns_max)

    def times(self, cases: Sequence[Case], placement: str) -> None:
        cores = servers.cores_for(placement)
        if cores is None:
            return
        found = self.result.times.setdefault(placement, {})
        before = os.sched_getaffinity(0)
        with self.started(cases) as (running, limits, peers):
            servers.place(running.pids(), {cores[0]})
            os.sched_setaffinity(0, {cores[1]})
            try:
                for case in cases:
                    print(f"{placement}: {case.name}", file=sys.stderr, flush=True)
                    who = commands(case, running, limits, peers)
                    pace = self.pace_of(case, placement)
                    found[case.name] = fold(run(who, case.size, pace))
                    self.save(self.result)
            finally:
                os.sched_setaffinity(0, before)

    def memory(self, memories: Sequence[Memory]) -> None:
        cases = [memory.case for memory in memories]
        with self.started(cases) as (running, limits, peers):
            for memory in memories:
                name = memory.case.name
                print(name, file=sys.stderr, flush=True)
                task = task_of(memory.case, running)
                self.result.memory[name] = grown(memory, task, limits, peers)
                self.save(self.result)

    def instructions(self) -> None:
        """The first case's, which is the kept GET."""
        with self.started(CASES[:1]) as (running, _, peers):
            command = peers.command("hpool", task_of(CASES[0], running))
            cost = instructions.of_process(command)
        self.result.instructions["a Python process"] = cost
        self.result.instructions["the C core alone"] = instructions.of_core()
        self.save(self.result)


def commands(
    case: Case, running: servers.Servers, limits: Limits, peers: Peers
) -> dict[str, list[str]]:
    """In the order of asking."""
    task = task_of(case, running)
    found = limits.commands(case, task)
    for name in case.peers:
        if module_of(name) in peers.versions:
            found[name] = peers.command(name, task)
    return found
