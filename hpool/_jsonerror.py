"""JSONDecodeError, apart because its base needs `import json`."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

from .errors import InvalidJSONError, _state


class JSONDecodeError(InvalidJSONError, json.JSONDecodeError):
    """The body is not JSON; also the json module's own JSONDecodeError."""

    def __init__(
        self, msg: str, doc: str = "", pos: int = 0, **attributes: Any
    ) -> None:
        json.JSONDecodeError.__init__(self, msg, doc, pos)
        InvalidJSONError.__init__(self, *self.args, **attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.msg, self.doc, self.pos), _state(self)


# Pickles and tracebacks name the public place.
JSONDecodeError.__module__ = "hpool.errors"
