"""hpool.trace.Timeline: what it draws keeps to the rules of the Chrome trace event
format, and shows what happened."""

import io
import json
import os
import pickle
import random
import subprocess
import sys
import threading
from unittest.mock import ANY

import pytest

import hpool
from hpool.trace import Timeline
from tests.server.scripted import close, expect, respond, send, serve
from tests.tools import Call, sockets_to, until, until_waiting

HOST = "example.com:443"
URL = "https://example.com/a"


# ---- the format's rules ------------------------------------------------------


def check(document):
    """Every rule that a viewer relies on; gives back the rows by name, each a list
    of (name, start, duration, args, [slices within]) and one of instants."""
    assert json.loads(json.dumps(document)) == document
    assert document["displayTimeUnit"] == "ms"
    events = document["traceEvents"]
    by_row = {}
    for event in events:
        assert isinstance(event["name"], str) and event["name"]
        assert event["pid"] == os.getpid() and isinstance(event["tid"], int)
        by_row.setdefault(event["tid"], []).append(event)
        if event["ph"] != "M":
            assert isinstance(event["ts"], (int, float)) and event["ts"] >= 0
            assert isinstance(event["cat"], str) and event["cat"]
    [process] = [e for e in by_row.pop(0)]
    assert (process["ph"], process["name"]) == ("M", "process_name")
    rows = {}
    for tid, row in by_row.items():
        name, order, *rest = row
        assert (name["ph"], name["name"]) == ("M", "thread_name")
        assert order["args"] == {"sort_index": tid} and order["ph"] == "M"
        assert order["name"] == "thread_sort_index"
        assert name["args"]["name"] not in rows
        rows[name["args"]["name"]] = check_row(rest)
    check_arrows(events)
    return rows


def check_row(events):
    """Complete slices, properly nested."""
    slices, instants, open_now = [], [], []
    complete = [e for e in events if e["ph"] == "X"]
    complete.sort(key=lambda e: (e["ts"], -e["dur"]))  # stable: as they came
    for event in complete:
        start, end = event["ts"], event["ts"] + event["dur"]
        assert event["dur"] >= 0 and isinstance(event["args"], dict)
        while open_now and open_now[-1][0] <= start + 1e-4:
            if event["dur"] == 0 and open_now[-1][0] >= end - 1e-4:
                break
            open_now.pop()
        if open_now:
            assert end <= open_now[-1][0] + 1e-4, f"{event} sticks out"
        shown = (event["name"], start, event["dur"], event["args"], [])
        (open_now[-1][1][4] if open_now else slices).append(shown)
        open_now.append((end, shown))
    for event in events:
        assert event["ph"] in "Xisf"
        if event["ph"] == "i":
            assert event["s"] == "t" and isinstance(event["args"], dict)
            instants.append((event["name"], event["ts"]))
    return slices, instants


def check_arrows(events):
    """Each from one slice to a later one, by an id of its own."""
    ends = {}
    for event in events:
        if event["ph"] in "sf":
            assert (event["ph"] == "f") == (event.get("bp") == "e")
            assert any(
                e["ph"] == "X"
                and e["tid"] == event["tid"]
                and e["ts"] <= event["ts"] <= e["ts"] + e["dur"]
                for e in events
            )
            ends.setdefault(event["id"], {})[event["ph"]] = event["ts"]
    for pair in ends.values():
        assert pair["s"] <= pair["f"]


def names(slices):
    """The names alone, as a tree."""
    return [
        (name, names(within)) if within else name for name, _, _, _, within in slices
    ]


# ---- made-up events ----------------------------------------------------------


