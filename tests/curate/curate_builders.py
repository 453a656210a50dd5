"""Small records for the tests of the curate room."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from honewheel.curate import dedup
from honewheel.records import (
    Check,
    Event,
    Example,
    Feedback,
    Finding,
    Item,
    Placement,
    Response,
    Split,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FINE = Check(score=1.0)
BROKEN = Check(score=0.0, findings=(Finding(code="syntax", message="unexpected end"),))

NOUNS = (
    "customer order invoice patient ward nurse truck route driver guest room hotel policy "
    "claim ticket agent course lesson student grade member book shelf author player coach "
    "league team field crop tractor meter tariff household sensor alarm train platform seat "
    "bus stop refund"
).split()
TRAITS = (
    "name email phone status total price stock amount rating title address city country floor "
    "weight height width color brand serial plate balance currency rate term score level body"
).split()


def requirement(seed: int) -> str:
    """A request from one template, as a user would fill it in."""
    rng = random.Random(seed)
    parts = rng.sample(NOUNS, rng.choice((2, 3, 4)))
    lines = ["please draft an er diagram for the following requirements."]
    for part in parts:
        traits = rng.sample(TRAITS, rng.randint(2, 4))
        lines.append(f"a {part} has {', '.join(traits[:-1])} and {traits[-1]}.")
    lines += [f"a {parts[0]} has many {part}s." for part in parts[1:]]
    return " ".join(lines)


def check_target(task: str, text: str, context: Mapping[str, str]) -> Check:
    return BROKEN if "BROKEN" in text else FINE


def said(kind: str, value: float | None = None, **more: object) -> Feedback:
    """Feedback of one kind; source ana, told at NOW unless given."""
    fields: dict[str, object] = {
        "id": f"fb_{kind}_{value}_{more.get('source', 'ana')}_{more.get('text', '')}",
        "response_id": "evt",
        "kind": kind,
        "source": "ana",
        "created_at": NOW,
        "value": value,
        **more,
    }
    return Feedback(**fields)  # type: ignore[arg-type]


def event(
    number: int,
    *,
    prompt: str | None = None,
    output: str | None = None,
    correction: str | None = None,
    source: str = "ana",
    task: str = "erd",
    split: Split = "train",
    group: str | None = None,
    age_days: float = 0.0,
    feedback: tuple[Feedback, ...] = (),
    context: Mapping[str, str] | None = None,
    check: Check = FINE,
    placed: bool = True,
    quarantined: str | None = None,
    similarity: float | None = None,
) -> Event:
    """An event as intake leaves it: judged, grouped (by itself unless told) and split."""
    name = f"evt_{number:05d}"
    at = NOW - timedelta(days=age_days)
    prompt = requirement(number) if prompt is None else prompt
    about = dict(context or {})
    if correction is not None:
        feedback = (*feedback, said("correction", text=correction, source=source, created_at=at))
    place = Placement(
        response_id=name,
        task=task,
        group=group or f"g-{number}",
        split=split,
        exact=dedup.exact_key(prompt, about),
        judge="test/1",
        check=check,
        twin=None,
        similarity=similarity,
        quarantined=quarantined,
    )
    return Event(
        seq=number,
        response=Response(
            id=name,
            task=task,
            prompt=prompt,
            output=f"output {number}" if output is None else output,
            created_at=at,
            context=about,
        ),
        feedback=feedback,
        placement=place if placed else None,
    )


def corrected(number: int, **more: object) -> Event:
    """An event whose output was corrected to a target of its own."""
    more.setdefault("correction", f"target {number}")
    return event(number, **more)  # type: ignore[arg-type]


def accepted(number: int, **more: object) -> Event:
    """An event whose output got a thumb up and no correction."""
    return event(number, feedback=(said("thumb", 1.0),), **more)  # type: ignore[arg-type]


def example(number: int, **more: object) -> Example:
    fields: dict[str, object] = {
        "id": f"ex_{number}",
        "task": "erd",
        "prompt": requirement(number),
        "target": f"target {number}",
        "group": f"g-{number}",
        "split": "train",
        "events": (f"evt_{number}",),
        **more,
    }
    return Example(**fields)  # type: ignore[arg-type]


def item(number: int, **more: object) -> Item:
    fields: dict[str, object] = {
        "id": f"item_{number}",
        "task": "erd",
        "prompt": requirement(number),
        "reference": f"target {number}",
        "group": f"h-{number}",
        **more,
    }
    return Item(**fields)  # type: ignore[arg-type]
