"""Arguments that make no sense: a clear error, nothing sent, nothing leaked."""

import io

import pytest

import hpool
from tests.server.scripted import expect, respond, send, serve, until_closed
from tests.tools import gauges, sockets_to, until

NOTHING = (0, 0, 0, 0, 0)
SECRET = "s3cret"


@pytest.fixture
def untouched(server, new_client):
    """(client, url) of a server that must not see a single byte."""
    s = server([serve(respond(b""))])
    client = new_client()
    yield client, s.url
    assert s.connections == []
    assert gauges(client) == NOTHING
    assert client.stats().total.requests == client.stats().total.dials == 0


# ---- URLs --------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, error",
    [
        ("", hpool.RequestException),
        ("/path", hpool.MissingSchema),
        ("example.test", hpool.MissingSchema),
        ("//example.test/", hpool.MissingSchema),
        ("ftp://example.test/", hpool.InvalidSchema),
        ("file:///etc/passwd", hpool.InvalidSchema),
        ("httpx://example.test/", hpool.InvalidSchema),
        ("http://", hpool.InvalidURL),
        ("http:///path", hpool.InvalidURL),
        ("http://:80/", hpool.InvalidURL),
        ("http://example.test:123foo/", hpool.InvalidURL),
        ("http://example.test:65536/", hpool.InvalidURL),
        ("http://example.test:-1/", hpool.InvalidURL),
        ("http://example.test:99999999999999999999/", hpool.InvalidURL),
        ("http://[::1/", hpool.InvalidURL),
        ("http://[zz]/", hpool.InvalidURL),
        ("http://exa mple.test/", hpool.InvalidURL),
        ("http://example.test\r\nX-Evil: 1/", hpool.InvalidURL),
        ("http://example.test\x00/", hpool.InvalidURL),
        ("http://\u00ad/", hpool.InvalidURL),
    ],
)
def test_bad_urls(untouched, url, error):
    """A URL that cannot be used is an error of its own kind, which is a ValueError
    too."""
    client, _ = untouched
    with pytest.raises(error) as caught:
        client.get(url)
    assert isinstance(caught.value, (ValueError, hpool.URLRequired))
    assert str(caught.value)


@pytest.mark.parametrize("url", [None, 7, object(), ["http://a.test"]])
def test_urls_of_a_wrong_kind(untouched, url):
    """What is no text at all is a TypeError."""
    client, _ = untouched
    with pytest.raises(TypeError):
        client.get(url)


def test_a_password_is_not_shown(untouched):
    """The text about a bad URL shows neither password nor query."""
    client, _ = untouched
    with pytest.raises(hpool.InvalidURL) as caught:
        client.get(f"http://user:{SECRET}@example.test:foo/?q={SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "G\u00c4T", "A:B"])
def test_bad_methods(untouched, method):
    """A method that is no token is InvalidMethod."""
    client, url = untouched
    with pytest.raises(hpool.InvalidMethod):
        client.request(method, url)


def test_half_a_surrogate_pair(untouched):
    """What has no UTF-8 is an error that names the argument."""
    client, url = untouched
    with pytest.raises(hpool.InvalidURL, match="^url: "):
        client.get(f"{url}/\ud800")
    with pytest.raises(hpool.InvalidMethod, match="^method: "):
        client.request("\ud800", url)
    with pytest.raises(hpool.InvalidArgument, match="^params: "):
        client.get(url, params={"a": "\ud800"})
    with pytest.raises(hpool.InvalidArgument, match="^data: "):
        client.post(url, data={"a": "\ud800"})
    with pytest.raises(hpool.InvalidArgument, match="^data/content: "):
        client.post(url, data="\ud800")
    with pytest.raises(hpool.InvalidArgument, match="^host: "):
        client.close_idle("\ud800")


def test_close_idle_of_no_host(untouched):
    """host= takes a str that names a host."""
    client, _ = untouched
    for host in (5, b"example.test"):
        with pytest.raises(TypeError, match="^host must be a str or None, not "):
            client.close_idle(host)
    with pytest.raises(hpool.InvalidArgument, match="^host takes "):
        client.close_idle("http://")


# ---- headers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a:", "a\r\nb", "a\nb", "a\0b", "\u00fc", "a\x7f", b"a b", "(a)"],
)
def test_s111_bad_names(untouched, name):
    """A header name that is no token is refused before anything is sent."""
    client, url = untouched
    with pytest.raises(hpool.InvalidHeader) as caught:
        client.get(url, headers={name: SECRET})
    assert isinstance(caught.value, ValueError)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("byte", ["\r", "\n", "\0", "\x01", "\x1f", "\x7f", "\r\n "])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_s111_bad_values(untouched, byte, as_bytes):
    """A value with a control character is refused; the text names the header and
    never shows the value."""
    client, url = untouched
    value = f"{SECRET}{byte}evil"
    with pytest.raises(hpool.InvalidHeader) as caught:
        client.get(url, headers={"X-Api-Key": value.encode() if as_bytes else value})
    assert "X-Api-Key" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "evil" not in str(caught.value)


