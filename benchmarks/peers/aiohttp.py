"""aiohttp: a ClientSession on one loop."""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from benchmarks.peers import PIECE, Take, Task, awaited, awaited_pieces


def session_of(task: Task, **more: Any) -> aiohttp.ClientSession:
    trust = ssl.create_default_context(cafile=task.ca) if task.ca else True
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, **more))


@awaited
async def kept(task: Task) -> Callable[[], Awaitable[bytes]]:
    session, url = session_of(task), task.url

    async def turn() -> bytes:
        async with session.get(url) as response:
            return await response.read()

    return turn


@awaited_pieces
async def chunks(task: Task) -> Callable[[Take], Awaitable[None]]:
    session, url = session_of(task), task.url

    async def turn(take: Take) -> None:
        async with session.get(url) as response:
            async for piece in response.content.iter_chunked(PIECE):
                take(piece)

    return turn
