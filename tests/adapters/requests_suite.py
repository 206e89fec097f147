"""requests' own test-suite, with hpool below requests.

    .venv/bin/python tests/adapters/requests_suite.py

Downloads the source distribution of the requests that is installed into
build/requests-suite (once), and what its tests need (the extra
`requests-suite`) beside it. Runs the tests three times side by side: as they
are, with hpool.adapters.requests.HTTPAdapter in place of requests' own, and
with hpool.adapters.requests.patch(). Prints how many of those that pass with
requests alone pass with hpool.

requests_excluded.txt names those that cannot, with a reason each. It is an
error if another one fails, if one that is named there passes, or if fewer than
98 % pass. Arguments are pytest's, to run a part only: -k redirect.
"""

import socket
import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.adapters.library_suite import Suite


class RequestsSuite(Suite):
    def counts(self, where, way):
        if where == "offline":
            return is_offline()
        return super().counts(where, way)


@cache
def is_offline():
    """Whether names of the internet cannot be looked up."""
    try:
        socket.getaddrinfo("httpbin.org", 80)
    except socket.gaierror:
        return True
    return False


SUITE = RequestsSuite("requests", ("adapter", "patch"))

if __name__ == "__main__":
    sys.exit(SUITE.main(sys.argv[1:]))
