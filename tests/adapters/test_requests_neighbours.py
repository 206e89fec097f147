"""What people use with requests, with hpool below it."""

import io
import threading
import zlib
from contextlib import nullcontext
from email.utils import formatdate

import cachecontrol
import pytest
import requests
import requests_mock
import responses
from requests_toolbelt import (
    MultipartEncoder,
    MultipartEncoderMonitor,
    StreamingIterator,
)
from requests_toolbelt.adapters import host_header_ssl, socket_options, source
from requests_toolbelt.downloadutils.stream import stream_response_to_file
from requests_toolbelt.utils import dump

import hpool
from hpool.adapters.requests import HTTPAdapter, patch
from tests.adapters.conftest import mount
from tests.server.nginx import BIG, DATA
from tests.server.scripted import (
    ScriptedServer,
    expect,
    respond,
    respond_chunked,
    send,
    serve,
    until_closed,
)
from tests.tools import Call

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


# ---- requests-toolbelt -------------------------------------------------------


def encoder():
    file = io.BytesIO(b"x" * 300_000)
    return MultipartEncoder({"a": "1", "f": ("n.bin", file)}, boundary="edge")


def monitored(read=lambda monitor: None):
    return MultipartEncoderMonitor(encoder(), read)


BODIES = {
    "encoder": encoder,
    "monitor": monitored,
    "iterator": lambda: StreamingIterator(5, iter([b"ab", b"cde"])),
}


def content_type(body):
    return getattr(body, "content_type", "text/plain")


def received(post, server, body):
    """The request that comes of post(url, data=body, headers=...)."""
    srv = server(serve(respond(b"done")))
    headers = {"Content-Type": content_type(body)}
    assert post(srv.url, data=body, headers=headers).content == b"done"
    (request,) = srv.requests
    return request


def is_right(request, kind):
    body = b"abcde" if kind == "iterator" else encoder().to_string()
    assert request.body == body
    assert request.get("Content-Length") == str(len(body))
    assert request.get("Content-Type") == content_type(BODIES[kind]())


@pytest.mark.parametrize("kind", BODIES)
def test_bodies_of_toolbelt(session, server, kind):
    is_right(received(session.post, server, BODIES[kind]()), kind)


@pytest.mark.parametrize("kind", BODIES)
def test_bodies_of_toolbelt_by_hpool_itself(server, kind):
    with hpool.Session() as session:
        for post in (hpool.post, session.post):
            is_right(received(post, server, BODIES[kind]()), kind)


@pytest.mark.parametrize("own", [False, True], ids=["requests", "hpool"])
def test_an_upload_is_watched(hpool_session, server, own):
    seen = []
    body = monitored(lambda monitor: seen.append(monitor.bytes_read))
    received(hpool.post if own else hpool_session().post, server, body)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] == body.len


class Zeros:
    """A file of so many bytes that has none of them."""

    def __init__(self, size):
        self.len = size

    def read(self, n=-1):
        n = self.len if n < 0 else min(n, self.len)
        self.len -= n
        return bytes(n)


@pytest.mark.parametrize("own", [False, True], ids=["requests", "hpool"])
def test_an_encoder_is_read_no_faster_than_it_is_sent(hpool_session, server, own):
    go = threading.Event()

    def receive(connection):
        connection.expect(body=False)
        connection.wait(go)
        connection.read_body()
        connection.send(respond(b"done"))

    srv = server(receive)
    big = MultipartEncoder({"f": ("n.bin", Zeros(50_000_000))})
    body = MultipartEncoderMonitor(big)
    call = Call(hpool.post if own else hpool_session().post, srv.url, data=body)
    srv.wait_requests(1)
    assert body.bytes_read < 25_000_000
    go.set()
    assert call.result(30).content == b"done"
    assert body.bytes_read == body.len == len(srv.requests[0].body)


def test_an_encoder_is_not_sent_twice(server):
    """It cannot go back, so the redirect itself is the answer."""
    moved = respond(b"", 307, {"Location": "/b"})
    srv = server([expect(), send(moved), until_closed()])
    with hpool.Client() as client:
        response = client.post(srv.url, data=encoder())
        assert (response.status_code, response.history) == (307, [])


