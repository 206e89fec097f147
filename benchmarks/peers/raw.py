"""The least that Python can do: send and recv on a socket."""

import socket
import ssl
from urllib.parse import urlsplit

from benchmarks.peers import Task, Turn, contents


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
