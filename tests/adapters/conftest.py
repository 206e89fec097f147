"""requests three times: as it is, with hpool's adapter mounted, and patched. A
test that asks for `session` runs with each, so what it says holds for both.

httpx and httpx2 twice: on their own transport and on hpool's. A test that asks
for `client` runs with each, one that asks for `hpools` on hpool's alone."""

from contextlib import ExitStack

import httpx
import httpx2
import pytest
import requests

from hpool.adapters.httpcore import httpx_client
from hpool.adapters.requests import HTTPAdapter, patch

WAYS = ("own", "adapter", "patch")


def mount(session, adapter):
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)


@pytest.fixture(params=WAYS)
def way(request):
    """How the session of this test sends."""
    return request.param


@pytest.fixture
def new_session(way):
    """new_session(setting=...) makes a requests.Session that ends with the
    test; the settings are those of both adapters."""
    with ExitStack() as stack:
        if way == "patch":
            stack.enter_context(patch())

        def make(**settings):
            kind = HTTPAdapter if way == "adapter" else requests.adapters.HTTPAdapter
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            mount(session, kind(**settings))
            return session

        yield make


@pytest.fixture
def session(new_session):
    return new_session()


@pytest.fixture
def hpool_session():
    """hpool_session(setting=...): one with hpool's adapter, whatever it takes
    beyond requests'."""
    with ExitStack() as stack:

        def make(**settings):
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            mount(session, HTTPAdapter(**settings))
            return session

        yield make


@pytest.fixture
def client_of():
    """The hpool.Client below a session's http:// adapter."""
    return lambda session: session.adapters["http://"].poolmanager.client


# ---- httpx -------------------------------------------------------------------


@pytest.fixture(params=[httpx, httpx2], ids=lambda module: module.__name__)
def module(request):
    return request.param


@pytest.fixture(params=["own", "hpool"])
def client(request, module):
    """The module's client, on its own transport and on hpool's."""
    settings = {"timeout": 5, "trust_env": False, "follow_redirects": True}
    own = request.param == "own"
    with module.Client(**settings) if own else httpx_client(module, **settings) as made:
        yield made


@pytest.fixture
def hpools(module):
    """The module's client on hpool's transport."""
    with httpx_client(module, timeout=5, trust_env=False) as made:
        yield made
