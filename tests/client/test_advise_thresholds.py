"""Where advice begins: made-up statistics on both sides of each threshold. What
provokes them for real is in test_advise.py."""

import pytest

import hpool
from hpool import _core
from hpool._diagnosis import Seen, diagnose
from hpool._stats import Counts, Gauges, HostStats, Stats

HOST = "|http|a.test:80"


def row(key="", *, in_use=0, waiting=0, closes=None, timeouts=None, **counted):
    """A host's statistics, of which only what matters is said."""
    fields = dict.fromkeys(HostStats.__slots__, 0)
    fields |= {
        "key": key,
        "now": Gauges(0, 0, 0, 0, 0),
        "peak": Gauges(0, in_use, 0, 0, waiting),
        "closes": Counts(dict.fromkeys(_core._close_reasons[1:], 0) | (closes or {})),
        "timeouts": Counts(dict.fromkeys(_core._phases[1:], 0) | (timeouts or {})),
        "replays": Counts(dict.fromkeys(_core._replay_reasons[1:], 0)),
    }
    return HostStats(**fields | counted)


def judge(total, *hosts, limits=None, **seen):
    stats = Stats(total, {host.key: host for host in hosts}, row())
    return diagnose(Seen(stats, limits or hpool.Limits(), **seen))


def one_host(*, limits=None, seen=None, **counted):
    """A client that talks to one host, all of it remembered."""
    found = judge(row(**counted), row(HOST, **counted), limits=limits, **(seen or {}))
    assert all(advice.host in ("a.test:80", None) for advice in found)
    return [(advice.code, advice.severity) for advice in found]


CAPPED = hpool.Limits(max_idle_conns_per_host=2)
CAPPED_IN_ALL = hpool.Limits(max_idle_conns=2)
QUEUED = hpool.Limits(max_conns_per_host=5)