class Script:
    """script(event, time, request, conn, key=...) tells a timeline."""

    def __init__(self, timeline):
        self.timeline = timeline

    def __call__(self, event, time, request=0, conn=0, host=HOST, **own):
        info = {"event": event, "time": 100.0 + time, "request": request}
        self.timeline(event, {**info, "conn": conn, "host": host, **own})

    def start(self, time, request, url=URL, method="GET"):
        self("request_start", time, request, method=method, url=url)
        self("get_conn", time, request, attempt=1)

    def got(self, time, request, conn, **own):
        facts = {"reused": False, "was_idle": False, "idle_time": 0.0, "age": 0.0}
        facts |= {"requests": 1, "remote": "192.0.2.1:443", **own}
        self("got_conn", time, request, conn, **facts)

    def done(self, time, request, conn, status=200, error=None):
        self(
            "request_done", time, request, conn, status=status, error=error,
            duration=0.5,
        )  # fmt: skip

    def serve(self, time, request, conn):
        """From got_conn on, in steps of 0.1 s; kept 0.4 s later."""
        self.got(time, request, conn)
        self("wrote_headers", time + 0.05, request, conn)
        self("wrote_request", time + 0.1, request, conn, error=None)
        self("got_first_response_byte", time + 0.2, request, conn)
        self("got_response", time + 0.3, request, conn, status=200)
        self("put_idle_conn", time + 0.4, request, conn, reason=None)
        self.done(time + 0.4, request, conn)

    def dial(self, time, request, conn):
        self("dns_start", time, request, conn, name="example.com")
        addresses = ["192.0.2.1"]
        self(
            "dns_done", time + 0.1, request, conn, name="example.com",
            addresses=addresses, error=None, coalesced=False,
        )  # fmt: skip
        to = {"address": "192.0.2.1:443"}
        self("connect_start", time + 0.1, request, conn, **to)
        self("connect_done", time + 0.2, request, conn, **to, error=None)
        self("tls_handshake_start", time + 0.2, request, conn, server_name="x")
        done = {"version": "TLSv1.3", "cipher": "X", "resumed": False, "error": None}
        self("tls_handshake_done", time + 0.3, request, conn, **done)


@pytest.fixture
def timeline():
    return Timeline()


@pytest.fixture
def tell(timeline):
    return Script(timeline)


def test_life_of_a_connection(timeline, tell):
    tell.start(0, 7)
    tell.dial(0, 7, 12)
    tell.serve(0.3, 7, 12)
    tell.start(1, 8)
    tell.serve(1, 8, 12)
    tell("conn_closed", 3, 0, 12, reason="idle_timeout", requests=2, age=2.8)
    rows = check(timeline.to_dict())
    assert list(rows) == [f"conn 12 {HOST}"]
    slices, instants = rows[f"conn 12 {HOST}"]
    phases = ["send", "wait", "head", "body"]
    assert names(slices) == [
        (
            "conn 12",
            [
                "dns example.com",
                "connect 192.0.2.1:443",
                "tls",
                ("GET /a 200", phases),
                ("GET /a 200", phases),
            ],
        )
    ]
    assert instants == [("closed: idle_timeout", 3e6)]
    [(_, start, duration, args, within)] = slices
    assert (start, duration) == (0, 3e6)
    assert args == {"reason": "idle_timeout", "requests": 2, "age": 2.8}
    spans = [(start, round(start + dur)) for _, start, dur, _, _ in within]
    assert spans == [
        (0, 100_000),
        (100_000, 200_000),
        (200_000, 300_000),
        (300_000, 700_000),
        (1_000_000, 1_400_000),  # the gap before and after: idle
    ]
    _, _, _, args, phases = within[3]
    assert args["request"] == 7 and args["url"] == URL and args["status"] == 200
    assert args["remote"] == "192.0.2.1:443" and args["reused"] is False
    assert args["acquired_after"] == pytest.approx(0.3)
    assert [round(dur) for _, _, dur, _, _ in phases] == [100_000] * 4
    assert within[0][3]["addresses"] == ["192.0.2.1"]
    assert within[2][3]["version"] == "TLSv1.3"


