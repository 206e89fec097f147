"""hpool, the way its README shows it."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import hpool

from benchmarks.peers import (
    BUFFER,
    Made,
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


def client_of(task: Task, **more: Any) -> hpool.Client:
    return hpool.Client(verify=task.ca or True, **more)


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


@contents
def anew(task: Task) -> Turn:
    """A client for each request; in one process they share the TLS setting."""
    url, verify = task.url, task.ca or True

    def turn() -> bytes:
        with hpool.Client(verify=verify) as client, client.get(url) as response:
            return response.content

    return turn


@contents
def connect(task: Task) -> Turn:
    client = client_of(task, limits=hpool.Limits(disable_keepalives=True))
    return lambda: client.get(task.url, stream=False).content


@contents
def resume(task: Task) -> Turn:
    client = client_of(task, limits=hpool.Limits(disable_keepalives=True))
    client.get(task.url, stream=False)

    def turn() -> bytes:
        with client.get(task.url) as response:
            assert response.connection.resumed
            return response.content

    return turn


@contents
def client(task: Task) -> Turn:
    def turn() -> bytes:
        hpool.Client().close()
        return b""

    return turn


@shared
def threads(task: Task) -> Turn:
    client, url = client_of(task), task.url
    return lambda: client.get(url, stream=False).content


@shared
def limited(task: Task) -> Turn:
    client = client_of(task, limits=hpool.Limits(max_conns_per_host=4))
    numbers, ended = itertools.count(), itertools.count()

    def turn() -> bytes:
        number = next(numbers)
        body = client.get(task.url, stream=False).content
        # First come, first served: no more pass by than there are threads.
        assert next(ended) - number <= task.count, "a waiter was passed over"
        return body

    return turn


@contents
def post(task: Task) -> Turn:
    client, url, data = client_of(task), task.url, upload_of(task)

    def turn() -> bytes:
        with client.post(url, data=data) as response:
            return response.content

    return turn


@contents
def post_file(task: Task) -> Turn:
    client, url = client_of(task), task.url

    def turn() -> bytes:
        with open(task.upload, "rb") as file, client.post(url, data=file) as response:
            return response.content

    return turn


decoded = kept  # it decodes by itself


@opens
def idle(task: Task) -> Callable[[int], None]:
    limits = hpool.Limits(max_idle_conns=None, idle_order="fifo")
    client, url, there = client_of(task, limits=limits), task.url, 0

    def open_idle(n: int) -> None:
        nonlocal there
        for _ in range(n):
            there = client.warm(url, there + 1)
        for _ in range(there):  # each serves one
            client.get(url, stream=False)

    return open_idle


# ---- many hosts, many idle connections ----


def unlimited(task: Task) -> hpool.Client:
    return client_of(task, limits=hpool.Limits(max_idle_conns=None))


def hosts_of(share: int) -> Made:
    """One host is asked while a share of task.count of them have a connection."""

    @contents
    def hosts(task: Task) -> Turn:
        client, url = unlimited(task), task.url
        for i in range(task.count // share):
            address = f"127.1.{i // 250}.{i % 250 + 1}"
            client.get(url.replace("127.0.0.1", address), stream=False)
        return lambda: client.get(url, stream=False).content

    return hosts


one_host, some_hosts, many_hosts = hosts_of(1 << 30), hosts_of(100), hosts_of(1)


def idle_of(share: int) -> Made:
    """So many idle connections of the host that is asked."""

    @contents
    def idle_ones(task: Task) -> Turn:
        client, url = unlimited(task), task.url
        for n in range(task.count // share):
            client.warm(url, n + 1)
        return lambda: client.get(url, stream=False).content

    return idle_ones


one_idle, many_idle = idle_of(1 << 30), idle_of(1)
