"""A puzzle kind as a plug-in of somebody else: digits to be put in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from honewheel.errors import ParseError
from honewheel.records import Check, Fact, Finding
from honewheel.tasks.facts import judged
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import Flags, Problem, PuzzleTask, Tokens

SIDE = 8


class Digits:
    name, length, vocabulary = "sorting-8", 2 * SIDE, 12

    def relations(self) -> Flags:
        return np.eye(self.length, dtype=bool)[None]

    def encode(self, prompt: str, context: Mapping[str, str]) -> Tokens:
        return np.array([int(one) + 2 for one in given(prompt)] + [base.BLANK] * SIDE)

    def target(self, prompt: str, context: Mapping[str, str], output: str) -> Tokens:
        if len(output) != SIDE or not output.isdigit():
            raise ParseError(f"{output!r} is not {SIDE} digits")
        return np.array([base.IGNORED] * SIDE + [int(one) + 2 for one in output])

    def decode(self, prompt: str, context: Mapping[str, str], tokens: Tokens) -> str:
        return "".join(str(max(0, one - 2)) for one in tokens[SIDE:].tolist())

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        positions, tokens = base.still(count, self.length, self.vocabulary)
        positions[:, :SIDE] = np.argsort(rng.random((count, SIDE)), axis=1)
        return positions, tokens

    def canonical(self, prompt: str, context: Mapping[str, str], output: str | None = None) -> str:
        return "".join(sorted(given(prompt))) + (output or "")

    def baseline(self, prompt: str, context: Mapping[str, str]) -> str:
        return given(prompt)

    def check(self, prompt: str, context: Mapping[str, str], output: str) -> Check:
        right = output.strip() == self.solve(prompt, context)
        return judged([] if right else [Finding(code="unsorted", message="not in order")])

    def facts(self, prompt: str, context: Mapping[str, str], output: str) -> frozenset[Fact]:
        self.target(prompt, context, output)
        return frozenset((str(at), one) for at, one in enumerate(output))

    def solve(self, prompt: str, context: Mapping[str, str]) -> str:
        return "".join(sorted(given(prompt)))

    def level(self, prompt: str, context: Mapping[str, str]) -> str:
        return "easy" if len(set(given(prompt))) < 6 else "hard"

    def measures(self, prompt: str, context: Mapping[str, str], output: str) -> Mapping[str, float]:
        return {}


class Sorting(PuzzleTask):
    kind, version = "sorting", "sorting/1"
    levels, sizes, rules = ("easy", "hard"), ("8",), ("ascending",)

    def puzzle(self, fields: Mapping[str, Any]) -> Digits:
        base.only(fields, ("digits",), self.kind)
        if not str(fields.get("digits")).isdigit() or len(str(fields["digits"])) != SIDE:
            raise ParseError(f"digits is no text of {SIDE} digits")
        return Digits()

    def generate(
        self, size: str, rule: str, level: str | None, rng: np.random.Generator
    ) -> Iterator[Problem]:
        while True:
            digits = "".join(map(str, rng.integers(10, size=SIDE)))
            prompt = base.ask(self.kind, {"digits": digits})
            found = Digits().level(prompt, {})
            if level in (None, found):
                yield Problem(prompt=prompt, answer=Digits().solve(prompt, {}), level=found)


def given(prompt: str) -> str:
    found: str = base.fields(prompt)[1]["digits"]
    return found