def test_order_of_delivery_does_not_matter(timeline, tell):
    """What the pool did by itself is told late."""
    tell.start(0, 7)
    tell.dial(0, 7, 12)
    tell.serve(0.3, 7, 12)
    tell("conn_closed", 3, 0, 12, reason="idle_timeout", requests=1, age=2.8)
    expected = timeline.to_dict()
    other = Timeline()
    events = list(timeline._events)
    # Not those of one moment, whose order is that of their delivery.
    moments = sorted({info["time"] for info in events})
    random.Random(4).shuffle(moments)
    for moment in moments:
        for info in events:
            if info["time"] == moment:
                other(info["event"], info)
    assert other.to_dict() == expected


def test_queue(timeline, tell):
    """Those who wait at the same time stand beside each other; an arrow leads from
    each to the request it became."""
    for request, entered, left in ((1, 0, 2), (2, 1, 3), (3, 2, 4)):
        tell.start(entered, request)
        tell("queue_entered", entered, request, position=1, waiting=2)
        tell("queue_left", left, request, waited=2.0, outcome="connection")
        tell.serve(left, request, 5)
    tell.start(5, 4)
    tell("queue_entered", 5, 4, position=1, waiting=1)
    tell("queue_left", 6, 4, waited=1.0, outcome="timeout")
    tell.done(6, 4, 0, status=None, error="PoolTimeout")
    document = timeline.to_dict()
    rows = check(document)
    assert list(rows) == ["queue", "queue 2", f"conn 5 {HOST}"]
    waits = {
        name: [(s[1], s[2], s[3].get("request")) for s in rows[name][0]]
        for name in rows
    }
    assert waits["queue"] == [(0, 2e6, 1), (2e6, 2e6, 3), (5e6, 1e6, 4)]
    assert waits["queue 2"] == [(1e6, 2e6, 2)]
    args = rows["queue"][0][0][3]
    assert args == {
        "request": 1,
        "host": HOST,
        "position": 1,
        "waiting": 2,
        "waited": 2.0,
        "outcome": "connection",
    }
    assert rows["queue"][1] == [("GET /a PoolTimeout", 6e6)]
    arrows = [e for e in document["traceEvents"] if e["ph"] in "sf"]
    assert sorted((e["ph"], e["id"]) for e in arrows) == [
        ("f", "1.1"), ("f", "2.1"), ("f", "3.1"), ("s", "1.1"), ("s", "2.1"), ("s", "3.1"),
    ]  # fmt: skip


def test_passed_on_before_it_was_noted(timeline, tell):
    """A thread may note that it gave a connection back after another has noted
    that it got it."""
    tell.start(0, 1)
    tell.got(0, 1, 5)
    tell.start(0.5, 2)
    tell.got(1, 2, 5, reused=True)
    tell("put_idle_conn", 1.1, 1, 5, reason=None)
    tell.done(1.2, 1, 5)
    tell("put_idle_conn", 2, 2, 5, reason=None)
    tell.done(2.1, 2, 5)
    [(_, _, _, _, within)], _ = check(timeline.to_dict())[f"conn 5 {HOST}"]
    assert [(start, dur) for _, start, dur, _, _ in within] == [(0, 1e6), (1e6, 1e6)]


def test_happy_eyeballs(timeline, tell):
    """Attempts that overlap are one slice that lists them; the loser's too."""
    tell.start(0, 1)
    six, four = {"address": "[2001:db8::1]:443"}, {"address": "192.0.2.1:443"}
    tell("connect_start", 0, 1, 5, **six)
    tell("connect_start", 0.25, 1, 5, **four)
    tell("connect_done", 0.5, 1, 5, **four, error=None)
    tell("connect_done", 0.5, 1, 5, **six, error="abandoned")
    tell.serve(0.5, 1, 5)
    [(_, _, _, _, within)], _ = check(timeline.to_dict())[f"conn 5 {HOST}"]
    name, start, duration, args, _ = within[0]
    assert (name, start, duration) == ("connect", 0, 5e5)
    assert args["attempts"] == [
        {**four, "error": None, "seconds": 0.25},
        {**six, "error": "abandoned", "seconds": 0.5},
    ]


