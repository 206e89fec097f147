"""The arguments of the commands that put a load on a server, and what they
stand for: a client, and the load."""

from __future__ import annotations

import argparse
import re
import resource
import warnings
from contextlib import contextmanager

import hpool

from .._redact import url_for_text
from . import CommandError
from .load import Load
from .notices import ENDED, Notices
from .report import failure_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_THREADS = 10_000
# What is out of reach is a slip of the hand, and waits of more seconds than
# this not every system can do.
_MOST_COUNTED = 1_000_000_000_000
_MOST_MEASURED = 1_000_000_000
# A thread has a socket and a waker; the rest is what Python holds open.
_DESCRIPTORS_PER_THREAD = 2
_DESCRIPTORS_BESIDES = 64


# ---- types -------------------------------------------------------------------


def _refuse(text: str, takes: str) -> argparse.ArgumentTypeError:
    # Whatever stands where a number should: no password on the screen.
    return argparse.ArgumentTypeError(
        f"takes {takes}, not {url_for_text(text)!r}"
    )


def count_type(least: int, most: int = _MOST_COUNTED) -> Callable[[str], int]:
    """For argparse: a whole number in a range."""
    takes = f"a whole number from {least} to {most}"

    def whole_number(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise _refuse(text, takes)
        number = int(text)
        if not least <= number <= most:
            raise _refuse(text, takes)
        return number

    return whole_number


# As people write numbers; float() takes more.
_AMOUNT = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def amount_type(
    unit: str, least: float | None = None
) -> Callable[[str], float]:
    """For argparse: so many of `unit`, at least `least`; None: above zero."""
    above = "above zero" if least is None else f"from {least:g}"
    takes = f"{unit} {above}, {_MOST_MEASURED} at most"

    def amount(text: str) -> float:
        number = float(text) if _AMOUNT.fullmatch(text) else -1.0
        if not (least or 0) <= number <= _MOST_MEASURED:
            raise _refuse(text, takes)
        if least is None and not number:
            raise _refuse(text, takes)
        return number

    return amount


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(
            "takes 'Name: value'; this has no colon after a name"
        )
    return name.strip(), value.strip()


# ---- arguments ---------------------------------------------------------------


def add_load_arguments(
    parser: argparse.ArgumentParser, total: int | None
) -> None:
    """`total`: how many requests there are if nothing is said."""
    parser.usage = f"{parser.prog} [options] URL [URL ...]"
    parser.set_defaults(usual_total=total)
    parser.add_argument(
        "urls",
        nargs="+",
        metavar="URL",
        help="what to GET; of several each in turn",
    )
    load = parser.add_argument_group("the load")
    until = f"{total:,}" if total else "until Ctrl-C"
    load.add_argument(
        "-n",
        "--requests",
        metavar="N",
        type=count_type(1),
        help=f"so many requests in all ({until})",
    )
    load.add_argument(
        "-d",
        "--duration",
        metavar="S",
        type=amount_type("seconds"),
        help="for so many seconds",
    )
    load.add_argument(
        "-c",
        "--concurrency",
        metavar="N",
        type=count_type(1, _MOST_THREADS),
        default=10,
        help="from so many threads at once (10)",
    )
    load.add_argument(
        "--rate",
        metavar="R",
        type=amount_type("requests a second", 0.001),
        help="at most R requests a second in all; latencies then count from "
        "the moment a request was due",
    )
    load.add_argument(
        "-H",
        "--header",
        metavar="H",
        action="append",
        type=_header,
        default=[],
        help="send this with every request: 'Name: value'",
    )
    load.add_argument(
        "--close-unread",
        action="store_true",
        help="close each answer without reading its body",
    )
    _add_pool_arguments(parser.add_argument_group("the pool, as hpool.Limits"))
    _add_client_arguments(parser.add_argument_group("the client"))


def _add_pool_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--go-limits",
        action="store_true",
        help="the defaults of Go's http.DefaultTransport",
    )
    for name, least in (
        ("max-conns", 1),
        ("max-conns-per-host", 1),
        ("max-idle-conns", 0),
        ("max-idle-conns-per-host", 0),
        ("max-requests-per-conn", 1),
        ("max-waiting", 0),
        ("drain-bytes", 0),
    ):
        group.add_argument(f"--{name}", metavar="N", type=count_type(least))
    group.add_argument("--max-conn-age", metavar="S", type=amount_type("seconds"))
    for name in ("idle-conn-timeout", "drain-timeout"):
        group.add_argument(f"--{name}", metavar="S", type=amount_type("seconds", 0))
    group.add_argument(
        "--disable-keepalives", action="store_true", default=None
    )


def _add_client_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--timeout",
        metavar="S",
        type=amount_type("seconds"),
        help="for each phase of a request (connect 10, else 60)",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="do not verify the server's certificate",
    )
    group.add_argument(
        "--cacert", metavar="FILE", help="trust the authorities in FILE"
    )


# ---- what they stand for -----------------------------------------------------


@contextmanager
def running_load(
    arguments: argparse.Namespace, *, screen: bool = False
) -> Iterator[tuple[Load, hpool.Client, Notices]]:
    """The load, started; cancelled at the end of the block. CommandError for
    arguments that do not go together, and at the end when nobody answered."""
    # Who says --insecure knows; contradictory limits are the advice's matter.
    ignored = warnings.catch_warnings(
        action="ignore", category=hpool.HpoolWarning
    )
    with ignored, Notices(screen=screen) as notices:
        with make_client(arguments) as client:
            load = make_load(arguments, client, lambda: notices.put(ENDED))
            with load:
                yield load, client, notices
    if load.unreachable is not None:
        raise CommandError(failure_text(load.unreachable))


def make_limits(arguments: argparse.Namespace) -> hpool.Limits:
    """The limits asked for."""
    base = hpool.Limits.go() if arguments.go_limits else hpool.Limits()
    fields = {name: getattr(base, name) for name in hpool.Limits.__slots__}
    for name in fields:
        given = getattr(arguments, name, None)
        if given is not None:
            fields[name] = given
    return hpool.Limits(**fields)


def make_client(arguments: argparse.Namespace) -> hpool.Client:
    """CommandError for settings that cannot be used."""
    seconds = arguments.timeout
    try:
        return hpool.Client(
            headers=arguments.header,
            limits=make_limits(arguments),
            timeout=hpool.Timeout() if seconds is None else seconds,
            verify=not arguments.insecure and (arguments.cacert or True),
        )
    except (OSError, ValueError) as exc:
        raise CommandError(str(exc)) from None


def make_load(
    arguments: argparse.Namespace,
    client: hpool.Client,
    on_end: Callable[[], None],
) -> Load:
    """CommandError when the system does not let so many threads connect."""
    total = arguments.requests
    if total is None and arguments.duration is None:
        total = arguments.usual_total
    allow_descriptors(arguments.concurrency)
    return Load(
        client,
        arguments.urls,
        threads=arguments.concurrency,
        total=total,
        seconds=arguments.duration,
        rate=arguments.rate,
        read_bodies=not arguments.close_unread,
        on_end=on_end,
    )


def allow_descriptors(threads: int) -> None:
    """Raises this process's limit as far as the load needs it and the system
    permits. CommandError when that is not enough."""
    need = threads * _DESCRIPTORS_PER_THREAD + _DESCRIPTORS_BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        most = (hard - _DESCRIPTORS_BESIDES) // _DESCRIPTORS_PER_THREAD
        raise CommandError(
            f"-c {threads} needs {need} descriptors and this process may "
            f"open {hard} (ulimit -n): -c {max(1, most)} is what it allows"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
