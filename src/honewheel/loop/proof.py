"""What a challenger is measured on, and every version's scored answers to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter

from honewheel import plugins
from honewheel.config import Config
from honewheel.curate import panel
from honewheel.evaluate import metrics
from honewheel.evaluate.measure import Sides
from honewheel.loop import intake
from honewheel.protocols import HasExactAnswers, ScoresSets
from honewheel.records import (
    Decoding,
    EvalRow,
    Item,
    Json,
    Prediction,
    Progress,
    Split,
    Suite,
    Version,
    as_dict,
    digest,
)
from honewheel.store import Store
from honewheel.store.evaluations import Answer
from honewheel.tasks import remembered

VERSION = f"1.{panel.VERSION}.{metrics.VERSION}"
SAVE_EVERY = 32  # answers a transaction: a killed evaluation repeats at most this many

Listener = Callable[[Progress], None]


def panels(
    store: Store, config: Config, model: str, as_of_seq: int, names: Sequence[str]
) -> list[Suite]:
    """The frozen suites called `names` and the rolling test panels of a model's tasks."""
    found = [store.suites.get(name) for name in names]
    size = config.settings.evaluate.panel_size
    for task in config.model(model)[1].tasks:
        if items := _panel(store, config, task, as_of_seq, size):
            found.append(Suite(name=rolling(task), task=task, role="panel", items=items))
    return found


def held_back(store: Store, config: Config, model: str, as_of_seq: int) -> list[Item]:
    """Every item that fell into test, in the panel or not: nothing like it may be trained on."""
    tasks = config.model(model)[1].tasks
    return [item for task in tasks for item in _panel(store, config, task, as_of_seq, None)]


def dev(store: Store, config: Config, task: str, as_of_seq: int) -> tuple[Item, ...]:
    """The validation items of a task, as many as a panel has: where thresholds are fixed."""
    return _panel(store, config, task, as_of_seq, config.settings.evaluate.panel_size, "val")


def _panel(
    store: Store,
    config: Config,
    task: str,
    as_of_seq: int,
    size: int | None,
    split: Split = "test",
) -> tuple[Item, ...]:
    return panel.panel(
        store.log.events([task], as_of_seq, split=split),
        check=intake.checker(config),
        size=size,
        min_value=config.settings.curate.min_value,
        exclude_sources=config.settings.curate.unheard,
        split=split,
    )


def frozen(store: Store, config: Config, model: str) -> list[Suite]:
    """The frozen suites imported for a model's tasks, by name."""
    tasks = config.model(model)[1].tasks
    names = sorted(row.name for row in store.suites.list() if row.task in tasks)
    return [store.suites.get(name) for name in names]


def suites(store: Store, config: Config, model: str) -> list[str]:
    """Hashes of the frozen suites of a model's tasks, by name."""
    tasks = config.model(model)[1].tasks
    return [
        row.hash
        for row in sorted(store.suites.list(), key=lambda row: row.name)
        if row.task in tasks
    ]


def judges(config: Config, suites: Sequence[Suite]) -> Json:
    """Task -> version of the check that scores it; part of the evaluation's identity."""
    tasks = sorted({suite.task for suite in suites})
    return {task: plugins.task(config.task(task).kind).version for task in tasks}


def scorers(config: Config, model: str) -> dict[str, ScoresSets]:
    """Task -> its kind, for the tasks of a model that score whole panels."""
    kinds = {name: plugins.task(config.task(name).kind) for name in config.model(model)[1].tasks}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, ScoresSets)}


def bands(config: Config, suites: Sequence[Suite]) -> dict[str, dict[str, str]]:
    """Task -> item -> difficulty, for the tasks of these suites that have exact answers."""
    found: dict[str, dict[str, str]] = {}
    for suite in suites:
        kind = plugins.task(config.task(suite.task).kind)
        if isinstance(kind, HasExactAnswers):
            told = {item.id: kind.band(item.prompt, item.context) for item in suite.items}
            found.setdefault(suite.task, {}).update({k: v for k, v in told.items() if v})
    return found


def score(
    store: Store,
    config: Config,
    version: Version,
    suites: Sequence[Suite],
    decoding: Decoding,
    listen: Listener,
) -> list[EvalRow]:
    """One row an item: a version's answers to the suites, scored by their tasks."""
    items = [item for suite in suites for item in suite.items]
    answers = predict(store, config, version, items, decoding, listen)
    rows: list[EvalRow] = []
    for suite in suites:
        compare = partial(remembered.compare, plugins.task(config.task(suite.task).kind))
        rows += metrics.rows(version.name, suite.name, suite.items, answers, compare)
    return rows


