"""http.client: one connection."""

import http.client
import os
import ssl
import threading
import zlib
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
    lines,
    opens,
    pieces,
    shared,
    upload_of,
)


def opener(task: Task) -> Callable[[], http.client.HTTPConnection]:
    url = urlsplit(task.url)
    where: Any = (url.hostname, url.port)
    if not task.ca:
        return lambda: http.client.HTTPConnection(*where)
    context = ssl.create_default_context(cafile=task.ca)
    return lambda: http.client.HTTPSConnection(*where, context=context)


def connection_of(task: Task) -> http.client.HTTPConnection:
    return opener(task)()


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


@contents
def connect(task: Task) -> Turn:
    open_connection, path = opener(task), urlsplit(task.url).path

    def turn() -> bytes:
        connection = open_connection()
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    return turn


@contents
def anew(task: Task) -> Turn:
    path = urlsplit(task.url).path

    def turn() -> bytes:
        connection = connection_of(task)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    return turn


@shared
def threads(task: Task) -> Turn:
    """A connection belongs to one thread."""
    own, path = threading.local(), urlsplit(task.url).path

    def turn() -> bytes:
        try:
            connection = own.connection
        except AttributeError:
            connection = own.connection = connection_of(task)
        connection.request("GET", path)
        body: bytes = connection.getresponse().read()
        return body

    return turn


@contents
def post(task: Task) -> Turn:
    connection, path, data = (
        connection_of(task),
        urlsplit(task.url).path,
        upload_of(task),
    )

    def turn() -> bytes:
        connection.request("POST", path, body=data)
        return connection.getresponse().read()

    return turn


@contents
def post_file(task: Task) -> Turn:
    connection, path = connection_of(task), urlsplit(task.url).path
    connection.blocksize = BUFFER
    length = {"Content-Length": str(os.stat(task.upload).st_size)}

    def turn() -> bytes:
        with open(task.upload, "rb") as file:
            connection.request("POST", path, body=file, headers=length)
            return connection.getresponse().read()

    return turn


@contents
def decoded(task: Task) -> Turn:
    connection, path = connection_of(task), urlsplit(task.url).path

    def turn() -> bytes:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        return zlib.decompress(connection.getresponse().read(), 31)  # 31: gzip

    return turn


@opens
def idle(task: Task) -> Callable[[int], None]:
    open_connection, path = opener(task), urlsplit(task.url).path
    connections = []

    def open_idle(n: int) -> None:
        for _ in range(n):
            connection = open_connection()
            connection.request("GET", path)
            connection.getresponse().read()
            connections.append(connection)

    return open_idle
