"""python -m hpool doctor: what it prints, and its exit status."""

import argparse
import json
import re
import signal
import threading

import pytest

from hpool import Limits
from hpool._advice import Advice
from hpool.cli import main, report
from hpool.cli.load_options import add_load_arguments, make_limits
from tests.server.scripted import close, expect, refused_port, respond, send, serve
from tests.terminal import Terminal
from tests.tools import python_m, until

HELLO = respond(b"hello")


@pytest.fixture
def hello(server):
    """A server that says hello to everybody."""
    return server(serve(HELLO))


def rows(out):
    """What stands behind each title of the summary."""
    lines = out.decode().partition("\n\n")[0].splitlines()
    return {line[:12].strip(): line[12:] for line in lines}


# ---- what it says -----------------------------------------------------------


def test_a_healthy_pool(run, hello):
    status, out, err = run("doctor", "-n", "50", "-c", "5", f"{hello.url}/x")
    assert (status, err) == (0, "")
    said = rows(out)
    assert said["load"] == f"{hello.url}/x from 5 threads"
    assert re.fullmatch(r"50 in [\d.]+ .?s: [\d,]+ a second", said["requests"])
    assert said["answers"] == "50 (200: 50)"
    figures = r"p50 #   p90 #   p99 #   max #".replace("#", r"[\d.]+ [mu]s")
    assert re.fullmatch(figures, said["latency"])
    assert said["bodies"].startswith("250 B, ")
    dialed, reused = map(
        int, re.findall(r"(\d+) (?:dialed|reused)", said["connections"])
    )
    assert 0 < 50 - reused <= dialed
    assert said["errors"] == "none"
    assert f"\nhttp://127.0.0.1:{hello.port}" in out.decode()
    assert re.search(r"^total .* 50 +\d+ +\d+$", out.decode(), re.MULTILINE)
    assert len(hello.requests) == 50
    assert max(map(len, out.decode().splitlines())) <= 79


def test_1000_from_10_unless_told(run, hello):
    _, out, _ = run("doctor", hello.url)
    assert len(hello.requests) == 1000
    assert rows(out)["load"].endswith(" from 10 threads")


def test_for_some_seconds(run, hello):
    status, out, _ = run("doctor", "-d", "0.05", "-c", "2", "--json", hello.url)
    load = json.loads(out)["load"]
    assert status == 0
    assert load["seconds"] >= 0.05
    assert load["requests"] == len(hello.requests) > 1


def test_the_limits_are_the_client_s(run, hello):
    limits = "--max-conns-per-host=1", "--max-requests-per-conn=5"
    _, out, _ = run("doctor", "-n", "20", "-c", "4", *limits, hello.url)
    assert len(hello.connections) == 4
    assert "max_requests" in out.decode()


def limits_of(*arguments):
    parser = argparse.ArgumentParser()
    add_load_arguments(parser, 1000)
    return make_limits(parser.parse_args([*arguments, "http://a.test/"]))


def test_every_limit_has_its_option():
    assert limits_of() == Limits()
    assert limits_of("--go-limits") == Limits.go()
    assert limits_of("--go-limits", "--max-idle-conns-per-host=7") == Limits(
        max_idle_conns_per_host=7
    )
    for name, default in zip(Limits.__slots__, Limits()._values()):
        option = f"--{name.replace('_', '-')}"
        if name == "idle_order":  # it makes no difference to one server
            continue
        if name == "disable_keepalives":
            assert limits_of(option).disable_keepalives
            continue
        assert default != 3
        assert limits_of(option, "3") == Limits(**{name: 3})
    assert limits_of("--idle-conn-timeout=0.0").idle_conn_timeout == 0


def test_contradictory_limits_do_not_warn(run, hello):
    """Warnings are errors in these tests; to name them is for the advice."""
    limits = "--max-conns=2", "--max-conns-per-host=3"
    _, out, err = run("doctor", "-n", "5", *limits, hello.url)
    assert rows(out)["answers"] == "5 (200: 5)"
    assert err == ""


def test_headers_are_sent_and_not_shown(run, hello):
    _, out, err = run("doctor", "-n", "1", "-H", "X-Api-Key:  hush", hello.url)
    assert hello.requests[0].get("X-Api-Key") == "hush"
    assert "hush" not in out.decode() + err


def test_closed_unread(run, server):
    s = server(serve(respond(bytes(500_000))))
    how = "--close-unread", "--drain-bytes=0"
    _, out, _ = run("doctor", "-n", "3", "-c", "1", *how, s.url)
    assert "closed: body_unread 3" in out.decode()
    assert rows(out)["bodies"].startswith("0 B")


def test_a_problem(run, server):
    s = server(serve(respond(bytes(500_000))))
    how = "-n", "40", "-c", "2", "--close-unread", "--drain-bytes=0", s.url
    status, out, err = run("doctor", *how)
    assert (status, err) == (1, "")
    advice = out.decode().rpartition("\n\n")[2].splitlines()
    assert advice[0].startswith("problem: bodies_unread")
    assert advice[1].startswith("     40 of 40 responses were closed ")
    assert any(line.startswith("  => Read bodies to their end") for line in advice)
    assert max(map(len, advice)) <= 79
    status, out, err = run("doctor", "--json", *how)
    found = json.loads(out)
    assert (status, err, found["status"]) == (1, "", 1)
    assert found["advice"][0]["code"] == "bodies_unread"
    assert found["advice"][0]["severity"] == "problem"


