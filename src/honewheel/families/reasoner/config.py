"""A reasoner's config.json as transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from transformers import PretrainedConfig

from honewheel.families.reasoner import shape as shapes
from honewheel.families.reasoner.shape import Shape


class ReasonerConfig(PretrainedConfig):  # type: ignore[misc]  # transformers has no types
    """The shape, and what the model has learnt: its tasks, in the order of their embeddings.

    `puzzles` names the puzzles of each task (a new task begins as one that shares a puzzle);
    `votes` is how many equivalent forms of a puzzle a version answers before it decides.
    """

    model_type = shapes.MODEL_TYPE

    def __init__(
        self,
        task_names: Sequence[str] = (),
        puzzles: Mapping[str, Sequence[str]] | None = None,
        votes: int = 1,
        **given: Any,
    ) -> None:
        built = asdict(shapes.of(given))
        for name, value in built.items():
            setattr(self, name, value)
        self.task_names = [*task_names]
        self.puzzles = {task: [*names] for task, names in (puzzles or {}).items()}
        self.votes = votes
        super().__init__(**{key: value for key, value in given.items() if key not in built})

    @property
    def shape(self) -> Shape:
        return shapes.of(vars(self))
