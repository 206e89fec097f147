"""botocore, and so boto3, on hpool's pools: what its S3 client says on urllib3's
connections, it says on hpool's."""

import io
import ssl
import threading
from types import SimpleNamespace

import botocore.awsrequest
import botocore.endpoint
import botocore.exceptions as errors
import botocore.session
import pytest
from botocore.config import Config

from hpool.adapters.urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    respond_chunked,
    send,
    serve,
    silent_port,
    until_closed,
)

STORED = respond(b"", headers={"ETag": '"x"'})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
KEY = {"Bucket": "b", "Key": "k"}


@pytest.fixture(scope="module")
def session():
    return botocore.session.Session()


@pytest.fixture(params=["own", "hpool"])
def new_s3(request, session, monkeypatch, tmp_path):
    """new_s3(url, setting=...): an S3 client; retries do not wait."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    if request.param == "hpool":
        module = botocore.awsrequest
        monkeypatch.setattr(module, "AWSHTTPConnectionPool", HTTPConnectionPool)
        monkeypatch.setattr(module, "AWSHTTPSConnectionPool", HTTPSConnectionPool)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=id))
    made = []

    def make(url, verify=None, **settings):
        config = {
            "connect_timeout": 5,
            "read_timeout": 5,
            "retries": {"total_max_attempts": 1},
            "s3": {"addressing_style": "path"},
        }
        client = session.create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="me",
            aws_secret_access_key="secret",
            verify=verify,
            config=Config(**{**config, **settings}),
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


# ---- uploads -----------------------------------------------------------------


class Pipe(io.RawIOBase):
    """Can be read once, and knows no length."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(buffer)


def continuing(connection):
    """Takes every upload, when it is asked first."""
    while (request := connection.request(body=False, patient=True)) is not None:
        if request.get("Expect") == "100-continue":
            connection.send(CONTINUE)
        connection.read_body()
        connection.send(STORED)


@pytest.mark.parametrize("size", [3, 300_000])
@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_put_object(new_s3, server, kind, size):
    s = server(continuing)
    s3 = new_s3(s.url)
    data = bytes(i % 251 for i in range(size))
    for _ in range(2):
        body = data if kind == "bytes" else io.BytesIO(data)
        assert s3.put_object(Bucket="b", Key="a b/ü", Body=body)["ETag"] == '"x"'
    for request in s.requests:
        assert request.line == "PUT /b/a%20b/%C3%BC HTTP/1.1"
        assert request.get("Expect") == "100-continue"
        assert request.get("Content-Length") == str(size)
        assert request.body == data
    assert len(s.connections) == 1


def test_put_object_with_a_trailer(new_s3, server, ca):
    """Over TLS, botocore sends the checksum behind the body, and reads a stream
    once."""
    s = server(continuing, tls=ca.server_context("127.0.0.1"))
    s3 = new_s3(s.url, verify=ca.pem)
    s3.put_object(**KEY, Body=Pipe(b"a" * 100_000), ContentLength=100_000)
    (request,) = s.requests
    assert request.get("Transfer-Encoding") == "chunked"
    assert request.get("Content-Encoding") == "aws-chunked"
    size, _, rest = request.body.partition(b"\r\n")
    assert int(size, 16) == 100_000
    data, _, trailer = rest.partition(b"\r\n0\r\n")
    assert data == b"a" * 100_000
    assert trailer.startswith(b"x-amz-checksum-crc32:")


def test_a_refusal_before_the_body(new_s3, server):
    """Nothing of the body is sent when the answer to Expect is final."""
    left = []
    refusal = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"

    def refuse(connection):
        connection.expect(body=False)
        connection.send(respond(refusal, 403, {"Connection": "close"}))
        while connection._receive():
            pass
        left.append(bytes(connection._buffer))
        connection._buffer.clear()

    s = server(refuse)
    with pytest.raises(errors.ClientError, match="AccessDenied"):
        new_s3(s.url).put_object(**KEY, Body=io.BytesIO(bytes(300_000)))
    s.connections[0].wait_ended()
    assert left == [b""]


def test_a_server_that_does_not_know_expect(new_s3, server):
    """The body goes out unasked, after a second."""
    s = server([expect(), send(STORED)])
    new_s3(s.url).put_object(**KEY, Body=b"abc")
    assert s.requests[0].body == b"abc"


# ---- downloads ---------------------------------------------------------------


def test_get_object_is_streamed(new_s3, server):
    """What has arrived can be read before the rest is sent."""
    go = threading.Event()
    whole = respond(b"a" * 1000 + b"b" * 1000)
    s = server([expect(), send(whole[:-1000], go, whole[-1000:]), serve(whole)])
    s3 = new_s3(s.url)
    body = s3.get_object(**KEY)["Body"]
    assert body.read(1000) == b"a" * 1000
    go.set()
    assert b"".join(body.iter_chunks(300)) == b"b" * 1000
    assert s3.get_object(**KEY)["Body"].read() == whole[-2000:]
    assert len(s.connections) == 1


def test_get_object_in_chunks(new_s3, server):
    s = server([serve(respond_chunked(b"a\nb", b"c\n", b"d"))])
    s3 = new_s3(s.url)
    assert s3.get_object(**KEY)["Body"].read() == b"a\nbc\nd"
    assert list(s3.get_object(**KEY)["Body"].iter_lines()) == [b"a", b"bc", b"d"]
    assert len(s.connections) == 1


def test_it_is_hpool_indeed(new_s3, server, request):
    s = server([serve(respond(b"ab"))])
    with new_s3(s.url).get_object(**KEY)["Body"] as raw:
        assert hasattr(raw, "hpool") is ("[hpool]" in request.node.name)


