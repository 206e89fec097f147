"""What an httpcore.Response is made of: a response of hpool's as its `stream`
and as its extension `network_stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import errors
from ._httpcore_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core import Response, Upgraded
    from ._httpcore_trace import Events


def seconds(limit: float | None) -> float | None:
    """A limit of httpcore's as ours: its 0 is "at once or not at all"."""
    return 1e-6 if limit == 0 else limit


def is_upgraded(response: Response, method: bytes) -> bool:
    """The connection is the caller's own from here on."""
    tunnel = method == b"CONNECT" and 200 <= response.status_code < 300
    return tunnel or response.status_code == 101


class Body:
    """The bytes as they came; none after an upgrade. Gives the connection back
    at its end, at close() and after an error, and closes one that was
    upgraded."""

    def __init__(
        self,
        core: Any,
        response: Response,
        request: Any,
        network_stream: NetworkStream,
        events: Events | None,
    ) -> None:
        self._core = core
        self._response = response
        self._request = request  # whose stream must live as long
        self._network_stream = network_stream
        self._events = events
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self._events is None:
                yield from self._pieces()
            else:
                yield from self._traced(self._events)
        finally:
            self.close()

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_raw()
        except errors.RequestException as error:
            raise translated(self._core, error)

    def _traced(self, events: Events) -> Iterator[bytes]:
        events.begin("http11.receive_response_body")
        events.check()
        try:
            yield from self._pieces()
        except BaseException as error:
            events.fail(error)
            raise
        events.end()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._network_stream.close()
        if self._events is not None:
            self._events.closed()
            self._events.check()


class NetworkStream:
    """After a 101 or a CONNECT the connection itself; before, what is known of
    it. Errors are httpcore's."""

    def __init__(self, core: Any, response: Response, upgraded: bool) -> None:
        self._core = core
        self._response = response
        self._taken = response.upgraded() if upgraded else None
        self._ahead: bytes | None = None  # read by a look

    def _connection(self, timeout: float | None) -> Upgraded:
        if self._taken is None:
            raise self._core.LocalProtocolError(
                "network_stream: there is nothing to read or write here "
                "before a 101 or a CONNECT; the response has the body"
            )
        self._taken.settimeout(seconds(timeout))
        return self._taken

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has arrived, at most so much; b"" at the end."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        try:
            return self._connection(timeout).recv(max_bytes)
        except errors.RequestException as error:
            raise translated(self._core, error)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self._connection(timeout).sendall(buffer)
        except errors.RequestException as error:
            raise translated(self._core, error)

    def close(self) -> None:
        if self._taken is not None:
            self._taken.close()
        self._response.close()

    def start_tls(self, *args: object, **kwargs: object) -> Any:
        raise NotImplementedError(
            "hpool secures connections itself: request an https URL"
        )

    def get_extra_info(self, info: str) -> Any:
        """server_addr, client_addr   (host, port), or a Unix socket's path
        ssl_object    with version(), cipher() and selected_alpn_protocol();
                      None without TLS
        is_readable   after an upgrade: whether read() would return at once

        None for anything else, `socket` included: what is on it is hpool's to
        read.
        """
        facts = self._response.connection
        if info == "server_addr":
            return _address(facts.remote)
        if info == "client_addr":
            return _address(facts.local)
        if info == "ssl_object" and facts.tls_version:
            return _Secured(facts.tls_version, facts.cipher or "", facts.alpn)
        if info == "is_readable":
            return self._taken is not None and self._look()
        return None

    def _look(self) -> bool:
        if self._ahead is not None:
            return True
        try:
            self._ahead = self.read(1, 0)
        except self._core.ReadTimeout:
            return False
        except self._core.NetworkError:
            pass  # which read() will raise
        return True


class _Secured:
    """What can be asked of an ssl object."""

    def __init__(self, version: str, cipher: str, alpn: str | None) -> None:
        self._version, self._cipher, self._alpn = version, cipher, alpn

    def version(self) -> str:
        return self._version

    def cipher(self) -> tuple[str, str, int | None]:
        return (self._cipher, self._version, None)

    def selected_alpn_protocol(self) -> str | None:
        return self._alpn


def _address(text: str | None) -> tuple[str, int] | str | None:
    """("127.0.0.1", 80) out of "127.0.0.1:80"."""
    host, colon, port = (text or "").rpartition(":")
    if not colon or not port.isdigit():
        return text or None
    return host.strip("[]"), int(port)
