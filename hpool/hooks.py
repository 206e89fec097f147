"""What requests has around hooks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOOKS = ["response"]

__all__ = ["HOOKS", "default_hooks"]


def default_hooks() -> dict[str, list[Any]]:
    """No functions for any event."""
    return {event: [] for event in HOOKS}
