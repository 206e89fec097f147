"""What a proxy says in answer to CONNECT (S126): on the error, on the connection,
in the trace."""

import pickle
import threading

import hpool
from tests.server.proxies import OK, OPEN
from tests.server.scripted import close, expect, send, start_tls, wait
from tests.tools import Call, Recorder, proxy_error, until, until_waiting

REFUSED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 451 No\r\nX-Reason: list 7\r\nVia: a\r\nvia: b\r\n\r\n"
)
TOLD = [("X-Reason", "list 7"), ("Via", "a"), ("via", "b")]


def test_s126_the_answer_is_on_the_error(server, new_client, ca):
    s = server([expect(), send(REFUSED), close()])
    recorder = Recorder()
    client = new_client(proxy=s.url, verify=ca.pem, trace=recorder)
    error = proxy_error(client, "https://a.test/")
    assert error.status == 451 and error.headers.multi_items() == TOLD
    assert error.headers["x-reason"] == "list 7"
    assert "list 7" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.status, again.headers) == (451, error.headers)
    done = recorder.one("proxy_connect_done")
    assert (done["status"], done["headers"]) == (451, TOLD)


def test_s126_no_answer(server, new_client, ca):
    s = server([expect(), close()])
    recorder = Recorder()
    client = new_client(proxy=s.url, verify=ca.pem, trace=recorder)
    error = proxy_error(client, "https://a.test/")
    assert (error.status, error.headers) == (None, None)
    done = recorder.one("proxy_connect_done")
    assert (done["status"], done["headers"]) == (None, [])


def test_s126_the_answer_is_on_the_connection(server, new_client, ca):
    """Of the tunnel that a request goes through, whoever opened it; of one that a
    proxy forwards, of none."""
    answer = OPEN.replace(b"\r\n\r\n", b"\r\nX-Exit: 192.0.2.%d\r\n\r\n")
    context = ca.server_context("a.example.test")
    s = server(
        *([expect(), send(answer % n), start_tls(context), *OK] for n in (1, 2))
    )
    recorder = Recorder()
    client = new_client(proxy=s.url, verify=ca.pem, trace=recorder)
    url = "https://a.example.test/"
    first = client.get(url)
    kept = client.get(url)
    assert first.connection.proxy_headers["X-Exit"] == "192.0.2.1"
    assert kept.connection.reused
    assert kept.connection.proxy_headers == {"X-Exit": "192.0.2.1"}
    assert recorder.one("proxy_connect_done")["headers"] == [("X-Exit", "192.0.2.1")]
    client.close_idle()
    assert client.get(url).connection.proxy_headers["X-Exit"] == "192.0.2.2"
    assert first.connection.proxy_headers["X-Exit"] == "192.0.2.1"
    assert len({first.connection, kept.connection}) == 2  # hashable
    forwarded = client.get("http://a.test/", proxy=server(OK).url)
    assert forwarded.connection.proxy_headers is None
    assert client.get(server(OK).url, proxy=False).connection.proxy_headers is None


def test_the_answer_of_a_dial_that_somebody_else_began(server, new_client, ca):
    """The one who is in line gets the tunnel with its answer."""
    go = threading.Event()
    context = ca.server_context("a.example.test")
    answer = OPEN.replace(b"\r\n\r\n", b"\r\nX-Exit: here\r\n\r\n")
    s = server([expect(), wait(go), send(answer), start_tls(context), *OK])
    limits = hpool.Limits(max_conns_per_host=1)
    client = new_client(proxy=s.url, verify=ca.pem, limits=limits)
    url = "https://a.example.test/"
    token = hpool.CancelToken()
    one = Call(client.get, url, cancel=token)
    until(lambda: s.requests)
    two = Call(client.get, url)
    until_waiting(client, 1)
    token.cancel()
    assert isinstance(one.error(), hpool.Cancelled)
    go.set()
    assert two.result().connection.proxy_headers == {"X-Exit": "here"}
    assert len(s.connections) == 1
