"""A long log for the curation benchmark: events as they come, written into SQLite directly.

Three teams ask for Mermaid ER diagrams of some 600 characters. One event in five asks again, with
one word changed, what was asked shortly before. 3 % are corrected, 85 % get a thumb up, 7 % a thumb
down, nobody speaks of the rest. Placements, signatures and bands are what intake would have
written, except that the group is known from the generator instead of being looked for.
"""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Table

from honewheel.curate import dedup, split
from honewheel.records import Response
from honewheel.store import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASKS = ("erd", "erd-billing", "erd-stock")
BATCH = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CHECK = '{"findings":[],"score":1.0}'
_WORDS = sorted(
    {f"{a}{b}" for a in ("bel", "cor", "dan", "fir", "gal", "hom", "jur", "kel", "lum", "mar")
     for b in ("ado", "ber", "cten", "dri", "elo", "fus", "gor", "hil", "ist", "jom", "kra",
               "len", "mio", "nor", "opal", "pen", "qua", "rond", "sel", "tur")}
)  # fmt: skip
_TYPES = ("string", "int", "date", "decimal", "boolean")


class Asked(NamedTuple):
    """One event before it is stored; `origin` is the number of the event it repeats."""

    number: int
    origin: int
    task: str
    prompt: str
    output: str

    @property
    def id(self) -> str:
        return f"evt_{self.number:08d}"


def project(folder: Path) -> None:
    """honewheel.toml of a project with the three tasks."""
    listed = ", ".join(f'"{task}"' for task in TASKS)
    sections = "".join(f'\n[tasks.{task}]\nkind = "mermaid-erd"\n' for task in TASKS)
    text = f'[models.artifacts]\nbase = "honewheel/tiny"\ntasks = [{listed}]\n{sections}'
    (folder / "honewheel.toml").write_text(text, encoding="utf-8")


def asked(number: int) -> Asked:
    """The event of this number, always the same."""
    own = random.Random(number)  # of the event; `rng` below is of what is asked
    origin = number
    if number % 5 == 4:
        origin = max(0, number - own.choice((1, 2, 3, 4, 6)))
        origin -= origin % 5 == 4
    rng = random.Random(-1 - origin)
    task = TASKS[origin % len(TASKS)]
    drawn = rng.sample(_WORDS, 24)
    names, verbs, fields = drawn[:4], drawn[4:8], [drawn[at : at + 4] for at in range(8, 24, 4)]
    words = (
        f"Please draw the entity relationship diagram of our {names[0]} and {names[1]} desk. "
        + " ".join(
            f"Each {name} keeps a {own_fields[0]}, a {own_fields[1]} and the {own_fields[2]}."
            for name, own_fields in zip(names, fields, strict=True)
        )
        + f" A {names[0]} {verbs[0]} many {names[2]}."
    ).split()
    if origin != number:
        words[own.randrange(len(words))] = own.choice(_WORDS)
    kinds = own.choices(_TYPES, k=4)
    blocks = [
        f"  {name} {{\n    int {name}_id PK\n"
        + "".join(
            f"    {kind} {field}_{name}\n" for kind, field in zip(kinds, own_fields, strict=True)
        )
        + "  }\n"
        for name, own_fields in zip(names, fields, strict=True)
    ]
    ends = "".join(
        f"  {one} ||--o{{ {other} : {verb}\n"
        for one, other, verb in zip(names, names[1:], verbs, strict=False)
    )
    return Asked(number, origin, task, " ".join(words), f"erDiagram\n{''.join(blocks)}{ends}")


def response(one: Asked) -> Response:
    """The event as an application would send it."""
    return Response(id=one.id, task=one.task, prompt=one.prompt, output=one.output, created_at=NOW)


