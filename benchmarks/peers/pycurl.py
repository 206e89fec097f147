"""pycurl: one handle is kept, as libcurl's documentation says, and what arrives
goes to a BytesIO."""

import io
from collections.abc import Callable

import pycurl

from benchmarks.peers import Take, Task, Turn, contents, pieces


def handle(task: Task) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, task.url)
    if task.ca:
        curl.setopt(pycurl.CAINFO, task.ca)
    return curl


@contents
def kept(task: Task) -> Turn:
    curl = handle(task)

    def turn() -> memoryview:
        body = io.BytesIO()
        curl.setopt(pycurl.WRITEDATA, body)
        curl.perform()
        return body.getbuffer()

    return turn


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    curl = handle(task)

    def turn(take: Take) -> None:
        curl.setopt(pycurl.WRITEFUNCTION, take)
        curl.perform()

    return turn
