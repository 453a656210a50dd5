"""What was said of an output, as columns of a logistic model with coefficients set by hand.

A column is "kind/speaker" ("thumb/person", "finding/validator"; the traces of use "copy", "edit",
"retry" are columns of their own), or "check/valid" and "check/score". Its entry grows with how
good the output is said to be, so every coefficient is at least 0 and the sum is monotone in each
signal. Entries of a source may be scaled by its *say* in [0, 1] (see `raters`).

The coefficients below are priors in logits; `calibration` refits them. Reading them: nothing said
0.38, a thumb up 0.88, a thumb down 0.05, a rating of 1 / 0.62 / 0 gives 0.97 / 0.61 / 0.01, one up
against one down 0.38.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from honewheel.curate.text import canonical_target
from honewheel.records import Check, Event, Feedback, FeedbackKind, SourceKind

VERSION = 2

PRIOR = -0.5  # users speak up mostly when something is wrong
CORRECTION = 3.0  # somebody wrote it out
COEFFICIENT: dict[FeedbackKind, float] = {
    "rating": 4.0,
    "thumb": 2.5,
    "finding": 3.0,
    "signal": 2.5,
    "correction": CORRECTION,
    "preferred": 1.0,  # better than one other output, which may have been a poor one
    "comment": 0.0,  # text nobody has scored
}
TRUST: dict[SourceKind, float] = {
    "person": 1.0,
    "simulated": 1.0,  # stands for a person; the flag travels with the example
    "validator": 0.5,
    "signal": 0.4,
}
TRACES = ("copy", "edit", "retry")
CHECK_PASSED = 0.4  # a perfect check alone leaves the value below 0.5: it knows form, not intent
CHECK_FAILED = 3.0

_VERDICTS = ("rating", "thumb", "correction")
_SPEAKER: dict[SourceKind, str] = {
    "person": "person",
    "simulated": "person",
    "validator": "validator",
    "signal": "signal",
}
PRIORS: dict[str, float] = {
    f"{name}/{_SPEAKER[speaker]}": coefficient * trust
    for kind, coefficient in COEFFICIENT.items()
    if coefficient
    for name in ((kind, *TRACES) if kind == "signal" else (kind,))
    for speaker, trust in TRUST.items()
} | {"check/valid": CHECK_FAILED, "check/score": CHECK_PASSED}

_LONG = 20_000  # characters; above it edits are counted in words (Levenshtein is quadratic)


def entries(
    event: Event, says: Mapping[str, float] | None = None, without: str | None = None
) -> Iterator[tuple[str, float]]:
    """(column, entry in [-1, 1]) of everything known about the output, in a fixed order.

    Of the source `without` only what it did (copied, edited, asked again) is in it, nothing that
    it said. A source counts once for each kind, with the newest.
    """
    for item in newest(event.feedback):
        if item.source == without and item.kind != "signal":
            continue
        read = reading(item, event.response.output)
        say = (says or {}).get(item.source, 1.0)
        if read is not None and say > 0:
            yield _column(item), say * (2 * read - 1)
    if event.placement is not None:
        yield from _of_check(event.placement.check)


def reading(item: Feedback, output: str) -> float | None:
    """How good the item says the output is, in [0, 1]; None when it does not say.

    A correction that repeats the output reads 1. One that changes it reads half the share of the
    output that it kept: the output was not right, but after a small edit it was nearly so.
    """
    if not bears(item):
        return None
    if item.kind == "correction":
        fixed, was = canonical_target(item.text or ""), canonical_target(output)
        return 1.0 if fixed == was else 0.5 * _kept(was, fixed)
    if item.kind == "preferred":
        return 1.0
    return 0.0 if item.value is None else item.value  # a finding without a score is a fault


def bears(item: Feedback) -> bool:
    """Whether the item says anything of how good the output is."""
    if item.kind == "correction":
        return bool(item.text and item.text.strip())
    if item.kind in ("finding", "preferred"):
        return True
    return COEFFICIENT[item.kind] > 0 and item.value is not None


def newest(feedback: Iterable[Feedback]) -> list[Feedback]:
    """The newest item of each source and kind, ordered by source and kind."""
    given = list(feedback)
    if len(given) < 2:  # most events of a long log
        return given
    last: dict[tuple[str, FeedbackKind], Feedback] = {}
    for item in sorted(given, key=lambda item: (item.created_at, item.id)):
        last[item.source, item.kind] = item
    return [last[key] for key in sorted(last)]


def verdicts(event: Event, speakers: tuple[SourceKind, ...]) -> dict[str, bool]:
    """Source -> whether it accepted the output, of those who said so in so many words.

    Who changed the output did not accept it; else the mean of rating and thumb decides at 0.5.
    Only sources that speak as one of `speakers` throughout are in it.
    """
    readings: dict[str, list[float]] = {}
    others, changed = set(), set()
    for item in newest(event.feedback):
        if item.kind not in _VERDICTS or not bears(item):
            continue
        if item.source_kind not in speakers:
            others.add(item.source)
        read = reading(item, event.response.output) or 0.0
        readings.setdefault(item.source, []).append(read)
        if item.kind == "correction" and read < 1:
            changed.add(item.source)
    return {
        source: source not in changed and sum(read) / len(read) >= 0.5
        for source, read in readings.items()
        if source not in others
    }


def _column(item: Feedback) -> str:
    name = item.text if item.kind == "signal" and item.text in TRACES else item.kind
    return _named(name, item.source_kind)


@cache
def _named(name: str, source_kind: SourceKind) -> str:
    return f"{name}/{_SPEAKER[source_kind]}"


def _of_check(check: Check) -> Iterator[tuple[str, float]]:
    # Passing grows from 0 to CHECK_PASSED with the score, failing is far below either end.
    yield "check/valid", 0.0 if check.valid else -1.0
    yield "check/score", check.score


def _kept(was: str, fixed: str) -> float:
    from rapidfuzz.distance import Levenshtein

    if max(len(was), len(fixed)) > _LONG:
        return Levenshtein.normalized_similarity(was.split(), fixed.split())
    return Levenshtein.normalized_similarity(was, fixed)
