"""Who gets the credentials, odd Locations, and the method after a redirect: the
tables of redirects.jsonl, through every door a request goes in by."""

from urllib.parse import urljoin, urlsplit

import pytest

import hpool
from hpool.policy import redirects
from tests.corpus.rows import rows
from tests.server.scripted import respond
from tests.server.world import moved

OK = respond(b"ok")
SENT = {
    "Authorization": "Bearer s3cret",
    "Cookie": "k=v",
    "Proxy-Authorization": "Basic czNjcmV0",
    "X-Custom": "kept",
}
HEADERS = {"Proxy-Authorization": "Basic czNjcmV0", "X-Custom": "kept"}
DOORS = {}


def door(function):
    DOORS[function.__name__] = function
    return function


@door
def plain(settings, url):
    """A plain request that turns out to be redirected."""
    with hpool.Client(**settings) as client, client.get(url, headers=SENT) as r:
        return r.read()


@door
def by_policy(settings, url):
    """One that is Python's from the start."""
    with hpool.Client(**settings) as client:
        return client.get(url, headers=SENT, extensions={"a": 1}).content


@door
def client_headers(settings, url):
    """Credentials that are the client's: they must not come back."""
    with hpool.Client(headers=SENT, **settings) as client:
        return client.get(url).content


@door
def session(settings, url):
    with hpool.Session(**settings) as client:
        return client.request("GET", url, headers=SENT).content


@door
def stream(settings, url):
    with hpool.Client(**settings) as client:
        with client.stream("GET", url, headers=SENT) as r:
            return r.read()


@door
def module(settings, url):
    try:
        hpool.configure(**settings)
        return hpool.get(url, headers=SENT).content
    finally:
        hpool.configure()


def arguments():
    return {"auth": hpool.auth.BearerAuth("s3cret"), "cookies": {"k": "v"}}


@door
def call_arguments(settings, url):
    """Credentials that are no headers when they are given."""
    with hpool.Client(**settings) as client:
        return client.get(url, headers=HEADERS, **arguments()).content


@door
def client_arguments(settings, url):
    with hpool.Client(headers=HEADERS, **arguments(), **settings) as client:
        return client.get(url).content


@door
def by_hand(settings, url):
    """One redirect after the other, sent by a client that has credentials."""
    with hpool.Client(headers=HEADERS, **arguments(), **settings) as client:
        r = client.get(url, follow_redirects=False)
        while r.next_request is not None:
            r.close()
            r = client.send(r.next_request, follow_redirects=False)
        return r.content


def hops(row):
    """The absolute URLs of a row, the first one included."""
    urls = [row["first"]]
    for location in row["then"]:
        urls.append(urljoin(urls[-1], location))
    return urls


def is_chain(row):
    return row["id"].startswith("rd-")


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("row", rows("redirects.jsonl", is_chain))
def test_who_gets_the_credentials(row, name, world, ca):
    urls = hops(row)
    locations = iter(row["then"])

    def answer(url, request):
        location = next(locations, None)
        return OK if location is None else moved(location)

    w = world(answer, "foo.com", "bar.com")

    def dial(host, port, timeout):
        # A row has two schemes on one port.
        is_tls = urlsplit(urls[len(w.visits)]).scheme == "https"
        w.tls_ports = {port} if is_tls else set()
        return w.dial(host, port, timeout)

    settings = {"dial": dial, "verify": ca.pem, "timeout": 10}
    assert DOORS[name](settings, row["first"]) == b"ok"
    assert len(w.visits) == len(urls)
    expected = row["send_to_last"]
    last = w.visits[-1][1]
    for header, key in (
        ("Authorization", "authorization"),
        ("Cookie", "cookie_header"),
        ("Proxy-Authorization", "proxy_authorization_to_origin"),
        ("X-Custom", "x_custom"),
    ):
        got = last.get(header)
        if expected[key] is True:
            assert got == SENT[header]
        elif expected[key] is False:
            assert got is None, f"{header} went to {urls[-1]}"


@pytest.mark.parametrize("row", rows("redirects.jsonl", is_chain))
def test_credentials_of_the_url_and_the_client_stay(row, world, ca):
    """What auth made of a URL with a password goes where the header would."""
    urls = hops(row)
    first = urlsplit(row["first"])
    first = first._replace(netloc=f"user:s3cret@{first.netloc}").geturl()
    locations = iter(row["then"])
    w = world(
        lambda url, request: moved(location) if (location := next(locations, None))
        else OK,
        "foo.com",
    )  # fmt: skip

    def dial(host, port, timeout):
        is_tls = urlsplit(urls[len(w.visits)]).scheme == "https"
        w.tls_ports = {port} if is_tls else set()
        return w.dial(host, port, timeout)

    with hpool.Client(dial=dial, verify=ca.pem, timeout=10) as client:
        client.get(first)
    got = w.headers("Authorization")
    assert got[0] == "Basic dXNlcjpzM2NyZXQ="
    wanted = row["send_to_last"]["authorization"]
    if wanted is True:
        assert got[-1] == got[0]
    elif wanted is False:
        assert got[-1] != got[0]
    assert all("s3cret" not in (referer or "") for referer in w.headers("Referer"))


