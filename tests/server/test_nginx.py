"""The nginx fixture, asked by http.client."""

import gzip
import http.client

import pytest

from tests.server.nginx import BIG, DATA, SMALL


@pytest.fixture(params=["http", "https"])
def connection(request, nginx, ca):
    if request.param == "http":
        made = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10)
    else:
        made = http.client.HTTPSConnection(
            "127.0.0.1", nginx.tls_port, timeout=10, context=ca.client_context()
        )
    yield made
    made.close()


def ask(connection, target, **headers):
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    return response, response.read()


def test_files_over_one_kept_connection(connection):
    assert (len(SMALL), len(DATA)) == (13, 1000) and len(BIG) >= 10_000_000
    for target, want in (("/small", SMALL), ("/data", DATA), ("/big", BIG)):
        response, got = ask(connection, target)
        assert got == want
        assert response.getheader("Content-Type") == "text/plain"
        assert connection.sock is not None


def test_gzip(connection):
    response, got = ask(connection, "/gzip", **{"Accept-Encoding": "gzip"})
    assert response.getheader("Content-Encoding") == "gzip"
    assert gzip.decompress(got) == DATA
    assert ask(connection, "/gzip")[1] == DATA
