"""hpool beside bare C and pycurl, in one run on one core.

    python benchmarks/first.py [--rounds 21] [--out benchmarks/results]

Rounds are interleaved (A B C A B C ...), a ratio is taken within each round, and
the median of the rounds is what counts; so whatever slows the machine down slows
all of them down. Server and clients share one core: whether two processes do is
otherwise luck, and a wake-up across cores costs more than what is measured here.

Writes first.json (every round) and first.rst (a table).
"""

import argparse
import json
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.peers import BIG, BUFFER, SMALL  # noqa: E402
from tests.server.cserver import SOURCE, CServer, compile_c  # noqa: E402
from tests.server.scripted import (  # noqa: E402
    ScriptedServer,
    expect,
    respond,
    send,
)

# What is wanted: (case, what, over what, "at most" or "at least", figure). The
# ratio is of times, the first peer's over the second's.
GOALS = [
    ("small", "hpool_get", "limit", "at most", 1.5),
    ("small", "pycurl_get", "hpool_get", "at least", 1.5),
    ("big", "raw_big", "hpool_big", "at least", 0.85),
    ("big", "limit", "hpool_big", None, None),
]
CLIENT_GOAL_US = 100
# case: (slices of a round, turns of a slice). Slices are interleaved too, so that
# a disturbance shorter than a round falls on all alike.
TURNS = {"small": (10, 200), "big": (1, 1), "client": (1, 2000)}

NAMES = {
    ("small", "limit"): "C, one send and one recv",
    ("small", "hpool_get"): "hpool, client.get(url).content",
    ("small", "pycurl_get"): "pycurl, one kept handle",
    ("big", "limit"): "C, recv loop",
    ("big", "hpool_big"): "hpool, response.readinto",
    ("big", "raw_big"): "Python, socket.recv_into loop",
    ("client", "hpool_client"): "hpool, Client().close()",
}


