"""A requirements file: a table in Markdown or CSV, one field a row.

    | field  | type    | min  | max   | step | required | values              | excludes           |
    |--------|---------|------|-------|------|----------|---------------------|--------------------|
    | guests | integer | 1    | 12    |      | yes      |                     |                    |
    | price  | decimal | 0.01 | 99.99 | 0.01 | no       |                     |                    |
    | room   | choice  |      |       |      |          | single, double      | single: view = sea |

Types: integer, decimal (with a step), date, text (min and max are its length), choice (with
values) and yes/no. `excludes` says which value of another choice a value never goes with; several
are separated by `;`. A column `notes` is for people. A Markdown file may hold other text; its
first heading is the title and its first table with the columns field and type is read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from honewheel.errors import InputError
from honewheel.testcases.fields import CHOICES, TYPES, Excluded, Field, Requirements

COLUMNS = ("field", "type", "min", "max", "step", "required", "values", "excludes", "notes")
MAX_BYTES = 1_000_000
MOST_CHARACTERS = 100_000  # of a text field's longest value

_YES = {"": True, "yes": True, "true": True, "no": False, "false": False}
_RESERVED = re.compile(r"[;=|\n]")
_CELL = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r":?-+:?")


def read(path: Path) -> Requirements:
    """The requirements in a file; `.csv` is read as CSV, everything else as Markdown.

    Raises InputError naming the row and what is wrong with it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES:,} bytes; that is no table.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    title, rows = _csv(text) if path.suffix.lower() == ".csv" else _markdown(text)
    return parse(title or path.stem.replace("-", " ").replace("_", " "), rows, path.name)


def parse(title: str, rows: Sequence[Mapping[str, str]], name: str) -> Requirements:
    """The requirements of a table's rows, keys in lower case. Raises InputError; see `read`."""
    if not rows:
        raise InputError(f"{name} holds no table with the columns field and type.")
    unknown = sorted(set(rows[0]) - set(COLUMNS))
    if unknown:
        raise InputError(
            f"{name} has a column {unknown[0]!r}; known are {', '.join(COLUMNS)}. Words for people "
            "go into notes."
        )
    fields = []
    for number, row in enumerate(rows, start=1):
        try:
            fields.append(_field(row))
        except InputError as error:
            raise InputError(f"{name} row {number}: {error}") from error
    _refuse_repeats([one.name for one in fields], f"{name}: field")
    found = Requirements(title=title, fields=tuple(fields))
    excluded = []
    for number, row in enumerate(rows, start=1):
        try:
            excluded += [*_excluded(row, found)]
        except InputError as error:
            raise InputError(f"{name} row {number}: {error}") from error
    return Requirements(title=title, fields=found.fields, excluded=tuple(dict.fromkeys(excluded)))


def _csv(text: str) -> tuple[str, list[dict[str, str]]]:
    table = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    return "", _table(table)


def _markdown(text: str) -> tuple[str, list[dict[str, str]]]:
    title = ""
    table: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if not title and line.startswith("# "):
            title = line[2:].strip()
        if line.strip().startswith("|"):
            table.append([cell.replace("\\|", "|") for cell in _cells(line)])
            continue
        if found := _table(table):
            return title, found
        table = []
    return title, []


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELL.split(line.strip().removesuffix("|"))[1:]]