def test_one_attempt_after_the_other(timeline, tell):
    tell.start(0, 1)
    for time, address, error in ((0, "a:1", "refused"), (1, "b:1", None)):
        tell("connect_start", time, 1, 5, address=address)
        tell("connect_done", time + 1, 1, 5, address=address, error=error)
    [(_, _, _, _, within)], _ = check(timeline.to_dict())[f"conn 5 {HOST}"]
    assert [name for name, *_ in within] == ["connect a:1", "connect b:1"]


def test_failed_dial(timeline, tell):
    """Has a row, although no request ever had it."""
    tell.start(0, 1)
    tell("dns_start", 0, 1, 5, name="x")
    error = "no such host"
    tell(
        "dns_done", 1, 1, 5, name="x", addresses=[], error=error, coalesced=False
    )  # fmt: skip
    tell.done(1, 1, 0, status=None, error="NameResolutionError")
    tell.start(2, 2)
    rows = check(timeline.to_dict())
    [(name, _, duration, args, within)] = rows[f"conn 5 {HOST}"][0]
    assert (name, duration, args) == ("conn 5", 1e6, {})
    assert names(within) == ["dns x"] and within[0][3]["error"] == error
    assert rows["queue"][1] == [("GET /a NameResolutionError", 1e6)]


def test_retry(timeline, tell):
    """On the row of the connection that was lost; then the next attempt on its
    own."""
    tell.start(0, 1)
    tell.got(0, 1, 5, reused=True)
    tell("conn_closed", 1, 1, 5, reason="io_error", requests=2, age=9.0)
    reason = "lost_before_first_byte"
    tell("retry", 1, 1, 5, reason=reason, attempt=2)
    tell("get_conn", 1, 1, attempt=2)
    tell.serve(2, 1, 6)
    rows = check(timeline.to_dict())
    assert [name for name, _ in rows[f"conn 5 {HOST}"][1]] == [
        "closed: io_error",
        f"retry: {reason}",
    ]
    [(_, _, _, _, [held])], _ = rows[f"conn 6 {HOST}"]
    assert held[3]["attempt"] == 2


def test_body_closed_early(timeline, tell):
    tell.start(0, 1)
    tell.got(0, 1, 5)
    tell("got_response", 1, 1, 5, status=200)
    tell.done(2, 1, 5)
    tell("drain_start", 2, 1, 5, left=9)
    tell("drain_end", 3, 0, 5, reason="drain_timeout")
    tell("conn_closed", 3, 0, 5, reason="drain_timeout", requests=1, age=3.0)
    [(_, _, _, _, within)], _ = check(timeline.to_dict())[f"conn 5 {HOST}"]
    assert [(name, dur) for name, _, dur, _, _ in within] == [
        ("GET /a 200", 2e6),
        ("drain", 1e6),
    ]
    assert within[1][3] == {"left": 9, "reason": "drain_timeout"}


def test_failed_request(timeline, tell):
    tell.start(0, 1)
    tell.got(0, 1, 5)
    tell("wrote_request", 1, 1, 5, error="Broken pipe")
    tell("conn_closed", 1, 1, 5, reason="io_error", requests=1, age=1.0)
    tell.done(1, 1, 5, status=None, error="WriteError")
    [(_, _, _, _, [held])], _ = check(timeline.to_dict())[f"conn 5 {HOST}"]
    assert held[0] == "GET /a WriteError"
    assert held[3]["write_error"] == "Broken pipe"


def test_unfinished(timeline, tell):
    """What still goes on ends with the recording, and says so."""
    tell.start(0, 1)
    tell.dial(0, 1, 5)
    tell.got(1, 1, 5)
    tell.start(2, 2)
    tell("queue_entered", 2, 2, position=1, waiting=1)
    tell("dns_start", 2, 2, 6, name="x")
    tell("got_response", 4, 1, 5, status=200)
    rows = check(timeline.to_dict())
    waiting = rows["queue"][0][0]
    holding = rows[f"conn 5 {HOST}"][0][0][4][-1]
    dns = rows[f"conn 6 {HOST}"][0][0][4][0]
    for name, start, duration, args, _ in (waiting, holding, dns):
        assert start + duration == 4e6 and args["unfinished"] is True, name


