"""hpool, the way its README shows it."""

from collections.abc import Callable, Iterator

import hpool

from benchmarks.peers import BUFFER, Take, Task, Turn, contents, lines, pieces


def client_of(task: Task) -> hpool.Client:
    return hpool.Client(verify=task.ca or True)


@contents
def kept(task: Task) -> Turn:
    client, url = client_of(task), task.url

    def turn() -> bytes:
        with client.get(url) as response:
            return response.content

    return turn


@contents
def call(task: Task) -> Turn:
    url = task.url
    if task.ca:
        hpool.configure(verify=task.ca)
    return lambda: hpool.get(url).content


@pieces
def into(task: Task) -> Callable[[Take], None]:
    client, url, buffer = client_of(task), task.url, memoryview(bytearray(BUFFER))

    def turn(take: Take) -> None:
        with client.get(url) as response:
            readinto = response.readinto
            while n := readinto(buffer):
                take(buffer[:n])

    return turn


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    client, url = client_of(task), task.url

    def turn(take: Take) -> None:
        with client.get(url) as response:
            for piece in response.iter_bytes():
                take(piece)

    return turn


@lines
def iter_lines(task: Task) -> Callable[[], Iterator[bytes]]:
    client, url = client_of(task), task.url
    return lambda: client.get(url).iter_lines()
