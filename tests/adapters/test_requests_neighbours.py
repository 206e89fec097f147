"""What people use with requests, with hpool below it."""

import io
import zlib
from contextlib import nullcontext
from email.utils import formatdate

import cachecontrol
import pytest
import requests
import requests_mock
import responses
from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor
from requests_toolbelt.adapters import host_header_ssl, socket_options, source
from requests_toolbelt.downloadutils.stream import stream_response_to_file
from requests_toolbelt.utils import dump

from hpool.adapters.requests import HTTPAdapter, patch
from tests.adapters.conftest import mount
from tests.server.nginx import BIG, DATA
from tests.server.scripted import ScriptedServer, respond, respond_chunked, serve

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


# ---- requests-toolbelt -------------------------------------------------------


def encoder():
    file = io.BytesIO(b"x" * 300_000)
    return MultipartEncoder({"a": "1", "f": ("n.bin", file)}, boundary="edge")


def test_multipart_encoder(session, server):
    srv = server(serve(respond(b"done")))
    body = encoder()
    length = body.len
    read = []
    body = MultipartEncoderMonitor(body, lambda monitor: read.append(monitor.bytes_read))
    headers = {"Content-Type": body.content_type}
    assert session.post(srv.url, data=body, headers=headers).content == b"done"
    (request,) = srv.requests
    assert request.get("Content-Length") == str(length)
    assert request.body == encoder().to_string()
    assert read[-1] == length


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
