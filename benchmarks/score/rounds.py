"""Peers as processes, and rounds in which they are asked in turn."""

import os
import statistics
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def environment() -> dict[str, str]:
    """Without what the libraries would take from it: proxies and authorities."""
    takes = ("_PROXY", "_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {k: v for k, v in os.environ.items() if not k.upper().endswith(takes)}


class Peer:
    """A process that takes a count and answers with the time of so many turns and
    the body bytes it has read. Open as long as its case."""

    def __init__(self, name: str, command: list[str], size: int):
        self.name, self.size, self.turns = name, size, 1
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        # They share a core: nobody is measured while another starts.
        self.receive("ready")

    def measure(self, turns: int) -> float:
        """Nanoseconds a turn."""
        taken, size = self.ask(turns)
        if size != turns * self.size:
            raise SystemExit(f"{self.name} read {size} bytes in {turns} turns")
        return taken / turns

    def ask(self, turns: int) -> tuple[int, int]:
        """What it answers: nanoseconds, and bytes."""
        assert self.process.stdin
        self.process.stdin.write(f"{turns}\n")
        self.process.stdin.flush()
        taken, size = map(int, self.receive().split())
        return taken, size

    def receive(self, wanted: str = "") -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line or wanted not in line:
            raise SystemExit(f"{self.name} failed: {self.process.args!r}")
        return line

    def choose_turns(self, slice_ns: float, most: int) -> None:
        """As many as fit a slice. The first ones cost more than the others will,
        and a few of many threads more than many: so by steps."""
        for _ in range(3):
            self.measure(1)
        while True:
            once = self.measure(self.turns)
            fit = max(1, min(most, int(slice_ns / once)))
            if fit <= 2 * self.turns:
                break
            self.turns = min(fit, 8 * self.turns)
        self.turns = fit

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.communicate(timeout=60)


@dataclass(frozen=True)
class Pace:
    rounds: int
    slices: int
    slice_ms: float  # 0: a single turn
    turns_max: int


Times = dict[str, list[float]]  # peer: nanoseconds a turn, of each round


def run(commands: Mapping[str, list[str]], size: int, pace: Pace) -> Times:
    """A B C A B C ...; a round is several slices of each."""
    with ExitStack() as stack:
        peers = [
            stack.enter_context(Peer(name, command, size))
            for name, command in commands.items()
        ]
        for peer in peers:
            if pace.slice_ms:
                peer.choose_turns(pace.slice_ms * 1e6, pace.turns_max)
        found = [one_round(peers, pace.slices) for _ in range(pace.rounds)]
    return {peer.name: [times[peer.name] for times in found] for peer in peers}


def one_round(peers: list[Peer], slices: int) -> dict[str, float]:
    times = dict.fromkeys((peer.name for peer in peers), 0.0)
    for _ in range(slices):
        for peer in peers:
            times[peer.name] += peer.measure(peer.turns) / slices
    return times


@dataclass(frozen=True)
class Spread:
    low: float
    median: float
    high: float


def spread(values: list[float]) -> Spread:
    """Median and quartiles."""
    if len(values) == 1:
        return Spread(*values * 3)
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def ratios(of: list[float], over: list[float]) -> list[float]:
    """Within each round."""
    return [a / b for a, b in zip(of, over, strict=True)]
