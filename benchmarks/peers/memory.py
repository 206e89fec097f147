"""How much memory this process has."""

import gc
import re
import resource
from pathlib import Path

KB = 1024


def status(name: str) -> int:
    """Bytes, of VmRSS or VmHWM, the most there ever was of it."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * KB


class Growth:
    """`peak`: the most there was since the beginning, else what is there now."""

    def __init__(self, peak: bool):
        self.peak = peak
        gc.collect()
        if peak:
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM is now VmRSS
        self.before = status("VmRSS")

    def bytes(self) -> int:
        if not self.peak:
            gc.collect()
        return status("VmHWM" if self.peak else "VmRSS") - self.before


def allow_many_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
