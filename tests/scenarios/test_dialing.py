"""Where connections go and how they are made: overrides of look-ups, several
addresses (RFC 8305), Unix sockets, local addresses, families, socket options."""

import os
import socket
import struct
from contextlib import ExitStack

import pytest

import hpool
from hpool import _core
from tests.server.scripted import (
    ScriptedServer,
    expect,
    refused_port,
    respond,
    send,
    serve,
    silent_port,
    until_closed,
)
from tests.tools import Clogged, advance, gauges, sockets_to

OK = [serve(respond(b"ok"))]
CLOSES = [expect(), send(respond(b"ok", headers={"Connection": "close"}))]
NOBODY = [until_closed()]


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def at(port, host="127.0.0.1"):
    """An address of a resolve= entry."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def get_remote(client, url):
    """Makes the request; whom it was sent to."""
    response = client.get(url)
    assert response.read() == b"ok"
    return response.connection.remote


# ---- resolve= ----------------------------------------------------------------


def test_an_override_needs_no_look_up(server, new_client):
    """A name that exists nowhere is dialled at the address given; the Host header and
    the key stay the URL's."""
    s = server(OK)
    client = new_client(resolve={f"no.such.test:{s.port}": ["127.0.0.1"]})
    before = _core._lookups()
    assert get_remote(client, f"http://no.such.test:{s.port}/") == at(s.port)
    assert s.requests[0].get("Host") == f"no.such.test:{s.port}"
    assert [key for key in client.stats().hosts] == [f"|http|no.such.test:{s.port}"]
    assert client.stats().total.lookups == 0
    assert _core._lookups() == before


def test_an_override_may_name_a_port(server, new_client):
    """An address with a port is dialled at that port."""
    s = server(OK)
    client = new_client(resolve={"a.test:80": [at(s.port)]})
    assert get_remote(client, "http://a.test/") == at(s.port)
    assert s.requests[0].get("Host") == "a.test"


@pytest.mark.parametrize(
    ("key", "url"), [("A.Test:80", "http://a.tEST/"), ("a.test", "HTTP://A.TEST:80/")]
)
def test_names_match_in_any_case(server, new_client, key, url):
    """Upper and lower case are the same, in the override and in the URL."""
    s = server(OK)
    assert get_remote(new_client(resolve={key: [at(s.port)]}), url) == at(s.port)


def test_a_port_beats_every_port(server, new_client):
    """"host:port" comes before "host", which is for all other ports."""
    one, other = server(OK), server(OK)
    client = new_client(resolve={"a.test": at(other.port), "a.test:81": at(one.port)})
    assert get_remote(client, "http://a.test:81/") == at(one.port)
    assert get_remote(client, "http://a.test:82/") == at(other.port)
    assert get_remote(client, "http://a.test/") == at(other.port)


def test_other_hosts_are_looked_up(server, new_client):
    """An override is for its own name alone."""
    s = server(OK)
    client = new_client(resolve={"a.test": at(s.port)})
    with pytest.raises(hpool.NameResolutionError):
        client.get("http://b.invalid/")
    assert get_remote(client, s.url) == at(s.port)


def test_a_literal_can_be_overridden(server, new_client):
    """A URL with an IP address is a host like any other."""
    s = server(OK)
    resolve = {"192.0.2.1:80": at(s.port), "[2001:db8::1]:80": at(s.port)}
    client = new_client(resolve=resolve)
    assert get_remote(client, "http://192.0.2.1/") == at(s.port)
    assert get_remote(client, "http://[2001:db8::1]/") == at(s.port)


def test_s116_a_cyrillic_host(server, new_client, ca):
    """A Cyrillic host is punycode in Host, key, look-up and SNI."""
    asked = []
    context = ca.server_context("xn--e1afmkfd.test")
    context.sni_callback = lambda sock, name, context: asked.append(name)
    s = server(OK, tls=context)
    host = "\u041f\u0440\u0438\u043c\u0435\u0440.test"
    client = new_client(verify=ca.pem, resolve={host.lower(): at(s.port)})
    assert get_remote(client, f"https://{host}/") == at(s.port)
    assert asked == ["xn--e1afmkfd.test"]
    assert s.requests[0].get("Host") == "xn--e1afmkfd.test"
    (key,) = client.stats().hosts
    assert "|xn--e1afmkfd.test:443|" in key


