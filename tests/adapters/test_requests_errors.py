"""requests' exceptions and time limits, side by side with its own adapter."""

import http.client
import os
import pickle
import socket
import ssl
import threading
from pathlib import Path

import pytest
import requests
import urllib3
from requests import exceptions

from tests.server.scripted import (
    ScriptedServer,
    close,
    expect,
    refused_port,
    reset,
    respond,
    respond_chunked,
    send,
    serve,
    silent_port,
    until_closed,
    wait,
)

NEVER = 20  # seconds: longer than any of these takes


def error_of(call, *arguments, **keywords):
    with pytest.raises(exceptions.RequestException) as caught:
        call(*arguments, **keywords)
    return caught.value


def reason_of(error):
    """What urllib3 says has happened, when the retries are used up."""
    (outer,) = error.args
    assert isinstance(outer, urllib3.exceptions.MaxRetryError)
    return outer.reason


# ---- no answer ---------------------------------------------------------------


def test_refused(session):
    with refused_port() as port:
        url = f"http://127.0.0.1:{port}/x?token=secret"
        error = error_of(session.get, url)
    assert type(error) is exceptions.ConnectionError
    assert isinstance(reason_of(error), urllib3.exceptions.NewConnectionError)
    assert error.request.url == url
    assert "Max retries exceeded with url: /x" in str(error)
    assert "Connection refused" in str(error)


def test_unknown_host(session):
    error = error_of(session.get, "http://nowhere.invalid/")
    assert type(error) is exceptions.ConnectionError
    reason = reason_of(error)
    assert isinstance(reason, urllib3.exceptions.NameResolutionError)
    assert "Failed to resolve 'nowhere.invalid'" in str(error)


def test_connect_timeout(session):
    with silent_port() as port:
        error = error_of(
            session.get, f"http://127.0.0.1:{port}", timeout=(0.05, NEVER)
        )
    assert type(error) is exceptions.ConnectTimeout
    assert type(reason_of(error)) is urllib3.exceptions.ConnectTimeoutError
    assert error.request.method == "GET"


def test_handshake_timeout(session, server):
    """Own: ReadTimeout. hpool: ConnectTimeout, for it is safe to go on."""
    srv = server([until_closed()])
    url = srv.url.replace("http", "https")
    error = error_of(session.get, url, timeout=(0.05, 0.05))
    assert isinstance(error, exceptions.Timeout)


def test_read_timeout(session, server):
    srv = server([expect(), until_closed()])
    error = error_of(session.get, srv.url, timeout=(NEVER, 0.05))
    assert type(error) is exceptions.ReadTimeout
    (reason,) = error.args
    assert isinstance(reason, urllib3.exceptions.ReadTimeoutError)
    assert "Read timed out." in str(error)
    assert error.request.url == f"{srv.url}/"


def test_read_timeout_in_the_middle_of_the_head(session, server):
    srv = server([expect(), send(b"HTTP/1.1 200 OK\r\nX: "), until_closed()])
    error = error_of(session.get, srv.url, timeout=(NEVER, 0.05))
    assert type(error) is exceptions.ReadTimeout


def test_a_server_that_takes_nothing(session, server):
    """Nothing was waited for from it: a ConnectionError, and no ReadTimeout."""
    go = threading.Event()
    srv = server([expect(body=False), wait(go), until_closed()])
    error = error_of(session.post, srv.url, data=bytes(30_000_000), timeout=0.1)
    go.set()
    assert type(error) is exceptions.ConnectionError


def test_closed_without_an_answer(session, server):
    srv = server([expect(), close()])
    error = error_of(session.post, srv.url, data=b"x")
    assert type(error) is exceptions.ConnectionError
    (outer,) = error.args
    assert isinstance(outer, urllib3.exceptions.ProtocolError)
    assert outer.args[0] == "Connection aborted."
    assert isinstance(outer.args[1], http.client.RemoteDisconnected)


def test_reset_without_an_answer(session, server):
    srv = server([expect(), reset()])
    error = error_of(session.post, srv.url, data=b"x")
    assert type(error) is exceptions.ConnectionError
    assert isinstance(error.args[0].args[1], ConnectionResetError)


