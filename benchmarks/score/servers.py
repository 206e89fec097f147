"""The servers, and which core everybody runs on."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi

from benchmarks.score import coded
from benchmarks.score.cases import Case
from tests.server.authority import Authority
from tests.server.cserver import SMALL, SOURCE, CServer, body, compile_c
from tests.server.nginx import EVERYWHERE, Nginx


MORE = "sendfile on; tcp_nopush on;"  # as Debian has it
for coding in coded.CODINGS:
    MORE += f"location = /{coding}.json {{ add_header Content-Encoding {coding}; }}"
ADDRESSES = 16  # to spread new connections over: each has some 28,000 ports


def addresses() -> list[str]:
    return [f"127.0.0.{i + 1}" for i in range(ADDRESSES)]


@dataclass(frozen=True)
class Servers:
    folder: Path
    c: CServer
    nginx: Nginx
    ca: str

    def url(self, server: str) -> str:
        urls = {"http": self.nginx.http_url, "https": self.nginx.https_url}
        return urls.get(server, self.c.url)

    def ca_of(self, case: Case) -> str:
        """The file to trust, "" for plain connections."""
        if case.server != "https":
            return ""
        return str(self.folder / "roots.pem") if case.roots else self.ca

    def upload_of(self, case: Case) -> str:
        return str(self.folder / f"upload-{case.upload}") if case.upload else ""

    def pids(self) -> Iterator[int]:
        yield self.c.process.pid
        master = self.nginx.process.pid
        yield master
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        yield from map(int, children.split())


def content_of(case: Case) -> bytes:
    """What a case's path answers. Numbers are the C server's, as are the bytes
    of all the files that are not text: byte i is i % 251."""
    if case.upload:
        return b"%d" % case.upload
    if case.coding:
        return coded.text(case.size)
    if case.path == "/1GB":
        return bytes(case.size)
    if case.path == "/lines":
        return b"".join(b"%079d\n" % i for i in range(case.size))
    if case.size == len(SMALL):
        return SMALL
    content: bytes = body(case.size)
    return content


def file_of(case: Case) -> bytes:
    """What nginx has to send for it."""
    content = content_of(case)
    return coded.coded(case.coding, content) if case.coding else content


def write(file: Path, case: Case) -> None:
    if case.path == "/1GB":
        file.touch()
        os.truncate(file, case.size)  # with nothing on the disk
    else:
        file.write_bytes(file_of(case))


@contextmanager
def started(cases: Sequence[Case]) -> Iterator[Servers]:
    """With the files that the cases want of nginx."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority(folder)
        program = compile_c(SOURCE, folder / "cserver")
        c = stack.enter_context(CServer(program, "--everywhere", "1"))
        home = folder / "nginx"
        home.mkdir()
        nginx = Nginx(home, authority.files(*addresses()), EVERYWHERE, MORE, 8000)
        stack.callback(nginx.close)
        for case in cases:
            if case.server != "c":
                file = home / "www" / case.path.strip("/")
                write(file, case)
            if case.upload:
                (folder / f"upload-{case.upload}").write_bytes(body(case.upload))
        authority.ca.cert_pem.write_to_path(authority.pem)
        common = Path(certifi.where()).read_bytes()
        (folder / "roots.pem").write_bytes(common + Path(authority.pem).read_bytes())
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
