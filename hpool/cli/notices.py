"""What a command waits for: signals and ends of work, as words in a queue."""

from __future__ import annotations

import queue
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

INTERRUPTED = "interrupted"  # Ctrl-C
TERMINATED = "terminated"
RESIZED = "resized"
SUSPENDED = "suspended"  # Ctrl-Z
ENDED = "ended"  # the load is done

_ALWAYS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
# Those that only a full screen has to know about.
_SCREEN = {signal.SIGWINCH: RESIZED, signal.SIGTSTP: SUSPENDED}
STATUSES = {
    INTERRUPTED: 128 + signal.SIGINT,
    TERMINATED: 128 + signal.SIGTERM,
}


class Notices:
    """In its block the main thread's signals interrupt nothing, wherever the
    program is: they wait here to be taken. A second Ctrl-C does interrupt."""

    def __init__(self, *, screen: bool = False) -> None:
        self._words = dict(_ALWAYS | _SCREEN if screen else _ALWAYS)
        self._before: dict[signal.Signals, Any] = {}
        # SimpleQueue, since a signal handler may come while put() or get()
        # is at work in the same thread.
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __enter__(self) -> Notices:
        for number in self._words:
            self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def put(self, word: str) -> None:
        """From any thread."""
        self._queue.put(word)

    def take(self, seconds: float | None = None) -> str | None:
        """The next word; None after `seconds` without any."""
        try:
            return self._queue.get(timeout=seconds)
        except queue.Empty:
            return None

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
        self._queue.put(self._words[signal.Signals(number)])