def test_s111_values_that_are_fine(server, new_client):
    """Empty values, tabs and bytes beyond ASCII go out as they are."""
    s = server([serve(respond(b""))])
    headers = {"A": "", "B": "x\ty", "C": "\u00fc", "D": "\u20ac".encode()}
    new_client().get(s.url, headers=headers).read()
    got = dict(s.requests[0].fields)
    assert got["A"] == ""
    assert got["B"] == "x\ty"
    assert got["C"] == "\u00fc"
    assert got["D"].encode("latin-1") == "\u20ac".encode()


def test_a_value_beyond_latin_1(untouched):
    """A str that is not Latin-1 is refused, and not shown."""
    client, url = untouched
    with pytest.raises(hpool.InvalidHeader) as caught:
        client.get(url, headers={"X-Key": f"{SECRET}\u20ac"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", [1, 1.5, object(), ["a"]])
def test_values_of_a_wrong_kind(untouched, value):
    """A value that is neither str nor bytes is a TypeError that names the header."""
    client, url = untouched
    with pytest.raises((TypeError, hpool.InvalidHeader), match="X-Number"):
        client.get(url, headers={"X-Number": value})


@pytest.mark.parametrize("headers", [7, "a: b", [("a",)], [1]])
def test_headers_of_a_wrong_kind(untouched, headers):
    """headers= takes a mapping or pairs."""
    client, url = untouched
    with pytest.raises((TypeError, ValueError)):
        client.get(url, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "5"), ("Content-Length", "6")],
        {"Content-Length": "five"},
        {"Content-Length": "-1"},
        {"Transfer-Encoding": "gzip"},
        {"Content-Length": "4", "Transfer-Encoding": "chunked"},
    ],
)
def test_framing_that_contradicts_itself(untouched, headers):
    """Framing fields that cannot be right are refused before anything is sent."""
    client, url = untouched
    with pytest.raises(hpool.RequestException):
        client.post(url, data=b"body", headers=headers)


def test_bad_headers_of_a_client(server):
    """A client's own headers are held to the same rules, at the latest when it sends
    them."""
    s = server([serve(respond(b""))])
    with pytest.raises(hpool.InvalidHeader, match="X-Key"):
        with hpool.Client(headers={"X-Key": f"{SECRET}\n"}) as client:
            client.get(s.url)
    assert s.connections == []


# ---- settings ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "max_conns",
        "max_conns_per_host",
        "max_idle_conns",
        "max_idle_conns_per_host",
        "idle_conn_timeout",
        "max_conn_age",
        "max_requests_per_conn",
        "max_waiting",
        "drain_bytes",
        "drain_timeout",
    ],
)
def test_negative_limits(name):
    """A negative limit is an InvalidArgument that names it."""
    with pytest.raises(hpool.InvalidArgument, match=name):
        hpool.Limits(**{name: -1})


