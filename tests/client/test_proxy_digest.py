"""Proxies that ask for Digest credentials: in answer to CONNECT, and to what they
are to forward; a strict scripted one and squid."""

import io
import pickle
import threading

import pytest
import requests

import hpool
from hpool.auth import BasicAuth, BearerAuth, DigestAuth
from tests.server.digest import Digest, ProxyDigest
from tests.server.proxies import DIGEST_PASSWORD, OPEN, USER
from tests.server.scripted import Request, close, expect, respond, send, serve
from tests.tools import Call, Recorder, closes, gauges, proxy_error

MUFASA = "Mufasa", "Circle of Life"
URL = "https://a.example.test/x?y"


def proxy(server, *mufasa, **how):
    return hpool.Proxy(server.url, auth=DigestAuth(*(mufasa or MUFASA)), **how)


@pytest.fixture
def forwarder(server):
    """forwarder(...) -> (a ProxyDigest, its server), which plays every server."""

    def start(**how):
        digest = ProxyDigest(**how)
        return digest, server([serve(digest)])

    return start


@pytest.fixture
def tunneller(server, ca):
    """tunneller(...) -> (a ProxyDigest, its server), whose tunnels lead to itself."""

    def start(*then, **how):
        digest = ProxyDigest(**how)
        context = ca.server_context("a.example.test")
        return digest, server(digest.tunnel(context, *then))

    return start


# ---- what is forwarded -------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256-sess"])
def test_forwarded(forwarder, new_client, algorithm):
    """One refusal, and then none for as long as the nonce holds."""
    digest, s = forwarder(algorithm=algorithm)
    client = new_client(proxy=proxy(s))
    for url in ("http://a.test/x?y=1", "http://b.test:8080", "http://[::1]/%C3%BC"):
        response = client.get(url)
        assert response.content == b"welcome" and response.history == []
        assert "Proxy-Authorization" not in response.request.headers
    assert [fields["uri"] for fields in digest.accepted] == [
        "http://a.test/x?y=1", "http://b.test:8080/", "http://[::1]/%C3%BC"
    ]  # fmt: skip
    assert [fields["nc"] for fields in digest.accepted] == [
        "00000001", "00000002", "00000003"
    ]  # fmt: skip
    assert digest.refusals == ["no credentials"]
    assert len(s.connections) == 1


def test_the_body_is_sent_again(forwarder, new_client):
    digest, s = forwarder(qop="auth-int")
    client = new_client(proxy=proxy(s))
    client.post("http://a.test/", data=io.BytesIO(b"all of it"))
    assert [request.body for request in s.requests] == [b"all of it"] * 2
    assert len(digest.accepted) == 1
    once = iter([b"on", b"ce"])
    with pytest.raises(hpool.UnrewindableBodyError) as caught:
        client.post("http://a.test/", data=once)  # auth-int has to read it all
    assert caught.value.request.url == "http://a.test/"


def test_a_body_that_is_there_once(forwarder, new_client):
    _, s = forwarder()
    client = new_client(proxy=proxy(s))
    with pytest.raises(hpool.UnrewindableBodyError, match="a Digest of the request"):
        client.post("http://a.test/", data=iter([b"once"]))
    assert len(s.requests) == 1 and gauges(client)[1] == 0


def test_next_nonce(forwarder, new_client):
    digest, s = forwarder(next_nonce=True)
    client = new_client(proxy=proxy(s))
    for _ in range(3):
        client.get("http://a.test/").read()
    assert digest.refusals == ["no credentials"]
    assert {fields["nc"] for fields in digest.accepted} == {"00000001"}


def test_a_forwarder_that_refuses(forwarder, new_client):
    """Its answer is the answer, as with any proxy that forwards."""
    digest, s = forwarder()
    client = new_client(proxy=proxy(s, "Mufasa", "wrong"))
    response = client.get("http://a.test/")
    assert response.status_code == 407
    assert digest.refusals == ["no credentials", "wrong response"]


