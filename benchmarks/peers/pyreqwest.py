"""pyreqwest: a SyncClient, and its `simple` interface."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.simple.sync_request import pyreqwest_get

from benchmarks.peers import Take, Task, Turn, contents, pieces, shared, upload_of


def builder_of(task: Task) -> SyncClientBuilder:
    builder = SyncClientBuilder()
    if task.ca:
        builder = builder.add_root_certificate_pem(Path(task.ca).read_bytes())
    return builder


def client_of(task: Task) -> SyncClient:
    return builder_of(task).build()


def fetch(client: SyncClient, url: str) -> Any:  # bytes, but not `bytes`
    return client.get(url).build().send().bytes()


@contents
def kept(task: Task) -> Turn:
    client, url = client_of(task), task.url
    return lambda: fetch(client, url)


@contents
def call(task: Task) -> Turn:
    url = task.url

    def turn() -> Any:
        return pyreqwest_get(url).send().bytes()

    return turn


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    client, url = client_of(task), task.url

    def turn(take: Take) -> None:
        with client.get(url).build_streamed() as response:
            read_chunk: Any = response.body_reader.read_chunk
            while piece := read_chunk():
                take(piece)

    return turn


@contents
def connect(task: Task) -> Turn:
    """Its clients take TLS sessions up again by themselves."""
    if task.ca:
        return anew_turn(task)
    client, url = builder_of(task).pool_max_idle_per_host(0).build(), task.url
    return lambda: fetch(client, url)


@contents
def resume(task: Task) -> Turn:
    client, url = builder_of(task).pool_max_idle_per_host(0).build(), task.url
    return lambda: fetch(client, url)


def anew_turn(task: Task) -> Turn:
    def turn() -> Any:
        with client_of(task) as client:
            return fetch(client, task.url)

    return turn


anew = contents(anew_turn)


@contents
def client(task: Task) -> Turn:
    def turn() -> bytes:
        SyncClientBuilder().build().close()
        return b""

    return turn


@shared
def threads(task: Task) -> Turn:
    client, url = client_of(task), task.url
    return lambda: fetch(client, url)


@shared
def limited(task: Task) -> Turn:
    client, url = builder_of(task).max_connections(4).build(), task.url
    return lambda: fetch(client, url)


@contents
def post(task: Task) -> Turn:
    client, url, data = client_of(task), task.url, upload_of(task)

    def turn() -> Any:
        return client.post(url).body_bytes(data).build().send().bytes()

    return turn


decoded = kept  # it decodes by itself
