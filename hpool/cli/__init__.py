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
        given = list(sys.argv[1:] if argv is None else argv)
        return _run(_parser().parse_args(_with_command(given)))
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


def _with_command(argv: list[str]) -> list[str]:
    """`python -m hpool -L URL` is a get: begins with no command's name."""
    first = argv[0] if argv else "-h"
    named = first in ("-h", "--help") or not set(first) & set("-:/.")
    return argv if named else ["get", *argv]


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
    if arguments.command == "bench":
        from .bench import run_bench

        return run_bench(arguments)
    from .get import run_get

    return run_get(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hpool",
        description="An HTTP client with a connection pool.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    _add_get(
        commands.add_parser(
            "get", help="one request, with curl's letters; may be left out"
        )
    )
    _add_bench(
        commands.add_parser(
            "bench", help="put a load on a URL: rate and latencies"
        )
    )
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
    from .curl import add_request_arguments

    get.description = (
        "Make one request; the body goes to standard output. Letters and "
        "their meanings are curl's."
    )
    get.add_argument("url", metavar="URL")
    get.add_argument(
        "-i",
        "--include",
        action="store_true",
        help="print the heads of the answers, too",
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
    get.add_argument(
        "-s", "--silent", action="store_true", help="no progress line"
    )
    get.add_argument(
        "-S",
        "--show-error",
        action="store_true",
        help="errors are shown, -s or not",
    )
    get.add_argument(
        "-f",
        "--fail",
        action="store_true",
        help="a status of 400 and above is an error: exit 1, no body",
    )
    get.add_argument(
        "-w",
        "--write-out",
        metavar="FORMAT",
        help="print this after the answer: 'timings', or curl's %%{variables}",
    )
    add_request_arguments(get)


def _add_bench(bench: argparse.ArgumentParser) -> None:
    from .load_options import add_load_arguments

    bench.description = (
        "Put a load on URL through one hpool.Client and print requests per "
        "second and how latencies are spread. Exit status: 0, 1 failed "
        "requests, 2 wrong usage or nobody answers, 130 Ctrl-C."
    )
    add_load_arguments(bench, total=10_000)
    bench.add_argument(
        "--json", action="store_true", help="print all of it as JSON"
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
    from .load_options import add_load_arguments, amount_type

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
        type=amount_type("seconds", 0.05),
        help="seconds from one look to the next (0.25; lines: 1)",
    )
    top.add_argument(
        "--plain", action="store_true", help="lines, on a terminal, too"
    )