def test_the_servers_own_challenge(server, new_client):
    """Both ask, each for itself."""
    outer, inner = ProxyDigest(), Digest("Scar", "Be prepared")

    def answer(request):
        refused = outer(request)
        if refused.startswith(b"HTTP/1.1 407"):
            return refused
        return inner(Request(request.head.replace(b" http://a.test", b" ")))

    s = server([serve(answer)])
    client = new_client(proxy=proxy(s), auth=DigestAuth("Scar", "Be prepared"))
    for _ in range(2):
        assert client.get("http://a.test/x").content == b"welcome"
    assert outer.refusals == inner.refusals == ["no credentials"]
    assert (len(outer.accepted), len(inner.accepted)) == (3, 2)


# ---- tunnels -----------------------------------------------------------------


def test_tunnel(tunneller, new_client, ca):
    digest, s = tunneller()
    recorder = Recorder()
    client = new_client(proxy=proxy(s), verify=ca.pem, trace=recorder)
    first = client.get(URL)
    kept = client.get(URL)
    assert first.content == kept.content == b"ok" and first.history == []
    assert kept.connection.reused and kept.connection.id == first.connection.id
    assert [r.line.split()[0] for r in s.requests] == ["CONNECT"] * 2 + ["GET"] * 2
    assert [r.get("Proxy-Authorization") for r in s.requests[2:]] == [None, None]
    assert [r.get("Authorization") for r in s.requests] == [None] * 4
    [accepted] = digest.accepted
    assert accepted["uri"] == "a.example.test:443"
    done = [info["status"] for info in recorder.all("proxy_connect_done")]
    assert done == [407, 200]
    assert gauges(client) == (1, 0, 0, 0, 0)
    client.close_idle()
    assert client.get(URL).content == b"ok"  # the nonce is known
    assert len(digest.accepted) == 2 and digest.refusals == ["no credentials"]


def test_tunnel_to_an_address(server, new_client, ca):
    digest = ProxyDigest()
    s = server(digest.tunnel(ca.server_context("::1")))
    client = new_client(proxy=proxy(s), verify=ca.pem)
    assert client.get("https://[::1]:8443/").content == b"ok"
    assert digest.accepted[0]["uri"] == "[::1]:8443"


def test_a_body_waits_for_the_tunnel(tunneller, new_client, ca):
    """It is not sent before there is one, so it may be there only once."""
    _, s = tunneller()
    client = new_client(proxy=proxy(s), verify=ca.pem)
    assert client.post(URL, data=iter([b"on", b"ce"])).ok
    assert [request.body for request in s.requests] == [b"", b"", b"once"]


def test_stale(tunneller, new_client, ca):
    """A nonce that serves once: the answer with it is refused, and given anew."""
    digest, s = tunneller(uses=1)
    client = new_client(proxy=proxy(s), verify=ca.pem)
    for _ in range(2):
        client.get(URL).read()
        client.close_idle()
    assert digest.refusals == ["no credentials", "stale"]
    assert len(digest.accepted) == 2


def test_a_wrong_password(tunneller, new_client, ca):
    digest, s = tunneller()
    client = new_client(proxy=proxy(s, "Mufasa", "geheim"), verify=ca.pem)
    error = proxy_error(client, URL)
    assert str(error).startswith(
        f"the proxy {s.url} refused a tunnel to a.example.test:443: 407 "
    )
    assert str(error).endswith("; it does not accept the credentials given")
    assert error.status == 407 and "Digest " in error.headers["Proxy-Authenticate"]
    assert error.__cause__ is None and error.request.url == URL
    assert digest.refusals == ["no credentials", "wrong response"]
    assert closes(client) == {"dial_failed": 2}


def test_any_other_refusal(server, new_client, ca):
    digest = ProxyDigest()
    refused = [expect(), send(respond(status=403)), close()]
    s = server(digest.tunnel(None), refused)
    error = proxy_error(new_client(proxy=proxy(s), verify=ca.pem), URL)
    assert error.status == 403 and len(s.requests) == 2


