"""`python -m hpool get URL`, or `python -m hpool URL`."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import hpool

from . import CommandError
from .curl import call, client_settings
from .progress import Progress, show_bytes
from .write_out import text, timing_lines, unknown_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

_PIECE = 1 << 16


def run_get(arguments: argparse.Namespace) -> int:
    """One request; the body goes to stdout or into the file `output`. A status
    of 400 and above is an answer, not an error, unless `fail` says otherwise:
    then 1, and no body. Errors of the request and of files pass through."""
    template = arguments.write_out
    if template and (name := unknown_variable(template)):
        raise CommandError(f"-w knows no %{{{name}}}")
    if arguments.output == "-":
        arguments.output = None
    with ExitStack() as stack:
        method, url, keywords = call(arguments, stack)
        client = stack.enter_context(
            hpool.Client(**client_settings(arguments))
        )
        response = client.request(method, url, **keywords)
        return _show(stack.enter_context(response), arguments)


def _show(response: hpool.Response, arguments: argparse.Namespace) -> int:
    failed = arguments.fail and response.status_code >= 400
    progress = Progress(
        _expected(response),
        arguments.output is not None and not arguments.silent,
    )
    try:
        if failed:
            status = f"{response.status_code} {response.reason}".rstrip()
            print(f"hpool: {status}", file=sys.stderr)
        else:
            heads = arguments.include or arguments.head
            _deliver(response, heads, arguments.output, progress)
    finally:
        progress.end()
        _after(response, arguments, progress.done)
    return int(failed)


def _after(
    response: hpool.Response, arguments: argparse.Namespace, size: int
) -> None:
    sys.stdout.flush()
    if arguments.verbose:
        for line in _facts(response, size):
            print(f"* {line}", file=sys.stderr)
    if arguments.write_out:
        print(text(arguments.write_out, response, size), end="", flush=True)


def _deliver(
    response: hpool.Response,
    heads: bool,
    output: str | None,
    progress: Progress,
) -> None:
    if output is None:
        _write(response, heads, sys.stdout.buffer, progress)
    else:
        # Opened when the head has arrived: a failed request leaves an old
        # file as it was.
        with open(output, "wb") as file:
            _write(response, heads, file, progress)


def _write(
    response: hpool.Response, heads: bool, target: BinaryIO, progress: Progress
) -> None:
    if heads:
        for each in (*response.history, response):
            target.write(_head(each))
        target.flush()
    _copy(response, target, progress)


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
    info = response.connection
    yield f"connected to {info.remote} from {info.local}"
    yield "connection " + ("reused" if info.reused else "new")
    if info.tls_version:
        resumed = ", session resumed" if info.resumed else ""
        yield f"{info.tls_version}, {info.cipher}{resumed}"
    yield from timing_lines(response)
    status = f"{response.status_code} {response.reason}".rstrip()
    yield f"{status}, body {show_bytes(size)}"
    if info.attempts > 1:
        yield f"sent {info.attempts} times"
    if info.release not in (None, "keep"):
        yield f"connection closed: {info.release}"