# ---- several addresses (RFC 8305) --------------------------------------------


def test_the_second_address_answers(server, new_client):
    """A dead first address costs nothing but an attempt."""
    s = server(OK)
    with refused_port() as dead:
        client = new_client(resolve={"a.test": [at(dead), at(s.port)]})
        assert get_remote(client, "http://a.test/") == at(s.port)
    assert client.stats().total.dials == 1


def test_the_first_address_is_preferred(server, new_client):
    """While the first answers the others are not tried."""
    first, second = server(OK), server(NOBODY)
    client = new_client(resolve={"a.test": [at(first.port), at(second.port)]})
    assert get_remote(client, "http://a.test/") == at(first.port)
    assert second.connections == []


def test_many_addresses(server, new_client):
    """Of forty addresses the last one answers."""
    s = server(OK)
    with refused_port() as dead:
        addresses = [at(dead, f"127.0.0.{i}") for i in range(1, 40)]
        client = new_client(resolve={"a.test": [*addresses, at(s.port)]})
        assert get_remote(client, "http://a.test/") == at(s.port)


def test_a_silent_address_is_overtaken(server, new_client):
    """The first address says nothing: after a while the next is tried as well, and
    wins; nothing is left of the first attempt."""
    s = server(OK)
    with silent_port() as silent:
        client = new_client(resolve={"a.test": [at(silent), at(s.port)]})
        assert get_remote(client, "http://a.test/") == at(s.port)
        assert sockets_to(silent) == 1  # silent_port's own
    assert client.stats().total.dials == 1


def test_the_ninth_address_answers(server, new_client):
    """Eight addresses say nothing. The ninth is tried when the first has had two
    seconds, and each one in its turn, 250 ms apart."""
    s, started, ended = server(OK), [], []

    def clock(event, info):
        if event == "connect_start":
            started.append(info["address"])
            advance(0.25)
        elif event == "connect_done":
            ended.append((info["address"], info["error"]))

    with ExitStack() as stack:
        silent = [stack.enter_context(silent_port()) for _ in range(8)]
        addresses = [at(port) for port in [*silent, s.port]]
        client = new_client(resolve={"a.test": addresses}, trace=clock)
        assert get_remote(client, "http://a.test/") == at(s.port)
        assert [sockets_to(port) for port in silent] == [1] * 8  # silent_port's own
    assert started == addresses
    made_room = (addresses[0], "no answer for 2.0 s")
    others = [(address, "abandoned") for address in addresses[1:8]]
    assert ended == [made_room, (addresses[8], None), *others]
    assert client.stats().total.dials == 1


def test_a_failure_starts_the_next_at_once(server, new_client):
    """Silent, dead, alive: one after the other, in that order."""
    s = server(OK)
    with silent_port() as silent, refused_port() as dead:
        client = new_client(resolve={"a.test": [at(silent), at(dead), at(s.port)]})
        assert get_remote(client, "http://a.test/") == at(s.port)


def test_the_stagger_is_seen_in_the_error(new_client):
    """All that was tried is named, with what became of it."""
    with silent_port() as silent, refused_port() as dead:
        client = new_client(resolve={"a.test": [at(silent), at(dead)]})
        with pytest.raises(hpool.ConnectTimeout) as caught:
            client.get("http://a.test/", timeout=hpool.Timeout(connect=0.4))
    text = str(caught.value)
    assert "connect to a.test:80 timed out after 0.4 s" in text
    assert f"tried {at(dead)}: Connection refused; {at(silent)})" in text


def test_all_addresses_fail(new_client):
    """A ConnectError names each address with its reason, and the errno."""
    with refused_port() as dead, refused_port("127.0.0.2") as other:
        addresses = [at(dead), at(other, "127.0.0.2")]
        client = new_client(resolve={"a.test": addresses})
        with pytest.raises(hpool.ConnectError) as caught:
            client.get("http://a.test/")
    for address in addresses:
        assert f"{address}: Connection refused" in str(caught.value)
    assert isinstance(caught.value, ConnectionError)
    assert gauges(client) == (0, 0, 0, 0, 0)


@needs_ipv6
def test_ipv6_is_dead_and_ipv4_lives(server, new_client):
    """The usual trouble: an IPv6 address first that does not answer."""
    s = server(OK)
    with refused_port("::1") as dead, silent_port() as silent:
        addresses = [at(dead, "::1"), at(silent), at(s.port)]
        client = new_client(resolve={"a.test": addresses})
        assert get_remote(client, "http://a.test/") == at(s.port)


