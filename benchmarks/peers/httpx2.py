"""httpx2, as httpx."""

import httpx2

from benchmarks.peers.httpx import call_of, kept_of

kept, call = kept_of(httpx2), call_of(httpx2)
