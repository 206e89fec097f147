"""hpool's adapter beyond what requests' own has: its settings, its life, and
the methods that subclasses override."""

import gc
import pickle
import ssl
import threading
import warnings

import pytest
import requests
import urllib3
from requests import exceptions

import hpool
from hpool.adapters.requests import HTTPAdapter
from tests.adapters.conftest import mount
from tests.life.child import run
from tests.server.nginx import SMALL
from tests.server.scripted import (
    ScriptedServer,
    expect,
    respond,
    send,
    serve,
    until_closed,
    wait,
)
from tests.tools import (
    Call,
    gauges,
    sockets_to,
    until,
    until_idle,
    until_waiting,
)

# ---- settings ----------------------------------------------------------------


def limits_of(adapter):
    return adapter.poolmanager.client.limits


def test_the_defaults_of_requests_are_hpools_limits():
    assert limits_of(HTTPAdapter()) == hpool.Limits()
    assert limits_of(HTTPAdapter(10, 10)) == hpool.Limits()


def test_pool_sizes_are_limits():
    assert limits_of(HTTPAdapter(2, 3)) == hpool.Limits(
        max_idle_conns=6, max_idle_conns_per_host=3
    )
    blocking = limits_of(HTTPAdapter(pool_maxsize=4, pool_block=True))
    assert blocking.max_conns_per_host == 4


def test_limits_replace_them():
    limits = hpool.Limits(max_conn_age=60)
    assert limits_of(HTTPAdapter(2, 3, limits=limits)) == limits


def test_pool_block_makes_requests_wait(hpool_session, server, client_of):
    session = hpool_session(pool_maxsize=1, pool_block=True)
    go = threading.Event()

    def script(connection):
        connection.expect()
        connection.wait(go)
        connection.send(respond(b"1"))
        connection.serve(respond(b"2"))

    srv = server(script)
    calls = [Call(session.get, srv.url)]
    srv.wait_requests(1)
    # The wait has no limit, as in requests, whatever the request's own are.
    calls.append(Call(session.get, srv.url, timeout=0.2))
    until_waiting(client_of(session), 1)
    calls[1].join(0.4)
    go.set()
    assert [call.result().content for call in calls] == [b"1", b"2"]
    assert len(srv.connections) == 1


def test_a_limit_for_waiting(hpool_session, server):
    session = hpool_session(
        limits=hpool.Limits(max_conns_per_host=1),
        timeout=hpool.Timeout(None, pool=0.05),
    )
    srv = server([expect(), until_closed()])
    first = Call(session.get, srv.url)
    srv.wait_requests(1)
    with pytest.raises(exceptions.ConnectTimeout, match="max_conns_per_host"):
        session.get(srv.url)
    session.close()
    assert isinstance(first.error(), exceptions.ConnectionError)


def test_a_full_queue(hpool_session, server):
    limits = hpool.Limits(max_conns_per_host=1, max_waiting=0)
    session = hpool_session(limits=limits)
    srv = server([expect(), until_closed()])
    first = Call(session.get, srv.url)
    srv.wait_requests(1)
    with pytest.raises(exceptions.ConnectionError, match="max_waiting") as caught:
        session.get(srv.url)
    assert isinstance(caught.value.args[0], urllib3.exceptions.EmptyPoolError)
    session.close()
    first.error()


def test_timeout_holds_where_a_request_says_nothing(hpool_session, server):
    session = hpool_session(timeout=0.05)
    with ScriptedServer([expect(), until_closed()]) as srv:
        with pytest.raises(exceptions.ReadTimeout):
            session.get(srv.url)
    go = threading.Event()
    srv = server([expect(), wait(go), send(respond(b"late"))])
    patient = Call(session.get, srv.url, timeout=10)
    patient.join(0.2)
    assert patient.is_alive()
    go.set()
    assert patient.result().content == b"late"


