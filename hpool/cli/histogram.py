"""Durations counted in buckets: fixed memory, percentiles within 2 %."""

from __future__ import annotations

import math
from array import array

# A duration in microseconds keeps its 6 highest bits: below 64 us each has a
# bucket of its own, above it 32 buckets stand for every doubling.
_BITS = 6
_HALF = 1 << (_BITS - 1)
_LONGEST = (1 << 33) - 1  # us: over two hours; longer counts as that


def _bucket(microseconds: int) -> int:
    shift = max(0, microseconds.bit_length() - _BITS)
    return shift * _HALF + (microseconds >> shift)


def _bounds(bucket: int) -> tuple[int, int]:
    """The first and the last microsecond that count here."""
    shift = max(0, bucket // _HALF - 1)
    first = (bucket - shift * _HALF) << shift
    return first, first + (1 << shift) - 1


_BUCKETS = _bucket(_LONGEST) + 1


class Histogram:
    """How often which duration was seen.

    >>> seen = Histogram()
    >>> for ms in range(1, 101):
    ...     seen.record(ms / 1000)
    >>> seen.count, seen.longest
    (100, 0.1)
    >>> round(seen.percentile(0.5), 2)
    0.05
    """

    __slots__ = ("_counts", "_longest", "count")

    count: int

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BUCKETS))
        self._longest = 0
        self.count = 0

    def record(self, seconds: float) -> None:
        """Counts one duration; below zero is zero."""
        microseconds = min(max(0, round(seconds * 1e6)), _LONGEST)
        self._counts[_bucket(microseconds)] += 1
        self._longest = max(self._longest, microseconds)
        self.count += 1

    def copy(self) -> Histogram:
        same = Histogram.__new__(Histogram)
        same._counts = self._counts[:]
        same._longest = self._longest
        same.count = self.count
        return same

    def since(self, earlier: Histogram) -> Histogram:
        """What has been recorded since `earlier`, a copy of this one, was
        made. Its `longest` is known within a bucket only."""
        later = Histogram()
        for bucket, count in enumerate(self._counts):
            added = count - earlier._counts[bucket]
            if added:
                later._counts[bucket] = added
                later._longest = min(_bounds(bucket)[1], self._longest)
        later.count = self.count - earlier.count
        return later

    @property
    def longest(self) -> float | None:
        """Seconds, None when nothing was recorded."""
        return self._longest / 1e6 if self.count else None

    def percentile(self, share: float) -> float | None:
        """Seconds that `share` (0 to 1) of all did not exceed; the middle of
        its bucket. None when nothing was recorded."""
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                middle = sum(_bounds(bucket)) / 2
                return min(middle, self._longest) / 1e6
        return None
