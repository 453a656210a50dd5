"""A training that makes no version: its answers are scored and kept, its weights are not.

Ablations and searches rehearse by the dozen. What a rehearsal came to is kept by the hash of what
decides it, so one that was done before is read, and one that was killed goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from honewheel import atomic, plugins
from honewheel.config import Config
from honewheel.evaluate import metrics
from honewheel.records import Dataset, Decoding, EvalRow, Progress, Spec, Suite, as_dict
from honewheel.tasks import remembered
from honewheel.train import run as train
from honewheel.train.warm import WarmProcess

Listener = Callable[[Progress], None]
Seen = Callable[[EvalRow], None]  # may raise, which ends the answering


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """One model to train and ask; `key` is the hash of what decides its answers.

    `start` is the folder of the version it starts from (None: the base).
    """

    spec: Spec
    dataset: Dataset
    key: str
    start: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one rehearsal came to; rows are in the order of suites and items, without outputs."""

    rows: tuple[EvalRow, ...]
    seconds: float
    examples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where rehearsals are held: what is asked, how, and the folder that remembers."""

    config: Config
    suites: Sequence[Suite]
    decoding: Decoding
    folder: Path
    clock: Callable[[], datetime]
    warm: WarmProcess  # what trainings are forks of, where they can be

    def known(self, key: str) -> bool:
        """Whether its outcome is kept already."""
        return self._path(key).exists()

    def outcome(self, one: Rehearsal, listen: Listener, seen: Seen | None = None) -> Outcome:
        """Train and ask, or what is known of it; `seen` gets each row as soon as it is scored.

        When `seen` raises, nothing is kept but the trained weights: asked again, only the
        answering is repeated.
        """
        path = self._path(one.key)
        if not path.exists():
            self._hold(one, path, listen, seen)
            return _read(path)
        found = _read(path)
        if seen is not None:
            for row in found.rows:
                seen(row)
        return found

    def forget(self, key: str) -> None:
        """Remove what a rehearsal left that was given up."""
        shutil.rmtree(self._run_dir(key), ignore_errors=True)

    def _run_dir(self, key: str) -> Path:
        return self.folder / f"run-{key[:32]}"

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:32]}.json"

    def _hold(self, one: Rehearsal, path: Path, listen: Listener, seen: Seen | None) -> None:
        run_dir = self._run_dir(one.key)
        started = self.clock()
        final = train.run(
            one.spec.family,
            one.spec,
            one.dataset,
            run_dir,
            listen,
            start=one.start,
            warm=self.warm,
        )
        rows = self._ask(one, final, listen, seen)
        data = {
            "rows": [as_dict(replace(row, output="")) for row in rows],
            "seconds": (self.clock() - started).total_seconds(),
            "examples": len(one.dataset.train),
        }
        atomic.write_file(path, json.dumps(data).encode())
        shutil.rmtree(run_dir)

    def _ask(
        self, one: Rehearsal, final: Path, listen: Listener, seen: Seen | None
    ) -> list[EvalRow]:
        asked = {item.id: (suite, item) for suite in self.suites for item in suite.items}
        rows: dict[str, EvalRow] = {}
        family = plugins.family(one.spec.family)
        with family.open(one.spec.base, final) as model:
            items = [item for _, item in asked.values()]
            for step, answer in enumerate(model.predict(items, self.decoding), start=1):
                suite, item = asked[answer.item]
                kind = plugins.task(self.config.task(suite.task).kind)
                compare = partial(remembered.compare, kind)
                (row,) = metrics.rows(one.key[:12], suite.name, [item], [answer], compare)
                rows[item.id] = row
                listen(Progress(stage="evaluate", step=step, total=len(items)))
                if seen is not None:
                    seen(row)
        return [rows[item] for item in asked]


def _read(path: Path) -> Outcome:
    data = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(EvalRow(**row) for row in data["rows"])
    return Outcome(rows=rows, seconds=data["seconds"], examples=data["examples"])
