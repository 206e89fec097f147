"""The core does not get slower unnoticed: a kept GET over the scripted stream
costs as many instructions as are written down in benchmarks/results."""

import pytest

from benchmarks.score import instructions
from benchmarks.score.callgrind import Line, parse

SLACK = 0.05


@pytest.fixture(scope="module")
def cost():
    if not instructions.available():
        pytest.skip("no valgrind")
    return instructions.of_core()


@pytest.mark.timeout(600)
def test_the_core_is_as_fast_as_written_down(cost):
    name = instructions.compiler()
    known = instructions.recorded().get(name)
    if known is None:
        instructions.record(cost.core)
        pytest.skip(f"first count with {name}, now in {instructions.RECORDED}")
    assert known * (1 - SLACK) <= cost.core <= known * (1 + SLACK), (
        f"{cost.core} instructions for a kept GET, {known} are written down for "
        f"{name}; if that is meant: python -m benchmarks.score.instructions --record"
    )


@pytest.mark.timeout(600)
def test_every_storey_has_its_part(cost):
    assert cost.storeys.keys() >= {"base", "wire", "net", "pool", "run"}


@pytest.mark.timeout(600)
def test_statistics_cost_less_than_one_percent(cost):
    assert 0 < cost.statistics < cost.core / 100


# ---- reading what callgrind writes -----------------------------------------------

WRITTEN = """\
version: 1
positions: line
events: Ir

ob=(1) /usr/lib/libc.so.6
fl=(1) ???
fn=(1) memcpy
0 7

ob=(2) /x/_core.so
fl=(2) csrc/run/head.c
fn=(2) step
10 1
+2 2
* 3
fi=(3) ./csrc/base/buf.h
5 4
fe=(2)
-3 5
cob=(1)
cfi=(1)
cfn=(1)
calls=1 0
12 1000
+1 6
"""


def test_callgrind_is_read():
    """Inlined functions count where they are written, callees where they are."""
    core = "/x/_core.so"
    assert dict(parse(WRITTEN)) == {
        Line("/usr/lib/libc.so.6", "???", 0): 7,
        Line(core, "csrc/run/head.c", 10): 1,
        Line(core, "csrc/run/head.c", 12): 5,
        Line(core, "./csrc/base/buf.h", 5): 4,
        Line(core, "csrc/run/head.c", 2): 5,
        Line(core, "csrc/run/head.c", 13): 6,
    }


def test_lines_know_their_place():
    places = {
        Line("/x/_core.so", "./csrc/wire/head.c", 1): "wire",
        Line("/x/_core.so", "csrc/hp.h", 1): "hp",
        Line("/usr/lib/x86_64-linux-gnu/libc.so.6", "???", 0): "c",
        Line("/usr/lib/libpython3.11.so.1.0", "???", 0): "python",
    }
    assert {line: line.place for line in places} == places
