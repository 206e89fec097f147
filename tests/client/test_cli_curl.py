"""python -m hpool with curl's letters: what the server gets, and -w; bench."""

import json
import re
import subprocess
import sys

import pytest

import hpool
from hpool.cli import main
from hpool.cli.bench import spread
from hpool.cli.histogram import Histogram
from tests.server.digest import ProxyDigest
from tests.server.scripted import close, expect, respond, send, serve
from tests.tools import python_m

OK = respond(b"body\n")


@pytest.fixture
def sent(run, server):
    """sent(argument, ...) runs get with them and the server's URL; the request."""

    def ask(*arguments, path=""):
        s = server([serve(OK)])
        status, out, err = run("get", "-s", *arguments, s.url + path)
        assert (status, err) == (0, "")
        (request,) = s.requests
        return request

    return ask


def test_the_command_s_name_may_be_left_out(run, server):
    url = server([serve(OK)]).url
    assert run(url) == (0, b"body\n", "")
    assert run("-X", "PUT", url) == (0, b"body\n", "")
    assert run("http://127.0.0.1:1/")[0] == 1


@pytest.mark.parametrize(
    "arguments, method, body, kind",
    [
        (("-d", "a=1", "-d", "b=2"), "POST", b"a=1&b=2", "x-www-form-urlencoded"),
        (("--data-raw", "@x"), "POST", b"@x", "x-www-form-urlencoded"),
        (("-X", "PATCH", "-d", "x"), "PATCH", b"x", "x-www-form-urlencoded"),
        (("--json", '{"a": 1}'), "POST", b'{"a": 1}', "application/json"),
        (("-d", "x", "-H", "Content-Type: a/b"), "POST", b"x", "a/b"),
    ],
)
def test_bodies(sent, arguments, method, body, kind):
    request = sent(*arguments)
    assert (request.method, request.body) == (method, body)
    assert request.get("Content-Type").endswith(kind)


def test_json_says_what_it_accepts(sent):
    assert sent("--json", "{}").all("Accept") == ["application/json"]


def test_data_of_a_file(sent, tmp_path):
    file = tmp_path / "data"
    file.write_bytes(b"a=1\r\n&b=2\n")
    assert sent("-d", f"@{file}").body == b"a=1&b=2"
    assert sent("--data-binary", f"@{file}").body == b"a=1\r\n&b=2\n"
    assert sent("--json", f"@{file}").body == b"a=1\r\n&b=2\n"
    request = sent("-T", str(file))
    assert (request.method, request.body) == ("PUT", b"a=1\r\n&b=2\n")
    assert request.get("Content-Length") == "10"


def test_data_of_standard_input(server):
    s = server([serve(OK)])
    with python_m("get", "--data-binary", "@-", s.url, stdin=subprocess.PIPE) as p:
        assert p.communicate(b"in\n", 20) == (b"body\n", b"")
    assert s.requests[0].body == b"in\n"


def test_data_in_the_url(sent):
    request = sent("-G", "-d", "a=1", "-d", "b=2", path="/x?c=3")
    assert (request.method, request.body) == ("GET", b"")
    assert request.target == "/x?c=3&a=1&b=2"
    assert request.get("Content-Type") is None
    assert sent("-G", path="/x").target == "/x"


def test_multipart(sent, tmp_path):
    file = tmp_path / "pic.png"
    file.write_bytes(b"\x89PNG")
    request = sent(
        *("-F", "a=b c", "-F", f"p=@{file};type=image/x;filename=new.png"),
        *("-F", f"q=<{file}", "-F", f"r=@{file}"),
    )
    assert request.get("Content-Type").startswith("multipart/form-data; boundary=")
    body = request.body
    assert b'name="a"\r\n\r\nb c\r\n' in body
    assert b'name="p"; filename="new.png"\r\nContent-Type: image/x\r\n' in body
    assert b'name="q"\r\n\r\n\x89PNG\r\n' in body
    assert b'name="r"; filename="pic.png"\r\nContent-Type: image/png\r\n' in body


def form(sent, *contents):
    """The parts that the server sees, without the boundary."""
    request = sent(*(word for text in contents for word in ("-F", text)))
    boundary = request.get("Content-Type").partition("boundary=")[2].encode()
    parts = request.body.split(b"--" + boundary)[1:-1]
    prefix = b"\r\nContent-Disposition: form-data; name="
    assert all(part.startswith(prefix) for part in parts)
    return [part[len(prefix) : -2].decode() for part in parts]


