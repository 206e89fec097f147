"""python -m hpool top, on a terminal and without one."""

import os
import re
import signal
import threading

import pytest

from tests.server.scripted import refused_port, respond, serve
from tests.terminal import Terminal
from tests.tools import python_m

HELLO = respond(b"hello")


class Held:
    """A server that answers so many requests at once, and the others when it
    is let go."""

    def __init__(self, server, at_once):
        self.go = threading.Event()
        self.at_once = at_once
        self.server = server(self._script, timeout=30.0)
        self.url = self.server.url

    def _script(self, connection):
        while connection.request(patient=True):
            if len(self.server.requests) > self.at_once:
                connection.wait(self.go)
            connection.send(HELLO)


@pytest.fixture
def held(server):
    """40 answers, and then none until it is let go."""
    held = Held(server, 40)
    yield held
    held.go.set()


def top(held, *arguments, **how):
    """8 threads that share 5 connections: 5 requests are held, 3 wait."""
    limits = "-c", "8", "--max-conns-per-host", "5", "--interval", "0.05"
    return Terminal("top", *limits, *arguments, f"{held.url}/x", **how)


def row(terminal, title):
    """What stands behind a title on the screen, or None."""
    found = re.findall(rf"^ {title}  +(\S.*)$", terminal.text, re.MULTILINE)
    return found[0].split() if found else None


def wait_until_held(terminal):
    """Until the screen says that nothing moves any more."""
    last = [("answers", "40"), ("in use", "5"), ("waiting", "3")]
    terminal.wait(lambda t: all((row(t, title) or [0])[0] == n for title, n in last))


# ---- on a terminal ----------------------------------------------------------


def test_80_columns(held):
    with top(held) as terminal:
        wait_until_held(terminal)
        assert terminal.is_full_screen
        assert terminal.screen.cursor.hidden
        assert terminal.lines[0].startswith(f" hpool top  {held.url}/x  ")
        assert "  8 threads  0:0" in terminal.lines[0]
        assert terminal.lines[1] == " " + "─" * 78
        assert row(terminal, "answers")[:3] == ["40", "(200:", "40)"]
        assert row(terminal, "errors") == ["0"]
        assert row(terminal, "pool") == ["now", "peak", "limit", "5"]
        assert row(terminal, "in use") == ["5", "5", "█" * 49]
        assert row(terminal, "waiting") == ["3", "3", "█" * 29 + "▍"]
        assert row(terminal, "idle")[0] == "0"
        assert re.fullmatch(
            r"\d+ dialed, \d\d reused \(.* %\)", " ".join(row(terminal, "connections"))
        )
        assert len(row(terminal, "in all")) == 8
        assert terminal.lines[23].endswith("Ctrl-C ends")
        terminal.wait(lambda t: t.output.count(b"hpool top") > 2)
        assert terminal.screen.scrolled == 0


def test_the_rooms_empty_and_it_ends(held):
    with top(held, "-n", "48") as terminal:
        wait_until_held(terminal)
        held.go.set()
        terminal.wait(lambda t: not t.is_full_screen)
        assert terminal.wait_end() == 0
        assert not terminal.screen.cursor.hidden
        assert re.search(
            r"^requests    48 in .*: .* a second$", terminal.text, re.MULTILINE
        )
        assert "answers     48 (200: 48)" in terminal.lines
        assert "errors      none" in terminal.lines


@pytest.mark.parametrize("columns,rows", [(60, 16), (120, 40), (30, 5)])
def test_resize(held, columns, rows):
    """At once, and every cell of the new size is a new one."""
    with top(held, "--interval", "30") as terminal:
        terminal.wait(lambda t: t.lines[-1])
        terminal.resize(columns, rows)
        terminal.wait(lambda t: len(t.lines[0]) == columns - 1 and t.lines[-1])
        assert terminal.lines[0].endswith("  8 threads  0:00")
        assert max(map(len, terminal.lines)) == columns - 1
        assert len(terminal.lines) == rows
        assert terminal.lines[-1].endswith("Ctrl-C ends") == (rows > 5)


def test_columns_in_the_environment_do_not_hinder(held):
    with top(held, COLUMNS="200", LINES="10") as terminal:
        wait_until_held(terminal)
        assert terminal.lines[1] == " " + "─" * 78


def test_ctrl_c(held):
    with top(held) as terminal:
        wait_until_held(terminal)
        terminal.interrupt()
        assert terminal.wait_end() == 130
        assert not terminal.is_full_screen
        assert not terminal.screen.cursor.hidden
        assert terminal.current_settings() == terminal.settings
        assert "answers     40 (200: 40)" in terminal.lines
        assert re.search(
            r"^requests    40 in .*, then interrupted: ", terminal.text, re.MULTILINE
        )
        # What the pool held when Ctrl-C came, at the end of the summary.
        assert re.search(r"^total +0 +5 +0 +0 +3 ", terminal.text, re.MULTILINE)
        assert "Traceback" not in terminal.text
        assert "^C" not in terminal.text


