"""urllib3: a PoolManager."""

import os
import ssl
from collections.abc import Callable
from typing import Any

import urllib3

from benchmarks.peers import (
    BUFFER,
    MANY,
    PIECE,
    Take,
    Task,
    Turn,
    contents,
    opens,
    pieces,
    shared,
    upload_of,
)


def manager_of(task: Task, **more: Any) -> urllib3.PoolManager:
    if task.ca:
        more["ssl_context"] = ssl.create_default_context(cafile=task.ca)
    return urllib3.PoolManager(**more)


@contents
def kept(task: Task) -> Turn:
    manager, url = manager_of(task), task.url
    return lambda: manager.request("GET", url).data


@pieces
def into(task: Task) -> Callable[[Take], None]:
    manager, url = manager_of(task), task.url
    buffer = memoryview(bytearray(BUFFER))

    def turn(take: Take) -> None:
        response = manager.request("GET", url, preload_content=False)
        while n := response.readinto(buffer):
            take(buffer[:n])

    return turn


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    manager, url = manager_of(task), task.url

    def turn(take: Take) -> None:
        response = manager.request("GET", url, preload_content=False)
        for piece in response.stream(PIECE):
            take(piece)

    return turn


@contents
def connect(task: Task) -> Turn:
    manager, url = manager_of(task), task.url
    headers = {"Connection": "close"}
    return lambda: manager.request("GET", url, headers=headers).data


@contents
def anew(task: Task) -> Turn:
    def turn() -> bytes:
        with manager_of(task) as manager:
            return manager.request("GET", task.url).data

    return turn


@contents
def client(task: Task) -> Turn:
    def turn() -> bytes:
        urllib3.PoolManager().clear()
        return b""

    return turn


@shared
def threads(task: Task) -> Turn:
    manager, url = manager_of(task, maxsize=task.count), task.url
    return lambda: manager.request("GET", url).data


@shared
def limited(task: Task) -> Turn:
    manager, url = manager_of(task, maxsize=4, block=True), task.url
    return lambda: manager.request("GET", url).data


@contents
def post(task: Task) -> Turn:
    manager, url, data = manager_of(task), task.url, upload_of(task)
    return lambda: manager.request("POST", url, body=data).data


@contents
def post_file(task: Task) -> Turn:
    manager = manager_of(task, blocksize=BUFFER)
    length = {"Content-Length": str(os.stat(task.upload).st_size)}

    def turn() -> bytes:
        with open(task.upload, "rb") as file:
            return manager.request("POST", task.url, body=file, headers=length).data

    return turn


decoded = kept  # it decodes by itself


@opens
def idle(task: Task) -> Callable[[int], None]:
    manager, url = manager_of(task, maxsize=MANY), task.url

    def open_idle(n: int) -> None:
        asked = [manager.request("GET", url, preload_content=False) for _ in range(n)]
        for response in asked:
            response.read()

    return open_idle
