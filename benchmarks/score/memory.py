"""How much memory peers take: by each idle connection, and by a long download."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks.peers import Task
from benchmarks.score.cases import SMALL, Case
from benchmarks.score.limits import Limits
from benchmarks.score.peers import Peers, module_of
from benchmarks.score.rounds import Peer

KB = 1000
# To open so many takes some the square of their number.
FEWER = {"httpx": 500, "httpx2": 500}


@dataclass(frozen=True)
class Memory:
    """`case` says what is done, `times` how often at once, and `most` how many kB
    hpool may grow by each time."""

    case: Case
    memory: str  # see Task
    times: int
    most: float
    rounds: int = 3

    def small(self) -> "Memory":
        """To see that it runs."""
        times = min(self.times, 10)
        return replace(self, case=self.case.small(), times=times, rounds=1)


def idle(name: str, title: str, server: str, times: int, most: float) -> Memory:
    peers = ["hpool", "pycurl", "go", "http_client", "urllib3", "httpx", "httpx2"]
    case = Case(
        name,
        title,
        server,
        path="/small",
        size=SMALL,
        does="idle",
        limit="idle",
        peers=(*peers, "requests"),
    )
    return Memory(case, "now", times, most)


STREAMED = Case(
    "memory-stream",
    "1 GB, streamed",
    server="http",
    path="/1GB",
    size=1_000_000_000,
    does="chunks",
    limit="",
    peers=(
        *("hpool", "raw", "pycurl", "pyreqwest", "http_client", "aiohttp", "curl_cffi"),
        *("urllib3", "niquests", "httpx", "httpx2", "requests"),
    ),
)

MEMORY = [
    idle("memory-idle", "an idle connection", "c", 6000, 2),
    idle("memory-idle-tls", "an idle TLS connection", "https", 300, 32),
    Memory(STREAMED, "peak", 1, 1000, rounds=1),
]


def grown(
    memory: Memory, task: Task, limits: Limits, peers: Peers
) -> dict[str, list[float]]:
    """kB that each takes each time, for each round: a process of its own."""
    task = replace(task, memory=memory.memory)
    commands = {}
    if memory.case.limit:
        commands["limit"] = limits.command(memory.case, task)
    for name in there(memory.case.peers, peers):
        commands[name] = peers.command(name, task)
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(memory.rounds):
        for name, command in commands.items():
            times = min(memory.times, FEWER.get(name, memory.times))
            found[name].append(ask(name, command, times) / times / KB)
    return found


def there(names: Iterable[str], peers: Peers) -> list[str]:
    return [name for name in names if module_of(name) in peers.versions]


def ask(name: str, command: list[str], times: int) -> int:
    with Peer(name, command, 0) as peer:
        return peer.ask(times)[1]
