"""See __init__.py. `python -m benchmarks.peers NAME` alone prints the version."""

import importlib
import importlib.metadata
import json
import platform
import sys
import time

from benchmarks.peers import Task

OWN = {"raw", "http_client"}  # no package but Python's own


def version(name: str) -> str:
    return (
        platform.python_version() if name in OWN else importlib.metadata.version(name)
    )


def main(name: str, task: str | None = None) -> None:
    peer = importlib.import_module(f"benchmarks.peers.{name}")
    if task is None:
        print(version(name))
        return
    chosen = Task(**json.loads(task))
    job = getattr(peer, chosen.does)(chosen)
    job.prove()
    print("ready", flush=True)
    for line in sys.stdin:
        job.prepare()
        start = time.perf_counter_ns()
        size = job.run(int(line))
        print(time.perf_counter_ns() - start, size, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
