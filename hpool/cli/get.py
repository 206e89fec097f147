"""`python -m hpool get URL`."""

from __future__ import annotations

import sys

import hpool

from .._records import show_seconds
from .progress import Progress, show_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_PIECE = 1 << 16


def run_get(
    url: str, include: bool, verbose: bool, output: str | None
) -> int:
    """Fetches `url`; the body goes to stdout or into the file `output`.
    A status of 400 and above is an answer, not an error. Errors of the
    request and of the file pass through."""
    with hpool.Client() as client, client.get(url) as response:
        progress = Progress(_expected(response), output is not None)
        try:
            _deliver(response, include, output, progress)
        finally:
            progress.end()
            if verbose:
                sys.stdout.flush()
                for line in _facts(response, progress.done):
                    print(f"* {line}", file=sys.stderr)
    return 0


def _deliver(
    response: hpool.Response,
    include: bool,
    output: str | None,
    progress: Progress,
) -> None:
    stdout = sys.stdout.buffer
    if include:
        stdout.write(_head(response))
        stdout.flush()
    if output is None:
        _copy(response, stdout, progress)
    else:
        # Opened when the head has arrived: a failed request leaves an old
        # file as it was.
        with open(output, "wb") as file:
            _copy(response, file, progress)


def _copy(
    response: hpool.Response, target: BinaryIO, progress: Progress
) -> None:
    """Each piece is passed on as it arrives."""
    while piece := response.read1(_PIECE):
        target.write(piece)
        target.flush()
        progress.add(len(piece))


def _expected(response: hpool.Response) -> int | None:
    """The size of the body as it will be delivered, if that is known."""
    if "content-encoding" in response.headers:
        return None
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() else None


def _head(response: hpool.Response) -> bytes:
    lines = [
        f"{response.http_version} {response.status_code} {response.reason}",
        *(f"{name}: {value}" for name, value in response.headers.multi_items()),
        "",
        "",
    ]
    return "\n".join(lines).encode("latin-1", "replace")


def _facts(response: hpool.Response, size: int) -> Iterator[str]:
    """What happened on the connection, a line for each matter."""
    info, timings = response.connection, response.timings
    yield f"connected to {info.remote} from {info.local}"
    yield "connection " + ("reused" if info.reused else "new")
    if info.tls_version:
        resumed = ", session resumed" if info.resumed else ""
        yield f"{info.tls_version}, {info.cipher}{resumed}"
    for title, seconds in (
        ("name look-up", timings.dns),
        ("connect", timings.connect),
        ("TLS handshake", timings.tls),
        ("send", timings.send),
        ("server's answer", timings.wait),
        ("body", timings.read),
        ("total", timings.total),
    ):
        if seconds is not None:
            yield f"{title:<16}{show_seconds(seconds):>8}"
    status = f"{response.status_code} {response.reason}".rstrip()
    yield f"{status}, body {show_bytes(size)}"
    if info.attempts > 1:
        yield f"sent {info.attempts} times"
    if info.release not in (None, "keep"):
        yield f"connection closed: {info.release}"
