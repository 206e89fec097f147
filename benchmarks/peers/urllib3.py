"""urllib3: a PoolManager."""

from collections.abc import Callable
from typing import Any

import urllib3

from benchmarks.peers import BUFFER, PIECE, Take, Task, Turn, contents, pieces


def manager_of(task: Task, **more: Any) -> urllib3.PoolManager:
    if task.ca:
        more["ca_certs"] = task.ca
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