def test_nothing_recorded(timeline):
    assert check(timeline.to_dict()) == {}


@pytest.mark.parametrize("seed", range(20))
def test_any_order_is_nested(timeline, tell, seed):
    """Whatever the times: the latest part of a recording may begin anywhere."""
    dice = random.Random(seed)
    tell.start(0, 1)
    for request in range(2, 40):
        time, conn = request * 0.1, dice.randint(1, 3)
        tell.start(time, request)
        if dice.random() < 0.3:
            tell("queue_entered", time, request, position=1, waiting=1)
        step = dice.choice([tell.dial, tell.serve, tell.got, lambda *_: None])
        step(time + dice.random(), request, conn)
        if dice.random() < 0.2:
            reason = {"reason": "idle_timeout", "requests": 1, "age": 0.0}
            tell("conn_closed", time + dice.random(), 0, conn, **reason)
    events = sorted(timeline._events, key=lambda info: info["time"])
    latest = Timeline()
    for info in events[dice.randint(0, len(events)) :]:
        latest(info["event"], info)
    check(timeline.to_dict())
    check(latest.to_dict())


# ---- recording ---------------------------------------------------------------


def test_bounded():
    """The latest are kept; the others are counted, and those that the pool had to
    drop."""
    timeline = Timeline(max_events=10)
    tell = Script(timeline)
    for i in range(8):
        tell.start(i, i)
    assert len(timeline) == 10 and timeline.lost == 6
    tell("wrote_header_field", 9, 1, 1, name="A", value="b")  # not shown, not kept
    assert timeline.lost == 6
    tell("dropped", 9, count=5)
    assert timeline.lost == 11
    assert timeline.to_dict()["otherData"] == {"lost_events": 11}


@pytest.mark.parametrize(
    "number, kind, words",
    [
        (0, ValueError, "0"),
        (10**30, ValueError, "10+"),
        (1.5, TypeError, "float"),
        (None, TypeError, "NoneType"),
        (True, TypeError, "bool"),
    ],
)
def test_no_such_number_of_events(number, kind, words):
    takes = "max_events takes a whole number above 0, not "
    with pytest.raises(kind, match=takes + words):
        Timeline(max_events=number)


def test_threads(timeline, tell):
    """Many tell it while one reads it."""
    together = threading.Barrier(5)

    def work(first):
        together.wait(10)
        for i in range(200):
            tell.start(i, first + i)
            tell.serve(i, first + i, first)

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    together.wait(10)
    check(timeline.to_dict())
    for thread in threads:
        thread.join(10)
    assert timeline.lost == 0
    rows = check(timeline.to_dict())
    assert sum(len(whole[4]) for [whole], _ in rows.values()) == 800


def test_write(timeline, tell, tmp_path):
    tell.start(0, 1)
    tell.serve(0, 1, 5)
    timeline.write(tmp_path / "a.json")
    timeline.write(str(tmp_path / "b.json"))
    file = io.StringIO()
    timeline.write(file)
    for text in (
        (tmp_path / "a.json").read_text(),
        (tmp_path / "b.json").read_text(),
        file.getvalue(),
    ):
        assert json.loads(text) == timeline.to_dict()


def test_without_a_client(timeline):
    with pytest.raises(RuntimeError, match="made without a client"):
        timeline.__enter__()


# ---- real requests -----------------------------------------------------------


def row_of(rows, conn):
    [name] = [name for name in rows if name.startswith(f"conn {conn} ")]
    return rows[name]


