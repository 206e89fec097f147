"""Digest authentication (RFC 7616): its examples, a strict server, and the
answers that requests and httpx give."""

import hashlib
import io
import re
import threading

import httpx
import pytest
import requests

import hpool
from hpool import auth
from hpool.policy import digest as implementation
from hpool.policy.challenges import parse_challenges
from hpool.policy.request import PreparedRequest
from tests.server.digest import Digest, fields_of
from tests.server.scripted import respond, serve
from tests.tools import Call

USER, PASSWORD = "Mufasa", "Circle of Life"
MUFASA = USER, PASSWORD


def has_sha512_256():
    return "sha512_256" in hashlib.algorithms_available


@pytest.fixture
def guard(server):
    """guard(...) -> (a Digest, its server)."""

    def start(*arguments, **how):
        digest = Digest(*arguments, **how)
        return digest, server([serve(digest)])

    return start


# ---- the examples of the RFC -------------------------------------------------


class Answers:
    """A response as far as a flow looks at it."""

    def __init__(self, status, *fields):
        self.status_code = status
        self.headers = hpool.Headers(list(fields))


def authorization(flow, *challenges):
    """What the flow sends once it got these."""
    next(flow)
    fields = [("WWW-Authenticate", challenge) for challenge in challenges]
    request = flow.send(Answers(401, *fields))
    return fields_of(request.headers["Authorization"])


RFC_3_9_1 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    "algorithm, response",
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ],
)
def test_rfc_7616_3_9_1(monkeypatch, algorithm, response):
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr(implementation, "_new_cnonce", lambda: cnonce)
    request = PreparedRequest("GET", "http://www.example.org/dir/index.html")
    fields = authorization(
        auth.DigestAuth(*MUFASA).flow(request), RFC_3_9_1.format(algorithm)
    )
    assert fields == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": cnonce,
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


def test_rfc_7616_3_9_1_picks_the_stronger():
    """Both are offered there, MD5 last."""
    request = PreparedRequest("GET", "http://www.example.org/dir/index.html")
    challenges = [RFC_3_9_1.format(name) for name in ("MD5", "SHA-256", "MD5")]
    flow = auth.DigestAuth(*MUFASA).flow(request)
    assert authorization(flow, *challenges)["algorithm"] == "SHA-256"


@pytest.mark.skipif(not has_sha512_256(), reason="this OpenSSL has none")
def test_rfc_7616_3_9_2(monkeypatch):
    """With the username and the response of erratum 4897. Those in the RFC are
    of SHA-512 cut off after 256 bits; SHA-512/256 has an initial value of its
    own (FIPS 180-4, 5.3.6.2)."""
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    monkeypatch.setattr(implementation, "_new_cnonce", lambda: cnonce)
    request = PreparedRequest("GET", "http://api.example.org/doe.json")
    challenge = (
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", '
        "charset=UTF-8, userhash=true"
    )
    flow = auth.DigestAuth("Jäsøn Doe", "Secret, or not?").flow(request)
    fields = authorization(flow, challenge)
    assert fields == {
        "username": (
            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        ),
        "realm": "api@example.org",
        "uri": "/doe.json",
        "algorithm": "SHA-512-256",
        "nonce": "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        "nc": "00000001",
        "cnonce": cnonce,
        "qop": "auth",
        "response": (
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        ),
        "opaque": "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
        "userhash": "true",
    }


# ---- a strict server ---------------------------------------------------------

