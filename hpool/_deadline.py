"""`with hpool.deadline(seconds):` bounds every request made inside."""

from __future__ import annotations

from contextvars import ContextVar

from . import _core
from .config import _number
from .errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

# Which blocks the running code is in. A deadline shared by threads or tasks is
# entered once in each, and has to be left there by the token made there.
_entered: ContextVar[tuple[tuple[deadline, Token[int]], ...]] = ContextVar(
    "hpool_deadlines_entered", default=()
)

_NEVER = 2**63 - 1


class deadline:
    """A time by which every request made inside must have ended.

    seconds: from entering the block on, above zero. The requests share it,
    bodies included; one that runs over ends with TotalTimeout in whatever
    phase it is. Nested deadlines only shorten. It is a context variable:
    coroutines and `contextvars.copy_context()` inherit it, new threads do not.
    One object may be entered again inside itself, and by any number of threads.

    >>> with deadline(2.0):                             # doctest: +SKIP
    ...     client.get(url_a), client.get(url_b)
    """

    __slots__ = ("_seconds",)

    def __init__(self, seconds: float) -> None:
        takes = "seconds above zero"
        number = _number("deadline", seconds, takes)
        if number <= 0:
            raise InvalidArgument(f"deadline takes {takes}, not {seconds!r}")
        self._seconds = number

    def __enter__(self) -> deadline:
        ends = _core._clock() + int(min(self._seconds, _NEVER / 1e9) * 1e9)
        ends = min(ends, _NEVER)
        outer = _core._deadline_var.get(None)
        if outer is not None:
            ends = min(ends, outer)
        token = _core._deadline_var.set(ends)
        _entered.set((*_entered.get(), (self, token)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        blocks = _entered.get()
        i = max(i for i, (block, _) in enumerate(blocks) if block is self)
        _entered.set(blocks[:i] + blocks[i + 1 :])
        _core._deadline_var.reset(blocks[i][1])

    def __repr__(self) -> str:
        return f"deadline({self._seconds!r})"
