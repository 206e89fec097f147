"""patch(): requests' own adapter sends through hpool, in the whole process."""

import gc
import hashlib
import ssl
import threading

import pytest
import requests
import urllib3
from requests import exceptions
from requests.adapters import HTTPAdapter

import hpool
from hpool.adapters.requests import HTTPAdapter as OurAdapter
from hpool.adapters.requests import patch, unpatch
from tests.adapters.conftest import mount
from tests.server.nginx import SMALL
from tests.server.scripted import ScriptedServer, respond, serve
from tests.tools import until_idle

OWN = (HTTPAdapter.send, HTTPAdapter.close)


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    assert (HTTPAdapter.send, HTTPAdapter.close) == OWN


def through_hpool(response):
    return hasattr(response.raw, "hpool")


def get(url, adapter=None, **how):
    with requests.Session() as session:
        session.trust_env = False
        if adapter is not None:
            mount(session, adapter)
        return session.get(url, **how)


@pytest.fixture
def url(nginx):
    return f"{nginx.http_url}/small"


# ---- in force, and not -------------------------------------------------------


def test_patch_and_unpatch(url):
    assert not through_hpool(get(url))
    patch()
    try:
        assert through_hpool(get(url))
        assert through_hpool(requests.get(url))
        assert requests.get(url).content == SMALL
    finally:
        unpatch()
    assert not through_hpool(get(url))


def test_it_is_a_context_manager(url):
    with patch():
        assert through_hpool(get(url))
    assert not through_hpool(get(url))


def test_sessions_made_before_and_after(url):
    with requests.Session() as before:
        with patch(), requests.Session() as inside:
            assert through_hpool(before.get(url))
            assert through_hpool(inside.get(url))
        assert not through_hpool(before.get(url))
        assert not through_hpool(inside.get(url))
        inside.close()


def test_unpatch_without_a_patch_does_nothing():
    unpatch()


def test_patches_may_be_nested(server):
    srv = server(serve(respond(b"hello")))
    with hpool.Client() as outer, hpool.Client() as inner, patch(client=outer):
        get(srv.url)
        with patch(client=inner):
            get(srv.url)
            until_idle(inner, 1)
        get(srv.url)
        until_idle(outer, 1)
    assert len(srv.connections) == 2


def test_patches_may_end_in_any_order(url):
    first, second = patch(), patch()
    first.stop()
    assert through_hpool(get(url))
    second.stop()
    assert not through_hpool(get(url))


def test_another_patch_on_top_keeps_its_place(url):
    """As mocks do it: ours ends below theirs."""
    ours = patch()
    below = HTTPAdapter.send
    seen = []

    def send(self, *args, **how):
        response = below(self, *args, **how)
        seen.append(through_hpool(response))
        return response

    HTTPAdapter.send = send
    try:
        get(url)
        ours.stop()
        get(url)
        assert seen == [True, False]
        assert HTTPAdapter.send is send
    finally:
        HTTPAdapter.send = below
    assert not through_hpool(get(url))
    ours.stop()  # now there is nothing in the way


def test_hpools_own_adapter_is_left_alone(url):
    with patch():
        assert through_hpool(get(url, OurAdapter()))


# ---- connections -------------------------------------------------------------


def test_each_session_has_its_own_connections(server):
    srv = server(serve(respond(b"hello")))
    with patch():
        for _ in range(2):
            with requests.Session() as session:
                session.get(srv.url)
                session.get(srv.url)
    assert [len(c.requests) for c in srv.connections] == [2, 2]


def test_unless_they_are_given_a_client(server):
    srv = server(serve(respond(b"hello")))
    with hpool.Client() as client, patch(client=client):
        for _ in range(3):
            assert requests.get(srv.url).content == b"hello"
    assert len(srv.connections) == 1


def test_a_client_does_not_stand_in_for_an_address(server):
    srv = server(serve(respond(b"hello")))
    with hpool.Client() as client, patch(client=client):
        response = get(srv.url, pooled(source_address=("127.0.0.9", 0)))
    assert not through_hpool(response)
    assert srv.connections[0].peer[0] == "127.0.0.9"


def test_close_and_collection_close_connections(server):
    srv = server(serve(respond(b"hello")))
    with patch():
        session = requests.Session()
        session.get(srv.url)
        session.close()
        srv.connections[0].wait_closed()
        session.get(srv.url)
        del session
        gc.collect()
        srv.connections[1].wait_closed()


def test_the_end_of_a_patch_closes_what_is_idle(server):
    srv = server(serve(respond(b"x" * 1_000_000)))
    with requests.Session() as session:
        with patch():
            session.get(srv.url)
            kept = [session.get(srv.url, stream=True) for _ in range(2)]
            assert kept.pop().content  # and its connection is idle
        srv.connections[1].wait_closed()
        assert kept.pop().content == b"x" * 1_000_000


def test_limits_and_timeout(server):
    with ScriptedServer(lambda c: c.until_closed()) as srv, patch(timeout=0.05):
        with pytest.raises(exceptions.ReadTimeout):
            get(srv.url)