@pytest.mark.parametrize(
    "code, limits, silent, enough",
    [
        (  # a number of them
            "idle_cap",
            CAPPED,
            {"dials": 40, "in_use": 5, "closes": {"idle_cap_host": 9}},
            {"dials": 40, "in_use": 5, "closes": {"idle_cap_host": 10}},
        ),
        (  # a share of all
            "idle_cap",
            CAPPED,
            {"dials": 501, "in_use": 5, "closes": {"idle_cap_host": 100}},
            {"dials": 500, "in_use": 5, "closes": {"idle_cap_host": 100}},
        ),
        (  # many hosts, one at a time: no cap would be high enough
            "idle_cap",
            CAPPED_IN_ALL,
            {"dials": 100, "in_use": 2, "closes": {"idle_cap_total": 98}},
            {"dials": 100, "in_use": 3, "closes": {"idle_cap_total": 98}},
        ),
        (  # hosts that are come back to
            "idle_cap",
            CAPPED_IN_ALL,
            {"dials": 40, "cap_misses": 9, "cap_short": 90},
            {"dials": 40, "cap_misses": 10, "cap_short": 100},
        ),
        (
            "idle_cap",
            CAPPED_IN_ALL,
            {"dials": 501, "cap_misses": 100, "cap_short": 100},
            {"dials": 500, "cap_misses": 100, "cap_short": 100},
        ),
        (
            "bodies_unread",
            None,
            {"requests": 20, "closes": {"body_unread": 4, "drain_too_long": 5}},
            {"requests": 20, "closes": {"body_unread": 5, "drain_too_long": 5}},
        ),
        (
            "bodies_unread",
            None,
            {"requests": 1001, "closes": {"drain_timeout": 100}},
            {"requests": 1000, "closes": {"drain_timeout": 100}},
        ),
        ("leaked_responses", None, {"leaked": 9}, {"leaked": 10}),
        (
            "stale_reuse",
            None,
            {"dials": 9, "stale": 9, "stale_seconds": 45, "stale_squares": 225},
            {"dials": 9, "stale": 10, "stale_seconds": 50, "stale_squares": 250},
        ),
        (
            "stale_reuse",
            None,
            {"dials": 101, "stale": 20, "stale_seconds": 100, "stale_squares": 500},
            {"dials": 100, "stale": 20, "stale_seconds": 100, "stale_squares": 500},
        ),
        (  # a number
            "queueing",
            QUEUED,
            {"requests": 20, "waits": 9, "host_waits": 9, "wait_seconds": 9},
            {"requests": 20, "waits": 10, "host_waits": 10, "wait_seconds": 9},
        ),
        (  # a share
            "queueing",
            QUEUED,
            {"requests": 101, "waits": 10, "host_waits": 10, "wait_seconds": 9},
            {"requests": 100, "waits": 10, "host_waits": 10, "wait_seconds": 9},
        ),
        (  # a time worth the word
            "queueing",
            QUEUED,
            {"requests": 50, "waits": 50, "host_waits": 50, "wait_seconds": 0.49},
            {"requests": 50, "waits": 50, "host_waits": 50, "wait_seconds": 0.51},
        ),
        (
            "queueing",
            QUEUED,
            {"requests": 5000, "timeouts": {"pool": 4}, "refused": 5, "host_waits": 1},
            {"requests": 5000, "timeouts": {"pool": 5}, "refused": 5, "host_waits": 1},
        ),
        (
            "timeouts",
            None,
            {"requests": 20, "timeouts": {"connect": 9}},
            {"requests": 20, "timeouts": {"connect": 10}},
        ),
        (
            "timeouts",
            None,
            {"requests": 201, "timeouts": {"head": 10}},
            {"requests": 200, "timeouts": {"head": 10}},
        ),
        (  # in one phase
            "timeouts",
            None,
            {"requests": 20, "timeouts": {"head": 7, "body": 3}},
            {"requests": 20, "timeouts": {"head": 8, "body": 2}},
        ),
        (
            "time_wait",
            None,
            {"requests": 19, "dials": 19, "closes": {"request_says_close": 19}},
            {"requests": 20, "dials": 20, "closes": {"request_says_close": 20}},
        ),
        (
            "time_wait",
            hpool.Limits(max_requests_per_conn=3),
            {"requests": 99, "dials": 49, "reuses": 50, "closes": {"max_requests": 49}},
            {"requests": 99, "dials": 50, "reuses": 49, "closes": {"max_requests": 49}},
        ),
        (  # half of them
            "time_wait",
            None,
            {"requests": 50, "dials": 50, "closes": {"close_idle_called": 24}},
            {"requests": 50, "dials": 50, "closes": {"close_idle_called": 25}},
        ),
        (  # idle for ten seconds: nobody churns
            "time_wait",
            hpool.Limits(idle_conn_timeout=10),
            {"requests": 50, "dials": 50, "closes": {"idle_timeout": 1}},
            {"requests": 50, "dials": 50, "closes": {"made_room": 50}},
        ),
        (
            "server_closes",
            None,
            {"requests": 40, "dials": 40, "closes": {"http_1_0": 19}},
            {"requests": 40, "dials": 40, "closes": {"http_1_0": 20}},
        ),
        (
            "full_handshakes",
            None,
            {"handshakes": 60, "unresumed": 19},
            {"handshakes": 60, "unresumed": 20},
        ),
        (
            "full_handshakes",
            None,
            {"handshakes": 100, "unresumed": 90, "resumed": 11},
            {"handshakes": 100, "unresumed": 90, "resumed": 10},
        ),
    ],
)
def test_threshold(code, limits, silent, enough):
    assert one_host(limits=limits, **silent) == []
    assert [found for found, _ in one_host(limits=limits, **enough)] == [code]


@pytest.mark.parametrize("timeout, said", [(9.9, True), (10, False), (None, False)])
def test_idle_timeouts_that_churn(timeout, said):
    limits = hpool.Limits(idle_conn_timeout=timeout)
    counted = {"requests": 50, "dials": 50, "closes": {"idle_timeout": 50}}
    assert one_host(limits=limits, **counted) == [("time_wait", "problem")] * said


