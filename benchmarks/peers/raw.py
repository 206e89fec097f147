"""The least that Python can do: send and recv on a socket."""

import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from benchmarks.peers import (
    BUFFER,
    PIECE,
    Take,
    Task,
    Turn,
    contents,
    pieces,
    upload_of,
)


def opener(task: Task) -> Callable[..., Any]:
    """What makes a connection; its argument is a TLS session to resume."""
    url = urlsplit(task.url)
    context = ssl.create_default_context(cafile=task.ca) if task.ca else None

    def open_socket(session: ssl.SSLSession | None = None) -> socket.socket:
        sock = socket.create_connection((url.hostname, url.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not context:
            return sock
        return context.wrap_socket(sock, server_hostname=url.hostname, session=session)

    return open_socket


def socket_of(task: Task) -> Any:
    return opener(task)()


def exchange(sock: socket.socket, request: bytes) -> bytes:
    """Of a small answer, which comes whole."""
    sock.sendall(request)
    return sock.recv(65536).partition(b"\r\n\r\n")[2]


def request_of(task: Task) -> bytes:
    url = urlsplit(task.url)
    return f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()


@contents
def kept(task: Task) -> Turn:
    sock, request, size = socket_of(task), request_of(task), task.size

    def turn() -> bytes | bytearray:
        sock.sendall(request)
        answer: bytes = sock.recv(65536)
        start = answer.index(b"\r\n\r\n") + 4
        got = len(answer) - start
        if got == size:
            return answer[start:]
        body = bytearray(size)
        body[:got] = memoryview(answer)[start:]
        view = memoryview(body)
        while got < size:
            got += sock.recv_into(view[got:])
        return body

    return turn


def head_of(sock: socket.socket, view: memoryview) -> int:
    """Receives a head to the start of the view; the bytes of the body that came
    with it are moved there."""
    n = sock.recv_into(view)
    start = bytes(view[:n]).index(b"\r\n\r\n") + 4
    view[: n - start] = bytes(view[start:n])
    return n - start


@pieces
def into(task: Task) -> Callable[[Take], None]:
    sock, request = socket_of(task), request_of(task)
    buffer = memoryview(bytearray(BUFFER))

    def turn(take: Take) -> None:
        sock.sendall(request)
        total = n = head_of(sock, buffer)
        take(buffer[:n])
        recv_into = sock.recv_into
        while total < task.size:
            n = recv_into(buffer)
            take(buffer[:n])
            total += n

    return turn


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    sock, request = socket_of(task), request_of(task)
    first = memoryview(bytearray(PIECE))

    def turn(take: Take) -> None:
        sock.sendall(request)
        total = n = head_of(sock, first)
        take(first[:n])
        while total < task.size:
            piece = sock.recv(PIECE)
            take(piece)
            total += len(piece)

    return turn


@contents
def connect(task: Task) -> Turn:
    request, open_socket = request_of(task), opener(task)

    def turn() -> bytes:
        with open_socket() as sock:
            return exchange(sock, request)

    return turn


@contents
def resume(task: Task) -> Turn:
    request, open_socket = request_of(task), opener(task)
    session = None

    def turn() -> bytes:
        nonlocal session
        with open_socket(session) as sock:
            body = exchange(sock, request)
            assert session is None or sock.session_reused
            session = sock.session
            return body

    return turn


@contents
def post(task: Task) -> Turn:
    sock, data = socket_of(task), upload_of(task)
    head = request_of(task).replace(b"GET", b"POST", 1)[:-2]
    request = head + b"Content-Length: %d\r\n\r\n" % len(data) + data
    return lambda: exchange(sock, request)