def requests_on(rows):
    """{request: (row's name, start, end, name)} of all rows of connections."""
    found = {}
    for row, (slices, _) in rows.items():
        if row.startswith("conn "):
            for name, start, duration, args, _ in slices[0][4]:
                if "request" in args:
                    assert args["request"] not in found
                    found[args["request"]] = (row, start, start + duration, name)
    return found


def test_who_held_what(server, new_client):
    """Eight threads, two connections, and one who does not let go: he is seen, and
    so are those who queue behind him."""
    release = threading.Event()
    body = respond(b"slow")

    def script(connection):
        while request := connection.request(patient=True):
            if request.target == "/slow":
                connection.send(body[:-2], release, body[-2:])
            else:
                connection.send(respond(b"ok"))

    s = server(script, script)
    client = new_client(limits=hpool.Limits(max_conns_per_host=2))
    with Timeline(client) as timeline:
        holder = client.get(f"{s.url}/slow")
        other = client.get(f"{s.url}/slow")
        calls = [Call(lambda n=n: client.get(f"{s.url}/{n}").read()) for n in range(8)]
        until_waiting(client, 8)
        release.set()
        assert other.read() == b"slow"  # its connection serves all eight
        assert [call.result() for call in calls] == [b"ok"] * 8
        assert holder.read() == b"slow"
        client.close_idle()
    rows = check(timeline.to_dict())
    queues = [name for name in rows if name.startswith("queue")]
    assert len(queues) == 8  # all at once
    waits = [rows[name][0][0] for name in queues]
    assert {name for name, *_ in waits} == {f"GET /{n}" for n in range(8)}
    assert {args["outcome"] for _, _, _, args, _ in waits} <= {"connection", "slot"}
    found = requests_on(rows)
    assert sorted(name for _, _, _, name in found.values()) == sorted(
        [f"GET /{n} 200" for n in range(8)] + ["GET /slow 200"] * 2
    )
    held = row_of(rows, holder.connection.id)
    served = row_of(rows, other.connection.id)
    # The holder, for as long as all the others together, and nobody else.
    assert names(held[0]) == [(f"conn {holder.connection.id}", ANY)]
    shown = {row: [] for row, *_ in found.values()}
    for row, start, end, name in found.values():
        shown[row].append((start, end, name))
    [[slow], many] = sorted((sorted(v) for v in shown.values()), key=len)
    assert slow[2] == "GET /slow 200" and len(many) == 9
    assert slow[0] < many[1][0] and slow[1] > many[-1][1]
    for _, start, duration, args, _ in waits:
        assert found[args["request"]][1] >= start + duration
    assert [name for name, _ in held[1]] == ["closed: close_idle_called"]
    assert [name for name, _ in served[1]] == ["closed: close_idle_called"]


def test_tls_and_reuse(nginx, ca, new_client):
    client = new_client(verify=ca.pem)
    with Timeline(client) as timeline:
        first = client.get(f"{nginx.https_url}/small", stream=False)
        client.get(f"{nginx.https_url}/data?secret=1", stream=False)
    document = timeline.to_dict()
    assert "secret" not in json.dumps(document)
    rows = check(document)
    [(name, (slices, instants))] = rows.items()
    assert name.endswith(f" 127.0.0.1:{nginx.tls_port}")
    [(_, _, _, args, within)] = slices
    assert args == {"unfinished": True} and instants == []
    shown = [name for name, *_ in within]
    assert shown[-4:] == [
        f"connect 127.0.0.1:{nginx.tls_port}",
        "tls",
        "GET /small 200",
        "GET /data 200",
    ]
    assert within[-3][3]["version"] == first.connection.tls_version
    assert within[-2][3]["reused"] is False and within[-1][3]["reused"] is True
    gap = within[-1][1] - (within[-2][1] + within[-2][2])
    assert gap / 1e6 == pytest.approx(within[-1][3]["idle_time"], abs=0.01)


