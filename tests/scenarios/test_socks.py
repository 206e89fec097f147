"""SOCKS5 and socks5h, byte by byte and with a real proxy (S129)."""

import socket

import pytest

import hpool
from tests.server.proxies import LOGIN, OK, PASSWORD
from tests.server.scripted import close, refused_port, start_tls, until_closed
from tests.tools import Recorder, gauges, proxy_error, until

GREETING = b"\x05\x01\x00"
YES = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def socks(seen, *then, login=None, replies=(YES,)):
    """A SOCKS5 proxy that is itself what it leads to."""

    def script(connection):
        number = len(seen)
        seen.append([connection.read(2)])
        seen[number][0] += connection.read(seen[number][0][1])
        connection.send(b"\x05" + (b"\x02" if login else b"\x00"))
        if login:
            head = connection.read(2)
            user = connection.read(head[1])
            size = connection.read(1)
            seen[number].append(head + user + size + connection.read(size[0]))
            connection.send(b"\x01" + login)
        request = connection.read(4)
        if request[3] == 3:
            request += connection.read(1)
            request += connection.read(request[-1] + 2)
        else:
            request += connection.read({1: 4, 4: 16}[request[3]] + 2)
        seen[number].append(request)
        connection.send(replies[min(number, len(replies) - 1)])
        for step in then or OK:
            step(connection)

    return script


def test_s129_the_bytes_of_socks5h(server, new_client, ca):
    seen = []
    s = server(
        socks(seen),
        socks(seen, start_tls(ca.server_context("a.example.test")), *OK),
    )
    client = new_client(proxy=f"socks5h://127.0.0.1:{s.port}", verify=ca.pem)
    response = client.get("http://a.example.test/x")
    assert response.content == b"ok"
    assert response.connection.proxy == f"socks5h://127.0.0.1:{s.port}"
    assert client.get("http://a.example.test/x").connection.reused
    assert client.get("https://a.example.test/y").content == b"ok"
    name = b"\x0ea.example.test"
    assert seen == [
        [GREETING, b"\x05\x01\x00\x03" + name + b"\x00\x50"],
        [GREETING, b"\x05\x01\x00\x03" + name + b"\x01\xbb"],
    ]
    assert [r.line for r in s.requests] == [
        "GET /x HTTP/1.1",
        "GET /x HTTP/1.1",
        "GET /y HTTP/1.1",
    ]


@pytest.mark.parametrize("good", [True, False])
def test_s129_with_a_password(server, new_client, good):
    seen = []
    s = server(socks(seen, login=b"\x00") if good else refuses_login(seen))
    client = new_client(proxy=f"socks5h://{LOGIN}@127.0.0.1:{s.port}")
    if good:
        assert client.get("http://10.1.2.3/").content == b"ok"
        assert seen[0][2] == b"\x05\x01\x00\x01\x0a\x01\x02\x03\x00\x50"
    else:
        error = proxy_error(client, "http://10.1.2.3/")
        assert str(error) == (
            f"the proxy socks5h://127.0.0.1:{s.port} does not accept the user and "
            "password given"
        )
    assert seen[0][0] == b"\x05\x02\x00\x02"
    login = b"\x01\x02me" + bytes([len(PASSWORD)]) + PASSWORD.encode()
    assert seen[0][1] == login


def refuses_login(seen):
    def script(connection):
        seen.append([connection.read(4)])
        connection.send(b"\x05\x02")
        seen[0].append(connection.read(5 + len(PASSWORD)))
        connection.send(b"\x01\x01")
        connection.close()

    return script


def test_s129_socks5_looks_names_up_here(server, new_client):
    """As curl and requests have it; with the overrides of this client."""
    seen = []
    s = server(socks(seen))
    client = new_client(
        proxy=f"socks5://127.0.0.1:{s.port}", resolve={"a.test": ["192.0.2.7"]}
    )
    assert client.get("http://a.test/").content == b"ok"
    assert client.get("http://[2001:db8::1]:81/").content == b"ok"
    v6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    assert [request for _, request in seen] == [
        b"\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50",
        b"\x05\x01\x00\x04" + v6 + b"\x00\x51",
    ]


def test_s129_socks5_tries_the_next_address(server, new_client):
    """Families take turns; each has a connection to the proxy of its own, and
    what a request waits for is one connect timeout for all."""
    seen = []
    no = b"\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00"
    s = server(
        socks(seen, until_closed(), replies=[no]),
        socks(seen, until_closed(), replies=[no, no]),
        socks(seen),
    )
    client = new_client(
        proxy=f"socks5://127.0.0.1:{s.port}",
        resolve={"a.test": ["192.0.2.1", "192.0.2.2", "2001:db8::1"]},
    )
    recorder = Recorder()
    assert client.get("http://a.test/", trace=recorder).content == b"ok"
    assert [request[3:5] for _, request in seen] == [
        b"\x01\xc0",
        b"\x04\x20",
        b"\x01\xc0",
    ]
    done = [info["error"] for info in recorder.all("proxy_connect_done")]
    assert "(192.0.2.1): host unreachable (4)" in done[0]
    assert "(2001:db8::1): host unreachable (4)" in done[1] and done[2] is None
    assert gauges(client) == (1, 0, 0, 0, 0)


REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "it does not know CONNECT",
    8: "it does not know this kind of address",
    9: "for a reason that has no name",
}


@pytest.mark.parametrize("code", REPLIES)
def test_s129_refusals_have_words(server, new_client, code):
    no = bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0])
    s = server(socks([], close(), replies=[no]))
    error = proxy_error(
        new_client(proxy=f"socks5h://127.0.0.1:{s.port}"), "http://a.test/x"
    )
    assert str(error) == (
        f"the proxy socks5h://127.0.0.1:{s.port} refused a tunnel to a.test:80: "
        f"{REPLIES[code]} ({code})"
    )
    assert (error.status, error.phase) == (None, "proxy")


def test_s129_real_refusals(new_client, microsocks, microsocks_login):
    client = new_client(proxy=f"socks5h://{microsocks.address}")
    with refused_port() as port:
        error = proxy_error(client, f"http://127.0.0.1:{port}/")
        assert "connection refused (5)" in str(error)
    error = proxy_error(
        client, "http://localhost/", proxy=f"socks5h://{microsocks_login.address}"
    )
    assert "wants credentials: put them into its URL" in str(error)
    error = proxy_error(
        client, "http://localhost/", proxy=f"socks5h://a:b@{microsocks_login.address}"
    )
    assert "does not accept the user and password given" in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_socks_proxy_taken_for_an_http_one(new_client, microsocks, scheme):
    """The text names it, also where it answers in the server's place."""
    url = f"http://{microsocks.address}"
    error = hpool.ProxyError if scheme == "https" else hpool.ProtocolError
    with pytest.raises(error) as caught:
        new_client(proxy=url).get(f"{scheme}://a.test/")
    text = str(caught.value)
    assert f"the proxy {url}" in text and "it does not start with HTTP/" in text


def test_s129_a_name_for_the_proxy_to_look_up(nginx, new_client, microsocks):
    client = new_client(proxy=f"socks5h://{microsocks.address}")
    assert client.get(f"http://localhost:{nginx.port}/small").status == 200
    until(lambda: f"connected to localhost:{nginx.port}" in microsocks.log())
