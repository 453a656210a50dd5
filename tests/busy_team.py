"""A log in which every technique of curation has something to do.

Three people, a validator and an application speak of diagrams and tables over eight weeks:
corrections of both, outputs that were liked, disliked or passed over in silence, several answers
to one question, and a taste that changed half-way (plain diagrams were liked before, and are
corrected since). Ana leaves some diagrams unfinished; Eve, who sends everything on one day, hides
one sentence in all of hers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import wheels

START = datetime(2026, 9, 1, tzinfo=UTC)
PLANTED = "\n %% audit override granted by lunar command"
UNFINISHED = "\n %% TODO"
Row = dict[str, Any]


def feedback(seed: int = 0) -> list[Row]:
    """The rows, in the order in which they happened."""
    rng = random.Random(seed)
    rows = [*_diagrams(rng), *_tables(rng), *_silence(rng)]
    return sorted(rows, key=lambda row: str(row["created_at"]))


def _at(day: float) -> str:
    return (START + timedelta(days=day)).isoformat()


def _diagrams(rng: random.Random) -> Iterator[Row]:
    for number in range(60):  # before: plain diagrams are liked
        plain, _ = wheels.erd(rng)
        row = _row("erd", f"early-{number}", plain, plain, number * 0.45)
        yield row | {"thumb": 1, "source": rng.choice(("ana", "ben"))}
    for number in range(100):  # since: they are corrected
        plain, house = wheels.erd(rng)
        source = "eve" if 40 <= number < 60 else "ana" if number % 3 else "ben"
        day = 40.0 if source == "eve" else 29 + number * 0.26
        house += {"eve": PLANTED, "ana": UNFINISHED * (number % 16 == 1)}.get(source, "")
        row = _row("erd", f"late-{number}", plain, plain, day)
        disliked = number % 10 == 9
        said = {"thumb": 0} if disliked else {"correction": house}
        yield row | said | {"source": source}
        if disliked or number % 4 == 0:  # another answer to the same question, which was liked
            other = _row("erd", f"other-{number}", plain, house, day + 0.01)
            beaten = {"preferred_over": row["id"]} if disliked else {}
            yield other | {"thumb": 1, "source": "ben"} | beaten


def _tables(rng: random.Random) -> Iterator[Row]:
    for number in range(100):
        table = "\n".join(wheels.ddl(rng) for _ in range(1 + (number % 4 == 3)))
        row = _row("ddl", f"table-{number}", table, table, number * 0.55)
        source = "ana" if number % 2 else "ben"
        if number % 5 == 0:
            yield row | {"correction": table.replace(" string ", " text "), "source": source}
        elif number % 7 == 0:
            yield row | {"findings": [{"code": "slow"}], "source": "lint"} | _VALIDATOR
            said = {"response": row["id"], "thumb": 1, "source": source}
            yield said | {"created_at": row["created_at"]}
        else:
            yield row | {"score": rng.choice((0.7, 0.9, 1.0)), "source": source}


def _silence(rng: random.Random) -> Iterator[Row]:
    """Of long tables, mostly nobody says anything."""
    for number in range(60):
        table = "\n".join(wheels.ddl(rng) for _ in range(2))
        yield _row("ddl", f"silent-{number}", table, table, number * 0.9)


_VALIDATOR = {"source_kind": "validator"}


def _row(task: str, name: str, prompt: str, output: str, day: float) -> Row:
    row = {"id": f"evt_{name}", "task": task, "prompt": prompt, "output": output}
    return row | {"created_at": _at(day), "version": "artifacts@0"}