@pytest.mark.parametrize(
    "head",
    [b"garbage\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n"],
    ids=["no status line", "no status"],
)
def test_no_http(session, server, head):
    srv = server([expect(), send(head), close()])
    error = error_of(session.get, srv.url)
    assert type(error) is exceptions.ConnectionError
    assert isinstance(error.args[0], urllib3.exceptions.ProtocolError)


def test_two_lengths(session, server):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"
    srv = server([expect(), send(head), close()])
    assert type(error_of(session.get, srv.url)) is exceptions.InvalidHeader


def test_an_early_answer_to_a_big_upload_is_read(session, server):
    """The server answers, reads no more and closes: the answer counts."""
    srv = server([expect(body=False), send(respond(b"too big", 413)), until_closed()])
    with session.post(srv.url, data=b"x" * 20_000_000, stream=True) as response:
        assert response.status_code == 413


# ---- an answer that stops ----------------------------------------------------


def body_error(session, server, *steps, **how):
    srv = server([expect(), *steps])
    response = session.get(srv.url, stream=True, **how)
    assert response.status_code == 200
    try:
        return error_of(lambda: response.content)
    finally:
        response.close()


CUT = respond(b"hello")[:-2]


@pytest.mark.parametrize("end", [close, reset])
def test_cut_off_by_length(session, server, end):
    error = body_error(session, server, send(CUT), end())
    assert type(error) is exceptions.ChunkedEncodingError
    assert isinstance(error.args[0], urllib3.exceptions.ProtocolError)
    # Programs look for this.
    assert ("IncompleteRead(" in str(error)) is (end is close)


def test_cut_off_in_chunks(session, server):
    error = body_error(session, server, send(respond_chunked(b"abc")[:-7]), close())
    assert type(error) is exceptions.ChunkedEncodingError


def test_malformed_chunks(session, server):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    error = body_error(session, server, send(head + b"zz\r\n"), close())
    assert type(error) is exceptions.ChunkedEncodingError


def test_silence_in_the_body(session, server):
    """requests makes it a ConnectionError, not a ReadTimeout."""
    error = body_error(session, server, send(CUT), until_closed(), timeout=0.05)
    assert type(error) is exceptions.ConnectionError
    assert isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError)


def test_the_body_may_take_longer_than_the_limit_for_silence(session, server):
    gone = threading.Event()
    whole = respond(b"abc")

    def drip(connection):
        connection.expect()
        connection.send(whole[:-3])
        for byte in (b"a", b"b", b"c"):
            gone.wait(0.08)
            connection.send(byte)

    srv = server(drip)
    assert session.get(srv.url, timeout=0.2).content == b"abc"


def test_not_what_the_coding_says(session, server):
    packed = respond(b"not gzip", headers={"Content-Encoding": "gzip"})
    error = body_error(session, server, send(packed))
    assert type(error) is exceptions.ContentDecodingError
    assert isinstance(error.args[0], urllib3.exceptions.DecodeError)


def test_broken_tls_in_the_body(session, ca):
    """A record that cannot be decrypted, put between the server's own."""

    def script(connection):
        connection.expect()
        connection.send(CUT)
        socket.socket.sendall(connection.tls, b"\x17\x03\x03\x00\x20" + b"?" * 32)
        connection.until_closed()

    with ScriptedServer(script, tls=ca.server_context()) as srv:
        response = session.get(srv.url, verify=ca.pem, stream=True)
        error = error_of(lambda: response.content)
    assert type(error) is exceptions.SSLError


def test_errors_while_iterating(session, server):
    srv = server([expect(), send(CUT), close()])
    with session.get(srv.url, stream=True) as response:
        pieces = response.iter_content(2)
        assert next(pieces) == b"he"
        error = error_of(lambda: list(pieces))
    assert type(error) is exceptions.ChunkedEncodingError


# ---- arguments ---------------------------------------------------------------


@pytest.mark.parametrize(
    "timeout", [0, -1, (1, 0), (0, 1), "soon", (1, 2, 3), (1,), True]
)
def test_timeouts_that_mean_nothing(session, timeout):
    with pytest.raises(ValueError):
        session.get("http://127.0.0.1:9", timeout=timeout)


