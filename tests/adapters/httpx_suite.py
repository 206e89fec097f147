"""httpx's own test-suite, with hpool below httpx.

    .venv/bin/python tests/adapters/httpx_suite.py

As requests_suite.py, with the source distribution of the httpx that is
installed, once as it is and once with hpool.adapters.httpcore.ConnectionPool in
place of httpcore's. Of its tests those are taken that make such a pool; many
more are about asyncio, or need no connection.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.adapters.library_suite import Suite

FILES = ("test_client", "test_headers", "test_properties", "test_proxies")
SUITE = Suite(
    "httpx",
    ("pool",),
    tests=(*(f"tests/client/{name}.py" for name in FILES), "tests/test_api.py"),
    # Without those that leave this machine; and what newer versions of others
    # warn of is no concern of ours.
    options=("-m", "not network", "--override-ini=filterwarnings="),
)

if __name__ == "__main__":
    sys.exit(SUITE.main(sys.argv[1:]))