class Peer:
    """A process that takes a count and answers with nanoseconds a turn."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def measure(self, turns):
        self.process.stdin.write(f"{turns}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args} failed")
        return float(answer)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.communicate(timeout=30)


# ---- who takes part --------------------------------------------------------------


def request_of_hpool(port, path):
    """Exactly the bytes hpool sends: bare C is to send no others."""
    import hpool

    with ScriptedServer([expect(), send(respond(SMALL))]) as server:
        with hpool.Client() as client, client.get(f"{server.url}{path}") as response:
            assert response.read() == SMALL
        head = server.requests[0].head
        return head.replace(b":%d\r\n" % server.port, b":%d\r\n" % port)


def python_peer(name, port):
    return [sys.executable, str(HERE / "peers.py"), name, str(port)]


def commands(case, port, folder):
    """name: command line of each peer of a case, in the order of asking."""
    if case == "client":
        return {"hpool_client": python_peer("hpool_client", port)}
    path = "/small" if case == "small" else f"/bytes/{BIG}"
    request = Path(folder, f"{case}.request")
    request.write_bytes(request_of_hpool(port, path))
    limit = [f"{folder}/limit", "ping" if case == "small" else "recv"]
    limit += [str(port), str(request)]
    if case == "small":
        limit += [SMALL.decode()]
        others = ("hpool_get", "pycurl_get")
    else:
        limit += [str(BIG), str(BUFFER)]
        others = ("hpool_big", "raw_big")
    return {"limit": limit, **{name: python_peer(name, port) for name in others}}


# ---- measuring -------------------------------------------------------------------


def run_case(case, port, folder, rounds):
    """name: nanoseconds a turn, for each round."""
    with ExitStack() as stack:
        peers = {
            name: stack.enter_context(Peer(command))
            for name, command in commands(case, port, folder).items()
        }
        run_round(peers, *TURNS[case])  # warm
        found = [run_round(peers, *TURNS[case]) for _ in range(rounds)]
    return {name: [times[name] for times in found] for name in peers}


def run_round(peers, slices, turns):
    """name: nanoseconds a turn, of one round."""
    times = dict.fromkeys(peers, 0.0)
    for _ in range(slices):
        for name, peer in peers.items():
            times[name] += peer.measure(turns) / slices
    return times


def run_all(rounds):
    with tempfile.TemporaryDirectory() as folder:
        compile_c(HERE / "limit.c", f"{folder}/limit")
        program = compile_c(SOURCE, f"{folder}/cserver")
        with CServer(program) as server:
            return {
                case: run_case(case, server.port, folder, rounds) for case in TURNS
            }


def pin():
    """This process, and so all that it starts, to one core."""
    if hasattr(os, "sched_setaffinity"):
        core = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})


# ---- reporting -------------------------------------------------------------------


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "low": low, "high": high}


def judge(value, how, figure):
    met = {"at most": value <= (figure or 0), "at least": value >= (figure or 0)}
    return None if how is None else met[how]


def ratios(times):
    found = []
    for case, top, bottom, how, figure in GOALS:
        rounds = zip(times[case][top], times[case][bottom])
        values = spread([a / b for a, b in rounds])
        found.append(
            {
                "case": case,
                "of": top,
                "over": bottom,
                **values,
                "goal": how and f"{how} {figure}",
                "met": judge(values["median"], how, figure),
            }
        )
    client = spread([ns / 1000 for ns in times["client"]["hpool_client"]])
    found.append(
        {
            "case": "client",
            "of": "hpool_client",
            "over": None,
            **client,
            "goal": f"at most {CLIENT_GOAL_US} us",
            "met": judge(client["median"], "at most", CLIENT_GOAL_US),
        }
    )
    return found


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.machine()


def machine(cores):
    import pycurl

    return {
        "cpu": cpu_model(),
        "cores": cores,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "pycurl": pycurl.version.split()[0],
    }


def table(heading, rows):
    """An RST simple table."""
    rows = [heading, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heading))]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in rows
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def scaled(ns):
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.1f} {unit}"
    return f"{ns:.0f} ns"


def times_table(times):
    titles = {
        "small": "kept GET, 13 bytes",
        "big": "100 MB, new connection",
        "client": "a new client",
    }
    rows = []
    for case, peers in times.items():
        for name, values in peers.items():
            s = spread(values)
            middle = f"{scaled(s['low'])} to {scaled(s['high'])}"
            who = NAMES[case, name]
            rows.append([titles[case], who, scaled(s["median"]), middle])
    return table(["case", "who", "median", "middle half"], rows)


def goals_table(found):
    rows = []
    for row in found:
        over = f" / {NAMES[row['case'], row['over']]}" if row["over"] else ", us"
        what = NAMES[row["case"], row["of"]] + over
        met = {True: "met", False: "missed", None: ""}[row["met"]]
        middle = f"{row['low']:.2f} to {row['high']:.2f}"
        figure = f"{row['median']:.2f}"
        rows.append([what, figure, middle, row["goal"] or "-", met or "-"])
    return table(["times", "median", "middle half", "goal", ""], rows)


def report(result):
    lines = [
        "First measurement",
        "=================",
        "",
        "Server and clients on one core, rounds interleaved; figures are medians of",
        f"{result['rounds']} rounds. A ratio is taken within each round. Made by",
        "``make bench``.",
        "",
        times_table(result["times_ns"]),
        "",
        goals_table(result["ratios"]),
        "",
        *(f":{name}: {value}" for name, value in result["machine"].items()),
        "",
    ]
    return "\n".join(lines)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=21)
    options.add_argument("--out", type=Path, default=HERE / "results")
    chosen = options.parse_args()
    about = machine(os.cpu_count())
    pin()
    times = run_all(chosen.rounds)
    result = {
        "machine": about,
        "rounds": chosen.rounds,
        "ratios": ratios(times),
        "times_ns": times,
    }
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "first.json").write_text(json.dumps(result, indent=1) + "\n")
    text = report(result)
    (chosen.out / "first.rst").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
