"""`with hpool.deadline(seconds):` bounds every request made inside."""

from __future__ import annotations

from . import _core
from .config import _number
from .errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType


class deadline:
    """A time by which every request made inside must have ended.

    seconds: from entering the block on, above zero. The requests share it,
    bodies included; one that runs over ends with TotalTimeout in whatever
    phase it is. Nested deadlines only shorten. It is a context variable:
    coroutines and `contextvars.copy_context()` inherit it, new threads do not.

    >>> with deadline(2.0):                             # doctest: +SKIP
    ...     client.get(url_a), client.get(url_b)
    """

    __slots__ = ("_seconds", "_tokens")

    def __init__(self, seconds: float) -> None:
        takes = "seconds above zero"
        number = _number("deadline", seconds, takes)
        if number <= 0:
            raise InvalidArgument(f"deadline takes {takes}, not {seconds!r}")
        self._seconds = number
        # A stack: one object may be entered again inside itself.
        self._tokens: list[Token[int]] = []

    def __enter__(self) -> deadline:
        ends = _core._clock() + int(self._seconds * 1e9)
        outer = _core._deadline_var.get(None)
        if outer is not None:
            ends = min(ends, outer)
        self._tokens.append(_core._deadline_var.set(ends))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _core._deadline_var.reset(self._tokens.pop())

    def __repr__(self) -> str:
        return f"deadline({self._seconds!r})"
