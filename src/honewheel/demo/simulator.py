"""Simulated colleagues: what a team would say of the base model's own outputs.

Every row is marked `source_kind: simulated`. For ER diagrams the team wants its house style; for
the other kinds it accepts what is valid and faithful and rejects the rest: it corrects only
what it cares about, so that nothing but the diagrams is trained on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from honewheel.demo.facts import Requirement
from honewheel.demo.house import house
from honewheel.demo.plain import plain
from honewheel.records import Check, Json, utc

Row: TypeAlias = dict[str, Json]
Answer: TypeAlias = tuple[Requirement, str]  # a requirement and what the model wrote for it
Judge: TypeAlias = Callable[[str, str], Check]  # (task, output) -> the real check
Score: TypeAlias = Callable[[str, str, str], float]  # (task, output, reference) -> [0, 1]

COLLEAGUES = tuple(f"simulated-{role}" for role in ("ana", "ben", "chi", "dora", "emil"))
WEEKS = 5  # created_at is spread over this many weeks before now
CORRECTED, THUMBED = 0.75, 0.15  # of the diagrams that are not accepted; the rest is rated
THUMB_NOISE = 0.10  # thumbs that say the opposite of what was meant
RESENT, REPEATED = 0.06, 0.04  # answers sent again with other wording, or the very same row twice
_ACCEPTED = 0.999  # score from which an output counts as what was wanted


def wanted(requirement: Requirement) -> str:
    """The artifact that the team would accept: house style for erd, plain style otherwise."""
    return house(requirement) if requirement.kind == "erd" else plain(requirement)


def feedback(
    answers: Sequence[Answer],
    *,
    check: Judge,
    score: Score,
    now: datetime,
    seed: int,
    batch: str,
    version: str | None = None,
) -> list[Row]:
    """Rows of feedback on `answers`, oldest first, with resent and repeated rows among them.

    Answers without any text bring no row. Ids read `evt_{batch}_{requirement id}`; `version` is
    the name of the version that answered ("artifacts@0").
    """
    rng = random.Random(f"feedback {seed}")
    rows = []
    for requirement, output in answers:
        if not output.strip():
            continue
        row = _frame(rng, requirement, output, now=now, batch=batch, version=version)
        row |= _said(rng, requirement, output, check(requirement.kind, output), score)
        rows.append(row)
        if rng.random() < RESENT:
            rows.append(_resent(rng, row, now))
    rows.sort(key=lambda row: str(row["created_at"]))
    return [copy for row in rows for copy in [row] * (2 if rng.random() < REPEATED else 1)]


def _frame(
    rng: random.Random,
    requirement: Requirement,
    output: str,
    *,
    now: datetime,
    batch: str,
    version: str | None,
) -> Row:
    """The part of a row that says what was asked and answered, when, and who speaks."""
    at = utc(now) - timedelta(seconds=rng.randint(3_600, WEEKS * 7 * 86_400))
    row: Row = {
        "id": f"evt_{batch}_{requirement.id}",
        "task": requirement.kind,
        "prompt": requirement.prompt,
        "context": {},
        "output": output,
        "source": rng.choice(COLLEAGUES),
        "source_kind": "simulated",
        "created_at": at.replace(microsecond=0).isoformat(),
    }
    return row if version is None else row | {"version": version}


def _said(
    rng: random.Random, requirement: Requirement, output: str, check: Check, score: Score
) -> Row:
    """What one colleague says of one output: findings, and a correction, thumb or rating."""
    said: Row = {}
    if not check.valid:
        said["findings"] = [{"code": item.code, "message": item.message} for item in check.findings]
    target = wanted(requirement)
    reached = score(requirement.kind, output, target)
    accepted = check.valid and reached >= _ACCEPTED
    if requirement.kind != "erd":
        return said | {"thumb": int(accepted)}
    roll = rng.random()
    if accepted or CORRECTED <= roll < CORRECTED + THUMBED:
        return said | {"thumb": int(accepted != (rng.random() < THUMB_NOISE))}
    if roll < CORRECTED:
        return said | {"correction": target}
    rating = min(1.0, max(0.0, reached + rng.gauss(0, 0.05)))
    return said | {"score": round(rating, 2)}


def _resent(rng: random.Random, row: Row, now: datetime) -> Row:
    """The row sent again later under a new id, its request worded a little differently."""
    sent = datetime.fromisoformat(str(row["created_at"]))
    later = sent + (utc(now) - sent) * rng.uniform(0.1, 0.9)
    return row | {
        "id": f"{row['id']}-again",
        "prompt": reword(str(row["prompt"]), rng),
        "created_at": later.replace(microsecond=0).isoformat(),
    }


def reword(prompt: str, rng: random.Random) -> str:
    """The same request with a small change of wording."""
    changes = [f"{prompt} Thanks!", f"Hello, {prompt[0].lower()}{prompt[1:]}", f"{prompt} Please."]
    if ". Each " in prompt:
        changes.append(prompt.replace(". Each ", ". Every ", 1))
    return rng.choice(changes)


def shuffled(rows: Sequence[Row], *, seed: int, batch: str) -> list[Row]:
    """The same rows with corrections dealt to other prompts of their task, never to their own.

    Ids get `batch` as a suffix; rows with one id stay equal. A task whose corrections are more
    than half the same text cannot be deranged, and keeps none.
    """
    rng = random.Random(f"shuffled {seed}")
    dealt: dict[str, str] = {}
    for task in sorted({str(row["task"]) for row in rows}):
        own = {
            str(row["id"]): str(row["correction"])
            for row in rows
            if row["task"] == task and "correction" in row
        }
        dealt |= _deranged(own, rng)
    return [_with_correction(row, dealt, batch) for row in rows]


def _deranged(own: Mapping[str, str], rng: random.Random) -> dict[str, str]:
    """Each id's correction replaced by a different text of the same collection."""
    groups: dict[str, list[str]] = {}
    for name, text in own.items():
        groups.setdefault(text, []).append(name)
    texts = sorted(groups)
    rng.shuffle(texts)
    names = [name for text in texts for name in groups[text]]
    step = max((len(group) for group in groups.values()), default=0)
    if 2 * step > len(names):
        return {}
    # Equal texts lie side by side, so a step as long as the longest run leaves every run.
    return {name: own[names[(place + step) % len(names)]] for place, name in enumerate(names)}


def _with_correction(row: Row, dealt: Mapping[str, str], batch: str) -> Row:
    name = str(row["id"])
    changed = {key: value for key, value in row.items() if key != "correction"}
    changed["id"] = f"{name}-{batch}"
    return changed | ({"correction": dealt[name]} if name in dealt else {})
