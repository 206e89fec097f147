"""hpool's trace events under the names, and in the order, that httpcore's users
listen to: each step is told as `.started` and then `.complete` or `.failed`."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Info = dict[str, Any]

_WRITING_BODY = "http11.send_request_body"


class Events:
    """Tells `listener`, the `trace` extension of an httpcore.Request.

    To hpool it is a trace handler, until the response's head is there; the
    rest is told by the body.

    core     httpcore or httpcore2
    connect  the name of the step that makes a connection, and its arguments

    What the listener raises is raised by the next check().
    """

    def __init__(
        self,
        core: Any,
        listener: Callable[[str, Info], object],
        request: Any,
        connect: tuple[str, Info],
    ) -> None:
        self._core = core
        self._listener = listener
        self._request = request
        self._connect = connect
        self._raised: Exception | None = None
        self._again()

    def _again(self) -> None:
        self._step: str | None = None
        self._tls = "connection"  # what start_tls belongs to
        self._is_connected = False
        self._has_connection = False

    # ---- steps ---------------------------------------------------------------

    def _tell(self, event: str, info: Info) -> None:
        if self._raised is not None:
            return
        try:
            answer = self._listener(event, info)
            if isinstance(answer, CoroutineType):
                answer.close()
                raise TypeError(
                    "trace: a coroutine function cannot be called from here; "
                    "give a plain one"
                )
        except Exception as error:  # hpool would go on
            self._raised = error

    def check(self) -> None:
        if self._raised is not None:
            raise self._raised

    def begin(self, step: str, info: Info | None = None) -> None:
        self.end()
        self._step = step
        self._tell(
            f"{step}.started",
            {"request": self._request} if info is None else info,
        )

    def end(self, value: Any = None) -> None:
        step, self._step = self._step, None
        if step is not None:
            self._tell(f"{step}.complete", {"return_value": value})

    def fail(self, error: BaseException) -> None:
        step, self._step = self._step, None
        if step is not None:
            self._tell(f"{step}.failed", {"exception": error})

    # ---- for the pool and the body -------------------------------------------

    def waits_to_retry(self) -> None:
        """After failed(): the connection is to be made again."""
        self.begin("connection.retry", self._connect[1])

    def answered(self, value: Any) -> None:
        """`value` is the head."""
        self.end(value)
        self.check()

    def failed(self, error: BaseException) -> None:
        """No head has come."""
        self._lost(error)
        if isinstance(error, Exception):
            self.check()

    def _lost(self, error: BaseException) -> None:
        self.fail(error)
        if self._has_connection:
            self.closed()
        self._again()

    def closed(self) -> None:
        self.begin("http11.response_closed", {})
        self.end()

    # ---- what hpool tells ----------------------------------------------------

    def dns_start(self, info: Info) -> None:
        # Once for all addresses: that one of them fails is no failure.
        if not self._is_connected and self._step != self._connect[0]:
            self.begin(*self._connect)

    connect_start = dns_start

    def connect_done(self, info: Info) -> None:
        if info["error"] is None and self._step == self._connect[0]:
            self._is_connected = True
            self.end(info["address"])

    def proxy_connect_start(self, info: Info) -> None:
        if not info["proxy"].startswith("socks"):
            self._tls = "proxy"
            return
        self._tls = "socks"
        host, _, port = info["target"].rpartition(":")
        self.begin(
            "socks.setup_socks5_connection", {"host": host, "port": int(port)}
        )

    def proxy_connect_done(self, info: Info) -> None:
        if info["error"] is None:
            self.end()

    def tls_handshake_start(self, info: Info) -> None:
        self.begin(
            f"{self._tls}.start_tls",
            {
                "server_hostname": info["server_name"],
                "timeout": self._connect[1]["timeout"],
            },
        )

    def tls_handshake_done(self, info: Info) -> None:
        if info["error"] is None:
            self.end(info["version"])

    def got_conn(self, info: Info) -> None:
        self._has_connection = True
        self.begin("http11.send_request_headers")

    def wrote_headers(self, info: Info) -> None:
        self.begin(_WRITING_BODY)

    def wrote_request(self, info: Info) -> None:
        if self._step == _WRITING_BODY and info["error"] is None:
            self.begin("http11.receive_response_headers")

    def got_response(self, info: Info) -> None:
        if self._step == _WRITING_BODY:
            self.fail(
                self._core.WriteError("the answer came before all was written")
            )
            self.begin("http11.receive_response_headers")

    def retry(self, info: Info) -> None:
        self._lost(self._core.RemoteProtocolError(info["reason"]))
