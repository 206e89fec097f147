"""The scorecard runs, and its limits do what must be done and no more."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.score import servers
from benchmarks.score.measure import task_of
from benchmarks.score.cases import CASES, Case
from benchmarks.score.limits import Limits
from benchmarks.score.memory import MEMORY
from benchmarks.score.peers import module_of

ROOT = Path(__file__).parent.parent
TURNS = 10


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_case_runs(tmp_path):
    """One round of one turn of each, and what is written has them all."""
    command = [sys.executable, "benchmarks/scorecard.py", "--quick", "--one-core"]
    command += ["--peers", "hpool,raw,http_client,requests", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "scorecard.json").read_text())
    times = found["times"]["one core"]
    assert list(times) == [case.name for case in CASES]
    for case in CASES:
        wanted = {"hpool", "limit"} if case.limit else {"hpool"}
        assert wanted <= {module_of(peer) for peer in times[case.name]}
        assert all(values[0] > 0 for values in times[case.name].values())
    for memory in MEMORY:
        assert "hpool" in found["memory"][memory.case.name]
    page = (tmp_path / "scorecard.rst").read_text()
    assert all(f"\n{case.title}\n---" in page for case in CASES)
    asked = {"limit", "hpool", "requests", "bare", ""}
    goals = [(goal.of, goal.over) for case in CASES for goal in case.goals]
    judged = sum({module_of(a), module_of(b)} <= asked for a, b in goals)
    assert len(re.findall(r" (?:met|missed)$", page, re.M)) == judged


def test_wrong_bytes_are_noticed(tmp_path):
    """A peer whose answer is not what the case says does not take part."""
    from benchmarks.peers import Task
    from benchmarks.score.peers import Peers

    with servers.started([]) as running:
        task = Task("kept", running.c.url + "/small", 13, crc=1)
        command = Peers([], tmp_path).command("raw", task)
        done = subprocess.run(
            command, cwd=ROOT, input="1\n", capture_output=True, text=True
        )
    assert done.returncode != 0 and done.stdout == ""
    assert "kept: read" in done.stderr


# ---- the limits ------------------------------------------------------------------


def traceable():
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"]).returncode == 0


@pytest.fixture(scope="module")
def limits():
    if not traceable():
        pytest.skip("no strace, or it may not trace")
    with servers.started([case.small() for case in CASES]) as running:
        yield Limits(running)


def calls(command, turns, log):
    """The system calls of a limit, by name, that is asked for so many turns."""
    subprocess.run(
        ["strace", "-f", "-qq", "-o", log, *command],
        input=f"{turns}\n",
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return Counter(re.findall(r"(?m)^\d+ +(\w+)\(", Path(log).read_text()))


def calls_per_turn(limits, case, tmp_path):
    command, log = (
        limits.command(case, task_of(case, limits.servers)),
        str(tmp_path / "log"),
    )
    few, many = (calls(command, n, log) for n in (1, 1 + TURNS))
    many.subtract(few)
    return {name: n / TURNS for name, n in many.items() if n}


def named(*names):
    return [case for case in CASES if case.name in names]


def by_name(case: Case):
    return case.name


@pytest.mark.parametrize("case", named("get", "get-nginx", "call"), ids=by_name)
def test_a_kept_get_is_one_send_and_one_recv(limits, case, tmp_path):
    assert calls_per_turn(limits, case, tmp_path) == {"sendto": 1, "recvfrom": 1}


@pytest.mark.parametrize("case", named("get-tls"), ids=by_name)
def test_a_kept_get_over_tls_is_one_write_and_one_read(limits, case, tmp_path):
    assert calls_per_turn(limits, case, tmp_path) == {"write": 1, "read": 1}


@pytest.mark.parametrize("case", named("10kB", "1MB", "gzip"), ids=by_name)
def test_a_body_is_one_send_and_what_it_takes_to_receive(limits, case, tmp_path):
    found = calls_per_turn(limits, case, tmp_path)
    assert found.pop("sendto") == 1
    assert found.pop("recvfrom") >= 1
    assert not found.keys() - {"brk", "mmap", "munmap"}


def test_the_limit_has_the_libssl_of_hpool(limits):
    """Else TLS would be compared with another library's."""
    import hpool

    def libssl(path):
        shown = subprocess.run(
            ["ldd", path], capture_output=True, text=True, check=True
        )
        return re.search(r"libssl\S* => (\S+)", shown.stdout)[1]

    assert libssl(limits.program("get")) == libssl(hpool._core.__file__)


def test_a_new_connection_is_five_calls(limits, tmp_path):
    (case,) = named("connect")
    wanted = {"socket", "connect", "sendto", "recvfrom", "close"}
    assert calls_per_turn(limits, case, tmp_path) == dict.fromkeys(wanted, 1)


def test_a_post_is_one_send_and_one_recv(limits, tmp_path):
    (case,) = named("post")
    assert calls_per_turn(limits, case, tmp_path) == {"sendto": 1, "recvfrom": 1}


@pytest.mark.parametrize("case", named("threads-8", "limited"), ids=by_name)
def test_threads_share_the_turns(limits, case, tmp_path):
    """Beside one send and one recv of each there is only the threads' own."""
    found = calls_per_turn(limits, case, tmp_path)
    assert found["sendto"] == found["recvfrom"] == 1