ALGORITHMS = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", None]
if has_sha512_256():
    ALGORITHMS += ["SHA-512-256", "SHA-512-256-sess"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-int, auth", None])
def test_accepted(guard, new_client, algorithm, qop):
    """And again with the same nonce, by three requests on one connection."""
    digest, s = guard(*MUFASA, algorithm=algorithm, qop=qop)
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    for body in (b"", b"one", b"two"):
        r = client.post(f"{s.url}/x?y=1", data=body)
        assert (r.status, r.text) == (200, "welcome")
    assert digest.refusals == ["no credentials"]
    if qop:
        assert [f["nc"] for f in digest.accepted] == [f"{n:08x}" for n in (1, 2, 3)]
        wanted = "auth-int" if qop == "auth-int" else "auth"
        assert digest.accepted[0]["qop"] == wanted
    assert len(s.connections) == 1


@pytest.mark.parametrize(
    "path", ["/", "", "?q", "/a b", "/ä?ü=1#f", "/%7E%41%zz", '/"q"\\', "/a,b;c='d'"]
)
def test_the_uri_is_the_target(guard, new_client, path):
    digest, s = guard(*MUFASA)
    assert new_client(auth=auth.DigestAuth(*MUFASA)).get(s.url + path).ok
    assert digest.refusals == ["no credentials"]


@pytest.mark.parametrize("charset", [None, "UTF-8"])
@pytest.mark.parametrize("userhash", [False, True])
@pytest.mark.parametrize(
    "user, password, realm",
    [
        ("jörg", "имя", "r"),
        ('DOMAIN\\a"b', '"\\', 'a "quoted" \\ realm, with commas'),
        ("u", "p", ""),
    ],
)
def test_odd_names(guard, new_client, user, password, realm, charset, userhash):
    digest, s = guard(user, password, realm=realm, charset=charset, userhash=userhash)
    for pair in ((user, password), (user.encode(), password.encode())):
        assert new_client(auth=auth.DigestAuth(*pair)).get(s.url).ok
    assert set(digest.refusals) == {"no credentials"}


def test_a_wrong_password(guard, new_client):
    """The 401 is the answer; it is not tried for ever, nor remembered."""
    digest, s = guard(*MUFASA)
    client = new_client(auth=auth.DigestAuth(USER, "s3cret"))
    for _ in range(2):
        r = client.get(s.url)
        assert r.status == 401
        assert [h.status for h in r.history] == [401]
        assert r.content == b"refused" * 50
    assert digest.refusals == ["no credentials", "wrong response"] * 2
    assert len(s.connections) == 1


def test_history(guard, new_client):
    """The 401 was drained, so that its connection could go on."""
    _, s = guard(*MUFASA)
    client = new_client()
    r = client.get(s.url, auth=auth.DigestAuth(*MUFASA))
    assert [h.status for h in r.history] == [401]
    assert r.history[0].content == b"refused" * 50
    assert r.request.headers["Authorization"].startswith("Digest ")
    assert client.stats().total.dials == 1


def test_no_challenge_no_credentials(server, new_client):
    s = server([serve(respond(b"open"))])
    assert new_client(auth=auth.DigestAuth(*MUFASA)).get(s.url).text == "open"
    assert s.requests[0].get("Authorization") is None


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="x"',
        "Digest",
        'Digest realm="x"',
        'Digest nonce="x"',
        'Digest realm="x", nonce="y", algorithm=SHA-3',
        'Digest realm="x", nonce="y", qop="auth-conf"',
        'Digest realm="x, nonce="y',
        "",
        ", ,",
        "=",
    ],
)
def test_a_challenge_that_cannot_be_answered(server, new_client, challenge):
    answer = respond(b"no", status=401, headers={"WWW-Authenticate": challenge})
    s = server([serve(answer)])
    r = new_client(auth=auth.DigestAuth(*MUFASA)).get(s.url)
    assert (r.status, r.history, len(s.requests)) == (401, [], 1)


# ---- nonces ------------------------------------------------------------------


def test_a_stale_nonce_costs_one_round(guard, new_client):
    digest, s = guard(*MUFASA, uses=2)
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    assert [client.get(s.url).status for _ in range(5)] == [200] * 5
    assert digest.refusals == ["no credentials", "stale", "stale"]
    assert [f["nc"][-1] for f in digest.accepted] == ["1", "2", "1", "2", "1"]


def test_a_server_that_finds_every_nonce_stale(guard, new_client):
    digest, s = guard(*MUFASA, uses=0)
    r = new_client(auth=auth.DigestAuth(*MUFASA)).get(s.url)
    assert r.status == 401
    assert digest.refusals == ["no credentials", "stale", "stale"]


