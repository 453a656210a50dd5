"""Both scans over the rows of a build, and what becomes of the rows they flag."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from honewheel.curate import flags, generic, phrases, poison
from honewheel.curate.flags import Flag
from honewheel.curate.rows import Row
from honewheel.records import Dropped

VERSION = f"1.{flags.VERSION}.{phrases.VERSION}.{poison.VERSION}.{generic.VERSION}"

Mode: TypeAlias = Literal["off", "flag", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """Rows that go on, rows that do not, and every flag, held or not."""

    rows: list[Row]
    dropped: list[Dropped]
    flags: tuple[Flag, ...]


def screen(
    rows: Sequence[Row],
    *,
    poison_mode: Mode = "flag",
    generic_mode: Mode = "flag",
    released: Container[str] = (),
    rejected: Container[str] = (),
) -> Screened:
    """Scan the new rows; "flag" only tells, "hold" leaves flagged rows out until released.

    `released` and `rejected` are the ids of events on which a person or the watch has ruled: a
    released row is never flagged and speaks for others like it, a rejected one does not train. Rows
    that are not new are above suspicion: somebody accepted them as they were.
    """
    refused = [row for row in rows if row.event in rejected]
    open_rows = [row for row in rows if row.event not in rejected]
    suspects = [row for row in open_rows if _suspect(row, released)]
    known = [row for row in open_rows if not _suspect(row, released)]
    planted = poison.scan(suspects, history=known) if poison_mode != "off" else ()
    empty = generic.scan(suspects) if generic_mode != "off" else ()
    holding = [
        *(planted if poison_mode == "hold" else ()),
        *(empty if generic_mode == "hold" else ()),
    ]
    kept, held = flags.hold(open_rows, holding, released)
    gone = [row.drop(flags.REJECTED, "see: honewheel quarantine list") for row in refused]
    return Screened(rows=kept, dropped=[*gone, *held], flags=(*planted, *empty))


def _suspect(row: Row, released: Container[str]) -> bool:
    return row.example.role == "new" and row.event not in released
