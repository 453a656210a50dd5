"""Pairwise tests: the rows of a covering array, of which some are there already.

A prompt gives how many levels each parameter has, which two levels never meet, and the rows that
are written: `{"puzzle": "pairwise", "size": [3, 3], "levels": [3, 2, 2], "never": [[0, 1, 2, 0]],
"rows": [[0, 0, 0]]}`; parameters and levels count from 0 and `[0, 1, 2, 0]` forbids level 1 of
parameter 0 beside level 0 of parameter 2. An output is the whole array, a row a line, the levels
separated by blanks, beginning with the rows given.

Many arrays are right. Valid is one that keeps the given rows, meets no forbidden pair and covers
every pair that can be covered. The canonical one continues greedily, see `covering_array`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from honewheel.errors import ParseError
from honewheel.records import Check, Fact, Finding
from honewheel.tasks.facts import judged
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import BLANK, PADDING, Flags, Problem, PuzzleTask, Tokens
from honewheel.tasks.puzzle.covering_array import Model, Pair, Row, pairs, read, write

# Parameters, levels at most -> forbidden pairs and rows at most. The greedy array of every problem
# without given rows fits; a test counts them.
SIZES: Mapping[tuple[int, int], tuple[int, int]] = {
    (3, 3): (2, 12),
    (4, 3): (2, 15),
    (5, 4): (4, 26),
}
RULES = ("pairs",)

_KIND = "pairwise"
_ENTRIES = ("size", "levels", "never", "rows")
_ZERO = 2


@dataclass(frozen=True)
class Asked:
    """One problem: its model and the rows that are written already."""

    model: Model
    given: tuple[Row, ...]


@dataclass(frozen=True)
class Array:
    """Problems with so many parameters of at most so many levels.

    Tokens: the levels, the forbidden pairs, then the rows; 0 padding, 1 to be filled in, a number
    n is n + 2.
    """

    parameters: int
    most: int

    @property
    def name(self) -> str:
        return f"{_KIND}-{self.parameters}x{self.most}"

    @property
    def forbidden(self) -> int:
        return SIZES[self.parameters, self.most][0]

    @property
    def height(self) -> int:
        return SIZES[self.parameters, self.most][1]

    @property
    def start(self) -> int:
        """Where the rows begin."""
        return self.parameters + 4 * self.forbidden

    @property
    def length(self) -> int:
        return self.start + self.height * self.parameters

    @property
    def vocabulary(self) -> int:
        return _ZERO + max(self.parameters - 1, self.most) + 1

    def relations(self) -> Flags:
        """Same row or forbidden pair; same parameter; the row before or behind."""
        head = self.parameters
        records = [0] * head + [1 + at // 4 for at in range(4 * self.forbidden)]
        columns = [*range(head), *(head + at % 4 for at in range(4 * self.forbidden))]
        for row in range(self.height):
            records += [1 + self.forbidden + row] * head
            columns += range(head)
        record, column = np.array(records), np.array(columns)
        near = np.abs(record[:, None] - record[None, :]) == 1
        same = column[:, None] == column[None, :]
        return np.stack([record[:, None] == record[None, :], same, same & near])

    def encode(self, prompt: str, context: Mapping[str, str]) -> Tokens:
        asked = _asked(prompt)
        return self._tokens(asked, asked.given, BLANK)

    def target(self, prompt: str, context: Mapping[str, str], output: str) -> Tokens:
        return self._tokens(_asked(prompt), read(output), PADDING)

    def decode(self, prompt: str, context: Mapping[str, str], tokens: Tokens) -> str:
        cells = tokens[self.start :].reshape(self.height, self.parameters).tolist()
        used = len(_asked(prompt).model.levels)
        return "\n".join(
            " ".join(str(cell - _ZERO) if cell >= _ZERO else "?" for cell in row[:used])
            for row in cells
            if any(row)
        )

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """None but standing still: the canonical array goes by the order of the levels."""
        return base.still(count, self.length, self.vocabulary)

    def canonical(self, prompt: str, context: Mapping[str, str], output: str | None = None) -> str:
        """The problem itself, forbidden pairs in order; its only symmetry."""
        asked = _asked(prompt)
        levels = "x".join(map(str, asked.model.levels))
        least = f"{self.name} {levels} {sorted(asked.model.never)} {list(asked.given)}"
        return least if output is None else f"{least} {read(output)}"

    def baseline(self, prompt: str, context: Mapping[str, str]) -> str:
        """Each level once: the first row all 0, the second all 1, as far as levels go."""
        asked = _asked(prompt)
        rows = [
            tuple(min(at, count - 1) for count in asked.model.levels)
            for at in range(max(asked.model.levels))
        ]
        return write([*asked.given, *(row for row in rows if row not in asked.given)])

    def check(self, prompt: str, context: Mapping[str, str], output: str) -> Check:
        try:
            rows = read(output)
        except ParseError as error:
            return judged([Finding(code="syntax", message=str(error))])
        return judged([*_violations(_asked(prompt), rows)])

    def facts(self, prompt: str, context: Mapping[str, str], output: str) -> frozenset[Fact]:
        """The pairs (parameter, level, parameter, level) that its rows cover."""
        covered = frozenset[Pair]().union(*map(pairs, read(output)))
        return frozenset(tuple(map(str, pair)) for pair in covered)

    def solve(self, prompt: str, context: Mapping[str, str]) -> str:
        asked = _asked(prompt)
        return write(asked.model.greedy(asked.given))

    def level(self, prompt: str, context: Mapping[str, str]) -> str:
        """By how many rows are to be written: at most 3, at most 6, more."""
        asked = _asked(prompt)
        wanted = len(asked.model.greedy(asked.given)) - len(asked.given)
        return Pairwise.levels[(wanted > 3) + (wanted > 6)]

    def measures(self, prompt: str, context: Mapping[str, str], output: str) -> Mapping[str, float]:
        """`pair_coverage`: share of the coverable pairs in allowed rows of the output; `economy`:
        the lower bound of rows over the rows written, at most 1.
        """
        asked = _asked(prompt)
        goals = asked.model.goals()
        try:
            rows = read(output)
        except ParseError:
            return {"pair_coverage": 0.0, "economy": 0.0}
        covered = set().union(*(pairs(row) for row in rows if asked.model.fits(row)))
        fewest = max(asked.model.fewest, len(asked.given))
        return {
            "pair_coverage": len(goals & covered) / len(goals) if goals else 1.0,
            "economy": min(1.0, fewest / len(rows)) if rows else 0.0,
        }

    def _tokens(self, asked: Asked, rows: Sequence[Row], rest: int) -> Tokens:
        if len(rows) > self.height:
            raise ParseError(f"The array has {len(rows)} rows; {self.height} are the most.")
        levels = asked.model.levels
        found = [count + _ZERO for count in levels] + [PADDING] * (self.parameters - len(levels))
        never = sorted(asked.model.never)
        found += [number + _ZERO for pair in never for number in pair]
        found += [PADDING] * (self.start - len(found))
        for row in rows:
            if len(row) != len(levels):
                raise ParseError(f"A row has {len(row)} levels; there are {len(levels)} parameters")
            if any(value >= self.most for value in row):
                raise ParseError(f"A row holds level {max(row)}; levels are 0 .. {self.most - 1}")
            found += [value + _ZERO for value in row] + [PADDING] * (self.parameters - len(row))
        blanks = [rest] * len(levels) + [PADDING] * (self.parameters - len(levels))
        found += blanks * (self.height - len(rows))
        return np.array(found, dtype=np.int64)


class Pairwise(PuzzleTask):
    kind = _KIND
    version = "pairwise/1"
    levels = ("easy", "medium", "hard")
    sizes = tuple(f"{parameters}x{most}" for parameters, most in SIZES)
    rules = RULES

    def puzzle(self, fields: Mapping[str, Any]) -> Array:
        base.only(fields, _ENTRIES, _KIND)
        size = fields.get("size")
        if not isinstance(size, list) or tuple(size) not in SIZES:
            known = ", ".join(str(list(one)) for one in SIZES)
            raise ParseError(f"{_KIND}: size is {size!r}; it is one of {known}.")
        array = Array(*size)
        _require(fields, array)
        return array

    def generate(
        self, size: str, rule: str, level: str | None, rng: np.random.Generator
    ) -> Iterator[Problem]:
        base.require(size, self.sizes, "The size of a pairwise problem")
        base.require(rule, self.rules, "The rule of a pairwise problem")
        if level is not None:
            base.require(level, self.levels, "The level of a pairwise problem")
        parameters, most = (int(part) for part in size.split("x"))
        array = Array(parameters, most)
        while True:
            prompt = _random(array, rng)
            found = array.level(prompt, {})
            if level in (None, found):
                yield Problem(prompt=prompt, answer=array.solve(prompt, {}), level=found)


def ask(model: Model, given: Sequence[Row] = ()) -> str:
    """The prompt for a model in the smallest size that holds it.

    Raises ParseError when none does.
    """
    for (parameters, most), (forbidden, _) in sorted(SIZES.items()):
        fits = len(model.levels) <= parameters and max(model.levels) <= most
        if fits and len(model.never) <= forbidden:
            return _spell((parameters, most), model, given)
    known = "; ".join(
        f"{parameters} parameters of {most} levels with {never} forbidden pairs"
        for (parameters, most), (never, _) in sorted(SIZES.items())
    )
    raise ParseError(
        f"{len(model.levels)} parameters of up to {max(model.levels)} levels with "
        f"{len(model.never)} forbidden pairs fit no size of a pairwise problem: {known}."
    )


def _spell(size: tuple[int, int], model: Model, given: Sequence[Row]) -> str:
    entries: dict[str, Any] = {"size": list(size), "levels": list(model.levels)}
    if model.never:
        entries["never"] = [list(pair) for pair in sorted(model.never)]
    if given:
        entries["rows"] = [list(row) for row in given]
    return base.ask(_KIND, entries)


def _random(array: Array, rng: np.random.Generator) -> str:
    levels = tuple(int(one) for one in rng.integers(2, array.most + 1, size=array.parameters))
    never: set[Pair] = set()
    for _ in range(int(rng.integers(array.forbidden + 1))):
        one, two = sorted(int(at) for at in rng.choice(array.parameters, size=2, replace=False))
        never.add((one, int(rng.integers(levels[one])), two, int(rng.integers(levels[two]))))
    model = Model(levels, frozenset(never))
    whole = model.greedy(())
    keep = int(rng.integers(len(whole)))
    return _spell((array.parameters, array.most), model, whole[:keep])


@lru_cache(maxsize=4096)
def _asked(prompt: str) -> Asked:
    entries = base.fields(prompt)[1]
    return Asked(
        model=Model(
            levels=tuple(entries["levels"]),
            never=frozenset(tuple(pair) for pair in entries.get("never", [])),
        ),
        given=tuple(tuple(row) for row in entries.get("rows", [])),
    )


def _violations(asked: Asked, rows: Sequence[Row]) -> Iterator[Finding]:
    model = asked.model
    for number, given in enumerate(asked.given, start=1):
        if number > len(rows) or rows[number - 1] != given:
            message = f"row {number} is given as {write([given])}, the output has another"
            yield Finding(code="given-changed", message=message)
    covered: set[Pair] = set()
    for number, row in enumerate(rows, start=1):
        if model.fits(row):
            covered |= pairs(row)
        elif len(row) != len(model.levels):
            message = f"row {number} has {len(row)} levels for {len(model.levels)} parameters"
            yield Finding(code="bad-row", message=message)
        elif not model.allows(row):
            one, first, two, second = min(model.never & pairs(row))
            message = (
                f"row {number} joins level {first} of parameter {one} and level {second} of "
                f"parameter {two}, which never meet"
            )
            yield Finding(code="forbidden-pair", message=message)
        else:
            message = f"row {number} is {write([row])}; a parameter has not so many levels"
            yield Finding(code="bad-row", message=message)
    for one, first, two, second in sorted(model.goals() - covered):
        message = f"level {first} of parameter {one} never meets level {second} of parameter {two}"
        yield Finding(code="missing-pair", message=message)
    if len(set(rows)) < len(rows):
        message = f"{len(rows) - len(set(rows))} rows are there twice"
        yield Finding(code="repeated-row", message=message, severity="warning")


def _require(fields: Mapping[str, Any], array: Array) -> None:
    """Raises ParseError unless levels, forbidden pairs and rows make a problem of this size."""
    levels: Any = fields.get("levels")
    if not _numbers(levels, 2, array.parameters) or not all(
        1 <= one <= array.most for one in levels
    ):
        raise ParseError(
            f"{_KIND}: levels is {levels!r}; 2 .. {array.parameters} numbers of 1 .. {array.most}."
        )
    never, rows = fields.get("never", []), fields.get("rows", [])
    model = Model(tuple(levels), frozenset())
    if not isinstance(never, list) or len(never) > array.forbidden:
        raise ParseError(f"{_KIND}: never holds at most {array.forbidden} pairs.")
    for pair in never:
        good = _numbers(pair, 4, 4) and pair[0] < pair[2] < len(levels)
        if not good or pair[1] >= levels[pair[0]] or pair[3] >= levels[pair[2]]:
            raise ParseError(f"{_KIND}: {pair!r} is no pair: parameter, level, later one, level.")
    if not isinstance(rows, list) or len(rows) > array.height:
        raise ParseError(f"{_KIND}: rows holds at most {array.height} rows.")
    model = Model(tuple(levels), frozenset(tuple(pair) for pair in never))
    for row in rows:
        if not _numbers(row, len(levels), len(levels)) or not model.fits(row):
            raise ParseError(f"{_KIND}: {row!r} is no row of these levels, or is forbidden.")
    if not model.goals():
        raise ParseError(f"{_KIND}: no row is allowed.")


def _numbers(value: Any, low: int, high: int) -> bool:
    """Whether `value` is a list of low .. high whole numbers from 0."""
    return (
        isinstance(value, list)
        and low <= len(value) <= high
        and all(type(one) is int and one >= 0 for one in value)
    )
