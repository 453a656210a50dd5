"""What is refused or warned of before a run loads a model, each with the next step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from honewheel.errors import ParseError
from honewheel.families import warm
from honewheel.families.embedding.base import REPORT
from honewheel.families.embedding.pairs import label
from honewheel.families.embedding.ranges import AUTO, UNTRIED
from honewheel.families.weights import read_json
from honewheel.records import Dataset, Example, Finding, Spec
from honewheel.tasks.similarity import pair

FEW = 20  # validation pairs below which a rate or a state is chosen by chance


def data(spec: Spec, dataset: Dataset) -> list[Finding]:
    """Examples that are no pairs, labels that teach nothing, too little to choose by."""
    if bad := [*_unreadable(dataset.train), *_unreadable(dataset.val)]:
        row, error = bad[0]
        message = (
            f"{len(bad)} of {len(dataset.train) + len(dataset.val)} examples are no labelled pairs "
            f"(first {row.id}: {error}). Remove or correct them."
        )
        return [Finding(code="pair", message=message)]
    found = [_labels(spec, dataset.train), _same(dataset.train), _validation(spec, dataset.val)]
    return [one for one in found if one is not None]


def _unreadable(rows: Sequence[Example]) -> list[tuple[Example, ParseError]]:
    found = []
    for row in rows:
        try:
            pair(row.prompt, row.context)
            label(row)
        except ParseError as error:
            found.append((row, error))
    return found


def _labels(spec: Spec, rows: Sequence[Example]) -> Finding | None:
    """A refusal when the loss has nothing to tell apart."""
    labels = np.array([label(row) for row in rows])
    loss, from_ = str(spec.settings["loss"]), spec.settings["positive_from"]
    assert isinstance(from_, int | float)
    if not len(rows):
        return Finding(code="pair", message="There is no training pair. Record feedback first.")
    if loss.endswith("mnrl"):
        if (labels >= from_).sum() >= 2:
            return None
        message = (
            f"{int((labels >= from_).sum())} of {len(rows)} training pairs have a label of at "
            f"least {from_:g}, and {loss} learns from those. Lower positive_from, or set "
            'loss = "cosent".'
        )
        return Finding(code="labels", message=message)
    if len(np.unique(labels)) > 1 or loss == "mse":
        return None
    message = (
        f"All {len(rows)} training pairs have the label {labels[0]:g}: {loss} puts pairs in order "
        "and finds none. Record pairs of both kinds"
        + (', or set loss = "mnrl".' if labels[0] >= from_ else ".")
    )
    return Finding(code="labels", message=message)


def _same(rows: Sequence[Example]) -> Finding | None:
    same = [
        row.id
        for row in rows
        if len({text.strip() for text in pair(row.prompt, {**row.context})}) == 1
    ]
    if not same:
        return None
    message = (
        f"{len(same)} of {len(rows)} training pairs hold one text twice (first {same[0]}): their "
        "cosine is 1 whatever is learnt."
    )
    return Finding(code="same-text", message=message, severity="warning")


def _validation(spec: Spec, rows: Sequence[Example]) -> Finding | None:
    labels = {label(row) for row in rows}
    chosen = spec.settings["learning_rate"] == AUTO
    if len(rows) >= FEW and len(labels) > 1:
        return None
    lack = f"{len(rows)} validation pairs" if len(rows) < FEW else "validation pairs of one label"
    told = f"There are {lack}, so the state that is kept is chosen by next to nothing"
    if not rows:
        told = "There is no validation pair, so the last state is kept"
    if chosen:
        told += (
            f", and so is the rate (auto: {UNTRIED[spec.method]:g} without any)"
            if rows
            else f" and the rate is {UNTRIED[spec.method]:g}"
        )
    message = f"{told}. Record more feedback, or set learning_rate."
    return Finding(code="validation", message=message, severity="warning")


def start(spec: Spec, version: Path) -> list[Finding]:
    """Why the run `spec` cannot go on from `version`: it has another base, method or adapter."""
    was = dict(read_json(version / REPORT)["inputs"])
    now = {"method": spec.method, "base_hash": spec.base_hash, **spec.settings}
    if was["base_hash"] != spec.base_hash:
        message = (
            f'start = "champion": the champion was trained on {was["base"]} with sha256 '
            f"{was['base_hash'][:12]}, and {spec.base} here has {spec.base_hash[:12]}. Set the "
            'base back, or set start = "base".'
        )
        return [Finding(code="start", message=message)]
    return warm.refusals(was, now, warm.shape(was, now))


def lengths(counts: Sequence[int], limit: int) -> list[Finding]:
    """A warning of texts that are cut."""
    over = [size for size in counts if size > limit]
    if not over:
        return []
    message = (
        f"{len(over):,} of {len(counts):,} texts are longer than the {limit} tokens that are read "
        f"(longest {max(over):,}): what is beyond decides nothing. Split them, or raise max_tokens "
        "where the base reads more."
    )
    return [Finding(code="too-long", message=message, severity="warning")]
