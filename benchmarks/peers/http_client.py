"""http.client: one connection."""

import http.client
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from benchmarks.peers import (
    BUFFER,
    PIECE,
    Take,
    Task,
    Turn,
    contents,
    lines,
    pieces,
)


def connection_of(task: Task) -> http.client.HTTPConnection:
    url = urlsplit(task.url)
    assert url.hostname
    if not task.ca:
        return http.client.HTTPConnection(url.hostname, url.port)
    context = ssl.create_default_context(cafile=task.ca)
    return http.client.HTTPSConnection(url.hostname, url.port, context=context)


@contents
def kept(task: Task) -> Turn:
    connection, path = connection_of(task), urlsplit(task.url).path

    def turn() -> bytes:
        connection.request("GET", path)
        return connection.getresponse().read()

    return turn


@pieces
def into(task: Task) -> Callable[[Take], None]:
    connection, path = connection_of(task), urlsplit(task.url).path
    buffer = memoryview(bytearray(BUFFER))

    def turn(take: Take) -> None:
        connection.request("GET", path)
        readinto = connection.getresponse().readinto
        while n := readinto(buffer):
            take(buffer[:n])

    return turn


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    connection, path = connection_of(task), urlsplit(task.url).path

    def turn(take: Take) -> None:
        connection.request("GET", path)
        read = connection.getresponse().read
        while piece := read(PIECE):
            take(piece)

    return turn


@lines
def iter_lines(task: Task) -> Callable[[], http.client.HTTPResponse]:
    connection, path = connection_of(task), urlsplit(task.url).path

    def turn() -> http.client.HTTPResponse:
        connection.request("GET", path)
        return connection.getresponse()

    return turn
