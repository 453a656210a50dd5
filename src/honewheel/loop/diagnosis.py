"""The adversarial diagnostic of a model's similarity tasks: in a cycle, and whenever asked for.

Cases are made of held-out texts (the panels and suites of the cycle), so nothing of them trains.
Each version answers them, and its own dev pairs for the threshold; what comes of it is kept in the
cycle's journal, beside the scored panels and not among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from honewheel import plugins
from honewheel.config import Config
from honewheel.errors import NotEnoughData
from honewheel.evaluate import metrics
from honewheel.evaluate import pairs as measured
from honewheel.evaluate.adversarial import cases as made
from honewheel.evaluate.adversarial import results
from honewheel.evaluate.adversarial.cases import Case
from honewheel.evaluate.measure import Sides
from honewheel.loop import proof
from honewheel.loop.turn import Listener, Turn
from honewheel.records import (
    Decoding,
    EvalRow,
    Item,
    Json,
    Suite,
    Version,
    as_dict,
    digest,
)
from honewheel.settings import Adversarial
from honewheel.store import Store
from honewheel.tasks import pairs, remembered

DEFAULT_CASES = 80  # a category, where neither the settings nor the caller say
VERSION = f"1.{made.VERSION}.{results.VERSION}.{measured.VERSION}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one version answered to the cases, and its threshold for the same."""

    threshold: float
    answers: Mapping[str, float]


def asked(config: Config, model: str) -> list[str]:
    """The tasks of a model whose settings ask for cases."""
    return [name for name in config.model(model)[1].tasks if config.task(name).adversarial.cases]


def cases(
    texts: Sequence[tuple[str, str, float]], asked: Adversarial, per_category: int | None = None
) -> tuple[Case, ...]:
    """Cases of these pairs (text, text, similarity), by a task's settings."""
    return made.make(
        [one for a, b, _ in texts for one in (a, b)],
        policy=asked.policy,
        per_category=asked.cases if per_category is None else per_category,
        seed=asked.seed,
        paraphrases=[(a, b) for a, b, similarity in texts if similarity >= 1],
        antonyms=asked.antonyms,
    )


def held(suites: Sequence[Suite], task: str) -> list[tuple[str, str, float]]:
    """The held-out pairs of a task, with what was said of them."""
    found = []
    for suite in suites:
        for item in suite.items if suite.task == task else ():
            both = pairs.texts(item.prompt, item.context)
            if both is not None:
                found.append((*both, _expected(item)))
    return found


def answered(
    store: Store,
    config: Config,
    version: Version,
    task: str,
    found: Sequence[Case],
    dev: Sequence[Item],
    listen: Listener,
    threshold: float | None = None,
) -> Answered:
    """A version's answers to the cases, and the threshold that its dev pairs give.

    Raises NotEnoughData when the dev pairs give none and none was handed in.
    """
    items = [made.item(case, task) for case in found]
    rows = score(store, config, version, task, [*items, *dev], listen)
    answers = {row.item: row.metrics["answer"] for row in rows[: len(items)]}
    limit = measured.threshold(rows[len(items) :]) if threshold is None else threshold
    if limit is None:
        raise NotEnoughData(
            f"{task}: {len(dev)} validation pairs hold no pair that is the same beside one that "
            "is not, so no threshold can be fixed. Record more pairs of both kinds (one in ten "
            "goes to validation)."
        )
    return Answered(threshold=limit, answers=answers)


def score(
    store: Store,
    config: Config,
    version: Version,
    task: str,
    items: Sequence[Item],
    listen: Listener,
) -> list[EvalRow]:
    """A version's scored answers to items of a task, in their order."""
    decoding = Decoding(max_new_tokens=config.settings.evaluate.max_new_tokens)
    unique = list({item.id: item for item in items}.values())
    answers = proof.predict(store, config, version, unique, decoding, listen)
    compare = partial(remembered.compare, plugins.task(config.task(task).kind))
    rows = metrics.rows(version.name, "asked", unique, answers, compare)
    by_item = {row.item: row for row in rows}
    return [by_item[item.id] for item in items]