@needs_ipv6
def test_families_take_turns(server, new_client):
    """Two IPv6 addresses before the IPv4 one: it is the second to be tried, so that
    the second IPv6 address sees nothing."""
    s = server(OK)
    spared = server(NOBODY, host="::1")
    with refused_port("::1") as dead:
        addresses = [at(dead, "::1"), at(spared.port, "::1"), at(s.port)]
        client = new_client(resolve={"a.test": addresses})
        assert get_remote(client, "http://a.test/") == at(s.port)
    assert spared.connections == []


# ---- addresses that keep failing ---------------------------------------------


def test_an_address_that_keeps_failing_is_tried_last(server, new_client):
    """After two failures it stands behind the others, even when it is back; with
    nobody else there it is tried, and a success puts it to its place again."""
    s = server(CLOSES)
    with refused_port() as dead:
        client = new_client(resolve={"a.test": [at(dead), at(s.port)]})
        for _ in range(2):
            assert get_remote(client, "http://a.test/") == at(s.port)
    back = server(CLOSES, port=dead)
    assert get_remote(client, "http://a.test/") == at(s.port)
    assert back.connections == []
    alone = new_client(resolve={"b.test": at(dead)})
    assert get_remote(alone, "http://b.test/") == at(dead)
    assert get_remote(client, "http://a.test/") == at(dead)


def test_so_is_one_that_keeps_being_overtaken(server, new_client):
    """Twice the first address said nothing: from then on the second is first."""
    s = server(CLOSES)
    with Clogged() as slow:
        slow.clog()
        client = new_client(resolve={"a.test": [at(slow.port), at(s.port)]})
        for _ in range(2):
            assert get_remote(client, "http://a.test/") == at(s.port)
        slow.release()
        assert get_remote(client, "http://a.test/") == at(s.port)


# ---- family= -----------------------------------------------------------------


@needs_ipv6
@pytest.mark.parametrize(
    ("family", "wanted"),
    [
        ("ipv4", "127.0.0.1"),
        (socket.AF_INET6, "::1"),
    ],
)
def test_a_family(server, new_client, family, wanted):
    """Addresses of the other family are left out."""
    scripts = {host: server(OK, host=host) for host in ("127.0.0.1", "::1")}
    addresses = [at(s.port, host) for host, s in scripts.items()]
    s = scripts[wanted]
    for order in (addresses, addresses[::-1]):
        client = new_client(family=family, resolve={"a.test": order})
        assert get_remote(client, "http://a.test/") == at(s.port, wanted)


def test_a_family_of_a_name(server, new_client):
    """So are those that a look-up would give."""
    s = server(OK)
    client = new_client(family="ipv4", dns_ttl=0)
    assert get_remote(client, f"http://localhost:{s.port}/") == at(s.port)


def test_a_literal_of_the_other_family(new_client):
    """A URL whose address is of the other family: nothing is tried."""
    with pytest.raises(hpool.ConnectError, match="127.0.0.1 is not an IPv6 address"):
        new_client(family="ipv6").get("http://127.0.0.1:1/")


# ---- local_address= ----------------------------------------------------------


def test_a_local_address(server, new_client):
    """The server sees the connection come from there."""
    s = server(OK)
    client = new_client(local_address="127.0.0.2")
    response = client.get(s.url)
    assert s.connections[0].peer[0] == "127.0.0.2"
    assert response.connection.local == f"127.0.0.2:{s.connections[0].port}"


def test_a_local_port(server, new_client):
    """("ip", port) binds to that port too."""
    s = server(OK)
    with refused_port("127.0.0.2") as free:
        pass
    client = new_client(local_address=("127.0.0.2", free))
    client.get(s.url).read()
    assert s.connections[0].peer == ("127.0.0.2", free)


def test_a_local_address_of_another_machine(server, new_client):
    """It cannot be bound to: a ConnectError that says so."""
    s = server(NOBODY)
    with pytest.raises(hpool.ConnectError, match="local address 192.0.2.1: Cannot"):
        new_client(local_address="192.0.2.1").get(s.url)
    assert s.connections == []