def test_a_hint_is_no_problem(run, server):
    s = server(serve(HELLO))
    how = "-n", "40", "-c", "2", "--max-conns=2", "--max-conns-per-host=3"
    status, out, err = run("doctor", *how, s.url)
    assert (status, err) == (0, "")
    assert "\nhint: contradictory_limits\n" in out.decode()


def test_advice():
    found = [
        Advice(
            "idle_cap", "problem", "a.test:80", "word " * 20 + "end", "Raise it", {}
        ),
        Advice("time_wait", "hint", None, "Many \x1b[2J", "Wait", {}),
    ]
    assert list(report.advice_text(found)) == [
        "problem: idle_cap (a.test:80)",
        "     " + " ".join(["word"] * 15),
        "     " + " ".join(["word"] * 5) + " end",
        "  => Raise it",
        "hint: time_wait",
        "     Many ?[2J",
        "  => Wait",
    ]
    assert list(report.advice_text([])) == ["No problem found."]


def test_requests_that_fail(run, server):
    s = server([expect(), send(HELLO), close()], [expect(), send(b"nonsense\r\n\r\n")])
    status, out, err = run("doctor", "-n", "2", "-c", "1", s.url)
    assert (status, err) == (1, "")
    assert rows(out)["errors"].startswith("1 RemoteProtocolError: ")


def test_json(run, hello):
    url = hello.url.replace("://", "://somebody:hush@") + "/x?token=hush"
    status, out, err = run("doctor", "-n", "20", "--json", url)
    assert (status, err) == (0, "")
    assert b"hush" not in out
    found = json.loads(out)
    assert found["status"] == 0
    assert found["advice"] == []
    load = found["load"]
    assert load["urls"] == [f"{hello.url}/x?token=..."]
    assert (load["requests"], load["answers"], load["bytes"]) == (20, 20, 100)
    assert (load["statuses"], load["errors"]) == ({"200": 20}, {})
    assert 0 < load["latency"]["p50"] <= load["latency"]["max"] <= load["seconds"]
    assert found["stats"]["total"]["requests"] == 20
    (host,) = found["stats"]["hosts"].values()
    assert host["now"]["idle"] == found["stats"]["total"]["now"]["idle"] > 0


# ---- nobody there, and wrong usage ------------------------------------------


def fails(run, *arguments):
    """The text of a failure that prints nothing else."""
    status, out, err = run("doctor", *arguments)
    assert (status, out) == (2, b"")
    assert re.fullmatch(r"hpool: .+\n", err)
    assert "hush" not in err
    return err


def test_server_down(run):
    with refused_port() as port:
        url = f"http://somebody:hush@127.0.0.1:{port}/?token=hush"
        assert "Connection refused" in fails(run, url)


def test_no_such_host(run):
    assert "cannot resolve" in fails(run, "http://no-such-host.invalid/")


def test_no_scheme(run):
    assert "http://" in fails(run, "a.test/somebody:hush@")


@pytest.mark.parametrize(
    "url", ["ftp://a.test/", "http://", "http://[/", "http://a b/", ""]
)
def test_no_url(run, url):
    fails(run, url)


def test_a_certificate_that_nobody_signed(run, server, ca, monkeypatch):
    s = server(serve(HELLO), tls=ca.server_context())
    assert "--insecure" in fails(run, s.url)
    for trust in (["--cacert", ca.pem], ["--insecure"]):
        status, out, err = run("doctor", "-n", "3", "-c", "1", *trust, s.url)
        assert (status, err) == (0, "")
        assert "TLS handshakes 1, 0 of them resumed" in rows(out)["connections"]


def test_no_such_authority(run):
    assert "/no/such/file" in fails(
        run, "https://127.0.0.1:1", "--cacert", "/no/such/file"
    )


def test_a_server_that_does_not_answer(run, server):
    go = threading.Event()
    s = server([expect(), send(go)])
    assert "0.1" in fails(run, "--timeout", "0.1", s.url)
    go.set()


def test_more_than_the_descriptors_allow(run, hello, monkeypatch):
    monkeypatch.setattr("hpool.cli.load_options.resource.getrlimit", lambda _: (99, 99))
    assert "-c 17 is what it allows" in fails(run, "-c", "18", hello.url)


