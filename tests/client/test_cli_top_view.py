"""Frames and lines of `top`, as functions of what they show."""

import pytest
from rich.cells import cell_len
from rich.console import Console

from hpool import HostStats, Stats
from hpool._stats import Counts, Gauges
from hpool.cli import top_view
from hpool.cli.load import Tally
from hpool.cli.top_history import History
from hpool.cli.top_lines import HEADS, line
from hpool.cli.top_view import ASCII, BLOCKS, frame, glyphs_for

URL = "http://127.0.0.1:8080/x"


def host(key="|http|127.0.0.1:8080", now=(), peak=(), **fields):
    """now, peak: idle, in use, dialing, draining, waiting."""
    zero = dict.fromkeys(HostStats.__slots__, 0)
    counts = {name: Counts() for name in ("closes", "timeouts", "replays")}
    gauges = {
        "key": key,
        "now": Gauges(*(now or (0,) * 5)),
        "peak": Gauges(*(peak or now or (0,) * 5)),
    }
    return HostStats(**{**zero, **counts, **gauges, **fields})


def pool(*hosts, **total):
    """Of one host the total is the same; of several it has to be given."""
    in_all = host("", **total)
    if len(hosts) == 1:
        fields = dict(zip(HostStats.__slots__, hosts[0]._values()))
        in_all = HostStats(**{**fields, "key": "", **total})
    return Stats(in_all, {one.key: one for one in hosts}, gone=host(""))


def tally(answers=0, seconds=0.001, statuses=(200,), size=0, **errors):
    made = Tally()
    for number in range(answers):
        made.answered(statuses[number % len(statuses)], seconds)
    made.bytes = size
    made.errors = dict(errors)
    made.examples = dict.fromkeys(errors, "some text")
    return made


BUSY = host(
    now=(2, 8, 1, 0, 3),
    peak=(6, 10, 4, 1, 12),
    requests=1000,
    dials=10,
    reuses=990,
    closes=Counts(idle_timeout=2, body_unread=0),
)


def view(*, title=URL, limit=16, counts=None, stats=None, seen=20):
    """What a History shows after so many intervals of 0.25 s, with 10 more
    answers in each."""
    history = History(title, 10, limit)
    for number in range(seen):
        history.add(number / 4, tally(number * 10), stats or pool(BUSY))
    return history.add(seen / 4, counts or tally(seen * 10), stats or pool(BUSY))


def lines_of(shown, width, height):
    """As a terminal of this size has them."""
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().splitlines()


def screen(width=80, height=24, glyphs=BLOCKS, **what):
    return lines_of(frame(view(**what), width, height, glyphs), width, height)


def find(lines, word):
    """The line that has this title, without it."""
    (found,) = [text for text in lines if text.startswith(f" {word}  ")]
    return found.removeprefix(f" {word}").split()


# ---- a frame ----------------------------------------------------------------


def test_80_columns():
    shown = screen(counts=tally(2000, size=3_500_000, ReadTimeout=2))
    assert shown[0].startswith(f" hpool top  {URL}  ")
    assert shown[0].endswith("10 threads  0:05")
    assert find(shown, "answers") == "2,000 (200: 2,000) 3.5 MB 3.5 MB/s".split()
    assert find(shown, "errors") == ["2", "(ReadTimeout", "2)"]
    assert find(shown, "in use")[:2] == ["8", "10"]
    assert find(shown, "idle")[:2] == ["2", "6"]
    assert find(shown, "dialing")[:2] == ["1", "4"]
    assert find(shown, "draining")[:2] == ["0", "1"]
    assert find(shown, "waiting")[:2] == ["3", "12"]
    assert find(shown, "pool") == ["now", "peak", "limit", "16"]
    assert find(shown, "connections") == "10 dialed, 990 reused (99.0 %)".split()
    assert find(shown, "closed") == ["idle_timeout", "2"]
    assert shown[-1].endswith("Ctrl-C ends")
    assert len(shown) == 24


@pytest.mark.parametrize("hosts", [0, 1, 2, 40])
@pytest.mark.parametrize("glyphs", [BLOCKS, ASCII])
def test_it_fits_every_terminal(hosts, glyphs):
    """Never a line or a row too many: the screen would scroll."""
    several = [
        host(f"|http|host{i}.test:80", now=(1, 2, 0, 0, 0)) for i in range(hosts)
    ]
    stats = pool(*several)
    moment = view(stats=stats, counts=tally(10, statuses=range(100, 600), ReadError=1))
    for width in (1, 2, 30, 60, 79, 80, 132):
        for height in (1, 5, 15, 20, 24, 60):
            text = frame(moment, width, height, glyphs).plain.split("\n")
            assert len(text) <= height
            assert max(map(cell_len, text)) <= width


def test_the_history_grows_from_the_right():
    few, many = screen(seen=8), screen(seen=200)
    assert few[6].startswith(" " * 10)
    for shown, columns in ((few, 8), (many, 54)):
        assert shown[6].count("█") == columns
        assert shown[6].rstrip(" 0").endswith("█")
    assert len(max(screen(seen=200, width=300)[6].split(), key=len)) == 200


def test_the_chart_s_height_is_the_highest_rate():
    history = History(URL, 1, None)
    for moment, made in ((0, 0), (1, 400), (2, 500), (3, 500), (4, 501)):
        moment = history.add(moment, tally(made), pool(BUSY))
    assert moment.rates == [400, 100, 0, 1]
    shown = lines_of(frame(moment, 80, 24), 80, 24)
    columns = ["".join(row[65 + i] for row in shown[2:7]) for i in range(4)]
    assert columns == ["█████", "   ▂█", "     ", "    ▁"]
    assert shown[2].split()[-1] == "400"
    assert shown[3].split()[0] == "1.0"  # now


