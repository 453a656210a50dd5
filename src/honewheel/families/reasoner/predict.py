"""A loaded version that answers puzzles in batches.

All cells are filled at once, and every row gets all its segments: to stop as soon as the halt logit
says so gains little and is sometimes wrong. With votes, equivalent forms of a puzzle are answered
too and turned back; the answer with the most confidence behind it wins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch

from honewheel import atomic
from honewheel.families import modes, weights
from honewheel.families.reasoner import base as bases
from honewheel.families.reasoner import rows, start
from honewheel.families.reasoner.judge import answers
from honewheel.families.reasoner.model import Boards, Reasoner
from honewheel.families.reasoner.rows import Asked, Floats, Ints, Kind
from honewheel.records import Decoding, Item, Prediction, digest
from honewheel.tasks.puzzle import base as puzzles

BLOCK = 256  # items answered together; each is told as soon as its block is done

_Answer = tuple[int, ...]
_Move = tuple[Ints, Ints]  # positions [L] and tokens [V] of a symmetry


class ReasonerModel:
    """A version, or a bare base, ready to answer."""

    def __init__(self, base: str, version_dir: Path | None) -> None:
        """Load it.

        Raises:
            NotFound: the base is not here, or no reasoner.
            UnsafeModel: pickle weights, or a config that runs code.
            Damaged: a byte of the version is not what was recorded.
        """
        folder, _ = bases.resolve(base)
        if version_dir is not None:
            weights.refuse_unsafe(version_dir)
            atomic.verify(version_dir)
            folder = version_dir
        self.folder = folder
        self.model = None if bases.is_preset(folder) else start.load(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def predict(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Prediction]:
        """One Prediction an item. What is no puzzle is answered with nothing.

        A task that the version has not learnt is answered as the one that it is most like would
        be; a bare preset, whose weights nobody has trained, answers by chance. `decoding` has no
        say: there is nothing to sample, and the length of an answer is that of its puzzle.
        """
        asked = rows.ask(items)
        yield from (Prediction(item=one.id, output="", tokens=0) for one in asked.unread)
        if not asked.items:
            return
        model = self._ready(asked.kinds)
        boards = rows.boards(
            asked.kinds,
            model.config.task_names,
            model.shape.length,
            model.shape.relations,
            modes.device(),
        )
        for first in range(0, len(asked.items), BLOCK):
            block = slice(first, first + BLOCK)
            found = _vote(model.eval(), asked, block, boards)
            for item, kind, cells in zip(asked.items[block], asked.kind[block], found, strict=True):
                puzzle = asked.kinds[kind].puzzle
                output = puzzle.decode(item.prompt, item.context, np.array(cells, dtype=np.int64))
                yield Prediction(item=item.id, output=output, tokens=len(cells))

    def _ready(self, kinds: Sequence[Kind]) -> Reasoner:
        """A model that has room for `kinds`; what it must add of its own is drawn from seed 0."""
        model = self.model
        if model is not None and start.has_room(model, kinds):
            return model
        return start.model(self.folder, kinds, seed=0)


def _vote(model: Reasoner, asked: Asked, block: slice, boards: Boards) -> list[_Answer]:
    """The answer of each row of `block`: that with the largest sum of halt probabilities."""
    inputs, kind = asked.inputs[block], asked.kind[block]
    votes: list[defaultdict[_Answer, float]] = [defaultdict(float) for _ in kind]
    rngs = [_chance(item) for item in asked.items[block]]
    for turn in range(model.config.votes):
        moves = None  # the first answer is to the puzzle as it is
        if turn:
            puzzles_asked = [asked.kinds[one].puzzle for one in kind]
            moves = [_moves(*one) for one in zip(puzzles_asked, rngs, strict=True)]
        shown = inputs if moves is None else _moved(inputs, moves)
        for row, (cells, sure) in enumerate(_answer(model, shown, kind, asked.kinds, boards)):
            found = cells if moves is None else _back(cells, moves[row])
            votes[row][tuple(found.tolist())] += sure
    return [max(found, key=found.__getitem__) for found in votes]


def _answer(
    model: Reasoner, inputs: Ints, kind: Ints, kinds: Sequence[Kind], boards: Boards
) -> Iterator[tuple[Ints, float]]:
    """Cells and halt probability of each row; only tokens and cells that its puzzle has."""
    for at, logits, halts in answers(model, inputs, kind, boards, model.shape.segments):
        scores: Floats = logits.cpu().numpy()
        sure = halts.double().sigmoid().cpu().numpy()
        for row in range(at.stop - at.start):
            puzzle = kinds[kind[at.start + row]].puzzle
            known = scores[row, : puzzle.length, : puzzle.vocabulary]
            yield known.argmax(-1), float(sure[row])


def _chance(item: Item) -> np.random.Generator:
    """What is drawn for an item depends on its prompt alone, not on its company."""
    return np.random.default_rng(int(digest(item.prompt)[:16], 16))


def _moves(puzzle: puzzles.Puzzle, rng: np.random.Generator) -> _Move:
    positions, tokens = puzzle.symmetries(1, rng)
    return positions[0], tokens[0]


def _moved(inputs: Ints, moves: Sequence[_Move]) -> Ints:
    found = inputs.copy()
    for row, (positions, tokens) in enumerate(moves):
        found[row, : len(positions)] = tokens[inputs[row, positions]]
    return found


def _back(cells: Ints, move: _Move) -> Ints:
    """The answer to the row that `move` made of another, as the answer to that other."""
    positions, tokens = move
    found = np.empty_like(cells)
    found[positions] = np.argsort(tokens)[cells]
    return found
