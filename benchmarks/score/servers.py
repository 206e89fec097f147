"""The servers, and which core everybody runs on."""

import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.server.authority import Authority
from tests.server.cserver import SMALL, SOURCE, CServer, body, compile_c
from tests.server.nginx import Nginx

FILES = {"small": 13, "10kB": 10_000, "1MB": 1_000_000, "100MB": 100_000_000}


@dataclass(frozen=True)
class Servers:
    folder: Path
    c: CServer
    nginx: Nginx
    ca: str

    def url(self, server: str) -> str:
        urls = {"http": self.nginx.http_url, "https": self.nginx.https_url}
        return urls.get(server, self.c.url)

    def pids(self) -> Iterator[int]:
        yield self.c.process.pid
        master = self.nginx.process.pid
        yield master
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        yield from map(int, children.split())


def write_files(folder: Path, names: set[str]) -> None:
    """Bodies as the C server's /bytes/N: byte i is i % 251."""
    for name in names & FILES.keys():
        (folder / name).write_bytes(body(FILES[name]))


def crc_of(path: str) -> int:
    return zlib.crc32(SMALL if path == "/small" else body(FILES[path.strip("/")]))


@contextmanager
def started(names: set[str]) -> Iterator[Servers]:
    """With these files below nginx's root."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority(folder)
        program = compile_c(SOURCE, folder / "cserver")
        c = stack.enter_context(CServer(program))
        home = folder / "nginx"
        home.mkdir()
        nginx = Nginx(home, authority.files())
        stack.callback(nginx.close)
        write_files(home / "www", names - {"small"})
        authority.ca.cert_pem.write_to_path(authority.pem)
        yield Servers(folder, c, nginx, authority.pem)


# ---- cores -----------------------------------------------------------------------


def place(pids: Iterator[int], cores: set[int]) -> None:
    for pid in pids:
        os.sched_setaffinity(pid, cores)


def cores_for(placement: str) -> tuple[int, int] | None:
    """(the servers', the clients') core, or None if there are too few. Two
    processes that share a core by luck, or not, cannot be compared."""
    cores = sorted(os.sched_getaffinity(0))
    if placement == "one core":
        return cores[-1], cores[-1]
    return (cores[0], cores[-1]) if len(cores) > 1 else None
