"""What is refused or warned of before a run loads anything heavy, each with the next step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from honewheel.families import hardware
from honewheel.families.reasoner import base, memory
from honewheel.families.reasoner import shape as shapes
from honewheel.families.reasoner.rows import Kind, Rows
from honewheel.records import Finding, Spec

_SHOWN = 3


def data(train: Rows, val: Rows) -> list[Finding]:
    """Rows that are no puzzles: a warning when some are left out, a refusal when all are."""
    found = []
    for rows, word in ((train, "training"), (val, "held-out")):
        if not rows.left_out and (len(rows) or word == "held-out"):
            continue
        all_out = word == "training" and not len(rows)
        severity: Literal["error", "warning"] = "error" if all_out else "warning"
        shown = "; ".join(rows.left_out[:_SHOWN]) or "there is no row"
        message = (
            f"{len(rows.left_out)} of {len(rows) + len(rows.left_out)} {word} rows cannot be read "
            f"as a puzzle and its answer and are left out ({shown}). A reasoner learns tasks whose "
            "kind is a puzzle; other tasks need a model of another family."
        )
        found.append(Finding(code="no-puzzle", message=message, severity=severity))
    return found


def fits(folder: Path, kinds: Sequence[Kind]) -> list[Finding]:
    """A refusal where a model that mixes by an mlp meets puzzles of more than one length."""
    shape = base.shape(folder)
    lengths = {kind.puzzle.length for kind in kinds} | ({shape.length} - {0})
    if shape.mixer == "attention" or len(lengths) < 2:
        return []
    told = ", ".join(map(str, sorted(lengths)))
    message = (
        f"A model that mixes by an mlp has one length, and here are puzzles of {told} cells. "
        "Choose a base with attention, such as honewheel/reasoner-tiny."
    )
    return [Finding(code="length", message=message)]


def start(folder: Path, version: Path) -> list[Finding]:
    """A refusal where `version` is built otherwise than the base in `folder`."""
    ours, theirs = base.shape(folder), base.shape(version)
    other = [
        f"{name} {getattr(theirs, name)} (base: {getattr(ours, name)})"
        for name in shapes.ARCHITECTURE
        if getattr(theirs, name) != getattr(ours, name)
    ]
    if not other:
        return []
    message = (
        f'start = "champion": the champion was trained from another base, with {", ".join(other)}. '
        'Set base back, or train from the new one with start = "base".'
    )
    return [Finding(code="start", message=message)]


def room(folder: Path, spec: Spec, kinds: Sequence[Kind]) -> list[Finding]:
    """A refusal when the run would not fit into the memory that is free."""
    needed, free = memory.estimate(folder, spec, kinds), hardware.available()
    if free is None or needed.high_bytes <= free:
        return []
    severity: Literal["error", "warning"] = "warning" if needed.total_bytes <= free else "error"
    return [Finding(code="memory", message=memory.explain(needed, free), severity=severity)]
