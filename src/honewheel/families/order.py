"""Which rows each update sees when some of them have to wait (a curriculum).

Updates and rows an update are those of the plain plan: a curriculum changes what is shown, never
how much. A pass shows every open row once, in random order; a row that opens during a pass joins
it at a random place. Where every row is open from the start this is the plain plan itself.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

CURRICULUM = "curriculum"  # in Spec.settings: one of KINDS, or absent for "off"
KINDS = ("off", "competence", "stages")  # only under "stages" may rows open before their time
MASTERED = 0.05  # a pass that lowers the loss of a stage's rows by no more than this is its last
REVISITS = 32  # rows of a stage seen again before its improvement is judged


def plan(count: int, batch_size: int, epochs: int, seed: int, updates: int = 0) -> list[list[int]]:
    """Indices of every batch of a run, in order: each epoch shuffles all `count` rows anew.

    `updates` above 0 is the number of batches, however many epochs that makes. A pure function
    of its arguments, so a resumed run drops the batches it has done and goes on.
    """
    batches: list[list[int]] = []
    wanted = updates or epochs * math.ceil(count / batch_size)
    epoch = 0
    while len(batches) < wanted:
        order = list(range(count))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        batches += [order[i : i + batch_size] for i in range(0, count, batch_size)]
        epoch += 1
    return batches[:wanted]


class Order(Sequence[list[int]]):
    """The batches of a run, drawn as they are asked for.

    `since` is each row's share of the training in [0, 1) before which it is not shown, `sizes`
    the rows of each update. Where the open rows are fewer than an update takes, or another pass
    would leave rows that no update shows, the next ones come early. So no update has a row twice
    and every row is shown, if the sizes allow it. The same arguments give the same batches.
    """

    def __init__(
        self,
        since: Sequence[float],
        sizes: Sequence[int],
        seed: int,
        opens: Mapping[float, int] | None = None,
    ) -> None:
        self.since, self.sizes, self.seed = since, sizes, seed
        # The small term keeps 0.4 x 65 at 26 despite binary fractions.
        self.opens = {share: math.ceil(share * len(sizes) - 1e-9) for share in sorted({*since})}
        self.opens |= opens or {}
        self._drawn: list[list[int]] = []
        self._open: list[int] = []
        self._bag: list[int] = []  # what is left of this pass, the next row last
        self._waiting = sorted(
            range(len(since)), key=lambda row: (since[row], row), reverse=True
        )  # the next to open last
        self._passes = 0
        self._left = sum(sizes)  # rows still to be drawn
        self._random = random.Random()

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, at: int) -> list[int]: ...
    @overload
    def __getitem__(self, at: slice) -> list[list[int]]: ...
    def __getitem__(self, at: int | slice) -> list[int] | list[list[int]]:
        places = range(len(self))[at]
        if isinstance(places, range):
            return [self[place] for place in places]
        while len(self._drawn) <= places:
            self._drawn.append(self._draw(len(self._drawn)))
        return self._drawn[places]

    def open_early(self, share: float, update: int) -> None:
        """Show the rows that wait for `share` from `update` (0-based) on, if that is sooner."""
        assert update >= len(self._drawn), "this would change a batch that is drawn already"
        self.opens[share] = min(self.opens[share], update)

    def holds_back(self, update: int) -> bool:
        """Whether some rows are not open yet at `update` (0-based)."""
        return max(self.opens.values()) > update

    def _draw(self, update: int) -> list[int]:
        size = self.sizes[update]
        while self._waiting and (self._next_opens() <= update or len(self._open) < size):
            self._let_in()
        batch: list[int] = []
        while len(batch) < size:
            if self._bag:
                batch.append(self._bag.pop())
                self._left -= 1
            elif self._left < len(self._open) + len(self._waiting) and self._waiting:
                self._let_in()  # another pass would leave no update for some that wait
            else:
                self._begin_pass(batch)
        return batch

    def _next_opens(self) -> int:
        return self.opens[self.since[self._waiting[-1]]]

    def _let_in(self) -> None:
        row = self._waiting.pop()
        self._open.append(row)
        if self._passes:
            place = self._random.randrange(len(self._bag) + 1)
            self._bag.append(row)
            self._bag[place], self._bag[-1] = self._bag[-1], self._bag[place]

    def _begin_pass(self, batch: Sequence[int]) -> None:
        """Shuffle all open rows; those that this batch has already come last."""
        self._random.seed(f"{self.seed}/{self._passes}")
        self._passes += 1
        shown = {*batch}
        order = sorted(self._open)
        self._random.shuffle(order)
        self._bag = [row for row in order if row in shown]
        self._bag += [row for row in reversed(order) if row not in shown]


class Left:
    """The batches from update `start` (0-based) on, each looked up only when its turn comes."""

    def __init__(self, batches: Sequence[list[int]], start: int) -> None:
        self.batches, self.start = batches, start

    def __len__(self) -> int:
        return len(self.batches) - self.start

    def __iter__(self) -> Iterator[list[int]]:
        return (self.batches[update] for update in range(self.start, len(self.batches)))


class Mastery:
    """Opens the next stage of an order once the newest one has stopped getting better.

    A stage is the rows that share a `since`. Its measure is its own: the training loss of its
    rows against the loss of the same rows when they were last seen, one pass ago. When that has
    fallen by no more than MASTERED over REVISITS rows (or as many as the stage has), the stage is
    near the best it will reach, whatever that is, and the next one opens. At the latest it opens
    at its share of the training, so no stage can hold the others back; none ever closes.
    """

    def __init__(self, order: Order, saved: Mapping[str, Any] | None = None) -> None:
        self.order = order
        self.rows = Counter(order.since)  # rows of each stage
        self.shares = sorted(self.rows)
        self.stage = 0
        self.last: dict[int, float] = {}  # loss of each row of the newest stage, when last seen
        self.before = self.now = 0.0  # summed losses of the rows seen again: then and now
        self.seen = 0
        if saved is not None:
            self.stage, self.seen = saved["stage"], saved["seen"]
            self.before, self.now = saved["before"], saved["now"]
            self.last = dict(saved["last"])

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as JSON; `opens` belongs to the order."""
        return {
            "opens": sorted(self.order.opens.items()),
            "stage": self.stage,
            "before": self.before,
            "now": self.now,
            "seen": self.seen,
            "last": sorted(self.last.items()),
        }

    def openings(self) -> list[dict[str, float]]:
        """Rows of each stage, with the updates done when it opened and those allowed at most."""
        latest = Order(self.order.since, self.order.sizes, self.order.seed).opens
        return [
            {"rows": self.rows[share], "opened": self.order.opens[share], "latest": latest[share]}
            for share in self.shares
        ]

    def after(self, update: int, losses: Sequence[float]) -> None:
        """Book the loss of each row of the batch of `update` (0-based), in its order.

        The next stage opens two updates later: the data loader has drawn the next one already.
        """
        newest = max(0, sum(self.order.opens[share] <= update for share in self.shares) - 1)
        if newest != self.stage:
            self.stage, self.last = newest, {}
            self._judge_anew()
        if newest == len(self.shares) - 1:
            return
        for row, loss in zip(self.order[update], losses, strict=True):
            if self.order.since[row] == self.shares[newest]:
                self._see(row, loss)
        if self.seen >= min(REVISITS, self.rows[self.shares[newest]]):
            if self.before - self.now <= MASTERED * self.before:
                self.order.open_early(self.shares[newest + 1], update + 2)
            self._judge_anew()

    def _see(self, row: int, loss: float) -> None:
        if row in self.last:
            self.before += self.last[row]
            self.now += loss
            self.seen += 1
        self.last[row] = loss

    def _judge_anew(self) -> None:
        self.before, self.now, self.seen = 0.0, 0.0, 0
