"""hpool's errors as httpcore's, by phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors

if TYPE_CHECKING:
    from typing import Any

# The most specific first: the first that fits names httpcore's class.
_CLASSES = (
    (errors.PoolTimeout, "PoolTimeout"),
    (errors.ConnectTimeout, "ConnectTimeout"),
    (errors.WriteTimeout, "WriteTimeout"),
    (errors.TimeoutException, "ReadTimeout"),
    (errors.ProxyError, "ProxyError"),
    (errors.UnsupportedProtocol, "UnsupportedProtocol"),
    (errors.LocalProtocolError, "LocalProtocolError"),
    (errors.InvalidHeader, "LocalProtocolError"),
    (errors.InvalidMethod, "LocalProtocolError"),
    (errors.InvalidURL, "LocalProtocolError"),
    (errors.RemoteProtocolError, "RemoteProtocolError"),
    (errors.ClosedError, "NetworkError"),
    (errors.ReadError, "ReadError"),
    (errors.WriteError, "WriteError"),
    (errors.ConnectError, "ConnectError"),
    (errors.ConnectionError, "ConnectError"),
)


def translated(core: Any, error: BaseException) -> BaseException:
    """`error` as the module `core` (httpcore, httpcore2) has it, with hpool's
    words and as its cause; itself where there is no such class."""
    for ours, theirs in _CLASSES:
        if isinstance(error, ours):
            made: BaseException = getattr(core, theirs)(str(error))
            made.__cause__ = error
            return made
    return error
