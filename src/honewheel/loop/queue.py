"""What people should look at: responses worth an answer, and where the champion fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from honewheel.config import Config, from_frozen
from honewheel.curate import ask as asking
from honewheel.curate import hard_negatives
from honewheel.curate.ask import Ask
from honewheel.curate.hard_negatives import Failure
from honewheel.curate.trust import heard
from honewheel.errors import NotFound
from honewheel.loop import intake, proof
from honewheel.loop.registry import CHAMPION
from honewheel.records import Cycle, EvalRow, Progress
from honewheel.store import Store

_BACK = 100  # cycles looked at for one that measured the champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Where the champion of one model fails, by the newest cycle that measured it."""

    model: str
    version: str
    cycle: str
    items: int  # scored answers looked at
    failures: tuple[Failure, ...]  # most points lost first


def ask(
    store: Store,
    config: Config,
    *,
    task: str | None,
    size: int,
    listen: Callable[[Progress], None],
) -> tuple[Ask, ...]:
    """The responses of a task (None: of all) that a person should look at next.

    What has arrived is taken in first, so that its checks are known. What the sources in
    curate.exclude_sources said counts for nothing.

    Raises:
        ConfigError: there is no such task.
        InputError: a size below 1.
        StoreBusy: another process takes in what has arrived.
    """
    tasks = list(config.settings.tasks)
    if task is not None:
        config.task(task)
        tasks = [task]
    intake.run(store, config, listen)
    curate = config.settings.curate
    events = (
        heard(event, curate.unheard) for event in store.log.events(tasks, store.log.last_seq())
    )
    return asking.queue(events, size=size, seed=curate.seed)


def failures(store: Store, config: Config, task: str | None = None) -> tuple[Failing, ...]:
    """What each model's champion scored low on, grouped by finding and feature of the prompt.

    Raises:
        ConfigError: there is no such task.
        NotFound: no cycle has measured a champion of these tasks yet.
    """
    if task is not None:
        config.task(task)
    found = [
        failing
        for name, model in sorted(config.settings.models.items())
        if task is None or task in model.tasks
        if (failing := _of_model(store, config, name, task)) is not None
    ]
    if not found:
        about = "" if task is None else f" of task {task}"
        raise NotFound(
            f"No champion{about} has been measured yet. A cycle measures it on held-out prompts: "
            "run honewheel cycle."
        )
    return tuple(found)


def _of_model(store: Store, config: Config, model: str, task: str | None) -> Failing | None:
    move = store.versions.alias(model, CHAMPION)
    if move is None:
        return None
    version = f"{model}@{move.version}"
    for cycle in store.cycles.list(model, _BACK):
        rows = [
            row
            for row in store.versions.eval_rows(cycle.id, version)
            if task is None or row.task == task
        ]
        if rows:
            return _grouped(store, config, cycle, version, rows)
    return None


def _grouped(
    store: Store, config: Config, cycle: Cycle, version: str, rows: list[EvalRow]
) -> Failing:
    """The rows of one cycle with the prompts they answered, as that cycle saw them."""
    then = from_frozen(cycle.config, config.root)
    built = store.cycles.step(cycle.id, "build")
    names = [name for name, _ in built[1]["suites"]] if built else []
    suites = proof.panels(store, then, cycle.model, cycle.as_of_seq, names)
    items = [item for suite in suites for item in suite.items]
    known = {(item.task, item.id) for item in items}
    kept = [row for row in rows if (row.task, row.item) in known]
    return Failing(
        model=cycle.model,
        version=version,
        cycle=cycle.id,
        items=len(kept),
        failures=hard_negatives.failures(kept, items, intake.checker(then)),
    )
