"""Boundary-value tables: one requirement in, its test values with the expected verdict out.

A prompt states a whole-number field: `{"puzzle": "boundary-table", "digits": 2, "field": "age",
"low": 18, "high": 65, "optional": false}`, with `"rule": "three-value"` or `"three-value-empty"`
where the house tests more. Rules (ISTQB's words): two-value takes each boundary and its neighbour
outside, three-value the neighbour inside as well, and -empty adds the empty value, which an
optional field accepts. An output is CSV, one test a line:

    value,expected
    17,reject
    18,accept
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from honewheel.errors import ParseError
from honewheel.records import Check, Fact, Finding
from honewheel.tasks.facts import judged
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import BLANK, PADDING, Flags, Problem, PuzzleTask, Tokens

RULES = ("two-value", "three-value", "three-value-empty")
ACCEPT, REJECT = "accept", "reject"
HEADER = "value,expected"
MOST_DIGITS = 9
ROWS = 7  # of the longest table: six values and the empty one

Row: TypeAlias = tuple[int | None, str]  # None is the empty value

_KIND = "boundary-table"
_ENTRIES = ("digits", "field", "low", "high", "optional", "rule")
_REQUIRED, _OPTIONAL, _ACCEPT, _REJECT, _EMPTY, _ZERO = range(2, 8)
_LINE = re.compile(r"(\d{1,18})?\s*,\s*(accept|reject)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A field that takes whole numbers low .. high; an optional one may be left empty."""

    low: int
    high: int
    optional: bool

    def expected(self, value: int | None) -> str:
        if value is None:
            return ACCEPT if self.optional else REJECT
        return ACCEPT if self.low <= value <= self.high else REJECT

    def table(self, rule: str) -> tuple[Row, ...]:
        """The tests that `rule` asks for, by value, the empty one last."""
        values = {self.low - 1, self.low, self.high, self.high + 1}
        if rule != RULES[0]:
            values |= {self.low + 1, self.high - 1}
        asked: list[int | None] = [*sorted(values)]
        asked += [None] if rule == "three-value-empty" else []
        return tuple((value, self.expected(value)) for value in asked)


