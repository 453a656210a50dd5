"""Similarity: an answer that is one number, how alike two texts of the prompt or context are.

The number runs from 0 (nothing in common) to 1 (the same), or in percent when it ends in `%`.
A context entry `scale` of 100 makes plain numbers run from 0 to 100; without it 85 is out of
range rather than guessed to be 0.85. The two texts are read by `pair` (see `tasks.pairs`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from honewheel.errors import InputError, ParseError
from honewheel.records import Check, Fact, digest
from honewheel.tasks import ranking
from honewheel.tasks.facts import Refused, judged
from honewheel.tasks.pairs import as_prompt, checked, pair

__all__ = ["SCALE", "Similarity", "as_prompt", "pair"]

SCALE = "scale"  # the context's key
MAX_CHARS = 100
COLLAPSED = 0.95  # mean answer for different pairs above which nothing is told apart

Columns: TypeAlias = Mapping[str, ranking.Floats]  # name of a metric -> its value on each item

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_SCALES = {"1": Decimal(1), "100": Decimal(100)}


class Similarity:
    kind = "similarity"
    version = "similarity/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """An error unless `output` is one number within its scale."""
        try:
            _read(output, context)
        except Refused as refused:
            return judged([refused.finding])
        return judged([])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """The number itself, in 0 to 1 and without idle zeros: `0.85` for `.850` and for `85 %`."""
        return frozenset({("similarity", _text(_number(output, context)))})

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the number, to the point (two digits)."""
        points = (_number(output, context) * 100).to_integral_value()
        return digest(["similarity", int(points)])

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """score, valid, exact (the same number), equivalent (the same point), absolute_error,
        and the two numbers themselves, `answer` (0 when invalid) and `expected`.

        `score` is 1 less the absolute error, 0 for an invalid output; `absolute_error`, the only
        metric where less is better, is in [0, 1] as well, and 1 for an invalid output.

        Raises:
            ParseError: the reference is no number in its scale.
        """
        expected = _number(reference, context)
        try:
            found = _read(output, context)
        except Refused:
            return {
                "score": 0.0,
                "valid": 0.0,
                "exact": 0.0,
                "equivalent": 0.0,
                "absolute_error": 1.0,
                "answer": 0.0,
                "expected": float(expected),
            }
        same = self.equivalence_key(output, context) == self.equivalence_key(reference, context)
        error = abs(found - expected)
        return {
            "score": float(1 - error),
            "valid": 1.0,
            "exact": float(found == expected),
            "equivalent": float(same),
            "absolute_error": float(error),
            "answer": float(found),
            "expected": float(expected),
        }

    def refuse(self, prompt: str, context: Mapping[str, str]) -> str | None:
        """Why a pair teaches nothing (protocols.ChecksRequests): no pair, an empty text, one text
        twice.
        """
        try:
            checked(*pair(prompt, context))
        except InputError as error:
            return str(error)
        return None

    # --- whole sets (protocols.ScoresSets): how well the answers put pairs in order --------------

    set_metrics = ("auc", "spearman", "average_precision")

    def set_metric(self, columns: Columns) -> str:
        """`auc` where only 0 and 1 were expected, else `spearman`."""
        return "auc" if ranking.binary(columns["expected"]) else "spearman"

    def set_scores(self, metric: str, columns: Columns, weights: ranking.Floats) -> ranking.Floats:
        """[r] the metric of each resample (row of weights [r, n]); nan where it is undefined."""
        return _SETS[metric](columns["answer"], columns["expected"], weights)

    def set_gap(self, metric: str, columns: Columns) -> str | None:
        """Why a metric is undefined on these pairs, if it is."""
        expected = columns["expected"]
        same = int((expected >= ranking.SAME).sum())
        if metric == "spearman":
            if len(expected) and (expected == expected[0]).all():
                return f"all {len(expected)} pairs are expected to be {expected[0]:g}"
            return None
        if same in (0, len(expected)):
            which = "the same" if same else "different"
            return f"all {len(expected)} pairs are {which}; it takes pairs of both kinds"
        return None

    def set_notes(
        self, columns: Columns, tiers: Mapping[str, Mapping[str, float]]
    ) -> tuple[str, ...]:
        """What a reader of the set's numbers has to know: Spearman's ceiling, a collapse.

        With two classes a floor of Spearman is one of AUC, so each tier's is told as that too.
        """
        answers, expected = columns["answer"], columns["expected"]
        share = float((expected >= ranking.SAME).mean())
        notes = []
        if ranking.binary(expected) and 0 < share < 1:
            ones = np.ones((1, len(answers)))
            rho = float(ranking.spearman(answers, expected, ones)[0])
            notes.append(
                f"{share:.0%} of the pairs are the same, so Spearman cannot exceed "
                f"{100 * ranking.ceiling(share):.1f}; its {100 * rho:.1f} is an AUC of "
                f"{100 * ranking.equivalent_auc(rho, share):.1f} and no second finding"
            )
            notes += [
                _tier_note(tier, floors["spearman"], share)
                for tier, floors in tiers.items()
                if "spearman" in floors
            ]
        different = answers[expected < ranking.SAME]
        if len(different) and different.mean() > COLLAPSED:
            notes.append(
                f"collapsed: pairs that are different are answered {different.mean():.3f} on "
                "average, so every text is near every other"
            )
        return tuple(notes)


def _tier_note(tier: str, floor: float, share: float) -> str:
    highest = ranking.ceiling(share)
    if floor > highest:
        return f"tier {tier} asks for Spearman {100 * floor:.1f}, which no model can reach here"
    return (
        f"tier {tier} asks for Spearman {100 * floor:.1f}, which is an AUC of "
        f"{100 * ranking.equivalent_auc(floor, share):.1f}"
    )


_SETS = {
    "auc": ranking.auc,
    "spearman": ranking.spearman,
    "average_precision": ranking.average_precision,
}


def _number(output: str, context: Mapping[str, str]) -> Decimal:
    try:
        return _read(output, context)
    except Refused as refused:
        raise ParseError(str(refused)) from refused


def _read(output: str, context: Mapping[str, str]) -> Decimal:
    """The number in `output` as a share in [0, 1]."""
    scale = _SCALES.get(context.get(SCALE, "1").strip())
    if scale is None:
        raise Refused("bad-scale", f"the context's scale is {context[SCALE][:40]!r}, not 1 or 100")
    text = output.strip()
    if len(text) > MAX_CHARS:
        message = f"{len(text):,} characters; one number is expected, without any words"
        raise Refused("not-a-number", message)
    if text.endswith("%"):
        text, scale = text[:-1].rstrip(), Decimal(100)
    if _NUMBER.fullmatch(text) is None:
        message = f"{text!r} is not one number; it is expected alone, without any words"
        raise Refused("not-a-number", message)
    found = Decimal(text)
    if not 0 <= found <= scale:
        message = f"{text} is outside 0 .. {scale}"
        raise Refused("out-of-range", message)
    return abs(found) / scale  # -0 is 0


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"
