"""hpool's trace events under the names that httpcore's users listen to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[[str, dict[str, Any]], object]
    Info = dict[str, Any]


class Events:
    """A trace handler that tells httpcore's `trace` extension."""

    def __init__(self, tell: Listener, request: Any) -> None:
        self._tell = tell
        self._request = request
        self._had_connection = False

    def _started(self, name: str, **info: Any) -> None:
        self._tell(f"{name}.started", info)

    def _ended(self, name: str, error: str | None, value: Any = None) -> None:
        if error is None:
            self._tell(f"{name}.complete", {"return_value": value})
        else:
            self._tell(f"{name}.failed", {"exception": OSError(error)})

    def connect_start(self, info: Info) -> None:
        host, _, port = info["address"].rpartition(":")
        self._started("connection.connect_tcp", host=host, port=port)

    def connect_done(self, info: Info) -> None:
        self._ended("connection.connect_tcp", info["error"], info["address"])

    def tls_handshake_start(self, info: Info) -> None:
        name = info["server_name"]
        self._started("connection.start_tls", server_hostname=name)

    def tls_handshake_done(self, info: Info) -> None:
        self._ended("connection.start_tls", info["error"], info["version"])

    def got_conn(self, info: Info) -> None:
        self._had_connection = True
        self._started("http11.send_request_headers", request=self._request)

    def wrote_headers(self, info: Info) -> None:
        self._ended("http11.send_request_headers", None)
        self._started("http11.send_request_body", request=self._request)

    def wrote_request(self, info: Info) -> None:
        self._ended("http11.send_request_body", info["error"])
        if info["error"] is None:
            self._started(
                "http11.receive_response_headers", request=self._request
            )

    def got_response(self, info: Info) -> None:
        self._ended("http11.receive_response_headers", None, info["status"])
        self._started("http11.receive_response_body", request=self._request)

    def request_done(self, info: Info) -> None:
        if info["status"] is not None:
            self._ended("http11.receive_response_body", info["error"])
        if self._had_connection:
            self._started("http11.response_closed")
            self._ended("http11.response_closed", None)
