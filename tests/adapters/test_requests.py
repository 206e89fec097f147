"""What requests' adapter promises, held by hpool's: requests, responses, raw,
cookies, redirects, streaming. Errors and time limits: test_requests_errors.py."""

import gzip
import io
import threading
import zlib
from urllib.parse import urlsplit

import pytest
import requests
import urllib3

from hpool.adapters.requests import HTTPAdapter
from tests.server.nginx import BIG, DATA, SMALL
from tests.server.scripted import (
    close,
    expect,
    respond,
    respond_chunked,
    send,
    serve,
)

# ---- what is sent ------------------------------------------------------------

LATIN = "caf\xe9"
SENT = {
    "plain": ("GET", "/", {}),
    "no path": ("GET", "", {}),
    "query": ("GET", "/x?a=1&b=", {"params": {"c": ["1", "2"]}}),
    "fragment": ("GET", "/x#here", {}),
    "odd path": ("GET", "/a b/%7Eq/\u00e9/{x}|^", {}),
    "two slashes": ("GET", "//x//y", {}),
    "dots": ("GET", "/a/../b/./c", {}),
    "head": ("HEAD", "/", {}),
    "options": ("OPTIONS", "/", {}),
    "own method": ("PURGE", "/", {}),
    "headers": ("GET", "/", {"headers": {"X-A": "1", "x-b": b"2", "Accept": None}}),
    "latin-1": ("GET", "/", {"headers": {"X-A": LATIN.encode("latin-1")}}),
    "host": ("GET", "/", {"headers": {"Host": "example.test"}}),
    "no coding": ("GET", "/", {"headers": {"Accept-Encoding": None}}),
    "close": ("GET", "/", {"headers": {"Connection": "close"}}),
    "left out": (
        "GET",
        "/",
        {"headers": {"User-Agent": urllib3.util.SKIP_HEADER}},
    ),
    "auth": ("GET", "/", {"auth": ("u", "p")}),
    "cookies": ("GET", "/", {"cookies": {"a": "1"}}),
    "no body": ("POST", "/", {}),
    "bytes": ("POST", "/", {"data": b"abc"}),
    "str": ("POST", "/", {"data": "\u00fc"}),
    "empty bytes": ("POST", "/", {"data": b""}),
    "form": ("POST", "/", {"data": {"a": "1", "b": ["2", "3"]}}),
    "json": ("PUT", "/", {"json": {"a": [1, None]}}),
    "get with body": ("GET", "/", {"data": b"abc"}),
    "file": ("POST", "/", {"data": lambda: io.BytesIO(b"abc")}),
    "empty file": ("POST", "/", {"data": lambda: io.BytesIO(b"")}),
    "file from its middle": ("POST", "/", {"data": lambda: at(io.BytesIO(b"abc"), 1)}),
    "iterator": ("POST", "/", {"data": lambda: iter([b"a", b"", "bc"])}),
    "no iterations": ("POST", "/", {"data": lambda: iter([])}),
    "multipart": ("POST", "/", {"files": {"f": ("n.txt", b"abc", "text/plain")}}),
}


def at(file, position):
    file.seek(position)
    return file


def fresh(arguments):
    """Bodies that can be used once are made for each use."""
    return {k: v() if callable(v) else v for k, v in arguments.items()}


@pytest.mark.parametrize("what", SENT)
def test_the_same_request_goes_out(session, server, monkeypatch, what):
    """Field by field; only the order is each one's own."""
    monkeypatch.setattr("urllib3.filepost.choose_boundary", lambda: "edge")
    method, path, arguments = SENT[what]
    srv = server(serve(respond(b"")))
    url = srv.url + path
    with requests.Session() as plain:
        plain.trust_env = False
        plain.request(method, url, **fresh(arguments))
    session.request(method, url, **fresh(arguments))
    theirs, ours = srv.wait_requests(2)
    assert (ours.line, ours.raw_body) == (theirs.line, theirs.raw_body)
    assert comparable(ours) == comparable(theirs)


def comparable(request):
    fields = [(name.lower(), value) for name, value in request.fields]
    # urllib3 names itself where requests' name was taken out; nobody asks it to.
    return sorted(f for f in fields if f[0] != "user-agent" or "urllib3" not in f[1])


def test_the_order_of_headers_is_kept(session, server):
    srv = server(serve(respond(b"")))
    session.headers.clear()
    session.get(srv.url, headers={"B": "1", "A": "2", "C": "3"})
    names = [name for name, _ in srv.requests[0].fields]
    assert [n for n in names if n in "ABC"] == ["B", "A", "C"]