def predict(
    store: Store,
    config: Config,
    version: Version,
    items: Sequence[Item],
    decoding: Decoding,
    listen: Listener,
    timer: Callable[[], float] = perf_counter,
) -> list[Prediction]:
    """One Prediction an item, from the cache where this version answered the prompt before.

    The cache is keyed by what decides the answer: base, files, decoding, prompt and context. It
    keeps the seconds that were measured when the answer was made; one from before that is made
    anew. `timer` tells seconds: an answer takes those since the one before it, so that answers of
    one batch share theirs unevenly, and only means over many are to be read.
    """
    key, how = answer_keys(version, decoding)
    asked = {item.id: prompt_key(item.prompt, item.context) for item in items}
    found = store.versions.predictions(key, how, sorted(set(asked.values())))
    known = {name: answer for name, answer in found.items() if answer.seconds is not None}
    missing = list({asked[item.id]: item for item in items if asked[item.id] not in known}.values())
    if missing:
        folder = store.files.verify(version.files) if version.files else None
        family = plugins.family(config.model(version.model)[1].family)
        fresh: dict[str, Answer] = {}
        with family.open(version.base, folder) as model:
            since = timer()
            for step, one in enumerate(model.predict(missing, decoding), start=1):
                fresh[asked[one.item]] = Answer(
                    one.output, one.tokens, one.stopped, timer() - since
                )
                listen(_progress(version, step, len(missing)))
                if len(fresh) == SAVE_EVERY or step == len(missing):
                    store.versions.save_predictions(key, how, fresh)
                    known |= fresh
                    fresh = {}
                since = timer()  # without what telling and saving took
    return [_prediction(item.id, known[asked[item.id]]) for item in items]


def answer_keys(version: Version, decoding: Decoding) -> tuple[str, str]:
    """What decides a version's answer to a prompt: its weights, and how it is asked."""
    return digest([version.base_hash, version.files]), digest(as_dict(decoding))


def prompt_key(prompt: str, context: Mapping[str, str]) -> str:
    """What is asked: two items with the same key share one answer."""
    return digest([prompt, dict(context)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an answer takes on average. `seconds` None: of some answer nobody measured them."""

    tokens: float
    seconds: float | None


def mean_cost(
    store: Store, version: Version, decoding: Decoding, prompts: Sequence[str]
) -> Cost | None:
    """The cost of the remembered answers to the prompts with these keys, if there are any."""
    found = store.versions.predictions(*answer_keys(version, decoding), sorted(set(prompts)))
    if not found:
        return None
    seconds = [one.seconds for one in found.values() if one.seconds is not None]
    return Cost(
        tokens=sum(one.tokens for one in found.values()) / len(found),
        seconds=math.fsum(seconds) / len(seconds) if len(seconds) == len(found) else None,
    )


def newest(
    store: Store, suites: Sequence[Suite], as_of: datetime, as_of_seq: int, days: float
) -> frozenset[str]:
    """Items of the rolling panels that were asked within so many days before `as_of`."""
    names = [
        item.id for suite in suites if suite.name == rolling(suite.task) for item in suite.items
    ]
    since = as_of - timedelta(days=days)
    events = store.log.events(None, as_of_seq, names)
    return frozenset(event.id for event in events if event.response.created_at >= since)


def rolling(task: str) -> str:
    """What the rolling test panel of a task is called."""
    return f"panel-{task}"


def _progress(version: Version, step: int, total: int) -> Progress:
    return Progress(stage="evaluate", step=step, total=total, message=version.name)


def _prediction(item: str, answer: Answer) -> Prediction:
    return Prediction(item=item, **answer._asdict())


@dataclass(frozen=True, slots=True)
class Paired:
    """Rows of champion and challenger: by task for panels, by suite for guards."""

    panels: dict[str, Sides]
    guards: dict[str, Sides]


def sides(
    rows: Sequence[EvalRow], suites: Sequence[Suite], champion: str, challenger: str
) -> Paired:
    """Rows sorted by what they speak for; the base's go beside them.

    A suite with the role panel joins its task's test panel, one with the role guard stands alone.
    """
    base = f"{challenger.rpartition('@')[0]}@0"

    def pick(names: set[str]) -> Sides:
        def of(version: str) -> list[EvalRow]:
            return [row for row in rows if row.version == version and row.suite in names]

        return Sides(challenger=of(challenger), champion=of(champion), base=of(base))

    by_task: dict[str, set[str]] = {}
    guards: dict[str, Sides] = {}
    for suite in suites:
        if suite.role == "panel":
            by_task.setdefault(suite.task, set()).add(suite.name)
        else:
            guards[suite.name] = pick({suite.name})
    return Paired({task: pick(names) for task, names in sorted(by_task.items())}, guards)
