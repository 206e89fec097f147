"""The command line: `python -m hpool COMMAND`; `--help` lists the commands."""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class CommandError(Exception):
    """The command cannot do what its arguments say; the text is for a person.
    Exit status 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Exit status: 0, 1 for an error (one line on stderr
    says which), 2 for wrong usage, 130 after Ctrl-C. `doctor` and `top` have
    more to say with it; see there."""
    try:
        return _run(_parser().parse_args(argv))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read our output has seen enough (`| head`). Python would complain
        # once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except CommandError as exc:
        print(f"hpool: {exc}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as exc:
        print(f"hpool: {exc}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    # Imported here: each command pays for what it needs.
    if arguments.command == "demo":
        from .demo import run_demo

        return run_demo(arguments.url)
    if arguments.command == "doctor":
        from .doctor import run_doctor

        return run_doctor(arguments)
    if arguments.command == "top":
        from .top import run_top

        return run_top(arguments)
    from .get import run_get

    return run_get(
        arguments.url, arguments.include, arguments.verbose, arguments.output
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hpool",
        description="An HTTP client with a connection pool.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    _add_get(commands.add_parser("get", help="fetch a URL"))
    _add_doctor(
        commands.add_parser(
            "doctor", help="put a load on a URL, and say what the pool lacks"
        )
    )
    _add_top(
        commands.add_parser(
            "top", help="watch the pool at work under a load on a URL"
        )
    )
    _add_demo(
        commands.add_parser(
            "demo", help="show what the pool does, on a server of its own"
        )
    )
    return parser


def _add_demo(demo: argparse.ArgumentParser) -> None:
    demo.description = (
        "Show in five parts, with real connections on this machine, what a "
        "connection pool saves and how it is lost."
    )
    demo.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="measure the first part against this URL instead",
    )


def _add_get(get: argparse.ArgumentParser) -> None:
    get.description = "Fetch a URL; the body goes to standard output."
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


def _add_doctor(doctor: argparse.ArgumentParser) -> None:
    from .load_options import add_load_arguments

    doctor.description = (
        "Put a load on URL through one hpool.Client, then print what came of "
        "it, the pool's statistics, and what client.advise() finds wrong with "
        "its settings. Exit status: 0 nothing found, 1 a problem or failed "
        "requests, 2 wrong usage or nobody answers, 130 Ctrl-C."
    )
    add_load_arguments(doctor, total=1000)
    doctor.add_argument(
        "--json", action="store_true", help="print all of it as JSON"
    )


def _add_top(top: argparse.ArgumentParser) -> None:
    from .load_options import add_load_arguments, seconds_type

    top.description = (
        "Put a load on URL through one hpool.Client and show live how the "
        "pool copes: requests per second, latencies, connections. Without a "
        "terminal, a line a second. Exit status: 0, 2 wrong usage or nobody "
        "answers, 130 Ctrl-C."
    )
    add_load_arguments(top, total=None)
    top.add_argument(
        "--interval",
        metavar="S",
        type=seconds_type(0.05),
        help="seconds from one look to the next (0.25; lines: 1)",
    )
    top.add_argument(
        "--plain", action="store_true", help="lines, on a terminal, too"
    )
