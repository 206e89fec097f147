"""A small HTTP/1.1 server for the demo: threads, plain sockets, keep-alive.

    /           a few bytes
    /bytes/N    a body of N bytes
    /wait/MS    a few bytes, after MS milliseconds

Speaks just enough HTTP for the demo's own requests.
"""

from __future__ import annotations

import socket
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO


class DemoServer:
    """Listens on a free port of 127.0.0.1 from `with` on until its end.

    `url` is without a slash at the end. `accepted` counts connections,
    `take_accepted()` gives the count and starts it anew.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.accepted = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> DemoServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # shutdown() wakes the threads that wait in accept() and recv().
        with self._lock:
            still_open = list(self._open)
        for sock in [self._listener, *still_open]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listener.close()

    def take_accepted(self) -> int:
        with self._lock:
            count, self.accepted = self.accepted, 0
        return count

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._open.add(sock)
            threading.Thread(
                target=self._serve, args=(sock,), daemon=True
            ).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with sock.makefile("rb") as requests:
                while (path := _next_path(requests)) is not None:
                    _answer(sock, path)
        except OSError:
            pass  # the client has gone: part of what the demo shows
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()


def _next_path(requests: BinaryIO) -> str | None:
    """The path of the next request, None when there is none."""
    words = requests.readline().split()
    if len(words) != 3:
        return None
    while requests.readline().strip():
        pass
    return words[1].decode("ascii", "replace")


def _answer(sock: socket.socket, path: str) -> None:
    _, kind, number, *_ = [*path.split("/"), "", ""]
    amount = int(number) if number.isdigit() else 0
    body = b"hello from the demo\n"
    if kind == "wait":
        time.sleep(amount / 1000)
    elif kind == "bytes":
        body = bytes(amount)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)
