"""Writes feedback.jsonl, suite-erd.jsonl and suite-ddl.jsonl; the same bytes on every run.

    python examples/first-project/make.py

The team of this example has UUIDs for keys, uses the types of PostgreSQL and wants to know when a
row was made. The requests come from the demo's generator; the people are
invented, so the rows say `"source_kind": "simulated"`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from honewheel.demo.facts import Entity, Requirement
from honewheel.demo.plain import CARDINALITY_MARKS, plain
from honewheel.demo.requirements import HELD_OUT_SEED, requirements

HERE = Path(__file__).parent
SEED = 4
FIRST_DAY = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DIAGRAMS, TABLES = 190, 90  # requests with feedback
HELD_OUT = 120  # requests of each suite
TYPES = {"string": "text", "int": "integer", "decimal": "numeric", "date": "date"}
PEOPLE = ("ana", "ben", "chi")


def team_style(requirement: Requirement) -> str:
    """The diagram as this team draws it."""
    lines = ["erDiagram"]
    for entity in requirement.entities:
        columns = _columns(entity, requirement.parents(entity))
        lines += [f"  {entity.name} {{", *(f"    {column}" for column in columns), "  }"]
    for link in requirement.relations:
        mark = CARDINALITY_MARKS[link.cardinality]
        lines.append(f"  {link.parent} {mark} {link.child} : {link.verb.third}")
    return "\n".join(lines)


def _columns(entity: Entity, parents: tuple[str, ...]) -> Iterator[str]:
    yield "uuid id PK"
    for parent in parents:
        yield f"uuid {parent}_id FK"
    for item in entity.attributes:
        yield f"{TYPES[item.value]} {item.name}"
    yield "timestamptz created_at"


def feedback() -> Iterator[dict[str, Any]]:
    """Diagrams that somebody redrew, and tables that somebody found good as they were."""
    rng = random.Random(SEED)
    asked = [*requirements("erd", DIAGRAMS, SEED), *requirements("ddl", TABLES, SEED)]
    for number, one in enumerate(asked):
        when = FIRST_DAY + timedelta(hours=7 * number)
        row: dict[str, Any] = {
            "id": f"evt_first_{one.id}",
            "task": one.kind,
            "prompt": one.prompt,
            "output": plain(one),
            "source": rng.choice(PEOPLE),
            "source_kind": "simulated",
            "created_at": when.isoformat(),
        }
        yield row | ({"correction": team_style(one)} if one.kind == "erd" else {"thumb": 1})


def suite(kind: str) -> Iterator[dict[str, Any]]:
    """Held-out requests with the artifact the team would accept."""
    for one in requirements("erd" if kind == "erd" else "ddl", HELD_OUT, HELD_OUT_SEED + SEED):
        reference = team_style(one) if kind == "erd" else plain(one)
        yield {"id": one.id, "prompt": one.prompt, "reference": reference}


def write(folder: Path) -> None:
    for name, rows in (
        ("feedback.jsonl", feedback()),
        ("suite-erd.jsonl", suite("erd")),
        ("suite-ddl.jsonl", suite("ddl")),
    ):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    write(HERE)
