"""PreparedRequest, Timings, ConnectionInfo, client headers and what may be shown."""

import pickle

import pytest

import hpool
from hpool._defaults import ClientHeaders
from hpool._records import show_seconds
from hpool._redact import url_for_text

# ---- PreparedRequest ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://a.test", "/"),
        ("http://a.test/", "/"),
        ("http://a.test/x/y?z=1#f", "/x/y?z=1"),
        ("http://a.test?z=/1", "/?z=/1"),
    ],
)
def test_path_url(url, path):
    assert hpool.PreparedRequest("GET", url).path_url == path


def test_request():
    request = hpool.PreparedRequest("PUT", "http://u:pw@a.test/?k=v", {"A": "b"}, b"x")
    assert (request.method, request.body, request.content) == ("PUT", b"x", b"x")
    assert repr(request) == "<PreparedRequest [PUT http://a.test/?k=...]>"
    again = pickle.loads(pickle.dumps(request))
    assert (again.method, again.url, again.body) == ("PUT", request.url, b"x")
    assert again.headers == {"A": "b"}


def test_a_file_stays_behind():
    request = hpool.PreparedRequest("PUT", "http://a.test/", {}, iter([b"x"]))
    assert pickle.loads(pickle.dumps(request)).body is None


# ---- Timings ----------------------------------------------------------------

NEW = hpool.Timings(
    started=0.0,
    resolved=0.010,
    connected=0.030,
    secured=0.060,
    acquired=0.061,
    sent=0.062,
    first_byte=0.162,
    head=0.163,
    ended=0.262,
)


def spans(timings):
    names = "pool dns connect tls send wait read total".split()
    return {
        name: round(span, 6)
        for name in names
        if (span := getattr(timings, name)) is not None
    }


def test_timings_of_a_new_connection():
    assert spans(NEW) == {
        "dns": 0.01,
        "connect": 0.02,
        "tls": 0.03,
        "send": 0.001,
        "wait": 0.1,
        "read": 0.1,
        "total": 0.262,
    }
    assert repr(NEW) == (
        "<Timings dns 10.0 ms, connect 20.0 ms, tls 30.0 ms, send 1.0 ms, "
        "wait 100 ms, read 100 ms, total 262 ms>"
    )


def test_timings_of_a_connection_that_was_waited_for():
    timings = hpool.Timings(started=0.0, queued=0.001, acquired=0.501, sent=0.5)
    assert spans(timings) == {"pool": 0.5, "send": 0.0}
    dialed = hpool.Timings(0.0, 0.1, 0.9, resolved=0.6, connected=0.8)
    assert spans(dialed) == {"pool": 0.5, "connect": 0.2}


def test_timings_of_nothing():
    assert spans(hpool.Timings()) == {}
    assert repr(hpool.Timings()) == "<Timings none>"


def test_timings_travel():
    assert pickle.loads(pickle.dumps(NEW)) == NEW
    with pytest.raises(AttributeError, match="immutable"):
        NEW.sent = 1.0


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 us"),
        (0.000085, "85 us"),
        (0.0009994, "999 us"),
        (0.0009999, "1.0 ms"),
        (0.01234, "12.3 ms"),
        (0.0999, "100 ms"),
        (0.9999, "1.00 s"),
        (61.5, "61.50 s"),
    ],
)
def test_show_seconds(seconds, shown):
    assert show_seconds(seconds) == shown


# ---- ConnectionInfo ---------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "<ConnectionInfo: none>"),
        ({"id": 3}, "<ConnectionInfo #3 to 127.0.0.1:80, new>"),
        (
            {"id": 3, "reused": True, "requests": 4},
            "<ConnectionInfo #3 to 127.0.0.1:80, handed over, request 4>",
        ),
        (
            {
                "id": 3,
                "reused": True,
                "was_idle": True,
                "idle_time": 1.5,
                "requests": 4,
                "tls_version": "TLSv1.3",
                "resumed": True,
                "attempts": 2,
                "release": "max_age",
            },
            "<ConnectionInfo #3 to 127.0.0.1:80, request 4, after 1.50 s idle, "
            "TLSv1.3 resumed, attempt 2, closed: max_age>",
        ),
        (
            {"id": 3, "release": "keep", "tls_version": "TLSv1.2"},
            "<ConnectionInfo #3 to 127.0.0.1:80, new, TLSv1.2>",
        ),
    ],
)
def test_connection_info(fields, shown):
    info = hpool.ConnectionInfo(**{"remote": "127.0.0.1:80"} | fields)
    assert repr(info) == shown
    assert pickle.loads(pickle.dumps(info)) == info


