"""The limits: C programs that do what must be done, compiled when asked for."""

from pathlib import Path

from benchmarks.score.cases import Case
from benchmarks.score.servers import Servers
from tests.server.cserver import compile_c
from tests.server.scripted import ScriptedServer, expect, respond, send

FOLDER = Path(__file__).parent.parent / "limits"
LIBRARIES = ["-lssl", "-lcrypto", "-lpthread"]


class Limits:
    """command(case) is what to start for it."""

    def __init__(self, servers: Servers):
        self.servers = servers
        self.programs: dict[str, str] = {}

    def program(self, name: str) -> str:
        if name not in self.programs:
            made = self.servers.folder / f"limit-{name}"
            source = FOLDER / f"{name}.c"
            self.programs[name] = compile_c(source, made, "-Werror", *LIBRARIES)
        return self.programs[name]

    def command(self, case: Case) -> list[str]:
        name, *arguments = case.limit.split()
        servers = self.servers
        port = int(servers.url(case.server).rpartition(":")[2])
        request = servers.folder / f"{case.name}.request"
        request.write_bytes(request_of_hpool(port, case.path))
        given = {
            "port": port,
            "request": request,
            "size": case.size,
            "count": case.count,
            "anew": int(case.anew),
        }
        if case.server == "https":
            given["ca"] = servers.ca
        arguments += [f"{key}={value}" for key, value in given.items()]
        return [self.program(name), *arguments]


def request_of_hpool(port: int, path: str) -> bytes:
    """Exactly the bytes hpool sends: the limit is to send no others."""
    import hpool

    with ScriptedServer([expect(), send(respond(b"x"))]) as server:
        with hpool.Client() as client, client.get(f"{server.url}{path}") as response:
            assert response.read() == b"x"
        head: bytes = server.requests[0].head
        return head.replace(b":%d\r\n" % server.port, b":%d\r\n" % port)