def test_a_total_ends_a_body_that_drips(hpool_session, server):
    def drip(connection):
        connection.expect()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not connection.closed.wait(0.01):
            connection.send(b"x")

    srv = server(drip)
    session = hpool_session(timeout=hpool.Timeout(None, total=0.1))
    with pytest.raises(exceptions.ConnectionError, match="Read timed out"):
        session.get(srv.url, timeout=10)


def test_client_and_limits_exclude_each_other():
    with hpool.Client() as client, pytest.raises(TypeError, match="client and limits"):
        HTTPAdapter(client=client, limits=hpool.Limits())


# ---- client= -----------------------------------------------------------------


def test_a_client_of_ones_own(hpool_session, server):
    """Its connections and settings are used; its headers, cookies and auth are
    not, nor does it follow redirects or raise."""
    srv = server(serve(respond(b"", 302, {"Location": "/", "Set-Cookie": "a=1"})))
    address = {"example.test": "127.0.0.1"}
    with hpool.Client(
        resolve=address,
        headers={"X-Own": "1"},
        params={"own": "1"},
        base_url="http://nowhere.invalid/own",
        raise_for_status=True,
    ) as client:
        session = hpool_session(client=client)
        url = f"http://example.test:{srv.port}/x"
        session.get(url, allow_redirects=False)
        session.get(url, allow_redirects=False)
        session.close()
        until_idle(client, 1)  # close() leaves what is not its own
        assert len(srv.connections) == 1
        assert dict(getattr(client, "cookies", {})) == {}
    first, _ = srv.requests
    assert first.line == "GET /x HTTP/1.1"
    assert first.get("X-Own") is None


def test_adapters_share_a_client(hpool_session, server):
    srv = server(serve(respond(b"hello")))
    with hpool.Client() as client:
        for _ in range(3):
            hpool_session(client=client).get(srv.url)
    assert len(srv.connections) == 1


def test_its_timeout_and_trust_hold(hpool_session, ca):
    with (
        ScriptedServer([expect(), until_closed()], tls=ca.server_context()) as srv,
        hpool.Client(timeout=0.05, verify=ca.pem) as client,
        pytest.raises(exceptions.ReadTimeout),
    ):
        hpool_session(client=client).get(srv.url)


def test_settings_of_sockets_are_the_clients_own():
    class Elsewhere(HTTPAdapter):
        def init_poolmanager(self, *args, **how):
            super().init_poolmanager(*args, **how, source_address=("127.0.0.9", 0))

    with hpool.Client() as client, pytest.raises(ValueError, match="source_address"):
        Elsewhere(client=client)


def test_a_closed_client(hpool_session):
    client = hpool.Client()
    client.close()
    with pytest.raises(exceptions.ConnectionError, match="closed") as caught:
        hpool_session(client=client).get("http://127.0.0.1:9/")
    assert caught.value.request.method == "GET"
    assert isinstance(caught.value.args[0], urllib3.exceptions.ClosedPoolError)


# ---- life --------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"x" * 1000, b"x" * 10_000_000], ids=["short", "long"])
def test_a_dropped_response_gives_its_connection_back(
    hpool_session, server, client_of, body
):
    srv = server(serve(respond(body)))
    session = hpool_session()
    response = session.get(srv.url, stream=True)
    client = client_of(session)
    response.raw.read(1)
    gc.collect()  # what others have left
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del response
        gc.collect()
        until(lambda: gauges(client)[1:] == (0, 0, 0, 0))
    assert [str(w.message) for w in caught] == []
    assert session.get(srv.url, stream=True).raw.read(1) == b"x"
    assert client.stats().total.leaked == 0


def test_nothing_is_left_of_a_session(server):
    srv = server(serve(respond(b"hello")))
    session = requests.Session()
    mount(session, HTTPAdapter())
    session.get(srv.url)
    del session
    gc.collect()
    srv.connections[0].wait_closed()


