"""resolve=, local_address=, uds=, family= and socket_options=: what they take,
what they say about the rest, how they are read back, and that they travel."""

import pathlib
import pickle
import socket

import pytest

import hpool
from tests.server.scripted import respond, serve

OK = [serve(respond(b"ok"))]


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        # resolve
        ({"resolve": ["a:80"]}, TypeError, "resolve takes"),
        ({"resolve": {7: ["10.0.0.1"]}}, TypeError, r"resolve\[7\].*not int"),
        ({"resolve": {"": ["10.0.0.1"]}}, ValueError, r"resolve\[''\]"),
        ({"resolve": {"a:": ["10.0.0.1"]}}, ValueError, r"resolve\['a:'\]"),
        ({"resolve": {":80": ["10.0.0.1"]}}, ValueError, r"resolve\[':80'\]"),
        ({"resolve": {"a:0": ["10.0.0.1"]}}, ValueError, r"resolve\['a:0'\].*1 to"),
        ({"resolve": {"a:65536": ["10.0.0.1"]}}, ValueError, r"resolve\['a:65536'\]"),
        ({"resolve": {"a:x": ["10.0.0.1"]}}, ValueError, r"resolve\['a:x'\]"),
        (
            {"resolve": {"::1": ["10.0.0.1"]}},
            ValueError,
            r"resolve\['::1'\]: .*\"\[ipv6\]:port\".*for this address \"\[::1\]\"$",
        ),
        ({"resolve": {"[a]:80": ["10.0.0.1"]}}, ValueError, r"\"\[ipv6\]:port\""),
        ({"resolve": {"[1.2.3.4]:80": ["10.0.0.1"]}}, ValueError, r"1.2.3.4\]:80'\]: a"),
        ({"resolve": {"[::1%]:80": ["10.0.0.1"]}}, ValueError, r"\"\[ipv6\]:port\""),
        ({"resolve": {"[::1%25]:80": ["10.0.0.1"]}}, ValueError, r"\"\[ipv6\]:port\""),
        ({"resolve": {"[::1]:80:90": ["10.0.0.1"]}}, ValueError, r"\"\[ipv6\]:port\""),
        ({"resolve": {"[]:80": ["10.0.0.1"]}}, ValueError, r"\"\[ipv6\]:port\""),
        (
            {"resolve": {"[::1]:1": ["::1"], "[0::1]:1": ["::1"]}},
            ValueError,
            r"'\[0::1\]:1'\] is there twice, in other letters",
        ),
        ({"resolve": {"[::1": ["10.0.0.1"]}}, ValueError, r"resolve\['\[::1'\]"),
        ({"resolve": {"[::1]80": ["10.0.0.1"]}}, ValueError, r"resolve\['\[::1\]80'\]"),
        ({"resolve": {"http://a:80": ["10.0.0.1"]}}, ValueError, "resolve.*http://a:80"),
        ({"resolve": {"*.a:80": ["10.0.0.1"]}}, ValueError, r"resolve\['\*.a:80'\]"),
        ({"resolve": {"a b:80": ["10.0.0.1"]}}, ValueError, r"resolve\['a b:80'\]"),
        ({"resolve": {"\u2028:80": ["10.0.0.1"]}}, ValueError, "resolve"),
        ({"resolve": {"a:80": []}}, ValueError, r"resolve\['a:80'\] has no address"),
        ({"resolve": {"a:80": None}}, TypeError, r"resolve\['a:80'\].*NoneType"),
        ({"resolve": {"a:80": b"10.0.0.1"}}, TypeError, r"resolve\['a:80'\].*bytes"),
        ({"resolve": {"a:80": [7]}}, TypeError, r"resolve\['a:80'\].*int"),
        ({"resolve": {"a:80": ["b.test"]}}, ValueError, r"'a:80'\].*not 'b.test'"),
        ({"resolve": {"a:80": ["10.0.0.1:x"]}}, ValueError, r"not '10.0.0.1:x'"),
        ({"resolve": {"a:80": ["10.0.0"]}}, ValueError, "not '10.0.0'"),
        ({"resolve": {"a:80": [""]}}, ValueError, "not ''"),
        ({"resolve": {"a:80": ["10.0.0.1%lo"]}}, ValueError, "not '10.0.0.1%lo'"),
        ({"resolve": {"a:80": ["::1\0"]}}, ValueError, "resolve"),
        ({"resolve": {"a:80": ["fe80::1%nosuchif"]}}, ValueError, "fe80::1%nosuchif"),
        ({"resolve": {"a:1": ["::1"], "A:1": ["::1"]}}, ValueError, r"'A:1'\].*twice"),
        # local_address
        ({"local_address": 7}, TypeError, "local_address"),
        ({"local_address": "localhost"}, ValueError, "local_address.*'localhost'"),
        ({"local_address": ("127.0.0.1",)}, ValueError, "local_address"),
        ({"local_address": ("127.0.0.1", "80")}, TypeError, "local_address"),
        ({"local_address": ("127.0.0.1", -1)}, ValueError, "local_address"),
        ({"local_address": ("127.0.0.1", 65536)}, ValueError, "local_address"),
        ({"local_address": "fe80::1%nosuchif"}, ValueError, "nosuchif"),
        # uds
        ({"uds": 7}, TypeError, "uds"),
        ({"uds": ""}, ValueError, "uds"),
        ({"uds": "/a\0b"}, ValueError, "uds"),
        ({"uds": "/" + "a" * 200}, ValueError, "uds.*bytes"),
        # family
        ({"family": 4.0}, TypeError, "family"),
        ({"family": True}, TypeError, "family"),
        ({"family": "v4"}, ValueError, "family.*'v4'"),
        ({"family": socket.AF_UNIX}, ValueError, "family"),
        # socket_options
        ({"socket_options": 7}, TypeError, "socket_options"),
        ({"socket_options": "abc"}, TypeError, "socket_options"),
        ({"socket_options": [(1, 2)]}, TypeError, r"socket_options\[0\]"),
        ({"socket_options": [(1, 2, 3), 4]}, TypeError, r"socket_options\[1\]"),
        ({"socket_options": [(1, 2, None)]}, TypeError, r"socket_options\[0\]"),
        ({"socket_options": [(1, 2, "3")]}, TypeError, r"socket_options\[0\]"),
        ({"socket_options": [(1, 2, 1 << 31)]}, ValueError, "does not fit"),
        ({"socket_options": [(1, 2, b"")]}, ValueError, r"socket_options\[0\]"),
        ({"socket_options": [(1, 2, 3, 4)]}, ValueError, r"socket_options\[0\]"),
        ({"socket_options": [(1, 2, None, 0)]}, ValueError, r"socket_options\[0\]"),
        # what contradicts itself
        ({"uds": "/s", "family": "ipv4"}, ValueError, "family has no effect.*uds"),
        ({"uds": "/s", "local_address": "::1"}, ValueError, "local_address.*uds"),
        ({"uds": "/s", "resolve": {"a": "::1"}}, ValueError, "resolve.*uds"),
        ({"family": "ipv6", "local_address": "127.0.0.1"}, ValueError, "local_address"),
        ({"family": "ipv6", "resolve": {"a": "10.0.0.1"}}, ValueError, r"\['a'\]"),
    ],
    ids=str,
)
def test_what_makes_no_sense(settings, kind, words):
    """A TypeError or ValueError that names the argument and the entry."""
    with pytest.raises(kind, match=words):
        hpool.Client(**settings)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (
            {"resolve": {"A.test:443": ["10.0.0.1", "[::1]:8443"], "b": "10.0.0.2:1"}},
            {"A.test:443": ("10.0.0.1", "[::1]:8443"), "b": ("10.0.0.2:1",)},
        ),
        ({"resolve": {"[::1]:80": ["::1"]}}, {"[::1]:80": ("::1",)}),
        ({"resolve": {}}, None),
        ({"local_address": "127.0.0.2"}, "127.0.0.2"),
        ({"local_address": ["::1", 0]}, ("::1", 0)),
        ({"uds": "/run/s"}, "/run/s"),
        ({"uds": pathlib.Path("/run/s")}, "/run/s"),
        ({"uds": b"/run/s"}, b"/run/s"),
        ({"family": "ipv4"}, socket.AF_INET),
        ({"family": "IPv6"}, socket.AF_INET6),
        ({"family": 0}, None),
        ({"socket_options": []}, None),
        (
            {"socket_options": [[1, 8, 4096], (1, 13, b"\1\0\0\0"), (1, 2, None, 4)]},
            ((1, 8, 4096), (1, 13, b"\1\0\0\0"), (1, 2, None, 4)),
        ),
    ],
    ids=str,
)
def test_what_is_read_back(settings, shown):
    """The client shows what it was given, after pickling too."""
    (name,) = settings
    with hpool.Client(**settings) as client:
        with pickle.loads(pickle.dumps(client)) as again:
            for one in (client, again):
                assert getattr(one, name) == shown
                with pytest.raises(AttributeError):
                    setattr(one, name, None)


