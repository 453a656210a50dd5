"""Texts to be indexed, read one by one: a corpus need not fit into memory.

A `.jsonl` file holds objects with `text` and, if there is one, `id`; any other file a text a line.
Without an id a text is called by its line number. Empty lines are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from honewheel.errors import InputError


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    text: str


def read(path: Path) -> Iterator[Row]:
    """The texts of a file, in order. Raises InputError naming the line."""
    parse = _json if path.suffix == ".jsonl" else _plain
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield parse(line, number, path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error.reason} at byte {error.start}.") from error


def _plain(line: str, number: int, _: Path) -> Row:
    return Row(str(number), line.strip())


def _json(line: str, number: int, path: Path) -> Row:
    where = f"{path}, line {number}"
    try:
        found: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON: {error}") from error
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f'{where}: an object with a "text" that is not empty is expected')
    name = found.get("id", number)
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise InputError(f'{where}: "id" is {name!r:.40}; text or a whole number is expected')
    return Row(str(name), text)
