"""What `top` shows: a frame of exactly so many columns and rows at most, made
of one View. No terminal, no clock, no state."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from .progress import show_bytes
from .report import (
    SHARES,
    answers_text,
    by_count,
    connections_text,
    printable,
    show_duration,
    show_rate,
    show_threads,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import hpool

    from .histogram import Histogram
    from .top_history import View

# Field, title of a line, title of a column, style.
ROOMS = (
    ("in_use", "in use", "in use", "green"),
    ("idle", "idle", "idle", "cyan"),
    ("dialing", "dialing", "dial", "yellow"),
    ("draining", "draining", "drain", "magenta"),
    ("waiting", "waiting", "wait", "red"),
)
_TITLE = 14  # columns of the words on the left
_SCALE = 10  # columns right of the chart


@dataclass(frozen=True)
class Glyphs:
    """levels: a cell filled from below; eighths: from the left; both begin
    with the empty one."""

    levels: str
    eighths: str
    peak: str
    rule: str


BLOCKS = Glyphs(" ▁▂▃▄▅▆▇█", " ▏▎▍▌▋▊▉█", "╎", "─")
ASCII = Glyphs(" .:-=+*%#", "        #", "|", "-")


def glyphs_for(encoding: str) -> Glyphs:
    """Blocks where the terminal's encoding has them."""
    try:
        (BLOCKS.levels + BLOCKS.eighths + BLOCKS.peak).encode(encoding)
    except (UnicodeError, LookupError):
        return ASCII
    return BLOCKS


def frame(
    view: View, width: int, height: int, glyphs: Glyphs = BLOCKS
) -> Text:
    """As many details as the height has room for."""
    for chart, gap in ((5, True), (3, True), (1, True), (1, False)):
        lines = _lines(view, width - 2, height, glyphs, chart, gap)
        if len(lines) <= height:
            break
    if len(lines) < height:
        lines += [Text()] * (height - 1 - len(lines)) + [_foot(width - 2)]
    shown = Text(no_wrap=True, overflow="crop", end="")
    for number, line in enumerate(lines[:height]):
        line = Text(" ").append_text(line)
        line.truncate(max(1, width - 1), overflow="ellipsis")
        shown.append("\n" if number else "").append_text(line)
    return shown


def _lines(
    view: View, width: int, height: int, glyphs: Glyphs, chart: int, gap: bool
) -> list[Text]:
    space = [Text()] if gap else []
    above = [_title(view, width), *([_rule(width, glyphs)] if gap else [])]
    above += _chart(view, width, glyphs, chart)
    above += _outcome(view, width)
    latency = list(_latencies(view, width))
    below = list(_connections(view.stats.total))
    rest = len(above) + len(latency) + len(below) + 3 * len(space)
    pool = _pool(view, width, max(2, height - rest), glyphs)
    return [*above, *space, *latency, *space, *pool, *space, *below]


# ---- the parts, from above ---------------------------------------------------


def _title(view: View, width: int) -> Text:
    minutes, seconds = divmod(int(view.elapsed), 60)
    right = f"  {show_threads(view.threads)}  {minutes}:{seconds:02}"
    left = _bold("hpool top  ")
    left.append(printable(view.title), "bold cyan")
    left.truncate(max(0, width - len(right)), overflow="ellipsis", pad=True)
    return left.append(right)


def _rule(width: int, glyphs: Glyphs) -> Text:
    return Text(glyphs.rule * width, "dim")


def _foot(width: int) -> Text:
    return Text("Ctrl-C ends".rjust(width), "dim")


def _chart(
    view: View, width: int, glyphs: Glyphs, rows: int
) -> Iterator[Text]:
    """The history of requests per second, the newest on the right."""
    columns = max(0, width - _TITLE - _SCALE)
    rates = view.rates[-columns:] if columns else []
    highest = max(rates, default=0.0)
    words = _chart_words(view.rate, rows)
    scale = [show_rate(highest), *[""] * (rows - 2), *["0"] * (rows > 1)]
    top = len(glyphs.levels) - 1
    levels = [_level(rate, highest, rows * top) for rate in rates]
    for row in range(rows):
        base = (rows - 1 - row) * top
        cells = (glyphs.levels[min(top, max(0, n - base))] for n in levels)
        line = _bold(words[row].ljust(_TITLE))
        line.append("".join(cells).rjust(columns), "green")
        yield line.append(scale[row].rjust(_SCALE), "dim")


def _chart_words(rate: float, rows: int) -> list[str]:
    if rows == 1:
        return [f"{show_rate(rate)} req/s"]
    return ["requests/s", show_rate(rate), *[""] * (rows - 2)]


def _level(value: float, highest: float, levels: int) -> int:
    """More than nothing is at least one."""
    if value <= 0 or highest <= 0:
        return 0
    return max(1, round(value / highest * levels))


def _outcome(view: View, width: int) -> Iterator[Text]:
    bodies = f"{show_bytes(view.tally.bytes)}  {show_bytes(view.bytes_rate)}/s"
    answers = _labelled("answers", answers_text(view.tally))
    room = width - len(bodies) - 2
    if answers.cell_len <= room:
        answers.pad_right(room - answers.cell_len + 2)
        answers.append(bodies, "dim")
    yield answers
    errors = view.tally.errors
    text = f"{view.tally.failures:,}"
    if errors:
        text += f" ({_listed(errors)})"
    yield _labelled("errors", text, "red" if errors else "")


