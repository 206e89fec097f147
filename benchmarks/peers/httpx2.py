"""httpx2, as httpx."""

import httpx2

from benchmarks.peers.httpx import all_of

globals().update(all_of(httpx2))