def test_no_tls_is_none():
    info = hpool.ConnectionInfo(tls_version="", cipher="", alpn="")
    assert info.tls_version is info.cipher is info.alpn is None


# ---- client.headers ---------------------------------------------------------


@pytest.fixture
def seen():
    return []


@pytest.fixture
def headers(seen):
    initial = [("User-Agent", "x"), (b"Accept", b"*/*"), ("accept", "text/html")]
    return ClientHeaders(initial, seen.append)


def test_headers_read(headers):
    assert headers["user-agent"] == headers[b"USER-AGENT"] == "x"
    assert headers["Accept"] == "*/*, text/html"
    assert headers.get_list("accept") == ["*/*", "text/html"]
    assert list(headers) == ["User-Agent", "Accept"]
    assert len(headers) == 2
    assert "accept" in headers
    assert "cookie" not in headers
    assert 3 not in headers
    assert headers.get("cookie") is None
    assert headers == {"user-agent": "x", "ACCEPT": "*/*, text/html"}
    assert headers != {"user-agent": "x"}
    assert headers != 3
    assert headers.copy() == {"User-Agent": "x", "Accept": "*/*, text/html"}
    with pytest.raises(KeyError):
        headers["cookie"]
    with pytest.raises(KeyError):
        del headers["cookie"]


def test_headers_set(headers, seen):
    headers["ACCEPT"] = "*"
    assert seen == [((b"User-Agent", b"x"), (b"ACCEPT", b"*"))]
    headers["X-New"] = b"\xff"
    assert seen[-1][-1] == (b"X-New", b"\xff")
    assert headers["x-new"] == "\xff"
    headers["user-agent"] = None
    assert seen[-1] == ((b"ACCEPT", b"*"), (b"X-New", b"\xff"))
    del headers["accept"]
    headers.update({"A": "ü"})
    assert seen[-1] == ((b"X-New", b"\xff"), (b"A", b"\xfc"))
    headers.clear()
    assert seen[-1] == ()


def test_headers_in_latin_1_only(headers, seen):
    with pytest.raises(hpool.InvalidHeader, match="encode it to bytes") as caught:
        headers["X"] = "secret \u20ac"
    assert "secret" not in str(caught.value)
    with pytest.raises(TypeError, match="headers takes str or bytes, not int"):
        headers["X"] = 3
    assert seen == []


def test_a_refused_change_is_no_change():
    def refuse(fields):
        raise ValueError("no")

    headers = ClientHeaders({"A": "b", "C": None}, refuse)
    with pytest.raises(ValueError, match="no"):
        headers["A"] = "c"
    assert headers == {"A": "b"}


def test_secrets_are_not_shown():
    headers = ClientHeaders(
        {"Authorization": "Bearer abc", "Cookie": "s=1", "A": "b"}, list
    )
    assert repr(headers) == (
        "{'Authorization': '[hidden]', 'Cookie': '[hidden]', 'A': 'b'}"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.test/x", "http://a.test/x"),
        ("http://u:p@a.test/x", "http://a.test/x"),
        ("http://a.test/?", "http://a.test/?"),
        ("http://a.test/x?a=1&b=2&c#f", "http://a.test/x?a=...&b=...&..."),
        ("http://a.test/x@y?z=w@v", "http://a.test/x@y?z=..."),
        ("http://u:p@a.test?k=v", "http://a.test?k=..."),
        # A password that was not percent-encoded, a scheme that is not there.
        ("http://u:p/w@a.test/x", "http://a.test/x"),
        ("http://u:p?w@a.test/x?k=v", "http://a.test/x?k=..."),
        ("http://u:p#w@a.test/x", "http://a.test/x"),
        ("u:p@a.test/x", "a.test/x"),
        ("//u:p@a.test/x", "a.test/x"),
        ("http:/u:p@a.test/x", "a.test/x"),
        ("a.test:80/@x", "a.test:80/@x"),
        ("/x@y?u=http://a.test", "/x@y?u=..."),
        ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
        ("http://[::1]/x@y", "http://[::1]/x@y"),
        ("http://a.test:/x@y", "http://a.test:/x@y"),
        ("http://a.test/\r\nX: y", r"http://a.test/\r\nX: y"),
    ],
)
def test_url_for_text(url, shown):
    assert url_for_text(url) == shown