def test_nothing_given():
    """Without options, or with None, everything reads None."""
    names = ("resolve", "local_address", "uds", "family", "socket_options")
    for settings in ({}, dict.fromkeys(names)):
        with hpool.Client(**settings) as client:
            assert [getattr(client, name) for name in names] == [None] * 5


def test_a_later_change_has_no_effect(server):
    """The client keeps copies of its own, for its requests and for pickling."""
    s = server(OK)
    addresses = ["127.0.0.1"]
    resolve = {"a.test": addresses}
    with hpool.Client(resolve=resolve, timeout=10) as client:
        addresses.append("127.0.0.9")
        resolve.clear()
        client.resolve.clear()
        with pickle.loads(pickle.dumps(client)) as again:
            for one in (client, again):
                assert one.resolve == {"a.test": ("127.0.0.1",)}
                assert one.get(f"http://a.test:{s.port}/").read() == b"ok"


def test_one_shot_iterables(server):
    """Addresses and options may come out of an iterator."""
    s = server(OK)
    resolve = {"a.test": iter(["127.0.0.1"])}
    options = iter([(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)])
    with hpool.Client(resolve=resolve, socket_options=options, timeout=10) as client:
        assert client.get(f"http://a.test:{s.port}/").read() == b"ok"


@pytest.mark.parametrize(
    "key, host",
    [
        ("[2001:db8::1]:80", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("[2001:DB8:0::0001]:80", "[2001:db8::1]"),
        ("[2001:db8::1]:80", "[2001:Db8:0:0::1]"),
        ("[2001:db8::7f00:1]:80", "[2001:db8::127.0.0.1]"),
        ("[fe80::1%Eth0]:80", "[FE80:0::1%25Eth0]"),
        ("[fe80::1%25Eth0]:80", "[fe80::1%25Eth0]"),
        ("192.0.2.1:80", "192.0.2.1"),
    ],
)
def test_literals_as_keys(server, new_client, key, host):
    """A literal stands for what it is said to stand for, however it is spelled."""
    s = server(OK)
    client = new_client(resolve={key: f"127.0.0.1:{s.port}"})
    assert client.get(f"http://{host}/").read() == b"ok"


def test_the_zone_of_a_key_counts(server, new_client):
    client = new_client(resolve={"[fe80::1%eth0]": f"127.0.0.1:{server(OK).port}"})
    with pytest.raises(hpool.ConnectError):
        client.get("http://[fe80::1%25eth1]/")


def test_a_session_takes_them_and_configure_too(server):
    """Session and configure() take what Client takes."""
    s = server(OK)
    url, resolve = f"http://a.test:{s.port}/", {"a.test": "127.0.0.1"}
    with hpool.Session(resolve=resolve, timeout=10) as session:
        assert session.get(url).content == b"ok"
    try:
        hpool.configure(resolve=resolve)
        assert hpool.get(url, timeout=10).content == b"ok"
    finally:
        hpool.configure()