def test_what_stands_behind_a_part(sent, tmp_path):
    """As curl 7.88 sends them."""
    file = tmp_path / "a;b.txt"
    file.write_bytes(b"in")
    assert form(sent, "a=b;type=text/x", 'c="d;e"', r'f="\"g\\";filename=h.png') == [
        '"a"\r\nContent-Type: text/x\r\n\r\nb',
        '"c"\r\n\r\nd;e',
        '"f"; filename="h.png"\r\nContent-Type: image/png\r\n\r\n"g\\',
    ]
    types = ";type=text/x;charset=utf-8; filename=\"c;d\""
    assert form(sent, f'a=@"{file}"', f'b=@"{file}"{types}', f'c=<"{file}"') == [
        '"a"; filename="a;b.txt"\r\nContent-Type: text/plain\r\n\r\nin',
        '"b"; filename="c;d"\r\nContent-Type: text/x;charset=utf-8\r\n\r\nin',
        '"c"\r\n\r\nin',
    ]


def test_several_pieces_of_json(sent):
    assert sent("--json", '{"a":', "--json", "1}").body == b'{"a":1}'


def test_an_upload_of_standard_input(server):
    s = server([serve(OK)])
    with python_m("get", "-T", "-", s.url, stdin=subprocess.PIPE) as p:
        assert p.communicate(b"in\n", 20) == (b"body\n", b"")
    assert (s.requests[0].method, s.requests[0].body) == ("PUT", b"in\n")


def test_headers(sent):
    request = sent(
        *("-H", "X-A: 1", "-H", "X-A: 2", "-H", "X-Empty;", "-H", "Accept:"),
        *("-A", "me/1", "-e", "http://from/", "-b", "a=1; b=2"),
    )
    assert request.all("X-A") == ["1", "2"]
    assert request.get("X-Empty") == ""
    assert request.get("Accept") is None
    assert request.get("User-Agent") == "me/1"
    assert request.get("Referer") == "http://from/"
    assert request.get("Cookie") == "a=1; b=2"


def test_user(sent, monkeypatch):
    assert sent("-u", "me:pw").get("Authorization") == "Basic bWU6cHc="
    monkeypatch.setattr("getpass.getpass", lambda prompt: "pw")
    assert sent("-u", "me").get("Authorization") == "Basic bWU6cHc="


def test_digest(run, server):
    ask = respond(b"", 401, {"WWW-Authenticate": 'Digest realm="r", nonce="n"'})
    s = server([expect(), send(ask), expect(), send(OK)])
    assert run("get", "--digest", "-u", "me:pw", s.url) == (0, b"body\n", "")
    assert s.requests[1].get("Authorization").startswith("Digest username=")


