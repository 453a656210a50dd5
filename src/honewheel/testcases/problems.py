"""Requirements as problems: a boundary table for each range, one pairwise array for the choices."""

from __future__ import annotations

from dataclasses import dataclass

from honewheel.errors import InputError, ParseError
from honewheel.tasks.puzzle import boundary_table, pairwise
from honewheel.tasks.puzzle.covering_array import Model, Pair
from honewheel.testcases.fields import Requirements

BOUNDARY, PAIRWISE = "boundary-table", "pairwise"  # kinds
LEAST_DIGITS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One problem. `subject` is the field that it is about; "" for all choices together."""

    kind: str
    subject: str
    prompt: str


def problems(found: Requirements, rule: str, digits: int | None = None) -> tuple[Asked, ...]:
    """What has to be answered for all the fields; `rule` is that of the boundary tables.

    Numbers are written with `digits` digits, where a version was trained on so many; else with as
    many as each needs.

    Raises:
        InputError: no such rule, a range that needs more digits, or more choices than an array
            takes.
    """
    if rule not in boundary_table.RULES:
        known = ", ".join(boundary_table.RULES)
        raise InputError(f"There is no rule {rule!r} for boundary tables; known are {known}.")
    asked = [
        Asked(kind=BOUNDARY, subject=field.name, prompt=_boundary(found, field.name, rule, digits))
        for field in found.ranges
    ]
    asked += combinations(found)
    if not asked:
        raise InputError(f"{found.title}: there is neither a range nor a second choice to test.")
    return tuple(asked)


def combinations(found: Requirements) -> list[Asked]:
    """The problem of all choices together; none where there are not two."""
    if len(found.choices) < 2:
        return []
    return [Asked(kind=PAIRWISE, subject="", prompt=_pairwise(found))]


def _boundary(found: Requirements, name: str, rule: str, digits: int | None) -> str:
    field = found.field(name)
    low, high = field.units
    needed = max(LEAST_DIGITS, len(str(high + 1)))
    written = digits or needed
    if not needed <= written <= boundary_table.MOST_DIGITS:
        most = boundary_table.MOST_DIGITS if digits is None else digits
        raise InputError(
            f"{name} goes up to {field.value(high)}, {high:,} in units of {field.step:f}: "
            f"{needed} digits, where {most} are the most."
        )
    asked = boundary_table.Requirement(low=low, high=high, optional=not field.required)
    return boundary_table.ask(asked, digits=written, rule=rule, field=name)


def _pairwise(found: Requirements) -> str:
    names = [field.name for field in found.choices]
    levels = tuple(len(field.values) for field in found.choices)
    never: set[Pair] = set()
    for one in found.excluded:
        first = names.index(one.field), found.field(one.field).values.index(one.value)
        second = names.index(one.other), found.field(one.other).values.index(one.other_value)
        left, right = sorted([first, second])
        never.add((*left, *right))
    model = Model(levels, frozenset(never))
    try:
        return pairwise.ask(model)
    except ParseError as error:
        raise InputError(f"{found.title}: {error}") from error