@dataclass(frozen=True)
class Table:
    """Problems whose numbers have `digits` digits, under one rule.

    Tokens: the requirement (one flag, low, high), then seven rows of digits and verdict. 0
    padding, 1 to be filled in, 2 required, 3 optional, 4 accept, 5 reject, 6 the empty value, 7 ..
    16 digits.
    """

    digits: int
    rule: str

    @property
    def name(self) -> str:
        size = f"{_KIND}-{self.digits}"
        return size if self.rule == RULES[0] else f"{size}-{self.rule}"

    @property
    def length(self) -> int:
        return 1 + 2 * self.digits + ROWS * (self.digits + 1)

    @property
    def vocabulary(self) -> int:
        return _ZERO + 10

    def relations(self) -> Flags:
        """Same number or row; same place of a number (or verdict); same place a row further."""
        records = [0] + [1] * self.digits + [2] * self.digits
        places = [self.digits + 1, *range(self.digits), *range(self.digits)]
        for row in range(ROWS):
            records += [3 + row] * (self.digits + 1)
            places += range(self.digits + 1)
        record, place = np.array(records), np.array(places)
        same = place[:, None] == place[None, :]
        near = np.abs(record[:, None] - record[None, :]) == 1
        return np.stack([record[:, None] == record[None, :], same, same & near])

    def encode(self, prompt: str, context: Mapping[str, str]) -> Tokens:
        rest = [BLANK] * (ROWS * (self.digits + 1))
        return np.array(self._stated(prompt) + rest, dtype=np.int64)

    def target(self, prompt: str, context: Mapping[str, str], output: str) -> Tokens:
        rows = sorted(set(_read(output)), key=_place)
        if len(rows) > ROWS:
            raise ParseError(f"The table has {len(rows)} tests; {ROWS} are the most.")
        found = self._stated(prompt)
        for value, expected in rows:
            found += self._number(value) if value is not None else [_EMPTY] * self.digits
            found.append(_ACCEPT if expected == ACCEPT else _REJECT)
        found += [PADDING] * (self.length - len(found))
        return np.array(found, dtype=np.int64)

    def decode(self, prompt: str, context: Mapping[str, str], tokens: Tokens) -> str:
        start = 1 + 2 * self.digits
        rows = tokens[start:].reshape(ROWS, self.digits + 1).tolist()
        return "\n".join([HEADER, *(_spell(row) for row in rows if any(row))])

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """None but standing still: numbers have no symmetry that keeps their neighbours."""
        return base.still(count, self.length, self.vocabulary)

    def canonical(self, prompt: str, context: Mapping[str, str], output: str | None = None) -> str:
        """The requirement without the field's name; its only symmetry."""
        asked = _requirement(prompt)
        kind = "optional" if asked.optional else "required"
        least = f"{self.name} {asked.low}..{asked.high} {kind}"
        return least if output is None else f"{least} {sorted(_read(output), key=_place)}"

    def baseline(self, prompt: str, context: Mapping[str, str]) -> str:
        """The two boundaries, both accepted: tests of what should work, none of what should not."""
        asked = _requirement(prompt)
        return write(((asked.low, ACCEPT), (asked.high, ACCEPT)))

    def check(self, prompt: str, context: Mapping[str, str], output: str) -> Check:
        try:
            rows = _read(output)
        except ParseError as error:
            return judged([Finding(code="syntax", message=str(error))])
        return judged([*_violations(_requirement(prompt), self.rule, rows)])

    def facts(self, prompt: str, context: Mapping[str, str], output: str) -> frozenset[Fact]:
        """(value, verdict) of every test."""
        return frozenset(
            ("" if value is None else str(value), expected) for value, expected in _read(output)
        )

    def solve(self, prompt: str, context: Mapping[str, str]) -> str:
        return write(_requirement(prompt).table(self.rule))

    def level(self, prompt: str, context: Mapping[str, str]) -> str:
        """How often counting changes a ten (low - 1, high + 1) or the range is narrower than the
        table: never, once, oftener.
        """
        asked = _requirement(prompt)
        turns = (asked.low % 10 == 0) + (asked.high % 10 == 9) + (asked.high - asked.low < 3)
        return BoundaryTable.levels[min(turns, 2)]

    def measures(self, prompt: str, context: Mapping[str, str], output: str) -> Mapping[str, float]:
        """`boundary_coverage`: share of the tests asked for that are there with the right
        verdict; `economy`: tests that would do over tests written, at most 1.
        """
        needed = set(_requirement(prompt).table(self.rule))
        try:
            rows = _read(output)
        except ParseError:
            return {"boundary_coverage": 0.0, "economy": 0.0}
        return {
            "boundary_coverage": len(needed & set(rows)) / len(needed),
            "economy": min(1.0, len(needed) / len(rows)) if rows else 0.0,
        }

    def _stated(self, prompt: str) -> list[int]:
        asked = _requirement(prompt)
        flag = _OPTIONAL if asked.optional else _REQUIRED
        return [flag, *self._number(asked.low), *self._number(asked.high)]

    def _number(self, value: int) -> list[int]:
        text = f"{value:0{self.digits}d}"
        if len(text) > self.digits:
            raise ParseError(f"{value} has more than {self.digits} digits.")
        return [_ZERO + int(char) for char in text]


