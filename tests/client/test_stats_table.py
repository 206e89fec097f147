"""Statistics from the core's tuples, and the table a person reads."""

import pickle

import pytest

from hpool import _core
from hpool._stats import make_stats

PHASES = len(_core._phases)
CLOSES = len(_core._close_reasons)
REPLAYS = len(_core._replay_reasons)


def tally(size, names, **counted):
    values = [0] * size
    for name, count in counted.items():
        values[names.index(name)] = count
    return tuple(values)


def row(key, *, requests=0, timeouts=None, closes=None, replays=None, waits=0):
    return (
        key,
        (1, 2, 3, 4, 5, 6),
        (6, 7, 8, 9, 10, 11),
        requests,
        11,  # dials
        12,  # reuses
        13,  # lookups
        14,  # handshakes
        15,  # resumed
        16,  # drains
        waits,
        1.5 if waits else 0.0,
        17 if waits else 0,  # leaked
        tally(PHASES, _core._phases, **(timeouts or {})),
        tally(CLOSES, _core._close_reasons, **(closes or {})),
        tally(REPLAYS, _core._replay_reasons, **(replays or {})),
        (18, 19, 20, 21, 22, 23.5, 24.5, 28, 29, 30),
        (25, 26, 27),
        tuple(zip((0.001, 0.01, 0.1, 1.0, 10.0, None), (2, 0, 1, 0, 0, waits % 2))),
        0.75,
    )


@pytest.fixture
def stats():
    total = row(
        "",
        requests=1234567,
        timeouts={"pool": 3},
        closes={"response_says_close": 2, "idle_timeout": 5},
        replays={"nothing_written": 1},
        waits=4,
    )
    hosts = [
        row("|http|127.0.0.1:8080", requests=7),
        row("|https|a-very-long-name.example.com:443|2"),
    ]
    return make_stats(total, row("", requests=8), hosts)


def test_fields(stats):
    total = stats.total
    assert (total.idle, total.in_use, total.dialing) == (1, 2, 3)
    assert (total.draining, total.waiting, total.open) == (4, 5, 10)
    assert (total.peak.idle, total.peak.waiting) == (6, 10)
    assert (total.requests, total.dials, total.reuses) == (1234567, 11, 12)
    assert (total.lookups, total.handshakes, total.resumed) == (13, 14, 15)
    assert (total.drains, total.waits, total.leaked) == (16, 4, 17)
    assert total.wait_seconds == 1.5
    assert (total.host_waits, total.refused, total.no_descriptors) == (18, 19, 20)
    assert (total.lost, total.stale) == (21, 22)
    assert (total.stale_seconds, total.stale_squares) == (23.5, 24.5)
    assert (total.cap_misses, total.cap_short, total.unresumed) == (28, 29, 30)
    assert (total.asked_again, total.fresh, total.unserved) == (25, 26, 27)
    assert total.wait_histogram[0] == (0.001, 2)
    assert total.wait_histogram[-1] == (None, 0)
    assert (total.max_wait, total.now.asking, total.peak.asking) == (0.75, 6, 11)
    assert stats.gone.requests == 8
    assert stats.hosts["|http|127.0.0.1:8080"].requests == 7
    assert list(stats.hosts) == [
        "|http|127.0.0.1:8080",
        "|https|a-very-long-name.example.com:443|2",
    ]


def test_counts_have_all_names(stats):
    closes = stats.total.closes
    assert closes["idle_timeout"] == 5
    assert closes["request_says_close"] == 0
    assert set(closes) == set(_core._close_reasons[1:])
    assert repr(closes) == "{'idle_timeout': 5, 'response_says_close': 2}"
    with pytest.raises(KeyError):
        closes["idel_timeout"]
    assert set(stats.total.timeouts) == set(_core._phases[1:])
    assert set(stats.total.replays) == set(_core._replay_reasons[1:])


def test_a_snapshot_is_a_value(stats):
    assert pickle.loads(pickle.dumps(stats)) == stats
    assert hash(pickle.loads(pickle.dumps(stats))) == hash(stats)
    with pytest.raises(AttributeError, match="immutable"):
        stats.total = None
    with pytest.raises(AttributeError, match="immutable"):
        stats.total.requests = 1


def test_table(stats):
    assert str(stats).splitlines() == [
        "host                     idle used dial drain wait  requests  dials"
        "   reuses",
        "http://127.0.0.1:8080       1    2    3     4    5         7     11"
        "       12",
        "https://a-very-long-...     1    2    3     4    5         0     11"
        "       12",
        "total                       1    2    3     4    5   1234567     11"
        "       12",
        "closed: idle_timeout 5, response_says_close 2",
        "timeouts: pool 3",
        "sent again: nothing_written 1",
        "waited: 4 requests, 1.500 s in all, at most 0.750 s",
        "    2 up to 1 ms, 1 up to 100 ms",
        "leaked: 17 responses neither read nor closed",
    ]


def test_every_bucket_has_its_words():
    waited = list(row("", waits=5))
    waited[18] = tuple((bound, 1) for bound, _ in waited[18])
    lines = str(make_stats(tuple(waited), row(""), [])).splitlines()
    assert [line for line in lines if "up to" in line] == [
        "    1 up to 1 ms, 1 up to 10 ms, 1 up to 100 ms, 1 up to 1 s, 1 up to 10 s,"
    ]
    assert "    1 over 10 s" in lines


def test_one_host_s_table(stats):
    lines = str(stats.hosts["|http|127.0.0.1:8080"]).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("http://127.0.0.1:8080 ")


def test_it_fits_a_terminal():
    closes = dict.fromkeys(_core._close_reasons[1:], 1000)
    lines = str(make_stats(row("", closes=closes), row(""), [])).splitlines()
    assert max(map(len, lines)) <= 79
    text = " ".join(line.strip() for line in lines[2:])
    for name in closes:
        assert f"{name} 1000" in text


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("http://p:3128#17|https|a.test:443", "https://a.test:443 via http://p:3128"),
        ("http://p:3128#17|http|", "http via http://p:3128"),
    ],
)
def test_a_proxy_is_named(key, name):
    """Without the number that stands for its settings."""
    stats = make_stats(row(""), row(""), [row(key)])
    (host,) = stats.hosts.values()
    assert host.name == name
