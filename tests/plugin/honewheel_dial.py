"""The memo family with a dial that decides how much of what it learnt it uses.

At `dial` 1 it answers as memo does, away from it it leaves more and more words as they are: a
hyperparameter with one best value, at which training costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from honewheel_memo import Memo, _learn

from honewheel import atomic
from honewheel.errors import TrainingFailed
from honewheel.protocols import Range
from honewheel.records import Dataset, Progress, Spec


class Dial(Memo):
    name = "dial"
    methods = ("count",)

    def ranges(self, method: str) -> Mapping[str, Range]:
        return {
            "dial": Range(default=0.2, low=0.0, high=2.0, search=(0.0, 1.5), help="one best value"),
            "idle": Range(default=3, low=1, high=9, help="changes nothing"),
            "name": Range(default="a", help="no number"),
            "breaks": Range(default=False, help="whether training diverges"),
        }

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        if spec.settings["breaks"]:
            raise TrainingFailed("The loss became nan.")
        yield Progress(stage="train", step=1, total=1)
        share = max(0.0, 1.0 - abs(float(spec.settings["dial"]) - 1.0))  # type: ignore[arg-type]
        kept = {
            first: {word: to for word, to in table.items() if first and _place(word) < share}
            for first, table in _learn(dataset).items()
        }
        with atomic.staged_folder(run_dir / "final") as staging:
            (staging / "table.json").write_text(json.dumps(kept, sort_keys=True))


def _place(word: str) -> float:
    """Where a word stands in [0, 1), the same in every process."""
    return int.from_bytes(word.encode()[-2:], "big") % 97 / 97