def test_ipv6(session, server):
    srv = server(serve(respond(b"hello")), host="::1")
    assert session.get(f"{srv.url}/x").content == b"hello"
    assert srv.requests[0].get("Host") == f"[::1]:{srv.port}"


def test_userinfo_is_no_part_of_the_request(session, server):
    srv = server(serve(respond(b"")))
    session.get(srv.url.replace("//", "//user:secret@") + "/x")
    (request,) = srv.requests
    assert request.target == "/x"
    assert request.get("Host") == urlsplit(srv.url).netloc
    assert request.get("Authorization").startswith("Basic ")


def test_a_header_changed_after_preparing_goes_out_as_it_is(session, server):
    srv = server(serve(respond(b"")))
    prepared = session.prepare_request(requests.Request("POST", srv.url, data=b"abc"))
    del prepared.headers["Content-Length"]  # which means: in chunks
    session.send(prepared)
    assert srv.requests[0].get("Transfer-Encoding") == "chunked"
    assert srv.requests[0].body == b"abc"


def test_a_length_given_by_hand_holds(hpool_session, server):
    """requests adds Transfer-Encoding beside it, and its own adapter sends
    both."""
    srv = server(serve(respond(b"")))
    length = {"Content-Length": "3"}
    hpool_session().post(srv.url, data=iter([b"a", b"bc"]), headers=length)
    (request,) = srv.requests
    assert (request.get("Content-Length"), request.raw_body) == ("3", b"abc")
    assert request.get("Transfer-Encoding") is None


# ---- what comes back ---------------------------------------------------------


def test_a_response_has_all_its_parts(session, server):
    srv = server(
        serve(
            respond(
                LATIN.encode("latin-1"),
                404,
                [("Content-Type", "text/plain; charset=latin-1"), ("X-A", "1")],
                reason="Gone Fishing",
            )
        )
    )
    response = session.get(f"{srv.url}/x?a=1")
    assert (response.status_code, response.reason) == (404, "Gone Fishing")
    assert response.headers["x-a"] == "1"
    assert response.encoding == "latin-1"
    assert response.text == LATIN
    assert response.url == f"{srv.url}/x?a=1"
    assert response.request.method == "GET"
    assert response.connection is session.get_adapter(srv.url)
    assert response.elapsed.total_seconds() > 0
    assert response.history == []
    with pytest.raises(requests.HTTPError):
        response.raise_for_status()


def test_repeated_and_latin_1_headers(session, server):
    fields = [("X-A", "1"), ("x-a", "2"), ("X-Name", LATIN.encode("latin-1"))]
    srv = server(serve(respond(b"", headers=fields)))
    response = session.get(srv.url)
    assert response.headers["X-A"] == "1, 2"
    assert response.headers["X-Name"] == LATIN
    assert response.raw.headers.getlist("x-a") == ["1", "2"]


def test_cookies_are_stored_one_by_one(session, server):
    cookies = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Expires=x, y")]
    srv = server(serve(respond(b"", headers=cookies)))
    response = session.get(srv.url)
    assert dict(response.cookies) == dict(session.cookies) == {"a": "1", "b": "2"}
    message = response.raw._original_response.msg
    assert len(message.get_all("Set-Cookie", [])) == 2
    assert message.get_all("Set-Cookie2", []) == []
    session.get(srv.url)
    assert sorted(srv.requests[1].get("Cookie").split("; ")) == ["a=1", "b=2"]


def test_the_adapter_alone_neither_follows_nor_raises(session, server):
    srv = server(serve(respond(b"", 302, {"Location": "/there"})))
    prepared = requests.Request("GET", f"{srv.url}/here").prepare()
    response = session.get_adapter(srv.url).send(prepared)
    assert response.status_code == 302
    assert response.request is prepared
    assert len(srv.requests) == 1


def test_redirects_are_followed_by_the_session_on_one_connection(session, server):
    def answer(request):
        if request.target == "/there":
            return respond(b"done")
        cookie = ("Set-Cookie", "seen=1")
        return respond(b"short", 302, [("Location", "/there#x"), cookie])

    srv = server(serve(answer))
    response = session.get(f"{srv.url}/here")
    assert response.content == b"done"
    assert [r.status_code for r in response.history] == [302]
    assert response.url.endswith("/there#x")
    assert srv.requests[1].get("Cookie") == "seen=1"
    assert len(srv.connections) == 1