# --- whenever asked for -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a diagnostic is asked of: texts of a file or pairs of suites, and how.

    `cases` per category and `threshold` win over the task's settings and its dev pairs.
    """

    task: str
    version: Version
    against: Version | None
    texts: Sequence[tuple[str, str, float]]
    cases: int | None = None
    threshold: float | None = None


def report(store: Store, config: Config, asked_of: Question, listen: Listener) -> dict[str, Any]:
    """The diagnostic of a version, a line a category, with what flipped against another.

    Raises NotEnoughData: no text offers a case, or there is no threshold.
    """
    settings = config.task(asked_of.task).adversarial
    found = cases(asked_of.texts, settings, asked_of.cases or settings.cases or DEFAULT_CASES)
    if not found:
        raise NotEnoughData("There are no texts to make cases of.")
    dev = proof.dev(store, config, asked_of.task, store.log.last_seq())

    def of(version: Version) -> Answered:
        return answered(
            store, config, version, asked_of.task, found, dev, listen, asked_of.threshold
        )

    one, other = of(asked_of.version), None
    if asked_of.against is not None and asked_of.against.name != asked_of.version.name:
        other = of(asked_of.against)
    table = results.table(
        found,
        one.answers,
        one.threshold,
        before=None if other is None else other.answers,
        threshold_before=None if other is None else other.threshold,
    )
    flips = (
        ()
        if other is None
        else results.flips(found, one.answers, one.threshold, other.answers, other.threshold)
    )
    return {
        "task": asked_of.task,
        "version": asked_of.version.name,
        "against": None if other is None else asked_of.against and asked_of.against.name,
        "threshold": one.threshold,
        "threshold_against": None if other is None else other.threshold,
        "cases": len(found),
        "empty": [
            name for name in settings.policy if name not in {case.category for case in found}
        ],
        "categories": [as_dict(line) for line in table],
        "flips": [as_dict(flip) for flip in flips],
    }


# --- in a cycle ---------------------------------------------------------------------------------


def diagnose(
    turn: Turn, champion: Version, challenger: Version, suites: Sequence[Suite]
) -> Mapping[str, Sides]:
    """Both versions' adversarial cases by category, where a task's settings ask for them."""
    made_of = {
        task: cases(held(suites, task), turn.config.task(task).adversarial)
        for task in asked(turn.config, turn.model)
    }
    if not any(made_of.values()):
        return {}
    seq = turn.cycle.as_of_seq
    dev = {task: proof.dev(turn.store, turn.config, task, seq) for task in made_of}
    versions = list({v.number: v for v in (champion, challenger)}.values())

    def work() -> Json:
        return {
            task: {
                version.name: kept(
                    answered(turn.store, turn.config, version, task, some, dev[task], turn.listen)
                )
                for version in versions
            }
            for task, some in made_of.items()
        }

    inputs: Json = [
        identity(made_of, dev),
        [[version.name, version.files] for version in versions],
    ]
    count = sum(map(len, made_of.values()))
    turn.say("evaluate", f"{challenger.name} on {count:,} adversarial cases")
    answers = turn.journal.step("diagnose", inputs, work)
    turn.say("evaluate", f"{count:,} cases", done=True)
    return watched(made_of, answers, champion.name, challenger.name)


def identity(found: Mapping[str, Sequence[Case]], dev: Mapping[str, Any]) -> Json:
    """What decides the journaled answers besides the versions."""
    return [
        VERSION,
        {task: digest([as_dict(case) for case in some]) for task, some in found.items()},
        {task: digest([as_dict(item) for item in items]) for task, items in dev.items()},
    ]


def kept(found: Answered) -> dict[str, Any]:
    """Plain data for the journal."""
    return {"threshold": found.threshold, "answers": dict(found.answers)}


def watched(
    by_task: Mapping[str, Sequence[Case]],
    answers: Mapping[str, Mapping[str, Any]],
    champion: str,
    challenger: str,
) -> dict[str, Sides]:
    """`TASK/CATEGORY` -> both versions' cases with the metric `passed`; reported ones left out.

    `answers` are those of the journal: task -> version -> threshold and answers.
    """
    found: dict[str, Sides] = {}
    for task, some in by_task.items():
        for category in dict.fromkeys(case.category for case in some):
            of = [case for case in some if case.category == category and case.expected != "report"]
            if of:
                new, old = (
                    _rows(task, of, version, answers[task][version])
                    for version in (challenger, champion)
                )
                found[f"{task}/{category}"] = Sides(challenger=new, champion=old)
    return found


def _rows(
    task: str, found: Sequence[Case], version: str, answered: Mapping[str, Any]
) -> list[EvalRow]:
    rows = []
    for case in found:
        answer = float(answered["answers"][case.id])
        passed = results.passes(case.expected, answer, float(answered["threshold"]))
        rows.append(
            EvalRow(
                version=version,
                suite=f"adversarial:{case.category}",
                task=task,
                item=case.id,
                group=case.id,
                metrics={"passed": float(bool(passed)), "answer": answer},
            )
        )
    return rows


def _expected(item: Item) -> float:
    try:
        return float(item.reference)
    except ValueError:
        return 0.0
