"""NO_PROXY: which hosts an entry means, and what is this machine."""

import pytest

from hpool.policy.no_proxy import NoProxy, is_loopback


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (
            "example.com",
            "example.com a.example.com A.B.example.com.",
            "xexample.com com",
        ),
        (".example.com", "a.example.com", "example.com"),
        ("*.example.com", "a.example.com", "example.com"),
        ("example.com:8080", "example.com:8080 a.example.com:8080", "example.com:80"),
        (" a.test ,, b.test\tc.test", "a.test b.test c.test", "d.test"),
        ("EXAMPLE.com.", "example.com", "example.org"),
        ("10.0.0.0/8", "10.1.2.3 10.255.255.255:99", "11.0.0.1 a10.0.0.1"),
        ("10.0.0.0/8:80", "10.1.2.3:80", "10.1.2.3:81"),
        ("192.0.2.1", "192.0.2.1 192.0.2.1:8080", "192.0.2.10 x.192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1:80", "192.0.2.1:81"),
        ("0.0.0.0/0", "1.2.3.4", "[::1] a.test"),
        ("192.0.2.1/32", "192.0.2.1", "192.0.2.0"),
        ("2001:db8::/32", "[2001:db8:ffff::1]", "[2001:db9::1]"),
        ("2001:db8::1", "[2001:db8::1] [2001:db8::1]:99", "[2001:db8::2]"),
        ("[2001:db8::1]", "[2001:db8::1]", "[2001:db8::2]"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80", "[2001:db8::1]:81"),
        ("fe80::/10", "[fe80::1%eth0]", "[fec0::1]"),
        ("10.0.0.0/8", "[::ffff:10.1.2.3]", "[::ffff:11.0.0.1]"),
        ("::ffff:10.0.0.0/104", "10.1.2.3 [::ffff:a01:203]", "11.0.0.1"),
        ("::ffff:0:0/95", "", "10.0.0.1"),
        ("bücher.test", "xn--bcher-kva.test a.xn--bcher-kva.test", "bcher.test"),
        (".Bücher.test:80", "a.xn--bcher-kva.test:80", "xn--bcher-kva.test:80"),
        ("é..test", "", "a.test xn--9ca..test"),
        ("*", "a.test 10.0.0.1 [::1]", ""),
        ("a.test,*", "b.test", ""),
        # Malformed ones, and what only looks like one.
        ("10.0.0.0/33", "", "10.0.0.1"),
        ("10.0.0.0/x", "", "10.0.0.1"),
        ("10.0.0.0/-1", "", "10.0.0.1"),
        ("example.com:http", "", "example.com"),
        ("*example.com", "", "example.com a.example.com xexample.com"),
        ("ex*mple.com", "", "example.com"),
        ("http://example.com", "", "example.com"),
        ("10.", "", "10.0.0.1"),
        (".", "", "a.test"),
        (",, ,", "", "a.test"),
        ("0.0.1", "", "10.0.0.1"),
    ],
)
def test_no_proxy(text, inside, outside):
    rule = NoProxy(text)
    for expected, hosts in ((True, inside), (False, outside)):
        for host in hosts.split():
            name, colon, port = host.rpartition(":")
            if not colon or port.endswith("]"):
                name, port = host, "443"
            origin = name.strip("[]").lower(), int(port)
            assert (origin in rule) is expected, host


def test_loopback():
    inside = "localhost localhost. 127.0.0.1 127.255.0.1 ::1 ::ffff:127.0.0.1"
    outside = "local localhost.test 128.0.0.1 ::2 ::ffff:128.0.0.1 xlocalhost"
    assert all(map(is_loopback, inside.split()))
    assert not any(map(is_loopback, outside.split()))
