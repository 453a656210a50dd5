"""What a model's answers to the diagnostic's cases say, a line a category, and what flipped.

A case that is the same passes at or above the threshold, one that is different below it. The
threshold was fixed on dev pairs, so it is no free choice of this table; beside it stands a number
that needs none, how often a random meaning-kept case is answered higher than one of the category.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from honewheel.errors import InputError
from honewheel.evaluate.adversarial.cases import Case
from honewheel.evaluate.metrics import wilson
from honewheel.tasks import ranking

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One category. `passed` of `cases` with its 95 % Wilson interval; None where it is only
    reported, and `called_same` is all there is to say.

    `broken` and `mended` count cases against the other version, `kept_above` is P(a meaning-kept
    case is answered higher than a case of this category), ties half; None without such cases.
    """

    category: str
    expected: str
    cases: int
    mean_answer: float
    called_same: int
    passed: int | None
    low: float | None
    high: float | None
    kept_above: float | None
    broken: int = 0
    mended: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One case that one version passes and the other does not."""

    case: Case
    before: float
    after: float
    mended: bool


def table(
    cases: Sequence[Case],
    answers: Mapping[str, float],
    threshold: float,
    *,
    before: Mapping[str, float] | None = None,
    threshold_before: float | None = None,
) -> tuple[Line, ...]:
    """A line a category, in the order of the cases; `before` are another version's answers.

    Raises InputError when a case has no answer.
    """
    for case in cases:
        if case.id not in answers:
            raise InputError(f"Case {case.id} ({case.category}) was not answered.")
    kept = np.array([answers[case.id] for case in cases if case.expected == "same"])
    changes = Counter[tuple[str, bool]]()
    if before is not None and threshold_before is not None:
        for flip in flips(cases, answers, threshold, before, threshold_before):
            changes[flip.case.category, flip.mended] += 1
    by_category: dict[str, list[Case]] = {}
    for case in cases:
        by_category.setdefault(case.category, []).append(case)
    return tuple(
        _line(category, found, answers, threshold, kept, changes)
        for category, found in by_category.items()
    )


def flips(
    cases: Sequence[Case],
    answers: Mapping[str, float],
    threshold: float,
    before: Mapping[str, float],
    threshold_before: float,
) -> tuple[Flip, ...]:
    """The cases that only one of two versions passes; what broke first."""
    found = []
    for case in cases:
        now = passes(case.expected, answers[case.id], threshold)
        then = passes(case.expected, before[case.id], threshold_before)
        if now is not None and then is not None and now != then:
            found.append(
                Flip(case=case, before=before[case.id], after=answers[case.id], mended=now)
            )
    return tuple(sorted(found, key=lambda one: (one.mended, one.case.category, one.case.id)))


def passes(expected: str, answer: float, threshold: float) -> bool | None:
    """Whether a case is answered as it should be; None where it is only reported."""
    if expected == "report":
        return None
    return (answer >= threshold) == (expected == "same")


def _line(
    category: str,
    cases: Sequence[Case],
    answers: Mapping[str, float],
    threshold: float,
    kept: ranking.Floats,
    changes: Counter[tuple[str, bool]],
) -> Line:
    expected = cases[0].expected
    found = np.array([answers[case.id] for case in cases])
    verdicts = [passes(expected, answers[case.id], threshold) for case in cases]
    passed = None if expected == "report" else sum(map(bool, verdicts))
    low, high = (None, None) if passed is None else wilson(passed, len(cases))
    above = None
    if expected != "same" and len(kept):
        more = (kept[:, None] > found[None, :]) + (kept[:, None] == found[None, :]) / 2
        above = float(more.mean())
    return Line(
        category=category,
        expected=expected,
        cases=len(cases),
        mean_answer=float(found.mean()),
        called_same=int((found >= threshold).sum()),
        passed=passed,
        low=low,
        high=high,
        kept_above=above,
        broken=changes[category, False],
        mended=changes[category, True],
    )
