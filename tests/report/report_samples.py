"""An invented cycle, with numbers chosen to be told apart in a report."""

from __future__ import annotations

import math
import random
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from honewheel.records import (
    AliasMove,
    Comparison,
    Cycle,
    Dataset,
    Decision,
    Dropped,
    EvalRow,
    Example,
    Feedback,
    GuardResult,
    Item,
    Response,
    Suite,
    Version,
    as_dict,
    digest,
)
from honewheel.report.collect import STEPS, CycleReport, collect
from honewheel.store import Store, open_store

WHEN = datetime(2025, 11, 20, 9, 30, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\x00\x1b[31mred\x1b[0m\u202etxt"
    "](http://evil.example) ![x](http://evil.example/x.png) ``` \n```\n# heading\n<!-- -->"
    "{{ 7 * 7 }} {% raw %} | a | b |\n| - | - |\n\nhttp://evil.example www.evil.example $x^2$"
    "\ud800 &lt;b&gt; </pre></body>"
)


def comparison(name: str, champion: float, challenger: float, half: float, **more) -> Comparison:
    difference = challenger - champion
    return Comparison(
        name=name,
        metric=more.get("metric", "score"),
        items=more.get("items", 174),
        groups=more.get("groups", 160),
        champion=champion,
        challenger=challenger,
        difference=difference,
        low=difference - half,
        high=difference + half,
        bound=difference - 0.5 * half,
        level=0.8,
        spread=0.2,
        base=more.get("base", champion - 0.01),
    )


def decision(
    verdict: str = "promote", champion: str = "artifacts@0", task: str = "erd"
) -> Decision:
    erd = comparison(task, 0.4123, 0.8391, 0.0645)
    return Decision(
        verdict=verdict,
        reasons=(f"{task} gained 42.7 points, 80 % sure of at least 39.5", "every guard held"),
        challenger="artifacts@4",
        champion=champion,
        primary=comparison("primary", 0.4123, 0.8391, 0.0645),
        tasks=(erd,),
        guards=(
            GuardResult(
                comparison=comparison("ddl", 0.7702, 0.7661, 0.0165, items=1204),
                margin=0.03,
                state="not worse",
            ),
            GuardResult(
                comparison=comparison("suite:legacy-gherkin", 0.551, 0.586, 0.031),
                margin=0.03,
                state="better",
            ),
            GuardResult(
                comparison=comparison(f"{task}/valid", 0.96, 0.97, 0.035, metric="valid"),
                margin=0.02,
                state="unclear",
            ),
            GuardResult(
                comparison=comparison("adversarial:reordered-prompt", 0.81, 0.71, 0.05, base=None),
                margin=0.03,
                state="worse",
            ),
        ),
        next_steps=("honewheel versions artifacts",),
    )


def build_output(dataset: str, simulated: int = 150) -> dict:
    return {
        "dataset": dataset,
        "events": 1412,
        "new": 205,
        "replay": 80,
        "val": 35,
        "simulated": simulated,
        "dropped": {"near-duplicate": 61, "low-value": 48, "held-out": 35, "quarantined": 3},
        "copies": 12,
        "pairs": 7,
        "rated": 3,
        "notes": ["Half-life: 45 days: log-loss 0.500, 0.510 with 180 days."],
    }


def train_output(files: str = "f" * 64, text: str = "") -> dict:
    noise = random.Random(3)
    history = [
        {
            "step": step,
            "loss": 0.4 + 1.5 * math.exp(-step / 60) + noise.uniform(-0.05, 0.05),
            "val_loss": 0.5 + 1.4 * math.exp(-step / 55) if step % 50 == 0 else None,
        }
        for step in range(10, 301, 10)
    ]
    return {
        "version": 4,
        "files": files,
        "spec": {
            "family": "causal-lm",
            "base": "honewheel/tiny",
            "method": "lora",
            "settings": {"learning_rate": 2e-4, "rank": 16, "epochs": 4, "note": f"a{text}"},
            "seed": 7,
        },
        "history": history,
        "realised": {"learning_rate": 1e-4, "optimizer": "AdamW"},  # halved once
        "steps": 300,
        "seconds": 98.4,
        "base_hash": "b" * 64,
        "run": "run_01",
    }


def evaluate_output(champion: str = "artifacts@0", task: str = "erd") -> dict:
    return {
        "seconds": 21.3,
        "base": "artifacts@0",
        "champion": champion,
        "challenger": "artifacts@4",
        "panels": [
            {"task": task, "suite": f"panel-{task}", "role": "panel", "items": 40},
            {"task": "ddl", "suite": "legacy", "role": "guard", "items": 40},
        ],
    }


def eval_rows(
    versions: tuple[str, ...], text: str = "erDiagram", task: str = "erd"
) -> list[EvalRow]:
    """40 items on each of two panels; later versions score higher on most, lower on some."""
    noise = random.Random(11)
    rows = []
    for suite, about, item in ((f"panel-{task}", task, "panel-erd"), ("legacy", "ddl", "legacy")):
        for number in range(40):
            start = noise.choice([0.0, 0.25, 0.4, 0.41, 0.55])
            for place, version in enumerate(versions):
                score = min(1.0, max(0.0, start + place * noise.uniform(-0.15, 0.6)))
                rows.append(
                    EvalRow(
                        version=version,
                        suite=suite,
                        task=about,
                        item=f"{item}-{number:02}",
                        group=f"g-{number}",
                        metrics={
                            "score": score,
                            "valid": float(number % (5 + 4 * place) > 0),
                            "exact": float(score == 1.0),
                        },
                        output=f"{text} {version} {number}",
                    )
                )
    return rows


def suite(text: str = "customers and orders") -> Suite:
    return Suite(
        name="legacy",
        task="ddl",
        role="guard",
        items=tuple(
            Item(
                id=f"legacy-{number:02}",
                task="ddl",
                prompt=f"prompt {number}: {text}",
                reference=f"reference {number}: {text}",
                group=f"g-{number}",
            )
            for number in range(40)
        ),
    )


def examples(task: str = "erd") -> tuple[list[Example], list[Example]]:
    def row(number: int, **more) -> Example:
        return Example(
            id=f"ex-{number}",
            task=more.pop("task", task),
            prompt=f"draw {number}",
            target="erDiagram",
            group=f"g-t{number}",
            **more,
        )

    train = [row(n, split="train", simulated=n < 150) for n in range(205)]
    train += [row(n + 300, split="train", role="replay", task="ddl") for n in range(80)]
    val = [row(n + 500, split="val", simulated=True) for n in range(35)]
    return train, val


def dropped(detail: str = "similarity 0.94 with evt_2") -> list[Dropped]:
    return [
        *(Dropped(event=f"evt_d{n}", reason="near-duplicate", detail=detail) for n in range(61)),
        *(Dropped(event=f"evt_l{n}", reason="low-value", detail="0.21 < 0.5") for n in range(48)),
        *(Dropped(event=f"evt_h{n}", reason="held-out", detail="test split") for n in range(35)),
        *(Dropped(event=f"evt_q{n}", reason="quarantined", detail="bridges") for n in range(3)),
    ]


def cycle(**more) -> Cycle:
    given = {
        "id": "artifacts-0004",
        "model": "artifacts",
        "number": 4,
        "state": "done",
        "as_of": WHEN,
        "as_of_seq": 8123,
        "config": {},
        "started_at": WHEN,
        "finished_at": WHEN.replace(minute=33, second=7),
        "verdict": "promote",
    }
    return Cycle(**{**given, **more})


def fill(
    store: Store,
    *,
    steps: int = len(STEPS),
    verdict: str | None = "promote",
    text: str = "",
    output: str = "",
    simulated: int = 150,
    state: str = "done",
    error: str | None = None,
    schedule: str | None = None,
    reason: str = "",
) -> str:
    """Id of a cycle that did its first `steps` steps and ended in `state`.

    `text` is added wherever somebody else's words go, as far as a store keeps them; `output` to
    what the models wrote.
    """
    gated = verdict or "promote"
    task = f"erd{text}"
    base = store.versions.ensure_base("artifacts", "honewheel/tiny", "b" * 64, WHEN)
    files = _weights(store)
    store.suites.add(suite(text), WHEN)
    _log(store, text)
    store.versions.move_alias(_move(1, 0, None, "the base, before any feedback"), 0, None)
    turn = cycle(state="running", verdict=None, finished_at=None, schedule=schedule)
    store.cycles.start(turn)
    if reason:
        store.cycles.save_step(turn.id, "start", "key of start", {"reason": reason}, WHEN)
    dataset = _dataset(task, text)
    champion = base.name

    def evaluate() -> dict:
        rows = eval_rows((champion, "artifacts@4"), f"erDiagram {output}", task)
        store.versions.save_eval(turn.id, rows)
        return evaluate_output(champion, task)

    def train() -> dict:
        store.versions.create(
            Version(
                model="artifacts",
                number=4,
                base=base.base,
                base_hash=base.base_hash,
                created_at=WHEN,
                files=files,
                dataset=dataset.hash,
                run="run_01",
                cycle=turn.id,
                parent=0,
            )
        )
        return train_output(files, text)

    def gate() -> dict:
        store.versions.save_decision(turn.id, decision(gated, champion, task))
        return {"verdict": gated}

    def build() -> dict:
        store.datasets.seal(dataset, turn.id, turn.as_of_seq)
        return build_output(dataset.hash, simulated)

    def promote() -> dict:
        move = _move(2, 4, 0, f"{task} gained", turn.id)
        store.versions.move_alias(move, 1, decision(gated, champion, task))
        return {"alias": "champion", "version": 4, "previous": 0, "revision": 2}

    work = (lambda: {"version": 0, "revision": 1}, build, train, evaluate, gate, promote)
    for name, do in list(zip(STEPS, work, strict=True))[:steps]:
        store.cycles.save_step(turn.id, name, f"key of {name}", do(), WHEN)
    if state != "running":
        finished = WHEN.replace(minute=33, second=7)
        store.cycles.finish(turn.id, state, verdict, error, finished)
    return turn.id


@cache
def reported(**options) -> CycleReport:
    """The report of such a cycle (see `fill`), collected from a SQLite store of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(f"sqlite:///{folder}/store.db", Path(folder) / "files") as store,
    ):
        return collect(store, fill(store, **options))


def _weights(store: Store) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "adapter.safetensors").write_bytes(b"weights")
        return store.files.put(Path(folder))


def _log(store: Store, text: str) -> None:
    """The events behind the rolling panel, with a correction each."""
    responses, feedback = [], []
    for number in range(40):
        name = f"panel-erd-{number:02}"
        responses.append(
            Response(
                id=name,
                task=f"erd{text}",
                prompt=f"asked {number}: {text}",
                output="erDiagram",
                created_at=WHEN,
            )
        )
        feedback.append(
            Feedback(
                id=f"fb-{number}",
                response_id=name,
                kind="correction",
                source="ana",
                created_at=WHEN,
                text=f"corrected {number}: {text}",
            )
        )
    store.log.append(responses, feedback)


def _dataset(task: str, text: str) -> Dataset:
    train, val = examples(task)
    return Dataset(
        hash=digest([as_dict(row) for row in [*train, *val]]),
        train=tuple(train),
        val=tuple(val),
        dropped=tuple(dropped(f"similarity 0.94 with evt_2 {text}")),
    )


def _move(
    revision: int, version: int, previous: int | None, reason: str, cycle: str | None = None
) -> AliasMove:
    return AliasMove(
        model="artifacts",
        alias="champion",
        revision=revision,
        version=version,
        previous=previous,
        reason=reason,
        at=WHEN,
        cycle=cycle,
    )