def test_max_requests_of_the_server():
    """Its Keep-Alive: max= is not a setting of ours."""
    counted = {"requests": 50, "dials": 50, "closes": {"max_requests": 50}}
    assert one_host(**counted) == []


@pytest.mark.parametrize(
    "descriptors, severity",
    [
        (None, None),
        ((799, 1000), None),
        ((800, 1000), "hint"),
        ((949, 1000), "hint"),
        ((950, 1000), "problem"),
    ],
)
def test_descriptors(descriptors, severity):
    said = [("descriptors", severity)] if severity else []
    assert one_host(seen={"descriptors": descriptors}) == said


def test_descriptors_where_nobody_can_count_them():
    (advice,) = judge(row(no_descriptors=1))
    assert (advice.code, advice.severity) == ("descriptors", "problem")
    assert " of 0 " not in advice.finding


@pytest.mark.parametrize(
    "ttl, lookups, said", [(0.0, 20, True), (0.0, 19, False), (0.1, 50, False)]
)
def test_lookups(ttl, lookups, said):
    found = one_host(lookups=lookups, seen={"dns_ttl": ttl})
    assert found == [("lookups", "hint")] * said


@pytest.mark.parametrize("clients, said", [(9, False), (10, True)])
def test_short_lived_clients(clients, said):
    rows = [("|http|b.test:80", 50, 50), (HOST, clients, 15)]
    found = one_host(seen={"short_lived": rows})
    assert found == [("short_lived_clients", "problem")] * said


# ---- severity and order --------------------------------------------------------


@pytest.mark.parametrize(
    "wait_seconds, refused, severity",
    [(50 * 0.99, 0, "hint"), (50, 0, "problem"), (5, 1, "problem")],
)
def test_how_bad_a_queue_is(wait_seconds, refused, severity):
    found = one_host(
        limits=QUEUED,
        requests=50,
        waits=50,
        host_waits=50,
        wait_seconds=wait_seconds,
        refused=refused,
    )
    assert found == [("queueing", severity)]


def test_the_worst_first():
    """Problems before hints, each in the order of the rules."""
    found = one_host(
        requests=100,
        dials=100,
        stale=100,
        stale_seconds=500,
        stale_squares=2500,
        leaked=50,
        closes={"body_unread": 50},
        seen={"descriptors": (80, 100)},
    )
    assert found == [
        ("leaked_responses", "problem"),
        ("bodies_unread", "problem"),
        ("descriptors", "hint"),
        ("stale_reuse", "hint"),
    ]


# ---- whose it is ---------------------------------------------------------------


def test_hosts_in_turn_and_in_parallel():
    """Of the two figures for the cap the higher one."""
    closes = {"idle_cap_total": 90}
    both = {"dials": 100, "closes": closes, "cap_misses": 50, "cap_short": 1001}
    for peak, needed in ((3, 23), (30, 30)):
        total = row(in_use=peak, **both)
        (advice,) = judge(total, limits=CAPPED_IN_ALL)
        assert advice.code == "idle_cap"
        assert "while some 23 were used in turn" in advice.finding
        assert advice.change.endswith(f"from 2 to at least {needed}")
        assert advice.figures["needed"] == needed


def unread(n):
    return {"requests": n, "closes": {"body_unread": n}}


def test_the_host_that_has_most_of_it():
    hosts = [row("|http|a:80", **unread(20)), row("|https|b:443|tls=1", **unread(80))]
    (advice,) = judge(row(**unread(100)), *hosts)
    assert advice.host == "b:443"
    assert "80 of 80 responses to b:443" in advice.finding


def test_spread_over_hosts():
    hosts = [row("|http|a:80", **unread(21)), row("|http|b:80", **unread(79))]
    (advice,) = judge(row(**unread(100)), *hosts)
    assert advice.host is None
    assert "100 of 100 responses were closed" in advice.finding


def test_forgotten_hosts_count_in_total():
    (advice,) = judge(row(**unread(100)), row("|http|a:80", **unread(1)))
    assert (advice.host, advice.figures["closed"]) == (None, 100)


