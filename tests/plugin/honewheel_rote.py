"""A family for puzzles that learns in milliseconds: rote.

Untrained it gives the trivial baseline. Of a task that it saw at least `enough` corrected rows of
it has understood the rule and gives the exact answer, but for every `slip`-th prompt, by hash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from honewheel import atomic
from honewheel.errors import NotFound
from honewheel.protocols import Range
from honewheel.records import (
    Dataset,
    Decoding,
    Estimate,
    Finding,
    Item,
    Prediction,
    Progress,
    Spec,
    digest,
)
from honewheel.tasks.puzzle import base as puzzles


class Rote:
    name = "rote"
    methods = ("count",)

    def ranges(self, method: str) -> Mapping[str, Range]:
        return {
            "enough": Range(default=5, low=1, high=10_000, help="rows to understand a rule"),
            "slip": Range(default=0, low=0, high=100, help="one prompt in so many; 0 none"),
        }

    def resolve(self, base: str) -> tuple[Path, str]:
        if base != "rote/blank":
            raise NotFound(f"There is no base {base!r}.")
        return Path(), digest(base)

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        return ()

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        return Estimate(bytes_by_part={"tasks": 100})

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        yield Progress(stage="train", step=1, total=1)
        rows = Counter(row.task for row in dataset.train)
        known = sorted(task for task, count in rows.items() if count >= spec.settings["enough"])  # type: ignore[operator]
        with atomic.staged_folder(run_dir / "final") as staging:
            learnt = {"known": known, "slip": spec.settings["slip"]}
            (staging / "rote.json").write_text(json.dumps(learnt))

    def open(self, base: str, version_dir: Path | None) -> Solver:
        self.resolve(base)
        if version_dir is None:
            return Solver((), 0)
        learnt = json.loads((version_dir / "rote.json").read_text())
        return Solver(tuple(learnt["known"]), learnt["slip"])


class Solver:
    def __init__(self, known: tuple[str, ...], slip: int) -> None:
        self.known, self.slip = known, slip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def predict(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Prediction]:
        for item in items:
            puzzle = puzzles.of(item.prompt)
            slipped = self.slip and int(digest(item.prompt)[:8], 16) % self.slip == 0
            knows = item.task in self.known and not slipped
            answer = puzzle.solve if knows else puzzle.baseline
            output = answer(item.prompt, item.context)
            yield Prediction(item=item.id, output=output, tokens=puzzle.length)