class BoundaryTable(PuzzleTask):
    kind = _KIND
    version = "boundary-table/1"
    levels = ("easy", "medium", "hard")
    sizes = ("2", "3", "4")  # digits
    rules = RULES

    def puzzle(self, fields: Mapping[str, Any]) -> Table:
        base.only(fields, _ENTRIES, _KIND)
        digits = base.whole(fields, "digits", 1, MOST_DIGITS, _KIND)
        most = 10**digits - 2  # one more has to fit
        low = base.whole(fields, "low", 1, most, _KIND)
        base.whole(fields, "high", low, most, _KIND)
        if not isinstance(fields.get("optional", False), bool):
            raise ParseError(f"{_KIND}: optional is {fields['optional']!r}, not true or false.")
        if not isinstance(fields.get("field", ""), str):
            raise ParseError(f"{_KIND}: field is {fields['field']!r}, not a name.")
        return Table(digits, base.chosen(fields, "rule", RULES, _KIND))

    def generate(
        self, size: str, rule: str, level: str | None, rng: np.random.Generator
    ) -> Iterator[Problem]:
        base.require(size, self.sizes, "The size of a boundary table")
        base.require(rule, self.rules, "The rule of a boundary table")
        if level is not None:
            base.require(level, self.levels, "The level of a boundary table")
        table = Table(int(size), rule)
        while True:
            low, high = sorted(int(one) for one in rng.integers(1, 10 ** int(size) - 1, size=2))
            asked = Requirement(low=low, high=high, optional=bool(rng.integers(2)))
            prompt = ask(asked, digits=int(size), rule=rule)
            found = table.level(prompt, {})
            if level in (None, found):
                yield Problem(prompt=prompt, answer=table.solve(prompt, {}), level=found)


def ask(asked: Requirement, *, digits: int, rule: str = RULES[0], field: str = "") -> str:
    """The prompt that states a requirement."""
    entries: dict[str, Any] = {"digits": digits}
    if field:
        entries["field"] = field
    entries |= {"low": asked.low, "high": asked.high, "optional": asked.optional}
    return base.ask(_KIND, entries if rule == RULES[0] else entries | {"rule": rule})


def write(rows: Sequence[Row]) -> str:
    """The table as CSV."""
    lines = (f"{'' if value is None else value},{expected}" for value, expected in rows)
    return "\n".join([HEADER, *lines])


def read(output: str) -> tuple[Row, ...]:
    """The tests of a table in CSV, in their order. Raises ParseError naming the first bad line."""
    return tuple(_read(output))


@lru_cache(maxsize=4096)
def _requirement(prompt: str) -> Requirement:
    entries = base.fields(prompt)[1]
    return Requirement(
        low=entries["low"], high=entries["high"], optional=entries.get("optional", False)
    )


def _read(output: str) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(output.strip().splitlines(), start=1):
        if not line.strip() or (number == 1 and line.replace(" ", "") == HEADER):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ParseError(
                f"line {number} is {line.strip()[:40]!r}; a test is written value,accept or "
                "value,reject with a whole number or nothing as its value"
            )
        rows.append((int(found[1]) if found[1] else None, found[2]))
    return rows


def _violations(asked: Requirement, rule: str, rows: Sequence[Row]) -> Iterator[Finding]:
    needed, given = asked.table(rule), [value for value, _ in rows]
    for value, expected in rows:
        right = asked.expected(value)
        if expected != right:
            message = f"{_named(value)} is to be {right}ed, the table says {expected}"
            yield Finding(code="wrong-verdict", message=message)
    for value, _ in needed:
        if value not in given:
            message = f"{_named(value)} is not tested, which {rule} asks for"
            yield Finding(code="missing-value", message=message)
    for value in dict.fromkeys(given):
        if value not in [one for one, _ in needed]:
            message = f"{_named(value)} is tested, which {rule} does not ask for"
            yield Finding(code="extra-value", message=message, severity="warning")
    for value, count in Counter(given).items():
        if count > 1:
            message = f"{_named(value)} is tested {count} times"
            yield Finding(code="repeated-value", message=message, severity="warning")


def _named(value: int | None) -> str:
    return "the empty value" if value is None else str(value)


def _place(row: Row) -> tuple[bool, int, str]:
    value, expected = row
    return value is None, value or 0, expected


def _spell(row: Sequence[int]) -> str:
    """One row of tokens as a line; what is no digit or verdict is written as `?`."""
    verdict = {_ACCEPT: ACCEPT, _REJECT: REJECT}.get(row[-1], "?")
    if all(token == _EMPTY for token in row[:-1]):
        return f",{verdict}"
    digits = [str(token - _ZERO) if token >= _ZERO else "?" for token in row[:-1]]
    text = "".join(digits)
    return f"{int(text) if text.isdigit() else text},{verdict}"
