"""The model that a run starts from, with room for its data; and a version as it was saved.

A preset's weights are drawn from the seed. A model that was trained before keeps its weights; where
the data needs more tokens, cells, relations or tasks it grows by fresh rows, and a new task begins
with what belongs to the task that it is most like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from honewheel.errors import ConfigError, Damaged
from honewheel.families import modes
from honewheel.families.reasoner import base as bases
from honewheel.families.reasoner import rows
from honewheel.families.reasoner import shape as shapes
from honewheel.families.reasoner.config import ReasonerConfig
from honewheel.families.reasoner.model import Reasoner
from honewheel.families.reasoner.optimizer import of_task
from honewheel.families.reasoner.rows import Kind
from honewheel.families.reasoner.shape import Shape


def model(folder: Path, kinds: Sequence[Kind], seed: int, segments: int = 0) -> Reasoner:
    """A model for `kinds` from the base or version in `folder`, on the device.

    `segments` 0: as many as the folder says. Raises ConfigError, Damaged, NotFound.
    """
    old = None if bases.is_preset(folder) else load(folder)
    first = bases.shape(folder) if old is None else old.shape
    config = _config(first, None if old is None else old.config, kinds, segments)
    if old is not None and old.config.shape == replace(config.shape, segments=old.shape.segments):
        old.config, old.shape = config, config.shape
        return old
    found = Reasoner(config)
    found.begin(seed)
    if old is not None:
        _refuse_length(old.shape, config.shape)
        _inherit(old, found)
    placed: Reasoner = found.to(modes.device())
    return placed


def has_room(found: Reasoner, kinds: Sequence[Kind]) -> bool:
    """Whether `found` knows all tasks and puzzles of `kinds` already."""
    puzzles = found.config.puzzles
    return all(kind.puzzle.name in puzzles.get(kind.task, ()) for kind in kinds)


def load(folder: Path) -> Reasoner:
    """The model saved in `folder`, on the device. Raises Damaged, NotFound."""
    bases.shape(folder)
    with modes.quiet():
        found, report = Reasoner.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    wrong = [*report["missing_keys"], *(str(entry[0]) for entry in report["mismatched_keys"])]
    if wrong:
        raise Damaged(
            f"{folder} does not hold the weights that its config.json describes: {len(wrong)} "
            f"tensors are missing or of another shape, first {sorted(wrong)[0]}."
        )
    model: Reasoner = found.to(modes.device())
    return model


def _config(
    first: Shape, old: ReasonerConfig | None, kinds: Sequence[Kind], segments: int
) -> ReasonerConfig:
    """The config with room for `kinds`; tasks keep their place, new ones follow."""
    names = [] if old is None else [*old.task_names]
    puzzles = {} if old is None else {task: [*known] for task, known in old.puzzles.items()}
    for kind in kinds:
        if kind.task not in names:
            names.append(kind.task)
        known = puzzles.setdefault(kind.task, [])
        if kind.puzzle.name not in known:
            known.append(kind.puzzle.name)
    grown = shapes.grown(first, **rows.sizes(kinds) | {"tasks": len(names)})
    if segments:
        grown = replace(grown, segments=segments)
    votes = 1 if old is None else old.votes
    return ReasonerConfig(task_names=names, puzzles=puzzles, votes=votes, **asdict(grown))


def like(task: str, config: ReasonerConfig, known: Sequence[str]) -> str | None:
    """The one of the `known` tasks that shares most puzzles with `task`; the first among equals.

    Puzzles of one size under different rules ("sudoku-2x2", "sudoku-2x2-latin") count as alike.
    """
    mine = {*config.puzzles.get(task, ())}

    def shared(other: str) -> tuple[int, int]:
        theirs = {*config.puzzles.get(other, ())}
        pairs = [(a, b) for a in mine for b in theirs]
        kin = sum(a.startswith(b) or b.startswith(a) for a, b in pairs)
        return len(mine & theirs), kin

    return max(known, key=shared) if known else None


@torch.no_grad()
def _inherit(old: Reasoner, new: Reasoner) -> None:
    """Copy what both have; a task that `old` does not know begins as one that it knows."""
    known = [*old.config.task_names]
    source = [
        name if name in known else like(name, new.config, known) for name in new.config.task_names
    ]
    places = torch.tensor([known.index(name) for name in source if name is not None])
    held = old.state_dict()
    for name, tensor in new.state_dict().items():
        given = held.get(name)
        if given is None:
            continue  # the first relations of a model that had none
        if of_task(name):
            given = given[places.to(given.device)]
        part = tuple(slice(0, size) for size in given.shape)
        tensor[part] = given.to(tensor.device)


def _refuse_length(old: Shape, new: Shape) -> None:
    if old.mixer == "mlp" and old.length != new.length:
        raise ConfigError(
            f"A model that mixes by an mlp has a fixed length: this one has {old.length} cells, "
            f"the puzzles have {new.length}. Start from a base with attention, or from a preset."
        )
