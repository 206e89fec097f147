"""`python -m hpool demo`: five things about connection pools, measured."""

from __future__ import annotations

import textwrap
import threading
import time

import hpool

from .._redact import url_for_text
from .._records import show_seconds
from .demo_server import DemoServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WIDTH = 76
ROUND_TRIP_MS = 30  # a line to another city, for comparison


def run_demo(url: str | None) -> int:
    """All parts against a server of our own, or the first against `url`.
    Errors of the requests pass through."""
    if url is not None:
        show_pool_against_clients(url, 20)
        return 0
    with DemoServer() as server:
        print(f"A demo server listens on {server.url}; every figure below is")
        print("measured on real connections to it.")
        show_pool_against_clients(server.url, 500)
        show_unread_bodies(server)
        show_idle_cap(server)
        show_early_close(server)
        show_pool_wait(server)
    return 0


# ---- how it is printed -------------------------------------------------------


def _title(number: int, text: str, says: str) -> None:
    print(f"\n{number}. {text}\n{'-' * (len(text) + 3)}")
    _paragraph(says)
    print()


def _paragraph(text: str) -> None:
    print(textwrap.fill(text, WIDTH))


def _figures(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A table: the first column is words, the others are figures."""
    table = [heads, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(heads))]
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  " + "   ".join(cells).rstrip())


def _lesson(text: str) -> None:
    print()
    print(
        textwrap.fill(
            f"=> {text}", WIDTH, subsequent_indent="   ", break_on_hyphens=False
        )
    )


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


# ---- 1 -----------------------------------------------------------------------


def show_pool_against_clients(url: str, times: int) -> None:
    """`times` requests with a client each, then with one client."""
    _title(
        1,
        "A client per request against one client",
        f"{times} requests, one after the other, to {url_for_text(url)}.",
    )
    dials = [0, 0]

    def one_each() -> None:
        for _ in range(times):
            with hpool.Client() as client:
                _fetch(client, url)
                dials[0] += client.stats().total.dials

    def one_for_all() -> None:
        with hpool.Client() as client:
            for _ in range(times):
                _fetch(client, url)
            dials[1] = client.stats().total.dials

    seconds = _timed(one_each), _timed(one_for_all)
    names = "a client per request", "one client"
    _figures(
        ("", "connections", "in all", "per request"),
        (
            (name, str(n), show_seconds(s), show_seconds(s / times))
            for name, n, s in zip(names, dials, seconds)
        ),
    )
    saved = dials[0] - dials[1]
    more = "Over a line with a round trip of %d ms they would cost %s more." % (
        ROUND_TRIP_MS,
        show_seconds(saved * _round_trips(url) * ROUND_TRIP_MS / 1000),
    )
    here = "127.0.0.1" in url
    _lesson(
        f"Make one client and keep it: {_ratio(seconds)} as fast, {saved} "
        f"connections not opened. {more if here else ''}".rstrip()
    )


def _round_trips(url: str) -> int:
    """What a new connection costs: one for TCP, one for TLS 1.3."""
    return 2 if url.lower().startswith("https:") else 1


def _fetch(client: hpool.Client, url: str) -> None:
    with client.get(url) as response:
        response.read()


def _ratio(seconds: tuple[float, float]) -> str:
    return f"{seconds[0] / max(seconds[1], 1e-9):.1f} times"


# ---- 2 -----------------------------------------------------------------------


def show_unread_bodies(server: DemoServer) -> None:
    """Responses kept without reading them, then read."""
    times, size = 25, 1 << 20
    _title(
        2,
        "Bodies left unread",
        f"{times} requests for 1 MiB each. A connection is free again when "
        "the body has been read or the response closed, and not before.",
    )
    url = f"{server.url}/bytes/{size}"
    with hpool.Client() as client:
        server.take_accepted()
        kept = [client.get(url) for _ in range(times)]
        held = client.stats().total.in_use
        unread = ("kept, not read", server.take_accepted(), held)
        for response in kept:
            response.close()
    with hpool.Client() as client:
        for _ in range(times):
            _fetch(client, url)
        held = client.stats().total.in_use
        read = ("read to the end", server.take_accepted(), held)
    _figures(
        ("", "connections opened", "still in use"),
        ((name, str(n), str(used)) for name, n, used in (unread, read)),
    )
    _lesson(
        "Read a body or leave it by `with client.get(url) as r:`; an unread "
        "one holds its connection, and the next request needs another."
    )


# ---- 3 -----------------------------------------------------------------------


def show_idle_cap(server: DemoServer) -> None:
    """Rounds of parallel requests with Go's idle cap and with ours."""
    threads, rounds = 50, 20
    _title(
        3,
        "An idle cap of 2 under 50 threads",
        f"{threads} threads make {rounds} requests each, in step. Go's "
        "default keeps 2 idle connections per host (hpool.Limits.go()); "
        "hpool's keeps 100 in all and has no cap per host.",
    )
    rows = []
    for name, limits in (
        ("2 idle per host", hpool.Limits.go()),
        ("hpool's default", hpool.Limits()),
    ):
        with hpool.Client(limits=limits) as client:
            server.take_accepted()
            seconds = _timed(
                lambda: _in_step(client, f"{server.url}/wait/5", threads, rounds)
            )
            reuses = client.stats().total.reuses
        rows.append((
            name,
            str(server.take_accepted()),
            f"{100 * reuses / (threads * rounds):.0f} %",
            show_seconds(seconds),
        ))
    _figures(("", "connections opened", "reused", "time"), rows)
    _lesson(
        "The idle cap must be as large as the number of requests that run at "
        "once, or nearly every round dials anew."
    )


def _in_step(
    client: hpool.Client, url: str, threads: int, rounds: int
) -> None:
    """All threads begin each round together. The first error is raised."""
    barrier = threading.Barrier(threads)
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(rounds):
                barrier.wait()
                _fetch(client, url)
        except threading.BrokenBarrierError:
            pass
        except Exception as exc:
            errors.append(exc)
            barrier.abort()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]


