"""Formats of embedding training: triplets, and pairs of sentences with a score.

Of kind similarity an answer is one number, so a pair is a question with the right answer: the two
texts are the context entries `first` and `second`, the demonstration is their similarity. A
triplet is two pairs, its anchor with the positive (1) and with the negative (0).
"""

from __future__ import annotations

from honewheel.events.formats.base import Format, Reading, Record, Row, has, share, tasked, text

QUESTION = "How alike are the first and the second text, from 0 to 1?"


def _triplet(record: Record, reading: Reading) -> list[Row]:
    row = tasked(record, reading)
    anchor, positive = text(record, "anchor"), text(record, "positive")
    found = [row | _pair(anchor, positive, 1.0)]
    if record.get("negative") not in (None, ""):
        found.append(row | _pair(anchor, text(record, "negative"), 0.0))
    return found


def _scored(record: Record, reading: Reading) -> list[Row]:
    score = share(record.get("score"), reading)
    pair = _pair(text(record, "sentence1"), text(record, "sentence2"), score)
    return [tasked(record, reading) | pair]


def _pair(first: str, second: str, similarity: float) -> Row:
    return {
        "prompt": QUESTION,
        "context": {"first": first, "second": second},
        "demonstration": f"{similarity:.6f}".rstrip("0").rstrip("."),
    }


TRIPLETS = Format(
    name="triplets",
    title="anchor, positive, negative",
    mapping="anchor -> context.first, positive and negative -> context.second, demonstration 1 and "
    "0",
    matches=has("anchor", "positive"),
    rows=_triplet,
    kind="similarity",
)
PAIRS = Format(
    name="pairs",
    title="sentence pairs",
    mapping="sentence1 -> context.first, sentence2 -> context.second, score -> demonstration",
    matches=has("sentence1", "sentence2", "score"),
    rows=_scored,
    kind="similarity",
)
