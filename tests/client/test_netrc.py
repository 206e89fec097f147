"""netrc: which passwords are found in it, and when it is looked into."""

import base64
import subprocess
import sys
import warnings

import httpx
import pytest

import hpool
from hpool import auth
from tests.server.scripted import respond, serve


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """home(text, name=".netrc") -> the file's path in a home directory of its
    own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)

    def write(text, name=".netrc"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def echo(server):
    def answer(request):
        path, _, query = request.target.partition("?")
        if path == "/to":
            return respond(status=302, headers={"Location": query})
        return respond((request.get("Authorization") or "none").encode("latin-1"))

    return server([serve(answer)])


ENTRY = "machine 127.0.0.1 login u password p\n"
FOUND = basic("u", "p")


# ---- where it is looked for --------------------------------------------------


def test_in_the_home_directory(home, echo, new_client):
    home("machine 127.0.0.1 login under password score\n", "_netrc")
    assert new_client().get(echo.url).text == basic("under", "score")
    home(ENTRY)
    assert new_client().get(echo.url).text == FOUND


def test_where_the_environment_says(home, echo, new_client, monkeypatch):
    home("machine 127.0.0.1 login not password this\n")
    monkeypatch.setenv("NETRC", str(home(ENTRY, "elsewhere")))
    assert new_client().get(echo.url).text == FOUND
    monkeypatch.setenv("NETRC", "~/elsewhere")
    assert new_client().get(echo.url).text == FOUND
    monkeypatch.setenv("NETRC", "/nowhere/at/all")
    assert new_client().get(echo.url).text == "none"


def test_switched_off(home, echo, new_client):
    home(ENTRY)
    assert new_client(trust_env=False).get(echo.url).text == "none"
    assert new_client().get(echo.url, auth=False).text == "none"
    assert new_client(auth=False).get(echo.url).text == "none"


def test_read_once_for_each_client(home, echo, new_client):
    path = home(ENTRY)
    client = new_client()
    assert client.get(echo.url).text == FOUND
    path.unlink()
    assert client.get(echo.url).text == FOUND
    assert new_client().get(echo.url).text == "none"


def test_no_file_no_python(home, echo, new_client):
    """A client without one is a plain client."""
    code = "import sys, hpool; hpool.Client(); print(*sys.modules)"
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "hpool._core" in out and "hpool.policy" not in out


def test_at_every_door(home, echo):
    home(ENTRY)
    with hpool.Session() as session:
        assert session.get(echo.url).text == FOUND


# ---- what comes before it ----------------------------------------------------


def test_never_before_what_was_given(home, echo, new_client):
    home(ENTRY)
    client = new_client()
    header = {"Authorization": "mine"}
    assert client.get(echo.url, headers=header).text == "mine"
    assert client.get(echo.url, auth=("a", "b")).text == basic("a", "b")
    url = echo.url.replace("://", "://x:y@")
    assert client.get(url).text == basic("x", "y")
    assert new_client(headers=header).get(echo.url).text == "mine"
    assert new_client(auth=("a", "b")).get(echo.url).text == basic("a", "b")
    assert client.get(echo.url, auth=auth.DigestAuth("a", "b")).text == "none"


# ---- what is in it -----------------------------------------------------------


@pytest.mark.parametrize(
    "text, host, found",
    [
        ("machine a.test login u password p", "a.test", ("u", "p")),
        ("machine A.Test login u password p", "a.TEST", ("u", "p")),
        ("machine a.test\n\tlogin u\n\tpassword p\n", "a.test", ("u", "p")),
        ("machine a.test login u password p", "b.test", None),
        ("machine a.test login u password p", "xa.test", None),
        ("machine a.test login u password p", "a.test.b", None),
        ("default login u password p", "any.test", ("u", "p")),
        ("machine a.test login u password p\ndefault login d password e",
         "a.test", ("u", "p")),
        ("machine a.test login u password p\ndefault login d password e",
         "b.test", ("d", "e")),
        # Reliability row 37: together or nothing.
        ("machine a.test", "a.test", None),
        ("machine a.test login u", "a.test", None),
        ("machine a.test password p", "a.test", None),
        ("machine a.test login u\ndefault login d password e", "a.test", None),
        ("default", "a.test", None),
        ("", "a.test", None),
        ('machine a.test login "u v" password "p#q"', "a.test", ("u v", "p#q")),
    ],
)  # fmt: skip
def test_37_lookup(home, text, host, found):
    """Reliability row 37."""
    assert auth.NetrcAuth(home(text, "file")).lookup(host) == found


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:@localhost:{}/", "http://127.0.0.1@localhost:{}/",
     "http://localhost:{}/127.0.0.1"],
)  # fmt: skip
def test_37_the_host_is_the_parsed_one(home, echo, new_client, url):
    """Reliability row 37 (CVE-2024-47081)."""
    home(ENTRY)
    text = new_client(family="ipv4").get(url.format(echo.port)).text
    assert text in ("none", basic("127.0.0.1", ""))


def test_a_port_has_no_say(home, echo, new_client):
    home("machine 127.0.0.1:%d login u password p\n" % echo.port)
    assert new_client().get(echo.url).text == "none"


# ---- files that are no use ---------------------------------------------------


def test_a_malformed_file_is_told_once(home, echo, new_client):
    path = home("machine 127.0.0.1 login u password p\nmachine x s3cret\n")
    client = new_client()
    with pytest.warns(hpool.HpoolWarning) as told:
        assert client.get(echo.url).text == "none"
    (warning,) = told
    assert str(warning.message) == (
        f"the netrc file {path} is not used: it is malformed near line 3"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert client.get(echo.url).text == "none"


def test_a_file_that_is_a_directory(home, tmp_path, echo, new_client):
    home("", "x")
    (tmp_path / ".netrc").mkdir()
    with pytest.warns(hpool.HpoolWarning, match="Is a directory"):
        assert new_client().get(echo.url).text == "none"


# ---- the class ---------------------------------------------------------------


def test_given_as_auth(home, echo, new_client):
    own = auth.NetrcAuth(home(ENTRY, "own"))
    assert new_client(auth=own).get(echo.url).text == FOUND
    assert new_client().get(echo.url, auth=own).text == FOUND
    header = {"Authorization": "mine"}
    assert new_client(auth=own).get(echo.url, headers=header).text == "mine"
    assert auth.NetRCAuth is auth.NetrcAuth


def test_without_a_file(home):
    assert auth.NetrcAuth().lookup("a.test") is None


def test_httpx_s_own(home, echo, new_client):
    theirs = httpx.NetRCAuth(str(home(ENTRY, "own")))
    assert new_client(auth=theirs).get(echo.url).text == FOUND


# ---- redirects ---------------------------------------------------------------


def test_38_each_host_gets_its_own(home, echo, server, new_client):
    """Reliability row 38: neither a token nor another host's password."""
    home(ENTRY + "machine localhost login l password q\n")
    url = f"{echo.url}/to?http://localhost:{echo.port}/"
    client = new_client(family="ipv4")
    for how in ({}, {"auth": auth.BearerAuth("t")}):
        r = client.get(url, **how)
        assert r.text == basic("l", "q")
    assert client.get(url, auth=False).text == "none"


def test_not_after_a_downgrade(home, echo, server, ca, new_client):
    """Reliability row 29: the same host in the clear."""
    home(ENTRY)
    away = respond(status=302, headers={"Location": echo.url})
    secure = server([serve(away)], tls=ca.server_context("127.0.0.1"))
    r = new_client(verify=ca.pem).get(secure.url)
    assert r.history[0].request.headers["Authorization"] == FOUND
    assert r.text == "none"