def _table(table: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Rows by column, or none when the first row is not the header of requirements."""
    if not table:
        return []
    header = [cell.strip().lower() for cell in table[0]]
    if not {"field", "type"} <= set(header):
        return []
    rows = [row for row in table[1:] if not all(_RULE.fullmatch(cell) for cell in row)]
    return [
        {key: cell.strip() for key, cell in zip(header, [*row, *[""] * len(header)], strict=False)}
        for row in rows
    ]


def _field(row: Mapping[str, str]) -> Field:
    name, kind = row["field"], row["type"].lower()
    if not name or _RESERVED.search(name):
        raise InputError(f"{name!r} is no name of a field; it is a text without ; = and |.")
    if kind not in TYPES:
        raise InputError(f"{name} has the type {kind!r}; known are {', '.join(TYPES)}.")
    required = _YES.get(row.get("required", "").lower())
    if required is None:
        raise InputError(f"{name}: required is {row['required']!r}, not yes or no.")
    if kind in CHOICES:
        return _choice(name, kind, required, row)
    return _range(name, kind, required, row)


def _choice(name: str, kind: str, required: bool, row: Mapping[str, str]) -> Field:
    for key in ("min", "max", "step"):
        if row.get(key):
            raise InputError(f"{name} is a {kind}; it has no {key}.")
    given = [one.strip() for one in row.get("values", "").split(",") if one.strip()]
    values = given or (["yes", "no"] if kind == "yes/no" else [])
    if kind == "yes/no" and given:
        raise InputError(f"{name} is a yes/no; values are not given for it.")
    if len(values) < 2:
        raise InputError(f"{name} is a choice; two or more values are needed.")
    if wrong := next((one for one in values if _RESERVED.search(one)), None):
        raise InputError(f"{name}: the value {wrong!r} holds ; = or |.")
    _refuse_repeats(values, f"{name}: value")
    return Field(name=name, type=kind, required=required, values=tuple(values))


def _range(name: str, kind: str, required: bool, row: Mapping[str, str]) -> Field:
    for key in ("values", "excludes"):
        if row.get(key):
            raise InputError(f"{name} is a range; {key} are for choices.")
    if kind != "decimal" and row.get("step"):
        raise InputError(f"{name}: a step is for decimals.")
    step = _number(name, "step", row.get("step") or ("0.01" if kind == "decimal" else "1"))
    read_ = _day if kind == "date" else _number
    low, high = read_(name, "min", row.get("min", "")), read_(name, "max", row.get("max", ""))
    if low > high:
        raise InputError(f"{name}: min {row['min']} is above max {row['max']}.")
    for key, value in (("min", low), ("max", high)):
        if step <= 0 or value % step:
            raise InputError(f"{name}: {key} {row[key]} is no multiple of the step {step}.")
    if kind == "text" and not 1 <= low <= high <= MOST_CHARACTERS:
        raise InputError(
            f"{name}: the length of a text is 1 .. {MOST_CHARACTERS:,}; one that may be empty has "
            "min 1 and required no."
        )
    return Field(name=name, type=kind, required=required, low=low, high=high, step=step)


def _number(name: str, key: str, text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"{name}: {key} is {text!r}, which is no number.") from error
    if not found.is_finite() or abs(found) > 10**12:
        raise InputError(f"{name}: {key} is {text}; numbers go up to 1e12.")
    return found


def _day(name: str, key: str, text: str) -> Decimal:
    try:
        return Decimal(date.fromisoformat(text).toordinal())
    except ValueError as error:
        raise InputError(f"{name}: {key} is {text!r}, which is no date like 2026-01-31.") from error


def _excluded(row: Mapping[str, str], known: Requirements) -> Iterator[Excluded]:
    """`single: view = sea; suite: view = yard` of a row."""
    for part in filter(None, (one.strip() for one in row.get("excludes", "").split(";"))):
        value, colon, rest = part.partition(":")
        other, sign, other_value = rest.partition("=")
        if not colon or not sign:
            raise InputError(f"excludes is {part!r}; it is written VALUE: FIELD = VALUE.")
        found = Excluded(
            field=row["field"],
            value=value.strip(),
            other=other.strip(),
            other_value=other_value.strip(),
        )
        for name, one in ((found.field, found.value), (found.other, found.other_value)):
            fields = {field.name: field for field in known.choices}
            if name not in fields or one not in fields[name].values:
                raise InputError(f"excludes names {name} = {one}, which is no value of a choice.")
        if found.field == found.other:
            raise InputError("excludes names its own field; two values of one never go together.")
        yield found


def _refuse_repeats(names: Sequence[str], what: str) -> None:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{what} {repeated!r} is there twice.")