def test_head_only(run, server):
    s = server([serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")])
    status, out, err = run("get", "-I", s.url)
    assert (status, s.requests[0].method) == (0, "HEAD")
    assert out == b"HTTP/1.1 200 OK\nContent-Length: 5\n\n"


def test_redirects_are_followed_when_asked(run, server):
    moved = respond(b"moved\n", 302, {"Location": "/b"})
    s = server([serve(moved)])
    assert run("get", s.url) == (0, b"moved\n", "")
    s = server([expect(), send(moved), expect(), send(OK)])
    assert run("get", "-L", s.url) == (0, b"body\n", "")
    s = server([serve(moved)])
    status, out, err = run("get", "-L", "--max-redirs", "2", s.url)
    assert (status, out) == (1, b"")
    assert "2" in err and "redirect" in err


def test_the_heads_of_all_answers(run, server, tmp_path):
    def answer(request):
        if request.target == "/b":
            return OK
        return respond(b"moved\n", 302, {"Location": "/b"})

    url = server([serve(answer)]).url
    heads = (
        b"HTTP/1.1 302 Found\nLocation: /b\nContent-Length: 6\n\n"
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\n"
    )
    assert run("get", "-L", "-i", url) == (0, heads + b"body\n", "")
    file = tmp_path / "out"
    assert run("get", "-sSL", "-i", "-o", str(file), url) == (0, b"", "")
    assert file.read_bytes() == heads + b"body\n"


def test_output_to_standard_output(run, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    s = server([serve(OK)])
    assert run("get", "-o", "-", s.url) == (0, b"body\n", "")
    assert not list(tmp_path.iterdir())


def test_a_method_that_was_given_stays_after_a_redirect(run, server):
    moved = respond(b"", 302, {"Location": "/b"})
    for given, method in ((["-X", "PUT"], "PUT"), ([], "GET")):
        s = server([expect(), send(moved), expect(), send(OK)])
        assert run("get", "-L", *given, "-d", "x", s.url)[0] == 0
        assert (s.requests[1].method, s.requests[1].body) == (method, b"")


def test_trust(run, nginx, ca, recwarn):
    status, _, err = run("get", nginx.https_url)
    assert status == 1 and "certificate" in err
    assert run("get", "--cacert", ca.pem, nginx.https_url)[0] == 0
    assert run("get", "-k", nginx.https_url)[0] == 0
    assert [w.category for w in recwarn] == [hpool.InsecureRequestWarning]


def test_unix_socket(run, tmp_path):
    import socket
    import threading

    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def answer():
            sock, _ = listener.accept()
            with sock:
                assert b"Host: some.name" in sock.recv(65536)
                sock.sendall(OK)

        thread = threading.Thread(target=answer)
        thread.start()
        assert run("get", "--unix-socket", path, "http://some.name/")[0] == 0
        thread.join(10)


def test_proxy(run, server):
    s = server([serve(OK)])
    assert run("get", "-x", s.url, "http://name.invalid/a") == (0, b"body\n", "")
    assert s.requests[0].target == "http://name.invalid/a"


def test_credentials_for_a_proxy(run, server):
    basic, digest = server([serve(OK)]), ProxyDigest("u", "p")
    assert run("get", "-x", basic.url, "-U", "u:p", "http://a.test/")[0] == 0
    assert basic.requests[0].get("Proxy-Authorization") == "Basic dTpw"
    s = server([serve(digest)])
    how = ("get", "-x", s.url, "--proxy-digest", "-U", "u:p", "http://a.test/")
    assert run(*how) == (0, b"welcome", "")
    assert len(digest.accepted) == 1
    for wrong, words in (
        (("-U", "u:p"), "-U needs -x"),
        (("-x", s.url, "--proxy-digest"), "--proxy-digest needs -U NAME:PASSWORD"),
    ):
        status, out, err = run("get", *wrong, "http://a.test/")
        assert status == 2 and words in err and not out


def test_retry(run, server):
    busy = respond(b"", 503, {"Retry-After": "0"})
    s = server([expect(), send(busy), expect(), send(OK)])
    status, out, err = run("get", "--retry", "1", s.url)
    assert (status, out, err) == (0, b"body\n", "hpool: trying again\n")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_statuses_that_may_pass_are_retried_by_any_method(run, server, status):
    s = server([expect(), send(respond(b"", status)), expect(), send(OK)])
    assert run("get", "-s", "--retry", "1", "-d", "x", s.url) == (0, b"body\n", "")
    assert [r.body for r in s.requests] == [b"x", b"x"]


def test_a_status_that_does_not_pass(run, server):
    s = server([serve(respond(b"no\n", 501))])
    assert run("get", "--retry", "1", s.url) == (0, b"no\n", "")
    assert len(s.requests) == 1


def test_fail(run, server):
    url = server([serve(respond(b"no such page\n", 404))]).url
    assert run("get", "-f", url) == (1, b"", "hpool: 404 Not Found\n")
    assert run("get", url) == (0, b"no such page\n", "")


def test_time_limits(run, server):
    from tests.server.scripted import until_closed

    s = server([expect(), until_closed()])
    status, _, err = run("get", "-m", "0.05", s.url)
    assert status == 1 and "deadline" in err


# ---- -w ----------------------------------------------------------------------


def test_write_out_timings(run, server):
    url = server([serve(OK)]).url
    status, out, _ = run("get", "-w", "timings", url)
    assert status == 0
    lines = out.decode().splitlines()
    assert lines[0] == "body"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "name look-up",
        "connect",
        "send",
        "server's answer",
        "body",
        "total",
    ]


def test_write_out_variables(run, server):
    s = server([serve(respond(b"abc", headers={"Content-Type": "a/b"}))])
    names = "http_code content_type size_download num_redirects http_version"
    names += " method remote_port scheme num_connects"
    template = " ".join("%{" + name + "}" for name in names.split())
    status, out, _ = run("get", "-w", r"\n" + template + r" 100%%\n", s.url)
    line = out.decode().splitlines()[1]
    assert line == f"200 a/b 3 0 1.1 GET {s.port} HTTP 1 100%"


def test_write_out_times_grow(run, server):
    names = "namelookup connect pretransfer starttransfer total".split()
    template = " ".join("%{time_" + name + "}" for name in names)
    status, out, _ = run("get", "-w", template, server([serve(respond(b""))]).url)
    times = [float(word) for word in out.split()]
    assert times == sorted(times) and times[-1] > 0


# ---- wrong usage -------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, text",
    [
        (("-d", "a", "-F", "b=c"), "-d and -F do not go together"),
        (("-F", "secret"), "-F takes NAME=VALUE"),
        (("-F", "a=@x;colour=red"), "stands type= or filename="),
        (("-F", "a=b;secret"), "in double quotes"),
        (("-H", "secret"), "-H takes 'Name: value'"),
        (("-w", "%{colour}"), "-w knows no %{colour}"),
    ],
)
def test_wrong_usage(run, arguments, text):
    status, out, err = run("get", *arguments, "http://127.0.0.1:1/")
    assert (status, out) == (2, b"")
    assert text in err and "secret" not in err


@pytest.mark.parametrize(
    "option, text, takes",
    [
        ("-m", "0", "takes seconds above zero, 1000000000 at most"),
        ("-m", "nan", "takes seconds above zero, 1000000000 at most"),
        ("-m", "1e10", "takes seconds above zero, 1000000000 at most"),
        ("--connect-timeout", "-1", "takes seconds above zero, 1000000000 at most"),
        ("--retry", "-1", "takes a whole number from 0 to 1000000000000"),
        ("--retry", "1e3", "takes a whole number from 0 to 1000000000000"),
        ("--max-redirs", "9" * 19, "takes a whole number from 0 to 1000000000000"),
    ],
)
def test_numbers_out_of_range(option, text, takes, capsys):
    with pytest.raises(SystemExit):
        main(["get", option, text, "http://127.0.0.1:1/"])
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.endswith(f"{takes}, not {text!r}")
    assert option in err


def test_numbers_at_the_end_of_their_range(run, server):
    s = server([serve(OK)])
    amounts = [
        ("-m", "1e9"),
        ("--connect-timeout", "1e9"),
        ("--retry", str(10**12)),
        ("--max-redirs", str(10**12)),
    ]
    arguments = [word for pair in amounts for word in pair]
    assert run("get", *arguments, s.url) == (0, b"body\n", "")


def test_a_file_that_is_not_there(run, tmp_path):
    missing = str(tmp_path / "missing")
    for arguments in (("-d", f"@{missing}"), ("-T", missing), ("-F", f"a=@{missing}")):
        status, _, err = run("get", *arguments, "http://127.0.0.1:1/")
        assert status == 1 and "missing" in err


# ---- bench -------------------------------------------------------------------


def test_bench(run, server):
    s = server([serve(OK)])
    status, out, err = run("bench", "-n", "200", "-c", "4", s.url)
    assert (status, err) == (0, "")
    text = out.decode()
    assert re.search(r"^requests +200 in .* a second$", text, re.M)
    rows = re.findall(r"^ *([\d.]+)% within +\S+ \S+ +#*$", text, re.M)
    assert rows == ["50.0", "75.0", "90.0", "95.0", "99.0", "99.9", "100.0"]
    assert max(map(len, text.splitlines())) < 80
    assert len(s.requests) == 200


def test_bench_draws_how_latencies_are_spread():
    latencies = Histogram()
    assert list(spread(latencies)) == []
    for milliseconds in [1] * 50 + [2] * 40 + [4] * 9 + [8]:
        latencies.record(milliseconds / 1000)
    rows = [line.split() for line in spread(latencies) if line]
    assert [(share, length, len(bar)) for share, _, length, _, bar in rows] == [
        ("50.0%", "1.0", 5),
        ("75.0%", "2.0", 10),
        ("90.0%", "2.0", 10),
        ("95.0%", "4.0", 20),
        ("99.0%", "4.0", 20),
        ("99.9%", "8.0", 40),
        ("100.0%", "8.0", 40),
    ]


def test_bench_json(run, server):
    s = server([serve(OK)])
    status, out, _ = run("bench", "-n", "20", "-c", "1", "--json", s.url)
    found = json.loads(out)
    assert (status, found["requests"], found["errors"]) == (0, 20, {})


def test_bench_with_failures(run, server):
    s = server([expect(), send(OK), expect(), send(OK[:-1]), close()], [serve(OK)])
    status, out, _ = run("bench", "-n", "5", "-c", "1", s.url)
    assert status == 1
    assert b"errors      1 " in out


def test_bench_of_nobody(run):
    assert run("bench", "http://127.0.0.1:1/")[0] == 2


def test_help_fits(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["hpool"])
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("get", "bench"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