# ---- figures -------------------------------------------------------------------


def stale(n, seconds, spread):
    return {
        "dials": n,
        "stale": n,
        "stale_seconds": n * seconds,
        "stale_squares": n * (seconds**2 + spread**2),
    }


@pytest.mark.parametrize(
    "seconds, spread, suggested",
    [
        (60, 0, 54),
        (60, 5, 49),
        (5, 0.1, 4.4),
        (350, 0, 310),
        (1, 0, 0.9),
        (60, 20.1, None),  # no timeout has such a spread
        (0.99, 0, None),  # that is no timeout for an idle connection
    ],
)
def test_the_idle_timeout_that_is_suggested(seconds, spread, suggested):
    (advice,) = judge(row(**stale(50, seconds, spread)))
    assert advice.figures.get("suggested") == suggested
    if suggested:
        assert f"Limits(idle_conn_timeout={suggested:g})" in advice.change
    assert advice.figures["mean_idle"] == pytest.approx(seconds)


def test_idle_cap_of_a_host_within_that_of_all():
    """To raise one without the other would change nothing."""
    limits = hpool.Limits(max_idle_conns=20, max_idle_conns_per_host=10)
    (advice,) = judge(
        row(dials=100, in_use=50, closes={"idle_cap_host": 50}), limits=limits
    )
    assert "from 10 to at least 50, and max_idle_conns=20 to as many" in advice.change


def waited(**more):
    return {"requests": 50, "waits": 50, "wait_seconds": 100, **more}


def test_which_limit_it_was():
    limits = hpool.Limits(max_conns=20, max_conns_per_host=5)
    total = row(waiting=30, **waited(host_waits=25))
    host = row(HOST, waiting=7, **waited(host_waits=25))
    (advice,) = judge(total, host, limits=limits)
    assert "up to 30 at a time, because max_conns=20" in advice.finding
    assert advice.figures["suggested"] == 50
    total = row(waiting=30, **waited(host_waits=26))
    host = row(HOST, waiting=7, **waited(host_waits=26))
    (advice,) = judge(total, host, limits=limits)
    assert "up to 7 at a time, because max_conns_per_host=5" in advice.finding
    assert advice.figures["suggested"] == 12


def test_which_limit_it_was_that_refused():
    """Nobody has waited; the limit for all hosts was never reached, or it was."""
    limits = hpool.Limits(max_conns=20, max_conns_per_host=5, max_waiting=0)
    for in_use, setting in ((19, "max_conns_per_host=5"), (20, "max_conns=20")):
        total = row(in_use=in_use, requests=50, refused=50)
        advice = next(iter(judge(total, limits=limits)))
        assert advice.code == "queueing"
        assert f"because {setting}" in advice.finding


def test_the_total_limit_counts_in_total():
    """Most of the waits are one host's, but the limit is everybody's."""
    limits = hpool.Limits(max_conns=20)
    host = row(HOST, **waited())
    (advice,) = judge(row(**waited(requests=60, waits=55)), host, limits=limits)
    assert advice.host is None
    assert "55 of 60 requests waited" in advice.finding


def test_a_host_s_limit_over_several_hosts():
    """What each of them needs, not all together."""
    half = {"requests": 25, "waits": 25, "wait_seconds": 50, "host_waits": 25}
    hosts = [row("|http|a:80", waiting=8, **half), row("|http|b:80", waiting=9, **half)]
    total = row(waiting=17, **waited(host_waits=50))
    (advice,) = judge(total, *hosts, limits=QUEUED)
    assert (advice.host, advice.figures["suggested"]) == (None, 14)


def test_every_phase_has_its_words():
    for phase in _core._phases[1:]:
        found = judge(row(requests=100, timeouts={phase: 50}), limits=QUEUED)
        code = "queueing" if phase == "pool" else "timeouts"
        assert [advice.code for advice in found] == [code]
        assert phase in found[0].figures or phase == "pool"
