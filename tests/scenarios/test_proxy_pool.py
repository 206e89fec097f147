"""Proxies and the pool: who shares a connection with whom, what limits count, what
becomes of tunnels that nobody waits for."""

import json
import socket
import threading
from pathlib import Path

import pytest

import hpool
from tests.server.proxies import BASIC, LOGIN, OK, OPEN, tunnel
from tests.server.scripted import (
    close,
    expect,
    respond,
    send,
    start_tls,
    tell,
    until_closed,
    wait,
)
from tests.tools import Call, closes, gauges, until_idle

ROWS = Path(__file__).parent.parent / "corpus" / "poolkey.jsonl"


def test_the_rows_about_proxies_are_all_here():
    rows = map(json.loads, ROWS.read_text().splitlines())
    about = {r["id"]: r["may_share"] for r in rows if "proxy" in r["difference"]}
    assert about == dict.fromkeys(("pk-18", "pk-19", "pk-21", "pk-22"), False)


@pytest.fixture
def tunnels(server, ca):
    """Two proxies that open tunnels to themselves."""
    context = ca.server_context("*.example.test")
    return server(tunnel(context)), server(tunnel(context))


def connections(client, url, *proxies):
    """The connections of one request through each of them, twice around."""
    used = [client.get(url, proxy=proxy).connection.id for proxy in proxies * 2]
    assert used[: len(proxies)] == used[len(proxies) :]  # each is kept
    return set(used)


def test_pk_18_another_proxy(tunnels, new_client, ca):
    a, b = tunnels
    client = new_client(verify=ca.pem)
    assert len(connections(client, "https://a.example.test/", a.url, b.url)) == 2


def test_pk_18_another_proxy_that_forwards(server, new_client):
    a, b = server(OK), server(OK)
    assert len(connections(new_client(), "http://a.test/", a.url, b.url)) == 2


def test_pk_19_another_user(tunnels, new_client, ca):
    """CVE-2026-3784: the tunnel was opened in the name of the first."""
    one, two, other = (
        tunnels[0].url.replace("//", f"//{login}@") for login in ("u:1", "v:1", "u:2")
    )
    client = new_client(verify=ca.pem)
    url = "https://a.example.test/"
    assert len(connections(client, url, one, two, other, tunnels[0].url)) == 4
    assert "u:1" not in str(client.stats()) and "secret" not in str(client.stats())


def test_pk_21_other_headers(tunnels, new_client, ca):
    proxies = [
        hpool.Proxy(tunnels[0].url, headers=headers)
        for headers in ({"X": "1"}, {"X": "2"}, {"Y": "1"}, {})
    ]
    client = new_client(verify=ca.pem)
    assert len(connections(client, "https://a.example.test/", *proxies)) == 4


def test_pk_22_another_host(tunnels, new_client, ca):
    client = new_client(proxy=tunnels[0].url, verify=ca.pem)
    ids = [client.get(f"https://{h}.example.test/").connection.id for h in "xyx"]
    assert ids[0] == ids[2] != ids[1]


def test_schemes_and_directness_do_not_mix(server, nginx, new_client, microsocks):
    proxies = (
        None,
        f"socks5://{microsocks.address}",
        f"socks5h://{microsocks.address}",
    )
    url = nginx.http_url + "/small"
    assert len(connections(new_client(), url, *proxies)) == 3


def test_one_limit_for_all_that_is_forwarded(server, new_client):
    """Go contract 1.3: http through a proxy is one key, and shows as one."""
    s = server(OK)
    client = new_client(proxy=s.url, limits=hpool.Limits(max_conns_per_host=1))
    with client.get("http://a.test/", stream=True):
        pass
    with client.stream("GET", "http://b.test/"):
        pass
    (key,) = client.stats().hosts
    assert key.endswith("|http|") and key.startswith(s.url + "#")
    assert "http via http://127." in str(client.stats())
    until_idle(client, 1)
    assert client.close_idle(f"127.0.0.1:{s.port}") == 1


def test_a_leak_through_a_proxy_names_its_own_host(server, new_client):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    s = server([expect(), send(head), until_closed()])
    client = new_client(proxy=s.url)
    with client.get("http://a.test:8080/x?y=1"):
        (leak,) = client.leaks(older_than=0)
    assert (leak.url, leak.host) == ("http://a.test:8080/x", "a.test:8080")


