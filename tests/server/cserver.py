"""Builds cserver.c and runs it."""

import os
import shlex
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("cserver.c")
PERIOD = bytes(range(251))
SMALL = b"Hello, world!"


def body(n):
    """What /bytes/n and /chunked/n answer."""
    return (PERIOD * (n // len(PERIOD) + 1))[:n]


def compile_c(source, program, *more):
    """For C programs of one file that stand beside the tests and benchmarks."""
    cc = shlex.split(os.environ.get("CC", "cc"))
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]
    subprocess.run([*cc, *flags, str(source), "-o", str(program), *more], check=True)
    return str(program)


class CServer:
    """Runs until close(), or until this process ends and takes the pipe that is
    the server's stdin with it."""

    def __init__(self, program, *options):
        self.process = subprocess.Popen(
            [program, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