def test_who_shares_a_tunnel(tunneller, new_client, ca):
    """Those of one user, whatever each of them answered; and nobody else."""
    _, s = tunneller()
    client = new_client(verify=ca.pem)
    own = {"Proxy-Authorization": "Basic eDp5"}

    def used(one, **how):
        with client.get(URL, proxy=one, **how) as response:
            return response.connection.id

    mine = used(proxy(s))
    assert used(proxy(s)) == mine  # another Proxy, an equal one
    assert used(pickle.loads(pickle.dumps(proxy(s)))) == mine
    with pytest.raises(hpool.ProxyError):
        used(proxy(s, "Scar", "x"))
    with pytest.raises(hpool.ProxyError):
        used(proxy(s, "Mufasa", "x"))
    with pytest.raises(hpool.ProxyError):
        used(s.url)
    with pytest.raises(hpool.ProxyError):
        used(proxy(s), headers=own)
    assert s.requests[-1].get("Proxy-Authorization") == "Basic eDp5"
    assert used(proxy(s)) == mine


def test_many_at_once(tunneller, new_client, ca):
    """Each opens its own tunnel, since none is answered before all have asked."""
    barrier = threading.Barrier(8)

    def answer(request):
        barrier.wait(10)
        return respond(b"ok")

    digest, s = tunneller(serve(answer))
    client = new_client(proxy=proxy(s), verify=ca.pem)
    for _ in range(2):  # without a nonce, and with one
        calls = [Call(lambda: client.get(URL).content) for _ in range(8)]
        assert [call.result() for call in calls] == [b"ok"] * 8
        client.close_idle()
    assert len(digest.accepted) == 16
    assert all(said == "no credentials" or said[:3] == "nc " for said in digest.refusals)
    assert gauges(client) == (0, 0, 0, 0, 0)


def test_over_a_redirect(server, new_client, ca):
    """From a request that is forwarded to a tunnel of the same proxy."""
    digest = ProxyDigest()
    context = ca.server_context("a.example.test")

    def script(connection):
        request = connection.expect()
        while request is not None and request.method != "CONNECT":
            answer = digest(request)
            if answer.startswith(b"HTTP/1.1 200"):
                answer = respond(status=302, headers={"Location": URL})
            connection.send(answer)
            request = connection.request()
        if request is not None:
            assert digest.check(request)
            connection.send(OPEN)
            connection.start_tls(context)
            connection.serve(respond(b"ok"))

    s = server([script])
    client = new_client(proxy=proxy(s), verify=ca.pem)
    response = client.get("http://a.test/", headers={"X": "1"})
    assert response.content == b"ok"
    assert [r.status_code for r in response.history] == [302]
    assert s.requests[-1].get("Proxy-Authorization") is None
    assert digest.refusals == ["no credentials"]


def test_with_retries_hooks_and_cookies(tunneller, new_client, ca):
    """What has a way of its own through policy."""
    digest, s = tunneller()
    seen = []
    client = new_client(
        proxies={"https": proxy(s)}, verify=ca.pem, retries=2, cookies={"a": "b"},
        hooks={"response": lambda r, **how: seen.append(r.status_code)},
    )  # fmt: skip
    response = client.get(URL)
    assert response.ok and len(response.attempts) == 1 and seen == [200]
    assert s.requests[-1].get("Cookie") == "a=b"
    assert len(digest.accepted) == 1


def test_a_function_chooses(tunneller, new_client, ca):
    digest, s = tunneller()
    asked = []

    def choose(url):
        asked.append(url)
        return proxy(s)

    client = new_client(proxy=choose, verify=ca.pem)
    assert client.get(URL).ok
    assert set(asked) == {URL} and len(digest.accepted) == 1
    with pytest.raises(hpool.ConnectionError):
        client.get("https://u:p@a.example.test:1/", proxy=False)
    client.get("https://u:p@a.example.test/")
    assert not any("u:p" in url for url in asked)


