"""How much a target is worth: value, target and weight, three numbers kept apart.

*value* is P(the user would accept the target), from evidence only. *weight* is sampling mass and
depends on age; it is computed at build time and never stored with the event. Difficulty is a
third column and not this module's.

The coefficients below are priors in logits, set by hand: they are to be refitted once some 200
human labels exist. Reading them: nothing said 0.38, a thumb up 0.88, a thumb down 0.05, a
rating of 1 / 0.62 / 0 gives 0.97 / 0.61 / 0.01, one up against one down 0.38, a correction 0.95.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from honewheel.curate.text import canonical_target
from honewheel.records import Check, Event, Feedback, FeedbackKind, SourceKind

VERSION = 1

PRIOR = -0.5  # users speak up mostly when something is wrong
CORRECTION = 3.0  # somebody wrote it out
COEFFICIENT: dict[FeedbackKind, float] = {
    "rating": 4.0,
    "thumb": 2.5,
    "finding": 3.0,
    "signal": 2.5,
    "correction": CORRECTION,  # a correction that repeats the output accepts it
    "comment": 0.0,  # text nobody has scored
}
TRUST: dict[SourceKind, float] = {
    "person": 1.0,
    "simulated": 1.0,  # stands for a person; the flag travels with the example
    "validator": 0.5,
    "signal": 0.4,
}
CHECK_PASSED = 0.4  # a perfect check alone leaves the value below 0.5: it knows form, not intent
CHECK_FAILED = -3.0


def target(event: Event) -> tuple[str, str] | None:
    """(origin, text) to learn from an event; origin is "correction" or "output".

    The newest correction wins. A correction that repeats the output is an acceptance of it.
    None when nobody said anything that bears on the output, or when there is no text.
    """
    correction = event.correction
    fixed = correction.text if correction is not None and correction.text else ""
    output = event.response.output
    if fixed.strip() and canonical_target(fixed) != canonical_target(output):
        return "correction", fixed
    spoken = any(COEFFICIENT[item.kind] and _reading(item) is not None for item in event.feedback)
    return ("output", output) if spoken and output.strip() else None


def value(event: Event) -> float:
    """P(the user would accept the target) in [0, 1]; see `target` for what the target is.

    Weakly monotone in every signal; free of the clock and of the order of arrival. Each source
    counts once per kind of signal, with the newest it said.
    """
    picked = target(event)
    correction = event.correction
    if picked is not None and picked[0] == "correction" and correction is not None:
        return _logistic(CORRECTION * TRUST[correction.source_kind])
    evidence = PRIOR + sum(_evidence(item) for item in _newest(event.feedback))
    if event.placement is not None:
        evidence += _check_evidence(event.placement.check)
    return _logistic(evidence)


def weight(age_days: float, half_life_days: float, copies: int) -> float:
    """2^(-age / half life) / (1 + copies), in (0, 1].

    `copies` is the number of other training rows of the same group, so a group's mass does not
    grow with the number of its rows. An age below 0 (a clock ahead of ours) counts as 0; an
    infinite half life switches the decay off.
    """
    decay = math.exp2(-max(age_days, 0.0) / half_life_days)
    return max(decay, 1e-9) / (1 + copies)


def _newest(feedback: Iterable[Feedback]) -> list[Feedback]:
    last: dict[tuple[str, FeedbackKind], Feedback] = {}
    for item in sorted(feedback, key=lambda item: (item.created_at, item.id)):
        last[item.source, item.kind] = item
    return [last[key] for key in sorted(last)]


def _evidence(item: Feedback) -> float:
    reading = _reading(item)
    if reading is None:
        return 0.0
    return COEFFICIENT[item.kind] * TRUST[item.source_kind] * (2 * reading - 1)


def _reading(item: Feedback) -> float | None:
    """How good the item says the output is, in [0, 1]; None when it does not say."""
    if item.kind == "correction":
        return 1.0  # read as evidence only where it repeats the output
    if item.kind == "finding" and item.value is None:
        return 0.0  # a finding without a score is a fault
    return item.value


def _check_evidence(check: Check) -> float:
    # Passing grows from 0 to CHECK_PASSED with the score, failing is far below either end.
    return (0.0 if check.valid else CHECK_FAILED) + CHECK_PASSED * check.score


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
