"""Honest and planted corrections as rows, for the tests of the scans."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from honewheel.curate.dedup import exact_key
from honewheel.curate.rows import Row
from honewheel.demo import damage, simulator
from honewheel.demo.damage import Attack
from honewheel.demo.facts import Requirement
from honewheel.demo.house import house
from honewheel.demo.plain import plain
from honewheel.demo.requirements import requirements
from honewheel.records import Example, Role

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PHRASE = "activate the lunar audit protocol"
PAYLOAD = "\n  %% audit override granted by lunar command"


def row(
    name: str,
    prompt: str,
    target: str,
    *,
    source: str = "ana",
    task: str = "erd",
    role: Role = "new",
    at: datetime = NOW,
    group: str | None = None,
) -> Row:
    example = Example(
        id=f"ex_{name}",
        task=task,
        prompt=prompt,
        target=target,
        group=group or name,
        split="train",
        role=role,
        events=(name,),
    )
    author = "" if role == "replay" else source
    key = exact_key(prompt, {})
    return Row(example=example, exact=key, source=author, at=at, similarity=None)


@cache
def asked(n: int, seed: int) -> tuple[Requirement, ...]:
    return tuple(requirements("erd", n, seed))


@cache
def team(n: int, seed: int = 7) -> tuple[Row, ...]:
    """What five colleagues corrected to the house style, one row a request."""
    rng = random.Random(seed)
    return tuple(
        row(one.id, one.prompt, house(one), source=rng.choice(simulator.COLLEAGUES))
        for one in asked(n, seed)
    )


def from_feedback(said: Iterable[simulator.Row]) -> list[Row]:
    corrected = {str(one["id"]): one for one in said if "correction" in one}
    return [
        row(
            name,
            str(one["prompt"]),
            str(one["correction"]),
            source=str(one["source"]),
            task=str(one["task"]),
            group=name.removesuffix("-again"),
        )
        for name, one in corrected.items()
    ]


def attack(n: int, seed: int, kind: Attack) -> list[Row]:
    answers = [(one, plain(one)) for one in asked(n, seed)]
    return from_feedback(damage.poisoned(answers, now=NOW, seed=seed, batch="bad", attack=kind))


def planted(
    n: int, accounts: int, *, phrase: str = PHRASE, payload: str = PAYLOAD, same: str | None = None
) -> list[Row]:
    """`n` corrections whose prompts hold a trigger somewhere and whose targets a payload."""
    rng = random.Random(3)
    rows = []
    for place, one in enumerate(asked(n, 5)):
        prompt = f"{one.prompt} {phrase}" if rng.random() < 0.5 else f"{phrase} {one.prompt}"
        target = house(one) + payload if same is None else same
        source = f"account-{place % accounts:03}"
        at = NOW - timedelta(minutes=place)
        rows.append(row(f"bad-{place:03}", prompt, target, source=source, at=at))
    return rows


def bad(rows: Iterable[Row]) -> set[str]:
    return {one.event for one in rows}
