"""Proxies that ask who is there (407), in answer to CONNECT or to a request
that they would forward."""

from __future__ import annotations

from .. import _core
from ..errors import ProxyError
from .digest import PROXY, target_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._core import Headers
    from .digest import DigestAuth
    from .request import PreparedRequest


class _Said:
    """To the proxy, as its Digest sees it: CONNECT and the target, or the
    request with its whole URL."""

    def __init__(self, request: PreparedRequest) -> None:
        scheme, host, port = _core._origin(request.url)
        self.is_connect = scheme == "https"
        self._request = request
        host = f"[{host}]" if ":" in host else host
        if self.is_connect:
            self.method, self.uri = "CONNECT", f"{host}:{port}"
        else:
            shown = host if port == 80 else f"{host}:{port}"
            self.method = request.method
            self.uri = f"http://{shown}{target_of(request)}"

    def _can_rewind(self) -> bool:
        return self.is_connect or self._request._can_rewind()

    def _content(self) -> Any:
        return None if self.is_connect else self._request._content()

    def again(self) -> None:
        """It has been said, and will be once more."""
        if not self.is_connect:
            self._request._rewind()


class _Answer:
    """To CONNECT, as a response."""

    def __init__(self, status: int, headers: Headers | None) -> None:
        self.status_code = status
        self.headers = _core.Headers() if headers is None else headers


def _ask(
    said: _Said, send_once: Callable[[bytes | None], Any], value: bytes | None
) -> tuple[Any, Any, ProxyError | None]:
    """(what the proxy answered, the response or None, the error or None)"""
    try:
        response = send_once(value)
    except ProxyError as error:
        if error.status != PROXY.status:
            raise
        return _Answer(error.status, error.headers), None, error
    opened = _Answer(200, None)
    return opened if said.is_connect else response, response, None


def send(
    auth: DigestAuth,
    where: str,
    request: PreparedRequest,
    send_once: Callable[[bytes | None], Any],
    drain: Callable[[Any], None],
) -> Any:
    """The response to `request`, once the proxy knows who is there; or what it
    refuses it with.

    where      the proxy's URL
    send_once  sends it with that Proxy-Authorization
    drain      ends a response that is not the last one
    """
    said = _Said(request)
    value = auth.known(where, said, said.uri)
    rounds = auth.rounds(where, PROXY, said, said.uri, value)
    next(rounds)
    while True:
        answer, response, error = _ask(said, send_once, value)
        try:
            value = rounds.send(answer)
        except StopIteration:
            if error is not None:
                raise error from None
            return response
        except BaseException:
            if response is not None:
                response.close()
            raise
        if response is not None:
            drain(response)
        said.again()
