"""`client.headers`: the headers a client sends with every request."""

from __future__ import annotations

from ._headers import MutableHeaders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from ._headers import Fields


class ClientHeaders(MutableHeaders):
    """The mapping whose changes the client takes note of.

    Every change calls `changed` with all the fields as ((name, value), ...) in
    bytes; if it raises, nothing has changed. A request under way keeps the
    headers it started with.
    """

    def __init__(
        self,
        initial: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None,
        changed: Callable[[Fields], object],
    ) -> None:
        super().__init__(initial)
        self._changed = changed

    def copy(self) -> dict[str, str]:
        """A plain dict of what is set now."""
        return dict(self)

    def _put(self, fields: Fields) -> None:
        self._changed(fields)
        super()._put(fields)
