"""pyreqwest: a SyncClient, and its `simple` interface."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.simple.sync_request import pyreqwest_get

from benchmarks.peers import Take, Task, Turn, contents, pieces


def builder_of(task: Task) -> SyncClientBuilder:
    builder = SyncClientBuilder()
    if task.ca:
        builder = builder.add_root_certificate_pem(Path(task.ca).read_bytes())
    return builder


def client_of(task: Task) -> SyncClient:
    return builder_of(task).build()


@contents
def kept(task: Task) -> Turn:
    client, url = client_of(task), task.url

    def turn() -> Any:  # bytes, but not `bytes`
        return client.get(url).build().send().bytes()

    return turn


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
