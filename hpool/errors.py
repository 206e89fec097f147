"""Everything a request can raise: one tree, rooted in RequestException.

requests' names come first; httpx's are aliases where they mean the same.
Timeouts are also the builtin TimeoutError, connection failures the builtin
ConnectionError, wrong arguments ValueError or TypeError.

    RequestException(OSError)
      HTTPError                       a 4xx or 5xx answer, raise_for_status()
      RequestError                    there is no (whole) answer
        TransportError
          TimeoutException            ConnectTimeout ReadTimeout WriteTimeout
                                      PoolTimeout TotalTimeout
          ConnectionError             ConnectError NameResolutionError SSLError
                                      ProxyError ReadError WriteError
                                      ConnectTimeout ServerDisconnected
          ProtocolError               LocalProtocolError RemoteProtocolError
                                      ServerDisconnected ChunkedEncodingError
                                      IncompleteRead
          QueueFull
        ContentDecodingError  BodyTooLarge  TooManyRedirects  RetryError
      Cancelled  ClosedError  ConcurrentUse  ForkedError
      InvalidURL  MissingSchema  InvalidSchema  InvalidHeader  InvalidMethod
      InvalidArgument  CookieConflict  InvalidProxyURL  InvalidJSONError  JSONDecodeError
      StreamConsumedError  UnrewindableBodyError  URLRequired
"""

from __future__ import annotations

import builtins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._core import Headers, Response
    from ._jsonerror import JSONDecodeError as JSONDecodeError
    from ._records import Timings
    from .policy.request import PreparedRequest