def fill(path: Path, start: int, stop: int, *, corrected_from: int | None = None) -> None:
    """Write events `start` .. `stop` into a migrated SQLite store, as if taken in.

    Events from `corrected_from` on are all corrections.
    """
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        bands: list[np.ndarray[Any, Any]] = []
        totals = dict.fromkeys(TASKS, 0)
        for first in range(start, stop, BATCH):
            some = [asked(number) for number in range(first, min(first + BATCH, stop))]
            bands.append(_write(connection, some, stop, corrected_from))
            for one in some:
                totals[one.task] += 1
        _write_bands(connection, np.concatenate(bands))
        for task, count in totals.items():
            connection.execute(
                "INSERT INTO total VALUES ('events', ?, ?) "
                "ON CONFLICT DO UPDATE SET value = value + excluded.value",
                (task, count),
            )
        connection.execute("UPDATE counter SET value = ? WHERE name = 'log'", (2 * stop,))
    connection.close()


def _write(
    connection: sqlite3.Connection, some: list[Asked], stop: int, corrected_from: int | None
) -> np.ndarray[Any, Any]:
    """Rows of these events; returns their bands as (task's number, band, sequence number)."""
    signed = dedup.signatures([(one.prompt, {}) for one in some])
    keys = dedup.all_bands(signed)
    responses, remarks, places = [], [], []
    for one, signature in zip(some, signed, strict=True):
        seq = 2 * one.number + 1  # the feedback has the number after it
        at = (NOW - timedelta(days=700 * (1 - one.number / stop)) - EPOCH) // timedelta(
            microseconds=1
        )
        responses.append((seq, one.id, one.task, one.prompt, one.output, at, "{}", None, "{}"))
        if said := _said(one, corrected_from):
            remarks.append((seq + 1, f"fb_{one.number:08d}", one.id, *said[:3], at, *said[3:]))
        group = f"evt_{one.origin:08d}"
        exact = dedup.exact_key(one.prompt, {})
        part = split.assign(group, one.task)
        twin = None if one.origin == one.number else group
        likeness = None if twin is None else 0.85
        places.append((seq, one.id, one.task, group, part, exact, "mermaid-erd/1", _CHECK,
                       twin, likeness, None, signature))  # fmt: skip
    for table, rows in (
        (tables.response, responses), (tables.feedback, remarks), (tables.placement, places)
    ):  # fmt: skip
        connection.executemany(_insert(table), rows)
    connection.commit()
    found = np.zeros(len(some) * dedup.BANDS, dtype=[("task", "u1"), ("band", "i8"), ("seq", "i8")])
    found["band"] = np.array(keys, dtype=np.int64).ravel()
    found["task"] = np.repeat([TASKS.index(one.task) for one in some], dedup.BANDS)
    found["seq"] = np.repeat([2 * one.number + 1 for one in some], dedup.BANDS)
    return found


def _said(one: Asked, corrected_from: int | None) -> tuple[Any, ...] | None:
    """(kind, source, kind of source, value, text) of the feedback, if there is any."""
    rng = random.Random(~one.number << 32)
    source = f"user-{rng.randrange(40):02d}"
    drawn = rng.random()
    if drawn < 0.03 or (corrected_from is not None and one.number >= corrected_from):
        fixed = one.output.replace("    int ", "    bigint ", 1 + rng.randrange(3))
        return "correction", source, "person", None, fixed
    if drawn < 0.95:
        return "thumb", source, "person", float(drawn < 0.88), None
    return None


def _write_bands(connection: sqlite3.Connection, found: np.ndarray[Any, Any]) -> None:
    """In the order of the index: written as they come, each row would touch a page of its own."""
    found = found[np.lexsort((found["seq"], found["band"], found["task"]))]
    for start in range(0, len(found), 200_000):
        some = found[start : start + 200_000]
        rows = zip(
            map(TASKS.__getitem__, some["task"].tolist()), some["band"].tolist(),
            some["seq"].tolist(), strict=True,
        )  # fmt: skip
        connection.executemany(f"{_insert(tables.band)} ON CONFLICT DO NOTHING", rows)
    connection.commit()


def _insert(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.c)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(table.c))})"