@needs_ipv6
def test_a_local_address_decides_the_family(server, new_client):
    """An address of the other family is passed over."""
    s = server(OK)
    other = server(NOBODY, host="::1")
    resolve = {"a.test": [at(other.port, "::1"), at(s.port)]}
    client = new_client(local_address="127.0.0.2", resolve=resolve)
    assert get_remote(client, "http://a.test/") == at(s.port)
    assert other.connections == []


# ---- socket_options= ---------------------------------------------------------

UPGRADE_TO = {"Connection": "upgrade", "Upgrade": "x"}
UPGRADE = respond(b"", 101, UPGRADE_TO)


def socket_of(client, url):
    """A copy of the descriptor of a connection that this client makes."""
    with client.get(url, headers=UPGRADE_TO).upgraded() as connection:
        return socket.socket(fileno=os.dup(connection.fileno()))


def test_socket_options(server, new_client):
    """They are set on the socket: an int, bytes, and over hpool's own."""
    s = server([expect(), send(UPGRADE), until_closed()])
    linger = struct.pack("ii", 1, 7)
    options = [
        (socket.SOL_SOCKET, socket.SO_RCVBUF, 32768),
        (socket.SOL_SOCKET, socket.SO_LINGER, linger),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
    ]
    with socket_of(new_client(), s.url) as sock:
        usual = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    with socket_of(new_client(socket_options=options), s.url) as sock:
        size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert size in (32768, 2 * 32768) and size != usual  # Linux doubles it
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == linger
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


def test_a_socket_option_that_fails(server, new_client):
    """A ConnectError names the option and the system's reason."""
    s = server(NOBODY)
    for option, name in [
        ((socket.SOL_SOCKET, socket.SO_RCVBUF, b"\1"), "SOL_SOCKET, SO_RCVBUF"),
        ((socket.IPPROTO_TCP, 12345, 1), "IPPROTO_TCP, 12345"),
        ((12345, 67, 1), "12345, 67"),
    ]:
        client = new_client(socket_options=[option])
        with pytest.raises(hpool.ConnectError) as caught:
            client.get(s.url)
        assert f"{at(s.port)}: socket option ({name}): " in str(caught.value)
        assert caught.value.errno
        assert gauges(client) == (0, 0, 0, 0, 0)
    assert s.connections == []


# ---- uds= --------------------------------------------------------------------


def test_a_unix_socket(new_client, tmp_path):
    """All requests of the client go to the socket; Host is the URL's, and each host
    keeps its own connection."""
    path = tmp_path / "s"
    with ScriptedServer(OK, uds=path) as s:
        client = new_client(uds=path)
        for url in ("http://a.test/x", "http://a.test/y", "http://b.test:8080/z"):
            response = client.get(url)
            assert response.read() == b"ok"
            assert response.connection.remote == f"unix:{path}"
        assert [r.get("Host") for r in s.requests] == ["a.test"] * 2 + ["b.test:8080"]
        assert [r.target for r in s.requests] == ["/x", "/y", "/z"]
        assert len(s.connections) == 2
        assert client.stats().total.lookups == 0


def test_tls_over_a_unix_socket(new_client, ca, tmp_path):
    """The certificate is held against the URL's host."""
    path = tmp_path / "s"
    with ScriptedServer(OK, uds=path, tls=ca.server_context("a.test")) as s:
        client = new_client(uds=str(path), verify=ca.pem)
        response = client.get("https://a.test/")
        assert response.read() == b"ok"
        assert response.connection.tls_version
        with pytest.raises(hpool.SSLError, match="b.test"):
            client.get("https://b.test/")
        assert len(s.requests) == 1


def test_a_unix_socket_that_is_not_there(new_client, tmp_path):
    """A ConnectError names the path."""
    path = tmp_path / "s"
    with pytest.raises(hpool.ConnectError) as caught:
        new_client(uds=path).get("http://a.test/")
    text = str(caught.value)
    assert text == f"cannot connect to unix:{path}: No such file or directory"
    assert isinstance(caught.value, ConnectionError)


def test_a_unix_socket_with_a_full_queue(new_client, tmp_path):
    """Nobody accepts and the queue is full: the connect timeout ends it."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(
        socket.AF_UNIX
    ) as filler:
        listener.bind(path)
        listener.listen(0)
        filler.connect(path)
        with pytest.raises(hpool.ConnectTimeout, match=f"unix:{path}"):
            client = new_client(uds=path)
            client.get("http://a.test/", timeout=hpool.Timeout(connect=0.1))