def _latencies(view: View, width: int) -> Iterator[Text]:
    column = max(8, min(11, (width - _TITLE) // (len(SHARES) + 1)))
    fit = max(1, (width - _TITLE) // column)
    names = [*(name for name, _ in SHARES), "max"][:fit]
    heads = "".join(name.rjust(column) for name in names)
    yield _labelled("latency", heads, "dim")
    for title, seen in (
        (f"last {view.recent_seconds:g} s", view.recent),
        ("in all", view.tally.latencies),
    ):
        cells = [show_duration(s).rjust(column) for s in _figures(seen)[:fit]]
        yield _labelled(title, "".join(cells))


def _figures(seen: Histogram) -> list[float | None]:
    return [*(seen.percentile(share) for _, share in SHARES), seen.longest]


def _connections(total: hpool.HostStats) -> Iterator[Text]:
    yield _labelled("connections", connections_text(total))
    for title, counts in (
        ("closed", total.closes),
        ("timeouts", total.timeouts),
        ("sent again", total.replays),
    ):
        if shown := counts.nonzero():
            yield _labelled(title, _listed(shown))
    if total.waits:
        mean = show_duration(total.wait_seconds / total.waits)
        longest = show_duration(total.max_wait)
        text = (
            f"{total.waits:,} requests, {mean} on average, {longest} at most"
        )
        yield _labelled("waited", text)
    if total.leaked:
        yield _labelled("leaked", f"{total.leaked:,} responses", "red")


def _labelled(title: str, text: str, style: str = "") -> Text:
    return _bold(title.ljust(_TITLE)).append(text, style)


def _bold(text: str) -> Text:
    # Not as the style of the Text itself: that would hold for all of it.
    return Text().append(text, "bold")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in by_count(counts))


# ---- the pool's rooms --------------------------------------------------------


def _pool(view: View, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    hosts = list(view.stats.hosts.values())
    if len(hosts) < 2:
        # Of a pool without hosts the total says that it is empty.
        host = hosts[0] if hosts else view.stats.total
        return list(_one_host(host, view.limit, width, glyphs))
    return list(_many_hosts(hosts, view, width, height, glyphs))


def _one_host(
    host: hpool.HostStats, limit: int | None, width: int, glyphs: Glyphs
) -> Iterator[Text]:
    """A bar for each room, with a mark at its highest so far."""
    allowed = "" if limit is None else f"  limit {limit:,}"
    yield _labelled("pool", f"{'now':>6}{'peak':>7}{allowed}", "dim")
    peaks = [getattr(host.peak, field) for field, *_ in ROOMS]
    scale = max(*peaks, limit or 0, 1)
    columns = max(0, width - _TITLE - 6 - 7 - 2)
    for (field, title, _, style), peak in zip(ROOMS, peaks):
        now = getattr(host.now, field)
        line = _labelled(title, f"{now:>6,}", style if now else "dim")
        line.append(f"{peak:>7,}  ", "dim")
        bar = _bar(now, scale, columns, glyphs)
        mark = min(columns - 1, round(peak / scale * columns))
        if peak and len(bar) <= mark:
            line.append(bar.ljust(mark), style).append(glyphs.peak, "dim")
        else:
            line.append(bar, style)
        yield line


def _bar(value: int, scale: int, columns: int, glyphs: Glyphs) -> str:
    eighths = _level(value, scale, columns * 8)
    part = glyphs.eighths[eighths % 8].strip()
    return glyphs.eighths[8] * (eighths // 8) + part


_CELL = 8
_NUMBERS = len(ROOMS) * _CELL
_LEAST_BAR = 10


def _many_hosts(
    hosts: list[hpool.HostStats],
    view: View,
    width: int,
    height: int,
    glyphs: Glyphs,
) -> Iterator[Text]:
    """A row for each host: now/peak of each room, and the rooms of its
    connections end to end in one bar."""
    longest = max(cell_len(host.name) for host in hosts)
    names = max(_TITLE, min(longest + 1, width - _NUMBERS - _LEAST_BAR))
    heads = "".join(title.rjust(_CELL) for _, _, title, _ in ROOMS)
    yield _bold("pool".ljust(names)).append(heads, "dim")
    hosts = sorted(hosts, key=lambda host: -host.requests)
    room = max(0, height - 2)
    shown = hosts if len(hosts) <= room else hosts[: max(0, room - 1)]
    scale = max(max(host.open for host in hosts), view.limit or 0, 1)
    columns = max(0, width - names - _NUMBERS - 2)
    for host in shown:
        bar = _stacked(host, scale, columns, glyphs)
        yield _host_row(host, names).append("  ").append_text(bar)
    if len(shown) < len(hosts):
        more = f"... and {len(hosts) - len(shown)} more hosts"
        yield Text(more, "dim")
    yield _host_row(view.stats.total, names)


def _host_row(host: hpool.HostStats, names: int) -> Text:
    line = Text().append(printable(host.name), "" if host.key else "bold")
    line.truncate(names - 1, overflow="ellipsis", pad=True)
    for field, _, _, style in ROOMS:
        now, peak = getattr(host.now, field), getattr(host.peak, field)
        below = f"/{peak}"
        line.append(
            str(now).rjust(_CELL - len(below)), style if now else "dim"
        )
        line.append(below, "dim")
    return line


def _stacked(
    host: hpool.HostStats, scale: int, columns: int, glyphs: Glyphs
) -> Text:
    """Whole cells only: where one room ends the next begins."""
    bar, total = Text(), 0
    for field, _, _, style in ROOMS[:-1]:  # those who wait have no connection
        total += getattr(host.now, field)
        end = _level(total, scale, columns)
        bar.append(glyphs.eighths[8] * (end - len(bar)), style)
    return bar
