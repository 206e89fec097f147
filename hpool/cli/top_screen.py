"""The terminal as `top` uses it: a screen of its own, and no echo of keys."""

from __future__ import annotations

import os
import sys
import termios
from contextlib import ExitStack, contextmanager

from rich.console import Console, ConsoleDimensions, Group
from rich.control import Control
from rich.screen import Screen as FullScreen

from .top_view import frame, glyphs_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from .top_history import View


class Screen:
    """In its block the terminal shows views; afterwards it is as before."""

    def __init__(self) -> None:
        self._console = Console()
        self._glyphs = glyphs_for(self._console.encoding)
        self._until_exit = ExitStack()

    def __enter__(self) -> Screen:
        with ExitStack() as stack:
            stack.enter_context(_no_echo())
            stack.enter_context(self._console.screen())
            self._until_exit = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._until_exit.close()

    def show(self, view: View) -> None:
        """In the size that the terminal has now."""
        self._console.size = size = _size()
        shown = frame(view, *size, self._glyphs)
        # Every cell is written anew, so nothing of the last one stays.
        self._console.print(Group(Control.home(), FullScreen(shown)), end="")


def _size() -> ConsoleDimensions:
    # Asked from the terminal itself: COLUMNS, which rich would believe, does
    # not change when a window does.
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return ConsoleDimensions(columns or 80, rows or 24)


@contextmanager
def _no_echo() -> Iterator[None]:
    """What is typed does not appear, and is gone at the end."""
    if not sys.stdin.isatty():
        yield
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    silent = termios.tcgetattr(keyboard)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(keyboard, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSAFLUSH, before)
