"""What people changed in the cases, as feedback on the answers that the cases were made of.

In `cases.csv` a reviewer fills in `review`: "ok", "wrong" (the other outcome is right; of a
combination: it is not to be tested) or "remove"; changes a value or an expected outcome; or adds
a line without a case for one that is missing. An answer of which something was changed is
corrected, one whose cases are all ok is accepted, the others are left alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from honewheel.errors import InputError
from honewheel.tasks.asked import with_prompt
from honewheel.tasks.puzzle import base, boundary_table, covering_array
from honewheel.tasks.puzzle.boundary_table import ACCEPT, REJECT
from honewheel.testcases.cases import CHOICES, ORACLE
from honewheel.testcases.fields import Field
from honewheel.testcases.formats import ANSWERS, CASES, HEADER
from honewheel.testcases.problems import BOUNDARY, Asked

WORDS = ("", "ok", "wrong", "remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What was said of one answer: its correction, or None where it was accepted."""

    asked: Asked
    output: str
    by: str
    correction: str | None
    comment: str

    def row(self, task: str, source: str) -> dict[str, Any]:
        """A feedback row. What the oracle wrote is shown to be right, not a model's answer."""
        row: dict[str, Any] = {"task": task, "prompt": self.asked.prompt, "source": source}
        if self.by == ORACLE:
            row["demonstration"] = self.correction or self.output
        else:
            row |= {"output": self.output, "version": self.by}
            row |= {"thumb": 1} if self.correction is None else {"correction": self.correction}
        return row | ({"comment": self.comment} if self.comment else {})


def read(folder: Path) -> tuple[Remark, ...]:
    """What the reviewed folder says, an answer a remark; none for answers nobody spoke of.

    Raises InputError naming the line that cannot be read, a case whose line is gone, or what the
    oracle finds wrong in a correction.
    """
    known = _answers(folder / ANSWERS)
    lines = _lines(folder / CASES)
    fields = {one["name"]: _field(one) for one in known["fields"]}
    cases = {one["case"]: one for one in known["cases"]}
    _require_whole(lines, cases)
    remarks = []
    for one in known["answers"]:
        subject = one["subject"] or CHOICES
        mine = [line for line in lines if line["subject"] == subject]
        asked = Asked(kind=one["kind"], subject=one["subject"], prompt=one["prompt"])
        if not any(_spoken(line, cases) for line in mine):
            continue
        changed = any(_changed(line, cases) for line in mine)
        if not changed and not all(line["review"] == "ok" for line in mine):
            continue
        correction = _correction(asked, mine, fields) if changed else None
        comment = "; ".join(line["comment"] for line in mine if line["comment"])
        remarks.append(
            Remark(
                asked=asked,
                output=one["output"],
                by=known["by"],
                correction=correction,
                comment=comment,
            )
        )
    return tuple(remarks)


def _spoken(line: Mapping[str, str], cases: Mapping[str, Any]) -> bool:
    return bool(line["review"]) or _changed(line, cases)


def _changed(line: Mapping[str, str], cases: Mapping[str, Any]) -> bool:
    if line["review"] in ("wrong", "remove") or not line["case"]:
        return True
    was = cases[line["case"]]
    return (line["value"], line["expected"]) != (was["value"], was["expected"])


def _correction(
    asked: Asked, lines: Sequence[Mapping[str, str]], fields: Mapping[str, Field]
) -> str:
    """The artifact that the reviewed lines spell. Raises InputError when the oracle refuses it."""
    kept = [line for line in lines if line["review"] != "remove"]
    if asked.kind == BOUNDARY:
        rows = [_tested(line, fields[asked.subject]) for line in kept]
        rows.sort(key=lambda row: (row[0] is None, row[0] or 0))
        written = boundary_table.write(list(dict.fromkeys(rows)))
    else:
        choices = [one for one in fields.values() if not one.ranged]
        kept = [line for line in kept if line["review"] != "wrong"]
        written = covering_array.write(
            list(dict.fromkeys(_combined(line, choices) for line in kept))
        )
    check = base.task(asked.kind).check(written, with_prompt(asked.prompt, {}))
    if not check.valid:
        error = next(one for one in check.findings if one.severity == "error")
        raise InputError(
            f"{asked.subject or CHOICES}: as reviewed, {error.message} (in units of the "
            "requirement). Nothing was recorded."
        )
    return written


def _tested(line: Mapping[str, str], field: Field) -> tuple[int | None, str]:
    expected = line["expected"]
    if line["review"] == "wrong":
        expected = REJECT if expected == ACCEPT else ACCEPT
    if expected not in (ACCEPT, REJECT):
        raise InputError(f"{_named(line)} expects {expected!r}, which is not accept or reject.")
    try:
        unit = field.unit(line["value"])
    except ValueError as error:
        raise InputError(f"{_named(line)}: {error}.") from error
    if unit is not None and unit < 0:
        raise InputError(f"{_named(line)}: {line['value']} is further below than a table goes.")
    return unit, expected


def _combined(line: Mapping[str, str], choices: Sequence[Field]) -> tuple[int, ...]:
    if line["expected"] not in ("", ACCEPT):
        raise InputError(f"{_named(line)}: a combination is accepted, or removed.")
    told = dict(part.strip().partition("=")[::2] for part in line["value"].split(";"))
    said = {name.strip(): value.strip() for name, value in told.items()}
    if set(said) != {one.name for one in choices}:
        names = ", ".join(one.name for one in choices)
        raise InputError(f"{_named(line)}: a combination names each of {names} once.")
    for one in choices:
        if said[one.name] not in one.values:
            raise InputError(f"{_named(line)}: {one.name} has no value {said[one.name]!r}.")
    return tuple(one.values.index(said[one.name]) for one in choices)


def _require_whole(lines: Sequence[Mapping[str, str]], cases: Mapping[str, Any]) -> None:
    subjects = {one["subject"] for one in cases.values()}
    for line in lines:
        if line["case"] and line["case"] not in cases:
            raise InputError(f"{_named(line)} is no case of this folder; leave a new one's empty.")
        if line["subject"] not in subjects:
            raise InputError(f"{_named(line)}: there is no subject {line['subject']!r}.")
        if line["review"] not in WORDS:
            raise InputError(
                f"{_named(line)}: the review is {line['review']!r}; it is ok, wrong, remove or "
                "nothing."
            )
    there = [line["case"] for line in lines if line["case"]]
    for name in cases:
        if there.count(name) != 1:
            raise InputError(
                f"{CASES} holds case {name} {there.count(name)} times. To leave a case out, write "
                "remove into its review."
            )


def _lines(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sheet = csv.DictReader(file)
            found = [{key: (row.get(key) or "").strip() for key in HEADER} for row in sheet]
            header = sheet.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    missing = [key for key in HEADER if key not in header]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; it has {', '.join(header)}.")
    return [
        line | {"line": str(number), "review": line["review"].lower()}
        for number, line in enumerate(found, start=2)
        if any(line.values())
    ]


def _answers(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {error}. A review is read from the folder that honewheel "
            "testcases make has written."
        ) from error


def _field(data: Mapping[str, Any]) -> Field:
    numbers = {key: Decimal(data[key]) for key in ("low", "high", "step")}
    return Field(
        name=data["name"],
        type=data["type"],
        required=data["required"],
        values=tuple(data["values"]),
        **numbers,
    )


def _named(line: Mapping[str, str]) -> str:
    return f"{CASES} line {line['line']}"
