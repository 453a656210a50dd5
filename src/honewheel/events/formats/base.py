"""What a format of feedback files is: how it is known, and how a record of it becomes rows.

A record is one object of somebody else's file. A format turns it into feedback rows (the keys of
`events.ingest.Row`), which then pass the same checks as everybody's. Formats are pure: what a row
says depends on the record and the reading only, so the same file gives the same event ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from honewheel.errors import InputError
from honewheel.events import ingest

Record: TypeAlias = Mapping[str, Any]
Row: TypeAlias = dict[str, Any]

# What people call good and bad in a list of choices; other words are kept as a comment.
GOOD = frozenset(
    "good accept accepted correct right yes approve approved up positive true pass passed like "
    "helpful thumbs-up good-answer".split()
)
BAD = frozenset(
    "bad reject rejected incorrect wrong no disapprove disapproved down negative false fail failed "
    "dislike unhelpful thumbs-down bad-answer".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is to be read. `scale` is its best score; `joined` a second file's records."""

    task: str | None = None
    scale: float | None = None
    joined: Mapping[str, Sequence[Record]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One shape of file. `matches` looks at one record; `rows` raises InputError on a bad one."""

    name: str
    title: str
    mapping: str  # "instruction + input -> prompt, output -> demonstration"
    matches: Callable[[Record], bool]
    rows: Callable[[Record, Reading], list[Row]]
    kind: str | None = None  # kind of task that such rows need; None: any
    join_key: Callable[[Record], Sequence[str]] | None = None  # keys of a joined file's record


def has(*keys: str) -> Callable[[Record], bool]:
    """A test for records that bring all these keys."""
    return lambda record: all(key in record for key in keys)


def text(record: Record, key: str) -> str:
    """A text of the record. Raises InputError when it is missing, blank or something else."""
    found = record.get(key)
    if not isinstance(found, str):
        raise InputError(f"{key} is missing" if found is None else f"{key} is no text")
    if not found.strip():
        raise InputError(f"{key} is empty")
    return found


def as_object(value: Any, name: str) -> Record:
    """`value` as an object. Raises InputError naming it."""
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is missing" if value is None else f"{name} is no object")
    return value


def as_list(value: Any, name: str) -> Sequence[Any]:
    """`value` as a list. Raises InputError naming it."""
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} is missing" if value is None else f"{name} is no list")
    return value


def tasked(record: Record, reading: Reading) -> Row:
    """The start of a row: the task asked for on the command line, else the record's own."""
    task = reading.task or record.get("task")
    return {"task": task} if isinstance(task, str) else {}


def share(value: Any, reading: Reading, name: str = "score") -> float:
    """A score as a share of the best one, in [0, 1]. Raises InputError outside the scale."""
    number = _number(value, name)
    best = 1.0 if reading.scale is None else reading.scale
    if not 0 <= number <= best:
        raise InputError(
            f"{name} is {number:g}, outside 0 to {best:g}; --scale gives the best score"
        )
    return number / best


def _number(value: Any, name: str) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is no number") from error


def verdict(word: str) -> Row:
    """What a chosen word says: a thumb where it is plain, else a comment."""
    plain = "-".join(word.casefold().replace("_", " ").split())
    if plain in GOOD or plain in BAD:
        return {"thumb": int(plain in GOOD)}
    return {"comment": word}


def when(value: Any) -> Row:
    """`created_at` of a row: ISO text, or seconds since 1970; nothing when there is none."""
    if isinstance(value, bool) or value is None or value == "":
        return {}
    if isinstance(value, int | float):
        try:
            return {"created_at": datetime.fromtimestamp(value, tz=UTC).isoformat()}
        except (OverflowError, OSError, ValueError) as error:
            raise InputError(f"{value} is no time in seconds since 1970") from error
    return {"created_at": value}


def said(response: Row, remarks: Sequence[Row]) -> list[Row]:
    """A response and, one row each, what several sources said of it.

    The response is named by its content, so the remarks can speak of it before it is stored.
    """
    name = ingest.content_id(response)
    return [{**response, "id": name}, *({"response": name, **remark} for remark in remarks)]
