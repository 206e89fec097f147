"""Answers without a network, for tests."""

from __future__ import annotations

from .._core import Response
from .mounts import as_response, with_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .request import PreparedRequest


class MockTransport:
    """A transport whose answers a function makes.

        def handler(request):
            assert request.url == "https://a.test/x"
            return hpool.Response(200, content=b"hello")

        client = hpool.Client(transport=hpool.MockTransport(handler))

    handler  called with each PreparedRequest, redirects and retries included.
             It returns a Response, or (status, headers, body) with the body
             as bytes or str; what it raises, the caller of get() gets

    requests  the PreparedRequests so far, their bodies as bytes
    """

    def __init__(self, handler: Callable[[PreparedRequest], Any]) -> None:
        if not callable(handler):
            kind = type(handler).__name__
            raise TypeError(f"handler must be a callable, not {kind}")
        self.handler = handler
        self.requests: list[PreparedRequest] = []

    def send(self, request: PreparedRequest, **how: Any) -> Any:
        """In the manner of requests; `how` has no effect."""
        if request.body is not None:
            request.read()
        self.requests.append(request.copy())
        try:
            answer = self.handler(request)
        except BaseException as error:
            with_request(error, request)
            raise
        if isinstance(answer, tuple):
            answer = _of_tuple(answer)
        return as_response(answer, request)


def _of_tuple(answer: tuple[Any, ...]) -> Response:
    if len(answer) != 3:
        raise TypeError(
            "a handler must return a Response or (status, headers, body), not "
            f"a tuple of {len(answer)}"
        )
    status, headers, body = answer
    return Response(status, headers=headers, content=body)
