"""`client.headers`: the headers a client sends with every request."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from ._redact import SECRET_HEADERS
from .errors import InvalidHeader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    _Text: TypeAlias = str | bytes
    _Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]


class ClientHeaders(MutableMapping[str, str]):
    """A case-insensitive, ordered mapping of default headers.

    Setting a name replaces its fields, keeps its place and takes the new
    spelling; None as a value takes it out. Repeated fields are read joined by
    ", ". Names and values are str in Latin-1, or bytes that go out as they
    are; InvalidHeader for a str with other characters.

    Every change calls `changed` with all the fields as ((name, value), ...) in
    bytes; if it raises, nothing has changed. A request under way keeps the
    headers it started with.
    """

    def __init__(
        self,
        initial: Mapping[_Text, _Text | None]
        | Iterable[tuple[_Text, _Text | None]]
        | None,
        changed: Callable[[_Fields], object],
    ) -> None:
        self._fields: _Fields = _to_fields(initial)
        self._changed = changed

    def __getitem__(self, name: _Text) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __setitem__(self, name: _Text, value: _Text | None) -> None:
        if value is None:
            self._replace(name, None)
        else:
            self._replace(name, (_encode(name), _encode(value)))

    def __delitem__(self, name: _Text) -> None:
        if name not in self:
            raise KeyError(name)
        self._replace(name, None)

    def __iter__(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for name, _ in self._fields:
            if name.lower() not in seen:
                seen.add(name.lower())
                yield name.decode("latin-1")

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._fields})

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, (str, bytes)):
            return False
        return bool(self.get_list(name))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return _comparable(self) == _comparable(other)

    def __repr__(self) -> str:
        shown = {
            name: "[hidden]" if name.lower() in SECRET_HEADERS else value
            for name, value in self.items()
        }
        return repr(shown)

    def get_list(self, name: _Text) -> list[str]:
        """The values of all fields of that name, in order."""
        key = _encode(name).lower()
        return [
            value.decode("latin-1")
            for field, value in self._fields
            if field.lower() == key
        ]

    def copy(self) -> dict[str, str]:
        """A plain dict of what is set now."""
        return dict(self)

    def _replace(
        self, name: _Text, new: tuple[bytes, bytes] | None
    ) -> None:
        """The fields of `name` become `new`, at the place of the first."""
        key = _encode(name).lower()
        fields: list[tuple[bytes, bytes]] = []
        for field in self._fields:
            if field[0].lower() != key:
                fields.append(field)
            elif new is not None:
                fields.append(new)
                new = None
        if new is not None:
            fields.append(new)
        self._changed(tuple(fields))
        self._fields = tuple(fields)


def _to_fields(
    initial: Mapping[_Text, _Text | None]
    | Iterable[tuple[_Text, _Text | None]]
    | None,
) -> _Fields:
    if initial is None:
        return ()
    items = initial.items() if isinstance(initial, Mapping) else initial
    return tuple(
        (_encode(name), _encode(value))
        for name, value in items
        if value is not None
    )


def _encode(text: _Text) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(
            f"headers takes str or bytes, not {type(text).__name__}"
        )
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeader(
            "a header's name or value is not latin-1; encode it to bytes to "
            "send something else"
        ) from None


def _comparable(headers: Mapping[str, str]) -> dict[str, str]:
    return {str(name).lower(): value for name, value in headers.items()}
