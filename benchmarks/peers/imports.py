"""What `import NAME` costs: a Python is started for it. `pass` is the bare one."""

import subprocess
import sys

from benchmarks.peers import Task, Turn, contents


@contents
def statement(task: Task) -> Turn:
    """task.url is the statement."""

    def turn() -> bytes:
        subprocess.run([sys.executable, "-c", task.url], check=True)
        return b""

    return turn
