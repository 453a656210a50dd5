"""ADWIN: a window over a stream that drops its past when its past was different.

Bifet and Gavalda, "Learning from time-changing data with adaptive windowing", SIAM Data Mining
(2007), ADWIN2: values in [0, 1] are kept in an exponential histogram (at most ROW buckets of each
size 1, 2, 4, ...), and whenever two parts of the window have means that differ by more than chance
allows at level delta, the older bucket goes. Written here because the package that has it (river)
brings pandas for these lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ROW = 5  # buckets of one size before the two oldest of them are merged
LEAST = 5  # values on each side of a cut


@dataclass(frozen=True, slots=True)
class Change:
    """A cut: means in [0, 1] and numbers of values before and after it, and how much is kept."""

    before: float
    after: float
    dropped: int
    kept: int


@dataclass(slots=True)
class _Bucket:
    count: int
    total: float


class Adwin:
    """One stream. `delta` in (0, 1) bounds how often a stable one is called changed."""

    def __init__(self, delta: float) -> None:
        self._delta = delta
        self._buckets: list[_Bucket] = []  # the oldest, and largest, first
        self._squares = 0.0  # of the window, kept with its mean for the variance
        self._mean = 0.0
        self.count = 0

    @property
    def mean(self) -> float:
        """Mean of the window; 0 while it is empty."""
        return self._mean

    def add(self, value: float) -> Change | None:
        """Take in one value; the change it reveals, if it does. Raises ValueError outside [0, 1]"""
        if not 0 <= value <= 1:
            raise ValueError(f"a value of {value!r} is outside 0 .. 1")
        self.count += 1
        step = value - self._mean
        self._mean += step / self.count
        self._squares += step * (value - self._mean)
        self._buckets.append(_Bucket(1, value))
        self._merge()
        found = None
        while (cut := self._cut()) is not None:
            found = cut if found is None else Change(found.before, cut.after, found.dropped, 0)
            self._drop()
        if found is None:
            return None
        return Change(found.before, found.after, found.dropped, self.count)

    def _merge(self) -> None:
        """Where more than ROW buckets have one size, the two oldest of them become one."""
        size, end = 1, len(self._buckets)
        while True:
            start = end
            while start > 0 and self._buckets[start - 1].count == size:
                start -= 1
            if end - start <= ROW:
                return
            first, second = self._buckets[start], self._buckets[start + 1]
            merged = _Bucket(first.count + second.count, first.total + second.total)
            self._buckets[start : start + 2] = [merged]
            size, end = 2 * size, start + 1

    def _cut(self) -> Change | None:
        """The oldest place at which the window falls into two that differ."""
        if self.count < 2 * LEAST:
            return None
        whole = self._mean * self.count
        variance = max(0.0, self._squares / self.count)
        log = math.log(2 * math.log(self.count) / self._delta)
        old_count, old_total = 0, 0.0
        for bucket in self._buckets[:-1]:
            old_count, old_total = old_count + bucket.count, old_total + bucket.total
            new_count = self.count - old_count
            if min(old_count, new_count) < LEAST:
                continue
            harmonic = 1 / (1 / old_count + 1 / new_count)
            old, new = old_total / old_count, (whole - old_total) / new_count
            chance = math.sqrt(2 / harmonic * variance * log) + 2 / (3 * harmonic) * log
            if abs(old - new) > chance:
                return Change(old, new, old_count, new_count)
        return None

    def _drop(self) -> None:
        """Forget the oldest bucket; its variance inside is not known, its distance is."""
        gone = self._buckets.pop(0)
        left = self.count - gone.count
        old = gone.total / gone.count
        mean = (self._mean * self.count - gone.total) / left
        between = gone.count * left / self.count * (old - mean) ** 2
        inside = gone.count * old * (1 - old)  # the most that values in [0, 1] can have
        self._squares = max(0.0, self._squares - between - min(inside, self._squares))
        self._mean, self.count = mean, left
