"""The scorecard as pictures: who takes how many times the limit's time, and how far
hpool is from each goal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.score.cases import Case
from benchmarks.score.report import Verdict, title, verdicts
from benchmarks.score.rounds import Times, ratios, spread

SHOWN = ("get", "call", "get-tls", "100MB-content", "connect", "client-tls")
OURS, OTHERS, LIMIT, MISSED = "#1f6feb", "#b6bcc6", "#57606a", "#d1242f"
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "hpool",  # the same figures make the same file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def available() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def save(figure: Any, path: Path) -> None:
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})


def draw(cases: Sequence[Case], times: dict[str, Times], folder: Path) -> None:
    """peers.svg and goals.svg."""
    import matplotlib

    matplotlib.use("agg")
    with matplotlib.rc_context(SETTINGS):
        save(peers(cases, times), folder / "peers.svg")
        save(goals(cases, times), folder / "goals.svg")


# ---- peers -----------------------------------------------------------------------


def peers(cases: Sequence[Case], times: dict[str, Times]) -> Any:
    from matplotlib.figure import Figure

    shown = [case for case in cases if case.name in SHOWN and case.name in times]
    rows = -(-len(shown) // 2) or 1
    figure = Figure(figsize=(10, 3 * rows), layout="constrained")
    grid = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axes, case in zip(grid, shown):
        bars(axes, case, times[case.name])
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    return figure


def colour(peer: str) -> str:
    if peer == "limit":
        return LIMIT
    return OURS if peer.startswith("hpool") else OTHERS


def bars(axes: Any, case: Case, times: Times) -> None:
    """Fastest on top, with the middle half of the rounds."""
    found = {peer: spread(ratios(v, times[case.base])) for peer, v in times.items()}
    order = sorted(found, key=lambda peer: -found[peer].median)
    medians = [found[peer].median for peer in order]
    lows = [found[peer].median - found[peer].low for peer in order]
    highs = [found[peer].high - found[peer].median for peer in order]
    axes.barh(
        [title(peer) for peer in order],
        medians,
        xerr=[lows, highs],
        color=[colour(peer) for peer in order],
        error_kw={"elinewidth": 0.8},
    )
    for place, (median, high) in enumerate(zip(medians, highs)):
        axes.text(median + high, place, f"  {median:.3g}", va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(min(0.7, *medians), max(medians) * 3)
    axes.set_title(f"{case.title}: times of {title(case.base)}", fontsize=9)


# ---- goals -----------------------------------------------------------------------


def distance(verdict: Verdict) -> float:
    """Up to 1 is met; what is far better is drawn at 0.01."""
    value, figure = verdict.value.median, verdict.goal.figure
    far = value / figure if verdict.goal.how == "at most" else figure / value
    return max(far, 0.01)


def label(case: Case, verdict: Verdict) -> str:
    goal = verdict.goal
    over = f" / {title(goal.over)}" if goal.over else ""
    return f"{case.title}: {title(goal.of)}{over} {goal.how} {goal.figure:g}{goal.unit}"


def goals(cases: Sequence[Case], times: dict[str, Times]) -> Any:
    from matplotlib.figure import Figure

    found = [
        (label(case, verdict), distance(verdict))
        for case in reversed(cases)
        if case.name in times
        for verdict in verdicts(case, times[case.name])
    ]
    figure = Figure(figsize=(10, 0.8 + 0.22 * len(found)), layout="constrained")
    axes = figure.subplots()
    places = range(len(found))
    distances = [far for _, far in found]
    axes.scatter(
        distances, places, color=[OURS if x <= 1 else MISSED for x in distances]
    )
    axes.axvline(1, color=LIMIT, linewidth=0.8)
    axes.set_yticks(places, [text for text, _ in found], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("of what is allowed; left of the line the goal is met")
    return figure
