"""What a training starts from: the base, or (`start = "champion"`) the version in use.

A warm start has learnt what its version, and the ones that went on from, were trained on; so it
is shown what is new, and of the rest what replay draws. What was forgotten or rejected since stays
in weights: from a version that learnt it no training goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from honewheel import plugins
from honewheel.config import Config
from honewheel.protocols import START, WarmStarts
from honewheel.records import Finding, Spec, Version, count
from honewheel.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The version whose weights a training begins with (None: the base) and where they are.

    `learnt` are the ids of the examples these weights were trained on; `why` is set where the
    champion was asked for and is not started from.
    """

    version: Version | None = None
    folder: Path | None = None
    learnt: frozenset[str] = frozenset()
    why: str = ""

    @property
    def files(self) -> str | None:
        """Digest of the folder, as `Spec.start_files` has it."""
        return None if self.version is None else self.version.files

    @property
    def number(self) -> int | None:
        return None if self.version is None else self.version.number

    @property
    def name(self) -> str | None:
        return None if self.version is None else self.version.name


FROM_BASE = Start()


def of(
    store: Store, config: Config, model: str, champion: Version | None, as_of: datetime
) -> Start:
    """What the next training of a model starts from, by the rulings made until `as_of`.

    Raises NotFound, Damaged (the champion's files).
    """
    family = plugins.family(config.model(model)[1].family)
    asked = (
        isinstance(family, WarmStarts) and config.hyperparameters(model).get(START) == "champion"
    )
    if not asked:
        return FROM_BASE
    if champion is None or champion.files is None:
        return Start(why="starts from the base, which is the champion")
    datasets = [one.dataset for one in store.versions.ancestry(champion) if one.dataset]
    if gone := store.erasure.learnt(datasets) + _rejected(store, datasets, as_of):
        told = f"{count(gone, 'event')} since forgotten or rejected"
        return Start(why=f"starts from the base: {champion.name} has learnt {told}")
    return Start(
        version=champion,
        folder=store.files.verify(champion.files),
        learnt=frozenset(store.datasets.shown_examples(datasets)),
    )


def _rejected(store: Store, datasets: Sequence[str], as_of: datetime) -> int:
    """How many events of the datasets must not train, by a person's word or the watch's."""
    ruled = store.held.rulings(as_of)
    names = {name for name, one in ruled.items() if one.verdict != "release"}
    shown = (store.datasets.shown_events(one) for one in datasets) if names else ()
    return len(names & set[str]().union(*shown))


def check(spec: Spec, start: Start) -> Sequence[Finding]:
    """Why `spec` cannot go on from `start`, if it cannot."""
    family = plugins.family(spec.family)
    if start.folder is None or not isinstance(family, WarmStarts):
        return ()
    return family.check_start(spec, start.folder)
