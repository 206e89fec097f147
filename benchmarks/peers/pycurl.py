"""pycurl: one handle is kept, as libcurl's documentation says, and what arrives
goes to a BytesIO."""

import io
import os
import threading
from collections.abc import Callable

import pycurl

from benchmarks.peers import (
    Made,
    Take,
    Task,
    Turn,
    contents,
    opens,
    pieces,
    shared,
    upload_of,
)


def handle(task: Task) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, task.url)
    if task.ca:
        curl.setopt(pycurl.CAINFO, task.ca)
    return curl


def fetch(curl: pycurl.Curl) -> memoryview:
    body = io.BytesIO()
    curl.setopt(pycurl.WRITEDATA, body)
    curl.perform()
    return body.getbuffer()


@contents
def kept(task: Task) -> Turn:
    curl = handle(task)
    return lambda: fetch(curl)


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    curl = handle(task)

    def turn(take: Take) -> None:
        curl.setopt(pycurl.WRITEFUNCTION, take)
        curl.perform()

    return turn


def connect_of(resumes: bool) -> Made:
    @contents
    def connect(task: Task) -> Turn:
        curl = handle(task)
        curl.setopt(pycurl.FORBID_REUSE, 1)
        curl.setopt(pycurl.SSL_SESSIONID_CACHE, int(resumes))
        return lambda: fetch(curl)

    return connect


connect, resume = connect_of(False), connect_of(True)


@contents
def anew(task: Task) -> Turn:
    def turn() -> memoryview:
        curl = handle(task)
        body = fetch(curl)
        curl.close()
        return body

    return turn


@contents
def client(task: Task) -> Turn:
    def turn() -> bytes:
        pycurl.Curl().close()
        return b""

    return turn


@shared
def threads(task: Task) -> Turn:
    """A handle belongs to one thread."""
    own = threading.local()

    def turn() -> memoryview:
        try:
            curl = own.curl
        except AttributeError:
            curl = own.curl = handle(task)
        return fetch(curl)

    return turn


@contents
def post(task: Task) -> Turn:
    curl = handle(task)
    curl.setopt(pycurl.POSTFIELDS, upload_of(task))
    return lambda: fetch(curl)


@contents
def post_file(task: Task) -> Turn:
    curl = handle(task)
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.POSTFIELDSIZE_LARGE, os.stat(task.upload).st_size)
    curl.setopt(pycurl.HTTPHEADER, ["Expect:"])
    curl.setopt(pycurl.UPLOAD_BUFFERSIZE, 1 << 20)

    def turn() -> memoryview:
        with open(task.upload, "rb") as file:
            curl.setopt(pycurl.READDATA, file)
            return fetch(curl)

    return turn


@contents
def decoded(task: Task) -> Turn:
    curl = handle(task)
    curl.setopt(pycurl.ACCEPT_ENCODING, "")  # all it knows
    return lambda: fetch(curl)


@opens
def idle(task: Task) -> Callable[[int], None]:
    handles = []

    def open_idle(n: int) -> None:
        for _ in range(n):
            curl = handle(task)
            fetch(curl)
            handles.append(curl)

    return open_idle
