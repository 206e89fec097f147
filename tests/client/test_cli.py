"""python -m hpool: get against a scripted server, and the demo as it is."""

import re
import signal
import sys
import threading
from pathlib import Path

import pytest

import hpool
from hpool.cli import demo, main, progress
from hpool.cli.demo_server import DemoServer
from tests.server.scripted import close, expect, respond, send, until_closed
from tests.tools import python_m

OK = respond(b"body\n", headers={"X-Some": "thing"})


# ---- get --------------------------------------------------------------------


def test_get(run, server):
    url = server([expect(), send(OK)]).url
    assert run("get", url) == (0, b"body\n", "")


def test_get_with_head(run, server):
    url = server([expect(), send(OK)]).url
    status, out, err = run("get", "-i", url)
    assert (status, err) == (0, "")
    assert out == (
        b"HTTP/1.1 200 OK\nX-Some: thing\nContent-Length: 5\n\nbody\n"
    )


def test_get_verbose(run, server):
    s = server([expect(), send(OK)])
    status, out, err = run("get", "-v", s.url)
    assert (status, out) == (0, b"body\n")
    lines = err.splitlines()
    assert all(line.startswith("* ") for line in lines)
    assert f"* connected to 127.0.0.1:{s.port} from 127.0.0.1:" in lines[0]
    assert lines[1] == "* connection new"
    assert lines[-1] == "* 200 OK, body 5 B"
    for title in ("name look-up", "connect", "server's answer", "total"):
        assert any(line.startswith(f"* {title}  ") for line in lines)


def test_get_verbose_tls(run, server, ca, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca.pem)
    url = server([expect(), send(OK)], tls=ca.server_context()).url
    status, out, err = run("get", "-v", url)
    assert (status, out) == (0, b"body\n")
    assert re.search(r"^\* TLSv1\.3, TLS_\w+$", err, re.MULTILINE)
    assert re.search(r"^\* TLS handshake +[\d.]+ .s$", err, re.MULTILINE)


def test_get_a_status_is_an_answer(run, server):
    url = server([expect(), send(respond(b"no\n", 404))]).url
    assert run("get", url) == (0, b"no\n", "")


def test_get_into_a_file(run, server, tmp_path):
    url = server([expect(), send(respond(bytes(300_000)))]).url
    path = tmp_path / "body"
    assert run("get", "-o", str(path), url) == (0, b"", "")
    assert path.read_bytes() == bytes(300_000)


def test_get_into_a_file_that_cannot_be(run, server, tmp_path):
    url = server([expect(), send(OK)]).url
    status, out, err = run("get", "-o", str(tmp_path), url)
    assert (status, out) == (1, b"")
    assert re.fullmatch(r"hpool: .*Is a directory.*\n", err)


def test_get_leaves_a_file_alone_when_there_is_no_answer(run, server, tmp_path):
    path = tmp_path / "body"
    path.write_text("old")
    url = server([expect(), close()]).url
    status, _, err = run("get", "-o", str(path), url)
    assert (status, err.count("\n")) == (1, 1)
    assert path.read_text() == "old"


def test_get_a_body_cut_short(run, server):
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf\n"
    url = server([expect(), send(cut), close()]).url
    status, out, err = run("get", url)
    assert (status, out) == (1, b"half\n")
    assert re.fullmatch(r"hpool: .+\n", err)


@pytest.mark.parametrize("url", ["a.test", "ftp://a.test/", "http://", "http://[/"])
def test_get_no_such_url(run, url):
    status, out, err = run("get", url)
    assert (status, out) == (1, b"")
    assert re.fullmatch(r"hpool: .+\n", err)


def test_get_nobody_there(run):
    with DemoServer() as gone:
        url = gone.url
    status, _, err = run("get", url)
    assert status == 1
    assert re.fullmatch(r"hpool: .*refused.*\n", err)


def test_wrong_usage(run):
    for arguments in ((), ("fetch",), ("get",), ("get", "--colour", "http://a")):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


