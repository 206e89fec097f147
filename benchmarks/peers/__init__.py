"""The measured ones, one module each, run as a process of their own:

    python -m benchmarks.peers NAME TASK

TASK is JSON, see `Task`. The process proves once, unmeasured, that it reads the
right bytes, and says "ready". Then it reads counts from stdin, one a line, does its thing as many
times, and answers with the nanoseconds they took together and the body bytes that
they read. The programs in ../limits do the same.

A module has a function for each thing that its library can be asked to do. It
takes the task, sets up all that is not to be measured, and gives the function
that does it once:

    @contents          which gives the body
    @pieces            which gives each piece of the body to its argument
    @lines             which gives an iterator of the body's lines
    @awaited           an `async def`, which gives the body; set up in one, too
    @awaited_pieces    an `async def`, as @pieces
    @opens             which makes so many connections and leaves them idle
    @shared            as @contents, called by task.count threads at once
"""

import asyncio
import gc
import json
import os
import threading
import traceback
import zlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """What a peer is asked to do, as the case has it."""

    does: str
    url: str
    size: int  # of the body that comes back, or how many lines it has
    crc: int  # its CRC-32
    ca: str = ""  # the file to trust
    count: int = 1  # of threads, hosts or connections, as the case has it
    anew: bool = False  # a new client, and so connection, for each count
    addresses: int = 1  # from 127.0.0.1 on, for each count the next
    upload: str = ""  # the file to send
    memory: str = ""  # "now" or "peak": answer with growth, not with bytes read

    def dumps(self) -> str:
        return json.dumps(asdict(self))


class Job:
    """What the process of a peer does."""

    def prove(self) -> None:
        """Once, with every byte looked at."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Before each count, and not measured."""

    def run(self, n: int) -> int:
        """So many times; the bytes that were read."""
        raise NotImplementedError


def upload_of(task: Task) -> bytes:
    return Path(task.upload).read_bytes()


Body = bytes | bytearray | memoryview
Turn = Callable[[], Body]
Take = Callable[[Body], object]
Made = Callable[[Task], Job]

PIECE = 65536  # of a body that is not wanted whole
BUFFER = 1 << 20  # where the caller brings one
MANY = 100_000  # connections: no limit


class Proof:
    """Body by pieces: has it the right length and sum?"""

    def __init__(self, task: Task):
        self.task = task
        self.size = self.crc = 0

    def __call__(self, piece: Body) -> None:
        self.size += len(piece)
        self.crc = zlib.crc32(piece, self.crc)

    def end(self) -> None:
        found = self.size, self.crc
        wanted = self.task.size, self.task.crc
        assert found == wanted, f"{self.task.does}: read {found}, not {wanted}"


class Repeated(Job):
    """What `make` gives, again and again."""

    def __init__(self, make: Callable[[Task], Any], task: Task):
        self.make, self.task = make, task
        self.turn = make(task)
        self.counts = 0

    def prepare(self) -> None:
        if self.task.anew:
            del self.turn
            gc.collect()  # some have cycles, which keep the connection open
            self.turn = self.make(self.next_address())

    def next_address(self) -> Task:
        self.counts += 1
        host = f"127.0.0.{self.counts % self.task.addresses + 1}"
        return replace(self.task, url=self.task.url.replace("127.0.0.1", host))

    def prove(self) -> None:
        proof = Proof(self.task)
        self.once(proof)
        proof.end()

    def once(self, take: Take) -> None:
        take(self.turn())

    def run(self, n: int) -> int:
        turn, size = self.turn, 0
        for _ in range(n):
            size += len(turn())
        return size


class Streamed(Repeated):
    def once(self, take: Take) -> None:
        self.turn(take)

    def run(self, n: int) -> int:
        turn, size = self.turn, 0

        def take(piece: Body) -> None:
            nonlocal size
            size += len(piece)

        for _ in range(n):
            turn(take)
        return size


