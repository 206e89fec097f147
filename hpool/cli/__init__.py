"""The command line: `python -m hpool demo [URL]`, `python -m hpool get URL`."""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Exit status: 0, 1 for an error (one line on stderr
    says which), 2 for wrong usage, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read our output has seen enough (`| head`). Python would complain
        # once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, ValueError) as exc:
        print(f"hpool: {exc}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: each command pays for what it needs.
    if arguments.command == "demo":
        from .demo import run_demo

        return run_demo(arguments.url)
    from .get import run_get

    return run_get(
        arguments.url, arguments.include, arguments.verbose, arguments.output
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hpool",
        description="An HTTP client with a connection pool.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="show what the pool does, on a server of its own",
        description="Show in five parts, with real connections on this "
        "machine, what a connection pool saves and how it is lost.",
    )
    demo.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="measure the first part against this URL instead",
    )
    get = commands.add_parser(
        "get",
        help="fetch a URL",
        description="Fetch a URL; the body goes to standard output.",
    )
    get.add_argument("url", metavar="URL")
    get.add_argument(
        "-i",
        "--include",
        action="store_true",
        help="print the head of the answer, too",
    )
    get.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say on stderr what happened on the connection",
    )
    get.add_argument(
        "-o", "--output", metavar="FILE", help="write the body to FILE"
    )
    return parser