@pytest.mark.parametrize(
    "settings",
    [
        {"limits": 5},
        {"limits": {"max_conns": 1}},
        {"timeout": "5"},
        {"timeout": (1, 2, 3)},
        {"timeout": -1},
        {"timeout": 0},
        {"timeout": True},
        {"timeout": float("nan")},
        {"base_url": 7},
        {"headers": 7},
        {"max_size": -1},
        {"max_size": "5"},
        {"max_decoded_size": -1},
        {"max_header_bytes": 0},
        {"dns_ttl": -1},
        {"default_encoding": 7},
        {"no_such_setting": 1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings):
    """A client is not made with settings that mean nothing."""
    with pytest.raises((TypeError, ValueError)):
        hpool.Client(**settings)


@pytest.mark.parametrize(
    "timeout",
    ["5", (1, 2, 3), (1,), (), -1, 0, (5, 0), (None, -1), True, [1, "2"], object()],
    ids=str,
)
def test_timeouts_of_a_wrong_shape(untouched, timeout):
    """A timeout of a wrong shape is a TypeError or ValueError of the call."""
    client, url = untouched
    with pytest.raises((TypeError, ValueError), match="timeout"):
        client.get(url, timeout=timeout)


@pytest.mark.parametrize(
    "how",
    [
        {"cancel": True},
        {"cancel": object()},
        {"stream": "yes"},
        {"no_such_keyword": 1},
        {"params": 7},
        {"json": object()},
        {"json": float("nan")},
        {"data": 7},
        {"data": b"a", "json": {}},
        {"data": b"a", "content": b"b"},
        {"content": 7},
    ],
    ids=str,
)
def test_keywords_that_make_no_sense(untouched, how):
    """A wrong keyword, or a wrong value of one, is an error of the call."""
    client, url = untouched
    with pytest.raises((TypeError, ValueError)):
        client.request("POST", url, **how)


@pytest.mark.parametrize("how", [{"tls": True}, {"verify": 7}, {"cert": 7}], ids=str)
def test_tls_keywords_that_make_no_sense(server, new_client, how):
    """tls=, verify= and cert= of a wrong type are TypeErrors of an https call."""
    s = server([until_closed()])
    with pytest.raises(TypeError):
        new_client().get(f"https://127.0.0.1:{s.port}", **how)
    assert s.connections == []


def test_too_many_arguments(untouched):
    """Too few, too many and doubled arguments are TypeErrors."""
    client, url = untouched
    with pytest.raises(TypeError):
        client.get()
    with pytest.raises(TypeError):
        client.get(url, {}, {}, {})
    with pytest.raises(TypeError):
        client.get(url, url=url)


# ---- bodies ------------------------------------------------------------------


class Broken(Exception):
    pass


def breaks():
    yield b"first"
    raise Broken("my own")


@pytest.mark.parametrize(
    "body, error",
    [
        (breaks, Broken),
        (lambda: iter([b"first", 7]), TypeError),
        (lambda: iter([b"first", None]), TypeError),
    ],
    ids=["raises", "int", "None"],
)
def test_a_body_that_breaks(server, new_client, body, error):
    """A body that raises, or gives something else than bytes: that very error; what
    went out before is not ended by a terminating chunk; the connection is closed."""
    wire = []

    def watch(connection):
        connection.expect(body=False)
        while connection._receive():
            pass
        wire.append(connection._take(1 << 20))

    s = server(watch)
    client = new_client()
    with pytest.raises(error) as caught:
        client.post(s.url, data=body())
    assert type(caught.value) is error
    s.wait_connections(1)[0].wait_ended()
    assert wire in ([b"5\r\nfirst\r\n"], [b""])
    assert gauges(client) == NOTHING


def test_a_body_that_breaks_at_once(server, new_client):
    """A body that raises before its first piece leaves nothing in use, and the client
    works afterwards."""

    def never():
        raise Broken
        yield

    s = server(
        [lambda c: c.request(body=False), until_closed()], [serve(respond(b"ok"))]
    )
    client = new_client()
    with pytest.raises(Broken):
        client.post(s.url, data=never())
    assert gauges(client)[1:] == NOTHING[1:]


def test_a_body_that_is_interrupted(server, new_client):
    """KeyboardInterrupt out of a body passes through unchanged."""

    def stop():
        yield b"x"
        raise KeyboardInterrupt

    s = server([lambda c: c.request(body=False), until_closed()])
    client = new_client()
    with pytest.raises(KeyboardInterrupt):
        client.post(s.url, data=stop())
    assert gauges(client) == NOTHING


@pytest.mark.parametrize("pieces", [[b"abc"], [b"abc", b"def"], []])
@pytest.mark.parametrize("length", [4, 100])
def test_a_body_that_is_not_as_long_as_announced(server, new_client, pieces, length):
    """A produced body shorter or longer than its Content-Length is a
    LocalProtocolError; the connection is closed, and no byte too many went out."""
    if sum(map(len, pieces)) == length:
        pytest.skip("fits")
    s = server([lambda c: c.request(body=False), until_closed()])
    client = new_client()
    with pytest.raises(hpool.LocalProtocolError):
        client.post(s.url, data=iter(pieces), headers={"Content-Length": str(length)})
    assert gauges(client) == NOTHING


def test_bytes_that_contradict_their_content_length(untouched):
    """Where the length is known beforehand, nothing is sent at all."""
    client, url = untouched
    with pytest.raises(hpool.InvalidHeader, match="Content-Length"):
        client.post(url, data=b"abc", headers={"Content-Length": "4"})


def test_a_file_that_shrinks(server, new_client, tmp_path):
    """A file that becomes shorter while it is sent: LocalProtocolError."""

    class Shrinking(io.BytesIO):
        def read(self, n=-1):
            return super().read(n)[:3] if self.tell() == 0 else b""

    s = server([lambda c: c.request(body=False), until_closed()])
    client = new_client()
    with pytest.raises(hpool.LocalProtocolError):
        client.post(s.url, data=Shrinking(b"abcdef"))
    assert gauges(client) == NOTHING


# ---- after the end -----------------------------------------------------------


def test_a_closed_client(server):
    """After close() every verb is a ClosedError, which is a ValueError; close() can
    be called again, stats() still answer."""
    s = server([serve(respond(b""))])
    client = hpool.Client()
    client.close()
    client.close()
    for call in (client.get, client.post, client.head, client.delete):
        with pytest.raises(hpool.ClosedError):
            call(s.url)
    with pytest.raises(ValueError):
        with client:
            pass
    assert gauges(client) == NOTHING
    assert s.connections == []


def test_a_closed_response(server, new_client):
    """After close() every way of reading is a ClosedError; status and headers
    stay."""
    s = server([expect(), send(respond(b"x", headers={"Content-Length": 2}))])
    response = new_client().get(s.url)
    response.close()
    for read in (
        response.read,
        response.read1,
        response.readline,
        response.readlines,
        lambda: response.readinto(bytearray(5)),
        lambda: list(response),
        lambda: list(response.iter_content(1)),
        lambda: list(response.iter_bytes()),
        lambda: list(response.iter_raw()),
        lambda: list(response.iter_lines()),
        lambda: response.content,
        lambda: response.text,
        lambda: response.json(),
        lambda: response.raw.read(),
    ):
        with pytest.raises(hpool.ClosedError):
            read()
    assert response.status_code == 200
    assert response.headers["Content-Length"] == "2"


def test_a_response_read_otherwise(server, new_client):
    """A body that was streamed was not kept: `content` says so."""
    s = server([serve(respond(b"body"))])
    response = new_client().get(s.url)
    assert response.read(2) == b"bo"
    with pytest.raises(hpool.StreamConsumedError):
        response.content
    assert response.read() == b"dy"


@pytest.mark.parametrize("size", ["5", 1.5, object()])
def test_sizes_of_a_wrong_kind(server, new_client, size):
    """read() takes a whole number."""
    s = server([serve(respond(b"body"))])
    response = new_client().get(s.url)
    with pytest.raises(TypeError):
        response.read(size)
    assert response.read() == b"body"


def test_sizes_beyond_all_memory(server, new_client):
    """Ints that no machine counts so far as are the largest there is."""
    s = server([serve(respond(b"body"))])
    huge = 2**64
    limits = hpool.Limits(max_conns=huge, max_idle_conns=huge, drain_bytes=huge)
    client = new_client(limits=limits, max_size=huge, max_decoded_size=huge)
    assert client.get(s.url).read(huge) == b"body"
    assert client.get(s.url).read(-huge) == b"body"
    assert list(client.get(s.url).iter_content(huge)) == [b"body"]
    assert client.get(s.url).raw.read(huge) == b"body"


@pytest.mark.parametrize("seconds", [2**2000, -(2**2000)])
def test_seconds_beyond_all_numbers(new_client, seconds):
    client = new_client()
    for name, call in {
        "older_than": lambda: client.leaks(older_than=seconds),
        "dns_ttl": lambda: hpool.Client(dns_ttl=seconds),
        "deadline": lambda: hpool.deadline(seconds),
        "idle_conn_timeout": lambda: hpool.Limits(idle_conn_timeout=seconds),
        "backoff_max": lambda: hpool.Retries(backoff_max=seconds),
    }.items():
        with pytest.raises(ValueError, match=f"^{name} takes seconds"):
            call()


def test_chunk_sizes_that_mean_nothing(server, new_client):
    """A chunk size of 0 or less is a ValueError; the body stays whole."""
    s = server([serve(respond(b"body"))])
    response = new_client().get(s.url)
    for size in (0, -1):
        with pytest.raises(ValueError):
            next(iter(response.iter_content(size)))
    assert response.read() == b"body"


def test_a_read_only_buffer(server, new_client):
    """readinto() wants a buffer it may write to."""
    s = server([serve(respond(b"body"))])
    response = new_client().get(s.url)
    with pytest.raises((TypeError, BufferError)):
        response.readinto(b"read-only")
    assert response.read() == b"body"


def test_nothing_leaks(server, new_client):
    """500 refused calls of all kinds leave no socket and no connection."""
    s = server([serve(respond(b""))])
    client = new_client()
    for i in range(100):
        for how in (
            {"headers": {"a b": "c"}},
            {"headers": {"a": "b\n"}},
            {"timeout": -1},
            {"data": 7},
            {"json": object()},
        ):
            with pytest.raises((TypeError, ValueError)):
                client.post(s.url, **how)
    assert gauges(client) == NOTHING
    until(lambda: sockets_to(s.port) == 0)


@pytest.mark.parametrize("url", ["nope", "example.com/x", "ftp://example.com"])
def test_a_base_url_without_a_scheme_is_refused_at_once(url):
    """A base_url that nothing could be put under is refused by the constructor,
    by its name."""
    with pytest.raises(hpool.InvalidArgument, match="base_url"):
        hpool.Client(base_url=url)


@pytest.mark.parametrize("empty", [{}, [], ()])
def test_an_empty_form_gives_way_to_json(server, new_client, empty):
    """data={} beside json= sends the JSON, as in requests; bytes do not."""
    s = server(serve(respond(b"")))
    client = new_client()
    client.post(s.url, data=empty, json=[1]).close()
    assert s.requests[0].body == b"[1]"
    with pytest.raises(TypeError, match="json and data"):
        client.post(s.url, data=b"", json=[1])