def test_the_body_of_a_redirect_may_be_bad(session, server):
    """requests reads it by raw.read(decode_content=False)."""
    not_gzip = [("Location", "/there"), ("Content-Encoding", "gzip")]
    srv = server(
        serve(
            lambda r: respond(b"done")
            if r.target == "/there"
            else respond(b"not gzip", 302, not_gzip)
        )
    )
    assert session.get(srv.url).content == b"done"


@pytest.mark.parametrize("version", [10, 11])
def test_raw_knows_the_version(session, server, version):
    head = b"HTTP/1.%d 200 OK\r\nContent-Length: 0\r\n\r\n" % (version - 10)
    srv = server([expect(), send(head), close()])
    raw = session.get(srv.url).raw
    assert raw.version == raw._original_response.version == version
    assert (raw.status, raw.reason) == (200, "OK")


def test_no_body(session, server):
    srv = server(serve(lambda r: respond(b"", 204)))
    for method in ("GET", "HEAD"):
        response = session.request(method, srv.url, stream=True)
        assert response.raw.read() == b""
        assert response.content == b""
    assert len(srv.connections) == 1


def test_head_has_the_length_of_what_does_not_come(session, nginx):
    response = session.head(f"{nginx.http_url}/data")
    assert response.headers["Content-Length"] == str(len(DATA))
    assert response.content == b""


# ---- raw ---------------------------------------------------------------------


def test_raw_reads_in_pieces(session, nginx):
    raw = session.get(f"{nginx.http_url}/data", stream=True).raw
    assert isinstance(raw, urllib3.HTTPResponse)
    assert raw.read(10) == DATA[:10]
    assert raw.tell() == 10
    assert not raw.closed
    buffer = bytearray(5)
    assert raw.readinto(buffer) == 5
    assert buffer == DATA[10:15]
    assert raw.read() == DATA[15:]
    assert raw.tell() == len(DATA)
    assert raw.closed
    assert raw.read() == b""


def test_raw_iterates_over_lines(session, server):
    srv = server(serve(respond(b"one\ntwo\n\nfour")))
    with session.get(srv.url, stream=True) as response:
        assert list(response.raw) == [b"one\n", b"two\n", b"\n", b"four"]


def test_raw_headers_may_be_changed(session, server):
    srv = server(serve(respond(b"x", headers={"A": "1"})))
    raw = session.get(srv.url).raw
    raw.headers["B"] = "2"
    assert dict(raw.headers)["A"] == "1"
    assert raw.headers.get("b") == "2"


