"""From the rounds to the table."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.score.cases import Case, Goal
from benchmarks.score.instructions import Cost
from benchmarks.score.memory import MEMORY
from benchmarks.score.rounds import Spread, Times, ratios, spread

TITLES = {
    "limit": "the limit",
    "bare": "Python alone",
    "raw": "Python's socket",
    "http_client": "http.client",
    "go": "Go",
}


@dataclass
class Result:
    """All that a run has found. `times` is by placement, case and peer."""

    machine: dict[str, str]
    rounds: int
    versions: dict[str, str]
    missing: list[str]
    times: dict[str, dict[str, Times]] = field(default_factory=dict)
    memory: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # kB
    instructions: dict[str, Cost] = field(default_factory=dict)

    def dump(self, path: Path) -> None:
        text = json.dumps(asdict(self), indent=1)
        # A line for the rounds of a peer, not one for each.
        text = re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", on_one_line, text)
        path.write_text(text + "\n")

    @classmethod
    def load(cls, path: Path) -> "Result":
        found = json.loads(path.read_text())
        costs = found.pop("instructions")
        kept = {name: Cost(**cost) for name, cost in costs.items()}
        return cls(**found, instructions=kept)


def on_one_line(numbers: re.Match[str]) -> str:
    rounded = (f"{float(number):.6g}" for number in numbers[1].split(","))
    return f"[{', '.join(rounded)}]"


@dataclass(frozen=True)
class Verdict:
    goal: Goal
    value: Spread  # of the ratio, or as the goal has it

    @property
    def met(self) -> bool:
        return self.goal.met(self.value.median)


def verdicts(case: Case, times: Times) -> Iterator[Verdict]:
    """Of the goals whose peers took part."""
    for goal in case.goals:
        if {goal.of, goal.over or goal.of} <= times.keys():
            yield Verdict(goal, spread(goal.values(times)))


# ---- text ------------------------------------------------------------------------


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An RST simple table."""
    every = [heading, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(heading))]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in every
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def scaled(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def times_of(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def middle_half(s: Spread) -> str:
    return f"{times_of(s.low)} to {times_of(s.high)}"


def title(peer: str) -> str:
    module, _, function = peer.partition(":")
    name = TITLES.get(module, module)
    return f"{name}, {function.replace('_', ' ')}" if function else name


def case_rows(case: Case, times: Times) -> list[list[str]]:
    """Each peer's time, and how many times the limit's it is; fastest first."""
    rows = []
    for peer, values in times.items():
        ratio = spread(ratios(values, times[case.base]))
        figure = [times_of(ratio.median), middle_half(ratio)]
        rows.append([title(peer), scaled(spread(values).median), *figure])
    return sorted(rows, key=lambda row: float(row[2]))


def case_table(case: Case, times: Times) -> str:
    of = "of the limit" if case.limit else f"of {title(case.base)}"
    return table(["who", "median", of, "middle half"], case_rows(case, times))


def goals_table(cases: Sequence[Case], times: dict[str, Times]) -> str:
    rows = []
    for case in cases:
        for verdict in verdicts(case, times.get(case.name, {})):
            goal, value = verdict.goal, verdict.value
            rows.append(
                [
                    case.title,
                    title(goal.of) + (f" / {title(goal.over)}" if goal.over else ""),
                    times_of(value.median) + goal.unit,
                    middle_half(value),
                    f"{goal.how} {goal.figure:g}{goal.unit}",
                    "met" if verdict.met else "missed",
                ]
            )
    return table(["case", "times of", "median", "middle half", "goal", ""], rows)


def machine_lines(result: Result) -> list[str]:
    versions = ", ".join(f"{name} {v}" for name, v in sorted(result.versions.items()))
    lines = [f":{name}: {value}" for name, value in result.machine.items()]
    lines += [f":peers: {versions}"]
    if result.missing:
        lines += [f":not installed: {', '.join(result.missing)}"]
    return lines


def heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def page(cases: Sequence[Case], result: Result) -> str:
    judged = result.times.get("one core", {})
    lines = [
        *heading("Scorecard", "="),
        "Server and clients on one core, rounds interleaved; a ratio is taken within each",
        f"round, and what is shown is the median of {result.rounds} rounds and its middle half.",
        "",
        *machine_lines(result),
        "",
    ]
    if any(case.goals and case.name in judged for case in cases):
        lines += [goals_table(cases, judged), ""]
    for case in cases:
        if case.name in judged:
            lines += heading(case.title, "-")
            lines += [case.note, ""] if case.note else []
            lines += [case_table(case, judged[case.name]), ""]
    if result.memory:
        lines += heading("Memory", "-")
        lines += [
            "kB that a process grows by: for each idle connection that has served a request;",
            "at most, while 1 GB is read by pieces.",
            "",
            memory_table(result.memory),
            "",
        ]
    if result.instructions:
        lines += heading("Instructions of a kept GET", "-")
        lines += [*instructions_lines(result.instructions), ""]
    across = result.times.get("two cores", {})
    if across:
        lines += heading("Across two cores", "-")
        lines += [
            "Client and server on a core each: shown, not judged. A wake-up from one core",
            "to another may cost more than all that is measured here.",
            "",
            across_table(cases, across),
            "",
        ]
    return "\n".join(lines)


def memory_table(found: dict[str, dict[str, list[float]]]) -> str:
    known = {memory.case.name: memory for memory in MEMORY}
    peers = dict.fromkeys(peer for case in found.values() for peer in case)
    rows = [
        [title(peer), *(kilobytes(case.get(peer)) for case in found.values())]
        for peer in peers
    ]
    goals = [f"at most {known[name].most:g}" for name in found]
    rows.append(["goal for hpool", *goals])
    return table(["kB", *(known[name].case.title for name in found)], rows)


def kilobytes(values: list[float] | None) -> str:
    return times_of(spread(values).median) if values else ""


def instructions_lines(costs: dict[str, Cost]) -> list[str]:
    parts = {name: {**cost.storeys, **cost.others} for name, cost in costs.items()}
    storeys = dict.fromkeys(name for cost in costs.values() for name in cost.storeys)
    others = dict.fromkeys(name for cost in costs.values() for name in cost.others)
    rows = [
        [place, *(str(part.get(place, "")) for part in parts.values())]
        for place in (*storeys, *others)
    ]
    rows.append(["of it hpool", *(str(cost.core) for cost in costs.values())])
    rows.append(["statistics", *(str(cost.statistics) for cost in costs.values())])
    rows.append(["tracing, off", *(str(cost.tracing) for cost in costs.values())])
    return [
        "By storey of the core, then by library; counted by callgrind.",
        "",
        table(["", *costs], rows),
    ]


def across_table(cases: Sequence[Case], times: dict[str, Any]) -> str:
    rows = [
        [case.title, *row]
        for case in cases
        if case.name in times
        for row in case_rows(case, times[case.name])
    ]
    return table(["case", "who", "median", "of the limit", "middle half"], rows)
