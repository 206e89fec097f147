"""What `top` prints where there is no screen: a line of figures per view."""

from __future__ import annotations

from .report import SHARES, show_duration, show_rate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .top_history import View

_WIDTHS = (8, 11, 8, 8, 8, 8, 7, 5, 5, 5)


def _row(*cells: str) -> str:
    return "".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS))


_SHARES = [name for name, _ in SHARES]
HEADS = _row(
    "time", "requests/s", *_SHARES, "max", "errors", "used", "idle", "wait"
)


def line(view: View) -> str:
    """At most 79 columns, unless the figures are huge."""
    recent, pool = view.recent, view.stats.total
    return _row(
        f"{view.elapsed:.1f} s",
        show_rate(view.rates[-1] if view.rates else 0.0),
        *(show_duration(recent.percentile(share)) for _, share in SHARES),
        show_duration(recent.longest),
        f"{view.tally.failures:,}",
        f"{pool.in_use}",
        f"{pool.idle}",
        f"{pool.waiting}",
    )
