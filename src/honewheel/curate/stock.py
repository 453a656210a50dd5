"""At most so many of a stream, the best ones, whatever order they come in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Stock(Generic[T]):
    """The `most` best of everything offered, for each `shelf` apart.

    `rank` is a total order (larger is better): what is kept is then a function of the set of
    things offered, not of their order. Each offer costs O(log most).

    >>> stock = Stock(2, rank=lambda number: (number,))
    >>> [stock.offer(number) for number in (5, 1, 7)]
    [None, None, 1]
    >>> sorted(stock)
    [5, 7]
    """

    def __init__(
        self,
        most: int,
        *,
        rank: Callable[[T], tuple[Any, ...]],
        shelf: Callable[[T], str] = lambda _: "",
    ) -> None:
        self.most = most
        self._rank = rank
        self._shelf = shelf
        self._shelves: dict[str, list[tuple[tuple[Any, ...], int, T]]] = {}
        self._offers = 0

    def offer(self, one: T) -> T | None:
        """Keep `one`; returns what has to go for it, which may be `one` itself."""
        heap = self._shelves.setdefault(self._shelf(one), [])
        self._offers += 1  # decides between equal ranks, so that things are never compared
        entry = (self._rank(one), self._offers, one)
        if len(heap) < self.most:
            heapq.heappush(heap, entry)
            return None
        return heapq.heappushpop(heap, entry)[2]

    def take(self, offered: Iterable[T]) -> Stock[T]:
        """Offer each of these; returns itself."""
        for one in offered:
            self.offer(one)
        return self

    def __iter__(self) -> Iterator[T]:
        """What is kept, in no particular order."""
        for heap in self._shelves.values():
            for _, _, one in heap:
                yield one

    def __len__(self) -> int:
        return sum(map(len, self._shelves.values()))
