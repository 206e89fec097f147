"""What requests has around hooks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOOKS = ["response"]

__all__ = ["HOOKS", "default_hooks", "dispatch_hook"]


def default_hooks() -> dict[str, list[Any]]:
    """No functions for any event."""
    return {event: [] for event in HOOKS}


def dispatch_hook(key: str, hooks: Any, hook_data: Any, **kwargs: Any) -> Any:
    """What the hooks for `key` make of `hook_data`: each may return another."""
    functions = (hooks or {}).get(key) or ()
    for f in [functions] if callable(functions) else functions:
        made = f(hook_data, **kwargs)
        if made is not None:
            hook_data = made
    return hook_data
