"""Forgetting: erase what events say, list what learnt from it, queue a retrain, and prove it.

Text goes from the log, from remembered answers, from sealed datasets, runs and reports. Ids,
hashes, numbers and lineage stay, so that what happened can still be traced. Weights that learnt
from the events stay too, and are named: only a version trained without them replaces those.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from honewheel.config import Config
from honewheel.errors import InputError, NotFound
from honewheel.loop.worker import CYCLE, end_cycle
from honewheel.records import count
from honewheel.store import Store
from honewheel.store.erasure import Texts, mentions


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was done. `remains` names every column and file that still holds one of the texts;
    empty is the proof. `versions` learnt from the events; those in use are in `serving`.
    """

    events: tuple[str, ...]
    versions: tuple[str, ...]
    serving: tuple[str, ...]
    datasets: tuple[str, ...]
    removed: tuple[str, ...]  # folders below the project
    jobs: tuple[int, ...]
    searched: int  # texts that were looked for
    remains: tuple[str, ...]


def forget(
    store: Store,
    config: Config,
    *,
    events: Sequence[str] = (),
    source: str | None = None,
    subject: str | None = None,
    who: str,
    reason: str,
    now: datetime,
) -> Forgotten:
    """Erase events by id, by who spoke of them, or by a text that they mention (`subject`).

    Doing it again goes on where it was cut short. Raises NotFound (no such event), InputError
    (nothing named, no reason), StoreBusy (a cycle, a search or an ablation is running).
    """
    if not reason.strip() or not who.strip():
        raise InputError("Forgetting needs a reason and the name of who asks.")
    names = _named(store, events, source, subject)
    with ExitStack() as held:
        held.enter_context(store.exclusive("intake"))
        models = sorted({*config.settings.models, *store.cycles.models()})
        found = store.erasure.texts(names)
        if subject is not None:
            found = Texts(found.events, found.texts | {subject})
        versions, datasets = _learnt(store, found.events)
        for model in models:
            end_cycle(store, model, f"what it had gathered was to be forgotten: {reason}", now)
            for work in ("cycle", "search", "ablate"):
                held.enter_context(store.exclusive(f"{work}:{model}"))
        # Files first: cut short here, the log still tells what is to be looked for.
        removed = _remove(store, config, datasets, found.texts)
        store.erasure.erase(found, who=who, reason=reason, at=now)
        store.erasure.scrub()
    serving = _serving(store, versions)
    return Forgotten(
        events=found.events,
        versions=tuple(versions),
        serving=serving,
        datasets=tuple(datasets),
        removed=tuple(removed),
        jobs=_retrain(store, config, serving, reason),
        searched=len(found.texts),
        remains=tuple(_remains(store, config, found.texts)),
    )


def _named(
    store: Store, events: Sequence[str], source: str | None, subject: str | None
) -> list[str]:
    given = sum((bool(events), source is not None, subject is not None))
    if given != 1:
        raise InputError("Name what to forget by one of: events, a source, a subject.")
    if events:
        return [store.log.event(name).id for name in events]
    if source is not None:
        found, what = store.erasure.of_source(source), f"source {source!r} said nothing"
    else:
        assert subject is not None
        if len(subject.strip()) < 3:
            raise InputError("A subject of fewer than 3 characters would be found anywhere.")
        found, what = store.erasure.mentioning(subject), "no event mentions the subject"
    if not found:
        raise NotFound(f"There is nothing to forget: {what}.")
    return found


def _learnt(store: Store, events: Sequence[str]) -> tuple[list[str], list[str]]:
    """(versions, datasets) that any of the events went into, each once, in order.

    A version whose training started from one of them has their weights in its own.
    """
    datasets = dict.fromkeys(use.dataset for name in events for use in store.datasets.uses(name))
    shown = [one for name in datasets for one in store.versions.by_dataset(name)]
    versions = [one.name for one in (*shown, *store.versions.going_on_from(shown))]
    return list(dict.fromkeys(versions)), list(datasets)


def _serving(store: Store, versions: Sequence[str]) -> tuple[str, ...]:
    """Those of the versions that answer requests now."""
    found = []
    for name in versions:
        model, _, number = name.rpartition("@")
        champion, trial = store.versions.alias(model), store.deployments.current(model)
        used = {champion.version if champion else None, trial.version if trial else None}
        if int(number) in used:
            found.append(name)
    return tuple(found)


def _retrain(store: Store, config: Config, serving: Sequence[str], reason: str) -> tuple[int, ...]:
    models = dict.fromkeys(name.rpartition("@")[0] for name in serving)
    told = f"a version in use learnt what was forgotten: {reason}"
    return tuple(
        store.jobs.add(CYCLE, model, reason=told)[0].id
        for model in models
        if model in config.settings.models
    )


# --- files ----------------------------------------------------------------------------------------


def _remove(
    store: Store, config: Config, datasets: Sequence[str], texts: frozenset[str]
) -> list[str]:
    """Files of datasets that held the events, and runs, reports and logs that hold the texts; of
    searches and ablations, rehearsals that were cut short.
    """
    removed = []
    for one in store.datasets.list():
        if one.hash in datasets:
            store.files.remove(one.files)
            removed += [f"files/{one.files}", *_drop(config.state / "runs" / one.cycle)]
            removed += _drop(config.state / "reports" / one.cycle)
    for room in ("runs", "reports", "logs", "search", "ablate"):
        for path in sorted((config.state / room).glob("*")):
            if any(_holds(file, texts) for file in _files(path)):
                removed += _drop(path)
    return removed


def _drop(path: Path) -> list[str]:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.is_file():
        path.unlink()
    else:
        return []
    return [f"{path.parent.name}/{path.name}"]


def _remains(store: Store, config: Config, texts: frozenset[str]) -> Iterator[str]:
    """Every column and file that still holds one of the texts."""
    for place, rows in sorted(store.erasure.remains(texts).items()):
        yield f"{place} ({count(rows, 'row')})"
    for root in dict.fromkeys((config.state, store.files.root)):
        for file in _files(root):
            if _holds(file, texts):
                yield str(file)


def _files(path: Path) -> Iterator[Path]:
    yield from (one for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())


def _holds(file: Path, texts: frozenset[str]) -> bool:
    if file.suffix == ".parquet":
        return mentions(_parquet(file), texts)
    raw = file.read_bytes()
    return any(form in raw for text in texts for form in _forms(text))


def _forms(text: str) -> set[bytes]:
    """A text as it may stand in a file: plain, in JSON, in HTML."""
    json_forms = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    return {form.encode() for form in (text, html.escape(text), *json_forms)}


def _parquet(file: Path) -> Iterator[str]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(file).iter_batches():
        for column in batch.to_pydict().values():
            yield from (value for value in column if isinstance(value, str))