def test_a_server_that_forgot_the_nonce(guard, new_client):
    """After a restart, say; it does not know to call it stale."""
    digest, s = guard(*MUFASA)
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    assert client.get(s.url).ok
    digest.nonces.clear()
    digest.nonces["something else"] = 0
    assert client.get(s.url).ok
    assert digest.refusals == ["no credentials", "unknown nonce"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_nextnonce(guard, new_client, algorithm):
    digest, s = guard(*MUFASA, algorithm=algorithm, next_nonce=True)
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    assert [client.get(s.url).status for _ in range(3)] == [200] * 3
    assert digest.refusals == ["no credentials"]
    assert [f["nc"][-1] for f in digest.accepted] == ["1"] * 3
    assert len({f["nonce"] for f in digest.accepted}) == 3


def test_36_each_origin_has_its_own(guard, new_client):
    """Reliability row 36: what A asked for is not sent to B."""
    (a, at_a), (b, at_b) = guard(*MUFASA), guard(*MUFASA, realm="b")
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    for _ in range(2):
        assert client.get(at_a.url).ok and client.get(at_b.url).ok
    assert a.refusals == b.refusals == ["no credentials"]
    assert at_b.requests[0].get("Authorization") is None


def test_27_not_answered_for_another_origin(guard, server, new_client):
    """Reliability row 27: the target of a redirect is refused an answer."""
    digest, s = guard(*MUFASA)
    door = server([serve(respond(status=302, headers={"Location": s.url}))])
    r = new_client(auth=auth.DigestAuth(*MUFASA)).get(door.url)
    assert r.status == 401
    assert digest.refusals == ["no credentials"]


def test_a_redirect_within_the_origin(server, new_client):
    """The new path has a digest of its own."""
    digest = Digest(*MUFASA)

    def answer(request):
        reply = digest(request)
        if request.target == "/a" and b"welcome" in reply:
            return respond(status=302, headers={"Location": "/b"})
        return reply

    s = server([serve(answer)])
    r = new_client(auth=auth.DigestAuth(*MUFASA)).get(f"{s.url}/a")
    assert (r.status, [h.status for h in r.history]) == (200, [401, 302])
    assert digest.refusals == ["no credentials"]


def test_threads(server, new_client):
    """Each count is used once, whoever is first; the server takes them in any
    order, but none twice."""
    digest = Digest(*MUFASA)
    lock, seen = threading.Lock(), set()

    def check_count(fields):
        with lock:
            key = fields["nonce"], fields["nc"]
            assert key not in seen
            seen.add(key)

    digest.check_count = check_count
    s = server([serve(digest)] * 4)
    client = new_client(
        auth=auth.DigestAuth(*MUFASA), limits=hpool.Limits(max_conns_per_host=4)
    )

    def many():
        return [client.get(s.url).status for _ in range(25)]

    assert [c.result() for c in [Call(many) for _ in range(4)]] == [[200] * 25] * 4
    assert len(seen) == 100 and len(digest.refusals) <= 4


# ---- bodies ------------------------------------------------------------------


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize(
    "make",
    [lambda: b"body", lambda: "body", lambda: io.BytesIO(b"body"),
     lambda: [b"bo", b"dy"], lambda: at_two(b"xxbody")],
)  # fmt: skip
def test_the_body_is_sent_again(guard, new_client, qop, make):
    digest, s = guard(*MUFASA, qop=qop)
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    for _ in range(2):
        assert client.post(s.url, data=make()).ok
    assert [r.body for r in s.requests] == [b"body"] * 3
    assert digest.refusals == ["no credentials"]


def at_two(data):
    """A file that stands somewhere in the middle."""
    file = io.BytesIO(data)
    file.seek(2)
    return file


def test_a_body_that_is_there_once(guard, new_client):
    digest, s = guard(*MUFASA)
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    with pytest.raises(hpool.UnrewindableBodyError, match="Digest") as caught:
        client.post(s.url, data=iter([b"body"]))
    assert caught.value.response.status_code == 401
    assert client.stats().total.now.in_use == 0
    assert client.get(s.url).ok
    # The nonce is known now: the body goes out once.
    assert client.post(s.url, data=iter([b"body"])).ok
    assert s.requests[-1].body == b"body"


def test_a_body_that_is_there_once_and_has_to_be_hashed(guard, new_client):
    """Nothing is sent, and no count is lost."""
    digest, s = guard(*MUFASA, qop="auth-int")
    client = new_client(auth=auth.DigestAuth(*MUFASA))
    assert client.get(s.url).ok
    with pytest.raises(hpool.UnrewindableBodyError):
        client.post(s.url, data=iter([b"body"]))
    assert client.post(s.url, data=b"body").ok
    assert digest.refusals == ["no credentials"]


# ---- challenges --------------------------------------------------------------


@pytest.mark.parametrize(
    "values, wanted",
    [
        (["Basic"], [("basic", {}, None)]),
        (["Negotiate abc=="], [("negotiate", {}, "abc==")]),
        (["Negotiate abc==, Basic realm=x"],
         [("negotiate", {}, "abc=="), ("basic", {"realm": "x"}, None)]),
        (['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="s"'],
         [("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}, None),
          ("basic", {"realm": "s"}, None)]),
        (["Basic, Digest a=b"], [("basic", {}, None), ("digest", {"a": "b"}, None)]),
        ([",, Basic  realm = \"x\" ,,", "Digest A=b"],
         [("basic", {"realm": "x"}, None), ("digest", {"a": "b"}, None)]),
        (['Digest a="b, Basic c=d"'], [("digest", {"a": "b, Basic c=d"}, None)]),
        (['Digest a="open'], [("digest", {}, None)]),
        (["Digest a=1, a=2"], [("digest", {"a": "1"}, None)]),
        (["@@", ""], []),
    ],
)  # fmt: skip
def test_parse_challenges(values, wanted):
    found = parse_challenges(values)
    assert [(c.scheme, c.parameters, c.token68) for c in found] == wanted


def test_parsing_takes_no_time():
    """Whatever a server sends: 64 KiB of it."""
    for piece in ("a", '"', "\\", ",", " ", "a=", 'a="', "a ", 'Digest a="b\\'):
        text = "Digest " + piece * (65536 // len(piece))
        job = Call(parse_challenges, [text])
        job.result(5)


@pytest.mark.parametrize("in_one_field", [True, False])
def test_among_other_challenges(guard, new_client, in_one_field):
    others = ['Basic realm="x, Digest y"', "Negotiate"]
    digest, s = guard(
        *MUFASA,
        algorithm="SHA-256",
        also=[", ".join(others)] if in_one_field else others,
    )
    assert new_client(auth=auth.DigestAuth(*MUFASA)).get(s.url).ok


# ---- the others --------------------------------------------------------------


def test_same_answer_as_requests_and_httpx(guard, monkeypatch):
    """With the same client nonce, each would send the same response."""
    digest, s = guard(*MUFASA)
    theirs = requests.get(s.url + "/x", auth=requests.auth.HTTPDigestAuth(*MUFASA))
    sent = fields_without_quotes(theirs.request.headers["Authorization"])
    challenge = theirs.history[0].headers["WWW-Authenticate"]
    check_same(monkeypatch, s.url, sent, challenge)
    with httpx.Client(auth=httpx.DigestAuth(*MUFASA)) as client:
        response = client.get(s.url + "/x")
    sent = fields_without_quotes(response.request.headers["Authorization"])
    challenge = response.history[0].headers["WWW-Authenticate"]
    check_same(monkeypatch, s.url, sent, challenge)


def check_same(monkeypatch, url, sent, challenge):
    monkeypatch.setattr(implementation, "_new_cnonce", lambda: sent["cnonce"])
    flow = auth.DigestAuth(*MUFASA).flow(PreparedRequest("GET", url + "/x"))
    assert authorization(flow, challenge)["response"] == sent["response"]


def fields_without_quotes(value):
    """Neither of them quotes as the RFC has it."""
    return dict(re.findall(r'(\w+)="?((?:[^",\\]|\\.|,(?=\d))*)"?', value))


@pytest.mark.parametrize("make", [requests.auth.HTTPDigestAuth, httpx.DigestAuth])
def test_their_objects(guard, new_client, make):
    """Taken for what they are, nonces and all."""
    digest, s = guard(*MUFASA)
    theirs = make(*MUFASA)
    client = new_client(auth=theirs)
    assert client.get(s.url).ok and client.get(s.url, auth=theirs).ok
    assert digest.refusals == ["no credentials"]


def test_a_subclass_that_adds_to_it(guard, new_client):
    class Marked(auth.HTTPDigestAuth):
        def __call__(self, request):
            request.headers["X-Mark"] = "1"
            return super().__call__(request)

    _, s = guard(*MUFASA)
    assert new_client(auth=Marked(*MUFASA)).get(s.url).ok
    assert [r.get("X-Mark") for r in s.requests] == ["1", "1"]
