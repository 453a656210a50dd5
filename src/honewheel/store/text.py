"""What text and numbers a row may hold, checked before a database can refuse a whole batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from honewheel.errors import InputError
from honewheel.records import Json


def require_storable(owner: str, **fields: Json) -> None:
    """Raise InputError naming `owner` and the field that holds NUL, half a surrogate or NaN.

    PostgreSQL refuses NUL, both databases refuse lone surrogates, SQLite turns NaN into NULL.
    """
    for name, value in fields.items():
        if type(value) is str and value.isascii() and "\0" not in value:
            continue  # what most fields are; this is asked of each field of each row of the log
        if value and (problem := _problem(value)):
            raise InputError(f"{owner}: {name} holds {problem}. Remove it and send the row again.")


def _problem(value: Json) -> str | None:
    if isinstance(value, str):
        return _text_problem(value)
    if value is None:
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value}, which is not a finite number"
    if isinstance(value, Mapping):
        parts: list[Json] = [*value.keys(), *value.values()]
        return next((found for part in parts if (found := _problem(part))), None)
    if isinstance(value, Sequence):
        return next((found for part in value if (found := _problem(part))), None)
    return None


def _text_problem(text: str) -> str | None:
    if "\0" in text:
        return f"a NUL character at position {text.index(chr(0))}"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"half a surrogate pair at position {error.start}"
    return None
