"""hpool under urllib3's PoolManager: what it says on its own pools, it says on
hpool's."""

import gzip
import io
import ssl
import threading

import pytest
import urllib3

from hpool.adapters.urllib3 import (
    HTTPConnectionPool,
    HTTPSConnectionPool,
    pool_classes,
)
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    respond_chunked,
    send,
    serve,
    silent_port,
    until_closed,
)
from tests.tools import Call, until

OK = respond(b"ok")


def managed(kind, **settings):
    manager = urllib3.PoolManager(**settings)
    if kind == "hpool":
        manager.pool_classes_by_scheme = pool_classes
    return manager


@pytest.fixture(params=["own", "hpool"])
def new_manager(request):
    made = []

    def make(**settings):
        made.append(managed(request.param, **settings))
        return made[-1]

    yield make
    for manager in made:
        manager.clear()


@pytest.fixture
def hpools():
    manager = managed("hpool")
    yield manager
    manager.clear()


def clients(manager):
    return [manager.pools.get(key).client for key in manager.pools.keys()]


def test_get(server, new_manager):
    s = server([serve(respond(b"hello", headers=[("X-A", "1"), ("X-A", "2")]))])
    response = new_manager().request("GET", s.url + "/a?b=c", headers={"X": "1"})
    assert (response.status, response.data, response.reason) == (200, b"hello", "OK")
    assert response.headers.getlist("x-a") == ["1", "2"]
    assert response.version == 11
    (request,) = s.requests
    assert request.target == "/a?b=c"
    assert request.get("Accept-Encoding") == "identity"
    assert request.get("User-Agent").startswith("python-urllib3/")
    assert request.get("X") == "1"
    assert request.get("Host") == f"127.0.0.1:{s.port}"


@pytest.mark.parametrize(
    "how",
    [
        {"body": b"abc"},
        {"body": "abc"},
        {"body": iter([b"a", b"bc"])},
        {"body": b"abc", "chunked": True},
        {"fields": {"a": "b c"}},
        {"json": {"a": 1}},
    ],
    ids=["bytes", "str", "iterator", "chunked", "fields", "json"],
)
def test_bodies(server, how):
    """Byte for byte what urllib3's own connection sends, but for boundaries."""
    seen = {}
    for kind in ("own", "hpool"):
        if "fields" in how:
            how = {**how, "multipart_boundary": "b"}
        if hasattr(how.get("body"), "__next__"):
            how = {"body": iter([b"a", b"bc"])}
        s = server([serve(OK)])
        assert managed(kind).request("POST", s.url, **how).data == b"ok"
        (request,) = s.requests
        framing = request.get("Content-Length"), request.get("Transfer-Encoding")
        seen[kind] = request.body, framing, request.get("Content-Type")
    assert seen["own"] == seen["hpool"]


def test_redirects_and_retries_are_urllib3_s_own_work(server, new_manager):
    moved = respond(b"", 302, {"Location": "/b"})
    busy = respond(b"", 503, {"Retry-After": "0"})
    s = server([expect(), send(moved), expect(), send(busy), expect(), send(OK)])
    retries = urllib3.Retry(3, status_forcelist=[503])
    response = new_manager().request("GET", s.url + "/a", retries=retries)
    assert (response.status, response.data) == (200, b"ok")
    assert [h.status for h in response.retries.history] == [302, 503]
    assert len(s.connections) == 1


def test_codings(server, new_manager):
    body = gzip.compress(b"hello" * 1000)
    s = server([serve(respond(body, headers={"Content-Encoding": "gzip"}))])
    manager = new_manager()
    assert manager.request("GET", s.url).data == b"hello" * 1000
    assert manager.request("GET", s.url, decode_content=False).data == body


def test_streaming(server, new_manager):
    s = server([serve(respond_chunked(b"ab", b"cd"))])
    response = new_manager().request("GET", s.url, preload_content=False)
    assert b"".join(response.stream(3)) == b"abcd"
    response.release_conn()
    assert response.closed


def test_one_connection(server, new_manager):
    s = server([serve(OK)])
    manager = new_manager()
    for _ in range(50):
        manager.request("GET", s.url)
    assert len(s.connections) == 1


def test_a_body_left_early(server, hpools):
    s = server([expect(), send(respond(bytes(10_000_000))), until_closed()])
    response = hpools.request("GET", s.url, preload_content=False)
    response.read(10)
    response.close()
    (client,) = clients(hpools)
    until(lambda: client.stats().total.now.in_use == 0)


