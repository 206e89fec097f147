"""httpx2, as httpx."""

import httpx2

from benchmarks.peers.httpx import call_of, chunks_of, iter_lines_of, kept_of

kept, call = kept_of(httpx2), call_of(httpx2)
chunks, iter_lines = chunks_of(httpx2), iter_lines_of(httpx2)
