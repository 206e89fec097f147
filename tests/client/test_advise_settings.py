"""What client.advise() says of settings that contradict each other, and of the
whole process: its descriptors, its short-lived clients."""

import os
import subprocess
import sys

import pytest

import hpool
from tests.server.scripted import respond, serve
from tests.tools import advance, codes, found

OK = respond(b"ok")


@pytest.fixture(autouse=True)
def process_without_a_past():
    """What other tests have done with their clients is long ago."""
    advance(3600)


def fetch(client, url, n, **how):
    for _ in range(n):
        assert client.get(url, **how).read() == b"ok"


# ---- short_lived_clients -------------------------------------------------------


def one_each(s, n, how="close"):
    for _ in range(n):
        client = hpool.Client(timeout=10)
        client.get(s.url).read()
        if how == "close":
            client.close()


@pytest.mark.parametrize("how", ["close", "drop"])
def test_short_lived_clients(server, new_client, how):
    s, other = server([serve(OK)]), server([serve(OK)])
    one_each(s, 10, how)
    host = f"127.0.0.1:{s.port}"
    for client in (new_client(), new_client()):
        advice = found(client, "short_lived_clients")  # it has no host: all
        assert (advice.severity, advice.host) == ("problem", host)
        assert f"10 clients of this process were made for {host}" in advice.finding
        assert "for 10 requests in all: each dialed anew" in advice.finding
        assert "share it" in advice.change
    fetch(client, other.url, 1)
    assert client.advise() == []  # not its affair
    fetch(client, s.url, 1)
    assert codes(client) == ["short_lived_clients"]


def test_one_client_for_all(server, new_client):
    s = server([serve(OK)])
    client = new_client()
    fetch(client, s.url, 10)
    one_each(s, 9)
    assert client.advise() == []


# ---- contradictory_limits ------------------------------------------------------


@pytest.mark.filterwarnings("ignore::hpool.LimitsWarning")
@pytest.mark.parametrize(
    "limits, finding, change",
    [
        (
            {"max_conns": 5, "max_conns_per_host": 6},
            "max_conns_per_host=6 is above max_conns=5 and has no effect",
            "Lower max_conns_per_host to 5 or raise max_conns.",
        ),
        (
            {"max_idle_conns_per_host": 200},
            "max_idle_conns_per_host=200 is above max_idle_conns=100",
            "Lower max_idle_conns_per_host to 100",
        ),
        (
            {"max_idle_conns_per_host": 9, "max_conns_per_host": 8},
            "max_idle_conns_per_host=9 is above max_conns_per_host=8",
            "Lower max_idle_conns_per_host to 8",
        ),
        (
            {"max_idle_conns": 50, "max_conns": 20},
            "max_idle_conns=50 is above max_conns=20",
            "Lower max_idle_conns to 20",
        ),
        (
            {"disable_keepalives": True, "max_idle_conns_per_host": 5},
            "so that max_idle_conns_per_host has no effect",
            "Leave out disable_keepalives or max_idle_conns_per_host",
        ),
        (
            {"idle_conn_timeout": 0, "max_idle_conns_per_host": 5},
            "idle_conn_timeout=0 closes the idle connections",
            "Raise idle_conn_timeout",
        ),
        (
            {"idle_conn_timeout": 300, "max_conn_age": 60},
            "idle_conn_timeout=300 is longer than max_conn_age=60",
            "Lower idle_conn_timeout below 60",
        ),
        (
            {"drain_bytes": 0, "drain_timeout": 1},
            "drain_bytes=0 switches draining off, so that drain_timeout=1",
            "Raise drain_bytes",
        ),
        (
            {"drain_timeout": 0, "drain_bytes": 1 << 20},
            "drain_timeout=0 switches draining off, so that drain_bytes=1048576",
            "Raise drain_timeout",
        ),
        (
            {"max_waiting": 5},
            "max_waiting=5 has no effect",
            "Set one of them or leave out max_waiting",
        ),
        (
            {"max_conns": 1 << 40},
            "max_conns=1099511627776 is above the",
            "ulimit -n",
        ),
    ],
)
def test_contradictory_limits(new_client, limits, finding, change):
    """Said at once, before any request."""
    client = new_client(limits=hpool.Limits(**limits))
    assert codes(client) == ["contradictory_limits"]
    (advice,) = client.advise()
    assert advice.severity == "hint"
    assert finding in advice.finding
    assert change in str(advice)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"max_conns": 10, "max_conns_per_host": 10, "max_idle_conns_per_host": 10},
        {"max_conns": 10},  # below the default of max_idle_conns: nobody chose that
        {"max_conn_age": 60},
        {"disable_keepalives": True},
        {"drain_bytes": 0},
        {"drain_timeout": 0},
        {"drain_bytes": 0, "drain_timeout": 0},
        {"idle_conn_timeout": 0},
        {"max_conns_per_host": 2, "max_waiting": 0},  # to fail at once is a choice
        {"max_conns_per_host": 2, "max_waiting": 100},
    ],
)
def test_limits_that_agree(new_client, limits):
    assert new_client(limits=hpool.Limits(**limits)).advise() == []


def test_go_s_limits_agree(new_client):
    assert new_client(limits=hpool.Limits.go()).advise() == []


def test_several_contradictions_are_one_advice(new_client):
    limits = hpool.Limits(max_waiting=5, drain_bytes=0, drain_timeout=1)
    (advice,) = new_client(limits=limits).advise()
    assert "has no effect; max_waiting=5 has no effect" in advice.finding
    assert advice.figures == {"drain_bytes": 0, "drain_timeout": 1, "max_waiting": 5}


# ---- descriptors ---------------------------------------------------------------

FEW_DESCRIPTORS = """
import os, resource, sys
import hpool

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
client = hpool.Client()
print(*[advice.code for advice in client.advise()])
used = len(os.listdir("/proc/self/fd")) - 1
kept = [os.dup(0) for _ in range(int(sys.argv[2]) - used)]
for advice in client.advise():
    print(advice.code, advice.severity, advice.finding)
if sys.argv[2] == "100":
    try:
        client.get(sys.argv[1])
    except hpool.ConnectError:
        print("refused")
    os.close(kept.pop())
    for advice in client.advise():
        print(advice.code, advice.severity, advice.finding)
"""


def few_descriptors(url, used):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FEW_DESCRIPTORS, url, str(used)],
        env=os.environ | {"PYTHONPATH": f"{hpool.__path__[0]}/.."},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "used, said",
    [
        (79, []),
        (80, ["descriptors hint The process has 80 of 100 descriptors open"]),
        (95, ["descriptors problem The process has 95 of 100 descriptors open"]),
    ],
)
def test_descriptors(used, said):
    assert few_descriptors("http://127.0.0.1:9/", used) == ["", *said]


def test_no_descriptors_left(server):
    """Not even one to count them by."""
    s = server([serve(OK)])
    assert few_descriptors(s.url, 100) == [
        "",
        "refused",
        "descriptors problem 1 time no descriptor was left for a connection (99 of "
        "100 are open now)",
    ]