class RequestException(OSError):
    """The root. `str()` is the message; the attributes say where it happened.

    request   what was asked for (method, url, headers, body), or None
    response  the answer as far as there is one, or None
    phase     "pool", "resolve", "connect", "proxy", "tls", "send", "head",
              "body" or None: how far the request had come
    timings   when each phase ended (hpool.Timings), or None
    attempts  how often the request was sent or begun, 1 without a replay
    host      the pool's key, e.g. "|http|example.com:80", or None
    reason    why the request, lost with its connection, was not sent again:
              "fresh_connection", "answer_begun", "stale_retries_off",
              "body_cannot_be_sent_again" or "not_idempotent"; else why the
              connection was given up, as in `Client.stats()`; or None

    Pickles with all of them; a response whose body has not been read does not
    travel and is None afterwards.
    """

    request: PreparedRequest | None
    response: Response | None
    phase: str | None
    timings: Timings | None
    attempts: int
    host: str | None
    reason: str | None
    _traced = (0, 0)  # request and connection, as its trace events call them

    def __init__(
        self,
        *args: object,
        request: Any = None,
        response: Any = None,
        phase: str | None = None,
        timings: Timings | None = None,
        attempts: int = 1,
        host: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(*args)
        if request is None and response is not None:
            request = getattr(response, "request", None)
        self.request = request
        self.response = response
        self.phase = phase
        self.timings = timings
        self.attempts = attempts
        self.host = host
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, _state(self)


def _state(error: RequestException) -> dict[str, Any]:
    """What __setstate__ puts back. Not in __dict__ is errno, which OSError
    restores only when args has it; a response that has not been read cannot
    be pickled."""
    state = dict(error.__dict__)
    if error.errno is not None:
        state["errno"] = error.errno
    response = error.response
    if response is not None:
        try:
            response.__reduce_ex__(4)
        except Exception:
            state["response"] = None
    return state


# ---- there is an answer, and it says no --------------------------------------


class HTTPError(RequestException):
    """A 4xx or 5xx answer, from `Response.raise_for_status()`."""


# ---- there is no answer, or not all of it ------------------------------------


class RequestError(RequestException):
    """The request did not come to a whole answer."""


class TransportError(RequestError):
    """Something failed between the caller and the server."""


class TimeoutException(TransportError, builtins.TimeoutError):
    """A time limit passed; `phase` says which part was under way.

    `hpool.exceptions.Timeout` is this class (`hpool.Timeout` holds settings).
    """


class ConnectionError(TransportError, builtins.ConnectionError):
    """The connection could not be made, or broke."""


class ConnectError(ConnectionError):
    """No connection: refused, unreachable, no more descriptors."""


class NameResolutionError(ConnectError):
    """The host's name could not be looked up."""


class SSLError(ConnectError):
    """The TLS handshake failed, or the TLS settings cannot be used."""


class ProxyError(ConnectionError):
    """The proxy could not be reached, failed, or refused; the text names it.

    status   of its answer to CONNECT, or None if there was none
    headers  those of that answer (hpool.Headers), or None
    """

    status: int | None
    headers: Headers | None

    def __init__(
        self,
        *args: object,
        status: int | None = None,
        headers: Headers | None = None,
        **where: Any,
    ) -> None:
        super().__init__(*args, **where)
        self.status = status
        self.headers = headers


class ReadError(ConnectionError):
    """The connection broke while the answer was read."""


class WriteError(ConnectionError):
    """The connection broke while the request was sent."""


class ConnectTimeout(ConnectionError, TimeoutException):
    """Look-up and dial (`connect`) or the handshake (`tls`) took too long.

    Nothing was sent, so the request may be made again.
    """


class ReadTimeout(TimeoutException):
    """The server was silent (`read`), slow with its head (`response_header`)
    or below `min_rate`."""


class WriteTimeout(TimeoutException):
    """The server took nothing of the request for `write` seconds."""


class _Shortage:
    """What a request that got no connection found.

    in_use, dialing, draining   connections under the limit that was reached,
                                by what they do
    waiting     requests in line, this one included if it was
    limit, limit_name   that limit, e.g. 2 and "max_conns_per_host"
    holder      who has had a connection for longest, and what for, e.g.
                "GET /x and its body is unread"; None if nobody has one
    held_for    ... and for how many seconds
    """

    in_use: int
    dialing: int
    draining: int
    waiting: int
    limit: int
    limit_name: str
    holder: str | None
    held_for: float | None

    def __init__(
        self,
        *args: object,
        in_use: int = 0,
        dialing: int = 0,
        draining: int = 0,
        waiting: int = 0,
        limit: int = 0,
        limit_name: str = "",
        holder: str | None = None,
        held_for: float | None = None,
        **where: Any,
    ) -> None:
        super().__init__(*args, **where)
        self.in_use = in_use
        self.dialing = dialing
        self.draining = draining
        self.waiting = waiting
        self.limit = limit
        self.limit_name = limit_name
        self.holder = holder
        self.held_for = held_for


class PoolTimeout(_Shortage, TimeoutException):
    """No connection became free within `pool` seconds.

    The message says how many are in use, which limit was hit, how many wait
    and who has held a connection for longest; so do the attributes `in_use
    dialing draining waiting limit limit_name holder held_for`.
    """


class TotalTimeout(TimeoutException):
    """`total` or an enclosing `hpool.deadline()` ran out, in any phase."""


class QueueFull(_Shortage, TransportError):
    """All connections are in use and `max_waiting` requests wait already.

    Says what PoolTimeout says, in words and attributes; `waiting` is all that
    wait, whatever for.
    """


class ProtocolError(TransportError):
    """One side broke the rules of HTTP."""


class LocalProtocolError(ProtocolError):
    """Our side did, e.g. with a body that is not as long as announced."""


class RemoteProtocolError(ProtocolError):
    """The server did: a malformed head or body."""


class ServerDisconnected(ConnectionError, RemoteProtocolError):
    """Closed by the server before the first byte of an answer, and not sent
    again because that was not safe."""


class ChunkedEncodingError(RemoteProtocolError):
    """The body's framing is malformed."""


class IncompleteRead(ChunkedEncodingError):
    """The body ended before its framing said so."""


class ContentDecodingError(RequestError):
    """The body is not what its Content-Encoding says."""


class BodyTooLarge(RequestError):
    """The body exceeds `max_size` or `max_decoded_size`."""


class TooManyRedirects(RequestError):
    """More than `max_redirects` in a row."""


class RetryError(RequestError):
    """All the retries failed."""


# ---- somebody changed their mind ---------------------------------------------


class Cancelled(RequestException):
    """A `CancelToken` ended the request."""


class ClosedError(RequestException, ValueError):
    """The client or the response has been closed."""


class ConcurrentUse(RequestException, RuntimeError):
    """Another thread is reading this response at this moment."""


class ForkedError(RequestException, RuntimeError):
    """The response belongs to the process this one was forked from."""


# ---- arguments ---------------------------------------------------------------


class InvalidArgument(RequestException, ValueError):
    """An argument has a value that means nothing; the message names it."""


class CookieConflict(RequestException, RuntimeError):
    """A name stands for several cookies; domain and path have to be said."""


class InvalidURL(RequestException, ValueError):
    """The URL cannot be used; the message says what is wrong with it."""


class URLRequired(RequestException):
    """A URL is needed."""


class MissingSchema(RequestException, ValueError):
    """The URL does not begin with http:// or https://."""


class InvalidSchema(RequestException, ValueError):
    """The URL begins with something else than http:// or https://."""


class InvalidProxyURL(InvalidURL):
    """The proxy's URL cannot be used."""


class InvalidHeader(RequestException, ValueError):
    """A header's name or value holds what must not be sent."""


class InvalidMethod(RequestException, ValueError):
    """The method is not a token."""


class InvalidJSONError(RequestException, ValueError):
    """`json=` cannot be encoded, e.g. because of a NaN in it."""


class StreamConsumedError(RequestException, TypeError, RuntimeError):
    """The body has been read already and was not kept."""


class UnrewindableBodyError(RequestException):
    """The request's body cannot be sent a second time."""


# ---- warnings ----------------------------------------------------------------


class HpoolWarning(Warning):
    """The root of hpool's warnings."""


class InsecureRequestWarning(HpoolWarning):
    """Certificates are not verified."""


class LimitsWarning(HpoolWarning, UserWarning):
    """Two limits contradict each other."""


# ---- httpx's names -----------------------------------------------------------

HTTPStatusError = HTTPError
NetworkError = ConnectionError
DecodingError = ContentDecodingError
UnsupportedProtocol = InvalidSchema
StreamConsumed = StreamConsumedError
StreamClosed = ClosedError

# Without JSONDecodeError: a star import would import json for it.
__all__ = [
    "BodyTooLarge",
    "Cancelled",
    "ChunkedEncodingError",
    "ClosedError",
    "ConcurrentUse",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "ContentDecodingError",
    "CookieConflict",
    "DecodingError",
    "ForkedError",
    "HTTPError",
    "HTTPStatusError",
    "HpoolWarning",
    "IncompleteRead",
    "InsecureRequestWarning",
    "InvalidArgument",
    "InvalidHeader",
    "InvalidJSONError",
    "InvalidMethod",
    "InvalidProxyURL",
    "InvalidSchema",
    "InvalidURL",
    "LimitsWarning",
    "LocalProtocolError",
    "MissingSchema",
    "NameResolutionError",
    "NetworkError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "QueueFull",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "RequestError",
    "RequestException",
    "RetryError",
    "SSLError",
    "ServerDisconnected",
    "StreamClosed",
    "StreamConsumed",
    "StreamConsumedError",
    "TimeoutException",
    "TooManyRedirects",
    "TotalTimeout",
    "TransportError",
    "URLRequired",
    "UnrewindableBodyError",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
]


def __getattr__(name: str) -> Any:
    # json is not imported before somebody needs it.
    if name == "JSONDecodeError":
        from ._jsonerror import JSONDecodeError

        globals()[name] = JSONDecodeError
        return JSONDecodeError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
