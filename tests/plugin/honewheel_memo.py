"""A model family that learns in milliseconds: word substitutions, counted from prompt to target.

The base repeats its prompt. Training counts which word of a prompt became which word of its
target, by the first word of the prompt and over all of them; answering applies the majority. So
it gains on held-out prompts, and forgets what it is not shown again: everything a cycle has to
notice, without a neural network. It is a plug-in like any other.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from honewheel import atomic
from honewheel.errors import NotFound, TrainingFailed
from honewheel.protocols import START, START_RANGE, Range
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

Table = dict[str, dict[str, str]]


class Memo:
    name = "memo"
    methods = ("count",)

    def ranges(self, method: str) -> Mapping[str, Range]:
        return {
            START: START_RANGE,
            "steps": Range(default=3, low=1, high=50, help="progress steps"),
            "fail_at": Range(default=0, low=0, high=50, help="step that raises; 0 never"),
        }

    def resolve(self, base: str) -> tuple[Path, str]:
        if base != "memo/echo":
            raise NotFound(f"There is no base {base!r}.")
        return Path(), digest(base)

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        return ()

    def check_start(self, spec: Spec, start: Path) -> Sequence[Finding]:
        return ()

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        return Estimate(bytes_by_part={"table": 1000})

    def preload(self) -> str | None:
        return None

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        total = int(spec.settings["steps"])  # type: ignore[arg-type]
        for step in range(1, total + 1):
            if step == spec.settings["fail_at"]:
                raise TrainingFailed(f"loss is nan at step {step}")
            yield Progress(stage="train", step=step, total=total, loss=1 / step)
        table = _learn(dataset)
        if spec.start_files is not None:
            known: Table = json.loads((run_dir / START / "table.json").read_text())
            table = {first: known.get(first, {}) | table.get(first, {}) for first in known | table}
        with atomic.staged_folder(run_dir / "final") as staging:
            (staging / "table.json").write_text(json.dumps(table, sort_keys=True))

    def open(self, base: str, version_dir: Path | None) -> Echo:
        self.resolve(base)
        if version_dir is None:
            return Echo({})
        return Echo(json.loads((version_dir / "table.json").read_text()))


class Echo:
    def __init__(self, table: Table) -> None:
        self.table = table

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
            words = item.prompt.split(" ")
            known = self.table.get("", {}) | self.table.get(_first(item.prompt), {})
            output = " ".join(known.get(word, word) for word in words)
            yield Prediction(item=item.id, output=output, tokens=len(words), asked=len(words))


def _first(prompt: str) -> str:
    return prompt.split()[0] if prompt.split() else ""


def _learn(dataset: Dataset) -> Table:
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for row in dataset.train:
        before, after = row.prompt.split(" "), row.target.split(" ")
        if len(before) == len(after):
            for left, right in zip(before, after, strict=True):
                counts[""][left][right] += 1
                counts[_first(row.prompt)][left][right] += 1
    return {
        first: {
            left: max(sorted(found), key=lambda right: found[right])
            for left, found in sorted(table.items())
        }
        for first, table in sorted(counts.items())
    }