@pytest.mark.parametrize(
    "timeout",
    [
        None,
        NEVER,
        (NEVER, NEVER),
        (None, NEVER),
        (NEVER, None),
        urllib3.Timeout(NEVER),
        urllib3.Timeout(connect=NEVER, read=NEVER),
        urllib3.Timeout(total=NEVER),
        urllib3.Timeout(total=None, connect=None, read=NEVER),
    ],
    ids=repr,
)
def test_timeouts_that_do(session, nginx, timeout):
    assert session.get(f"{nginx.http_url}/small", timeout=timeout).ok


@pytest.mark.parametrize(
    ("timeout", "kind"),
    [
        (0.05, exceptions.ReadTimeout),
        ((NEVER, 0.05), exceptions.ReadTimeout),
        (urllib3.Timeout(connect=NEVER, read=0.05), exceptions.ReadTimeout),
        (urllib3.Timeout(total=0.05), exceptions.ReadTimeout),
        (urllib3.Timeout(total=0.05, read=NEVER), exceptions.ReadTimeout),
    ],
    ids=repr,
)
def test_each_form_of_a_read_limit(session, server, timeout, kind):
    srv = server([expect(), until_closed()])
    assert type(error_of(session.get, srv.url, timeout=timeout)) is kind


@pytest.mark.parametrize(
    "timeout",
    [0.05, (0.05, NEVER), urllib3.Timeout(connect=0.05), urllib3.Timeout(total=0.05)],
    ids=repr,
)
def test_each_form_of_a_connect_limit(session, timeout):
    with silent_port() as port:
        error = error_of(session.get, f"http://127.0.0.1:{port}", timeout=timeout)
    assert type(error) is exceptions.ConnectTimeout


def prepared(session, **changes):
    request = session.prepare_request(requests.Request("GET", "http://127.0.0.1:9/"))
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def test_what_cannot_be_sent_is_refused(session):
    request = prepared(session)
    request.headers["X-A"] = "a\r\nX-B: b"
    with pytest.raises(ValueError):
        session.send(request)
    with pytest.raises(ValueError):
        session.send(prepared(session, method="GET / HTTP/1.1\r\nX:"))


@pytest.mark.parametrize("url", ["http://:80/", "http://127.0.0.1:99999/"])
def test_urls_without_sense(session, url):
    error = error_of(session.send, prepared(session, url=url))
    assert isinstance(error, exceptions.InvalidURL)
    assert error.request.url == url


# ---- TLS ---------------------------------------------------------------------


@pytest.fixture
def https(ca):
    with ScriptedServer(serve(respond(b"hello")), tls=ca.server_context()) as srv:
        yield srv


def test_verify_is_a_file(session, https, ca):
    assert session.get(https.url, verify=ca.pem).content == b"hello"


def test_verify_is_a_directory(session, https, ca, tmp_path):
    (tmp_path / "hash").write_text("")
    error = error_of(session.get, https.url, verify=str(tmp_path))
    assert type(error) is exceptions.SSLError


def test_unknown_authority(session, https):
    error = error_of(session.get, https.url)
    assert type(error) is exceptions.SSLError
    reason = reason_of(error)
    assert isinstance(reason, urllib3.exceptions.SSLError)
    assert isinstance(reason.args[0], ssl.SSLCertVerificationError)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)


def test_another_name(session, ca):
    with ScriptedServer([], tls=ca.server_context("other.test")) as srv:
        url = srv.url.replace("127.0.0.1", "localhost")
        error = error_of(session.get, url, verify=ca.pem)
    assert type(error) is exceptions.SSLError


def test_no_tls_at_all(session, server):
    srv = server([send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), until_closed()])
    error = error_of(session.get, srv.url.replace("http", "https"))
    assert type(error) is exceptions.SSLError


def test_unverified_warns_as_urllib3_does(session, https):
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning) as caught:
        assert session.get(https.url, verify=False).content == b"hello"
    assert len(caught) == 1


def test_an_unverified_connection_is_no_ones_who_verifies(session, https, ca):
    """CVE-2024-35195, both ways."""
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        session.get(https.url, verify=False)
    assert type(error_of(session.get, https.url)) is exceptions.SSLError
    session.get(https.url, verify=ca.pem)
    assert type(error_of(session.get, https.url)) is exceptions.SSLError
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        session.get(https.url, verify=False)
    answered = [c for c in https.connections if c.requests]
    assert [len(c.requests) for c in answered] == [2, 1]


