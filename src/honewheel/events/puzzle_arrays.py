"""Published puzzle data sets (HRM, TRM) to rows and back; the arrays are read by the reasoner.

A group of such a set is one puzzle with its augmented forms. Rows take the first form of each,
since training augments anew; written back, symmetric problems are one group again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from honewheel.errors import InputError, ParseError
from honewheel.events import files, puzzles
from honewheel.families.reasoner import dataset
from honewheel.families.reasoner.dataset import PuzzleSet
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import Problem

ANSWERS = (
    "demonstration",
    "reference",
    "correction",
    "completion",
)  # keys, the first that is there


def to_rows(
    folder: Path, *, kind: str, task: str, out: Path, name: str = "all", every: bool = False
) -> int:
    """Write the problems of a split as demonstrations; how many. `every` takes all forms.

    Raises:
        NotFound: no such split or set.
        InputError: the arrays are no problems of this kind, or `out` is there already.
    """
    found = dataset.load(folder, name)
    chosen = range(len(found)) if every else [rows[0] for _, rows in found.groups() if rows]
    problems = [_problem(found, at, kind) for at in chosen]
    puzzles.write(out, (puzzles.row(one, task) for one in problems))
    return len(problems)


def to_arrays(path: Path, folder: Path) -> int:
    """Write the rows of a file as a split of one set; how many.

    Raises InputError on a row that is no problem with an answer, on problems of several lengths or
    vocabularies, or when `folder` is there already.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already; nothing was written. Name another folder.")
    groups: defaultdict[tuple[str, ...], list[tuple[Any, Any]]] = defaultdict(list)
    shapes: dict[tuple[int, int], str] = {}
    for line in files.source(path).lines():
        try:
            prompt, answer = _asked(line.record)
            puzzle = base.of(prompt)
            encoded = puzzle.encode(prompt, {}), puzzle.target(prompt, {}, answer)
        except ParseError as error:
            raise InputError(f"{path.name} row {line.number}: {error}") from error
        shapes.setdefault((puzzle.length, puzzle.vocabulary), puzzle.name)
        kind = base.task(base.fields(prompt)[0])
        groups[kind.group_keys(prompt, {})].append(encoded)
    if len(shapes) != 1:
        known = ", ".join(shapes.values()) or "none"
        raise InputError(
            f"{path.name} holds problems of {len(shapes)} shapes ({known}), not of one."
        )
    examples = [one for group in groups.values() for one in group]
    sizes = [len(group) for group in groups.values()]
    found = PuzzleSet(
        inputs=np.stack([inputs for inputs, _ in examples]),
        labels=np.stack([labels for _, labels in examples]),
        identifiers=np.zeros(len(examples), dtype=np.int64),
        puzzle_indices=np.arange(len(examples) + 1),
        group_indices=np.concatenate([[0], np.cumsum(sizes)]),
        vocabulary=next(iter(shapes))[1],
    )
    dataset.save(found, folder)
    return len(found)


def _problem(found: PuzzleSet, at: int, kind: str) -> Problem:
    try:
        return base.task(kind).problem(found.inputs[at], found.labels[at], found.vocabulary)
    except ParseError as error:
        raise InputError(f"Example {at} is no {kind}: {error}") from error


def _asked(record: Mapping[str, Any] | None) -> tuple[str, str]:
    prompt = None if record is None else record.get("prompt")
    answers: Iterable[Any] = (record.get(key) for key in ANSWERS) if record else ()
    answer = next((one for one in answers if isinstance(one, str)), None)
    if not isinstance(prompt, str) or answer is None:
        raise ParseError(f"a prompt and one of {', '.join(ANSWERS)} are expected")
    return prompt, answer