def test_ctrl_c(server):
    s = server([expect(), until_closed()])
    with python_m("get", s.url) as process:
        s.wait_requests(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_each_piece_is_passed_on_as_it_arrives(server):
    go = threading.Event()
    s = server([expect(), send(OK[:-3], go, OK[-3:])])
    with python_m("get", s.url) as process:
        assert process.stdout.read(2) == b"bo"
        go.set()
        assert process.communicate(timeout=30) == (b"dy\n", b"")


def test_a_reader_that_has_seen_enough(server):
    go = threading.Event()
    big = respond(bytes(1 << 20))
    s = server([expect(), send(big[:100_000], go, big[100_000:]), until_closed()])
    with python_m("get", s.url) as process:
        assert process.stdout.read(1000) == bytes(1000)
        process.stdout.close()
        go.set()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


# ---- the progress line ------------------------------------------------------


def test_progress_line():
    line = progress.progress_line(500_000, 1_000_000, 1.0, 60)
    assert line == "[############            ]  50 %  0.5 of 1.0 MB  500.0 kB/s"
    assert len(line) <= 60
    assert progress.progress_line(2_000, None, 2.0, 60) == (
        "2.0 kB  1.0 kB/s  2.00 s"
    )
    line = progress.progress_line(10, 50, 1.0, 60)
    assert line.endswith("]  20 %  10 of 50 B  10 B/s")
    for width in range(1, 100):
        for done in (0, 1, 999_999, 10**12):
            for total in (None, 1, 10**6, 10**12):
                line = progress.progress_line(done, total, 0.0, width)
                assert len(line) <= width


def test_round_trips_of_a_new_connection():
    assert demo._round_trips("http://example.test/") == 1
    assert demo._round_trips("HTTPS://example.test/") == 2


def test_progress_is_silent_without_a_terminal(capsys):
    shown = progress.Progress(10)
    shown.add(10)
    shown.end()
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal(monkeypatch, capsys):
    clock = iter([0.0, 0.05, 0.2, 0.2, 0.3])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    shown = progress.Progress(10)
    shown.add(4)  # too early to be worth a line
    assert capsys.readouterr().err == ""
    shown.add(4)
    assert " 80 %" in capsys.readouterr().err
    shown.end()
    err = capsys.readouterr().err
    assert err.startswith("\r[")
    assert err.endswith("\n")


# ---- demo -------------------------------------------------------------------


def test_demo_server():
    with DemoServer() as server, hpool.Client() as client:
        for path, size in (("/", 20), ("/bytes/7", 7), ("/wait/0", 20)):
            with client.get(server.url + path) as response:
                assert len(response.read()) == size
        assert server.take_accepted() == 1
        assert server.take_accepted() == 0


def figures(text, name):
    """The words in the row of a table that begins with `name`."""
    (line,) = re.findall(rf"^  {re.escape(name)} +(\S.*)$", text, re.MULTILINE)
    return line.split()


@pytest.mark.slow
def test_demo(run):
    status, out, err = run("demo")
    text = out.decode()
    assert (status, err) == (0, "")
    assert max(map(len, text.splitlines())) <= 79
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == list("12345")
    assert text.count("\n=> ") == 5
    # 1
    assert figures(text, "a client per request")[0] == "500"
    assert figures(text, "one client")[0] == "1"
    # 2
    assert figures(text, "kept, not read") == ["25", "25"]
    assert figures(text, "read to the end") == ["1", "0"]
    # 4
    assert figures(text, "no draining") == ["50", "0"]
    assert int(text.split("hpool's default")[-1].split()[0]) < 50
    # 5
    assert re.search(r"hpool\.PoolTimeout: waited 0\.5", text)
    assert "max_conns_per_host" in text.split("hpool.PoolTimeout")[1]


def test_demo_of_a_url(run):
    with DemoServer() as server:
        status, out, err = run("demo", server.url + "/?key=secret")
        assert server.take_accepted() == 21
    text = out.decode()
    assert (status, err) == (0, "")
    assert figures(text, "a client per request")[0] == "20"
    assert figures(text, "one client")[0] == "1"
    assert "secret" not in text


def test_demo_of_a_url_that_is_not_there(run):
    with DemoServer() as gone:
        url = gone.url
    status, _, err = run("demo", url)
    assert status == 1
    assert re.fullmatch(r"hpool: .*refused.*\n", err)


# ---- the page about it ------------------------------------------------------


def test_options_of_the_page_exist(capsys):
    """docs/cli.rst names no option that there is not."""
    option = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
    page = (Path(__file__).parents[2] / "docs/cli.rst").read_text()
    known = {"-m"}  # Python's own
    for command in "get", "bench", "doctor", "top":
        with pytest.raises(SystemExit):
            main([command, "--help"])
        known.update(option.findall(capsys.readouterr().out))
    assert set(option.findall(page)) <= known
    assert "--go-limits" in known
