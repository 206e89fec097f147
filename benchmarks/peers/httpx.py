"""httpx: a Client, and its module-level get. httpx2 is its successor, with the
same names."""

import ssl
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import httpx

from benchmarks.peers import Take, Task, Turn, contents, lines, pieces


def trust(task: Task) -> Any:
    """What httpx documents since it took `verify="file"` back."""
    return ssl.create_default_context(cafile=task.ca) if task.ca else True


def kept_of(module: ModuleType) -> Any:
    @contents
    def kept(task: Task) -> Turn:
        client, url = module.Client(verify=trust(task)), task.url
        return lambda: client.get(url).content

    return kept


def call_of(module: ModuleType) -> Any:
    @contents
    def call(task: Task) -> Turn:
        url, verify = task.url, trust(task)
        return lambda: module.get(url, verify=verify).content

    return call


def chunks_of(module: ModuleType) -> Any:
    @pieces
    def chunks(task: Task) -> Callable[[Take], None]:
        client, url = module.Client(verify=trust(task)), task.url

        def turn(take: Take) -> None:
            with client.stream("GET", url) as response:
                for piece in response.iter_bytes():
                    take(piece)

        return turn

    return chunks


def iter_lines_of(module: ModuleType) -> Any:
    @lines
    def iter_lines(task: Task) -> Callable[[], Iterator[str]]:
        client, url = module.Client(verify=trust(task)), task.url

        def turn() -> Iterator[str]:
            with client.stream("GET", url) as response:
                yield from response.iter_lines()

        return turn

    return iter_lines


kept, call = kept_of(httpx), call_of(httpx)
chunks, iter_lines = chunks_of(httpx), iter_lines_of(httpx)