# ---- adapters that know better -----------------------------------------------


class Counted(HTTPAdapter):
    sent = 0

    def send(self, *args, **how):
        self.sent += 1
        return super().send(*args, **how)


def test_subclasses_go_through_hpool(url):
    adapter = Counted()
    with patch():
        assert through_hpool(get(url, adapter))
    assert adapter.sent == 1


def pooled(**keywords):
    class Pooled(HTTPAdapter):
        def init_poolmanager(self, *args, **how):
            super().init_poolmanager(*args, **how, **keywords)

    return Pooled()


def test_settings_hpool_has_are_honoured(server):
    srv = server(serve(respond(b"hello")))
    with patch():
        response = get(srv.url, pooled(source_address=("127.0.0.9", 0)))
    assert through_hpool(response)
    assert srv.connections[0].peer[0] == "127.0.0.9"


class OtherConnection(HTTPAdapter):
    def get_connection_with_tls_context(self, *args, **how):
        return super().get_connection_with_tls_context(*args, **how)


class OddManager(HTTPAdapter):
    def init_poolmanager(self, *args, **how):
        super().init_poolmanager(*args, **how)
        self.poolmanager = Odd(self.poolmanager)


class Odd:
    """Can be neither hashed nor referred to weakly."""

    __slots__ = ("of",)
    __hash__ = None

    def __init__(self, of):
        self.of = of

    def __getattr__(self, name):
        return getattr(self.of, name)


class OtherManager(HTTPAdapter):
    def init_poolmanager(self, *args, **how):
        super().init_poolmanager(*args, **how)
        self.poolmanager.pool_classes_by_scheme = dict(
            self.poolmanager.pool_classes_by_scheme
        )


@pytest.mark.parametrize(
    "make",
    [
        OtherConnection,
        OtherManager,
        OddManager,
        lambda: pooled(ssl_context=ssl.create_default_context()),
        lambda: pooled(blocksize=1, key_password="x", assert_hostname="a"),
    ],
    ids=["connection", "manager", "odd manager", "context", "name"],
)
def test_what_hpool_cannot_honour_goes_on_as_before(url, make):
    with patch():
        response = get(url, make())
    assert response.content == SMALL
    assert not through_hpool(response)


def test_a_context_with_a_clients_key_is_honoured(ca):
    """What Python does not show of it hpool could not know."""
    context = ca.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.pem)
    mine = ca.client_context()
    mine.load_cert_chain(*ca.files("client.test"))
    with ScriptedServer(serve(respond(b"x")), tls=context) as srv, patch():
        assert get(srv.url, pooled(ssl_context=mine), verify=ca.pem).ok


def test_a_pin_is_never_forgotten(ca):
    """Set when the pool manager is there already, in the form that hpool does
    not have (SHA-1) and in the one it has."""
    for digest, ours in (("sha1", False), ("sha256", True)):
        with ScriptedServer(
            serve(respond(b"x", headers={"Connection": "close"})),
            tls=ca.server_context(),
        ) as srv:
            der = ssl.PEM_cert_to_DER_cert(
                ssl.get_server_certificate(("127.0.0.1", srv.port))
            )
            pin = getattr(hashlib, digest)(der).hexdigest()
            adapter = HTTPAdapter()
            with patch(), requests.Session() as session:
                session.trust_env = False
                mount(session, adapter)
                session.get(srv.url, verify=ca.pem)
                pool = adapter.poolmanager.connection_pool_kw
                pool["assert_fingerprint"] = pin
                response = session.get(srv.url, verify=ca.pem)
                assert through_hpool(response) is ours
                pool["assert_fingerprint"] = "00" * (len(pin) // 2)
                with pytest.raises(exceptions.SSLError):
                    session.get(srv.url, verify=ca.pem)


def test_names_that_are_not_checked_are_left_to_urllib3(ca):
    class Lax(HTTPAdapter):
        def cert_verify(self, conn, url, verify, cert):
            super().cert_verify(conn, url, verify, cert)
            conn.assert_hostname = False

    with ScriptedServer(
        serve(respond(b"x")), tls=ca.server_context("other.test")
    ) as srv:
        with patch():
            response = get(srv.url, Lax(), verify=ca.pem)
    assert not through_hpool(response)


def test_threads_of_one_adapter_make_one_client(nginx):
    url = f"{nginx.http_url}/small"
    adapter = HTTPAdapter()
    ready = threading.Barrier(8)
    with patch() as patched, requests.Session() as session:
        mount(session, adapter)

        def first():
            ready.wait(10)
            session.get(url)

        threads = [threading.Thread(target=first) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(patched._managers) == 1


def test_errors_are_mapped(url):
    with patch(), pytest.raises(exceptions.ConnectionError) as caught:
        get("http://127.0.0.1:9/")
    assert isinstance(caught.value.args[0], urllib3.exceptions.MaxRetryError)
    assert caught.value.request.url == "http://127.0.0.1:9/"