def test_close_closes_what_is_idle(hpool_session, server):
    srv = server(serve(respond(b"hello")))
    session = hpool_session()
    session.get(srv.url)
    session.close()
    srv.connections[0].wait_closed()


def test_a_session_pickles(hpool_session, server):
    srv = server(serve(respond(b"hello")))
    session = hpool_session(
        pool_maxsize=3,
        max_retries=urllib3.Retry(7),
        timeout=hpool.Timeout(None, total=9),
    )
    session.get(srv.url)
    again = pickle.loads(pickle.dumps(session))
    assert again.get(srv.url).content == b"hello"
    adapter = again.get_adapter(srv.url)
    assert isinstance(adapter, HTTPAdapter)
    assert adapter.max_retries.total == 7
    assert limits_of(adapter).max_idle_conns_per_host == 3
    assert adapter.poolmanager.timeout.total == 9
    again.close()


def test_an_adapter_with_a_client_pickles():
    with hpool.Client(resolve={"example.test": "127.0.0.1"}) as client:
        again = pickle.loads(pickle.dumps(HTTPAdapter(client=client)))
    assert again.poolmanager.client.resolve == {"example.test": ("127.0.0.1",)}
    assert not again.poolmanager.client.closed


def test_a_response_pickles(hpool_session, nginx):
    response = hpool_session().get(f"{nginx.http_url}/small")
    assert pickle.loads(pickle.dumps(response)).content == SMALL


def test_what_hpool_knows_of_a_response(hpool_session, nginx):
    session = hpool_session()
    for reused in (False, True):
        below = session.get(f"{nginx.http_url}/small").raw.hpool
        assert below.connection.reused is reused
        assert below.timings is not None


def test_shutdown_ends_a_read_in_another_thread(hpool_session, server):
    srv = server([expect(), send(respond(b"abc")[:-1]), until_closed()])
    response = hpool_session().get(srv.url, stream=True)
    assert response.raw.read(2) == b"ab"
    reading = Call(response.raw.read, 1)
    until(lambda: reading.is_alive())
    response.raw.shutdown()
    reading.error()


def test_many_threads_begin_with_one_client(hpool_session, nginx):
    session = hpool_session()
    ready = threading.Barrier(8)

    def first():
        ready.wait(10)
        session.get(f"{nginx.http_url}/small")
        return session.get_adapter("http://x").poolmanager.client

    calls = [Call(first) for _ in range(8)]
    assert len({id(call.result()) for call in calls}) == 1


FORKS = """
import os, sys
import requests
from hpool.adapters.requests import HTTPAdapter

url = sys.argv[1]
session = requests.Session()
session.mount("http://", HTTPAdapter())

def get():
    return session.get(url).raw.hpool.connection.local

mine = get()
pid = os.fork()
if pid == 0:
    os._exit(0 if get() != mine else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert get() == mine
print("done")
session.close()
"""


def test_a_session_survives_a_fork(server):
    """The child makes a connection of its own, the parent keeps its."""
    srv = server(serve(respond(b"hello")))
    assert run(FORKS, srv.url) == "done\n"
    assert [len(c.requests) for c in srv.connections] == [2, 1]


def test_no_socket_is_left(server):
    srv = server(serve(respond(b"hello")))
    for stream in (False, True):
        for _ in range(20):
            with requests.Session() as session:
                mount(session, HTTPAdapter())
                session.get(srv.url, stream=stream)
    gc.collect()
    until(lambda: sockets_to(srv.port) == 0)


# ---- subclasses --------------------------------------------------------------


def used(adapter, url, **how):
    with requests.Session() as session:
        session.trust_env = False
        mount(session, adapter)
        return session.get(url, **how)


