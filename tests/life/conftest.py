"""What the tests of a process' life share."""

import pytest

from tests.life import child


@pytest.fixture(autouse=True)
def _no_program_goes_on():
    """A test that fails leaves no program behind."""
    yield
    child.kill_all()


@pytest.fixture(params=["http", "https"])
def either(request, server, ca):
    """either(script) starts a server, plain or TLS, that the program trusts: itself,
    and what run() needs for that."""

    def start(*scripts, **how):
        tls = ca.server_context() if request.param == "https" else None
        return server(*scripts, tls=tls, **how), {"SSL_CERT_FILE": ca.pem}

    return start
