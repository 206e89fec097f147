"""A load that runs, and a line that says how far it is."""

from __future__ import annotations

import sys

from . import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .load import Load
    from .notices import Notices

_LOOK = 0.25  # seconds between two looks at how far it is


def until_done(load: Load, notices: Notices) -> str:
    """The word that ended it."""
    while (word := notices.take(_LOOK)) is None:
        if load.overdue:
            load.cancel()
        _show_progress(_progress(load))
    _show_progress("")
    return word


def _show_progress(text: str) -> None:
    """In place of what it showed before; on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def _progress(load: Load) -> str:
    of = "" if load.total is None else f" of {load.total:,}"
    made = load.tally().requests
    return f"{made:,}{of} requests, {report.show_duration(load.elapsed)}"
