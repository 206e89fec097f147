"""Mappings that code on requests imports: CaseInsensitiveDict, LookupDict."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

V = TypeVar("V")

__all__ = ["CaseInsensitiveDict", "LookupDict"]


class CaseInsensitiveDict(MutableMapping[str, V], Generic[V]):
    """A dict with str keys whose case does not matter; iterating gives them as
    they were set last. For any values; `hpool.Headers` is what a response has.
    """

    def __init__(
        self,
        data: Mapping[str, V] | Iterable[tuple[str, V]] | None = None,
        **more: V,
    ) -> None:
        self._items: dict[str, tuple[str, V]] = {}
        self.update({} if data is None else data, **more)

    def __getitem__(self, key: str) -> V:
        return self._items[key.lower()][1]

    def __setitem__(self, key: str, value: V) -> None:
        self._items[key.lower()] = key, value

    def __delitem__(self, key: str) -> None:
        del self._items[key.lower()]

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def lower_items(self) -> Iterator[tuple[str, V]]:
        """(key in lower case, value) of each."""
        return ((key, value) for key, (_, value) in self._items.items())

    def copy(self) -> CaseInsensitiveDict[V]:
        return CaseInsensitiveDict(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.lower_items()) == {
            str(key).lower(): value for key, value in other.items()
        }

    def __repr__(self) -> str:
        return repr(dict(self.items()))


class LookupDict(dict[str, Any]):
    """Values that are attributes: `codes.ok`. By key, what is missing is None.
    """

    name: str | None

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name

    def __getattr__(self, key: str) -> Any:
        raise AttributeError(f"{self.name} has no {key!r}")

    def __getitem__(self, key: str) -> Any:
        return self.__dict__.get(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self.__dict__.get(key, default)

    def __repr__(self) -> str:
        return f"<lookup '{self.name}'>"