@pytest.mark.parametrize(
    "wrong",
    [
        ["-n", "0"],
        ["-n", "-5"],
        ["-n", "many"],
        ["-n", "http://somebody:hush@a.test/"],
        ["-c", "0"],
        ["-c", "1000000"],
        ["-d", "0"],
        ["-d", "nan"],
        ["--rate", "0"],
        ["--timeout", "-1"],
        ["--max-conns", "0"],
        ["--idle-conn-timeout", "x"],
        ["-H", "hush"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["doctor", *wrong, "http://127.0.0.1:1/"])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert wrong[0] in err
    assert "hush" not in err


ABOVE_ZERO = "takes seconds above zero, 1000000000 at most"


@pytest.mark.parametrize(
    "option, text, takes",
    [
        ("-d", "-1", ABOVE_ZERO),
        ("-d", "nan", ABOVE_ZERO),
        ("-d", "inf", ABOVE_ZERO),
        ("-d", "1e10", ABOVE_ZERO),
        ("-d", "1e-400", ABOVE_ZERO),
        ("-d", "1_0", ABOVE_ZERO),
        ("-d", "", ABOVE_ZERO),
        ("-d", "\u0661", ABOVE_ZERO),
        ("--timeout", "1e999", ABOVE_ZERO),
        ("--max-conn-age", "0", ABOVE_ZERO),
        ("--idle-conn-timeout", "-0.1", "takes seconds from 0, 1000000000 at most"),
        ("--rate", "1e-9", "takes requests a second from 0.001, 1000000000 at most"),
        ("-n", "1e9", "takes a whole number from 1 to 1000000000000"),
        ("-n", "9" * 30, "takes a whole number from 1 to 1000000000000"),
        ("-c", "1.5", "takes a whole number from 1 to 10000"),
        ("--max-conns", "-1", "takes a whole number from 1 to 1000000000000"),
        ("--drain-bytes", "-1", "takes a whole number from 0 to 1000000000000"),
    ],
)
def test_numbers_out_of_range(option, text, takes, capsys):
    """The text says the range, and what was given."""
    with pytest.raises(SystemExit):
        main(["doctor", option, text, "http://127.0.0.1:1/"])
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.endswith(f"{takes}, not {text!r}")
    assert option in err


def test_numbers_at_the_end_of_their_range(run, hello):
    """Nobody waits so long, and nothing fails on it."""
    amounts = [
        ("-d", "1e9"),
        ("--timeout", "1E9"),
        ("--rate", "1e9"),
        ("--idle-conn-timeout", "1000000000."),
        ("--drain-timeout", "0.0"),
        ("--max-conn-age", ".5e+1"),
        ("--max-conns", str(10**12)),
        ("--max-waiting", "0"),
        ("--drain-bytes", str(10**12)),
        ("--max-requests-per-conn", str(10**12)),
        ("-n", "3"),
    ]
    arguments = [word for pair in amounts for word in pair]
    status, out, err = run("doctor", *arguments, hello.url)
    assert (status, err) == (0, "")


@pytest.mark.parametrize("rate", ["0.001", "1e9"])
def test_a_rate_at_the_end_of_its_range(run, hello, rate):
    """The second request would be due when the time is long over."""
    status, _, err = run("doctor", "--rate", rate, "-d", "0.05", hello.url)
    assert (status, err) == (0, "")


def test_without_a_url():
    with pytest.raises(SystemExit) as caught:
        main(["doctor"])
    assert caught.value.code == 2


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    for command in ("get", "doctor", "top", "demo"):
        assert re.search(rf"^    {command} +\w", said, re.MULTILINE)


# ---- interrupted ------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_prints_what_it_has(server, number):
    s = server(lambda connection: hold_from(connection, 5))
    with python_m("doctor", "-c", "3", s.url) as process:
        s.wait_requests(6)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (128 + number, b"")
    assert ", then interrupted: " in rows(out)["requests"]
    assert rows(out)["errors"] == "none"
    # What the pool held then, not what was left when all was cancelled.
    assert b"cancelled" not in out


def hold_from(connection, number):
    """Answers at once, until the server has seen so many requests."""
    while connection.request(patient=True):
        if len(connection.server.requests) > number:
            connection.until_closed()
            return
        connection.send(HELLO)


def test_interrupted_before_the_first_answer(server):
    s = server(lambda connection: hold_from(connection, 0))
    with python_m("doctor", s.url, "--json") as process:
        s.wait_requests(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")
    assert json.loads(out)["load"]["latency"]["p50"] is None
    assert json.loads(out)["status"] == 130


def test_a_terminal_is_shown_how_far_it_is(server):
    go = threading.Event()

    def script(connection):
        while connection.request(patient=True):
            if len(connection.server.requests) > 5:
                connection.wait(go)
            connection.send(HELLO)

    s = server(script)
    with Terminal("doctor", "-n", "20", "-c", "2", s.url) as terminal:
        terminal.wait_text(" of 20 requests, ")
        go.set()
        terminal.wait_text("No problem found.")
        assert terminal.wait_end() == 0
        assert terminal.lines[0].startswith("load  ")
        assert " of 20 requests" not in terminal.text


def test_nothing_is_left(run, hello):
    """No thread, and every connection closed."""
    run("doctor", "-n", "20", hello.url)
    for connection in hello.connections:
        connection.wait_closed()
    until(lambda: "hpool-load" not in [t.name for t in threading.enumerate()])


def test_signals_are_as_before(run, hello):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run("doctor", "-n", "1", hello.url)
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
