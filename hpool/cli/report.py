"""What a load has shown, in words for a person and in plain data."""

from __future__ import annotations

import textwrap

from .._frozen import Frozen
from .._records import show_seconds
from .._redact import url_for_text
from .progress import show_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    import hpool

    from .._advice import Advice
    from .load import Load, Tally

WIDTH = 79
SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
_TITLE = 12


def show_duration(seconds: float | None) -> str:
    return "-" if seconds is None else show_seconds(seconds)


def per_second(count: float, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def show_rate(rate: float) -> str:
    """ "12,345", and "0.4" where a whole number would say nothing."""
    return f"{rate:.1f}" if 0 < rate < 10 else f"{rate:,.0f}"


def printable(text: str) -> str:
    """Nothing in it moves the cursor, whoever sent it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def show_urls(urls: Sequence[str]) -> str:
    first = url_for_text(urls[0])
    more = len(urls) - 1
    return f"{first} and {more} more" if more else first


def show_threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count:,} threads"


def labelled(title: str, text: str) -> Iterator[str]:
    """A line with a title, as many lines as the text needs."""
    yield from textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=f"{title:<{_TITLE}}",
        subsequent_indent=" " * _TITLE,
        break_on_hyphens=False,
    )


# ---- for a person ------------------------------------------------------------


def summary(load: Load, total: hpool.HostStats, is_cut: bool) -> Iterator[str]:
    """What came of the load. is_cut: it was ended before its time."""
    tally, elapsed = load.tally(), load.elapsed
    where = f"{show_urls(load.urls)} from {show_threads(load.threads)}"
    yield from labelled("load", where)
    rate = show_rate(per_second(tally.requests, elapsed))
    took = show_seconds(elapsed) + (", then interrupted" if is_cut else "")
    yield from labelled(
        "requests", f"{tally.requests:,} in {took}: {rate} a second"
    )
    yield from labelled("answers", answers_text(tally))
    yield from labelled("latency", _latency_text(tally))
    yield from labelled("bodies", _bodies_text(tally.bytes, elapsed))
    yield from labelled("connections", connections_text(total))
    yield from _errors(tally)


def answers_text(tally: Tally) -> str:
    by_status = (
        f"{code}: {n:,}" for code, n in sorted(tally.statuses.items())
    )
    listed = ", ".join(by_status)
    return f"{tally.answers:,}" + (f" ({listed})" if listed else "")


def _latency_text(tally: Tally) -> str:
    seen = tally.latencies
    shown = [
        f"{name} {show_duration(seen.percentile(p))}" for name, p in SHARES
    ]
    return "   ".join([*shown, f"max {show_duration(seen.longest)}"])


def _bodies_text(size: int, elapsed: float) -> str:
    return f"{show_bytes(size)}, {show_bytes(per_second(size, elapsed))}/s"


def connections_text(total: hpool.HostStats) -> str:
    text = f"{total.dials:,} dialed, {total.reuses:,} reused"
    if total.requests:
        text += f" ({show_share(total.reuses, total.requests)})"
    if total.handshakes:
        text += (
            f"; TLS handshakes {total.handshakes:,}, "
            f"{total.resumed:,} of them resumed"
        )
    return text


def show_share(part: int, whole: int) -> str:
    """Rounded down, so that "100 %" is all of them: "99.9 %"."""
    tenths = part * 1000 // whole
    return f"{tenths // 10} %" if part == whole else f"{tenths / 10:.1f} %"


def _errors(tally: Tally) -> Iterator[str]:
    if not tally.errors:
        yield from labelled("errors", "none")
    title = "errors"
    for name, count in by_count(tally.errors):
        yield from labelled(title, f"{count:,} {name}: {tally.examples[name]}")
        title = ""


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


# What to try, where an error's own text cannot know the options.
_HINTS = {
    "MissingSchema": "write it as http://HOST/",
    "SSLError": "--cacert FILE trusts an authority, --insecure any certificate",
}


def failure_text(error: Exception) -> str:
    """Why there was nobody to put a load on."""
    tip = _HINTS.get(type(error).__name__)
    return printable(str(error)) + (f" ({tip})" if tip else "")


def advice_text(advice: Sequence[Advice]) -> Iterator[str]:
    """Each with what was found and what to change."""
    if not advice:
        yield "No problem found."
    for item in advice:
        where = f" ({item.host})" if item.host else ""
        yield printable(f"{item.severity}: {item.code}{where}")
        for text, mark in ((item.finding, "   "), (item.change, "=> ")):
            yield from textwrap.wrap(
                printable(text),
                WIDTH,
                initial_indent=f"  {mark}",
                subsequent_indent="     ",
                break_on_hyphens=False,
            )


# ---- for a machine -----------------------------------------------------------


def load_data(load: Load) -> dict[str, Any]:
    """Times are seconds; what never happened is null."""
    tally, elapsed = load.tally(), load.elapsed
    latency = {name: tally.latencies.percentile(p) for name, p in SHARES}
    return {
        "urls": [url_for_text(url) for url in load.urls],
        "threads": load.threads,
        "seconds": elapsed,
        "requests": tally.requests,
        "requests_per_second": per_second(tally.requests, elapsed),
        "answers": tally.answers,
        "statuses": {
            str(code): n for code, n in sorted(tally.statuses.items())
        },
        "bytes": tally.bytes,
        "latency": {**latency, "max": tally.latencies.longest},
        "errors": tally.errors,
        "error_examples": tally.examples,
    }


def plain_data(value: Any) -> Any:
    """A record of ours as dicts, lists and figures."""
    if isinstance(value, Frozen):
        fields = (name for name in value.__slots__)
        return {name: plain_data(getattr(value, name)) for name in fields}
    if isinstance(value, dict):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(item) for item in value]
    return value
