"""Redirects: where they lead, what goes there, and when they are not followed."""

import pytest

import hpool
from tests.server.scripted import respond, serve


def redirect(location, status=302, body=b"", **headers):
    headers = {"Location": location, **headers}
    return respond(body, status=status, headers=headers)


@pytest.fixture
def chain(server):
    """chain(answers) -> a server that answers by path: {"/a": answer}; all else
    is 200 with method and body."""

    def start(answers):
        def answer(request):
            if request.target in answers:
                return answers[request.target]
            return respond(f"{request.method} ".encode() + request.body)

        return server([serve(answer)])

    return start


def log(s):
    """(method, target) of every request the server has seen."""
    return [(r.method, r.target) for r in s.requests]


def test_followed_by_default(chain, new_client):
    """Client, Session and the module follow; the response has the history."""
    s = chain({"/a": redirect("/b"), "/b": redirect("/c", 301)})
    for get in (new_client().get, hpool.Session().get, hpool.get):
        r = get(f"{s.url}/a")
        assert (r.status, r.url, r.content) == (200, f"{s.url}/c", b"GET ")
        assert [h.url for h in r.history] == [f"{s.url}/a", f"{s.url}/b"]
        assert [h.status for h in r.history] == [302, 301]
        assert r.request.url == r.url


@pytest.mark.parametrize("name", ["follow_redirects", "allow_redirects"])
def test_not_followed_when_told(chain, new_client, name):
    s = chain({"/a": redirect("/b")})
    r = new_client().get(f"{s.url}/a", **{name: False})
    assert (r.status, r.history) == (302, [])
    r = new_client(**{name: False}).get(f"{s.url}/a")
    assert r.status == 302
    r = new_client(**{name: False}).get(f"{s.url}/a", **{name: True})
    assert r.status == 200


def test_two_names_that_differ(new_client):
    with pytest.raises(TypeError, match="cannot differ"):
        new_client().get(
            "http://127.0.0.1/", follow_redirects=True, allow_redirects=False
        )
    with pytest.raises(TypeError, match="cannot differ"):
        hpool.Client(follow_redirects=True, allow_redirects=False)
    with pytest.raises(TypeError, match="allow_redirects must be True or False"):
        new_client().get("http://127.0.0.1/", allow_redirects=1)


def test_head_is_not_followed_unless_told(chain, new_client):
    s = chain({"/a": redirect("/b")})
    client = new_client()
    assert client.head(f"{s.url}/a").status == 302
    assert client.request("HEAD", f"{s.url}/a").status == 302
    r = client.head(f"{s.url}/a", follow_redirects=True)
    assert (r.status, r.request.method) == (200, "HEAD")
    assert new_client(follow_redirects=True).head(f"{s.url}/a").status == 200
