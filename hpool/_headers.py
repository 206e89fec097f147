"""Headers that can be changed: a client's defaults, a request's own."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from ._redact import SECRET_HEADERS
from .errors import InvalidHeader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeAlias

    Text: TypeAlias = str | bytes
    Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]


class MutableHeaders(MutableMapping[str, str]):
    """A case-insensitive, ordered mapping of header fields.

    Setting a name replaces its fields, keeps its place and takes the new
    spelling; None as a value takes it out. Repeated fields are read joined by
    ", ". Names and values are str in Latin-1, or bytes that go out as they
    are; InvalidHeader for a str with other characters, TypeError for anything
    else.
    """

    def __init__(
        self,
        initial: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
    ) -> None:
        self._fields: Fields = _to_fields(initial)

    def __getitem__(self, name: Text) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __setitem__(self, name: Text, value: Text | None) -> None:
        if value is None:
            self._replace(name, None)
        else:
            self._replace(name, (_encode(name), _encode(value)))

    def __delitem__(self, name: Text) -> None:
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

    def get_list(self, name: Text) -> list[str]:
        """The values of all fields of that name, in order."""
        key = _encode(name).lower()
        return [
            value.decode("latin-1")
            for field, value in self._fields
            if field.lower() == key
        ]

    def add(self, name: Text, value: Text) -> None:
        """One more field, behind those there are of that name."""
        self._put((*self._fields, (_encode(name), _encode(value))))

    def multi_items(self) -> list[tuple[str, str]]:
        """All fields in order, repeated names repeated."""
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._fields
        ]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """All fields as they go out."""
        return list(self._fields)

    def copy(self) -> Mapping[str, str]:
        """Headers of their own with the same fields."""
        return MutableHeaders(self._fields)

    def _put(self, fields: Fields) -> None:
        self._fields = fields

    def _replace(self, name: Text, new: tuple[bytes, bytes] | None) -> None:
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
        self._put(tuple(fields))


def _to_fields(
    initial: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None,
) -> Fields:
    if initial is None:
        return ()
    many = getattr(initial, "raw", None)  # repeated fields apart
    if isinstance(initial, Mapping):
        items = initial.items() if many is None else many
    else:
        items = initial
    return tuple(
        (_encode(name), _encode(value))
        for name, value in items
        if value is not None
    )


def _encode(text: Text) -> bytes:
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
