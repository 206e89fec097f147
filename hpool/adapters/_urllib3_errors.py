"""hpool's errors as urllib3's, which requests and much else look for.

Each keeps hpool's words, and the hpool error itself as its __cause__ and, where
urllib3's has a place for the underlying error, there too.
"""

from __future__ import annotations

import http.client
import os
import ssl
from typing import TYPE_CHECKING

from urllib3 import exceptions as theirs

from .. import errors as ours

if TYPE_CHECKING:
    from typing import Any

_REACHING_A_PROXY = frozenset({"resolve", "connect", "proxy"})
_CONNECTING = _REACHING_A_PROXY | {"pool", "tls"}
_NO_PROXY = "Unable to connect to proxy"

_TWO_LENGTHS = "malformed response head: Content-Lengths differ"


def of_request(
    error: ours.RequestException, pool: Any, url: str
) -> Exception:
    """What urllib3 would raise when no answer has come: an HTTPError, or a
    ValueError for a method that cannot be sent.

    `pool` stands for the connection in the text, `url` must be fit to be
    shown.
    """
    if isinstance(error, ours.TimeoutException):
        return _timeout(error, pool, url)
    if isinstance(error, ours.ProxyError):
        return _proxy(error, pool)
    if isinstance(error, ours.QueueFull):
        return theirs.EmptyPoolError(pool, str(error))
    if isinstance(error, ours.ClosedError):
        return theirs.ClosedPoolError(pool, str(error))
    if isinstance(error, ours.SSLError):
        return _tls(error)
    if isinstance(error, ours.ConnectError):
        return _no_connection(error, pool)
    return _malformed(error) or theirs.ProtocolError(
        "Connection aborted.", _as_of_http_client(error)
    )


def of_body(
    error: ours.RequestException,
    pool: Any,
    url: str,
    received: int,
    length: int | None,
) -> theirs.HTTPError:
    """What urllib3 would raise while the body is read, of which so many bytes
    have been `received`: one of the four that requests knows there."""
    if isinstance(error, ours.TimeoutException):
        return _silence(error, pool, url)
    if isinstance(error, ours.SSLError):
        return _tls(error)
    below = _as_of_http_client(error)
    if isinstance(error, ours.IncompleteRead) and length is not None:
        below = theirs.IncompleteRead(received, length - received)
    return theirs.ProtocolError(f"Connection broken: {error}", below)


def _timeout(
    error: ours.TimeoutException, pool: Any, url: str
) -> theirs.HTTPError:
    if isinstance(error, (ours.ConnectTimeout, ours.PoolTimeout)):
        return _connect_timeout(error, pool)
    if isinstance(error, ours.WriteTimeout):
        # Bytes of the request have gone out, so not "while connecting"; and
        # nothing was waited for from the server.
        return theirs.ProtocolError("Connection aborted.", error)
    if isinstance(error, ours.TotalTimeout) and error.phase in _CONNECTING:
        return _connect_timeout(error, pool)
    return _silence(error, pool, url)


def _connect_timeout(
    error: ours.TimeoutException, pool: Any
) -> theirs.HTTPError:
    timeout = theirs.ConnectTimeoutError(pool, str(error))
    if pool.proxy is None or error.phase not in _REACHING_A_PROXY:
        return timeout
    return theirs.ProxyError(f"{_NO_PROXY}: {error}", timeout)


def _proxy(error: ours.ProxyError, pool: Any) -> theirs.HTTPError:
    below: Exception = theirs.NewConnectionError(pool, str(error))
    if error.status is not None:  # it answered, so there is a connection
        below = OSError(f"Tunnel connection failed: {error}")
    return theirs.ProxyError(f"{_NO_PROXY}: {error}", below)


def _silence(
    error: ours.TimeoutException, pool: Any, url: str
) -> theirs.ReadTimeoutError:
    # In the words that programs look for.
    return theirs.ReadTimeoutError(pool, url, f"Read timed out. ({error})")


def _no_connection(error: ours.ConnectError, pool: Any) -> theirs.HTTPError:
    if isinstance(error, ours.NameResolutionError):
        return theirs.NameResolutionError(pool.host, pool, error)  # type: ignore[arg-type]
    why = f"Failed to establish a new connection: {error}"
    return theirs.NewConnectionError(pool, why)


def _tls(error: ours.SSLError) -> theirs.SSLError:
    """Programs look for OpenSSL's name of a certificate that is not trusted,
    in the class or in the text."""
    if not str(error).startswith("certificate verify failed"):
        return theirs.SSLError(error)
    return theirs.SSLError(
        ssl.SSLCertVerificationError(
            ssl.SSL_ERROR_SSL, f"[SSL: CERTIFICATE_VERIFY_FAILED] {error}"
        )
    )


def _malformed(error: ours.RequestException) -> Exception | None:
    """For what is said in a way that cannot be: by the request, of which then
    nothing was sent, or by the answer."""
    if isinstance(error, ours.InvalidMethod):
        return ValueError(str(error))
    if isinstance(error, ours.InvalidHeader):
        return theirs.InvalidHeader(str(error))
    if str(error).startswith(_TWO_LENGTHS):
        return theirs.InvalidHeader(str(error))  # of the answer, it is
    if isinstance(error, ours.UnrewindableBodyError):
        return theirs.UnrewindableBodyError(str(error))
    if isinstance(
        error, (ours.InvalidURL, ours.MissingSchema, ours.InvalidSchema)
    ):
        return theirs.LocationValueError(str(error))
    return None


def _as_of_http_client(error: ours.RequestException) -> Exception:
    """The exception of the standard library that people look for inside."""
    if isinstance(error, ours.ServerDisconnected):
        return http.client.RemoteDisconnected(str(error))
    if isinstance(error, ours.ConnectionError) and error.errno is not None:
        # Becomes a ConnectionResetError, BrokenPipeError, ...
        return OSError(error.errno, f"{os.strerror(error.errno)}: {error}")
    return error
