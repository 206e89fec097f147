"""Where a call becomes Python's, and where it does not: a plain one runs no Python
of hpool's at all."""

import sys

import pytest

import hpool
from tests.server.scripted import respond, serve

OK = respond(b"ok")
HERE = hpool.__path__[0]


def python_run(function):
    """The functions of hpool's Python that ran meanwhile."""
    ran = []

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(HERE):
            ran.append(f"{frame.f_globals['__name__']}.{frame.f_code.co_name}")

    function()  # imports what it needs
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return ran


PLAIN = {
    "get": {},
    "headers": {"headers": {"X-A": "b"}},
    "timeout": {"timeout": 5},
    "stream": {"stream": True},
    "not followed": {"follow_redirects": False},
    "nothing of it": {"auth": None, "cookies": None, "files": None, "hooks": None},
    "bytes": {"data": b"abc"},
    "at most": {"max_redirects": 3},
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("who", ["client", "session", "module"])
def test_a_plain_request_runs_no_python(server, new_client, name, who):
    s = server([serve(OK)])
    with hpool.Session() as session:
        get = {"client": new_client().get, "session": session.get, "module": hpool.get}

        def once():
            response = get[who](s.url, **PLAIN[name])
            assert response.content == b"ok" and response.status_code == 200

        assert python_run(once) == []


def test_a_redirect_that_is_not_followed_runs_none(server, new_client):
    s = server([serve(respond(status=302, headers={"Location": "/2"}))])
    client = new_client(follow_redirects=False)
    assert python_run(lambda: client.get(s.url).read()) == []
    client = new_client()
    assert python_run(lambda: client.head(s.url).read()) == []


def test_shared_cookies_are_not_even_read(server):
    """The module-level verbs keep none, and so look at none."""
    s = server([serve(respond(b"ok", headers={"Set-Cookie": "a=b"}))])
    assert python_run(lambda: hpool.get(s.url).content) == []


POLICY = {
    "auth": {"auth": ("u", "p")},
    "cookies": {"cookies": {"a": "b"}},
    "files": {"files": {"f": b"x"}},
    "hooks": {"hooks": {"response": []}},
    "event_hooks": {"event_hooks": {}},
    "extensions": {"extensions": {"a": 1}},
    "retries": {"retries": hpool.Retries()},
}


@pytest.mark.parametrize("name", POLICY)
def test_what_is_policy_goes_through_it(server, new_client, name):
    s = server([serve(OK)])
    client = new_client()
    how = POLICY[name]
    ran = python_run(lambda: client.request("POST", s.url, **how).read())
    assert "hpool.policy.flow.call" in ran


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": ("u", "p")},
        {"cookies": {"a": "b"}},
        {"hooks": {"response": lambda r, **how: None}},
        {"event_hooks": {"request": [lambda r: None]}},
    ],
)
def test_what_is_the_client_s_policy_too(server, new_client, settings):
    s = server([serve(OK)])
    client = new_client(**settings)
    assert "hpool.policy.flow.call" in python_run(lambda: client.get(s.url).read())


def test_a_client_that_is_made_plain_again_is_plain(server, new_client):
    s = server([serve(OK)])
    client = new_client(auth=("u", "p"), cookies={"a": "b"})
    client.auth = client.cookies = None
    assert python_run(lambda: client.get(s.url).read()) == []


def test_credentials_in_the_url(server, new_client):
    s = server([serve(OK)])
    client = new_client()
    url = s.url.replace("//", "//u:p@")
    assert "hpool.policy.flow.call" in python_run(lambda: client.get(url).read())


def test_a_set_cookie_costs_only_itself(server, new_client):
    """A response that sets a cookie is looked at once; until there is a jar."""
    s = server([serve(respond(b"ok", headers={"Set-Cookie": "a=b"}))])
    client = new_client()
    ran = []

    def first():
        client.cookies = None
        ran.append(client.get(s.url).read())

    assert "hpool.policy.flow.keep_cookies" in python_run(first)
    assert ran == [b"ok"] * 2 and client.cookies["a"] == "b"


def test_trust_is_worked_out_once(server, new_client, ca):
    """Other changes of a client keep the TLS setting that was made."""
    s = server([serve(OK)], tls=ca.server_context())
    client = new_client(verify=ca.pem)

    def change_and_get():
        client.timeout = 5
        client.get(s.url).read()

    assert "hpool._tls.resolve" not in python_run(change_and_get)
