"""The logger "hpool": the story of each connection at DEBUG, and nothing at all for
those who do not ask."""

import logging
import os
import re
import subprocess
import sys
import threading

import pytest

import hpool
from hpool._log import Log
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    respond_chunked,
    send,
    serve,
)
from tests.tools import Call, until, until_waiting

OK = respond(b"ok")


@pytest.fixture
def lines(caplog):
    """lines() gives back what was logged so far, numbers of connections and
    times made the same for all."""
    caplog.set_level(logging.DEBUG, logger="hpool")

    def now():
        return [
            re.sub(
                r"\d[\d.]* (us|ms|s)\b",
                "TIME",
                re.sub(r"\bconn \d+ ", "conn N ", record.getMessage()),
            )
            for record in caplog.records
            if record.name == "hpool"
        ]

    yield now
    assert {r.levelno for r in caplog.records if r.name == "hpool"} <= {logging.DEBUG}


def test_story_of_a_connection(server, new_client, lines):
    s = server([serve(OK)])
    client = new_client()
    client.get(f"{s.url}/a?token=secret", stream=False)
    client.get(f"{s.url}/b", stream=False)
    client.close_idle()
    client.stats()
    at = f"127.0.0.1:{s.port}"
    conn = f"conn N {at}:"
    assert [line for line in lines() if "127.0.0.1 is" not in line] == [
        f"{conn} connecting to {at}",
        f"{conn} connected to {at}",
        f"{conn} GET {s.url}/a (new)",
        f"{conn} 200 for GET {s.url}/a",
        f"{conn} given back",
        f"GET {s.url}/a: ended after TIME: 200",
        f"{conn} GET {s.url}/b (request 2, after TIME idle)",
        f"{conn} 200 for GET {s.url}/b",
        f"{conn} given back",
        f"GET {s.url}/b: ended after TIME: 200",
        f"{conn} closed: close_idle_called; it served 2 in TIME",
    ]


def test_tls(nginx, ca, new_client, lines):
    new_client(verify=ca.pem).get(f"{nginx.https_url}/small", stream=False)
    told = "\n".join(lines())
    assert re.search(r"TLS handshake with 127\.0\.0\.1$", told, re.M)
    assert re.search(r"TLS handshake done: TLSv1\.\d, [A-Z][\w-]+$", told, re.M)


def test_failed_connect(new_client, lines):
    with refused_port() as port, pytest.raises(hpool.ConnectError):
        new_client().get(f"http://127.0.0.1:{port}/")
    told = "\n".join(lines())
    assert f"connecting to 127.0.0.1:{port} failed: " in told
    assert f"GET http://127.0.0.1:{port}/: ended after TIME: ConnectError" in told


def test_waiting(server, new_client, lines):
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:]), serve(OK)])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    held = client.get(f"{s.url}/a")
    call = Call(lambda: client.get(f"{s.url}/b").read())
    until_waiting(client, 1)
    until(lambda: any("waits" in line for line in lines()))
    go.set()
    held.read()
    call.result()
    told = lines()
    at = f"127.0.0.1:{s.port}"
    assert f"GET {s.url}/b: waits for a connection to {at}, 1 of 1" in told
    assert f"GET {s.url}/b: waited TIME, until: connection" in told
    assert f"conn N {at}: GET {s.url}/b (request 2, handed over)" in told


def test_sent_again_and_not_kept(server, new_client, lines):
    last = respond(b"ok", headers={"Connection": "close"})
    s = server([expect(), send(OK), expect(), close()], [expect(), send(last), close()])
    client = new_client()
    client.get(s.url, stream=False)
    client.get(s.url, stream=False)
    client.stats()
    told = "\n".join(lines())
    assert f"GET {s.url}: sent again, attempt 2: lost_before_first_byte" in told
    assert "closed: response_says_close; it served 1 in TIME" in told


def test_drain(server, new_client, lines):
    s = server([expect(), send(respond_chunked(b"a" * 9)[:-5], OK[:0])])
    client = new_client()
    client.get(s.url).close()
    until(lambda: client.stats().total.draining == 0)
    client.stats()
    told = "\n".join(lines())
    assert "closed early, draining the body: ? bytes left" in told
    assert "draining ended: drain_timeout" in told


def test_beside_the_users_own_handler(server, new_client, lines):
    """The client's trace is what the user set, and is told first."""
    s = server([serve(OK)])
    order = []

    def own(event, info):
        order.append((event, len(lines())))

    client = new_client(trace=own)
    assert client.trace is own
    client.get(s.url, stream=False)
    events = dict(reversed(order))
    assert events["got_conn"] < len(lines())
    assert not any("(new)" in line for line in lines()[: events["got_conn"]])
    client.trace = None
    assert client.trace is None
    before = len(lines())
    client.get(s.url, stream=False)
    assert len(lines()) > before


def test_configured_later(server, new_client, lines, caplog):
    """From the next dial on, for every client there is; and as long as somebody
    listens."""
    s = server(*[[serve(OK)]] * 4)
    caplog.set_level(logging.INFO, logger="hpool")
    client = new_client()
    client.get(f"{s.url}/1", stream=False)
    caplog.set_level(logging.DEBUG, logger="hpool")
    client.get(f"{s.url}/2", stream=False)  # nobody looks on the fast path
    assert lines() == []
    client.close_idle()
    client.get(f"{s.url}/3", stream=False)
    client.get(f"{s.url}/4", stream=False)
    at = f"conn N 127.0.0.1:{s.port}:"
    assert lines()[0] == f"{at} connecting to 127.0.0.1:{s.port}"
    assert f"{at} GET {s.url}/3 (new)" in lines()
    assert f"{at} GET {s.url}/4 (request 2, after TIME idle)" in lines()
    assert client.trace is None
    caplog.set_level(logging.INFO, logger="hpool")
    client.close_idle()
    told = len(lines())
    client.get(f"{s.url}/5", stream=False)  # dials, and finds out
    caplog.set_level(logging.DEBUG, logger="hpool")
    client.get(f"{s.url}/6", stream=False)
    assert len(lines()) == told


