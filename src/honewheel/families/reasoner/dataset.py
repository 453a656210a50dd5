"""The published puzzle data sets (HRM, TRM), read and written: one folder a split.

    train/dataset.json                      pad_id, ignore_label_id, vocab_size, seq_len, sets, ...
    train/all__inputs.npy                   [N, L] tokens; all__labels.npy [N, L]
    train/all__puzzle_identifiers.npy       [P] which task each puzzle is of; 0 is none
    train/all__puzzle_indices.npy           [P + 1] where the examples of each puzzle begin
    train/all__group_indices.npy            [G + 1] where the puzzles of each group begin

A group is one puzzle with all its augmented forms, so it must not straddle splits. Labels that
carry no loss are -100 here and `ignore_label_id` in the file. numpy alone; no pickle is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from honewheel import atomic
from honewheel.errors import InputError, NotFound

Ints = npt.NDArray[np.int64]
IGNORED = -100
_HEAD = "dataset.json"
_FIELDS = ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")


@dataclass(frozen=True, slots=True, kw_only=True)
class PuzzleSet:
    """N examples of P puzzles in G groups; see the head of this file for the shapes."""

    inputs: Ints
    labels: Ints
    identifiers: Ints
    puzzle_indices: Ints
    group_indices: Ints
    vocabulary: int
    padding: int = 0

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise InputError(f"This is no puzzle data set: {problem}.")

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def length(self) -> int:
        """Cells of a row."""
        return int(self.inputs.shape[1])

    def groups(self) -> Iterator[tuple[int, range]]:
        """Each group with the examples that belong to it."""
        starts = self.puzzle_indices[self.group_indices]
        for group, (first, end) in enumerate(pairwise(starts)):
            yield group, range(int(first), int(end))

    def _problem(self) -> str | None:
        if self.inputs.ndim != 2 or self.inputs.shape != self.labels.shape:
            return f"inputs are {self.inputs.shape}, labels {self.labels.shape}, not both [N, L]"
        for name, bounds, last in (
            ("puzzle_indices", self.puzzle_indices, len(self.inputs)),
            ("group_indices", self.group_indices, len(self.identifiers)),
        ):
            if (
                not len(bounds)
                or bounds[0] != 0
                or bounds[-1] != last
                or (np.diff(bounds) < 0).any()
            ):
                return f"{name} do not rise from 0 to {last}"
        if len(self.puzzle_indices) != len(self.identifiers) + 1:
            return f"{len(self.identifiers)} identifiers, {len(self.puzzle_indices)} puzzle_indices"
        for name, cells, least in (
            ("inputs", self.inputs, 0),
            ("labels", np.where(self.labels == IGNORED, 0, self.labels), 0),
        ):
            if cells.size and not least <= cells.min() <= cells.max() < self.vocabulary:
                return (
                    f"{name} hold {int(cells.min())} .. {int(cells.max())}, outside 0 .. "
                    f"{self.vocabulary - 1}"
                )
        return None


def load(folder: Path, name: str = "all") -> PuzzleSet:
    """The set called `name` of the split in `folder` ("data/sudoku/train").

    Raises:
        NotFound: there is no such split or set.
        InputError: shapes, bounds or tokens contradict each other, or a file needs pickle.
    """
    head = _head(folder)
    known = [str(one) for one in head.get("sets", ["all"])]
    if name not in known:
        raise NotFound(f"{folder} has no set {name!r}; it has {', '.join(known)}.")
    parts = {field: _array(folder / f"{name}__{field}.npy") for field in _FIELDS}
    labels, ignored = parts["labels"], head.get("ignore_label_id")
    if ignored is not None:
        labels = np.where(labels == int(ignored), IGNORED, labels)
    found = PuzzleSet(
        inputs=parts["inputs"],
        labels=labels,
        identifiers=parts["puzzle_identifiers"],
        puzzle_indices=parts["puzzle_indices"],
        group_indices=parts["group_indices"],
        vocabulary=int(head["vocab_size"]),
        padding=int(head.get("pad_id", 0)),
    )
    if found.length != int(head["seq_len"]):
        raise InputError(
            f"{folder}: {_HEAD} says seq_len {head['seq_len']}, the arrays have {found.length}."
        )
    return found


def save(found: PuzzleSet, folder: Path, name: str = "all") -> None:
    """Write `found` as a split of one set. `folder` appears whole or, if it exists, is kept.

    Cells without loss are written as the padding token, so that token cannot be an answer.
    """
    if (found.labels == found.padding).any():
        raise InputError(
            f"{int((found.labels == found.padding).sum())} labels are the padding token "
            f"{found.padding}, which stands for 'no loss' in this format."
        )
    head = {
        "pad_id": found.padding,
        "ignore_label_id": found.padding,
        "blank_identifier_id": 0,
        "vocab_size": found.vocabulary,
        "seq_len": found.length,
        "num_puzzle_identifiers": int(found.identifiers.max(initial=0)) + 1,
        "total_groups": len(found.group_indices) - 1,
        "mean_puzzle_examples": len(found) / max(1, len(found.identifiers)),
        "sets": [name],
    }
    parts = {
        "inputs": found.inputs,
        "labels": np.where(found.labels == IGNORED, found.padding, found.labels),
        "puzzle_identifiers": found.identifiers.astype(np.int32),
        "puzzle_indices": found.puzzle_indices.astype(np.int32),
        "group_indices": found.group_indices.astype(np.int32),
    }
    with atomic.staged_folder(folder) as staging:
        (staging / _HEAD).write_text(json.dumps(head))
        for field, array in parts.items():
            np.save(staging / f"{name}__{field}.npy", array, allow_pickle=False)


def _head(folder: Path) -> Mapping[str, Any]:
    path = folder / _HEAD
    if not path.is_file():
        raise NotFound(f"{folder} is no split of a puzzle data set: it has no {_HEAD}.")
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}.") from error
    lacking = [key for key in ("vocab_size", "seq_len") if key not in head]
    if lacking:
        raise InputError(f"{path} does not tell {' and '.join(lacking)}.")
    found: Mapping[str, Any] = head
    return found


def _array(path: Path) -> Ints:
    if not path.is_file():
        raise NotFound(f"There is no {path}.")
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is no array of numbers: {error}.") from error
    if not np.issubdtype(found.dtype, np.integer):
        raise InputError(f"{path} holds {found.dtype}, not whole numbers.")
    whole: Ints = found.astype(np.int64)
    return whole