def test_ctrl_c_before_the_first_answer(server):
    held = Held(server, 0)
    with top(held) as terminal:
        held.server.wait_requests(1)
        terminal.wait(lambda t: row(t, "in use"))
        terminal.interrupt()
        assert terminal.wait_end() == 130
        assert "requests    0 in " in terminal.text
        assert terminal.current_settings() == terminal.settings
    held.go.set()


def test_terminated(held):
    with top(held) as terminal:
        wait_until_held(terminal)
        terminal.process.terminate()
        assert terminal.wait_end() == 128 + signal.SIGTERM
        assert not terminal.is_full_screen
        assert terminal.current_settings() == terminal.settings


def test_keys_are_not_shown(held):
    with top(held) as terminal:
        wait_until_held(terminal)
        terminal.type(b"what is this?")
        terminal.wait(lambda t: " 0:01" in t.lines[0])
        terminal.interrupt()
        assert terminal.wait_end() == 130
        assert b"what" not in terminal.output


def test_suspended_and_resumed(held):
    """Ctrl-Z gives the shell its screen back, and fg goes on."""
    with top(held) as terminal:
        wait_until_held(terminal)
        terminal.type(b"\x1a")
        terminal.wait(lambda t: not t.is_full_screen)
        terminal.wait(lambda t: not t.screen.cursor.hidden)
        _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert terminal.current_settings() == terminal.settings
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait(lambda t: t.is_full_screen)
        wait_until_held(terminal)
        terminal.interrupt()
        assert terminal.wait_end() == 130


def test_nobody_there():
    with (
        refused_port() as port,
        Terminal("top", f"http://u:hush@127.0.0.1:{port}/") as terminal,
    ):
        assert terminal.wait_end() == 2
        assert not terminal.is_full_screen
        assert terminal.current_settings() == terminal.settings
        assert terminal.text.strip() == (
            f"hpool: cannot connect to 127.0.0.1:{port}: Connection refused"
        )


def test_credentials_are_not_shown(held):
    url = held.url.replace("://", "://somebody:hush@") + "/x?token=hush"
    with Terminal("top", "-n", "50", "--interval", "0.05", url) as terminal:
        terminal.wait_text("?token=...", " pool ")
        assert "hush" not in terminal.text
        held.go.set()
        assert terminal.wait_end() == 0
        assert "?token=..." in terminal.text
        assert "hush" not in terminal.text


def test_two_hosts(server, held):
    other = server(serve(HELLO))
    with top(held, f"{other.url}/y") as terminal:
        terminal.wait_text(f" {held.url}", f" {other.url}", " total ")
        assert " and 1 more  " in terminal.lines[0]
        terminal.interrupt()
        assert terminal.wait_end() == 130


def test_without_rich(held, tmp_path):
    """It says what to install, and goes on in lines."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['rich'] = None")
    path = os.pathsep.join(
        [str(tmp_path), os.environ.get("PYTHONPATH", "."), os.getcwd()]
    )
    with top(held, PYTHONPATH=path) as terminal:
        terminal.wait_text("pip install 'hpool[top]'", " errors used idle wait")
        terminal.interrupt()
        assert terminal.wait_end() == 130


def test_a_dumb_terminal(held):
    with top(held, TERM="dumb") as terminal:
        terminal.wait_text(" errors used idle wait")
        assert b"\x1b" not in terminal.output
        terminal.interrupt()
        assert terminal.wait_end() == 130


# ---- without a terminal -----------------------------------------------------


def is_held(words):
    """Nothing has ended since the line before."""
    return words[2] == b"0" and words[-3:] == [b"5", b"0", b"3"]


def test_no_terminal(held):
    options = "-c", "8", "--max-conns-per-host", "5", "--interval", "0.05"
    with python_m("top", *options, held.url) as process:
        heads = process.stdout.readline().decode().split()
        assert heads == "time requests/s p50 p90 p99 max errors used idle wait".split()
        lines = iter(process.stdout.readline, b"")
        held.server.wait_requests(45)
        line = next(line for line in lines if is_held(line.split()))
        assert len(line) <= 80
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")
    assert b"\x1b" not in line + out
    assert b"\nanswers     40 (200: 40)\n" in out
    assert b", then interrupted: " in out


def test_no_terminal_to_the_end(run, held):
    held.at_once = 1000
    status, out, err = run("top", "-n", "200", "--interval", "0.05", held.url)
    assert (status, err) == (0, "")
    assert b"\nanswers     200 (200: 200)\n" in out


def test_no_terminal_and_nobody_there(run):
    with refused_port() as port:
        status, out, err = run("top", f"http://127.0.0.1:{port}/")
    assert status == 2
    assert re.fullmatch(r"hpool: .*refused\n", err)


def test_a_reader_that_has_seen_enough(held):
    held.at_once = 10**9
    with python_m("top", "--interval", "0.05", held.url) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1
