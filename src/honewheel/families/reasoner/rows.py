"""Examples as arrays: what a puzzle says, cell by cell, with what its rows count for.

A kind is one puzzle in one task. All rows are padded to the longest kind with token 0 and label
-100; `boards` tells a model which cells there are and which of them are related.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from honewheel.errors import InputError
from honewheel.records import Example, Item
from honewheel.tasks.puzzle import base as puzzle
from honewheel.tasks.puzzle.base import Puzzle

if TYPE_CHECKING:
    from honewheel.families.reasoner.model import Boards

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
PADDING, IGNORED = 0, -100


@dataclass(frozen=True, slots=True)
class Kind:
    """One puzzle of one task; two of the same names are the same kind."""

    task: str
    puzzle: Puzzle

    @property
    def name(self) -> tuple[str, str]:
        """What the model calls the task."""
        return self.task, self.puzzle.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """N rows of at most L cells. inputs, labels [N, L]; the others [N].

    `kind` points into `kinds`; `weight` > 0 is how often a row is shown, relative to others;
    `since` in [0, 1) the share of the training before which it is not.
    """

    kinds: tuple[Kind, ...]
    inputs: Ints
    labels: Ints
    kind: Ints
    weight: Floats
    since: Floats
    replayed: Flags
    left_out: tuple[str, ...] = ()  # "id: why" of examples that could not be read

    def __len__(self) -> int:
        return len(self.kind)

    def task_rows(self) -> dict[str, Ints]:
        """Rows of each task, by its name."""
        names = np.array([kind.task for kind in self.kinds])[self.kind]
        return {str(task): np.flatnonzero(names == task) for task in sorted({*names.tolist()})}


class _Asking(Protocol):
    """What an Example and an Item have in common."""

    @property
    def id(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def context(self) -> Mapping[str, str]: ...


def learn(examples: Sequence[Example], known: Sequence[Kind] = ()) -> Rows:
    """The examples that can be read; the kinds begin with those `known` already."""
    found, kinds = _Kinds(known), []
    inputs: list[Ints] = []
    labels: list[Ints] = []
    kept: list[Example] = []
    left_out: list[str] = []
    for row in examples:
        try:
            asked = puzzle.of(row.prompt)
            cells = asked.encode(row.prompt, row.context)
            answer = asked.target(row.prompt, row.context, row.target)
        except InputError as error:
            left_out.append(f"{row.id}: {error}")
            continue
        inputs.append(cells)
        labels.append(answer)
        kinds.append(found.place(row, asked))
        kept.append(row)
    length = max((kind.puzzle.length for kind in found.kinds), default=0)
    return Rows(
        kinds=tuple(found.kinds),
        inputs=padded(inputs, length, PADDING),
        labels=padded(labels, length, IGNORED),
        kind=np.array(kinds, dtype=np.int64),
        weight=np.array([row.weight for row in kept], dtype=np.float64),
        since=np.array([row.since for row in kept], dtype=np.float64),
        replayed=np.array([row.role == "replay" for row in kept], dtype=np.bool_),
        left_out=tuple(left_out),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """Items to answer: inputs [N, L] and kind [N]; `unread` are the items that are no puzzle."""

    items: tuple[Item, ...]
    kinds: tuple[Kind, ...]
    inputs: Ints
    kind: Ints
    unread: tuple[Item, ...]


def ask(items: Sequence[Item]) -> Asked:
    """The items that can be read, as arrays, in their order."""
    found = _Kinds(())
    read: list[Item] = []
    unread: list[Item] = []
    cells: list[Ints] = []
    kinds: list[int] = []
    for item in items:
        try:
            asked = puzzle.of(item.prompt)
            cells.append(asked.encode(item.prompt, item.context))
        except InputError:
            unread.append(item)
            continue
        kinds.append(found.place(item, asked))
        read.append(item)
    length = max((kind.puzzle.length for kind in found.kinds), default=0)
    return Asked(
        tuple(read),
        tuple(found.kinds),
        padded(cells, length, PADDING),
        np.array(kinds, dtype=np.int64),
        tuple(unread),
    )


class _Kinds:
    """Kinds in the order in which they are met."""

    def __init__(self, known: Sequence[Kind]) -> None:
        self.kinds = [*known]
        self._places = {kind.name: place for place, kind in enumerate(known)}

    def place(self, row: _Asking, asked: Puzzle) -> int:
        kind = Kind(row.task, asked)
        if kind.name not in self._places:
            self._places[kind.name] = len(self.kinds)
            self.kinds.append(kind)
        return self._places[kind.name]


def padded(rows: Sequence[Ints], length: int, filler: int) -> Ints:
    """[N, length] with `filler` behind each row."""
    found = np.full((len(rows), length), filler, dtype=np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def sizes(kinds: Sequence[Kind]) -> dict[str, int]:
    """Vocabulary, length, relations and tasks that a model of these kinds must have room for."""
    puzzles = [kind.puzzle for kind in kinds]
    return {
        "vocabulary": max((one.vocabulary for one in puzzles), default=0),
        "length": max((one.length for one in puzzles), default=0),
        "relations": max((len(one.relations()) for one in puzzles), default=0),
        "tasks": len({kind.task for kind in kinds}),
    }


def boards(
    kinds: Sequence[Kind], tasks: Sequence[str], length: int, relations: int, device: object
) -> Boards:
    """What a model must know of the kinds; `tasks` are the names of its task embeddings."""
    import torch

    from honewheel.families.reasoner.model import Boards

    related = np.zeros((len(kinds), relations, length, length), dtype=np.float32)
    used = np.zeros((len(kinds), length), dtype=np.bool_)
    for place, kind in enumerate(kinds):
        declared = kind.puzzle.relations()
        size = kind.puzzle.length
        related[place, : len(declared), :size, :size] = declared
        used[place, :size] = True
    places = [tasks.index(kind.task) for kind in kinds]
    return Boards(
        torch.tensor(places, dtype=torch.long).to(device),  # type: ignore[call-overload]
        torch.from_numpy(related).to(device),  # type: ignore[call-overload]
        torch.from_numpy(used).to(device),  # type: ignore[call-overload]
    )
