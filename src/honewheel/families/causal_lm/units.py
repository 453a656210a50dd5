"""What one forward pass takes whole: a row (SFT, KTO) or both rows of a pair (DPO). No torch.

`check` and a run make their units here, so what is told beforehand is what is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from honewheel.families.causal_lm.render import Encoded, Renderer
from honewheel.records import Dataset, Example, Pair, Rated, Split

NOUNS: Mapping[str, str] = {"sft": "examples", "dpo": "pairs", "kto": "rated answers"}


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A prompt with its chosen and its rejected answer; `reference` are their log-probabilities
    (nats, summed) under the starting weights.
    """

    chosen: Encoded
    rejected: Encoded
    reference: tuple[float, ...] = (0.0, 0.0)

    def __len__(self) -> int:
        return len(self.chosen) + len(self.rejected)

    @property
    def weight(self) -> float:
        return self.chosen.weight

    @property
    def loss_tokens(self) -> int:
        return self.chosen.loss_tokens + self.rejected.loss_tokens

    @property
    def rows(self) -> tuple[Encoded, ...]:
        return self.chosen, self.rejected


@dataclass(frozen=True, slots=True)
class EncodedRated:
    """An answer that was found good or bad, and the mismatched row (same prompt, another's
    answer) that KTO's reference point needs; `reference` are their log-probabilities (nats,
    summed) under the starting weights.
    """

    row: Encoded
    mismatched: Encoded
    desirable: bool
    reference: tuple[float, ...] = (0.0, 0.0)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def weight(self) -> float:
        return self.row.weight

    @property
    def loss_tokens(self) -> int:
        return self.row.loss_tokens

    @property
    def rows(self) -> tuple[Encoded, ...]:
        return self.row, self.mismatched


Unit: TypeAlias = Encoded | EncodedPair | EncodedRated
Given: TypeAlias = Sequence[Example] | Sequence[Pair] | Sequence[Rated]


def given(objective: str, dataset: Dataset, split: Split) -> Given:
    """The rows of `dataset` that an objective learns from ("train") or is judged by ("val")."""
    if objective == "sft":
        return dataset.train if split == "train" else dataset.val
    if objective == "dpo":
        return [pair for pair in dataset.pairs if pair.split == split]
    return [row for row in dataset.rated if row.split == split]


def missing(objective: str, dataset: Dataset) -> str | None:
    """What an objective needs and `dataset` lacks, with the counts and the next step."""
    rows = given(objective, dataset, "train")
    if objective == "sft" or (objective == "dpo" and rows):
        return None
    if not rows:
        return (
            f"objective = {objective} needs {NOUNS[objective]}; this dataset has 0 for training "
            f"(in all {len(dataset.pairs)} pairs, {len(dataset.rated)} rated answers and "
            f"{len(dataset.train) + len(dataset.val)} examples). Set curate.preferences = true and "
            'collect some (corrections, thumbs, honewheel sample), or set objective = "sft".'
        )
    if len({(row.prompt, *row.context.items()) for row in rows}) < 2:
        return (
            "objective = kto needs rated answers to at least two prompts, since its reference "
            f"point swaps answers between prompts; all {len(rows)} of this dataset are to one."
        )
    return None


def encode(rows: Given, renderer: Renderer) -> list[tuple[Encoded, ...]]:
    """Each row as tokens, whatever its length; a pair as (chosen, rejected)."""
    chosen = renderer.answers(rows, [_answer(row) for row in rows])
    pairs = [row for row in rows if isinstance(row, Pair)]
    if not pairs:
        return [(row,) for row in chosen]
    rejected = renderer.answers(pairs, [pair.rejected for pair in pairs])
    return list(zip(chosen, rejected, strict=True))


def _answer(row: Example | Pair | Rated) -> str:
    if isinstance(row, Pair):
        return row.chosen
    return row.output if isinstance(row, Rated) else row.target


def fitting(
    rows: Given, encoded: Sequence[tuple[Encoded, ...]], limit: int
) -> tuple[list[Unit], list[int]]:
    """The units of at most `limit` tokens a row, and the place of each in `rows`."""
    places = [at for at, one in enumerate(encoded) if max(map(len, one)) <= limit]
    own = [encoded[at][0] for at in places]
    found: list[Unit] = []
    kept: list[int] = []
    for here, at in enumerate(places):
        row = rows[at]
        if isinstance(row, Rated):
            partner = _partner(here, own, limit)
            if partner is None:
                continue
            found.append(EncodedRated(encoded[at][0], partner, row.desirable))
        elif isinstance(row, Pair):
            chosen, rejected = encoded[at]
            found.append(EncodedPair(chosen, rejected))
        else:
            found.append(encoded[at][0])
        kept.append(at)
    return found, kept


def _partner(here: int, rows: Sequence[Encoded], limit: int) -> Encoded | None:
    """The prompt of `rows[here]` with the answer of the nearest row before it (around the end)
    that has another prompt, if that makes at most `limit` tokens; None where there is no such row.
    """
    row = rows[here]
    prompt = row.ids[: row.answer_start]
    for step in range(1, len(rows)):
        other = rows[here - step]
        answer = other.ids[other.answer_start :]
        fits = len(prompt) + len(answer) <= limit
        if fits and other.ids[: other.answer_start] != prompt:
            return Encoded((*prompt, *answer), len(prompt), row.weight)
    return None
