"""The limits: C programs that do what must be done, compiled when asked for."""

from dataclasses import replace
from pathlib import Path

from benchmarks.peers import Task
from benchmarks.score.cases import Case
from benchmarks.score.rounds import Times
from benchmarks.score.servers import Servers, file_of
from tests.server.cserver import compile_c
from tests.server.scripted import ScriptedServer, expect, respond, send

FOLDER = Path(__file__).parent.parent / "limits"
LIBRARIES = ["-lssl", "-lcrypto", "-lpthread"]
OTHER_WAY = "limit:the other way"
CODECS = {"decode": ["-lz", "-lbrotlidec", "-lzstd"]}


class Limits:
    """command(case) is what to start for it."""

    def __init__(self, servers: Servers):
        self.servers = servers
        self.programs: dict[str, str] = {}

    def program(self, name: str) -> str:
        if name not in self.programs:
            made = self.servers.folder / f"limit-{name}"
            libraries = [*LIBRARIES, *CODECS.get(name, [])]
            source = FOLDER / f"{name}.c"
            self.programs[name] = compile_c(source, made, "-Werror", *libraries)
        return self.programs[name]

    def commands(self, case: Case, task: Task) -> dict[str, list[str]]:
        ways = {"limit": case.limit, OTHER_WAY: case.or_limit}
        return {
            name: self.command(case, task, way) for name, way in ways.items() if way
        }

    def command(self, case: Case, task: Task, way: str = "") -> list[str]:
        name, *arguments = (way or case.limit).split()
        port = int(self.servers.url(case.server).rpartition(":")[2])
        request = self.servers.folder / f"{case.name}.request"
        request.write_bytes(request_of_hpool(case, task, port))
        given = {
            "port": port,
            "request": request,
            "size": task.size,
            "count": task.count,
            "anew": int(task.anew),
            "addresses": task.addresses,
            "ca": task.ca,
            "file": task.upload,
            "coded": len(file_of(case)) if case.coding else 0,
        }
        arguments += [f"{key}={value}" for key, value in given.items() if value]
        return [self.program(name), *arguments]


def fold(times: Times) -> Times:
    """The limit is the faster of its ways, in each round."""
    other = times.pop(OTHER_WAY, None)
    if other:
        times["limit"] = [min(pair) for pair in zip(times["limit"], other, strict=True)]
    return times


def request_of_hpool(case: Case, task: Task, port: int) -> bytes:
    """Exactly the bytes hpool sends: the limit is to send no others. Of a file
    only the head: the limit reads it as hpool does."""
    from benchmarks.peers import hpool

    with ScriptedServer([expect(), send(respond(b"x"))]) as server:
        url = f"{server.url}{case.path}"
        job = getattr(hpool, case.asks)(replace(task, url=url, ca=""))
        job.once(lambda body: None)
        sent = server.requests[0]
    head: bytes = sent.head.replace(b":%d\r\n" % server.port, b":%d\r\n" % port)
    return head if case.asks == "post_file" else head + sent.body
