"""Functions of the user's that are called around each request."""

from __future__ import annotations

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
        own = {
            name: hooks(name, dict(arguments[name]))
            for name in ("hooks", "event_hooks")
            if arguments.get(name) is not None
        }
        events = [h["event_hooks"] for h in (settings, own) if "event_hooks" in h]
        self._requests = [f for h in events for f in h.get("request", ())]
        self._responses = [f for h in events for f in h.get("response", ())]
        # As in requests a call's hooks come in place of the client's.
        self._replacers = list(
            own.get("hooks", {}).get("response")
            or settings.get("hooks", {}).get("response", ())
        )
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
