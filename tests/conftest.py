"""Servers for the tests. Each stands in tests/server/."""

import os
import signal
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import pytest

from tests.server.authority import Authority
from tests.server.cserver import SOURCE, CServer, compile_c
from tests.server.nginx import Nginx
from tests.server.proxies import Microsocks, Squid, Tinyproxy
from tests.server.scripted import ScriptedServer
from tests.server.world import World

# The machine's own proxies play no part.
for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)


# A shell starts what it puts in the background with SIGINT ignored, and children
# inherit that: the tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def server():
    """server(script, ...) starts a ScriptedServer that ends with the test."""
    with ExitStack() as stack:
        yield lambda *scripts, **how: stack.enter_context(
            ScriptedServer(*scripts, **how)
        )


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    """A certificate authority: ca.pem (a path), ca.server_context(*names)."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory, ca):
    """nginx with http_url and https_url, its certificate issued by `ca`."""
    running = Nginx(tmp_path_factory.mktemp("nginx"), ca.files())
    yield running
    running.close()


@pytest.fixture(scope="session")
def tinyproxy(tmp_path_factory):
    """An http proxy for everybody."""
    running = Tinyproxy(tmp_path_factory.mktemp("tinyproxy"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def squid(ca):
    """An http and https proxy that wants credentials."""
    # Not in pytest's own folder, into which only this user may look.
    with TemporaryDirectory(prefix="squid-") as folder:
        running = Squid(folder, ca.files())
        yield running
        running.close()


@pytest.fixture(scope="session")
def squid_digest(ca):
    """The same, with Digest credentials."""
    with TemporaryDirectory(prefix="squid-") as folder:
        running = Squid(folder, ca.files(), digest=True)
        yield running
        running.close()


@pytest.fixture(scope="session")
def microsocks(tmp_path_factory):
    """A SOCKS5 proxy for everybody."""
    running = Microsocks(tmp_path_factory.mktemp("microsocks"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def microsocks_login(tmp_path_factory):
    """A SOCKS5 proxy that wants credentials."""
    running = Microsocks(tmp_path_factory.mktemp("microsocks"), login=True)
    yield running
    running.close()


@pytest.fixture(scope="session")
def cserver_program(tmp_path_factory):
    """The path of the compiled C server, for those who need options."""
    return compile_c(SOURCE, tmp_path_factory.mktemp("cserver") / "cserver")


@pytest.fixture(scope="session")
def cserver(cserver_program):
    """The C server, one for the whole session: url and port."""
    with CServer(cserver_program) as running:
        yield running


@pytest.fixture
def new_client():
    """new_client(setting=...) makes an hpool.Client that ends with the test. It
    gives up after 10 s of anything, unless told otherwise."""
    import hpool  # the servers' own tests need no extension

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(
            hpool.Client(**{"timeout": 10, **settings})
        )


@pytest.fixture
def world(ca):
    """world(answer, *names) starts a World that ends with the test; with names
    it has certificates of `ca` for them."""
    with ExitStack() as stack:
        yield lambda answer, *names: stack.enter_context(
            World(answer, ca.server_context(*names) if names else None)
        )