def test_sent_again(server, new_client):
    ok = respond(b"ok")
    s = server([expect(), send(ok), expect(), close()], [expect(), send(ok)])
    client = new_client()
    with Timeline(client) as timeline:
        client.get(f"{s.url}/1", stream=False)
        client.get(f"{s.url}/2", stream=False)
    rows = check(timeline.to_dict())
    first, second = rows.values()
    assert "retry: lost_before_first_byte" in [name for name, _ in first[1]]
    assert second[0][0][4][-1][0] == "GET /2 200"
    assert second[0][0][4][-1][3]["attempt"] == 2


def test_attached_beside_others(server, new_client):
    """Beside the handler that is there; when it goes, whatever else has come
    meanwhile stays."""
    s = server([serve(respond(b"ok"))])
    told, late = [], []

    def own(event, info):
        told.append(event)

    def other(event, info):
        late.append(event)

    client = new_client(trace=own)
    with Timeline(client) as outer:
        inner = Timeline(client)
        with inner:
            client.get(s.url, stream=False)
            client.trace = hpool.trace.all_of(client.trace, other)
        assert len(inner) == len(outer) > 5
        client.get(s.url, stream=False)
        assert len(inner) < len(outer)
    assert told.count("request_start") == 2 and late.count("request_start") == 1
    seen = len(outer)
    client.get(s.url, stream=False)
    assert len(outer) == seen
    assert told.count("request_start") == 3 and late.count("request_start") == 2


def test_what_the_pool_does_by_itself(server, new_client):
    """It is told by the next call; the end of the recording is one."""
    s = server([expect(), send(respond(b"ok")), close()])
    client = new_client()
    with Timeline(client) as timeline:
        client.get(s.url, stream=False)
        until(lambda: sockets_to(s.port) == 0)
    rows = check(timeline.to_dict())
    [(slices, instants)] = rows.values()
    assert [name for name, _ in instants] == ["closed: server_closed_idle"]
    assert "unfinished" not in slices[0][3]


def test_as_the_handler(server, new_client, timeline):
    s = server([serve(respond(b"ok"))])
    new_client(trace=timeline).get(s.url, stream=False)
    assert list(requests_on(check(timeline.to_dict())).values())[0][3] == "GET / 200"


def test_client_is_pickled(new_client):
    """With a timeline of its own, that is empty."""
    with Timeline(new_client(trace=Told()), max_events=7) as timeline:
        with pickle.loads(pickle.dumps(timeline._client)) as copy:
            told, other = copy.trace.handlers
            assert isinstance(told, Told) and isinstance(other, Timeline)
            assert other is not timeline and len(other) == 0
            for i in range(8):
                other("got_response", {"time": 0.0})
            assert other.lost == 1


# ---- several handlers --------------------------------------------------------


class Told:
    def request_start(self, info):
        pass


class Methods:
    def __init__(self):
        self.seen = []

    def got_conn(self, info):
        self.seen.append(info)
        info["event"] = "spoilt"


def test_all_of():
    """Each in order, with a dict of its own, also when one before it raises."""
    order = []
    methods = Methods()
    first, second = ValueError(1), ValueError(2)

    def raising(error):
        def handler(event, info):
            order.append(error)
            raise error

        return handler

    def last(event, info):
        order.append(info["event"])

    both = hpool.trace.all_of(methods, None, hpool.trace.all_of(raising(first), last))
    with pytest.raises(ValueError) as raised:
        both("got_conn", {"event": "got_conn"})
    assert raised.value is first and order == [first, "got_conn"]
    assert len(methods.seen) == 1
    with pytest.raises(ExceptionGroup) as raised:
        hpool.trace.all_of(raising(first), raising(second))("put_idle_conn", {})
    assert raised.value.exceptions == (first, second)
    assert hpool.trace.all_of() is hpool.trace.all_of(None) is None
    assert hpool.trace.all_of(None, last) is last
    with pytest.raises(TypeError, match="trace takes an object with methods"):
        hpool.trace.all_of(last, 7)


def test_imported_on_demand():
    code = "import sys, hpool; assert 'hpool.trace' not in sys.modules; hpool.trace.Timeline"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
