"""Name look-ups: one for all who ask at once, remembered for a while."""

import os
import sys
from pathlib import Path

import pytest

from hpool import _core
from tests.life import child
from tests.server.cserver import compile_c
from tests.server.scripted import expect, respond, send

CLOSES = [expect(), send(respond(b"ok", headers={"Connection": "close"}))]
SLOW_DNS = Path(__file__).parent.parent / "server" / "slow_dns.c"


def test_dns_ttl_0_looks_up_for_every_dial(server, new_client):
    """dns_ttl=0: three connections, three look-ups."""
    s = server(CLOSES)
    client = new_client(dns_ttl=0)
    for _ in range(3):
        assert client.get(f"http://localhost:{s.port}/").read() == b"ok"
    assert client.stats().total.lookups == 3


@pytest.mark.parametrize("settings", [{}, {"dns_ttl": None}], ids=str)
def test_a_look_up_is_remembered(server, new_client, settings):
    """With a dns_ttl it is one for three connections, even of two clients."""
    s = server(CLOSES)
    new_client().get(f"http://localhost:{s.port}/").read()
    before = _core._lookups()
    client = new_client(**settings)
    for _ in range(3):
        assert client.get(f"http://localhost:{s.port}/").read() == b"ok"
    assert client.stats().total.lookups == 0
    assert _core._lookups() == before


SHARED = """
import os, sys
import hpool
from hpool import _core
from tests.tools import Call, Recorder, until

port, asked, go, ttl = map(int, sys.argv[1:])
told = Recorder()
one = hpool.Client(dns_ttl=ttl, timeout=10, trace=told)
other = hpool.Client(dns_ttl=ttl, timeout=10, trace=told)
url = f"http://slow.test:{port}/"
calls = [Call(client.get, url) for client in (one, other) for _ in range(10)]
until(lambda: len(told.all("dns_start")) == 20)
os.read(asked, 1)
os.write(go, b"..")  # a second look-up, if there is one, shall not hang
for call in calls:
    assert call.result().read() == b"ok"
lookups = [client.stats().total.lookups for client in (one, other)]
one.close()
other.close()
print(sum(lookups), _core._lookups())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses LD_PRELOAD")
@pytest.mark.parametrize("ttl", [0, 10])
def test_one_look_up_for_all_who_ask_at_once(server, tmp_path, ttl):
    """Twenty requests of two clients for one host while its look-up is under way:
    there is no other, with or without a cache."""
    slow = compile_c(SLOW_DNS, tmp_path / "slow_dns.so", "-shared", "-fPIC")
    s = server(CLOSES)
    ends = [*os.pipe(), *os.pipe()]
    asked_r, asked_w, go_r, go_w = ends
    try:
        process = child.start(
            SHARED,
            s.port,
            asked_r,
            go_w,
            ttl,
            pass_fds=ends,
            LD_PRELOAD=slow,
            SLOW_DNS_ASKED=str(asked_w),
            SLOW_DNS_GO=str(go_r),
        )
        code, out, err = child.finish(process)
    finally:
        for end in ends:
            os.close(end)
    assert (code, out, err) == (0, "1 1\n", "")
