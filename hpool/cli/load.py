"""Requests from many threads through one client, counted as they end."""

from __future__ import annotations

import itertools
import threading
import time

import hpool

from .histogram import Histogram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

_PIECE = 1 << 16
_PAUSE = 0.01  # seconds a thread waits after an error: no storm of refusals
_GRACE = 1.0  # seconds that requests under way have when the time is over


class Tally:
    """What came of the requests that have ended.

    answers    with a whole body, or closed unread on purpose
    bytes      of bodies, as far as they were read
    statuses   answers by status code
    errors     by class name; `examples` has the first text of each
    latencies  of the answers, from the start of the call (from the moment it
               was due, if there is a rate) to the end of the body
    """

    __slots__ = (
        "answers",
        "bytes",
        "statuses",
        "errors",
        "examples",
        "latencies",
    )

    def __init__(self) -> None:
        self.answers = 0
        self.bytes = 0
        self.statuses: dict[int, int] = {}
        self.errors: dict[str, int] = {}
        self.examples: dict[str, str] = {}
        self.latencies = Histogram()

    @property
    def failures(self) -> int:
        return sum(self.errors.values())

    @property
    def requests(self) -> int:
        return self.answers + self.failures

    def answered(self, status: int, seconds: float) -> None:
        self.answers += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.latencies.record(seconds)

    def failed(self, error: Exception) -> None:
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1
        self.examples.setdefault(name, str(error))

    def copy(self) -> Tally:
        same = Tally()
        same.answers = self.answers
        same.bytes = self.bytes
        same.statuses = dict(self.statuses)
        same.errors = dict(self.errors)
        same.examples = dict(self.examples)
        same.latencies = self.latencies.copy()
        return same


class Load:
    """GET requests for `urls`, in turn, from `threads` threads.

    Ends after `total` requests or `seconds`, whichever is first, or when told;
    `rate` spaces the requests: so many a second in all. With `read_bodies`
    False each answer is closed with its body unread. `on_end` is called in
    one of the threads when the last of them is done.

    The first request goes alone until the head of its answer has come. When
    none comes there is nobody to put a load on: the load ends, and
    `unreachable` is the error.

    `urls total threads` are as given (`threads` not above `total`). As a
    context manager it starts, and is cancelled at the end of the block.
    """

    def __init__(
        self,
        client: hpool.Client,
        urls: Sequence[str],
        *,
        threads: int,
        total: int | None = None,
        seconds: float | None = None,
        rate: float | None = None,
        read_bodies: bool = True,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.urls = urls
        self.total = total
        self.threads = threads if total is None else min(threads, total)
        self._client = client
        self._seconds = seconds
        self._rate = rate
        self._read_bodies = read_bodies
        self._on_end = on_end
        self._token = hpool.CancelToken()
        self._stopped = threading.Event()
        self._ended = threading.Event()
        # Held for a few statements: the counts and who still runs.
        self._lock = threading.Lock()
        self._tally = Tally()
        self._issued = itertools.count()
        self._running = 0
        self._begun = 0.0
        self._end: float | None = None
        self._reached = False
        self.unreachable: Exception | None = None

    # -- for whoever watches

    def start(self) -> None:
        """Returns at once."""
        self._begun = time.monotonic()
        self._spawn(self._lead)

    def stop(self) -> None:
        """No further request; those under way go on to their end."""
        self._stopped.set()

    def cancel(self) -> None:
        """Ends the requests under way, too. They count nowhere."""
        self._stopped.set()
        self._token.cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Until all threads are done; False when that takes longer."""
        return self._ended.wait(seconds)

    def tally(self) -> Tally:
        """A copy of the counts as they are now."""
        with self._lock:
            return self._tally.copy()

    @property
    def elapsed(self) -> float:
        """Seconds since the start, until the end of the last request."""
        end = self._end
        return (time.monotonic() if end is None else end) - self._begun

    @property
    def overdue(self) -> bool:
        """The time is over, and requests under way do not end."""
        limit = self._seconds
        return limit is not None and self.elapsed > limit + _GRACE

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()
        self.wait()

    # -- the threads

    def _spawn(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._running += 1
        try:
            threading.Thread(
                target=self._run, args=(work,), name="hpool-load", daemon=True
            ).start()
        except RuntimeError:  # the system has no more threads for us
            with self._lock:
                self._running -= 1
            raise

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._running -= 1
                last = not self._running
            if last:
                self._end = time.monotonic()
                self._ended.set()
                self._on_end()

    def _lead(self) -> None:
        turn = self._next_turn()
        if turn is None:
            return
        error = self._request(*turn, bytearray(_PIECE))
        if error is None or self._reached:
            self._work()
        else:
            self.unreachable = error

    def _first_answer(self) -> None:
        """The head of the first answer has come: the other threads begin."""
        self._reached = True
        try:
            for _ in range(self.threads - 1):
                self._spawn(self._work)
        except RuntimeError as exc:
            with self._lock:
                self._tally.failed(exc)

    def _work(self) -> None:
        buffer = bytearray(_PIECE)
        while (turn := self._next_turn()) is not None:
            number, due = turn
            error = self._request(number, due, buffer)
            if error is not None:
                self._stopped.wait(_PAUSE)

    def _next_turn(self) -> tuple[int, float] | None:
        """The number of the next request to make, and since when it is due.
        None when there is no more to do."""
        if self._stopped.is_set():
            return None
        with self._lock:
            number = next(self._issued)
        if self.total is not None and number >= self.total:
            return None
        now = time.monotonic()
        due = now if self._rate is None else self._begun + number / self._rate
        limit = self._seconds
        if limit is not None and max(now, due) - self._begun >= limit:
            return None
        if due > now and self._stopped.wait(due - now):
            return None
        return number, due

    def _request(
        self, number: int, due: float, buffer: bytearray
    ) -> Exception | None:
        """Makes it and counts it. Gives back its error."""
        try:
            status = self._fetch(self.urls[number % len(self.urls)], buffer)
        except hpool.Cancelled:  # our own token: there is no other
            return None
        except Exception as exc:
            with self._lock:
                self._tally.failed(exc)
            return exc
        with self._lock:
            self._tally.answered(status, time.monotonic() - due)
        return None

    def _fetch(self, url: str, buffer: bytearray) -> int:
        with self._client.get(url, cancel=self._token) as response:
            if not self._reached:
                self._first_answer()
            while self._read_bodies and (size := response.readinto(buffer)):
                with self._lock:
                    self._tally.bytes += size
            return response.status_code
