"""`python -m hpool doctor URL`: a load, and what the pool says about it."""

from __future__ import annotations

import json

from . import report
from .load_options import running_load
from .notices import STATUSES
from .running import until_done

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    import hpool

    from .._advice import Advice
    from .load import Load

def run_doctor(arguments: argparse.Namespace) -> int:
    """0: nothing found; 1: a problem, or requests that failed; 130:
    interrupted, with what there was. CommandError when nobody answers."""
    with running_load(arguments) as (load, client, notices):
        word = until_done(load, notices)
        # Before an interrupted load is cancelled, and closes things.
        stats, advice = client.stats(), client.advise()
    status = STATUSES.get(word) or _verdict(load, advice)
    if arguments.json:
        _print_json(load, stats, advice, status)
    else:
        _print_text(load, stats, advice, is_cut=word in STATUSES)
    return status


def _print_json(
    load: Load, stats: hpool.Stats, advice: list[Advice], status: int
) -> None:
    found = {
        "load": report.load_data(load),
        "stats": report.plain_data(stats),
        "advice": [report.plain_data(item) for item in advice],
        "status": status,
    }
    print(json.dumps(found, indent=2))


def _print_text(
    load: Load, stats: hpool.Stats, advice: list[Advice], is_cut: bool
) -> None:
    for line in report.summary(load, stats.total, is_cut):
        print(line)
    print(f"\n{stats}\n")
    for line in report.advice_text(advice):
        print(line)


def _verdict(load: Load, advice: list[Advice]) -> int:
    problem = any(item.severity == "problem" for item in advice)
    return 1 if problem or load.tally().failures else 0
