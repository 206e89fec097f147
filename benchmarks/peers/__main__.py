"""See __init__.py. `python -m benchmarks.peers NAME` alone prints the version."""

import importlib
import importlib.metadata
import json
import platform
import sys
import time
from typing import Any

from benchmarks.peers import Task
from benchmarks.peers.imports import imported
from benchmarks.peers.memory import Growth, allow_many_descriptors

OWN = {"bare", "raw", "http_client"}  # no package but Python's own


def version(name: str) -> str:
    return (
        platform.python_version() if name in OWN else importlib.metadata.version(name)
    )


def main(name: str, task: str | None = None) -> None:
    peer: Any = importlib.import_module(f"benchmarks.peers.{name}")
    if task is None:
        print(version(name))
        return
    chosen = Task(**json.loads(task))
    peer.imported = imported(name)
    allow_many_descriptors()
    job = getattr(peer, chosen.does)(chosen)
    job.prove()
    print("ready", flush=True)
    for line in sys.stdin:
        job.prepare()
        growth = Growth(chosen.memory == "peak") if chosen.memory else None
        start = time.perf_counter_ns()
        size = job.run(int(line))
        taken = time.perf_counter_ns() - start
        print(taken, growth.bytes() if growth else size, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
