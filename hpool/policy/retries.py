"""Whether a request is made again, and when: the rules of a Retries."""

from __future__ import annotations

import random
import time
import weakref
from collections import deque

from .. import _core
from .._records import Attempt
from .._redact import url_for_text
from .._retries import Retries
from ..errors import (
    ConnectError,
    ConnectTimeout,
    LocalProtocolError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadError,
    ReadTimeout,
    RequestException,
    RetryError,
    SSLError,
    UnrewindableBodyError,
    WriteError,
    WriteTimeout,
)
from .lock import lock
from .redirects import origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import PreparedRequest

# Answers that say when to come again (RFC 9110, 10.2.3).
_ASKING = frozenset({413, 429, 503})

# Refusals that may pass (RFC 9110, 15.5.9; RFC 8470; RFC 6585).
_PASSING = frozenset({408, 425, 429})

# A mistake of ours does not go away, nor does a certificate get better.
_LASTING = (LocalProtocolError, SSLError, PoolTimeout)
_BEFORE_SENDING = (ConnectError, ConnectTimeout, ProxyError)
_ON_THE_WAY = (ReadError, ReadTimeout, WriteError, WriteTimeout, ProtocolError)


class Attempts:
    """The attempts of one call.

    client      whose budget it is
    retries     the rules
    idempotent  what the call says; None: what its method says
    ends        when the time of the call is over, on _core._clock(); None:
                never
    """

    def __init__(
        self,
        client: object,
        retries: Retries,
        idempotent: bool | None = None,
        ends: int | None = None,
    ) -> None:
        self.made: list[Attempt] = []
        self._retries = retries
        self._idempotent = idempotent
        self._ends = ends
        self._left = retries.total
        self._left_of = {
            "connect": retries.connect,
            "read": retries.read,
            "status": retries.status,
        }
        self._failed = 0  # in a row
        self._client = client
        self._reason: str | None = None
        self._window = Window()

    def begin(self, request: PreparedRequest) -> None:
        """A request of the call is made: the first attempt of it."""
        self._failed = 0
        self._window = window_of(self._client, request.url)
        self._window.request()

    def decide(
        self,
        request: PreparedRequest,
        response: Any = None,
        error: RequestException | None = None,
    ) -> float | None:
        """After an attempt, which ended with `response` or `error`: seconds
        to wait before the next one, or None when there is to be none.

        UnrewindableBodyError when only its body keeps a request from being
        made again, RetryError when the Retries says so.
        """
        kind = self._reason = self._kind(request, response, error)
        wait = None
        why_not = ""
        if kind is not None:
            wait, why_not = self._next(kind, response)
        if wait is not None:
            self._check_body(request, response, error)
        status = None if response is None else response.status_code
        made = Attempt(request.method, request.url, status, error, wait)
        self.made.append(made)
        if wait is None:
            self._give_up(kind, why_not, response, error)
        return wait

    def event(
        self, request: PreparedRequest, number: int, conn: int
    ) -> dict[str, Any]:
        """What a trace handler is told before the next attempt; the numbers
        are those of the one that has ended."""
        _, host, port = origin(request.url)
        host = f"[{host}]" if ":" in host else host
        return {
            "event": "retry",
            "time": _core._clock() / 1e9,
            "request": number,
            "conn": conn,
            "host": f"{host}:{port}",
            "method": request.method,
            "url": url_for_text(request.url).partition("?")[0],
            "reason": self._reason,
            "attempt": len(self.made) + 1,
            "wait": self.made[-1].wait,
        }

    # -- what has happened

    def _kind(
        self, request: PreparedRequest, response: Any, error: Any
    ) -> str | None:
        """"connect", "read" or "status", None for what is not repeated."""
        if error is None:
            return "status" if self._is_repeated(request, response) else None
        if isinstance(error, _LASTING) or _is_refusal(error):
            return None
        if isinstance(error, _BEFORE_SENDING):
            return "connect"
        if isinstance(error, _ON_THE_WAY) and self._is_allowed(request):
            return "read"
        return None

    def _is_repeated(self, request: PreparedRequest, response: Any) -> bool:
        status = response.status_code
        asks = (
            self._retries.respect_retry_after
            and status in _ASKING
            and "Retry-After" in response.headers
        )
        listed = status in self._retries.status_forcelist
        return (asks or listed) and self._is_allowed(request)

    def _is_allowed(self, request: PreparedRequest) -> bool:
        methods = self._retries.allowed_methods
        if self._idempotent is not None:
            return self._idempotent
        return (
            methods is None
            or request.method.upper() in methods
            or "Idempotency-Key" in request.headers
            or "X-Idempotency-Key" in request.headers
        )

    # -- whether there is a next one, and when

    def _next(self, kind: str, response: Any) -> tuple[float | None, str]:
        """(seconds to wait, or None; then why)."""
        if not self._count(kind):
            return None, ""
        self._failed += 1
        wait = self._wait(response)
        if wait is None:
            return None, "Retry-After is longer than backoff_max"
        if self._ends is not None and (
            _core._clock() + int(wait * 1e9) >= self._ends
        ):
            return None, "the time left is less than the wait"
        if not self._window.retry(self._retries.budget):
            return None, "the budget for retries is spent"
        return wait, ""

    def _count(self, kind: str) -> bool:
        of_kind = self._left_of[kind]
        if of_kind is None:
            of_kind = 0 if self._left is None else self._left
        else:
            self._left_of[kind] = max(0, of_kind - 1)
        if of_kind <= 0 or (self._left is not None and self._left <= 0):
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def _wait(self, response: Any) -> float | None:
        asked = self._retry_after(response)
        if asked:
            return asked if asked <= self._retries.backoff_max else None
        if self._failed < 2:
            return 0.0  # most of what fails works at once the second time
        factor, most = self._retries.backoff_factor, self._retries.backoff_max
        # The exponent is bounded as floats are.
        wait = min(most, factor * 2.0 ** min(self._failed - 1, 1000))
        return wait * (1.0 - self._retries.jitter * random.random())

    def _retry_after(self, response: Any) -> float | None:
        if response is None or not self._retries.respect_retry_after:
            return None
        values = response.headers.get_list("Retry-After")
        return seconds_until(values[0]) if values else None

    # -- what becomes of the request

    def _check_body(
        self, request: PreparedRequest, response: Any, error: Any
    ) -> None:
        if request._can_rewind():
            return
        what = error if response is None else f"status {response.status_code}"
        raise UnrewindableBodyError(
            "the request cannot be made again, since its body is an iterator "
            "or a file that cannot seek; give bytes, or retries=0. It failed "
            f"with: {what}",
            request=request,
            response=response,
        ) from error

    def _give_up(
        self, kind: str | None, why_not: str, response: Any, error: Any
    ) -> None:
        said = _story(len(self.made), why_not)
        if error is not None:
            error.attempts += sum(
                attempt.error.attempts if attempt.error is not None else 1
                for attempt in self.made[:-1]
            )
            if said and error.args:
                error.args = (f"{error.args[0]} ({said})", *error.args[1:])
        elif kind == "status" and self._retries.raise_on_status:
            status = response.status_code
            raise RetryError(
                f"the answer is {status} ({said or 'tried once'})",
                request=response.request,
                response=response,
                attempts=len(self.made),
            )


