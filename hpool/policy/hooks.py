"""Functions of the user's that are called around each request."""

from __future__ import annotations

from collections.abc import Mapping

from .settings import hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import PreparedRequest


class Hooks:
    """The client's functions, then the call's.

    hooks (requests): f(response, **how) may return another response, which
    takes its place. event_hooks (httpx): f(request) before a request is sent,
    f(response) for each response; what they return does not count.
    """

    def __init__(
        self, settings: dict[str, Any], arguments: dict[str, Any]
    ) -> None:
        kept = settings.get("hooks", {}), settings.get("event_hooks", {})
        own = _of_call("hooks", arguments), _of_call("event_hooks", arguments)
        # As in requests a call's hooks come in place of the client's.
        replacers = _list(own[0], "response")
        self._replacers = replacers or _list(kept[0], "response")
        self._requests = _list(kept[1], "request") + _list(own[1], "request")
        self._responses = _list(kept[1], "response") + _list(own[1], "response")
        self._how = {
            name: arguments.get(name)
            for name in ("timeout", "verify", "cert", "proxies", "stream")
        }

    def before(self, request: PreparedRequest) -> None:
        for f in self._requests:
            f(request)

    def after(self, request: PreparedRequest, response: Any) -> Any:
        """`response`, or what a hook has put in its place."""
        for f in (*self._replacers, *request.hooks["response"]):
            other = f(response, **self._how)
            if other is not None:
                response = other
        for f in self._responses:
            f(response)
        return response


def _of_call(name: str, arguments: dict[str, Any]) -> Any:
    value = arguments.get(name)
    if value is None:
        return {}
    # What is checked is changed; the caller's own stays as it is.
    return hooks(name, dict(value) if isinstance(value, Mapping) else value)


def _list(functions: Any, event: str) -> list[Any]:
    """Who has the client's dict may have put anything in by now."""
    value = functions.get(event)
    return [value] if callable(value) else list(value or ())