def test_block(server, new_manager):
    """With block=True the limit is maxsize, and pool_timeout the wait."""
    go = threading.Event()
    s = server([expect(), send(OK[:-1], go, OK[-1:]), serve(OK)])
    manager = new_manager(maxsize=1, block=True)
    first = Call(manager.request, "GET", s.url)
    s.wait_requests(1)
    with pytest.raises(urllib3.exceptions.EmptyPoolError):
        manager.request("GET", s.url, pool_timeout=0.05, retries=False)
    go.set()
    assert first.result().data == b"ok"


def test_refused(new_manager):
    with refused_port() as port, pytest.raises(urllib3.exceptions.MaxRetryError) as e:
        new_manager().request("GET", f"http://127.0.0.1:{port}", retries=0)
    assert isinstance(e.value.reason, urllib3.exceptions.NewConnectionError)


def test_unknown_name(new_manager):
    with pytest.raises(urllib3.exceptions.MaxRetryError) as caught:
        new_manager().request("GET", "http://name.invalid/", retries=0)
    assert isinstance(caught.value.reason, urllib3.exceptions.NameResolutionError)


def test_what_a_body_raises_comes_through(server, new_manager):
    def body():
        yield b"x"
        raise KeyError("mine")

    s = server([expect(body=False), until_closed()])
    with pytest.raises(KeyError, match="mine"):
        new_manager().request("POST", s.url, body=body(), retries=False)


def test_a_body_of_which_half_comes(server, new_manager):
    s = server([expect(), send(respond(b"abcd")[:-2]), close()])
    response = new_manager().request("GET", s.url, preload_content=False)
    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        while response.read(2):
            pass
    below = caught.value.args[1]
    assert isinstance(below, urllib3.exceptions.IncompleteRead)
    assert (below.partial, below.expected) == (2, 2)


def test_a_file_is_sent_again(server, new_manager):
    """From where it stood."""
    busy = respond(b"", 503, {"Retry-After": "0"})
    s = server([expect(), send(busy), expect(), send(OK)])
    file = io.BytesIO(b"xxabc")
    file.seek(2)
    retries = urllib3.Retry(1, status_forcelist=[503], allowed_methods=None)
    new_manager().request("PUT", s.url, body=file, retries=retries)
    assert [request.body for request in s.requests] == [b"abc", b"abc"]


def test_connect_timeout(new_manager):
    with silent_port() as port, pytest.raises(urllib3.exceptions.ConnectTimeoutError):
        new_manager().request(
            "GET",
            f"http://127.0.0.1:{port}",
            timeout=urllib3.Timeout(connect=0.05),
            retries=False,
        )


@pytest.mark.parametrize(
    "timeout", [0.05, urllib3.Timeout(5, read=0.05), urllib3.Timeout(total=0.05)]
)
def test_read_timeout(server, new_manager, timeout):
    s = server([expect(), until_closed()])
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        new_manager().request("GET", s.url, timeout=timeout, retries=False)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", OK[:-1]])
def test_bad_answers(server, new_manager, answer):
    s = server([expect(), send(answer), close()])
    with pytest.raises(urllib3.exceptions.ProtocolError):
        new_manager().request("GET", s.url, retries=False)


def test_tls(nginx, ca, new_manager):
    manager = new_manager(ca_certs=str(ca.pem))
    assert manager.request("GET", f"{nginx.https_url}/small").status == 200
    with pytest.raises(urllib3.exceptions.MaxRetryError) as caught:
        new_manager().request("GET", nginx.https_url, retries=0)
    assert isinstance(caught.value.reason, urllib3.exceptions.SSLError)


def test_no_verification_warns(nginx, new_manager):
    manager = new_manager(cert_reqs="CERT_NONE")
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        assert manager.request("GET", f"{nginx.https_url}/small").status == 200


POOLS = {"own": urllib3.HTTPSConnectionPool, "hpool": HTTPSConnectionPool}


@pytest.fixture(params=POOLS)
def pool_class(request):
    return POOLS[request.param]


def answer_of(pool, **how):
    with pool:
        return pool.request("GET", "/", retries=False, **how).data


def test_tls_that_is_said_of_a_pool_afterwards(server, ca, pool_class):
    """As botocore and requests do; at each request."""
    s = server(serve(OK), tls=ca.server_context("127.0.0.1"))
    context = ssl.create_default_context()
    with pool_class("127.0.0.1", s.port, ssl_context=context) as pool:
        with pytest.raises(urllib3.exceptions.SSLError):
            pool.request("GET", "/", retries=False)
        pool.ca_certs = ca.pem
        assert pool.request("GET", "/", retries=False).data == b"ok"
    with pool_class("127.0.0.1", s.port, ca_certs=ca.pem) as pool:
        pool.cert_reqs, pool.ca_certs = "CERT_NONE", None
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert pool.request("GET", "/", retries=False).data == b"ok"


