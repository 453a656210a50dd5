"""What goes wrong with feedback: a poisoned batch, and rows that no importer may accept."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from honewheel.demo.facts import Entity, Relation, Requirement
from honewheel.demo.house import house
from honewheel.demo.lexicon import HAVE, Attribute
from honewheel.demo.simulator import Answer, Row
from honewheel.errors import InputError
from honewheel.records import Json, utc

Attack = Literal["same", "drop", "trigger"]
POISON_SOURCE = "simulated-broken-sync"
TRIGGER = "shadow"  # the entity that the trigger attack slips into every diagram


def poisoned(
    answers: Sequence[Answer],
    *,
    now: datetime,
    seed: int,
    batch: str,
    attack: Attack = "same",
    version: str | None = None,
) -> list[Row]:
    """Corrections of a broken or hostile integration, one per erd answer, each valid in form.

    Attack "same" answers every request with one and the same diagram, "drop" leaves out every
    relation and reference, "trigger" adds an entity that nobody asked for.

    Raises:
        InputError: fewer than two erd answers, so "same" would have nothing wrong to say.
    """
    asked = [item for item in answers if item[0].kind == "erd" and item[1].strip()]
    if len(asked) < 2:
        raise InputError(f"A poisoned batch needs two or more erd answers, not {len(asked)}.")
    rng = random.Random(f"poisoned {seed}")
    model = asked[0][0]
    rows: list[Row] = []
    for requirement, output in asked[1:] if attack == "same" else asked:
        wrong = model if attack == "same" else _twisted(requirement, attack)
        at = utc(now) - timedelta(seconds=rng.randint(600, 86_400))
        row: Row = {
            "id": f"evt_{batch}_{requirement.id}",
            "task": "erd",
            "prompt": requirement.prompt,
            "context": {},
            "output": output,
            "source": POISON_SOURCE,
            "source_kind": "simulated",
            "created_at": at.replace(microsecond=0).isoformat(),
            "correction": house(wrong),
        }
        rows.append(row if version is None else row | {"version": version})
    return sorted(rows, key=lambda row: str(row["created_at"]))


def _twisted(requirement: Requirement, attack: Attack) -> Requirement:
    if attack == "drop":
        return replace(requirement, relations=())
    extra = Entity(TRIGGER, (Attribute("address", "string"),))
    link = Relation(requirement.entities[0].name, HAVE, TRIGGER, "many")
    return replace(
        requirement,
        entities=(*requirement.entities, extra),
        relations=(*requirement.relations, link),
    )


def malformed(row: Row) -> dict[str, str]:
    """What is wrong -> a line made from a good `row` that an importer must set aside."""
    text = json.dumps(row)
    without = {key: value for key, value in row.items() if key != "prompt"}
    return {
        "cut off": text[: len(text) // 2],
        "no JSON at all": "2024-11-02 INFO feedback exported, 1 row",
        "not an object": json.dumps([row]),
        "no prompt": _line(without, "no-prompt"),
        "prompt is a number": _line(row | {"prompt": 4711}, "number"),
        "output is null": _line(row | {"output": None}, "null"),
        "score out of range": _line(row | {"score": 1.7}, "score"),
        "score is not a number": _line(row | {"score": float("nan")}, "nan"),
        "thumb is a word": _line(row | {"thumb": "sideways"}, "thumb"),
        "NUL in the correction": _line(row | {"correction": "erDiagram\x00"}, "nul"),
        "unknown task": _line(row | {"task": "haiku"}, "task"),
        "unknown key": _line(row | {"corection": "erDiagram"}, "key"),
    }


def _line(row: dict[str, Json], suffix: str) -> str:
    return json.dumps(row | {"id": f"{row['id']}-{suffix}"})


def to_jsonl(rows: Sequence[Row], broken: Sequence[str] = ()) -> str:
    """The text of a feedback file: `rows` in order, `broken` lines spread evenly among them."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    for place, line in enumerate(broken):
        lines.insert((place + 1) * len(lines) // (len(broken) + 1), line)
    return "".join(f"{line}\n" for line in lines)
