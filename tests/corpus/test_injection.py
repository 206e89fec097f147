"""What a caller hands in must never reach the wire raw: it is refused before a
byte is sent, or it is encoded. The rows on multipart and credentials stand with
those."""

import re

import pytest

import hpool
from tests.corpus.rows import rows
from tests.server.scripted import respond

SAFE_TARGET = re.compile(r"/[!-\"$-~]*")  # visible ASCII without "#"
FRAMING = "framing header set by the caller: "
# What an error says of the host is its pool key.
CANONICAL = re.compile(r"\|http\|([a-z0-9._-]+):([0-9]+)")


def on(where):
    return rows("injection.jsonl", lambda row: row["where"].startswith(where))


@pytest.fixture
def client():
    with hpool.Client(timeout=5) as made:
        yield made


@pytest.fixture
def wire(server):
    return server(serve_all)


def serve_all(connection):
    connection.serve(respond(b"hi"))


def refused(server, call):
    """Whether the call raises; then nothing may have been sent."""
    try:
        with call() as response:
            response.read()
    except ValueError as error:
        assert isinstance(error, hpool.RequestException)
        assert server.connections == []
        return True
    return False


@pytest.mark.parametrize("row", on("method"))
def test_method(client, wire, row):
    assert refused(wire, lambda: client.request(row["value"], f"{wire.url}/"))


@pytest.mark.parametrize("row", on("target"))
def test_target(client, wire, row):
    if refused(wire, lambda: client.get(wire.url + row["value"])):
        assert row["expect"] != "ok"
        return
    method, target, version = wire.requests[0].line.split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    assert SAFE_TARGET.fullmatch(target)
    assert wire.requests[0].get("X") is None
    if row["value"] == "":
        assert target == "/"


def is_canonical(host):
    """A name or a dotted quad; nothing that a resolver may read in another way
    than a filter that only looks at the name."""
    last = host.rpartition(".")[2]
    quad = re.fullmatch(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}", host)
    return bool(quad) or (".." not in host and not last[:1].isdigit())


@pytest.mark.parametrize("row", on("url"))
def test_url(client, row):
    try:
        client.get(row["value"]).close()
    except hpool.InvalidURL:
        return
    except hpool.RequestException as error:
        # It went on to look for the host, which does not exist. Then there is
        # one reading of it, and that is the key.
        key = CANONICAL.fullmatch(error.host)
        assert key and is_canonical(key[1]) and int(key[2]) < 65536, error.host
        return
    pytest.fail("an answer from a host that does not exist")


@pytest.mark.parametrize("row", on("header value"))
def test_header_value(client, wire, row):
    headers = {"X-Test": row["value"]}
    if refused(wire, lambda: client.get(f"{wire.url}/", headers=headers)):
        return
    assert row["expect"] != "error"
    assert row["value"].isprintable()
    lines = wire.requests[0].head.split(b"\r\n")
    assert b"X-Test: " + row["value"].encode() in lines


@pytest.mark.parametrize("row", on("header name"))
def test_header_name(client, wire, row):
    headers = {row["value"]: "y"}
    assert refused(wire, lambda: client.get(f"{wire.url}/", headers=headers))


@pytest.mark.parametrize("row", on(FRAMING))
def test_framing_header(client, wire, row):
    name, _, twice = row["where"].removeprefix(FRAMING).partition(" ")
    values = row["value"].split(" and ") if twice else [row["value"]]
    headers = [(name, value) for value in values]
    call = {"data": b"12345", "headers": headers}
    assert refused(wire, lambda: client.post(f"{wire.url}/", **call))


@pytest.mark.parametrize("row", on("content-type"))
def test_content_type(client, wire, row):
    call = {"data": b"12345", "headers": {"Content-Type": row["value"]}}
    assert refused(wire, lambda: client.post(f"{wire.url}/", **call))


@pytest.mark.parametrize("row", on("proxy url"))
def test_proxy_url(row):
    try:
        proxy = hpool.Proxy(row["value"])
    except hpool.InvalidProxyURL:
        return
    assert re.fullmatch(r"https?://[a-z0-9._-]+:[0-9]+", proxy.url)
