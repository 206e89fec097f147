"""A progress line on a terminal."""

from __future__ import annotations

import shutil
import sys
import time

from .._records import show_seconds

_EVERY = 0.1  # seconds between two looks at it


class Progress:
    """Counts bytes, and shows them in one line on stderr that is written over.

    total: bytes expected, None when unknown. Silent if `is_on` is False, and
    where stderr is no terminal. `done` is how many there were.
    """

    def __init__(self, total: int | None, is_on: bool = True) -> None:
        self.done = 0
        self._total = total
        self._begun = time.monotonic()
        self._next = self._begun + _EVERY
        self._shown = False
        self._is_on = is_on and sys.stderr.isatty()

    def add(self, count: int) -> None:
        """`count` more bytes have arrived."""
        self.done += count
        if self._is_on and time.monotonic() >= self._next:
            self._show()

    def end(self) -> None:
        """Leaves the last state on the screen, if there was time for any."""
        if self._shown:
            self._show()
            print(file=sys.stderr)

    def _show(self) -> None:
        now = time.monotonic()
        self._next = now + _EVERY
        self._shown = True
        columns = max(20, shutil.get_terminal_size().columns)
        line = progress_line(
            self.done, self._total, now - self._begun, columns - 1
        )
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def progress_line(
    done: int, total: int | None, seconds: float, width: int
) -> str:
    """What the line says, at most `width` characters.

    >>> progress_line(500_000, 1_000_000, 1.0, 60)
    '[############            ]  50 %  0.5 of 1.0 MB  500.0 kB/s'
    """
    rate = f"{show_bytes(done / max(seconds, 1e-6))}/s"
    if not total:
        return f"{show_bytes(done)}  {rate}  {show_seconds(seconds)}"[:width]
    share = min(1.0, done / total)
    unit, scale = _unit(total)
    digits = 0 if scale == 1 else 1
    shares = (f"{count / scale:.{digits}f}" for count in (done, total))
    amount = f"{' of '.join(shares)} {unit}"
    words = f"{share:4.0%}".replace("%", " %") + f"  {amount}  {rate}"
    room = width - len(words) - 4
    if room < 5:
        return words.strip()[:width]
    return f"[{'#' * round(room * share):<{room}}] {words}"


def show_bytes(count: float) -> str:
    """A size for a person: "812 B", "1.2 MB"."""
    unit, scale = _unit(count)
    return f"{count:.0f} B" if scale == 1 else f"{count / scale:.1f} {unit}"


def _unit(count: float) -> tuple[str, int]:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if count >= scale:
            return unit, scale
    return "B", 1
