"""Which rows to learn from when not all of them may be: few that stand for all.

Facility location with quality: f(S) = sum_i max_{j in S} q_j sim_ij, where sim is the cosine,
nothing below 0. It is monotone and submodular, so greedy choice reaches at least (1 - 1/e) of
the best set (Nemhauser, Wolsey & Fisher 1978); the lazy form (Minoux 1978) recomputes a gain
only when it could be the next largest. Each row knows the NEIGHBOURS rows that serve it best, so
memory is O(64 n). A copy of what is chosen adds nothing.

Above STREAM rows the pool is read once by falling quality, and a row is taken when it is like
none taken before (the rule of DEITA, Liu et al. 2024, arXiv:2312.15685).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from honewheel.curate import features, replay
from honewheel.curate.features import Vectors
from honewheel.errors import InputError
from honewheel.records import Example

VERSION = f"2.{features.VERSION}"

NEIGHBOURS = 64
STREAM = 50_000  # rows of one task above which the pool is read once
ALIKE = 0.9  # cosine from which the streamed rule calls a row a repetition
_BLOCK = 512  # rows of the similarity matrix held at a time

Embedder: TypeAlias = Callable[[Sequence[str]], Vectors]
Floats: TypeAlias = npt.NDArray[np.float64]


def choose(
    pool: Sequence[Example],
    size: int,
    *,
    quality: Mapping[str, float] | None = None,
    seed: int,
    embed: Embedder = features.embed,
) -> tuple[Example, ...]:
    """At most `size` rows of `pool` that cover it, each task with an equal share.

    `quality` is in [0, 1] by example id; None, or no entry, is the row's value. `embed` gives
    [n, d] unit rows. Rows that add nothing fill up what is left, heavier ones first as in the
    reservoir. The answer does not depend on the order of `pool`. Raises InputError on a quality
    outside 0 .. 1.
    """
    known = quality or {}

    def place(row: Example) -> tuple[float, str, tuple[str, ...]]:
        return -replay.key(row.id, row.weight, seed), row.id, row.events

    tasks: defaultdict[str, list[Example]] = defaultdict(list)
    for row in sorted(pool, key=place):
        tasks[row.task].append(row)
    shares = replay.allot({task: len(rows) for task, rows in tasks.items()}, size)
    chosen: list[Example] = []
    for task in sorted(tasks):
        rows = tasks[task]
        if shares[task] == len(rows):
            chosen += rows
            continue
        vectors = embed([f"{row.prompt}\n{row.target}" for row in rows])
        worth = np.array([_quality(row, known) for row in rows])
        pick = stream if len(rows) > STREAM else cover
        chosen += [rows[index] for index in pick(vectors, worth, shares[task])]
    return tuple(chosen)


def _quality(row: Example, known: Mapping[str, float]) -> float:
    found = known.get(row.id, row.value)
    if not 0 <= found <= 1:
        raise InputError(f"Quality {found:g} of example {row.id} is outside 0 .. 1.")
    return found


@dataclass(frozen=True, slots=True)
class Graph:
    """How well each row serves the rows around it, sparse: entry e says `gains[e]` = q_j sim_ij.

    `starts` [n + 1], `served` [entries], `gains` [entries]: row j serves the rows
    `served[starts[j]:starts[j + 1]]`. Every row serves itself.
    """

    starts: npt.NDArray[np.int64]
    served: npt.NDArray[np.int64]
    gains: Floats

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, server: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """Rows that `server` serves, and how well."""
        part = slice(self.starts[server], self.starts[server + 1])
        return self.served[part], self.gains[part]


def graph(vectors: Vectors, quality: Floats, neighbours: int = NEIGHBOURS) -> Graph:
    """For each row of `vectors` [n, d] the `neighbours` rows with the largest q_j sim_ij.

    Similarities are rounded to 1e-4, so that the last bits of a machine's arithmetic do not
    decide, and of equal ones the lower index serves: copies have the same servers, however many
    they are.
    Memory: n x neighbours entries and _BLOCK rows of the matrix.
    """
    count = len(vectors)
    width = min(neighbours, count)
    lower_first = np.arange(count) * (1e-7 / count)
    rows, servers, gains = [], [], []
    for start in range(0, count, _BLOCK):
        block = np.round(vectors[start : start + _BLOCK] @ vectors.T, 4).clip(0, 1)
        own = np.arange(len(block))
        block[own, start + own] = 1.0
        block *= quality.astype(np.float32)
        ranked = block - lower_first
        best = np.argpartition(ranked, count - width, axis=1)[:, count - width :]
        best = _with_self(best, start)
        rows.append(np.repeat(start + own, width))
        servers.append(best.ravel())
        gains.append(np.take_along_axis(block, best, axis=1).ravel())
    return _by_server(count, np.concatenate(rows), np.concatenate(servers), np.concatenate(gains))


def _with_self(best: npt.NDArray[np.int64], start: int) -> npt.NDArray[np.int64]:
    """Each row's servers with itself among them, in place of the least (which comes first)."""
    own = start + np.arange(len(best))
    missing = ~(best == own[:, None]).any(axis=1)
    best[missing, 0] = own[missing]
    return best


def _by_server(
    count: int,
    rows: npt.NDArray[np.int64],
    servers: npt.NDArray[np.int64],
    gains: npt.NDArray[np.float32],
) -> Graph:
    order = np.lexsort((rows, servers))
    starts = np.searchsorted(servers[order], np.arange(count + 1))
    return Graph(starts, rows[order], gains[order].astype(np.float64))


def value(found: Graph, chosen: Sequence[int]) -> float:
    """f(S): how well the chosen rows serve all of them, in [0, n]."""
    best = np.zeros(len(found))
    for server in chosen:
        served, gains = found.of(server)
        best[served] = np.maximum(best[served], gains)
    return float(best.sum())


def greedy(found: Graph, size: int) -> list[int]:
    """`size` rows, each adding the most to f given those before it; ties to the lower index."""
    best = np.zeros(len(found))

    def gain(server: int) -> float:
        served, gains = found.of(server)
        return float(np.maximum(gains - best[served], 0.0).sum())

    heap = [(-gain(server), server) for server in range(len(found))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < size:
        _, server = heapq.heappop(heap)
        now = (-gain(server), server)
        if heap and now > heap[0]:  # gains only shrink, so nobody else can have overtaken it
            heapq.heappush(heap, now)
            continue
        chosen.append(server)
        served, gains = found.of(server)
        best[served] = np.maximum(best[served], gains)
    return chosen


def cover(vectors: Vectors, quality: Floats, size: int) -> list[int]:
    """Indices of `size` rows of `vectors` [n, d] that cover it, in the order of their gain."""
    return greedy(graph(vectors, quality), size)


def stream(vectors: Vectors, quality: Floats, size: int) -> list[int]:
    """Indices of `size` rows by falling quality, leaving out those like one taken before.

    When fewer than `size` are unlike each other, the best of those left out fill up.
    """
    order = np.argsort(-quality, kind="stable")
    taken: list[int] = []
    for start in range(0, len(order), _BLOCK):
        some = order[start : start + _BLOCK]
        seen = vectors[taken]
        near = (vectors[some] @ seen.T).max(axis=1) if taken else np.zeros(len(some))
        fresh: list[int] = []
        for row in some[near < ALIKE]:
            if not fresh or float((vectors[fresh] @ vectors[row]).max()) < ALIKE:
                fresh.append(int(row))
        taken += fresh
        if len(taken) >= size:
            return taken[:size]
    held = {*taken}
    return taken + [int(row) for row in order if int(row) not in held][: size - len(taken)]