def test_bars_fill_up_to_the_limit():
    (used,) = [text for text in screen() if text.startswith(" in use")]
    # 49 columns are the limit of 16: 8 are half of it, and 10 was the peak.
    assert used[30:] == "█" * 24 + "▌" + " " * 6 + "╎"
    full = screen(stats=pool(host(now=(0, 16, 0, 0, 0))))
    (used,) = [text for text in full if text.startswith(" in use")]
    assert used.count("█") == 49


def test_nothing_yet():
    moment = History(URL, 10, None).add(0.0, tally(), pool())
    shown = lines_of(frame(moment, 80, 24), 80, 24)
    assert find(shown, "in all") == ["-"] * 4
    assert find(shown, "in use") == ["0", "0"]
    assert find(shown, "pool") == ["now", "peak"]
    assert find(shown, "connections") == ["0", "dialed,", "0", "reused"]


def test_tls_is_counted():
    stats = pool(host(dials=10, handshakes=9, resumed=8))
    assert "TLS handshakes 9, 8 of them resumed" in "\n".join(screen(stats=stats))


def test_what_went_wrong_is_named():
    stats = pool(
        host(
            timeouts=Counts(head=2),
            replays=Counts(nothing_written=3),
            closes=Counts(timeout=2, io_error=5),
            leaked=4,
            waits=8,
            wait_seconds=0.4,
            max_wait=0.3,
        )
    )
    shown = screen(stats=stats)
    assert find(shown, "timeouts") == ["head", "2"]
    assert find(shown, "sent again") == ["nothing_written", "3"]
    assert find(shown, "closed") == ["io_error", "5,", "timeout", "2"]
    assert (
        find(shown, "waited")
        == "8 requests, 50.0 ms on average, 300 ms at most".split()
    )
    assert find(shown, "leaked") == ["4", "responses"]


def several_hosts():
    hosts = [
        host(f"|http|host{i}.test:80", (i, 2, 0, 0, 0), (9, 9, 1, 0, 0), requests=i)
        for i in range(1, 9)
    ]
    return pool(*hosts, now=(36, 16, 0, 0, 0), peak=(50, 60, 2, 0, 0))


def test_hosts_have_a_row_each():
    shown = screen(width=100, height=40, stats=several_hosts())
    assert find(shown, "pool") == "in use idle dial drain wait".split()
    rows = [text.split() for text in shown if ".test:80" in text]
    assert [row[0] for row in rows] == [
        f"http://host{i}.test:80" for i in range(8, 0, -1)
    ]
    assert rows[0][1:6] == ["2/9", "8/9", "0/1", "0/0", "0/0"]
    assert rows[0][6].count("█") > rows[-1][6].count("█") > 0
    assert find(shown, "total")[:2] == ["16/60", "36/50"]


def test_hosts_that_have_no_room():
    shown = screen(height=20, stats=several_hosts())
    assert "host8" in "\n".join(shown)
    assert "host1" not in "\n".join(shown)
    (more,) = [text for text in shown if "more hosts" in text]
    (total,) = [text for text in shown if text.startswith(" total")]
    shown_hosts = sum(".test:80" in text for text in shown)
    assert more.strip() == f"... and {8 - shown_hosts} more hosts"
    assert shown.index(total) == shown.index(more) + 1


def test_recent_latencies_forget():
    history = History(URL, 1, None)
    history.add(0.0, tally(0), pool(BUSY))
    counts = tally(100, seconds=1.0)
    history.add(1.0, counts.copy(), pool(BUSY))
    for second in range(2, 8):
        for _ in range(10):
            counts.answered(200, 0.001)
        moment = history.add(float(second), counts.copy(), pool(BUSY))
    shown = lines_of(frame(moment, 80, 24), 80, 24)
    assert find(shown, "last 5 s") == ["1.0", "ms"] * 4
    assert find(shown, "in all")[-2:] == ["1.00", "s"]


def test_no_blocks_where_the_terminal_has_none():
    assert glyphs_for("utf-8") is BLOCKS
    assert glyphs_for("ascii") is glyphs_for("latin-1") is ASCII
    assert glyphs_for("nonsense") is ASCII
    shown = "\n".join(screen(glyphs=ASCII))
    assert shown.isascii()
    assert "####" in shown


def test_nobody_else_moves_the_cursor():
    key = "|http|\x1b[2Ja.test:80"
    shown = frame(view(title="http://\x1b[2J", stats=pool(host(key), host())), 80, 24)
    assert "\x1b" not in shown.plain
    assert "http://?[2J" in shown.plain


def test_every_style_is_one_that_rich_knows():
    for *_, style in top_view.ROOMS:
        Console().get_style(style)


# ---- a line -----------------------------------------------------------------


def test_lines():
    history = History(URL, 10, None, recent=1.0)
    history.add(0.0, tally(), pool(BUSY))
    counts = tally(1234, seconds=0.002, ReadError=7)
    said = line(history.add(1.0, counts, pool(BUSY)))
    assert dict(
        zip(HEADS.split(), said.replace(" ms", "ms").replace(" s", "s").split())
    ) == {
        "time": "1.0s",
        "requests/s": "1,241",
        "p50": "2.0ms",
        "p90": "2.0ms",
        "p99": "2.0ms",
        "max": "2.0ms",
        "errors": "7",
        "used": "8",
        "idle": "2",
        "wait": "3",
    }
    assert len(said) == len(HEADS) <= 79


def test_a_line_of_nothing():
    said = line(History(URL, 10, None).add(0.0, tally(), pool()))
    assert said.split() == ["0.0", "s", "0", "-", "-", "-", "-", "0", "0", "0", "0"]