def _is_refusal(error: RequestException) -> bool:
    """The proxy has said no to the tunnel (403, 407 ...), and will again: wrong
    credentials that are repeated lock an account."""
    status = getattr(error, "status", None)
    return (
        isinstance(error, ProxyError)
        and status is not None
        and 400 <= status < 500
        and status not in _PASSING
    )


def _story(attempts: int, why_not: str) -> str:
    """What the text of an error says: "tried 3 times; the budget ..."."""
    tried = f"tried {attempts} times" if attempts > 1 else ""
    why = f"not tried again: {why_not}" if why_not else ""
    return "; ".join(part for part in (tried, why) if part)


def seconds_until(value: str) -> float | None:
    """Seconds from now that a Retry-After means, at least 0; None for one
    that means nothing."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value) if len(value) < 12 else 1e12
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, at - time.time())


# ---- the budget --------------------------------------------------------------

_SECOND = 1_000_000_000  # of _core._clock()
_SPAN = 10  # seconds a request counts
_FREE = 10  # retries in that time that need no budget


class Window:
    """Requests and retries of the last 10 seconds. Any thread."""

    def __init__(self) -> None:
        # (second, requests, retries), the oldest first
        self._seconds: deque[list[int]] = deque()

    def request(self) -> None:
        """One more request is made."""
        with lock:
            self._now()[1] += 1

    def retry(self, budget: float | None) -> bool:
        """Whether there may be one more retry, which then counts."""
        with lock:
            now = self._now()
            requests = sum(second[1] for second in self._seconds)
            retries = sum(second[2] for second in self._seconds)
            may = budget is None or (
                retries < _FREE or retries + 1 <= budget * requests
            )
            now[2] += may
            return may

    def _now(self) -> list[int]:
        second = _core._clock() // _SECOND
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append([second, 0, 0])
        self._forget(second)
        return self._seconds[-1]

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - _SPAN:
            self._seconds.popleft()

    def is_idle(self, second: int) -> bool:
        """Whether nothing has happened for that long."""
        self._forget(second)
        return not self._seconds


class _Windows:
    """Those of a client, by origin."""

    def __init__(self) -> None:
        self._by_origin: dict[object, Window] = {}
        self._tidy_at = 256

    def get(self, where: object) -> Window:
        window = self._by_origin.get(where)
        if window is None:
            window = self._by_origin[where] = Window()
            if len(self._by_origin) > self._tidy_at:
                self._tidy(where)
        return window

    def _tidy(self, new: object) -> None:
        now = _core._clock() // _SECOND
        for where, window in list(self._by_origin.items()):
            if where != new and window.is_idle(now):
                del self._by_origin[where]
        self._tidy_at = max(256, 2 * len(self._by_origin))


_of_clients: weakref.WeakKeyDictionary[object, _Windows]
_of_clients = weakref.WeakKeyDictionary()


def window_of(client: object, url: str) -> Window:
    """The window of a client's requests to the origin of `url`."""
    with lock:
        windows = _of_clients.get(client)
        if windows is None:
            windows = _of_clients[client] = _Windows()
        return windows.get(origin(url))
