"""Similarity: an answer that is one number, how alike two texts of the prompt or context are.

The number runs from 0 (nothing in common) to 1 (the same), or in percent when it ends in `%`.
A context entry `scale` of 100 makes plain numbers run from 0 to 100; without it 85 is out of
range rather than guessed to be 0.85. The two texts are read by `pair` (see `tasks.pairs`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from honewheel.errors import ParseError
from honewheel.records import Check, Fact, Finding, digest
from honewheel.tasks.facts import judged
from honewheel.tasks.pairs import as_prompt, pair

__all__ = ["SCALE", "Similarity", "as_prompt", "pair"]

SCALE = "scale"  # the context's key
MAX_CHARS = 100

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_SCALES = {"1": Decimal(1), "100": Decimal(100)}


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(code=code, message=message)


class Similarity:
    kind = "similarity"
    version = "similarity/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """An error unless `output` is one number within its scale."""
        try:
            _read(output, context)
        except _Refused as refused:
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
        """score, valid, exact (the same number), equivalent (the same point), absolute_error.

        `score` is 1 less the absolute error, 0 for an invalid output; `absolute_error`, the only
        metric where less is better, is in [0, 1] as well, and 1 for an invalid output.

        Raises:
            ParseError: the reference is no number in its scale.
        """
        expected = _number(reference, context)
        try:
            found = _read(output, context)
        except _Refused:
            return {
                "score": 0.0,
                "valid": 0.0,
                "exact": 0.0,
                "equivalent": 0.0,
                "absolute_error": 1.0,
            }
        same = self.equivalence_key(output, context) == self.equivalence_key(reference, context)
        error = abs(found - expected)
        return {
            "score": float(1 - error),
            "valid": 1.0,
            "exact": float(found == expected),
            "equivalent": float(same),
            "absolute_error": float(error),
        }


def _number(output: str, context: Mapping[str, str]) -> Decimal:
    try:
        return _read(output, context)
    except _Refused as refused:
        raise ParseError(str(refused)) from refused


def _read(output: str, context: Mapping[str, str]) -> Decimal:
    """The number in `output` as a share in [0, 1]."""
    scale = _SCALES.get(context.get(SCALE, "1").strip())
    if scale is None:
        raise _Refused("bad-scale", f"the context's scale is {context[SCALE][:40]!r}, not 1 or 100")
    text = output.strip()
    if len(text) > MAX_CHARS:
        message = f"{len(text):,} characters; one number is expected, without any words"
        raise _Refused("not-a-number", message)
    if text.endswith("%"):
        text, scale = text[:-1].rstrip(), Decimal(100)
    if _NUMBER.fullmatch(text) is None:
        message = f"{text!r} is not one number; it is expected alone, without any words"
        raise _Refused("not-a-number", message)
    found = Decimal(text)
    if not 0 <= found <= scale:
        message = f"{text} is outside 0 .. {scale}"
        raise _Refused("out-of-range", message)
    return abs(found) / scale  # -0 is 0


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"