# ---- what is asked for -------------------------------------------------------

ASKS = {
    'Digest realm="x", nonce="y", algorithm=MD4': "it asks who is there",
    "Negotiate": "it asks for Negotiate, which is not spoken here (Basic and Digest "
    "are)",
    'Basic realm="x"': "it asks who is there without a Digest to answer",
}


@pytest.mark.parametrize("challenge", ASKS, ids=lambda c: c.split()[0])
def test_what_cannot_be_answered(server, new_client, ca, challenge):
    answer = respond(status=407, headers={"Proxy-Authenticate": challenge})
    s = server([expect(), send(answer), close()])
    error = proxy_error(new_client(proxy=proxy(s), verify=ca.pem), URL)
    assert str(error).endswith(f"; {ASKS[challenge]}")
    assert len(s.requests) == 1


def test_basic_credentials_for_a_proxy_that_asks_for_digest(tunneller, new_client, ca):
    _, s = tunneller()
    for url in (s.url, s.url.replace("//", "//me:geheim@")):
        error = proxy_error(new_client(proxy=url, verify=ca.pem), URL)
        assert str(error).endswith(
            "; it asks for Digest: give its Proxy auth=DigestAuth(user, password)"
        )


def test_warm_answers_nothing(tunneller, new_client, ca):
    _, s = tunneller()
    with pytest.raises(hpool.ProxyError, match="it asks who is there"):
        new_client(proxy=proxy(s), verify=ca.pem).warm(URL, 1)


# ---- what auth= takes --------------------------------------------------------


def test_auth_of_a_proxy():
    digest = DigestAuth("me", "geheim")
    made = hpool.Proxy("http://u:p@h:1", auth=digest)
    assert made.auth is digest and "geheim" not in repr(made)
    assert hpool.Proxy("h:1", auth=BasicAuth("u", "p")) == hpool.Proxy("u:p@h:1")
    theirs = hpool.Proxy("h:1", auth=requests.auth.HTTPDigestAuth("me", "geheim"))
    assert theirs.auth == digest
    assert hpool.Proxy("h:1", auth=("u", "p")).auth is None


@pytest.mark.parametrize(
    "auth", [("u",), "u:p", BearerAuth("x"), lambda r: r, DigestAuth, 7]
)
def test_what_auth_does_not_take(auth):
    with pytest.raises(TypeError, match="a proxy's auth must be"):
        hpool.Proxy("http://h:1", auth=auth)


def test_digest_and_others():
    digest = DigestAuth("me", "geheim")
    with pytest.raises(ValueError, match="and no Digest"):
        hpool.Proxy("socks5://h:1", auth=digest)
    headers = {"Proxy-Authorization": "Basic eDp5"}
    with pytest.raises(ValueError, match="is for its auth to say"):
        hpool.Proxy("http://h:1", auth=digest, headers=headers)


# ---- a real one --------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_squid(squid_digest, nginx, new_client, ca, scheme):
    auth = DigestAuth(USER, DIGEST_PASSWORD)
    url = squid_digest.url
    if scheme == "https":
        url = f"https://localhost:{squid_digest.tls_port}"
    client = new_client(proxy=hpool.Proxy(url, auth=auth), verify=ca.pem)
    for target in (nginx.http_url, nginx.https_url):
        for _ in range(2):
            response = client.get(f"{target}/small")
            assert response.status_code == 200
            assert response.connection.proxy == url
            response.read()
        assert response.connection.reused
    wrong = hpool.Proxy(url, auth=DigestAuth(USER, "x"))
    error = proxy_error(client, f"{nginx.https_url}/small", proxy=wrong)
    assert str(error).endswith("it does not accept the credentials given")
    assert client.get(f"{nginx.http_url}/small", proxy=wrong).status_code == 407
    error = proxy_error(client, f"{nginx.https_url}/small", proxy=squid_digest.login_url)
    assert "it asks for Digest" in str(error)