def test_every_method_is_called(server):
    called = []

    def spy(name):
        def method(self, *args, **how):
            called.append(name)
            return getattr(HTTPAdapter, name)(self, *args, **how)

        return method

    names = [
        "init_poolmanager",
        "get_connection_with_tls_context",
        "build_connection_pool_key_attributes",
        "cert_verify",
        "request_url",
        "add_headers",
        "build_response",
    ]
    kind = type("Spied", (HTTPAdapter,), {name: spy(name) for name in names})
    srv = server(serve(respond(b"hello")))
    assert used(kind(), srv.url).content == b"hello"
    assert called == names


def test_request_url_is_what_is_asked_for(server):
    class Prefixed(HTTPAdapter):
        def request_url(self, request, proxies):
            return "/prefix" + super().request_url(request, proxies)

    srv = server(serve(respond(b"hello")))
    assert used(Prefixed(), f"{srv.url}/x?a=1").url == f"{srv.url}/x?a=1"
    assert srv.requests[0].target == "/prefix/x?a=1"


def test_add_headers_may_add(server):
    class Signed(HTTPAdapter):
        def add_headers(self, request, **how):
            assert set(how) == {"stream", "timeout", "verify", "cert", "proxies"}
            request.headers["X-Signed"] = "1"

    srv = server(serve(respond(b"hello")))
    used(Signed(), srv.url)
    assert srv.requests[0].get("X-Signed") == "1"


def test_build_response_may_change_what_comes_out(server):
    class Teapot(HTTPAdapter):
        def build_response(self, req, resp):
            response = super().build_response(req, resp)
            response.reason = "Tea"
            return response

    srv = server(serve(respond(b"hello")))
    assert used(Teapot(), srv.url).reason == "Tea"


class Pooled(HTTPAdapter):
    """As requests' documentation shows it: keywords for urllib3's pools."""

    keywords: dict = {}

    def init_poolmanager(self, *args, **how):
        super().init_poolmanager(*args, **how, **self.keywords)


class OldPooled(HTTPAdapter):
    """As it was shown formerly: urllib3's pool manager, made by itself."""

    keywords: dict = {}

    def init_poolmanager(self, connections, maxsize, block=False):
        self.poolmanager = urllib3.PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, **self.keywords
        )


@pytest.fixture(params=[Pooled, OldPooled])
def with_keywords(request):
    def make(**keywords):
        return type("Adapter", (request.param,), {"keywords": keywords})()

    return make


def test_source_address(with_keywords, server):
    srv = server(serve(respond(b"hello")))
    used(with_keywords(source_address=("127.0.0.9", 0)), srv.url)
    assert srv.connections[0].peer[0] == "127.0.0.9"


def test_ssl_context(with_keywords, ca):
    context = ssl.create_default_context(cafile=ca.pem)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with ScriptedServer(serve(respond(b"x")), tls=ca.server_context()) as srv:
        used(with_keywords(ssl_context=context), srv.url)
        assert srv.connections[0].tls.version() == "TLSv1.2"