def test_a_context_that_verifies_nothing(server, ca, pool_class):
    """Unless cert_reqs says otherwise."""
    s = server(serve(OK), tls=ca.server_context("127.0.0.1"))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        answer_of(pool_class("127.0.0.1", s.port, ssl_context=context))
    with pytest.raises(urllib3.exceptions.SSLError):
        context.verify_mode = ssl.CERT_NONE
        required = {"ssl_context": context, "cert_reqs": "CERT_REQUIRED"}
        answer_of(pool_class("127.0.0.1", s.port, **required))


def test_authorities_of_a_context_and_of_a_file(server, ca, pool_class, tmp_path):
    s = server(serve(OK), tls=ca.server_context("127.0.0.1"))
    (tmp_path / "other").mkdir()
    other = type(ca)(tmp_path / "other")
    for context, file in ((ca, other.pem), (other, ca.pem), (ca, None)):
        how = {"ssl_context": context.client_context(), "ca_certs": file}
        assert answer_of(pool_class("127.0.0.1", s.port, **how)) == b"ok"
    with pytest.raises(urllib3.exceptions.SSLError):
        how = {"ssl_context": other.client_context()}
        answer_of(pool_class("127.0.0.1", s.port, **how))


def test_a_client_certificate(server, ca, pool_class):
    context = ca.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.pem)
    s = server(serve(OK), tls=context)
    cert, key = ca.files("me")
    how = {"ca_certs": ca.pem, "cert_file": cert, "key_file": key}
    assert answer_of(pool_class("127.0.0.1", s.port, **how)) == b"ok"


def test_a_client_certificate_through_a_proxy(nginx, ca, tinyproxy):
    cert, key = ca.files("me")
    how = {"ca_certs": ca.pem, "cert_file": cert, "key_file": key}
    with urllib3.ProxyManager(tinyproxy.url, **how) as manager:
        manager.pool_classes_by_scheme = pool_classes
        assert manager.request("GET", f"{nginx.https_url}/small").status == 200


def test_a_proxy_that_is_to_see_https(server):
    """hpool asks for a tunnel, so the proxy would be shown nothing."""
    how = {"use_forwarding_for_https": True}
    with urllib3.ProxyManager("https://127.0.0.1:9", **how) as manager:
        manager.pool_classes_by_scheme = pool_classes
        with pytest.raises(ValueError, match="use_forwarding_for_https.*tunnel"):
            manager.request("GET", "https://a.test/")


def test_all_managers_of_the_process(server):
    """What urllib3.request() uses, too."""
    import subprocess
    import sys

    s = server(serve(OK))
    code = (
        "import sys, urllib3\n"
        "from hpool.adapters.urllib3 import pool_classes\n"
        "urllib3.poolmanager.pool_classes_by_scheme.update(pool_classes)\n"
        "response = urllib3.request('GET', sys.argv[1])\n"
        "assert response.data == b'ok' and response.hpool.status == 200"
    )
    subprocess.run([sys.executable, "-c", code, s.url], check=True)


def test_proxy(nginx, ca, tinyproxy):
    with urllib3.ProxyManager(tinyproxy.url, ca_certs=str(ca.pem)) as manager:
        manager.pool_classes_by_scheme = pool_classes
        for url in (nginx.http_url, nginx.https_url):
            assert manager.request("GET", f"{url}/small").status == 200


def test_pool_by_itself(server):
    s = server([serve(OK)])
    with HTTPConnectionPool("127.0.0.1", s.port, maxsize=2) as pool:
        assert pool.request("GET", "/x").data == b"ok"
        assert pool.client.stats().total.idle == 1
        assert (pool.num_requests, s.requests[0].target) == (1, "/x")
    with pytest.raises(urllib3.exceptions.ClosedPoolError):
        pool.request("GET", "/x", retries=False)


def test_threads(server):
    hpools = managed("hpool", maxsize=4, block=True)
    s = server([serve(lambda request: respond(request.target.encode()))])

    def work(n):
        for i in range(20):
            path = f"/{n}-{i}"
            assert hpools.request("GET", s.url + path).data == path.encode()

    for call in [Call(work, n) for n in range(4)]:
        call.result(30)
    hpools.clear()