def test_a_download_that_is_given_up(new_s3, server):
    big = respond(bytes(50_000_000))
    s = server([expect(), send(big), until_closed()], [serve(STORED)])
    s3 = new_s3(s.url)
    body = s3.get_object(**KEY)["Body"]
    assert body.read(10) == bytes(10)
    body.close()
    s3.head_object(**KEY)
    assert len(s.connections) == 2
    s.connections[0].wait_closed()


def test_head_object(new_s3, server):
    s = server([serve(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")])
    s3 = new_s3(s.url)
    for _ in range(2):
        assert s3.head_object(**KEY)["ContentLength"] == 9
    assert s.requests[0].line == "HEAD /b/k HTTP/1.1"
    assert len(s.connections) == 1


# ---- retries and connections -------------------------------------------------


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_503_is_tried_again(new_s3, server, mode):
    busy = respond(b"<Error><Code>SlowDown</Code></Error>", 503)

    def twice_busy(connection):
        for answer in (busy, busy, STORED):
            connection.expect(body=False)
            connection.send(CONTINUE)
            connection.read_body()
            connection.send(answer)

    s = server(twice_busy)
    s3 = new_s3(s.url, retries={"total_max_attempts": 3, "mode": mode})
    stored = s3.put_object(**KEY, Body=io.BytesIO(b"abc"))
    assert stored["ResponseMetadata"]["RetryAttempts"] == 2
    assert [request.body for request in s.requests] == [b"abc"] * 3
    assert len(s.connections) == 1


def test_a_server_that_closes_between_requests(new_s3, server):
    s = server([expect(), send(STORED), close()], [serve(STORED)])
    s3 = new_s3(s.url, retries={"total_max_attempts": 2, "mode": "standard"})
    for _ in range(2):
        assert s3.head_object(**KEY)["ETag"] == '"x"'
    assert len(s.connections) == 2


def test_a_server_that_closes_instead_of_answering(new_s3, server):
    """An upload is not sent again by hpool, and is by botocore."""
    s = server(
        [expect(), send(STORED), expect(body=False), close()],
        [continuing],
    )
    s3 = new_s3(s.url, retries={"total_max_attempts": 2, "mode": "standard"})
    s3.head_object(**KEY)
    stored = s3.put_object(**KEY, Body=io.BytesIO(b"abc"))
    assert stored["ResponseMetadata"]["RetryAttempts"] == 1
    assert s.requests[-1].body == b"abc"


# ---- errors ------------------------------------------------------------------


def test_refused(new_s3):
    with refused_port() as port, pytest.raises(errors.EndpointConnectionError):
        new_s3(f"http://127.0.0.1:{port}").head_object(**KEY)


def test_connect_timeout(new_s3):
    with silent_port() as port, pytest.raises(errors.ConnectTimeoutError):
        new_s3(f"http://127.0.0.1:{port}", connect_timeout=0.05).head_object(**KEY)


def test_read_timeout(new_s3, server):
    s = server([expect(), until_closed()])
    with pytest.raises(errors.ReadTimeoutError):
        new_s3(s.url, read_timeout=0.05).head_object(**KEY)


def test_read_timeout_of_a_body(new_s3, server):
    s = server([expect(), send(respond(b"abc")[:-1]), until_closed()])
    with pytest.raises(errors.ReadTimeoutError):
        new_s3(s.url, read_timeout=0.05).get_object(**KEY)["Body"].read()


def test_no_answer(new_s3, server):
    s = server([expect(), close()])
    with pytest.raises(errors.ConnectionClosedError):
        new_s3(s.url).head_object(**KEY)


def test_half_a_body(new_s3, server):
    s = server([expect(), send(respond(b"abc")[:-1]), close()])
    with pytest.raises(errors.ResponseStreamingError):
        new_s3(s.url).get_object(**KEY)["Body"].read()


# ---- TLS and proxies ---------------------------------------------------------


def test_tls(new_s3, server, ca):
    s = server(serve(STORED), tls=ca.server_context("127.0.0.1"))
    assert new_s3(s.url, verify=ca.pem).head_object(**KEY)["ETag"] == '"x"'
    with pytest.raises(errors.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        new_s3(s.url).head_object(**KEY)


def test_tls_that_is_not_verified(new_s3, server, ca):
    s = server(serve(STORED), tls=ca.server_context("127.0.0.1"))
    s3 = new_s3(s.url, verify=False)
    with pytest.warns(Warning, match="127.0.0.1"):
        assert s3.head_object(**KEY)["ETag"] == '"x"'


def test_a_client_certificate(new_s3, server, ca):
    context = ca.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.pem)
    s = server(serve(STORED), tls=context)
    s3 = new_s3(s.url, verify=ca.pem, client_cert=ca.files("me"))
    assert s3.head_object(**KEY)["ETag"] == '"x"'


def test_a_proxy_for_http(new_s3, server):
    s = server(serve(STORED))
    proxies = {"http": s.url.replace("://", "://me:pw@")}
    new_s3("http://a.test", proxies=proxies).head_object(**KEY)
    (request,) = s.requests
    assert request.line == "HEAD http://a.test/b/k HTTP/1.1"
    assert request.get("Proxy-Authorization") == "Basic bWU6cHc="


def test_a_proxy_that_refuses(new_s3, server):
    s = server([expect(), send(respond(b"", 403)), close()])
    s3 = new_s3("https://a.test", proxies={"https": s.url})
    with pytest.raises(errors.ProxyConnectionError):
        s3.head_object(**KEY)
    assert s.requests[0].line.startswith("CONNECT a.test:443 ")
