"""`python -m hpool top URL`: a load, and the pool at work, live."""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib.util import find_spec

from . import report
from .load_options import running_load
from .notices import RESIZED, STATUSES, SUSPENDED
from .top_history import RECENT, History

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import hpool

    from .load import Load
    from .notices import Notices
    from .top_history import View

_SCREEN_INTERVAL = 0.25
_LINE_INTERVAL = 1.0


def run_top(arguments: argparse.Namespace) -> int:
    """0 at the end of the load, 130 after Ctrl-C. CommandError when nobody
    answers."""
    live = not arguments.plain and _can_show_screens()
    with running_load(arguments, screen=live) as (load, client, notices):
        watch = _Watch(load, client, notices, arguments.interval, live)
        word = watch.on_screen() if live else watch.in_lines()
        # Before an interrupted load is cancelled, and closes things.
        stats = client.stats()
    print()
    for line in report.summary(load, stats.total, word in STATUSES):
        print(line)
    print(f"\n{stats}")
    return STATUSES.get(word, 0)


def _can_show_screens() -> bool:
    if not sys.stdout.isatty() or os.environ.get("TERM") in (None, "dumb"):
        return False
    if find_spec("rich") is None:
        print(
            "hpool: the live view needs rich: pip install 'hpool[top]'\n"
            "hpool: a line per second instead",
            file=sys.stderr,
        )
        return False
    return True


class _Watch:
    """Looks at the load once an interval until it ends."""

    def __init__(
        self,
        load: Load,
        client: hpool.Client,
        notices: Notices,
        interval: float | None,
        live: bool,
    ) -> None:
        self._load = load
        self._client = client
        self._notices = notices
        usual = _SCREEN_INTERVAL if live else _LINE_INTERVAL
        self._interval = interval or usual
        limits = client.limits
        self._history = History(
            report.show_urls(load.urls),
            load.threads,
            limits.max_conns_per_host or limits.max_conns,
            RECENT if live else self._interval,
        )

    def in_lines(self) -> str:
        """Gives back the word that ended it."""
        from .top_lines import HEADS, line

        def show(view: View) -> None:
            print(line(view), flush=True)

        print(HEADS, flush=True)
        return self._until_word(show)

    def on_screen(self) -> str:
        """The same. While it is suspended the screen is the shell's."""
        from .top_screen import Screen

        while True:
            with Screen() as screen:
                screen.show(self._look())
                word = self._until_word(screen.show)
            if word != SUSPENDED:
                return word
            signal.raise_signal(signal.SIGSTOP)

    def _look(self) -> View:
        return self._history.add(
            self._load.elapsed, self._load.tally(), self._client.stats()
        )

    def _until_word(self, show: Callable[[View], None]) -> str:
        view = self._look()
        due = time.monotonic() + self._interval
        while True:
            word = self._notices.take(max(0.0, due - time.monotonic()))
            if word == RESIZED:
                show(view)
            elif word is not None:
                return word
            else:
                due = max(due + self._interval, time.monotonic())
                view = self._look()
                show(view)
                if self._load.overdue:
                    self._load.cancel()
