"""One cycle as the store remembers it, gathered for whoever writes it down.

Nothing here comes from memory of the running cycle: a report can be rebuilt at any time, and
every number in it can be looked up. Scores stay in [0, 1]; `numbers.py` turns them into points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from honewheel.errors import Damaged, NotFound
from honewheel.records import (
    AliasMove,
    Comparison,
    Cycle,
    Dataset,
    Decision,
    Dropped,
    EvalRow,
    GuardState,
    Json,
    Version,
)
from honewheel.report.changes import Changes, changes_between
from honewheel.store import Store

STEPS = ("champion", "build", "train", "evaluate", "gate", "promote")


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReason:
    """One reason for leaving events out: how many, and the first few with their numbers."""

    reason: str
    count: int
    examples: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRows:
    """How many examples of one task are in the dataset; `simulated` counts rows to train on."""

    task: str
    new: int
    replay: int
    val: int
    simulated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What the feedback became: `events` seen, examples by part, events left out by reason.

    `simulated` is how many of the `trained` rows (new and replayed) no person stands behind,
    `copies` how many of them were made of others; `pairs` and `rated` are sealed beside them.
    """

    dataset: str
    events: int
    new: int
    replay: int
    val: int
    simulated: int
    dropped: tuple[DropReason, ...]
    tasks: tuple[TaskRows, ...]
    copies: int = 0
    pairs: int = 0
    rated: int = 0
    notes: tuple[str, ...] = ()  # what curation has to say of this dataset
    unread: str | None = None  # why `tasks` is empty: the sealed file was removed or is damaged

    @property
    def trained(self) -> int:
        return self.new + self.replay


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPoint:
    """One logged step of training; losses as `Training.loss_axis` says."""

    step: int
    loss: float | None = None
    val_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What was asked of training (`settings`) and what it did (`history`, steps, seconds).

    `realised` was read back from optimizer and model; a family may keep none of it.
    """

    version: int
    files: str
    family: str
    base: str
    base_hash: str
    method: str
    seed: int
    settings: Mapping[str, Json]
    realised: Mapping[str, Json]
    history: tuple[LossPoint, ...]
    steps: int
    seconds: float
    run: str | None

    @property
    def loss_axis(self) -> str:
        """What the losses are: of targets per token, of preferences per pair or rated answer."""
        objective = self.settings.get("objective", "sft")
        return "loss, nats per token" if objective == "sft" else f"loss ({objective})"

    @property
    def table(self) -> tuple[tuple[str, Json, Json], ...]:
        """(setting, asked, realised); None where it was not asked, or is not read back."""
        names = sorted({*self.settings, *self.realised})
        return tuple((name, self.settings.get(name), self.realised.get(name)) for name in names)

    @property
    def last_loss(self) -> float | None:
        return next((row.loss for row in reversed(self.history) if row.loss is not None), None)

    @property
    def best_val(self) -> LossPoint | None:
        """The step with the lowest validation loss (the first of equals)."""
        measured = [row for row in self.history if row.val_loss is not None]
        return min(measured, key=lambda row: (row.val_loss or 0.0, row.step), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the verdict's table. `margin` (in [0, 1]) is a guard's; `state` in words.

    The verdict rests on every line but a slice's.
    """

    kind: Literal["primary", "task", "guard", "slice"]
    comparison: Comparison
    state: GuardState
    margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelScores:
    """Plain means of one panel: metric -> score of (base, champion, challenger), None if unseen."""

    suite: str
    task: str
    role: str
    items: int
    means: Mapping[str, tuple[float | None, float | None, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """Everything a report of one cycle says. Parts that a failed cycle never reached are None."""

    cycle: Cycle
    reason: str | None  # why it was run, where that is known
    reached: tuple[str, ...]  # steps that are journaled as done, in order
    build: Build | None
    training: Training | None
    decision: Decision | None
    lines: tuple[Line, ...]
    panels: tuple[PanelScores, ...]
    changes: Changes
    evaluate_seconds: float | None
    champion: Version | None
    challenger: Version | None
    moves: tuple[AliasMove, ...]  # of `champion`, oldest first
    promoted: Mapping[str, Json] | None  # the alias move, when there was one

    @property
    def next_step(self) -> str | None:
        """The step after the last one that is done; None after the last of all."""
        done = STEPS.index(self.reached[-1]) + 1 if self.reached else 0
        return STEPS[done] if done < len(STEPS) else None


def collect(store: Store, cycle_id: str) -> CycleReport:
    """The report of one cycle, read from the store alone.

    Raises:
        NotFound: no such cycle.
    """
    cycle = store.cycles.get(cycle_id)
    steps = _journal(store, cycle_id)
    decision = store.versions.decision(cycle_id)
    rows = store.versions.eval_rows(cycle_id)
    evaluation = steps.get("evaluate", {})
    names = (_base_name(cycle, evaluation), *_contenders(decision, evaluation))
    return CycleReport(
        cycle=cycle,
        reason=store.cycles.reason(cycle_id),
        reached=tuple(name for name in STEPS if name in steps),
        build=_build(store, steps["build"]) if "build" in steps else None,
        training=_training(steps["train"]) if "train" in steps else None,
        decision=decision,
        lines=_lines(decision),
        panels=_panels(rows, names, evaluation.get("panels", ())),
        changes=changes_between(store, rows, names, up_to=cycle.as_of_seq),
        evaluate_seconds=evaluation.get("seconds"),
        champion=_version(store, names[1]),
        challenger=_version(store, names[2]),
        moves=tuple(store.versions.history(cycle.model, "champion")),
        promoted=steps.get("promote"),
    )


def _journal(store: Store, cycle_id: str) -> dict[str, dict[str, Any]]:
    found = {name: store.cycles.step(cycle_id, name) for name in STEPS}
    return {name: dict(step[1]) for name, step in found.items() if step is not None}


def _base_name(cycle: Cycle, evaluation: Mapping[str, Any]) -> str:
    return str(evaluation.get("base", f"{cycle.model}@0"))


def _contenders(decision: Decision | None, evaluation: Mapping[str, Any]) -> tuple[str, str]:
    """Names of champion and challenger, "" where the cycle never got to name them."""
    if decision is not None:
        return decision.champion, decision.challenger
    return str(evaluation.get("champion", "")), str(evaluation.get("challenger", ""))


def _version(store: Store, name: str) -> Version | None:
    model, _, number = name.rpartition("@")
    return store.versions.get(model, int(number)) if model else None


def _build(store: Store, output: Mapping[str, Any]) -> Build:
    known = {one.reason: one for one in store.datasets.reasons(output["dataset"])}
    tasks, unread = _tasks(store, output["dataset"])
    dropped = [
        DropReason(
            reason=reason, count=n, examples=known[reason].examples if reason in known else ()
        )
        for reason, n in output["dropped"].items()
    ]
    return Build(
        dataset=output["dataset"],
        events=output["events"],
        new=output["new"],
        replay=output["replay"],
        val=output["val"],
        simulated=output["simulated"],
        dropped=tuple(sorted(dropped, key=lambda drop: (-drop.count, drop.reason))),
        tasks=tasks,
        copies=output["copies"],
        pairs=output["pairs"],
        rated=output["rated"],
        notes=tuple(output["notes"]),
        unread=unread,
    )


def _tasks(store: Store, dataset: str) -> tuple[tuple[TaskRows, ...], str | None]:
    """Rows by task, or none and why: retention removes sealed files, the journal's sums stay."""
    try:
        return _rows_by_task(store.datasets.load(dataset)), None
    except (Damaged, NotFound) as error:
        return (), str(error)


def _rows_by_task(dataset: Dataset) -> tuple[TaskRows, ...]:
    parts = Counter((row.task, str(row.role)) for row in dataset.train if not row.variant)
    parts.update((row.task, "val") for row in dataset.val)
    simulated = Counter(row.task for row in dataset.train if row.simulated)
    return tuple(
        TaskRows(
            task=task,
            new=parts[task, "new"],
            replay=parts[task, "replay"],
            val=parts[task, "val"],
            simulated=simulated[task],
        )
        for task in sorted({task for task, _ in parts})
    )


def _training(output: Mapping[str, Any]) -> Training:
    spec = output["spec"]
    return Training(
        version=output["version"],
        files=output["files"],
        family=spec["family"],
        base=spec["base"],
        base_hash=output["base_hash"],
        method=spec["method"],
        seed=spec["seed"],
        settings=dict(sorted(spec["settings"].items())),
        realised=output.get("realised", {}),
        history=tuple(
            LossPoint(step=row["step"], loss=row.get("loss"), val_loss=row.get("val_loss"))
            for row in output["history"]
        ),
        steps=output["steps"],
        seconds=output["seconds"],
        run=output.get("run"),
    )


def _lines(decision: Decision | None) -> tuple[Line, ...]:
    """The verdict's table: primary endpoint, its tasks, guards, slices; nothing twice."""
    if decision is None:
        return ()
    guarded = {guard.comparison.name for guard in decision.guards}
    tasks = [task for task in decision.tasks if task.name not in guarded]
    lines: list[Line] = []
    if (primary := decision.primary) is not None:
        if len(decision.tasks) == 1:  # the mean over one task is that task
            primary, tasks = replace(primary, name=decision.tasks[0].name), []
        lines.append(Line(kind="primary", comparison=primary, state=_state(primary)))
    lines += [Line(kind="task", comparison=task, state=_state(task)) for task in tasks]
    lines += [
        Line(kind="guard", comparison=guard.comparison, state=guard.state, margin=guard.margin)
        for guard in decision.guards
    ]
    lines += [Line(kind="slice", comparison=one, state=_state(one)) for one in decision.slices]
    return tuple(lines)


def _state(comparison: Comparison) -> GuardState:
    """What a line without a margin shows, by the one-sided bound that the gate decides on."""
    if comparison.bound > 0:
        return "better"
    return "worse" if comparison.high < 0 else "unclear"


def _panels(
    rows: Sequence[EvalRow], names: Sequence[str], listed: Iterable[Mapping[str, Any]]
) -> tuple[PanelScores, ...]:
    roles = {(str(panel["suite"]), str(panel["task"])): str(panel["role"]) for panel in listed}
    grouped: dict[tuple[str, str], dict[str, list[EvalRow]]] = {}
    for row in rows:
        grouped.setdefault((row.suite, row.task), {}).setdefault(row.version, []).append(row)
    return tuple(
        PanelScores(
            suite=suite,
            task=task,
            role=roles.get((suite, task), ""),
            items=len({row.item for found in by_version.values() for row in found}),
            means={
                metric: _means([by_version.get(name, []) for name in names], metric)
                for metric in ("score", "valid", "exact")
            },
        )
        for (suite, task), by_version in sorted(grouped.items())
    )


def _means(
    versions: Sequence[Sequence[EvalRow]], metric: str
) -> tuple[float | None, float | None, float | None]:
    base, champion, challenger = (
        sum(row.metrics[metric] for row in rows) / len(rows) if rows else None for rows in versions
    )
    return base, champion, challenger