def test_dump(session, server):
    srv = server(serve(respond(b"hello", headers={"X-A": "1"})))
    text = dump.dump_all(session.post(f"{srv.url}/x", data=b"abc")).decode()
    assert "< POST /x HTTP/1.1\r\n" in text
    assert "> HTTP/1.1 200 OK\r\n" in text
    assert "> X-A: 1\r\n" in text
    assert text.endswith("hello")


def test_download_to_a_file(session, nginx):
    file = io.BytesIO()
    response = session.get(f"{nginx.http_url}/big", stream=True)
    stream_response_to_file(response, path=file)
    assert zlib.crc32(file.getvalue()) == zlib.crc32(BIG)


def test_adapters_of_toolbelt(server, ca):
    srv = server(serve(respond(b"hello")))
    with patch():
        for adapter in (
            source.SourceAddressAdapter("127.0.0.9"),
            socket_options.TCPKeepAliveAdapter(),
        ):
            with requests.Session() as session:
                mount(session, adapter)
                assert hasattr(session.get(srv.url).raw, "hpool")
        assert srv.connections[0].peer[0] == "127.0.0.9"
        with (
            ScriptedServer(serve(respond(b"x")), tls=ca.server_context("a.test")) as tls,
            requests.Session() as session,
        ):
            mount(session, host_header_ssl.HostHeaderSSLAdapter())
            session.trust_env = False
            host = {"Host": "a.test"}
            assert session.get(tls.url, headers=host, verify=ca.pem).ok
            with pytest.raises(requests.exceptions.SSLError):
                session.get(tls.url, headers={"Host": "b.test"}, verify=ca.pem)


# ---- mocks -------------------------------------------------------------------


def test_requests_mock_answers_instead(session):
    with requests_mock.Mocker() as mock:
        mock.get("http://nowhere.invalid/x", text="mocked")
        assert session.get("http://nowhere.invalid/x").text == "mocked"


def test_responses_answers_instead_when_it_comes_last(nginx):
    """It patches HTTPAdapter.send, as patch() does; an adapter that is mounted
    is out of its reach."""
    url = f"{nginx.http_url}/small"
    with patch():
        with responses.RequestsMock() as mock:
            mock.get(url, body="mocked")
            assert requests.get(url).text == "mocked"
        assert hasattr(requests.get(url).raw, "hpool")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(url, body="mocked")
        with requests.Session() as session:
            mount(session, HTTPAdapter())
            assert session.get(url).text != "mocked"


def test_responses_lets_requests_through_to_what_it_found(nginx):
    """That is what HTTPAdapter.send was when responses was imported."""
    url = f"{nginx.http_url}/data"
    with patch(), responses.RequestsMock() as mock:
        mock.add_passthru(nginx.http_url)
        assert requests.get(url).content == DATA


# ---- caches ------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("way", ["own", "patch"])
def test_cachecontrol(server, way, framing):
    make = respond if framing == "length" else respond_chunked
    headers = [("Cache-Control", "max-age=60"), ("Date", formatdate(usegmt=True))]
    srv = server(serve(make(b"hello", headers=headers)))
    with patch() if way == "patch" else nullcontext():
        with requests.Session() as plain, cachecontrol.CacheControl(plain) as session:
            first, second = (session.get(srv.url) for _ in range(2))
    assert first.content == second.content == b"hello"
    assert (first.from_cache, second.from_cache) == (False, True)
    assert len(srv.requests) == 1


def test_what_a_cache_looks_into(session, nginx):
    """requests-cache reads these of raw."""
    raw = session.get(f"{nginx.http_url}/data", stream=True).raw
    assert raw._request_url == "/data"
    assert raw.length_remaining == len(DATA)
    raw.read(10)
    assert raw._fp_bytes_read == 10
    assert raw.length_remaining == len(DATA) - 10
    assert raw._fp is not None
    assert raw._body is None
    raw.close()
