"""What importing a library costs: a Python is started for it."""

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

    @contents
    def made(task: Task) -> Turn:
        def turn() -> bytes:
            subprocess.run(command, check=True)
            return b""

        return turn

    return made