def test_nothing_is_decoded_before_somebody_asks(session, server):
    packed = gzip.compress(b"hello" * 100)
    srv = server(serve(respond(packed, headers={"Content-Encoding": "gzip"})))
    assert session.get(srv.url, stream=True).raw.read() == packed
    decoded = session.get(srv.url, stream=True).raw.read(decode_content=True)
    assert decoded == b"hello" * 100
    response = session.get(srv.url, stream=True)
    assert response.raw.read(7, decode_content=True) == b"hellohe"
    assert response.content == (b"hello" * 100)[7:]


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("GZip", gzip.compress(b"hel") + gzip.compress(b"lo")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")[2:-4]),
        ("deflate, gzip", gzip.compress(zlib.compress(b"hello"))),
        ("rot13", b"hello"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_codings(session, server, coding, packed, chunked):
    headers = [("Content-Encoding", coding)]
    if chunked:
        answer = respond_chunked(packed[:4], packed[4:], headers=headers)
    else:
        answer = respond(packed, headers=headers)
    srv = server(serve(answer))
    assert session.get(srv.url).content == b"hello"
    pieces = session.get(srv.url, stream=True).iter_content(2)
    assert b"".join(pieces) == b"hello"


# ---- streaming ---------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [None, 1000])
def test_chunks_are_passed_on_as_they_arrive(session, server, chunk_size):
    go = threading.Event()
    whole = respond_chunked(b"first", b"second")
    cut = whole.index(b"6\r\nsecond")
    srv = server([expect(), send(whole[:cut], go, whole[cut:])])
    with session.get(srv.url, stream=True) as response:
        pieces = response.iter_content(chunk_size)
        assert next(pieces) == b"first"  # before the second has been sent
        go.set()
        assert list(pieces) == [b"second"]


def test_lines_are_passed_on_as_they_arrive(session, server):
    go = threading.Event()
    whole = respond_chunked(b"one\n", b"two\n")
    cut = whole.index(b"4\r\ntwo")
    srv = server([expect(), send(whole[:cut], go, whole[cut:])])
    with session.get(srv.url, stream=True) as response:
        lines = response.iter_lines(chunk_size=1)
        assert next(lines) == b"one"
        go.set()
        assert list(lines) == [b"two"]


def test_compressed_chunks_are_passed_on_as_they_arrive(session, server):
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"first") + packer.flush(zlib.Z_SYNC_FLUSH)
    second = packer.compress(b"second") + packer.flush()
    go = threading.Event()
    headers = [("Content-Encoding", "gzip")]
    whole = respond_chunked(first, second, headers=headers)
    cut = len(respond_chunked(first, headers=headers)) - len(b"0\r\n\r\n")
    srv = server([expect(), send(whole[:cut], go, whole[cut:])])
    with session.get(srv.url, stream=True) as response:
        pieces = response.iter_content(1000)
        assert next(pieces) == b"first"
        go.set()
        assert b"".join(pieces) == b"second"


def test_pieces_of_a_known_length_are_full(session, nginx):
    with session.get(f"{nginx.http_url}/data", stream=True) as response:
        sizes = [len(piece) for piece in response.iter_content(300)]
    assert sizes == [300, 300, 300, 100]


def test_a_body_that_ends_with_the_connection(session, server):
    srv = server([expect(), send(b"HTTP/1.0 200 OK\r\n\r\nhello"), close()])
    assert session.get(srv.url).content == b"hello"


def test_a_big_body(session, nginx):
    url = f"{nginx.http_url}/big"
    assert session.get(url).content == BIG
    with session.get(url, stream=True) as response:
        digest = zlib.crc32(b"")
        for piece in response.iter_content(65536):
            digest = zlib.crc32(piece, digest)
    assert digest == zlib.crc32(BIG)


def test_a_body_is_read_once(session, nginx):
    response = session.get(f"{nginx.http_url}/data", stream=True)
    assert b"".join(response.iter_content(100)) == DATA
    with pytest.raises(requests.exceptions.StreamConsumedError):
        response.iter_content(100)


def test_raw_read_chunked(session, server):
    srv = server(serve(respond_chunked(b"ab", b"cd")))
    raw = session.get(srv.url, stream=True).raw
    assert b"".join(raw.read_chunked()) == b"abcd"


def test_raw_read_chunked_wants_chunks(session, nginx):
    raw = session.get(f"{nginx.http_url}/small", stream=True).raw
    with pytest.raises(urllib3.exceptions.ResponseNotChunked):
        list(raw.read_chunked())
    raw.close()


# ---- connections -------------------------------------------------------------


def test_a_hundred_requests_make_one_connection(session, server):
    srv = server(serve(lambda r: respond(r.target.encode())))
    for i in range(100):
        assert session.get(f"{srv.url}/{i}").content == b"/%d" % i
    assert len(srv.connections) == 1


def test_a_closed_response_frees_its_connection(session, server):
    srv = server(serve(respond(b"x" * 100_000)))
    response = session.get(srv.url, stream=True)
    response.raw.read(10)
    response.close()
    assert response.raw.closed
    response.close()  # again is fine
    assert session.get(srv.url).status_code == 200


def test_a_stale_connection_is_replaced(session, server):
    srv = server(
        [expect(), send(respond(b"1")), close()],
        serve(respond(b"2")),
    )
    assert session.get(srv.url).content == b"1"
    srv.connections[0].wait_ended()
    assert session.get(srv.url).content == b"2"



def test_connection_close_is_obeyed(session, server):
    once = [expect(), send(respond(b"x", headers={"Connection": "close"})), close()]
    srv = server(once, once)
    for _ in range(2):
        assert session.get(srv.url).content == b"x"
    assert len(srv.connections) == 2


def test_threads_share_a_session(session, nginx):
    wrong = []

    def work(number):
        for i in range(20):
            name = f"{number}-{i}"
            response = session.get(f"{nginx.http_url}/id", headers={"X-Id": name})
            if response.text != name:
                wrong.append((name, response.text))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_a_session_goes_on_after_close(session, nginx):
    url = f"{nginx.http_url}/small"
    assert session.get(url).content == SMALL
    session.close()
    assert session.get(url).content == SMALL


def test_a_body_outlives_close(session, server):
    go = threading.Event()
    srv = server([expect(), send(respond(b"abcdef")[:-3], go, b"def")])
    response = session.get(srv.url, stream=True)
    session.close()
    go.set()
    assert response.content == b"abcdef"


def test_it_is_an_adapter_of_requests():
    assert issubclass(HTTPAdapter, requests.adapters.HTTPAdapter)