def test_a_full_proxy_is_named(server, new_client):
    go = threading.Event()
    s = server(
        [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), wait(go)]
    )
    client = new_client(proxy=s.url, limits=hpool.Limits(max_conns_per_host=1))
    with client.get("http://a.test/"):
        with pytest.raises(hpool.PoolTimeout) as caught:
            client.get("http://b.test/", timeout=hpool.Timeout(pool=0.01))
        go.set()
    assert f"a connection to 127.0.0.1:{s.port}: 1 of 1 in use" in str(caught.value)


def test_a_proxy_that_closes_what_is_idle(server, new_client, ca):
    """F-56: noticed before the next request, which gets a new one."""
    bye = [expect(), send(respond(b"ok")), close()]
    s = server(bye, OK)
    client = new_client(proxy=s.url)
    assert client.get("http://a.test/").content == b"ok"
    s.connections[0].wait_ended()
    assert client.get("http://b.test/").content == b"ok"
    assert len(s.connections) == 2


def test_a_proxy_that_dies_in_the_tunnel(server, new_client, ca):
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"
    context = ca.server_context("a.example.test")
    s = server(tunnel(context, expect(), send(half), lambda c: c.close(notify=False)))
    client = new_client(proxy=s.url, verify=ca.pem)
    with pytest.raises(hpool.IncompleteRead):
        client.get("https://a.example.test/").content
    assert gauges(client) == (0, 0, 0, 0, 0)


def test_a_tunnel_that_is_not_waited_for(server, new_client, ca):
    """Late binding: the request is served by a connection that was handed over,
    and its dial goes on to its end in the keeper's hands, CONNECT and TLS
    included."""
    asked, go, more = threading.Event(), threading.Event(), threading.Event()
    context = ca.server_context("a.example.test")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    s = server(
        tunnel(context, expect(), send(head, b"o", more, b"k"), *OK),
        [expect(), tell(asked), wait(go), send(OPEN), start_tls(context), *OK],
    )
    client = new_client(proxy=s.url, verify=ca.pem)
    first = client.get("https://a.example.test/")
    second = Call(client.get, "https://a.example.test/")
    assert asked.wait(10)
    more.set()
    assert first.content == b"ok"
    assert second.result().connection.id == first.connection.id
    go.set()
    until_idle(client, 2)
    assert len(s.connections) == 2 and closes(client) == {}


def test_warm_opens_the_tunnel(server, new_client, ca):
    s = server(tunnel(ca.server_context("a.example.test")))
    client = new_client(proxy=s.url, verify=ca.pem)
    assert client.warm("https://a.example.test/", 1) == 1
    assert s.requests[0].method == "CONNECT"
    assert client.get("https://a.example.test/").connection.was_idle


def test_connect_by_hand(server, new_client):
    """A tunnel for something that is not HTTP, handed out."""
    s = server([expect(), send(OPEN), lambda c: c.send(c.read(4).upper())])
    client = new_client(proxy=s.url.replace("//", f"//{LOGIN}@"))
    response = client.request("CONNECT", "http://mail.test:25")
    assert s.requests[0].target == "mail.test:25"
    assert s.requests[0].get("Proxy-Authorization") == BASIC
    with response.upgraded() as tunnelled:
        tunnelled.sendall(b"ehlo")
        assert tunnelled.recv(4) == b"EHLO"


def test_dial_is_asked_for_the_proxy(server, new_client, ca):
    s = server(tunnel(ca.server_context("a.example.test")))
    asked = []

    def dial(host, port, timeout):
        asked.append((host, port))
        return socket.create_connection(("127.0.0.1", s.port), timeout)

    client = new_client(proxy="http://proxy.test:3128", dial=dial, verify=ca.pem)
    assert client.get("https://a.example.test/").content == b"ok"
    assert asked == [("proxy.test", 3128)]


def test_overrides_are_for_the_proxy(server, new_client):
    s = server(OK)
    client = new_client(
        proxy="http://proxy.test:3128",
        resolve={"proxy.test:3128": [f"127.0.0.1:{s.port}"]},
        local_address="127.0.0.9",
    )
    assert client.get("http://a.test/").content == b"ok"
    assert s.connections[0].peer[0] == "127.0.0.9"
