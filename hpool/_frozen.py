"""The base of the small immutable value classes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Frozen:
    """A value: its fields are its slots, set once by `_fill`.

    Equal when type and fields are equal, hashable when the fields are,
    picklable, and shown as the call that would make it.
    """

    __slots__: tuple[str, ...] = ()

    def _fill(self, values: dict[str, object]) -> None:
        """Sets every slot from `values`; for use in `__init__` only."""
        for name in self.__slots__:
            object.__setattr__(self, name, values[name])

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{type(self).__name__} is immutable: cannot set {name!r}"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"{type(self).__name__} is immutable: cannot delete {name!r}"
        )

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        fields = zip(self.__slots__, self._values())
        shown = ", ".join(f"{name}={value!r}" for name, value in fields)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[object, ...]:
        fields = dict(zip(self.__slots__, self._values()))
        return _restore, (type(self), fields)

    def __copy__(self) -> Frozen:
        return self

    def __deepcopy__(self, memo: object) -> Frozen:
        return self


def _restore(cls: type[Frozen], fields: dict[str, object]) -> Frozen:
    value = cls.__new__(cls)
    value._fill(fields)
    return value