@pytest.mark.parametrize(
    "how", [{"verify": "/no/ca.pem"}, {"cert": "/no/c.pem"}], ids=str
)
def test_files_that_are_not_there(session, https, how):
    with pytest.raises(OSError, match="invalid path: /no/c"):
        session.get(https.url, **how)


def test_the_key_is_not_there(session, https, ca):
    certificate, _ = ca.files()
    with pytest.raises(OSError, match="invalid path: /no/key"):
        session.get(https.url, verify=ca.pem, cert=(certificate, "/no/key"))


@pytest.mark.parametrize("form", ["pair", "one file"])
def test_client_certificates(session, ca, tmp_path, form):
    chain, key = ca.files("client.test")
    context = ca.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.pem)
    both = tmp_path / "both.pem"
    both.write_bytes(Path(chain).read_bytes() + Path(key).read_bytes())
    cert = (chain, key) if form == "pair" else str(both)
    with ScriptedServer(serve(respond(b"hello")), tls=context) as srv:
        response = session.get(srv.url, verify=ca.pem, cert=cert)
        assert response.content == b"hello"
        peer = srv.connections[0].tls.getpeercert()
        assert peer["subjectAltName"] == (("DNS", "client.test"),)


def test_a_client_certificate_that_is_asked_for(session, ca):
    context = ca.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.pem)
    with ScriptedServer([], tls=context) as srv:
        error = error_of(session.get, srv.url, verify=ca.pem)
    assert isinstance(error, exceptions.ConnectionError)  # SSLError is one


def test_the_environment_names_the_authorities(session, https, ca, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca.pem)
    session.trust_env = True
    assert session.get(https.url).content == b"hello"


# ---- uploads -----------------------------------------------------------------


class Broken(Exception):
    pass


def failing(kind):
    yield b"some"
    raise kind("of mine")


@pytest.mark.parametrize("kind", [Broken, ValueError])
def test_what_an_iterator_raises_comes_through(session, server, kind):
    srv = server([until_closed()])
    with pytest.raises(kind, match="of mine"):
        session.post(srv.url, data=failing(kind))


def test_an_iterator_of_the_wrong_things(session, server):
    srv = server([until_closed()])
    with pytest.raises((TypeError, ValueError)):
        session.post(srv.url, data=iter([1.5]))


@pytest.mark.parametrize("status", [307, 308])
def test_a_file_is_sent_again_after_a_redirect(session, server, status, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(b"x" * 300_000)
    srv = server(
        serve(
            lambda r: respond(b"done")
            if r.target == "/there"
            else respond(b"", status, {"Location": "/there"})
        )
    )
    with path.open("rb") as file:
        file.seek(100_000)
        assert session.post(srv.url, data=file).content == b"done"
    assert [len(r.body) for r in srv.requests] == [200_000, 200_000]


def test_what_cannot_go_back_is_not(session, server):
    """A file says so when it is asked; of an iterator requests sends the rest."""
    srv = server(serve(respond(b"", 307, {"Location": "/there"})))
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    with open(reading, "rb") as pipe:
        error = error_of(session.post, srv.url, data=pipe)
    assert isinstance(error, exceptions.UnrewindableBodyError)
    assert srv.requests[0].body == b"abc"


# ---- about errors ------------------------------------------------------------


def test_errors_pickle(session):
    with refused_port() as port:
        error = error_of(session.get, f"http://127.0.0.1:{port}/x")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert "Connection refused" in str(again)


def test_no_text_shows_a_secret(hpool_session, server):
    session = hpool_session()
    srv = server([expect(), close()], [expect(), send(CUT), close()])
    url = srv.url.replace("//", "//user:secret@") + "/x?token=secret"
    with refused_port() as port:
        nobody = f"http://user:secret@127.0.0.1:{port}/x?token=secret"
        errors = [error_of(session.get, nobody), error_of(session.get, url)]
    response = session.get(url, stream=True)
    errors.append(error_of(lambda: response.content))
    for error in errors:
        while error is not None:
            assert "secret" not in f"{error} {error!r}"
            error = error.__cause__


def test_the_error_below_is_hpools(hpool_session, server):
    import hpool

    with refused_port() as port:
        error = error_of(hpool_session().get, f"http://127.0.0.1:{port}/")
    below = error.__cause__.reason.__cause__
    assert isinstance(below, hpool.ConnectError)
    assert below.phase == "connect"