def test_configured_later_and_a_failed_dial(new_client, lines, caplog):
    caplog.set_level(logging.INFO, logger="hpool")
    client = new_client()
    caplog.set_level(logging.DEBUG, logger="hpool")
    with refused_port() as port, pytest.raises(hpool.ConnectError):
        client.get(f"http://127.0.0.1:{port}/")
    assert len(lines()) == 3
    assert (
        lines()[-1] == f"GET http://127.0.0.1:{port}/: ended after TIME: ConnectError"
    )


def test_configured_later_for_the_queue(server, new_client, lines, caplog):
    """A request that got the place of another to dial in is seen from there on."""
    caplog.set_level(logging.INFO, logger="hpool")
    last = respond(b"ok", headers={"Connection": "close"})
    go = threading.Event()
    s = server([expect(), send(last[:-1], go, last[-1:]), close()], [serve(OK)])
    client = new_client(limits=hpool.Limits(max_conns_per_host=1))
    held = client.get(f"{s.url}/a")
    call = Call(lambda: client.get(f"{s.url}/b").read())
    until_waiting(client, 1)
    caplog.set_level(logging.DEBUG, logger="hpool")
    go.set()
    held.read()
    call.result()
    assert f"conn N 127.0.0.1:{s.port}: GET {s.url}/b (new)" in lines()


def test_configured_later_beside_a_handler(server, new_client, lines, caplog):
    """The user's own trace goes on as it was."""
    caplog.set_level(logging.INFO, logger="hpool")
    told = []
    s = server([serve(OK)])
    client = new_client(trace=lambda event, info: told.append(event))
    caplog.set_level(logging.DEBUG, logger="hpool")
    client.get(s.url, stream=False)
    client.get(s.url, stream=False)
    assert told.count("request_start") == told.count("request_done") == 2
    at = f"conn N 127.0.0.1:{s.port}:"
    assert lines()[0] == f"{at} connecting to 127.0.0.1:{s.port}"
    assert f"{at} GET {s.url} (new)" in lines()
    assert f"{at} 200 for GET {s.url}" in lines()


def test_handlers_may_make_requests(server, new_client, lines):
    """One that ships its records with hpool tells itself nothing."""
    s = server([serve(OK)], [serve(OK)])
    client = new_client()

    class Shipper(logging.Handler):
        def emit(self, record):
            shipped.append(client.get(f"{s.url}/log", stream=False).status_code)

    shipped = []
    shipper = Shipper()
    logging.getLogger("hpool").addHandler(shipper)
    try:
        client.get(f"{s.url}/a", stream=False)
    finally:
        logging.getLogger("hpool").removeHandler(shipper)
    assert shipped and len(shipped) == len(lines())


def test_handler_that_raises(server, new_client, lines, monkeypatch, capsys):
    """As everywhere in logging: it says so, and nobody else notices."""

    class Broken(logging.Handler):
        def emit(self, record):
            raise ValueError("broken")

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(args))
    broken = Broken()
    logging.getLogger("hpool").addHandler(broken)
    try:
        s = server([serve(OK)])
        assert new_client().get(s.url, stream=False).content == b"ok"
    finally:
        logging.getLogger("hpool").removeHandler(broken)
    assert {str(args.exc_value) for args in reported} == {"broken"}


def test_remembers_only_what_goes_on(server, new_client, lines):
    s = server([serve(OK)], [serve(OK)])
    log = Log()
    client = new_client(trace=log)
    client.get(s.url, stream=False)
    with client.get(s.url), pytest.raises(hpool.ConnectError), refused_port() as port:
        client.get(f"http://127.0.0.1:{port}")
    assert log._calls == {}


# ---- in processes of their own -----------------------------------------------


def run(code, url):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "URL": url},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_nothing_by_default(server):
    """Not even logging is imported."""
    code = (
        "import os, sys, hpool\n"
        "with hpool.Client() as client:\n"
        "    client.get(os.environ['URL']).read()\n"
        "assert 'logging' not in sys.modules and 'hpool._log' not in sys.modules\n"
        "import logging\n"
        "with hpool.Client() as client:\n"
        "    client.get(os.environ['URL']).read()\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "hpool.get(os.environ['URL'])\n"
    )
    s = server([serve(OK)], [serve(OK)], [serve(OK)])
    assert run(code, s.url) == ("", "")


def test_as_the_documentation_says(server):
    code = (
        "import logging, os, hpool\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "hpool.get(os.environ['URL'] + '/x?token=secret',"
        " headers={'Authorization': 'secret', 'X': 'secret'}, auth=None)\n"
    ).replace(", auth=None", "")
    s = server([serve(OK)])
    out, err = run(code, s.url.replace("://", "://user:secret@"))
    assert out == "" and "secret" not in err
    assert f"DEBUG:hpool:conn 1 127.0.0.1:{s.port}: connecting to" in err
    assert f"GET {s.url}/x: ended after" in err
