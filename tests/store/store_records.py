"""Small records to store, shared by the tests of this room."""

from __future__ import annotations

from datetime import UTC, datetime

from honewheel.records import (
    Check,
    Comparison,
    Dataset,
    Decision,
    Dropped,
    EvalRow,
    Example,
    Feedback,
    Finding,
    GuardResult,
    Item,
    Placement,
    Response,
    Suite,
    Version,
    as_dict,
    digest,
)

AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)


def response(name: str, **changes: object) -> Response:
    fields = {
        "id": f"evt_{name}",
        "task": "sql",
        "prompt": f"prompt {name}",
        "output": "SELECT 1",
        "created_at": AT,
        "context": {"schema": "CREATE TABLE t (a)"},
        "version": "artifacts@1",
        "decoding": {"temperature": 0.0, "stop": ["a", "b"]},
    }
    return Response(**fields | changes)


def feedback(name: str, of: str, **changes: object) -> Feedback:
    fields = {
        "id": f"fb_{name}",
        "response_id": f"evt_{of}",
        "kind": "correction",
        "source": "ana",
        "created_at": AT,
        "value": 0.25,
        "text": "SELECT 2",
    }
    return Feedback(**fields | changes)


def placement(name: str, **changes: object) -> Placement:
    fields = {
        "response_id": f"evt_{name}",
        "task": "sql",
        "group": f"g_{name}",
        "split": "train",
        "exact": f"hash {name}",
        "judge": "sql/1",
        "check": Check(score=0.5, findings=(Finding(code="E1", message="no table", line=3),)),
    }
    return Placement(**fields | changes)


def example(name: str, **changes: object) -> Example:
    fields = {
        "id": f"ex_{name}",
        "task": "sql",
        "prompt": f"prompt {name}",
        "target": "SELECT 'ü'",
        "group": f"g_{name}",
        "split": "train",
        "context": {"schema": "t(a)", "notes": ""},
        "value": 0.1 + 0.2,
        "weight": 1 / 3,
        "events": (f"evt_{name}",),
    }
    return Example(**fields | changes)


def dataset(*train: Example, val: tuple[Example, ...] = (), dropped: int = 0) -> Dataset:
    return Dataset(
        hash=digest([as_dict(row) for row in [*train, *val]]),
        train=train,
        val=val,
        dropped=tuple(
            Dropped(event=f"evt_d{number}", reason="duplicate", detail=f"of {number}")
            for number in range(dropped)
        ),
    )


def version(number: int, **changes: object) -> Version:
    fields = {
        "model": "artifacts",
        "number": number,
        "base": "honewheel/tiny",
        "base_hash": "b" * 64,
        "created_at": AT,
        "parent": 0,
    }
    return Version(**fields | changes)


def eval_row(number: int, item: str, **changes: object) -> EvalRow:
    fields = {
        "version": f"artifacts@{number}",
        "suite": "panel:sql",
        "task": "sql",
        "item": item,
        "group": f"g_{item}",
        "metrics": {"score": 0.5, "valid": 1.0, "exact": 0.0},
        "output": "SELECT 1",
    }
    return EvalRow(**fields | changes)


def comparison(name: str) -> Comparison:
    return Comparison(
        name=name,
        metric="score",
        items=10,
        groups=8,
        champion=0.4,
        challenger=0.6,
        difference=0.2,
        low=0.1,
        high=0.3,
        bound=0.15,
        level=0.8,
        spread=0.05,
        base=None,
    )


def decision(number: int, **changes: object) -> Decision:
    fields = {
        "verdict": "promote",
        "reasons": ("better by 20 points",),
        "challenger": f"artifacts@{number}",
        "champion": "artifacts@0",
        "primary": comparison("sql"),
        "tasks": (comparison("sql"), comparison("erd")),
        "guards": (GuardResult(comparison=comparison("erd"), margin=0.03, state="not worse"),),
        "next_steps": ("watch it",),
    }
    return Decision(**fields | changes)


def suite(name: str = "legacy", items: int = 3, **changes: object) -> Suite:
    fields = {
        "name": name,
        "task": "sql",
        "role": "guard",
        "items": tuple(
            Item(
                id=f"item{number}",
                task="sql",
                prompt=f"q{number}",
                reference="SELECT 1",
                group=f"g{number}",
                context={"schema": "t(a)"},
            )
            for number in range(items)
        ),
    }
    return Suite(**fields | changes)
