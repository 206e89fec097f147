"""Retries: which requests are made again by themselves."""

from __future__ import annotations

from ._frozen import Frozen
from .errors import InvalidArgument


class Retries(Frozen):
    """Which requests are made again by themselves; for `retries=` of a client
    or of one request.

    stale  whether a request is sent again when the server had closed the kept
           connection it went out on (True). That happens only where it cannot
           do harm: not a byte of it was written, or it is GET, HEAD, OPTIONS
           or TRACE, bears an Idempotency-Key, or is made with
           `idempotent=True`; and never after the first byte of an answer.
    """

    __slots__ = ("stale",)

    stale: bool

    def __init__(self, *, stale: bool = True) -> None:
        if not isinstance(stale, bool):
            kind = type(stale).__name__
            raise TypeError(f"stale takes True or False, not {kind}")
        self._fill({"stale": stale})


def parse_retries(value: object) -> Retries:
    """Anything that stands for retries, as a Retries; None and 0 are the
    default. TypeError or InvalidArgument."""
    if isinstance(value, Retries):
        return value
    if value is None:
        return Retries()
    if isinstance(value, bool) or not isinstance(value, int):
        kind = type(value).__name__
        raise TypeError(f"retries takes a Retries, or 0, not {kind}")
    if value != 0:
        raise InvalidArgument(
            "retries above the transport are not supported yet: retries takes "
            f"a Retries, or 0, not {value}"
        )
    return Retries()
