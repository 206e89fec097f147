"""https: trust, names, versions, identities, and what the errors say."""

import datetime
import hashlib
import os
import pickle
import re
import shutil
import ssl
import subprocess
import warnings
from pathlib import Path

import pytest
import trustme

import hpool
from tests.server.authority import Authority
from tests.server.nginx import BIG, SMALL
from tests.server.scripted import close, expect, respond, send, serve
from tests.tools import gauges

OK = [serve(respond(b"ok"))]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """The machine's own trust settings play no part."""
    for name in (
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "SSLKEYLOGFILE",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def secure(server, ca):
    """secure(*names) starts an https server with a certificate for these names."""
    return lambda *names, script=OK: server(script, tls=ca.server_context(*names))


def fingerprint_of(s):
    der = ssl.PEM_cert_to_DER_cert(
        ssl.get_server_certificate(("127.0.0.1", s.port), timeout=10)
    )
    return hashlib.sha256(der).hexdigest()


# ---- trust -------------------------------------------------------------------


def test_an_unknown_authority(secure, new_client):
    """By default an unknown authority is refused; the text says what failed and how
    to trust it."""
    s = secure()
    with pytest.raises(hpool.SSLError) as caught:
        new_client().get(s.url)
    text = str(caught.value)
    assert "certificate verify failed for 127.0.0.1" in text
    assert "verify='/path/to/ca.pem'" in text
    assert caught.value.phase == "tls"
    assert isinstance(caught.value, ConnectionError)
    s.connections[0].wait_ended()
    assert s.requests == []


def test_nginx(nginx, ca, new_client):
    """The real thing: verify="ca.pem", small and large bodies, one connection."""
    client = new_client(verify=ca.pem)
    assert client.get(f"{nginx.https_url}/small").read() == SMALL
    response = client.get(f"{nginx.https_url}/big")
    assert response.read() == BIG
    assert response.connection.reused
    assert response.connection.tls_version in ("TLSv1.2", "TLSv1.3")
    assert response.connection.cipher
    assert client.stats().total.handshakes == 1


@pytest.mark.skipif(not shutil.which("openssl"), reason="hashes with openssl")
def test_a_directory_of_authorities(secure, ca, new_client, tmp_path):
    """verify= takes a directory whose files are named by the hash of their
    subject."""
    done = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", ca.pem],
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.copy(ca.pem, tmp_path / f"{done.stdout.strip()}.0")
    client = new_client(verify=str(tmp_path))
    assert client.get(secure().url).read() == b"ok"


def test_an_empty_directory(secure, new_client, tmp_path):
    """A directory without the authority does not trust it."""
    with pytest.raises(hpool.SSLError):
        new_client(verify=str(tmp_path)).get(secure().url)


def test_authorities_as_bytes(secure, ca, new_client):
    """verify= takes the PEM itself."""
    with open(ca.pem, "rb") as file:
        client = new_client(verify=file.read())
    assert client.get(secure().url).read() == b"ok"


def test_an_ssl_context(secure, ca, new_client):
    """verify= takes an ssl.SSLContext, as httpx and urllib3 do."""
    context = ssl.create_default_context(cafile=ca.pem)
    assert new_client(verify=context).get(secure().url).read() == b"ok"


def test_authorities_of_the_environment(secure, ca, new_client, monkeypatch):
    """SSL_CERT_FILE counts when nothing explicit was given, and not with
    trust_env=False."""
    monkeypatch.setenv("SSL_CERT_FILE", ca.pem)
    s = secure()
    assert new_client().get(s.url).read() == b"ok"
    with pytest.raises(hpool.SSLError):
        new_client(trust_env=False).get(s.url)


def test_no_verification(server, new_client):
    """verify=False takes any certificate for any name, and warns."""
    stranger = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.issue_cert("elsewhere.test").configure_cert(context)
    s = server(OK, tls=context)
    client = new_client(verify=False)
    with pytest.warns(hpool.InsecureRequestWarning):
        assert client.get(s.url).read() == b"ok"


def hosts_warned_of(caught):
    """By this file, each with its name in the text."""
    pattern = r"verify=False: the certificate of (\S+) is not checked, so anybody"
    assert {warning.category for warning in caught} == {hpool.InsecureRequestWarning}
    assert {warning.filename for warning in caught} == {__file__}
    return [re.match(pattern, str(warning.message))[1] for warning in caught]


@pytest.fixture
def warned():
    """What is warned of, each time."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def test_no_verification_warns_once_a_host(secure, new_client, warned):
    """Once for each host of a client, whichever setting or verb it was."""
    client, first, second = new_client(verify=False), secure(), secure()
    for s in (first, second) * 3:
        client.get(s.url).read()
    client.post(second.url, data=b"x", tls=hpool.TLS(min_version="1.3")).read()
    hosts = [f"127.0.0.1:{s.port}" for s in (first, second)]
    assert hosts_warned_of(warned) == hosts
    new_client(verify=False).get(first.url).read()
    assert hosts_warned_of(warned) == [*hosts, hosts[0]]


def test_no_verification_of_some_calls(secure, ca, new_client, warned):
    """verify=False of a call warns where the client's own verification does not."""
    client, s = new_client(verify=ca.pem), secure()
    client.get(s.url).read()
    assert warned == []
    for _ in range(2):
        client.get(s.url, verify=False).read()
        client.get(s.url).read()
    assert hosts_warned_of(warned) == [f"127.0.0.1:{s.port}"]


def test_no_verification_warns_where_a_redirect_leads(secure, new_client, warned):
    there = secure()
    moved = respond(status=302, headers={"Location": there.url})
    here = secure(script=[serve(moved)])
    assert new_client(verify=False).get(here.url).content == b"ok"
    assert hosts_warned_of(warned) == [f"127.0.0.1:{s.port}" for s in (here, there)]


def test_no_verification_of_connections_ahead_of_time(secure, new_client, warned):
    client, s = new_client(verify=False), secure()
    assert client.warm(s.url, 1) == 1
    client.get(s.url).read()
    assert hosts_warned_of(warned) == [f"127.0.0.1:{s.port}"]


def test_nothing_to_warn_of(secure, new_client, warned):
    """What is pinned is verified, and http promises nothing."""
    s = secure()
    pin = hpool.TLS(fingerprint=fingerprint_of(s))
    client = new_client(verify=False)
    assert client.get(s.url, tls=pin).read() == b"ok"
    with pytest.raises(hpool.RequestException):
        client.get(f"http://127.0.0.1:{s.port}/")
    assert warned == []


def test_a_warning_that_is_an_error(server, ca, new_client):
    """It is raised before anything is sent, each time."""
    s = server(tls=ca.server_context())
    client = new_client(verify=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", hpool.InsecureRequestWarning)
        for _ in range(2):
            with pytest.raises(hpool.InsecureRequestWarning):
                client.get(s.url)
    assert client.stats().total.requests == 0
    assert s.connections == []


def test_verify_of_one_call(secure, ca, new_client):
    """verify= of a call holds for that call alone; its connection is not used for
    calls that trust less."""
    s = secure()
    client = new_client()
    assert client.get(s.url, verify=ca.pem).read() == b"ok"
    with pytest.raises(hpool.SSLError):
        client.get(s.url)
    assert client.get(s.url, verify=ca.pem).connection.reused


def test_a_file_that_is_not_there(new_client, tmp_path):
    """A CA file that does not exist is an SSLError that names it."""
    path = str(tmp_path / "missing.pem")
    with pytest.raises(hpool.SSLError, match="missing.pem"):
        new_client(verify=path).get("https://127.0.0.1:1/")


def test_a_file_that_holds_no_certificate(secure, new_client, tmp_path):
    """A CA file without a certificate is an SSLError that names it."""
    path = tmp_path / "empty.pem"
    path.write_text("nothing")
    with pytest.raises(hpool.SSLError, match="empty.pem"):
        new_client(verify=str(path)).get(secure().url)


def test_an_expired_certificate(server, ca, new_client):
    """An expired certificate is refused, and the text says so."""
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    cert = ca.ca.issue_cert("127.0.0.1", not_before=past, not_after=past.replace(day=2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    s = server(OK, tls=context)
    with pytest.raises(hpool.SSLError, match="expired"):
        new_client(verify=ca.pem).get(s.url)


# ---- names -------------------------------------------------------------------


def test_a_name_that_does_not_match(secure, ca, new_client):
    """A certificate for other names is refused; the text names both sides."""
    s = secure("a.test", "b.test")
    with pytest.raises(hpool.SSLError) as caught:
        new_client(verify=ca.pem).get(s.url)
    text = str(caught.value)
    assert "127.0.0.1" in text
    assert "a.test, b.test" in text


def test_an_address_is_no_name(secure, ca, new_client):
    """A certificate for the name localhost does not serve for 127.0.0.1."""
    s = secure("localhost")
    client = new_client(verify=ca.pem)
    with pytest.raises(hpool.SSLError):
        client.get(s.url)
    assert client.get(f"https://localhost:{s.port}").read() == b"ok"


def test_an_address_in_the_certificate(secure, ca, new_client):
    """A certificate for the address 127.0.0.1 serves for it."""
    assert new_client(verify=ca.pem).get(secure("127.0.0.1").url).read() == b"ok"


def test_server_hostname(secure, ca, new_client):
    """TLS(server_hostname=) is checked, and sent, in place of the URL's host."""
    s = secure("*.example.test")
    tls = hpool.TLS(server_hostname="a.example.test")
    client = new_client(verify=ca.pem, tls=tls)
    assert client.get(s.url).read() == b"ok"
    with pytest.raises(hpool.SSLError):
        client.get(s.url, tls=hpool.TLS(server_hostname="a.b.example.test"))


def test_fingerprint(secure, new_client):
    """TLS(fingerprint=) pins a certificate whoever issued it."""
    s = secure()
    right = hpool.TLS(fingerprint=fingerprint_of(s))
    client = new_client(verify=False, tls=right)
    assert client.get(s.url).read() == b"ok"
    wrong = hpool.TLS(fingerprint="00" * 32)
    with pytest.raises(hpool.SSLError, match="fingerprint"):
        client.get(s.url, tls=wrong, verify=False)


# ---- protocols -----------------------------------------------------------------


def speaks(server, ca, *protocols):
    context = ca.server_context()
    context.set_alpn_protocols(protocols)
    return server(OK, tls=context)


@pytest.mark.parametrize(
    "offered, chosen",
    [
        (None, "http/1.1"),
        ("http/1.1", "http/1.1"),
        (["spdy/3", "http/1.1"], "http/1.1"),
        ([], None),
    ],
)
def test_alpn(server, ca, new_client, offered, chosen):
    """Of a server that prefers h2: it is not offered, unless one says so."""
    s = speaks(server, ca, "h2", "http/1.1")
    client = new_client(verify=ca.pem, tls=hpool.TLS(alpn=offered))
    response = client.get(s.url)
    assert (response.read(), response.connection.alpn) == (b"ok", chosen)
    again = pickle.loads(pickle.dumps(client)).get(s.url)
    assert (again.read(), again.connection.alpn) == (b"ok", chosen)


def test_alpn_that_is_not_spoken(server, ca, new_client):
    """A server that takes up the offer of another protocol is refused."""
    s = speaks(server, ca, "h2", "http/1.1")
    client = new_client(verify=ca.pem, tls=hpool.TLS(alpn=["h2", "http/1.1"]))
    with pytest.raises(hpool.SSLError) as caught:
        client.get(s.url)
    assert str(caught.value).startswith(
        "127.0.0.1 chose the protocol 'h2' (ALPN), and only http/1.1 is spoken here"
    )
    assert client.get(s.url, tls=hpool.TLS(alpn="http/1.1")).read() == b"ok"
    assert gauges(client) == (1, 0, 0, 0, 0)


# ---- client certificates -----------------------------------------------------


@pytest.fixture
def mutual(server, ca):
    """An https server that wants a certificate of `ca` from its clients."""
    context = ca.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    ca.ca.configure_trust(context)
    return server(OK, tls=context)


def test_a_certificate_is_required(mutual, ca, new_client):
    """Without one: an error that says what is missing."""
    with pytest.raises(hpool.RequestException) as caught:
        new_client(verify=ca.pem).get(mutual.url)
    assert isinstance(caught.value, ConnectionError)
    assert "client certificate" in str(caught.value)


def test_a_certificate_is_given(mutual, ca, new_client):
    """cert=(chain, key) is accepted, for a client and for one call."""
    cert = ca.files("me")
    assert new_client(verify=ca.pem, cert=cert).get(mutual.url).read() == b"ok"
    client = new_client(verify=ca.pem)
    assert client.get(mutual.url, cert=cert).read() == b"ok"


def test_a_certificate_in_one_file(mutual, ca, new_client, tmp_path):
    """cert= takes one file with chain and key."""
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(Path(path).read_bytes() for path in ca.files("me")))
    assert new_client(verify=ca.pem, cert=str(both)).get(mutual.url).read() == b"ok"


def test_a_wrong_certificate(mutual, ca, new_client, tmp_path):
    """A certificate of somebody the server does not know is an error of the call."""
    stranger = Authority(tmp_path)
    client = new_client(verify=ca.pem, cert=stranger.files("me"))
    with pytest.raises(hpool.ConnectionError):
        client.get(mutual.url)
    assert gauges(client) == (0, 0, 0, 0, 0)


def test_a_key_that_does_not_match(mutual, ca, new_client):
    """A key of another certificate is an SSLError before anything is sent."""
    chain, _ = ca.files("me")
    _, key = ca.files("you")
    with pytest.raises(hpool.SSLError):
        new_client(verify=ca.pem, cert=(chain, key)).get(mutual.url)


# ---- versions ----------------------------------------------------------------


@pytest.mark.parametrize(
    "version, name",
    [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")],
)
def test_servers_of_one_version(server, ca, new_client, version, name):
    """Servers of 1.2 only and of 1.3 only are both spoken to, and named."""
    context = ca.server_context()
    context.minimum_version = context.maximum_version = version
    s = server(OK, tls=context)
    response = new_client(verify=ca.pem).get(s.url)
    assert response.read() == b"ok"
    assert response.connection.tls_version == name
    assert response.connection.cipher


def test_min_version(server, ca, new_client):
    """min_version=1.3 does not speak to a 1.2 server."""
    context = ca.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    s = server(OK, tls=context)
    client = new_client(verify=ca.pem, tls=hpool.TLS(min_version="TLSv1.3"))
    with pytest.raises(hpool.SSLError, match="version|protocol"):
        client.get(s.url)


def test_max_version(secure, ca, new_client):
    """max_version=1.2 speaks 1.2 to a server that knows both."""
    client = new_client(verify=ca.pem, tls=hpool.TLS(max_version="TLSv1.2"))
    assert client.get(secure().url).connection.tls_version == "TLSv1.2"


# ---- the wrong port ----------------------------------------------------------


def test_https_to_an_http_port(nginx, ca, new_client):
    """https to a port that speaks http: the text says so."""
    with pytest.raises(hpool.SSLError, match="http") as caught:
        new_client(verify=ca.pem).get(f"https://127.0.0.1:{nginx.port}/")
    assert "not TLS" in str(caught.value) or "plain HTTP" in str(caught.value)


def test_http_to_an_https_port(nginx, new_client):
    """http to an https port of nginx: its 400; to one that says nothing in http: an
    error, not a hang."""
    response = new_client().get(f"http://127.0.0.1:{nginx.tls_port}/")
    assert response.status_code == 400


def test_http_to_a_strict_https_port(secure, new_client):
    """The same to a server that only closes."""
    s = secure()
    with pytest.raises((hpool.ConnectionError, hpool.ProtocolError)):
        new_client().get(f"http://127.0.0.1:{s.port}/")
    s.connections[0].wait_ended()


# ---- sessions and settings ---------------------------------------------------


def test_key_log(secure, ca, new_client, monkeypatch, tmp_path):
    """SSLKEYLOGFILE is written to, and not with trust_env=False."""
    path = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    s = secure()
    new_client(verify=ca.pem, trust_env=False).get(s.url).read()
    assert not path.exists()
    new_client(verify=ca.pem).get(s.url).read()
    assert "CLIENT_TRAFFIC_SECRET_0 " in path.read_text()


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def one_version(request, server, ca):
    """An https server of one TLS version."""
    context = ca.server_context()
    context.minimum_version = context.maximum_version = request.param
    return server(OK, tls=context)


def anew(client, url, **how):
    """Asks over a new connection: whether that was resumed."""
    client.close_idle()
    response = client.get(url, **how)
    assert response.read() == b"ok"
    assert not response.connection.reused
    return response.connection.resumed


def test_sessions_are_resumed(one_version, ca, new_client):
    """Connections after the first one resume its session, and are counted."""
    client = new_client(verify=ca.pem)
    seen = [anew(client, one_version.url) for _ in range(4)]
    assert seen == [False, True, True, True]
    total = client.stats().total
    assert (total.handshakes, total.resumed) == (4, 3)


def test_nginx_resumes(nginx, ca, new_client):
    """The real thing."""
    client = new_client(verify=ca.pem)
    client.get(f"{nginx.https_url}/small").read()
    client.close_idle()
    response = client.get(f"{nginx.https_url}/small")
    assert response.read() == SMALL
    assert response.connection.resumed


def test_sessions_outlive_other_hosts(one_version, secure, ca, new_client):
    """A host we come back to is resumed; another one never with its sessions."""
    client = new_client(verify=ca.pem)
    other = secure()
    assert not anew(client, one_version.url)
    assert not anew(client, other.url)
    assert anew(client, one_version.url)
    assert anew(client, other.url)
    by_name = one_version.url.replace("127.0.0.1", "localhost")
    assert not anew(client, by_name)
    assert anew(client, by_name)


def test_sessions_are_of_one_client(one_version, ca, new_client):
    """Clients do not share them, whatever their settings: a server could tell that
    they belong together."""
    first, second = new_client(verify=ca.pem), new_client(verify=ca.pem)
    assert not anew(first, one_version.url)
    assert not anew(second, one_version.url)
    assert anew(first, one_version.url)
    assert second.stats().total.resumed == 0


def test_sessions_are_of_one_setting(one_version, ca, new_client):
    """What was made without verification does not help a call that verifies, nor
    one that trusts others, nor one with another identity."""
    client = new_client(verify=False)
    with pytest.warns(hpool.InsecureRequestWarning):
        assert not anew(client, one_version.url)
        assert anew(client, one_version.url)
    with pytest.raises(hpool.SSLError):
        client.get(one_version.url, verify=True)
    assert not anew(client, one_version.url, verify=ca.pem)
    assert anew(client, one_version.url, verify=ca.pem)
    assert not anew(client, one_version.url, verify=ca.pem, cert=ca.files("me"))


def test_sessions_of_a_client_certificate(mutual, ca, new_client):
    """A server that wants a certificate knows it again."""
    client = new_client(verify=ca.pem, cert=ca.files("me"))
    assert not anew(client, mutual.url)
    assert anew(client, mutual.url)


def test_a_failed_handshake_leaves_no_session(server, new_client):
    """A server that was refused is refused again, and nothing is resumed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    s = server(OK, tls=context)
    client = new_client()
    for _ in range(3):
        with pytest.raises(hpool.SSLError):
            client.get(s.url)
    total = client.stats().total
    assert (total.handshakes, total.resumed) == (0, 0)


def test_more_hosts_than_are_remembered(secure, ca, new_client):
    """Sessions of 64 hosts without a connection are kept, those left last."""
    client = new_client(verify=ca.pem)
    s = secure()

    def visit(i):
        tls = hpool.TLS(server_hostname=f"h{i}.example.test")
        return anew(client, s.url, tls=tls)

    assert not any(visit(i) for i in range(66))
    client.close_idle()
    assert visit(65)
    assert visit(2)
    assert not visit(0)


def test_equal_settings_share_one_context(secure, ca, new_client, tmp_path):
    """Two clients with equal settings have one TLS setting, those with different
    ones another: the pool's key says which."""
    s = secure()
    other = tmp_path / "other.pem"
    shutil.copy(ca.pem, other)

    def setting(**how):
        key = new_client(**how).get(s.url).connection.key
        return key.partition("|tls=")[2]

    first = setting(verify=ca.pem)
    assert first
    assert setting(verify=ca.pem) == first
    assert setting(verify=str(other)) != first
    assert setting(verify=ca.pem, tls=hpool.TLS(max_version="TLSv1.2")) != first


def test_a_file_that_is_replaced(secure, ca, new_client, tmp_path):
    """A CA file replaced on disk is seen by a client made afterwards."""
    s = secure()
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    with pytest.raises(hpool.SSLError):
        new_client(verify=str(path)).get(s.url)
    replacement = tmp_path / "new.pem"
    shutil.copy(ca.pem, replacement)
    os.replace(replacement, path)
    assert new_client(verify=str(path)).get(s.url).read() == b"ok"


# ---- truncation --------------------------------------------------------------

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nall of it"


def test_a_body_that_ends_with_the_connection(secure, ca, new_client):
    """Over TLS a close-delimited body ends with close_notify ..."""
    s = secure(script=[expect(), send(UNTIL_CLOSE), close()])
    assert new_client(verify=ca.pem).get(s.url).read() == b"all of it"


def test_a_truncated_body(secure, ca, new_client):
    """... and without it was cut off by somebody: an error after the bytes."""
    s = secure(script=[expect(), send(UNTIL_CLOSE), close(notify=False)])
    response = new_client(verify=ca.pem).get(s.url)
    assert response.read(9) == b"all of it"
    with pytest.raises(hpool.IncompleteRead):
        response.read()


def test_a_whole_body_without_close_notify(secure, ca, new_client):
    """A body whose length is known needs no close_notify."""
    s = secure(script=[expect(), send(respond(b"whole")), close(notify=False)])
    assert new_client(verify=ca.pem).get(s.url).read() == b"whole"


def test_a_handshake_that_is_cut(server, ca, new_client):
    """A server that closes during the handshake: an SSLError, nothing in use."""
    s = server([close()])
    client = new_client(verify=ca.pem)
    with pytest.raises(hpool.ConnectionError):
        client.get(f"https://127.0.0.1:{s.port}/")
    assert gauges(client) == (0, 0, 0, 0, 0)


def test_an_upgrade_over_tls(secure, ca, new_client):
    """upgraded() speaks through TLS."""
    head = respond(b"", 101, {"Connection": "upgrade", "Upgrade": "echo"})

    def echo(connection):
        connection.expect()
        connection.send(head)
        connection.send(connection.read(5))
        connection.until_closed()

    s = secure(script=echo)
    asked = {"Connection": "upgrade", "Upgrade": "echo"}
    with new_client(verify=ca.pem).get(s.url, headers=asked).upgraded() as stream:
        stream.sendall(b"hello")
        assert stream.recv(5) == b"hello"


def test_no_client_reads_the_store_for_http(server, new_client):
    """A client that speaks http only does not look at trust settings at all."""
    s = server(OK)
    assert new_client(verify="/nowhere/at/all.pem").get(s.url).read() == b"ok"