class Lined(Repeated):
    """Lines are counted; whether they keep their ends is the library's own."""

    def prove(self) -> None:
        proof, count = Proof(self.task), 0
        for line in self.turn():
            text = line.encode() if isinstance(line, str) else line
            proof(text.rstrip(b"\n") + b"\n")
            count += 1
        proof.size = count
        proof.end()

    def run(self, n: int) -> int:
        turn, count = self.turn, 0
        for _ in range(n):
            for _ in turn():
                count += 1
        return count


class Awaited(Repeated):
    """The loop runs once for each count, not once for each turn: so would a
    program's."""

    def __init__(self, make: Callable[[Task], Coroutine[Any, Any, Any]], task: Task):
        loop = asyncio.new_event_loop()
        # A session that nobody closed is no news here.
        loop.set_exception_handler(lambda loop, context: None)
        self.wait = loop.run_until_complete
        super().__init__(lambda task: self.wait(make(task)), task)

    def once(self, take: Take) -> None:
        take(self.wait(self.turn()))

    def run(self, n: int) -> int:
        return self.wait(self.turns(n))

    async def turns(self, n: int) -> int:
        turn, size = self.turn, 0
        for _ in range(n):
            size += len(await turn())
        return size


class AwaitedPieces(Awaited):
    def once(self, take: Take) -> None:
        self.wait(self.turn(take))

    async def turns(self, n: int) -> int:
        turn, size = self.turn, 0

        def take(piece: Body) -> None:
            nonlocal size
            size += len(piece)

        for _ in range(n):
            await turn(take)
        return size


class Threads:
    """`count` threads that live as long as the process; who is free takes the
    next turn."""

    def __init__(self, turn: Turn, count: int):
        self.turn = turn
        self.numbers: Iterator[int] = iter(())
        self.start, self.end = (threading.Barrier(count + 1) for _ in range(2))
        self.sizes = [0] * count
        for number in range(count):
            threading.Thread(target=self.work, args=(number,), daemon=True).start()

    def work(self, number: int) -> None:
        turn = self.turn
        while True:
            self.start.wait()
            size = 0
            try:
                for _ in self.numbers:
                    size += len(turn())
            except BaseException:
                traceback.print_exc()
                os._exit(1)  # nobody else would hear of it
            self.sizes[number] = size
            self.end.wait()

    def run(self, n: int) -> int:
        self.numbers = iter(range(n))  # its next() is one step under the GIL
        self.start.wait()
        self.end.wait()
        return sum(self.sizes)


class Opens(Repeated):
    """Connections that have served a request and are kept, as the process ends
    with them."""

    def prove(self) -> None:
        self.turn(1)

    def run(self, n: int) -> int:
        before = descriptors()
        self.turn(n)
        made = descriptors() - before  # the first may have been used again
        assert made >= n - 1, "connections were not kept"
        return n


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Shared(Repeated):
    def __init__(self, make: Callable[[Task], Turn], task: Task):
        super().__init__(make, task)
        self.threads = Threads(self.turn, task.count)

    def run(self, n: int) -> int:
        return self.threads.run(n)


def contents(make: Callable[[Task], Turn]) -> Made:
    return partial(Repeated, make)


def pieces(make: Callable[[Task], Callable[[Take], object]]) -> Made:
    return partial(Streamed, make)


def lines(make: Callable[[Task], Callable[[], Iterable[Any]]]) -> Made:
    return partial(Lined, make)


def awaited(make: Callable[[Task], Coroutine[Any, Any, Any]]) -> Made:
    return partial(Awaited, make)


def awaited_pieces(make: Callable[[Task], Coroutine[Any, Any, Any]]) -> Made:
    return partial(AwaitedPieces, make)


def opens(make: Callable[[Task], Callable[[int], object]]) -> Made:
    return partial(Opens, make)


def shared(make: Callable[[Task], Turn]) -> Made:
    return partial(Shared, make)
