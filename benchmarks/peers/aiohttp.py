"""aiohttp: a ClientSession on one loop."""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from benchmarks.peers import PIECE, Take, Task, awaited, awaited_pieces, upload_of


def session_of(task: Task, **more: Any) -> aiohttp.ClientSession:
    trust = ssl.create_default_context(cafile=task.ca) if task.ca else True
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, **more))


def fetcher(session: aiohttp.ClientSession, url: str) -> Callable[[], Awaitable[bytes]]:
    async def turn() -> bytes:
        async with session.get(url) as response:
            return await response.read()

    return turn


@awaited
async def kept(task: Task) -> Callable[[], Awaitable[bytes]]:
    return fetcher(session_of(task), task.url)


@awaited_pieces
async def chunks(task: Task) -> Callable[[Take], Awaitable[None]]:
    session, url = session_of(task), task.url

    async def turn(take: Take) -> None:
        async with session.get(url) as response:
            async for piece in response.content.iter_chunked(PIECE):
                take(piece)

    return turn


@awaited
async def connect(task: Task) -> Callable[[], Awaitable[bytes]]:
    return fetcher(session_of(task, force_close=True), task.url)


@awaited
async def anew(task: Task) -> Callable[[], Awaitable[bytes]]:
    async def turn() -> bytes:
        async with session_of(task) as session:
            return await fetcher(session, task.url)()

    return turn


@awaited
async def client(task: Task) -> Callable[[], Awaitable[bytes]]:
    async def turn() -> bytes:
        await aiohttp.ClientSession().close()
        return b""

    return turn


@awaited
async def post(task: Task) -> Callable[[], Awaitable[bytes]]:
    session, url, data = session_of(task), task.url, upload_of(task)

    async def turn() -> bytes:
        async with session.post(url, data=data) as response:
            return await response.read()

    return turn


@awaited
async def post_file(task: Task) -> Callable[[], Awaitable[bytes]]:
    session = session_of(task)

    async def turn() -> bytes:
        with open(task.upload, "rb") as file:
            async with session.post(task.url, data=file) as response:
                return await response.read()

    return turn


decoded = kept  # it decodes by itself
