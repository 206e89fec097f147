"""httpx: a Client, and its module-level get. httpx2 is its successor, with the
same names."""

import ssl
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import httpx

from benchmarks.peers import (
    MANY,
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


def trust(task: Task) -> Any:
    """What httpx documents since it took `verify="file"` back."""
    return ssl.create_default_context(cafile=task.ca) if task.ca else True


def all_of(module: ModuleType) -> dict[str, Any]:
    """name: what the module does under that name."""

    def client_of(task: Task, **limits: int | None) -> Any:
        return module.Client(verify=trust(task), limits=module.Limits(**limits))

    @contents
    def kept(task: Task) -> Turn:
        client, url = client_of(task), task.url
        return lambda: client.get(url).content

    decoded = kept  # it decodes by itself

    @contents
    def call(task: Task) -> Turn:
        url, verify = task.url, trust(task)
        return lambda: module.get(url, verify=verify).content

    @pieces
    def chunks(task: Task) -> Callable[[Take], None]:
        client, url = client_of(task), task.url

        def turn(take: Take) -> None:
            with client.stream("GET", url) as response:
                for piece in response.iter_bytes():
                    take(piece)

        return turn

    @lines
    def iter_lines(task: Task) -> Callable[[], Iterator[str]]:
        client, url = client_of(task), task.url

        def turn() -> Iterator[str]:
            with client.stream("GET", url) as response:
                yield from response.iter_lines()

        return turn

    @contents
    def connect(task: Task) -> Turn:
        client, url = client_of(task, max_keepalive_connections=0), task.url
        return lambda: client.get(url).content

    @contents
    def anew(task: Task) -> Turn:
        def turn() -> Any:
            with client_of(task) as client:
                return client.get(task.url).content

        return turn

    @contents
    def client(task: Task) -> Turn:
        def turn() -> bytes:
            module.Client().close()
            return b""

        return turn

    @shared
    def threads(task: Task) -> Turn:
        client, url = client_of(task), task.url
        return lambda: client.get(url).content

    @shared
    def limited(task: Task) -> Turn:
        client, url = client_of(task, max_connections=4), task.url
        return lambda: client.get(url).content

    @opens
    def idle(task: Task) -> Callable[[int], None]:
        kept_alive = {"max_connections": MANY, "max_keepalive_connections": MANY}
        client = client_of(task, keepalive_expiry=None, **kept_alive)
        url = task.url

        def open_idle(n: int) -> None:
            request = client.build_request("GET", url)
            asked = [client.send(request, stream=True) for _ in range(n)]
            for response in asked:
                response.read()

        return open_idle

    @contents
    def post(task: Task) -> Turn:
        client, url, data = client_of(task), task.url, upload_of(task)
        return lambda: client.post(url, content=data).content

    @contents
    def post_file(task: Task) -> Turn:
        client = client_of(task)

        def turn() -> Any:
            with open(task.upload, "rb") as file:
                return client.post(task.url, content=file).content

        return turn

    return {name: made for name, made in locals().items() if name not in OWN}


OWN = ("module", "client_of")
globals().update(all_of(httpx))
