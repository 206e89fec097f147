"""What a trace is told, and when: S99, S100, S130, and what Go's has not. How
handlers are called is in tests/client/test_trace.py."""

import gc
import os
import socket
import threading
import warnings

import pytest

import hpool
from hpool._trace import EVENTS
from tests.life import child
from tests.server.cserver import compile_c
from tests.server.scripted import (
    close,
    expect,
    half_close,
    read_body,
    refused_port,
    respond,
    respond_chunked,
    send,
    serve,
    silent_port,
    start_tls,
    until_closed,
    wait,
)
from tests.tools import (
    Call,
    Clogged,
    Recorder,
    advance,
    sockets_to,
    until,
    until_idle,
    until_waiting,
)

OK = respond(b"ok")
BIG = respond(b"x" * 300_000)  # more than comes with the head
BYE = respond(b"ok", headers={"Connection": "close"})
KEPT = ["get_conn", "got_conn", "wrote_headers", "wrote_request"]
ANSWER = ["got_first_response_byte", "got_response"]


def fetch(client, url, **how):
    return client.get(url, **how).read()


def one(**limits):
    return hpool.Limits(max_conns_per_host=1, **limits)


# ---- S130 --------------------------------------------------------------------


def test_s130_every_hook_once_on_a_fresh_connection(server, new_client):
    """A POST with Expect on a fresh connection fires each hook once, in order and
    with its arguments."""
    s = server(
        [
            expect(body=False),
            send(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
            read_body(),
            send(OK),
            until_closed(),
        ]
    )
    recorder = Recorder()
    client = new_client(trace=recorder, dns_ttl=0)
    url = f"http://localhost:{s.port}/p"
    response = client.post(url, content=b"body", headers={"Expect": "100-continue"})
    assert response.read() == b"ok"
    assert recorder.story() == [
        "request_start",
        "get_conn",
        "dns_start",
        "dns_done",
        "connect_start",
        "connect_done",
        "got_conn",
        "wrote_headers",
        "wait_100_continue",
        "got_first_response_byte",
        "got_100_continue",
        "got_1xx_response",
        "wrote_request",
        "got_response",
        "put_idle_conn",
        "request_done",
    ]
    one = recorder.one
    start = one("request_start")
    assert (start["method"], start["url"]) == ("POST", url)
    assert one("get_conn")["attempt"] == 1
    assert one("dns_start")["name"] == "localhost"
    looked_up = one("dns_done")
    assert (looked_up["name"], looked_up["error"]) == ("localhost", None)
    assert "127.0.0.1" in looked_up["addresses"]
    assert looked_up["coalesced"] is False
    remote = f"127.0.0.1:{s.port}"
    assert one("connect_start")["address"] == one("connect_done")["address"] == remote
    assert one("connect_done")["error"] is None
    got = one("got_conn")
    assert (got["reused"], got["was_idle"], got["idle_time"]) == (False, False, 0)
    assert (got["requests"], got["remote"]) == (1, remote)
    assert 0 <= got["age"] < 10
    sent = {i["name"]: i["value"] for i in recorder.all("wrote_header_field")}
    assert sent["Expect"] == "100-continue"
    assert sent["Content-Length"] == "4"
    assert list(sent.items()) == s.requests[0].fields
    assert one("wrote_request")["error"] is None
    interim = one("got_1xx_response")
    assert (interim["status"], interim["headers"]) == (100, [("X", "y")])
    assert one("got_response")["status"] == 200
    assert one("put_idle_conn")["reason"] is None
    done = one("request_done")
    assert (done["status"], done["error"]) == (200, None)
    assert done["duration"] == pytest.approx(done["time"] - start["time"])
    assert len({info["request"] for info in recorder.infos}) == 1
    conn = got["conn"]
    told = [i["conn"] for i in recorder.infos]
    assert conn > 0 and told == [0, 0] + [conn] * (len(told) - 2)
    assert response.connection.id == conn


def test_s130_the_times_are_those_of_the_response(server, new_client):
    """`time` and response.timings read the same clock."""
    s = server([expect(), send(OK), until_closed()])
    recorder = Recorder()
    response = new_client(trace=recorder).get(s.url)
    response.read()
    start = recorder.one("request_start")["time"]
    timings = response.timings
    for event, moment in [
        ("got_conn", timings.acquired),
        ("got_first_response_byte", timings.first_byte),
        ("got_response", timings.head),
    ]:
        assert recorder.one(event)["time"] - start == pytest.approx(moment, abs=2e-6)


def test_s130_a_kept_connection(server, new_client):
    """On a kept connection there is no look-up, no dial and no handshake."""
    s = server([serve(OK)])
    client, recorder = new_client(), Recorder()
    fetch(client, s.url)
    advance(2)
    fetch(client, s.url, trace=recorder)
    assert recorder.story() == [
        "request_start",
        *KEPT,
        *ANSWER,
        "put_idle_conn",
        "request_done",
    ]
    got = recorder.one("got_conn")
    assert (got["reused"], got["was_idle"], got["requests"]) == (True, True, 2)
    assert 2 <= got["idle_time"] <= got["age"] < 12


def test_s130_tls_handshake(server, new_client, ca):
    """A handshake is told with its result, and a resumed one as such."""
    s = server([expect(), send(BYE), close()], tls=ca.server_context("localhost"))
    client = new_client(verify=ca.pem, dns_ttl=0)
    full, resumed = Recorder(), Recorder()
    url = f"https://localhost:{s.port}/"
    for recorder in (full, resumed):
        fetch(client, url, trace=recorder)
        names = recorder.story()
        at = names.index("connect_done")
        assert names[at + 1 : at + 4] == [
            "tls_handshake_start",
            "tls_handshake_done",
            "got_conn",
        ]
        assert recorder.one("tls_handshake_start")["server_name"] == "localhost"
        done = recorder.one("tls_handshake_done")
        assert (done["version"], done["error"]) == ("TLSv1.3", None)
        assert done["cipher"].startswith("TLS_")
        assert done["host"] == f"localhost:{s.port}"
    assert full.one("tls_handshake_done")["resumed"] is False
    assert resumed.one("tls_handshake_done")["resumed"] is True


def test_a_tunnel(server, new_client, ca):
    """Between the connection to the proxy and the handshake with the server."""
    opened = b"HTTP/1.1 200 OK\r\n\r\n"
    refused = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    context = ca.server_context("a.example.test")
    s = server(
        [expect(), send(opened), start_tls(context), serve(OK)],
        [expect(), send(refused), close()],
    )
    client = new_client(verify=ca.pem, proxy=s.url)
    url, target = "https://a.example.test/", "a.example.test:443"
    recorder = Recorder()
    fetch(client, url, trace=recorder)
    assert recorder.story()[2:9] == [
        "connect_start",
        "connect_done",
        "proxy_connect_start",
        "proxy_connect_done",
        "tls_handshake_start",
        "tls_handshake_done",
        "got_conn",
    ]
    began = recorder.one("proxy_connect_start")
    assert (began["proxy"], began["target"]) == (s.url, target)
    assert began["host"] == target
    done = recorder.one("proxy_connect_done")
    assert (done["proxy"], done["target"]) == (s.url, target)
    assert (done["status"], done["error"]) == (200, None)
    client.close_idle()
    recorder = Recorder()
    with pytest.raises(hpool.ProxyError) as caught:
        client.get(url, trace=recorder)
    done = recorder.one("proxy_connect_done")
    assert (done["status"], done["error"]) == (403, str(caught.value))


def test_s130_verification_fails(server, new_client, ca):
    """A certificate that is not trusted: the handshake starts and is done with an
    error; the connection was there and is closed."""
    s = server([], tls=ca.server_context())
    recorder = Recorder()
    with pytest.raises(hpool.SSLError) as caught:
        new_client(trace=recorder).get(s.url)
    assert recorder.story() == [
        "request_start",
        "get_conn",
        "connect_start",
        "connect_done",
        "tls_handshake_start",
        "tls_handshake_done",
        "conn_closed",
        "request_done",
    ]
    done = recorder.one("tls_handshake_done")
    assert done["error"] == str(caught.value)
    assert (done["version"], done["cipher"], done["resumed"]) == ("", "", False)
    assert recorder.one("conn_closed")["reason"] == "dial_failed"
    assert recorder.one("request_done")["error"] == "SSLError"


def test_s130_a_handshake_that_takes_too_long(server, new_client, ca):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        recorder = Recorder()
        with pytest.raises(hpool.ConnectTimeout):
            new_client(trace=recorder).get(
                f"https://127.0.0.1:{mute.getsockname()[1]}/",
                timeout=hpool.Timeout(tls=0.05),
            )
    assert "timed out" in recorder.one("tls_handshake_done")["error"]


def test_s130_a_look_up_fails(new_client):
    """The look-up is done with an error, nothing is connected, and nothing is
    closed that never was open."""
    recorder = Recorder()
    with pytest.raises(hpool.NameResolutionError) as caught:
        new_client(trace=recorder).get("http://no-such-name.invalid/")
    assert recorder.story() == [
        "request_start",
        "get_conn",
        "dns_start",
        "dns_done",
        "request_done",
    ]
    done = recorder.one("dns_done")
    assert done["error"] == str(caught.value)
    assert done["addresses"] == []
    assert recorder.one("request_done")["error"] == "NameResolutionError"


# ---- look-ups ----------------------------------------------------------------


def test_a_remembered_look_up(server, new_client):
    """What the cache answers is a hit, and not started."""
    s = server([expect(), send(BYE), close()])
    client, recorder = new_client(), Recorder()
    url = f"http://localhost:{s.port}/"
    fetch(client, url)
    fetch(client, url, trace=recorder)
    assert "dns_start" not in recorder.names
    hit = recorder.one("dns_cache_hit")
    assert hit["name"] == "localhost"
    assert "127.0.0.1" in hit["addresses"]


def test_a_literal_is_not_looked_up(server, new_client):
    s = server([serve(OK)])
    recorder = Recorder()
    fetch(new_client(trace=recorder), s.url)
    assert not [name for name in recorder.names if name.startswith("dns")]


SHARED_LOOK_UP = """
import os, sys
import hpool
from tests.tools import Call, Recorder, until

port, asked, go = map(int, sys.argv[1:])
recorder, late = Recorder(), Recorder()
client = hpool.Client(trace=recorder, timeout=10)
url = f"http://slow.test:{port}/"
calls = [Call(client.get, url) for _ in range(3)]
until(lambda: len(recorder.all("dns_start")) == 3)
hopeless = Call(client.get, url, timeout=hpool.Timeout(connect=0.05), trace=late)
assert isinstance(hopeless.error(), hpool.ConnectTimeout)
os.read(asked, 1)
os.write(go, b".")
for call in calls:
    assert call.result().read() == b"ok"
client.close()
done = [info["coalesced"] for info in recorder.all("dns_done") if not info["error"]]
late = late.one("dns_done")
print(sorted(done), late["coalesced"], late["error"], late["addresses"])
"""


def test_a_shared_look_up(server, tmp_path):
    """Who joins a look-up is told so; who gives up first is told that it is done
    for him. It is told while the look-up is waited for."""
    s = server([expect(), send(BYE), close()])
    source = os.path.join(os.path.dirname(__file__), "../server/slow_dns.c")
    library = compile_c(source, tmp_path / "slow_dns.so", "-shared", "-fPIC")
    asked, go = os.pipe(), os.pipe()
    environment = {
        "LD_PRELOAD": str(library),
        "SLOW_DNS_ASKED": str(asked[1]),
        "SLOW_DNS_GO": str(go[0]),
    }
    arguments = (s.port, asked[0], go[1])
    try:
        output = child.run(
            SHARED_LOOK_UP, *arguments, pass_fds=(*asked, *go), **environment
        )
    finally:
        for fd in (*asked, *go):
            os.close(fd)
    assert output == "[False, True, True] True timed out []\n"


# ---- dials -------------------------------------------------------------------


def test_happy_eyeballs(server, new_client):
    """Each attempt is told: one is refused, one is overtaken and abandoned, one
    wins."""
    s = server([serve(OK)])
    recorder = Recorder()
    with refused_port() as deaf, silent_port() as silent:
        addresses = [f"127.0.0.1:{port}" for port in (deaf, silent, s.port)]
        client = new_client(trace=recorder, resolve={"a.test:80": addresses})
        fetch(client, "http://a.test/")
    started = [info["address"] for info in recorder.all("connect_start")]
    assert started == addresses
    ended = {i["address"]: i["error"] for i in recorder.all("connect_done")}
    assert ended == dict(zip(addresses, ["Connection refused", "abandoned", None]))
    times = [info["time"] for info in recorder.all("connect_start")]
    assert times[2] - times[1] >= 0.25
    assert len({i["conn"] for i in recorder.all("connect_done")}) == 1
    assert recorder.names.count("got_conn") == 1


def test_no_address_answers(new_client):
    recorder = Recorder()
    with refused_port() as deaf:
        with pytest.raises(hpool.ConnectError):
            new_client(trace=recorder).get(f"http://127.0.0.1:{deaf}/")
    assert recorder.story() == [
        "request_start",
        "get_conn",
        "connect_start",
        "connect_done",
        "request_done",
    ]
    assert recorder.one("connect_done")["error"] == "Connection refused"


def test_a_dial_times_out_and_is_told_while_it_lasts(new_client):
    """connect_start comes while the dial hangs, connect_done at its end."""
    recorder = Recorder()
    with silent_port() as silent:
        url = f"http://127.0.0.1:{silent}/"
        call = Call(
            new_client(trace=recorder).get, url, timeout=hpool.Timeout(connect=0.2)
        )
        until(lambda: "connect_start" in recorder.names)
        assert "connect_done" not in recorder.names
        assert isinstance(call.error(), hpool.ConnectTimeout)
    assert recorder.one("connect_done")["error"] == "timed out"


def test_an_address_of_the_wrong_kind_fails_at_once(new_client):
    """A connect() that fails on the spot is an attempt like any other."""
    recorder = Recorder()
    client = new_client(
        trace=recorder,
        resolve={"a.test": "127.0.0.1"},
        local_address="192.0.2.1",
    )
    with pytest.raises(hpool.ConnectError):
        client.get("http://a.test/")
    assert recorder.one("connect_start")["address"] == "127.0.0.1:80"
    assert "local address" in recorder.one("connect_done")["error"]


def test_a_unix_socket(server, new_client, tmp_path):
    path = tmp_path / "socket"
    server([serve(OK)], uds=path)
    recorder = Recorder()
    fetch(new_client(trace=recorder, uds=str(path)), "http://a.test/")
    assert recorder.one("connect_done")["address"] == f"unix:{path}"
    assert recorder.one("got_conn")["host"] == "a.test:80"


def test_a_dial_of_the_users_own(server, new_client):
    """dial= is an attempt to reach the host."""
    s = server([serve(OK)])

    def dial(host, port, timeout):
        if host == "b.test":
            raise RuntimeError("no")
        return socket.create_connection(("127.0.0.1", s.port))

    recorder = Recorder()
    client = new_client(trace=recorder, dial=dial)
    fetch(client, "http://a.test/")
    assert recorder.one("connect_start")["address"] == "a.test:80"
    assert recorder.one("connect_done")["error"] is None
    assert recorder.one("got_conn")["remote"] == f"127.0.0.1:{s.port}"
    failed = Recorder()
    with pytest.raises(RuntimeError):
        client.get("http://b.test/", trace=failed)
    assert "dial= failed" in failed.one("connect_done")["error"]
    assert failed.one("request_done")["error"] == "RuntimeError"


# ---- orphans -----------------------------------------------------------------


def test_an_orphaned_dial_is_told_to_the_client(new_client):
    """A request that dials is handed a connection that comes back; its dial goes on,
    and what becomes of it is told as of no request."""
    with Clogged() as server:
        client, recorder = new_client(), Recorder()
        first = Call(client.get, server.url)
        held = server.accept()
        until(lambda: client.stats().total.in_use == 1)
        server.clog()
        client.trace = recorder
        second = Call(client.get, server.url)
        until(lambda: "connect_start" in recorder.names)
        server.serve(held, OK)
        assert first.result().read() == b"ok"
        server.serve(held, OK)
        assert second.result().read() == b"ok"
        dial = recorder.one("connect_start")
        assert dial["request"] > 0
        assert "connect_done" not in recorder.names
        server.release()
        until(lambda: client.stats().total.idle == 2)
        done = recorder.one("connect_done")
        assert (done["request"], done["error"]) == (0, None)
        assert done["conn"] == dial["conn"]
        assert recorder.one("got_conn")["conn"] != dial["conn"]


def test_an_orphan_that_is_given_up(new_client):
    """close() gives the orphan up: abandoned, and never connected."""
    with Clogged() as server:
        client, recorder = new_client(trace=Recorder()), Recorder()
        client.trace = recorder
        server.clog()
        call = Call(client.get, server.url, timeout=hpool.Timeout(total=0.1))
        assert isinstance(call.error(), hpool.TotalTimeout)
        client.close()
        until(lambda: client.stats() and "connect_done" in recorder.names)
        assert recorder.one("connect_done")["error"] == "abandoned"
        assert "conn_closed" not in recorder.names


def test_an_adopted_dial_is_told_to_its_new_request(new_client):
    """The next request takes the orphan over, and is told the rest."""
    with Clogged() as server:
        client, first, second = new_client(), Recorder(), Recorder()
        server.clog()
        call = Call(client.get, server.url, timeout=hpool.Timeout(total=0.1), trace=first)
        assert isinstance(call.error(), hpool.TotalTimeout)
        call = Call(client.get, server.url, trace=second)
        until(lambda: "get_conn" in second.names)
        server.release()
        server.serve(server.accept(), OK)
        assert call.result().read() == b"ok"
        assert "connect_done" not in first.names
        assert second.one("connect_done")["conn"] == first.one("connect_start")["conn"]
        assert "connect_start" not in second.names


# ---- the queue ---------------------------------------------------------------


def test_the_queue_is_told_of_while_it_is_stood_in(server, new_client):
    """Who waits has been told his place, and how many wait in all."""
    s, other = server([serve(BIG)]), server([serve(BIG)])
    client = new_client(limits=one())
    held = [client.get(s.url), client.get(other.url)]
    recorders = [Recorder() for _ in range(3)]
    calls = []
    for n, (url, recorder) in enumerate(zip([s.url, s.url, other.url], recorders), 1):
        calls.append(Call(client.get, url, trace=recorder))
        until(lambda recorder=recorder: "queue_entered" in recorder.names)
        assert recorder.names == ["request_start", "get_conn", "queue_entered"]
        assert calls[-1].is_alive()
        until_waiting(client, n)
    places = [
        (i["position"], i["waiting"]) for r in recorders for i in r.all("queue_entered")
    ]
    assert places == [(1, 1), (2, 2), (1, 3)]
    for response in held:
        response.read()
    for call in calls:
        assert len(call.result().read()) == 300_000
    for recorder in recorders:
        left = recorder.one("queue_left")
        assert left["outcome"] == "connection"
        entered = recorder.one("queue_entered")["time"]
        assert left["waited"] == pytest.approx(left["time"] - entered)
        assert recorder.story()[2:5] == ["queue_entered", "queue_left", "got_conn"]
        assert recorder.one("got_conn")["reused"] is True
        assert recorder.one("got_conn")["was_idle"] is False


def test_a_slot_comes_free(server, new_client):
    bye = respond(b"x" * 300_000, headers={"Connection": "close"})
    s = server([expect(), send(bye), close()], [serve(OK)])
    client, recorder = new_client(limits=one()), Recorder()
    held = client.get(s.url)
    call = Call(client.get, s.url, trace=recorder)
    until(lambda: "queue_entered" in recorder.names)
    held.read()
    assert call.result().read() == b"ok"
    assert recorder.one("queue_left")["outcome"] == "slot"
    assert recorder.one("got_conn")["reused"] is False


def test_the_line_of_all_hosts(server, new_client):
    """Under max_conns there is one line over all hosts."""
    s, other = server([serve(BIG)]), server([serve(OK)])
    client = new_client(limits=hpool.Limits(max_conns=1))
    held = client.get(s.url)
    first, second = Recorder(), Recorder()
    calls = [Call(client.get, s.url, trace=first)]
    until(lambda: "queue_entered" in first.names)
    calls.append(Call(client.get, other.url, trace=second))
    until(lambda: "queue_entered" in second.names)
    assert second.one("queue_entered")["position"] == 2
    held.read()
    assert len(calls[0].result().read()) == 300_000
    assert calls[1].result().read() == b"ok"
    assert second.one("queue_left")["outcome"] == "slot"


@pytest.mark.parametrize("limit", ["max_conns_per_host", "max_conns"])
def test_the_place_of_a_request_that_is_sent_again(server, new_client, limit):
    """The server takes a kept connection away from a request while two others stand
    in line. It asks for another: not behind them, and with its true place."""
    go = threading.Event()
    lost = [expect(), send(OK), expect(), wait(go), close()]
    s = server(lost, [serve(OK)])
    client = new_client(limits=hpool.Limits(**{limit: 1}))
    client.get(s.url).read()
    recorders, calls = [Recorder() for _ in range(3)], []
    for n, recorder in enumerate(recorders):
        path = f"{s.url}/{n}"
        calls.append(Call(lambda p, r: client.get(p, trace=r).read(), path, recorder))
        until(lambda r=recorder: {"wrote_request", "queue_entered"} & set(r.names))
    go.set()
    assert [call.result() for call in calls] == [b"ok"] * 3
    places = [
        [(i["position"], i["waiting"]) for i in r.all("queue_entered")]
        for r in recorders
    ]
    # The slot went to the one that had waited for longest; of those that still
    # wait the replayed request is the oldest.
    assert places == [[(1, 2)], [(1, 1)], [(2, 2)]]
    assert [r.target for r in s.requests] == ["/", "/0", "/1", "/0", "/2"]
    assert recorders[0].one("retry")["reason"] == "lost_before_first_byte"


def leave_by_timeout(client, url, recorder, token):
    return client.get(url, timeout=hpool.Timeout(pool=0.05), trace=recorder)


def leave_by_deadline(client, url, recorder, token):
    with hpool.deadline(0.05):
        return client.get(url, trace=recorder)


def leave_by_token(client, url, recorder, token):
    return client.get(url, cancel=token, trace=recorder)


def leave_by_close(client, url, recorder, token):
    return client.get(url, trace=recorder)


@pytest.mark.parametrize(
    "leave, outcome, error",
    [
        (leave_by_timeout, "timeout", "PoolTimeout"),
        (leave_by_deadline, "deadline", "TotalTimeout"),
        (leave_by_token, "cancelled", "Cancelled"),
        (leave_by_close, "closed", "ClosedError"),
    ],
)
def test_the_queue_is_left_in_vain(server, new_client, leave, outcome, error):
    s = server([serve(BIG)])
    client, recorder, token = new_client(limits=one()), Recorder(), hpool.CancelToken()
    held = client.get(s.url)
    call = Call(leave, client, s.url, recorder, token)
    until(lambda: "queue_entered" in recorder.names)
    if outcome == "cancelled":
        token.cancel()
    if outcome == "closed":
        client.close()
    assert type(call.error()).__name__ == error
    assert recorder.story()[2:] == ["queue_entered", "queue_left", "request_done"]
    assert recorder.one("queue_left")["outcome"] == outcome
    assert recorder.one("request_done")["error"] == error
    held.close()


def test_a_full_queue_is_not_entered(server, new_client):
    s = server([serve(BIG)])
    client, recorder = new_client(limits=one(max_waiting=0)), Recorder()
    with client.get(s.url), pytest.raises(hpool.QueueFull):
        client.get(s.url, trace=recorder)
    assert recorder.names == ["request_start", "get_conn", "request_done"]


# ---- the request -------------------------------------------------------------


def test_the_body_is_held_back_in_vain(server, new_client):
    """A final answer instead of 100: nothing of it is sent, and that is told."""
    s = server(
        [
            expect(body=False),
            send(respond(status=417, headers={"Connection": "close"})),
            close(),
        ]
    )
    recorder = Recorder()
    client = new_client(trace=recorder)
    client.post(s.url, content=b"x", headers={"Expect": "100-continue"}).read()
    story = recorder.story()
    assert story[story.index("wrote_headers") :] == [
        "wrote_headers",
        "wait_100_continue",
        *ANSWER,
        "wrote_request",
        "conn_closed",
        "request_done",
    ]
    assert recorder.one("wrote_request")["error"] is None


def test_a_write_fails(server, new_client):
    """The upload breaks off; the answer that came before is got nevertheless."""
    s = server([expect(body=False), send(respond(b"no", status=413)), close()])
    recorder = Recorder()
    client = new_client(trace=recorder)
    assert client.post(s.url, content=b"x" * 30_000_000).status_code == 413
    assert recorder.one("wrote_request")["error"]
    assert recorder.one("got_response")["status"] == 413
    assert recorder.one("request_done")["error"] is None


def test_header_fields_are_told_when_they_are_out(server, new_client):
    """wrote_headers comes after all of its fields, before anything of the answer."""
    s = server([serve(OK)])
    recorder = Recorder()
    fetch(new_client(trace=recorder), s.url)
    names = recorder.names
    fields = [i for i, name in enumerate(names) if name == "wrote_header_field"]
    assert names[fields[-1] + 1 : fields[-1] + 3] == ["wrote_headers", "wrote_request"]
    assert fields == list(range(fields[0], fields[-1] + 1))


def test_a_body_that_takes_its_time(server, new_client):
    """Who makes the pieces of the body may wait: what was sent so far is told."""
    s = server([serve(OK)])
    recorder = Recorder()

    def body():
        assert recorder.names[-1] == "wrote_headers"
        yield b"x"

    client = new_client(trace=recorder)
    assert client.post(s.url, content=body()).read() == b"ok"


# ---- interim responses -------------------------------------------------------


def test_s99_interim_responses_are_told(server, new_client):
    """123 with a field, then 200: the trace sees the one, the caller the other."""
    s = server([expect(), send(b"HTTP/1.1 123 Whatever\r\nFoo: bar\r\n\r\n" + OK)])
    recorder = Recorder()
    assert fetch(new_client(trace=recorder), s.url) == b"ok"
    interim = recorder.one("got_1xx_response")
    assert (interim["status"], interim["headers"]) == (123, [("Foo", "bar")])
    assert "got_100_continue" not in recorder.names
    assert recorder.one("got_first_response_byte")


@pytest.mark.parametrize("split", [False, True])
def test_s100_interim_responses_that_are_told_count_for_no_limit(
    server, new_client, split
):
    """Ten interim heads of 200 bytes go beyond a limit of 1,024 for the head, unless
    somebody is told of each."""
    interim = b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 200 + b"\r\n\r\n"
    pieces = [interim] * 10 + [respond(b"ok")]
    script = [expect(), send(*(pieces if split else [b"".join(pieces)])), until_closed()]
    s = server(script)
    client = new_client(max_header_bytes=1024)
    with pytest.raises(hpool.RemoteProtocolError, match="max_header_bytes"):
        client.get(s.url)
    recorder = Recorder()
    assert fetch(client, s.url, trace=recorder) == b"ok"
    assert len(recorder.all("got_1xx_response")) == 10
    assert recorder.all("got_1xx_response")[9]["headers"] == [("X", "x" * 200)]


def test_s100_a_single_head_is_limited_all_the_same(server, new_client):
    s = server(
        [
            expect(),
            send(b"HTTP/1.1 103 E\r\nX: " + b"x" * 2000 + b"\r\n\r\n" + OK),
            until_closed(),
        ]
    )
    with pytest.raises(hpool.RemoteProtocolError, match="max_header_bytes"):
        new_client(max_header_bytes=1024, trace=Recorder()).get(s.url)


# ---- retries -----------------------------------------------------------------


def test_a_retry(server, new_client):
    """A kept connection that is lost before the first byte: told as a write without
    error, a close, a retry, and the sequence anew."""
    s = server([expect(), send(OK), expect(), close()], [serve(OK)])
    client, recorder = new_client(), Recorder()
    fetch(client, s.url)
    assert fetch(client, s.url, trace=recorder) == b"ok"
    assert recorder.story("connect_start", "connect_done") == [
        "request_start",
        *KEPT,
        "conn_closed",
        "retry",
        *KEPT,
        *ANSWER,
        "put_idle_conn",
        "request_done",
    ]
    retry = recorder.one("retry")
    assert (retry["reason"], retry["attempt"]) == ("lost_before_first_byte", 2)
    assert [info["attempt"] for info in recorder.all("get_conn")] == [1, 2]
    old, new = (info["conn"] for info in recorder.all("got_conn"))
    assert old != new
    closed = recorder.one("conn_closed")
    assert (closed["conn"], closed["reason"]) == (old, "server_closed_idle")
    assert closed["requests"] == 1  # the second was not served
    assert recorder.all("get_conn")[1]["conn"] == 0


def test_a_dead_connection_is_no_attempt(server, new_client):
    """What is found dead before anything is sent is closed, and no retry."""
    s = server([expect(), send(OK), half_close()], [serve(OK)])
    client, recorder = new_client(), Recorder()
    # The keeper's look is further away than the test.
    fetch(client, s.url)
    s.connections[0].ended.wait(10)
    assert fetch(client, s.url, trace=recorder) == b"ok"
    assert "retry" not in recorder.names
    assert len(recorder.all("get_conn")) == len(recorder.all("got_conn")) == 1


# ---- the end -----------------------------------------------------------------


@pytest.mark.parametrize(
    "answer, reason",
    [
        (BYE, "response_says_close"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "http_1_0"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", "until_close_body"),
    ],
)
def test_put_idle_conn_is_not_told_of_what_was_never_eligible(
    server, new_client, answer, reason
):
    s = server([expect(), send(answer), close()])
    recorder = Recorder()
    assert fetch(new_client(trace=recorder), s.url) == b"ok"
    assert recorder.story()[-2:] == ["conn_closed", "request_done"]
    assert "put_idle_conn" not in recorder.names
    assert recorder.one("conn_closed")["reason"] == reason
    assert recorder.one("conn_closed")["requests"] == 1


def test_put_idle_conn_when_the_request_says_close(server, new_client):
    s = server([expect(), send(OK), until_closed()])
    recorder = Recorder()
    fetch(new_client(trace=recorder), s.url, headers={"Connection": "close"})
    assert "put_idle_conn" not in recorder.names
    assert recorder.one("conn_closed")["reason"] == "request_says_close"


def test_put_idle_conn_with_keepalives_disabled(server, new_client):
    s = server([expect(), send(OK), until_closed()])
    recorder = Recorder()
    limits = hpool.Limits(disable_keepalives=True)
    fetch(new_client(trace=recorder, limits=limits), s.url)
    assert "put_idle_conn" not in recorder.names
    assert "conn_closed" in recorder.names


@pytest.mark.parametrize(
    "limits, reason",
    [
        ({"max_idle_conns": 0}, "idle_cap_total"),
        ({"max_requests_per_conn": 1}, "max_requests"),
        ({"idle_conn_timeout": 0}, "idle_timeout"),
    ],
)
def test_put_idle_conn_says_why_the_pool_did_not_want_it(
    server, new_client, limits, reason
):
    s = server([expect(), send(OK), until_closed()])
    recorder = Recorder()
    fetch(new_client(trace=recorder, limits=hpool.Limits(**limits)), s.url)
    assert recorder.story()[-3:] == ["put_idle_conn", "conn_closed", "request_done"]
    assert recorder.one("put_idle_conn")["reason"] == reason
    assert recorder.one("conn_closed")["reason"] == reason


def test_put_idle_conn_with_bytes_left_over(server, new_client):
    s = server([expect(), send(OK + b"surplus"), until_closed()])
    recorder = Recorder()
    fetch(new_client(trace=recorder), s.url)
    assert recorder.one("put_idle_conn")["reason"] == "leftover_bytes"


def test_put_idle_conn_to_a_waiter(server, new_client):
    """Handed over is as good as pooled."""
    s = server([serve(BIG)])
    client, recorder = new_client(limits=one()), Recorder()
    held = client.get(s.url, trace=recorder)
    call = Call(client.get, s.url)
    until_waiting(client, 1)
    held.read()
    assert recorder.one("put_idle_conn")["reason"] is None
    assert len(call.result().read()) == 300_000


def test_a_body_that_is_read_by_and_by(server, new_client):
    """The end of the body is told before the read that sees it returns."""
    go = threading.Event()
    s = server(
        [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", go, b"cd")]
    )
    recorder = Recorder()
    response = new_client(trace=recorder).get(s.url)
    pieces = response.iter_content(2)
    assert next(pieces) == b"ab"
    assert recorder.names[-1] == "got_response"
    go.set()
    assert next(pieces) == b"cd"
    assert recorder.names[-2:] == ["put_idle_conn", "request_done"]
    assert list(pieces) == []


@pytest.mark.parametrize("how", ["close", "with", "collected", "iterator"])
def test_a_body_that_is_closed_early(server, new_client, how):
    """What a close causes is told by it, whoever closes: the drain begins."""
    s = server([serve(respond(b"x" * 100_000))])
    recorder = Recorder()
    client = new_client(trace=recorder, limits=hpool.Limits(drain_timeout=5))
    response = client.get(s.url)
    if how == "close":
        response.close()
    elif how == "with":
        with response:
            pass
    elif how == "iterator":
        pieces = response.iter_content(10)
        next(pieces)
        pieces.close()
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del response
            gc.collect()
    done = recorder.one("request_done")
    assert (done["status"], done["error"]) == (200, None)
    assert recorder.names[-1] == "request_done"
    until_idle(client, 1)


def test_a_drain(server, new_client):
    """The body that is left goes to the drain: its start is the request's, its end
    the client's, and then the connection is put idle."""
    go = threading.Event()
    body = b"x" * 100_000
    s = server([expect(), send(respond(body)[:-1000], go, body[-1000:]), until_closed()])
    recorder = Recorder()
    client = new_client(trace=recorder, limits=hpool.Limits(drain_timeout=10))
    response = client.get(s.url)
    response.close()
    assert recorder.story()[-2:] == ["drain_start", "request_done"]
    start = recorder.one("drain_start")
    assert 1000 <= start["left"] < 100_000
    assert start["request"] > 0
    assert "put_idle_conn" not in recorder.names
    go.set()
    until_idle(client, 1)
    end = recorder.one("drain_end")
    assert (end["request"], end["reason"]) == (0, None)
    assert end["conn"] == start["conn"]
    assert end["host"] == start["host"]
    assert end["time"] >= start["time"]
    put = recorder.one("put_idle_conn")
    assert (put["request"], put["conn"], put["reason"]) == (0, start["conn"], None)


def test_a_drain_that_takes_too_long(server, new_client):
    s = server([expect(), send(respond(b"x" * 100_000)[:-1000]), until_closed()])
    recorder = Recorder()
    client = new_client(trace=recorder, limits=hpool.Limits(drain_timeout=0.05))
    client.get(s.url).close()
    # Told a little after it counts as closed.
    until(lambda: client.stats() and recorder.all("conn_closed"))
    assert recorder.one("drain_end")["reason"] == "drain_timeout"
    assert recorder.one("conn_closed")["reason"] == "drain_timeout"
    assert recorder.one("conn_closed")["request"] == 0
    assert "put_idle_conn" not in recorder.names


def test_a_drain_of_unknown_length(server, new_client):
    s = server([expect(), send(respond_chunked(b"x" * 100_000)), until_closed()])
    recorder = Recorder()
    client = new_client(trace=recorder, limits=hpool.Limits(drain_timeout=5))
    client.get(s.url).close()
    assert recorder.one("drain_start")["left"] is None
    until_idle(client, 1)


def test_not_worth_a_drain(server, new_client):
    """Too much is left: closed at once, which is told by the close."""
    s = server([expect(), send(respond(b"x" * 3_000_000)), until_closed()])
    recorder = Recorder()
    new_client(trace=recorder).get(s.url).close()
    assert recorder.story()[-2:] == ["conn_closed", "request_done"]
    assert recorder.one("conn_closed")["reason"] == "drain_too_long"
    assert "drain_start" not in recorder.names


def test_an_upgrade(server, new_client):
    """A connection that is handed out is gone for the pool."""
    answer = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    s = server([expect(), send(answer), until_closed()])
    recorder = Recorder()
    client = new_client(trace=recorder)
    headers = {"Upgrade": "x", "Connection": "upgrade"}
    client.get(s.url, headers=headers).upgraded().close()
    assert recorder.story()[-3:] == ["got_response", "conn_closed", "request_done"]
    assert recorder.one("conn_closed")["reason"] == "upgraded"
    assert recorder.one("request_done")["status"] == 101
    assert "got_1xx_response" not in recorder.names


# ---- what no request has done ------------------------------------------------


def test_the_keepers_close_is_told_later(server, new_client):
    """A server that closes an idle connection is noticed by the keeper; the next call
    on the client tells of it, whoever makes it."""
    go = threading.Event()
    s = server([expect(), send(OK), wait(go), close()], [serve(OK)])
    recorder = Recorder()
    client = new_client(trace=recorder)
    fetch(client, s.url)
    told = len(recorder.names)
    go.set()
    until(lambda: sockets_to(s.port) == 0)
    assert len(recorder.names) == told
    fetch(client, s.url)
    closed = recorder.one("conn_closed")
    assert recorder.infos[told] == closed
    assert (closed["request"], closed["reason"]) == (0, "server_closed_idle")
    assert (closed["requests"], closed["host"]) == (1, f"127.0.0.1:{s.port}")
    assert closed["age"] > 0


@pytest.mark.parametrize("call", ["stats", "close_idle", "close"])
def test_calls_that_tell(server, new_client, call):
    s = server([serve(OK)])
    recorder = Recorder()
    client = new_client(trace=recorder)
    fetch(client, s.url)
    getattr(client, call)()
    reasons = {"close_idle": ["close_idle_called"], "close": ["pool_closed"]}
    told = [info["reason"] for info in recorder.all("conn_closed")]
    assert told == reasons.get(call, [])


def test_an_evicted_connection_is_told_to_the_client_alone(server, new_client):
    """A request that pushes another connection out is not told of that."""
    one_, other = server([serve(OK)]), server([serve(OK)])
    mine, clients = Recorder(), Recorder()
    client = new_client(trace=clients, limits=hpool.Limits(max_idle_conns=1))
    fetch(client, one_.url)
    fetch(client, other.url, trace=mine)
    assert mine.one("put_idle_conn")["reason"] is None
    assert "conn_closed" not in mine.names
    closed = clients.one("conn_closed")
    assert (closed["reason"], closed["request"]) == ("idle_cap_total", 0)
    assert closed["host"] == f"127.0.0.1:{one_.port}"


def test_a_close_reaches_both_handlers_once(server, new_client):
    s = server([expect(), send(BYE), close()])
    mine, clients = Recorder(), Recorder()
    client = new_client(trace=clients)
    fetch(client, s.url, trace=mine)
    client.stats()
    assert mine.one("conn_closed") == clients.one("conn_closed")


def test_only_while_there_is_a_trace(server, new_client):
    """Nothing is kept for a trace that is not there, and nothing of the time before
    is told to one that comes later."""
    s = server([serve(OK)])
    client, recorder = new_client(), Recorder()
    fetch(client, s.url)
    client.close_idle()
    client.trace = recorder
    client.stats()
    assert recorder.names == []
    fetch(client, s.url)
    client.trace = None
    client.close_idle()
    client.trace = recorder
    client.stats()
    assert "conn_closed" not in recorder.names


def test_a_connection_from_before_the_trace(server, new_client):
    s = server([serve(OK)])
    client, recorder = new_client(), Recorder()
    fetch(client, s.url)
    client.trace = recorder
    client.close_idle()
    assert recorder.one("conn_closed")["reason"] == "close_idle_called"


def test_a_full_ring(server, new_client):
    """More happens than is taken: the oldest 1,024 are told, the others counted."""
    s = server([serve(OK)])
    recorder, closed = Recorder(), []

    def handler(event, info):
        recorder(event, info)
        if event == "request_start" and not recorder.all("conn_closed"):
            # While a handler runs nothing else is told: it piles up.
            while sum(closed) < 1030:
                fetch(client, s.url)
                closed.append(client.close_idle())

    client = new_client(trace=handler)
    fetch(client, s.url)
    assert len([i for i in recorder.all("conn_closed") if i["request"] == 0]) == 1024
    dropped = recorder.one("dropped")
    assert recorder.infos[-1] is dropped
    assert dropped["count"] == 6
    assert (dropped["request"], dropped["conn"], dropped["host"]) == (0, 0, "")
    fetch(client, s.url)
    client.close_idle()
    assert recorder.names[-1] == "conn_closed"
    recorder.one("dropped")


# ---- cost --------------------------------------------------------------------

LIGHT = """
import sys
import hpool

client = hpool.Client()
client.get(sys.argv[1]).read()
assert "hpool._trace" not in sys.modules
client.trace = print
assert "hpool._trace" in sys.modules
"""


def test_nothing_is_imported_without_a_trace(server):
    s = server([serve(OK)])
    child.run(LIGHT, s.url)


def test_every_event_is_seen_by_these_tests():
    """A name that no test waits for may be told wrongly by all of them."""
    with open(__file__) as file:
        text = file.read()
    missing = [event for event in EVENTS if f'"{event}"' not in text]
    assert missing == []
