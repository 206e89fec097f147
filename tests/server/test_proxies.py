"""The proxies' fixtures, asked by http.client and by hand."""

import http.client
import socket

import pytest

from tests.server.nginx import SMALL
from tests.server.proxies import LOGIN as ENCODED
from tests.server.proxies import PASSWORD, USER


def ask(port, target, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", target, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def basic():
    from base64 import b64encode

    return {"Proxy-Authorization": b"Basic " + b64encode(f"{USER}:{PASSWORD}".encode())}


def test_tinyproxy(tinyproxy, nginx):
    assert ask(tinyproxy.port, nginx.http_url + "/small") == (200, SMALL)
    assert "/small" in tinyproxy.log()


def test_squid(squid, nginx):
    assert ask(squid.port, nginx.http_url + "/small", basic()) == (200, SMALL)
    assert ask(squid.port, nginx.http_url + "/small")[0] == 407
    assert ask(squid.port, "http://forbidden.test/", basic())[0] == 403
    assert ENCODED in squid.login_url and ENCODED in squid.tls_url


def test_squid_over_tls(squid, nginx, ca):
    connection = http.client.HTTPSConnection(
        "localhost", squid.tls_port, timeout=10, context=ca.client_context()
    )
    connection.request("GET", nginx.http_url + "/small", headers=basic())
    assert connection.getresponse().read() == SMALL
    connection.close()


@pytest.mark.parametrize("login", [False, True])
def test_microsocks(microsocks, microsocks_login, login):
    proxy = microsocks_login if login else microsocks
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as sock:
        sock.sendall(b"\x05\x01\x00")
        assert sock.recv(2) == (b"\x05\xff" if login else b"\x05\x00")
