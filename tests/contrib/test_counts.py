"""Counters by host out of snapshots of a pool that forgets hosts: never backwards,
and nothing lost."""

import random

from hpool._stats import Counts as ByReason
from hpool._stats import Gauges, HostStats, Stats
from hpool._stats import address_of
from hpool.contrib._counts import OTHER, Counts, Names

NONE = Gauges(0, 0, 0, 0, 0)


def row(key, requests=0, closes=0, wait_seconds=0.0):
    """A record of the pool that has counted so much."""
    fields = dict.fromkeys(HostStats.__slots__, 0)
    fields |= {"key": key, "now": NONE, "peak": NONE, "requests": requests}
    fields |= {"wait_seconds": wait_seconds, "timeouts": ByReason()}
    fields |= {"closes": ByReason(io_error=closes), "replays": ByReason()}
    fields["wait_histogram"] = ((0.1, closes), (None, requests))
    return HostStats(**fields)


def snapshot(total, *rows):
    return Stats(row("", *total), {r.key: r for r in rows}, row("gone"))


def requests(counts):
    return {host: n["requests", ""] for host, n in counts.by_host()}


A, B = "|http|a:80", "|http|b:80"


def test_forgotten_and_back():
    """What a host had counted when it was seen last stays."""
    counts = Counts(Names(100))
    counts.update(snapshot((3,), row(A, 3)))
    assert requests(counts) == {"a:80": 3}
    counts.update(snapshot((3,)))
    assert requests(counts) == {"a:80": 3}
    counts.update(snapshot((5,), row(A, 2)))
    assert requests(counts) == {"a:80": 5}


def test_forgotten_and_back_between_two_looks():
    """A record that shows less of anything is another one."""
    counts = Counts(Names(100))
    counts.update(snapshot((5, 1), row(A, 5, 1)))
    counts.update(snapshot((11, 1), row(A, 6, 0)))
    assert requests(counts) == {"a:80": 11}
    assert dict(counts.by_host())["a:80"]["connections_closed", "io_error"] == 1


def test_unseen():
    """What was counted behind our back is in the totals, and so somebody's."""
    counts = Counts(Names(100))
    counts.update(snapshot((3,), row(A, 3)))
    counts.update(snapshot((9,)))
    assert requests(counts) == {"a:80": 3, OTHER: 6}


def test_records_of_one_host_are_added():
    """Two TLS settings are two keys."""
    counts = Counts(Names(100))
    keys = ("|https|a:443|t1", "proxy|https|a:443|t2")
    counts.update(snapshot((3,), row(keys[0], 1), row(keys[1], 2)))
    assert requests(counts) == {"a:443": 3}
    counts.update(snapshot((4,), row(keys[1], 3)))
    assert requests(counts) == {"a:443": 4}


def test_only_so_many_hosts():
    """The first ones; all others are one, whatever happens to them."""
    counts = Counts(Names(1))
    counts.update(snapshot((3,), row(A, 1), row(B, 2)))
    assert requests(counts) == {"a:80": 1, OTHER: 2}
    counts.update(snapshot((4,), row(B, 3)))
    assert requests(counts) == {"a:80": 1, OTHER: 3}


def test_address_of():
    assert address_of("|http|[::1]:8080") == "[::1]:8080"
    assert address_of("http://proxy:1#7|https|a:443|x|y") == "a:443"
    assert address_of("http://[::1]:3128#7|http|") == "[::1]:3128"


def test_at_random():
    """Against a pool that is played here: at every look all of it adds up, and no
    counter is below what it was."""
    dice = random.Random(7)
    for _ in range(50):
        counts = Counts(Names(dice.choice([1, 2, 100])))
        records, total, shown = {}, [0, 0, 0.0], {}
        for _ in range(200):
            key = dice.choice([A, B, "|https|c:443|x", "|https|c:443|y"])
            step = dice.random()
            if step < 0.2:
                records.pop(key, None)
            elif step < 0.7:
                record = records.setdefault(key, [0, 0, 0.0])
                for i, n in enumerate((
                    1,
                    dice.randint(0, 1),
                    dice.randint(0, 10**9) / 1e9,
                )):
                    record[i] += n
                    total[i] += n
            else:
                rows = [row(k, *record) for k, record in records.items()]
                counts.update(snapshot(total, *rows))
                now = {
                    (host, *of): n
                    for host, counted in counts.by_host()
                    for of, n in counted.items()
                }
                for of, n in shown.items():
                    assert now.get(of, 0) >= n, of
                shown = now
                for name, n in (
                    ("requests", total[0]),
                    ("connections_closed", total[1]),
                    ("waits", total[0] + total[1]),
                    ("wait_nanoseconds", round(total[2] * 1e9)),
                ):
                    assert sum(v for of, v in now.items() if of[1] == name) == n
