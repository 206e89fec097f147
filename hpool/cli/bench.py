"""`python -m hpool bench URL`: a load, its rate and its latencies."""

from __future__ import annotations

import json

from . import report
from .load_options import running_load
from .notices import STATUSES
from .running import until_done

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .histogram import Histogram

_SHARES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_BAR = 40  # columns for the longest latency


def run_bench(arguments: argparse.Namespace) -> int:
    """0; 1: requests that failed; 130: interrupted, with what there was.
    CommandError when nobody answers."""
    with running_load(arguments) as (load, client, notices):
        word = until_done(load, notices)
        total = client.stats().total
    if arguments.json:
        print(json.dumps(report.load_data(load), indent=2))
    else:
        for line in report.summary(load, total, word in STATUSES):
            print(line)
        for line in spread(load.tally().latencies):
            print(line)
    return STATUSES.get(word, int(load.tally().failures > 0))


def spread(latencies: Histogram) -> Iterator[str]:
    """How long the faster part of all requests took at most, as bars."""
    longest = latencies.longest
    if not longest:
        return
    yield ""
    rows = [(f"{p:.1%}", latencies.percentile(p)) for p in _SHARES]
    for share, seconds in [*rows, ("100.0%", longest)]:
        bar = "#" * round(_BAR * (seconds or 0) / longest)
        yield f"{share:>7} within {report.show_duration(seconds):>9}  {bar}"
