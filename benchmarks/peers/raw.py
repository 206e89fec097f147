"""The least that Python can do: send and recv on a socket."""

import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from benchmarks.peers import BUFFER, PIECE, Take, Task, Turn, contents, pieces


def socket_of(task: Task) -> socket.socket:
    url = urlsplit(task.url)
    assert url.hostname and url.port
    sock = socket.create_connection((url.hostname, url.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not task.ca:
        return sock
    context = ssl.create_default_context(cafile=task.ca)
    return context.wrap_socket(sock, server_hostname=url.hostname)


def request_of(task: Task) -> bytes:
    url = urlsplit(task.url)
    return f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()


@contents
def kept(task: Task) -> Turn:
    sock, request, size = socket_of(task), request_of(task), task.size

    def turn() -> bytes | bytearray:
        sock.sendall(request)
        answer = sock.recv(65536)
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
