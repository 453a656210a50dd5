"""Test cases by a trained version, and what reviewers said of them, on its way into the log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from pathlib import Path

from honewheel.config import Config
from honewheel.errors import InputError, NotFound
from honewheel.events.accept import accept
from honewheel.loop import proof, registry
from honewheel.records import Decoding, Item, Progress, Version
from honewheel.store import Store
from honewheel.testcases import requirements, review
from honewheel.testcases.cases import TestCases, collect
from honewheel.testcases.problems import Asked, problems


def by_version(
    store: Store,
    config: Config,
    name: str | None,
    path: Path,
    *,
    rule: str,
    digits: int | None,
    tasks: Collection[str],
    now: datetime,
    listen: Callable[[Progress], None],
) -> TestCases:
    """The cases that a version ("artifacts@3") writes for a requirements file.

    None is the champion of the only model, once it has learnt something; the untrained base
    answers when it is named. `tasks` choose among the model's tasks where several are of the kind
    that a problem needs.

    Raises:
        InputError: the file, the rule, or no single task for a problem.
        NotFound: no such version, or none that was trained.
    """
    found = requirements.read(path)
    asked = problems(found, rule, digits)
    version = _version(store, config, name, now)
    known = config.model(version.model)[1].tasks
    items = [
        Item(
            id=f"{one.kind}/{one.subject}",
            task=_task(config, known, one, tasks, version.model),
            prompt=one.prompt,
            reference="",
            group=one.subject,
        )
        for one in asked
    ]
    decoding = Decoding(max_new_tokens=config.settings.evaluate.max_new_tokens)
    answers = proof.predict(store, config, version, items, decoding, listen)
    return collect(found, asked, [one.output for one in answers], version.name)


def _version(store: Store, config: Config, name: str | None, now: datetime) -> Version:
    model = config.model(None if name is None else name.partition("@")[0] or None)[0]
    registry.ensure_champion(store, config, model, now)
    version = registry.find(store, config, name or model)
    if version.number == 0 and (name is None or "@" not in name):
        raise NotFound(
            f"{model} has no trained version yet; its champion is the untrained base. Run: "
            f"honewheel cycle {model}, or take --by oracle for the exact cases of the rules."
        )
    return version


def reviewed(
    store: Store,
    config: Config,
    folder: Path,
    *,
    tasks: Collection[str],
    source: str,
    now: datetime,
) -> list[str]:
    """Record what a reviewed folder says, all of it or nothing; the ids of the events.

    Raises InputError; see `testcases.review`.
    """
    rows = [
        remark.row(_task(config, config.settings.tasks, remark.asked, tasks, "the project"), source)
        for remark in review.read(folder)
    ]
    if not rows:
        raise InputError(
            f"{folder} says nothing yet: fill in the column review of cases.csv (ok, wrong, "
            "remove), change values, or add lines."
        )
    entries = [accept(config, row, now) for row in rows]
    store.log.append(
        [one.response for one in entries if one.response],
        [item for one in entries for item in one.feedback],
    )
    return [one.id for one in entries]


def _task(
    config: Config, known: Iterable[str], asked: Asked, wanted: Collection[str], whose: str
) -> str:
    """The one task of `known` that is of a problem's kind, among `wanted` where any are."""
    for name in wanted:
        config.task(name)
    fits = [name for name in sorted(known) if config.task(name).kind == asked.kind]
    chosen = [name for name in fits if name in wanted] or fits
    if len(chosen) == 1:
        return chosen[0]
    if not fits:
        raise InputError(
            f"{whose} has no task of kind {asked.kind}, which {asked.subject or 'the choices'} "
            "need. Add one to honewheel.toml and train it, or take --by oracle."
        )
    raise InputError(
        f"Which task answers {asked.subject or 'the choices'}? {', '.join(chosen)} are of kind "
        f"{asked.kind}. Give --task NAME."
    )
