"""What importing a library costs: a Python is started for it."""

import os
import subprocess
import sys

from benchmarks.peers import Made, Task, Turn, contents

STATEMENTS = {
    "bare": "pass",
    "http_client": "import http.client",
    "pyreqwest": "import pyreqwest.client",
}


def imported(name: str) -> Made:
    command = [sys.executable, "-c", STATEMENTS.get(name, f"import {name}")]
    # Compiled once, as an installed package is; the first, unmeasured, writes it.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    @contents
    def made(task: Task) -> Turn:
        def turn() -> bytes:
            subprocess.run(command, env=env, check=True)
            return b""

        return turn

    return made