def test_an_ssl_context_does_not_switch_verification_off(with_keywords, ca):
    """In urllib3 the request's verify= beats the context's."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with ScriptedServer([], tls=ca.server_context()) as srv:
        with pytest.raises(exceptions.SSLError):
            used(with_keywords(ssl_context=context), srv.url)


@pytest.mark.parametrize(
    ("keywords", "version"),
    [
        ({"ssl_version": ssl.PROTOCOL_TLS_CLIENT}, "TLSv1.3"),
        ({"ssl_maximum_version": ssl.TLSVersion.TLSv1_2}, "TLSv1.2"),
        ({"ssl_minimum_version": ssl.TLSVersion.TLSv1_3}, "TLSv1.3"),
    ],
)
def test_versions(with_keywords, ca, keywords, version):
    with ScriptedServer(serve(respond(b"x")), tls=ca.server_context()) as srv:
        used(with_keywords(**keywords), srv.url, verify=ca.pem)
        assert srv.connections[0].tls.version() == version


@pytest.mark.parametrize("name", ["server_hostname", "assert_hostname"])
def test_another_name_is_expected(with_keywords, ca, name):
    with ScriptedServer(serve(respond(b"x")), tls=ca.server_context("a.test")) as srv:
        used(with_keywords(**{name: "a.test"}), srv.url, verify=ca.pem)
    with ScriptedServer([], tls=ca.server_context("a.test")) as srv:
        with pytest.raises(exceptions.SSLError):
            used(with_keywords(**{name: "b.test"}), srv.url, verify=ca.pem)


def fingerprint(srv):
    import hashlib

    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", srv.port)))
    return hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("more", [{}, {"assert_hostname": False}])
def test_fingerprints(with_keywords, ca, more):
    names = ["other.test"] if more else []
    with ScriptedServer(serve(respond(b"x")), tls=ca.server_context(*names)) as srv:
        pin = fingerprint(srv)
        used(with_keywords(assert_fingerprint=pin, **more), srv.url, verify=ca.pem)
        wrong = with_keywords(assert_fingerprint="00" * 32, **more)
        with pytest.raises(exceptions.SSLError, match="fingerprint"):
            used(wrong, srv.url, verify=ca.pem)


def test_attributes_set_on_the_connection(ca):
    class Pinned(HTTPAdapter):
        def cert_verify(self, conn, url, verify, cert):
            super().cert_verify(conn, url, verify, cert)
            conn.assert_hostname = "a.test"

    with ScriptedServer(serve(respond(b"x")), tls=ca.server_context("a.test")) as srv:
        assert used(Pinned(), srv.url, verify=ca.pem).content == b"x"


def test_key_attributes(ca):
    class Trusting(HTTPAdapter):
        def build_connection_pool_key_attributes(self, request, verify, cert=None):
            where, how = super().build_connection_pool_key_attributes(
                request, verify, cert
            )
            how["ssl_context"] = ssl.create_default_context(cafile=ca.pem)
            return where, how

    with ScriptedServer(serve(respond(b"x")), tls=ca.server_context()) as srv:
        assert used(Trusting(), srv.url).content == b"x"


def test_a_connection_of_ones_own(nginx):
    """Whatever has a urlopen() will do."""

    class Elsewhere(HTTPAdapter):
        def get_connection_with_tls_context(self, *args, **how):
            return urllib3.HTTPConnectionPool("127.0.0.1", nginx.port)

    response = used(Elsewhere(), "http://nowhere.invalid/small")
    assert response.content == SMALL
    assert not hasattr(response.raw, "hpool")
    response.raw._pool.close()


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"assert_hostname": False}, "assert_hostname"),
        ({"assert_hostname": "a", "server_hostname": "b"}, "differs"),
        ({"ssl_version": ssl.PROTOCOL_TLSv1_1}, "ssl_version"),
        ({"assert_fingerprint": "00" * 20}, "fingerprint"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_1")
def test_what_hpool_has_nothing_for_is_refused(with_keywords, keywords, words):
    with pytest.raises(ValueError, match=words):
        used(with_keywords(**keywords), "https://127.0.0.1:9/")


def test_settings_may_change_while_it_lives(ca):
    adapter = HTTPAdapter()
    settings = adapter.poolmanager.connection_pool_kw
    with ScriptedServer(serve(respond(b"x")), tls=ca.server_context("a.test")) as srv:
        settings["server_hostname"] = "a.test"
        assert used(adapter, srv.url, verify=ca.pem).content == b"x"
        settings["nonsense"] = 1
        with pytest.raises(ValueError, match="nonsense"):
            used(adapter, srv.url, verify=ca.pem)


def test_a_pool_manager_of_another_kind_is_refused():
    class Manager(urllib3.PoolManager):
        pass

    adapter = HTTPAdapter()
    adapter.poolmanager = Manager()
    with pytest.raises(ValueError, match="Manager: this pool manager"):
        used(adapter, "http://127.0.0.1:9/")
