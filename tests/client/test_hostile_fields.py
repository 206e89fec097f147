"""Header fields that Python reads, from servers that mean no good: whatever they
hold, nothing but an error of ours comes of it, nothing of them gets onto the
wire where it was not, and reading them takes no long time."""

import string
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import hpool
from hpool import _core, _response, auth
from hpool.policy.challenges import parse_challenges, parse_parameters, quote
from hpool.policy.cookies import Cookies
from hpool.policy.redirects import is_same_origin, resolve
from hpool.policy.retries import seconds_until

# What the core lets through in a value: no control byte but HTAB, in Latin-1.
CHARS = "".join(map(chr, [9, *range(32, 127), *range(128, 256)]))
TOKEN = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1)
VALUE = st.text(CHARS)


def pieces(*parts):
    """Text in which these come often."""
    return st.lists(st.sampled_from(parts) | VALUE, max_size=12).map("".join)


def is_plain(text):
    return set(text) <= set(CHARS)


# ---- challenges ----

CHALLENGE = pieces("Digest ", "Basic ", "realm=", '"', "\\", ",", "=", " ", "nonce=", "a")
PARAMETERS = st.dictionaries(
    TOKEN.map(str.lower), st.text(CHARS), min_size=1, max_size=5
)


@given(CHALLENGE)
def test_challenges_of_any_kind(value):
    for challenge in parse_challenges([value]):
        assert challenge.scheme and challenge.scheme == challenge.scheme.lower()
        assert all(name and name == name.lower() for name in challenge.parameters)
    parse_parameters(value)


@given(st.lists(st.tuples(TOKEN.map(str.lower), PARAMETERS), max_size=3))
def test_challenges_are_read_as_they_are_written(wanted):
    value = ", ".join(
        f"{scheme} " + ", ".join(f"{n}={quote(v)}" for n, v in parameters.items())
        for scheme, parameters in wanted
    )
    found = parse_challenges([value])
    assert [(c.scheme, c.parameters) for c in found] == wanted


class Answer:
    """A response as far as a flow looks at it."""

    def __init__(self, status, *fields, url="http://a.test/"):
        self.status_code, self.url = status, url
        self.headers = hpool.Headers(list(fields))


ALGORITHMS = st.sampled_from(["MD5", "md5-sess", "SHA-256", "SHA-512-256-sess", "SHA-256-SE\xdf"])
ASKED = st.fixed_dictionaries(
    {"realm": VALUE, "nonce": VALUE},
    optional={
        "opaque": VALUE,
        "algorithm": ALGORITHMS | VALUE,
        "qop": st.sampled_from(["auth", "auth-int", "x, auth"]) | VALUE,
        "stale": VALUE,
        "userhash": st.sampled_from(["true", "false"]),
        "charset": st.just("UTF-8"),
    },
)


def digest_answer(challenge):
    """The Authorization that goes out upon it, or None."""
    request = hpool.Request("GET", "http://a.test/x?y").prepare()
    flow = auth.DigestAuth("Mufasa", "Circle of Life").auth_flow(request)
    next(flow)
    try:
        sent = flow.send(Answer(401, ("WWW-Authenticate", challenge)))
    except StopIteration:
        return None
    return sent.headers.get("Authorization")


@given(ASKED)
@example({"realm": "", "nonce": "", "algorithm": "SHA-256-SE\xdf"})
@example({"realm": "", "nonce": "", "algorithm": ""})
def test_a_digest_says_of_a_challenge_what_it_was_told(asked):
    value = "Digest " + ", ".join(f"{n}={quote(v)}" for n, v in asked.items())
    answer = digest_answer(value)
    if answer is None:
        return
    assert is_plain(answer) and "Circle of Life" not in answer
    said = parse_parameters(answer.removeprefix("Digest "))
    for name in asked.keys() & {"realm", "nonce", "opaque"}:
        assert said[name] == asked[name]
    assert said.get("algorithm", "") == asked.get("algorithm", "")
    assert said["uri"] == "/x?y"


@given(CHALLENGE)
def test_a_digest_upon_anything(value):
    answer = digest_answer(value)
    assert answer is None or is_plain(answer)


# ---- cookies ----

