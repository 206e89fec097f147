"""The logger "hpool": at DEBUG, the story of each connection.

Not imported before somebody else has imported logging. A client attaches a
Log below its own trace handler when it is made, and looks again whenever a
request had to make a connection (csrc/py/log.h).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ._records import show_seconds

if TYPE_CHECKING:
    Info = dict[str, Any]

_logger = logging.getLogger("hpool")


def wanted() -> Log | None:
    """A new handler if somebody listens, else None."""
    return Log() if _logger.isEnabledFor(logging.DEBUG) else None


class Log:
    """A trace handler that writes each event as a line. No line shows a
    query, a password or a header's value, because no event has one but
    `wrote_header_field`, which is left out."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[int, str] = {}  # "GET http://..." by request

    # -- requests

    def request_start(self, info: Info) -> None:
        self._calls[info["request"]] = f"{info['method']} {info['url']}"

    def queue_entered(self, info: Info) -> None:
        _logger.debug(
            "%s: waits for a connection to %s, %d of %d",
            self._call(info),
            info["host"],
            info["position"],
            info["waiting"],
        )

    def queue_left(self, info: Info) -> None:
        waited = show_seconds(info["waited"])
        words = "%s: waited %s, until: %s"
        _logger.debug(words, self._call(info), waited, info["outcome"])

    def got_conn(self, info: Info) -> None:
        if not info["reused"]:
            history = "new"
        elif info["was_idle"]:
            idle = show_seconds(info["idle_time"])
            history = f"request {info['requests']}, after {idle} idle"
        else:
            history = f"request {info['requests']}, handed over"
        _conn(info, "%s (%s)", self._call(info), history)

    def got_response(self, info: Info) -> None:
        _conn(info, "%d for %s", info["status"], self._call(info))

    def retry(self, info: Info) -> None:
        words = "%s: sent again, attempt %d: %s"
        attempt, reason = info["attempt"], info["reason"]
        _logger.debug(words, self._call(info), attempt, reason)

    def request_done(self, info: Info) -> None:
        call = self._call(info)
        self._calls.pop(info["request"], None)
        how = info["error"] or info["status"]
        duration = show_seconds(info["duration"])
        _logger.debug("%s: ended after %s: %s", call, duration, how)

    def _call(self, info: Info) -> str:
        number = info["request"]
        if "url" in info:
            return f"{info['method']} {info['url']}"
        return self._calls.get(number) or f"request {number}"

    # -- connections

    def dns_start(self, info: Info) -> None:
        _conn(info, "looking up %s", info["name"])

    def dns_cache_hit(self, info: Info) -> None:
        found = ", ".join(info["addresses"])
        _conn(info, "%s is known: %s", info["name"], found)

    def dns_done(self, info: Info) -> None:
        if info["error"] is not None:
            words = "looking up %s failed: %s"
            _conn(info, words, info["name"], info["error"])
        else:
            found = ", ".join(info["addresses"])
            shared = " (looked up by another request)" * info["coalesced"]
            _conn(info, "%s is at %s%s", info["name"], found, shared)

    def connect_start(self, info: Info) -> None:
        _conn(info, "connecting to %s", info["address"])

    def connect_done(self, info: Info) -> None:
        if info["error"] is None:
            _conn(info, "connected to %s", info["address"])
        else:
            words = "connecting to %s failed: %s"
            _conn(info, words, info["address"], info["error"])

    def proxy_connect_start(self, info: Info) -> None:
        words = "asking the proxy %s for a tunnel to %s"
        _conn(info, words, info["proxy"], info["target"])

    def proxy_connect_done(self, info: Info) -> None:
        if info["error"] is None:
            _conn(info, "the tunnel to %s is open", info["target"])
        else:
            _conn(info, "no tunnel: %s", info["error"])

    def tls_handshake_start(self, info: Info) -> None:
        _conn(info, "TLS handshake with %s", info["server_name"])

    def tls_handshake_done(self, info: Info) -> None:
        if info["error"] is not None:
            _conn(info, "TLS handshake failed: %s", info["error"])
        else:
            resumed = ", resumed" * info["resumed"]
            words = "TLS handshake done: %s, %s%s"
            _conn(info, words, info["version"], info["cipher"], resumed)

    def put_idle_conn(self, info: Info) -> None:
        if info["reason"] is None:
            _conn(info, "given back")
        else:
            _conn(info, "not kept: %s", info["reason"])

    def drain_start(self, info: Info) -> None:
        left = "?" if info["left"] is None else info["left"]
        _conn(info, "closed early, draining the body: %s bytes left", left)

    def drain_end(self, info: Info) -> None:
        _conn(info, "draining ended: %s", info["reason"] or "kept")

    def conn_closed(self, info: Info) -> None:
        age = show_seconds(info["age"])
        words = "closed: %s; it served %d in %s"
        _conn(info, words, info["reason"], info["requests"], age)

    def dropped(self, info: Info) -> None:
        _logger.debug("%d events were not noted: too many", info["count"])


def _conn(info: Info, words: str, *arguments: object) -> None:
    _logger.debug(
        f"conn %d %s: {words}", info["conn"], info["host"], *arguments
    )
