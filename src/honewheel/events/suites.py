"""Frozen suites from JSONL: held-out prompts with the output a user would accept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from honewheel.errors import InputError
from honewheel.records import Item, Suite, SuiteRole, digest

Text = Annotated[str, Field(min_length=1, max_length=400_000, pattern=r"^[^\x00]*$")]


class SuiteRow(BaseModel):
    """One line of a suite file. `group` clusters items that belong together (one requirement)."""

    model_config = ConfigDict(extra="forbid")

    prompt: Text
    reference: Text
    id: str | None = None
    group: str | None = None
    context: dict[str, str] = Field(default_factory=dict)


def read(path: Path, *, task: str, name: str, role: SuiteRole) -> Suite:
    """The suite in a JSONL file. All or nothing: a frozen suite with a hole is no suite.

    Raises InputError naming the first bad row, a repeated id or prompt, or an empty file.
    """
    if name.startswith("panel-"):
        raise InputError(
            f"{name}: names beginning with panel- are the rolling panels'; give another."
        )
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    items = [
        _item(line, number, path.name, task, name)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not items:
        raise InputError(f"{path} holds no rows; a suite needs at least one.")
    _refuse_repeats(items, path.name)
    return Suite(name=name, task=task, role=role, items=tuple(items))


def _item(line: str, number: int, file: str, task: str, suite: str) -> Item:
    try:
        row = SuiteRow.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{file} row {number}: {where}: {first['msg']}. The suite was not imported."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{file} row {number} is not valid JSON: {error}. The suite was not imported."
        ) from error
    identity = row.id or digest([row.prompt, row.context])[:16]
    return Item(
        id=f"{suite}/{identity}",
        task=task,
        prompt=row.prompt,
        reference=row.reference,
        group=row.group or f"{suite}/{identity}",
        context=row.context,
    )


def _refuse_repeats(items: list[Item], file: str) -> None:
    ids: dict[str, int] = {}
    for number, item in enumerate(items, start=1):
        if item.id in ids:
            raise InputError(
                f"{file} rows {ids[item.id]} and {number} are the same item ({item.id}). "
                "The suite was not imported."
            )
        ids[item.id] = number
