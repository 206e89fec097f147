"""Attributes of a client that can be changed while it is in use."""

import pickle
import threading

import pytest

import hpool
from tests.server.scripted import respond, serve
from tests.tools import Call

OK = respond(b"ok")
MOVED = respond(status=302, headers={"Location": "/2"})


def test_verify_and_cert(server, new_client, ca):
    """A change counts for the requests that follow; connections of before serve
    nobody who trusts others, and come back with their trust."""
    s = server(*[[serve(OK)]] * 4, tls=ca.server_context())
    client = new_client()
    assert client.verify is True and client.cert is None
    with pytest.raises(hpool.SSLError):
        client.get(s.url)
    client.verify = ca.pem
    first = client.get(s.url).connection
    client.get(s.url).read()
    client.verify = True
    with pytest.raises(hpool.SSLError):
        client.get(s.url)
    client.verify = ca.pem
    with client.get(s.url) as r:
        assert r.connection.id == first.id and r.read() == b"ok"
    client.cert = ca.files("client")
    with client.get(s.url) as r:
        assert r.connection.id != first.id
    client.cert = None
    with client.get(s.url) as r:
        assert r.connection.id == first.id


def test_other_changes_keep_the_tls_setting(server, new_client, ca):
    """A change of headers makes no new handshake."""
    s = server([serve(OK)], tls=ca.server_context())
    client = new_client(verify=ca.pem)
    for n in range(3):
        client.headers["X-N"] = str(n)
        client.get(s.url).read()
    assert len(s.connections) == 1


def test_a_bad_verify_is_told_by_the_next_request(server, new_client, ca):
    s = server([serve(OK)], tls=ca.server_context())
    client = new_client(verify=ca.pem)
    client.verify = "/no/such/file"
    with pytest.raises((hpool.RequestException, OSError), match="/no/such/file"):
        client.get(s.url)
    client.verify = ca.pem
    assert client.get(s.url).ok


def test_stream(server, new_client):
    """As in requests an attribute, as in httpx a method."""
    s = server([serve(OK)], [serve(OK)])
    client = new_client()
    client.stream = False
    assert client.get(s.url).timings.ended is not None
    assert client.stats().total.now.in_use == 0
    with client.stream("GET", s.url) as r:
        assert r.read(1) == b"o"
    client.stream = True
    with client.get(s.url) as r:
        assert r.read(1) == b"o"
    with hpool.Session() as session:
        session.stream = True
        with session.get(s.url) as r:
            assert r.read(1) == b"o"


def test_trust_env(new_client, monkeypatch, tmp_path, server):
    """Switched off, netrc does not count; switched on, it is looked for."""
    s = server([serve(OK)])
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client = new_client()
    assert client.trust_env is True
    client.get(s.url).read()
    client.trust_env = False
    client.get(s.url).read()
    client.trust_env = True
    client.get(s.url).read()
    got = [r.get("Authorization") for r in s.requests]
    assert got == ["Basic dTpw", None, "Basic dTpw"]


def test_redirect_settings(server, new_client):
    s = server([serve(lambda r: MOVED if r.target == "/1" else OK)])
    client = new_client()
    assert (client.follow_redirects, client.max_redirects) == (True, 30)
    assert client.check_redirect is None
    client.follow_redirects = False
    assert client.get(f"{s.url}/1").status == 302
    client.follow_redirects = True
    assert client.get(f"{s.url}/1").status == 200
    client.max_redirects = 0
    with pytest.raises(hpool.TooManyRedirects):
        client.get(f"{s.url}/1")
    client.max_redirects = None
    client.check_redirect = lambda request, history: False
    assert client.get(f"{s.url}/1").status == 302
    client.check_redirect = None
    assert client.get(f"{s.url}/1").status == 200


def test_auth(server, new_client):
    s = server([serve(OK)])
    client = new_client()
    assert client.auth is None
    client.auth = ("u", "p")
    assert client.auth == ("u", "p")
    client.get(s.url).read()
    client.auth = None
    client.get(s.url).read()
    assert [r.get("Authorization") for r in s.requests] == ["Basic dTpw", None]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("follow_redirects", 1, TypeError),
        ("max_redirects", "30", TypeError),
        ("max_redirects", True, TypeError),
        ("max_redirects", 1.5, TypeError),
        ("max_redirects", -1, ValueError),
        ("check_redirect", "no", TypeError),
        ("auth", 5, TypeError),
        ("stream", 1, TypeError),
        ("stream", None, TypeError),
        ("trust_env", "yes", TypeError),
        ("trust_env", None, TypeError),
    ],
)
def test_what_they_take(new_client, name, value, error):
    """A wrong value is refused when it is set, and changes nothing."""
    client = new_client()
    before = getattr(client, name)
    with pytest.raises(error, match=name):
        setattr(client, name, value)
    assert getattr(client, name) == before
    if value is not None:
        with pytest.raises(error, match=name):
            hpool.Client(**{name: value})


@pytest.mark.parametrize("how", [{}, {"extensions": {}}])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_redirects", "x", TypeError),
        ("max_redirects", 1.5, TypeError),
        ("max_redirects", -1, ValueError),
        ("check_redirect", "x", TypeError),
        ("follow_redirects", 1, TypeError),
        ("extensions", 5, TypeError),
        ("extensions", "ab", TypeError),
    ],
)
def test_what_calls_take(server, new_client, name, value, error, how):
    """Refused before anything is sent, redirect or not."""
    s = server([serve(OK)])
    with pytest.raises(error, match=name):
        new_client().get(s.url, **{**how, name: value})
    assert s.requests == []


@pytest.mark.parametrize(
    "name",
    ["auth", "cookies", "hooks", "event_hooks", "verify", "cert", "stream",
     "trust_env", "follow_redirects", "max_redirects", "check_redirect"],
)  # fmt: skip
def test_none_can_be_deleted(new_client, name):
    with pytest.raises(AttributeError, match=name):
        delattr(new_client(), name)


def shout(request):
    request.headers["X-Auth"] = "!"
    return request


def test_pickled_as_they_are_now(ca):
    with hpool.Client(verify=False, follow_redirects=False, stream=False) as client:
        client.verify = ca.pem
        client.stream = True
        client.trust_env = False
        client.follow_redirects = None
        client.max_redirects = 7
        client.auth = shout
        with pickle.loads(pickle.dumps(client)) as again:
            for name in ("verify", "cert", "trust_env", "follow_redirects",
                         "max_redirects", "auth"):  # fmt: skip
                assert getattr(again, name) == getattr(client, name), name


def test_threads_that_change_and_use(server, new_client):
    """Each request is one or the other, whole."""
    s = server(*[[serve(OK)]] * 3)
    client = new_client()
    stop = threading.Event()

    def change():
        while not stop.is_set():
            client.auth = ("a", "a")
            client.headers["X-Who"] = "a"
            client.cookies = {"who": "a"}
            client.cookies = None
            client.auth = None
            del client.headers["X-Who"]

    changer = Call(change)
    try:
        for _ in range(200):
            assert client.get(s.url).read() == b"ok"
    finally:
        stop.set()
    changer.result()
    allowed = {None, "Basic YTph"}
    assert {r.get("Authorization") for r in s.requests} <= allowed