SET_COOKIE = pieces(
    "a=b", "=", ";", "; Domain=", "a.test", ".test", "other.test", "; Path=/", "; Secure",
    "; HttpOnly", "; Max-Age=", "9" * 30, "-1", "; Expires=", "Thu, 01 Jan 2099 00:00:00 GMT",
    "; Version=1", '"', "; Port=80", "__Host-x=y", "\t",
)  # fmt: skip


@given(st.lists(SET_COOKIE, max_size=4), st.booleans())
def test_cookies_go_back_to_their_host_and_nowhere_else(lines, tls):
    url = "https://www.a.test/x" if tls else "http://www.a.test/x"
    jar = Cookies()
    jar.extract(Answer(200, *(("Set-Cookie", line) for line in lines), url=url))
    assert is_plain(jar.header(url))
    for other in ("b.test", "test", "wwwa.test", "other.test", "127.0.0.1"):
        assert jar.header(f"https://{other}/x") == ""
    secure = [c.name for c in jar if c.secure]
    assert tls or not secure
    sent = jar.header("http://www.a.test/x").split("; ")
    assert not {piece.partition("=")[0] for piece in sent} & set(secure)


# ---- Location ----

LOCATION = pieces(
    "http://", "https://", "//", "/", "\\", "@", ":", "a.test", "b.test", ":80", "%2f", "?",
    "#", "[::1]", "..", "user:secret@", "HTTP:", "\t", "xn--", "0x7f.1",
)  # fmt: skip


@given(LOCATION)
def test_locations_of_any_kind(location):
    """What is asked for next can stand on the wire, and names the origin that
    credentials are judged by."""
    base = "http://a.test/d/x?y#z"
    try:
        url = resolve(base, location)
    except (hpool.InvalidURL, hpool.InvalidSchema):
        return
    assert url.isascii() and url.isprintable() and " " not in url
    scheme, host, _ = _core._origin(url)
    assert scheme in ("http", "https") and host
    assert is_same_origin(base, url) == (_core._origin(url) == _core._origin(base))
    authority = url.split("/")[2]
    assert "@" not in authority
    assert resolve(base, url) == url


# ---- the others ----


@given(VALUE)
def test_fields_that_are_only_read(value):
    seconds = seconds_until(value)
    assert seconds is None or seconds >= 0
    encoding = _response.charset(value)
    assert isinstance(_response.decode(b"\x00\xff", encoding or "utf-8"), str)


@given(pieces("<", ">", ",", ";", '"', "rel=", "next", "=", " "))
def test_links_of_any_kind(value):
    for link in _response.each_link(value):
        assert isinstance(link["url"], str)


URL = st.text(CHARS.replace(">", ""))


@given(st.lists(st.tuples(URL, st.text(string.ascii_letters)), max_size=4))
def test_links_are_read_as_they_are_written(wanted):
    value = ", ".join(f'<{url}>; rel="{rel}, {rel}"' for url, rel in wanted)
    found = [(link["url"], link["rel"]) for link in _response.each_link(value)]
    assert found == [(url.strip(), f"{rel}, {rel}") for url, rel in wanted]


# ---- how long ----

MOST = 1 << 20  # bytes of a head, by default


def take_cookies(value):
    jar = Cookies()
    jar.extract(Answer(200, ("Set-Cookie", value)))
    jar.header("http://a.test/")


@pytest.mark.parametrize(
    ("read", "part"),
    [
        (_response.parse_links, "<>,"),
        (_response.parse_links, '<>"",'),
        (_response.parse_links, "<"),
        (lambda value: parse_challenges([value]), "a "),
        (lambda value: parse_challenges([value]), "a=,"),
        (lambda value: parse_challenges([value]), 'a="\\'),
        (take_cookies, "a=b; "),
        (take_cookies, "; expires=1-"),
        (seconds_until, "1 "),
        (_response.charset, "; a=b"),
        (lambda value: resolve("http://a.test/", value), "../"),
        (lambda value: resolve("http://a.test/", value), "\xe4"),
    ],
)
def test_a_million_bytes_are_read_in_seconds(read, part):
    value = part * (MOST // len(part))
    begun = time.process_time()
    read(value)
    assert time.process_time() - begun < 6
