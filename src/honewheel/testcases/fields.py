"""What a requirements file says: fields with their ranges or values, and values that exclude.

A range is counted in units, so that every kind of it is one of whole numbers: a price in steps of
0.01, a date in days, a text in characters. Where the lowest allowed value is 1 or more, as it is
for most counts, a unit is the number itself; else the lowest allowed value is unit 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

RANGES = ("integer", "decimal", "date", "text")
CHOICES = ("choice", "yes/no")
TYPES = (*RANGES, *CHOICES)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. A range has `low`, `high` and `step` (a date's are days since year 1, a text's
    its length in characters); a choice has `values`.
    """

    name: str
    type: str
    required: bool = True
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    step: Decimal = Decimal(1)
    values: tuple[str, ...] = ()

    @property
    def ranged(self) -> bool:
        return self.type in RANGES

    @property
    def units(self) -> tuple[int, int]:
        """The lowest and the highest allowed value in units, the lowest at least 1."""
        low, high = self._counted
        return low + self._shift, high + self._shift

    def value(self, unit: int | None) -> str:
        """What to enter for a value in units; None is the empty value."""
        if unit is None:
            return ""
        number = (unit - self._shift) * self.step
        if self.type == "date":
            return (date.min + timedelta(days=int(number) - 1)).isoformat()
        if self.type == "text":
            whole = int(number)
            return (_LETTERS * (whole // len(_LETTERS) + 1))[:whole]
        return f"{number:f}"

    def unit(self, text: str) -> int | None:
        """A value in units. Raises ValueError when it is none, or lies between two steps."""
        if text == "":
            return None
        if self.type == "date":
            return date.fromisoformat(text).toordinal() + self._shift
        if self.type == "text":
            return len(text) + self._shift
        try:
            steps = Decimal(text) / self.step
        except ArithmeticError as error:
            raise ValueError(f"{text!r} is no number") from error
        if not steps.is_finite() or steps != steps.to_integral_value():
            raise ValueError(f"{text!r} is no multiple of {self.step}")
        return int(steps) + self._shift

    @property
    def nominal(self) -> str:
        """An allowed value that no test is about: the middle of a range, the first choice."""
        if not self.ranged:
            return self.values[0]
        low, high = self.units
        return self.value((low + high) // 2)

    @property
    def _counted(self) -> tuple[int, int]:
        return int(self.low / self.step), int(self.high / self.step)

    @property
    def _shift(self) -> int:
        low = self._counted[0]
        return 0 if low >= 1 and self.type != "date" else 1 - low


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """`value` of `field` and `other_value` of `other` never go together."""

    field: str
    value: str
    other: str
    other_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """A whole file."""

    title: str
    fields: tuple[Field, ...]
    excluded: tuple[Excluded, ...] = ()

    def field(self, name: str) -> Field:
        return next(one for one in self.fields if one.name == name)

    @property
    def ranges(self) -> tuple[Field, ...]:
        return tuple(one for one in self.fields if one.ranged)

    @property
    def choices(self) -> tuple[Field, ...]:
        return tuple(one for one in self.fields if not one.ranged)