# ---- Locations ---------------------------------------------------------------


def is_location(row):
    return row["id"].startswith("rl-")


@pytest.mark.parametrize("name", ["plain", "by_policy", "module"])
@pytest.mark.parametrize("row", rows("redirects.jsonl", is_location))
def test_odd_locations(row, name, world):
    location = row["location"]
    if location is not None and "\r" in location:
        # Over the wire it would be two fields: what is left to test is that
        # nobody makes a request line of it.
        with pytest.raises(hpool.InvalidURL, match="control"):
            redirects.resolve("http://foo.com/", location)
        return
    if location is not None:
        location = location.encode()
    w = world(lambda url, request: moved(location) if len(w.visits) == 1 else OK)
    settings = {"dial": w.dial, "timeout": 10}
    if row["expect"] == "error":
        with pytest.raises(hpool.RequestException) as caught:
            DOORS[name](settings, "http://foo.com/")
        error = caught.value
        assert isinstance(error, (hpool.InvalidURL, hpool.InvalidSchema))
        assert isinstance(error, ValueError)
        assert "Location" in str(error)
        assert error.response.status == 302
        assert error.request.url == "http://foo.com/"
        assert len(w.visits) == 1
    elif row["expect"] == "final":
        with hpool.Client(**settings) as client, client.get("http://foo.com/") as r:
            assert (r.status, r.history) == (302, [])
    else:
        assert DOORS[name](settings, "http://foo.com/") == b"ok"
        assert w.urls == ["http://foo.com/", "http://foo.com/%E2%98%83"]


# ---- methods -----------------------------------------------------------------


def is_method(row):
    return row["id"].startswith("rm-")


@pytest.mark.parametrize("kind", ["bytes", "form", "file", "by_policy"])
@pytest.mark.parametrize("row", rows("redirects.jsonl", is_method))
def test_method_after_a_redirect(row, kind, world, tmp_path):
    w = world(
        lambda url, request: moved("/next", row["status"])
        if len(w.visits) == 1
        else OK
    )
    given = {"Content-Language": "en", "Content-Location": "/x"}
    has_body = row["method"] in ("POST", "PUT")
    how, body = {}, b""
    if has_body:
        body = b"a=1"
        given["Content-Encoding"] = "identity"
        path = tmp_path / "body"
        path.write_bytes(body)
        with open(path, "rb") as file:
            how = {
                "bytes": {"content": body},
                "form": {"data": {"a": "1"}},
                "file": {"data": file},
                "by_policy": {"data": {"a": "1"}, "extensions": {}},
            }[kind]
            run(w, row, given, how)
    else:
        run(w, row, given, how)
    (method, _, first_body), (next_method, url, next_body) = w.log
    assert (method, first_body) == (row["method"], body)
    assert next_method in row["next_method"].removeprefix("either ").split(" or ")
    assert url == "http://foo.com/next"
    assert next_body == (body if row["body_kept"] else b"")
    names = {name.lower() for name, _ in w.visits[1][1].fields}
    if not row["body_kept"]:
        # 307 and 308 keep what a request without a body says of one.
        kept = row["status"] in (307, 308)
        for name in row["drop_headers_if_get"]:
            assert kept or name.lower() not in names
    elif kind in ("form", "by_policy"):
        assert "content-type" in names


def run(w, row, headers, how):
    with hpool.Client(dial=w.dial, timeout=10) as client:
        r = client.request(
            row["method"],
            "http://foo.com/",
            headers=headers,
            follow_redirects=True,
            **how,
        )
        assert r.ok


# ---- the pool's key ----------------------------------------------------------


def test_pk45_a_host_header_of_ones_own(world):
    """pk-45: a connection may be shared, but cookies follow the URL, and a
    redirect that names a host does not take the header along."""
    w = world(
        lambda url, request: respond(headers={"Set-Cookie": "k=v"})
        if url.endswith("/set")
        else OK
    )
    with hpool.Client(dial=w.dial, timeout=10) as client:
        client.get("http://a.test/set", headers={"Host": "b.test"}).read()
        client.get("http://a.test/").read()
        client.get("http://b.test/").read()
        client.get("http://a.test/", headers={"Host": "b.test"}).read()
        assert w.headers("Cookie") == [None, "k=v", None, "k=v"]
        assert w.headers("Host") == ["b.test", "a.test", "b.test", "b.test"]
        assert w.dialed == [("a.test", 80), ("b.test", 80)]


def test_pk06_credentials_do_not_bind_a_connection(world):
    """pk-06: requests with different Authorization share one, redirected or
    not."""
    w = world(
        lambda url, request: moved("/2") if url.endswith("/1") else OK
    )
    with hpool.Client(dial=w.dial, timeout=10) as client:
        for n in range(3):
            client.get("http://a.test/1", headers={"Authorization": f"{n}"}).read()
        assert w.headers("Authorization") == ["0", "0", "1", "1", "2", "2"]
        assert w.dialed == [("a.test", 80)]