# ---- 4 -----------------------------------------------------------------------


def show_early_close(server: DemoServer) -> None:
    """Bodies closed after their first bytes, drained and not."""
    times, size = 50, 200_000
    _title(
        4,
        "Closing early, with and without draining",
        f"{times} requests for {size:,} bytes, each closed after the first "
        "1000. Draining reads the rest in the background, if it is small and "
        "comes fast, so that the connection can be used again.",
    )
    rows = []
    for name, limits in (
        ("no draining", hpool.Limits(drain_bytes=0)),
        ("hpool's default", hpool.Limits()),
    ):
        with hpool.Client(limits=limits) as client:
            server.take_accepted()
            for _ in range(times):
                with client.get(f"{server.url}/bytes/{size}") as response:
                    response.read(1000)
                _wait_until_drained(client)
            drains = client.stats().total.drains
        rows.append((name, str(server.take_accepted()), str(drains)))
    _figures(("", "connections opened", "bodies drained"), rows)
    _lesson(
        "Closing early costs the connection unless the little that is left "
        "is read; Limits(drain_bytes=, drain_timeout=) say how little."
    )


def _wait_until_drained(client: hpool.Client) -> None:
    while client.stats().total.draining:
        time.sleep(0.0005)


# ---- 5 -----------------------------------------------------------------------


def show_pool_wait(server: DemoServer) -> None:
    """A request that finds all connections taken, and the error it gets."""
    _title(
        5,
        "Waiting for a connection in vain",
        "Two connections are allowed, two bodies are unread, and a third "
        "request waits for half a second.",
    )
    limits = hpool.Limits(max_conns_per_host=2)
    timeout = hpool.Timeout(pool=0.5)
    url = f"{server.url}/bytes/{1 << 20}"
    with hpool.Client(limits=limits, timeout=timeout) as client:
        kept = [client.get(url) for _ in range(2)]
        try:
            _fetch(client, f"{server.url}/third")
        except hpool.PoolTimeout as exc:
            print(
                textwrap.fill(
                    f"hpool.PoolTimeout: {exc}",
                    WIDTH,
                    initial_indent="  ",
                    subsequent_indent="  ",
                    break_on_hyphens=False,
                )
            )
        for response in kept:
            response.close()
    _lesson(
        "A full pool is nearly always somebody who holds connections: the "
        "error says which limit, how many wait, and who has held one longest."
    )
