"""Formats of embedding training: pairs with a score, triplets, duplicates, clicks.

Of kind similarity an answer is one number, so a pair is a question with the right answer: the two
texts are the prompt (`tasks.pairs`), the demonstration is their similarity. A triplet is two
pairs, its anchor with the positive (1) and with the negative (0). Which texts are the same can be
said with a number, a class (0, 1) or a word (`same: yes`, `duplicate: no`).

A click says little by itself, and is a signal, no person: what was clicked goes with the query
(1), and what stood above it and was passed over does not (0). What stood below may never have been
seen (Joachims 2002, "Optimizing search engines using clickthrough data": skip above).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from honewheel.errors import InputError
from honewheel.events.formats.base import (
    BAD,
    GOOD,
    Format,
    Reading,
    Record,
    Row,
    as_list,
    has,
    share,
    tasked,
    text,
)
from honewheel.tasks import pairs

# Names under which people keep the two texts, and what they said of them.
_TEXTS = (("sentence1", "sentence2"), ("text_a", "text_b"), ("text1", "text2"), ("a", "b"))
_WORDS = ("same", "duplicate", "is_duplicate")
_SAME, _DIFFERENT = GOOD | {"same", "duplicate"}, BAD | {"different", "not-same", "no-duplicate"}
_LABELS = {"label_a": "label_a", "label_b": "label_b", "group_a": "group_a", "group_b": "group_b"}


def row(a: str, b: str, similarity: float, context: Mapping[str, str] | None = None) -> Row:
    """A feedback row that says how alike two texts are, in [0, 1]. Raises InputError."""
    pairs.checked(a, b, similarity)
    found: Row = {
        "prompt": pairs.as_prompt(a, b),
        "demonstration": f"{similarity:.6f}".rstrip("0").rstrip("."),
    }
    return found | ({"context": dict(context)} if context else {})


def _triplet(record: Record, reading: Reading) -> list[Row]:
    start = tasked(record, reading)
    anchor, positive = text(record, "anchor"), text(record, "positive")
    found = [start | row(anchor, positive, 1.0)]
    if record.get("negative") not in (None, ""):
        found.append(start | row(anchor, text(record, "negative"), 0.0))
    return found


def _scored(record: Record, reading: Reading) -> list[Row]:
    first, second = _names(record)
    a, b = text(record, first), text(record, second)
    about = {key: text(record, key) for key in _LABELS if record.get(key) not in (None, "")}
    kept = ("source", "source_kind", "id", "created_at")
    source = {key: record[key] for key in kept if isinstance(record.get(key), str)}
    return [tasked(record, reading) | source | row(a, b, _similarity(record, reading), about)]


def _clicks(record: Record, reading: Reading) -> list[Row]:
    start = tasked(record, reading) | {"source": "clicks", "source_kind": "signal"}
    query = text(record, "query")
    results = [str(one) for one in as_list(record.get("results"), "results")]
    clicked = _clicked(record.get("clicked"), results)
    last = max(clicked)
    return [
        start | row(query, result, float(place in clicked))
        for place, result in enumerate(results[: last + 1])
        if pairs.normal(result) != pairs.normal(query)
    ]


def _clicked(value: Any, results: list[str]) -> set[int]:
    """Places of what was clicked: given as text, as a place (from 0), or as a list of them."""
    found = set()
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < len(results):
            found.add(one)
        elif isinstance(one, str) and one in results:
            found.add(results.index(one))
        else:
            raise InputError(f"clicked is {one!r}, which is none of the {len(results)} results")
    if not found:
        raise InputError("clicked names none of the results")
    return found


def _similarity(record: Record, reading: Reading) -> float:
    for key in _WORDS:
        if record.get(key) not in (None, ""):
            return _word(record[key], key)
    key = "score" if "score" in record else "label"
    return share(record.get(key), reading, key)


def _word(value: Any, key: str) -> float:
    """Whether two texts are the same, from true, 1, "yes" and their like."""
    plain = "-".join(str(value).casefold().replace("_", " ").split())
    if plain in _SAME or plain in ("1", "1.0"):
        return 1.0
    if plain in _DIFFERENT or plain in ("0", "0.0"):
        return 0.0
    raise InputError(f"{key} is {value!r}, neither yes nor no")


def _names(record: Record) -> tuple[str, str]:
    """The keys of the two texts."""
    for first, second in _TEXTS:
        if first in record and second in record:
            return first, second
    raise InputError("sentence1 and sentence2 are missing")


def _is_scored(record: Record) -> bool:
    """Two texts and what was said of them. A lone `label` counts only beside names of two texts."""
    said = any(key in record for key in ("score", "label", *_WORDS))
    return said and any(first in record and second in record for first, second in _TEXTS)


TRIPLETS = Format(
    name="triplets",
    title="anchor, positive, negative",
    mapping="anchor with positive and with negative -> prompt, demonstration 1 and 0",
    matches=has("anchor", "positive"),
    rows=_triplet,
    kind="similarity",
)
CLICKS = Format(
    name="clicks",
    title="clicks on search results",
    mapping="query with what was clicked -> 1, with what stood above it unclicked -> 0",
    matches=has("query", "results", "clicked"),
    rows=_clicks,
    kind="similarity",
)
PAIRS = Format(
    name="pairs",
    title="pairs of texts",
    mapping="sentence1 and sentence2 -> prompt, score (or same, duplicate) -> demonstration",
    matches=_is_scored,
    rows=_scored,
    kind="similarity",
)
