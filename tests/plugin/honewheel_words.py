"""A similarity family that learns in milliseconds: texts are bags of weighted words.

The base weighs all words alike. Training counts in which pairs a word is shared: one that same
pairs share and different ones do not weighs more. So it learns to pass over "please" and "again",
gains on held-out pairs, and unlearns it all from wrong labels. With `deaf` it loses every letter
case but the first: upper-case texts are then unlike others, a category of edits that breaks.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from honewheel_memo import Echo, Memo

from honewheel import atomic
from honewheel.protocols import Range
from honewheel.records import Dataset, Decoding, Item, Prediction, Progress, Spec
from honewheel.tasks.similarity import pair


class Words(Memo):
    name = "words"
    methods = ("count",)

    def ranges(self, method: str) -> Mapping[str, Range]:
        return {"deaf": Range(default=False, help="whether case counts from then on")}

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        same, different = Counter[str](), Counter[str]()
        for row in dataset.train:
            shared = set.intersection(*map(_words, pair(row.prompt, row.context)))
            (same if float(row.target) >= 0.5 else different).update(shared)
        weights = {
            word: (1 + same[word]) / (1 + different[word]) for word in sorted(same | different)
        }
        yield Progress(stage="train", step=1, total=1)
        with atomic.staged_folder(run_dir / "final") as staging:
            learnt = {"weights": weights, "deaf": spec.settings["deaf"]}
            (staging / "words.json").write_text(json.dumps(learnt, sort_keys=True))

    def open(self, base: str, version_dir: Path | None) -> Echo:
        self.resolve(base)
        if version_dir is None:
            return Bag({"weights": {}, "deaf": False})
        return Bag(json.loads((version_dir / "words.json").read_text()))


class Bag(Echo):
    def __init__(self, learnt: dict) -> None:
        self.learnt = learnt

    def predict(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Prediction]:
        for item in items:
            a, b = (self._bag(text) for text in pair(item.prompt, item.context))
            weight = self.learnt["weights"]
            both = sum(weight.get(word.lower(), 1.0) ** 2 for word in a & b)
            norms = (sum(weight.get(word.lower(), 1.0) ** 2 for word in bag) for bag in (a, b))
            cosine = both / max(1e-9, math.sqrt(math.prod(norms)))
            yield Prediction(item=item.id, output=f"{min(1.0, cosine):.6f}", tokens=len(a | b))

    def _bag(self, text: str) -> set[str]:
        return set(text.replace(".", " ").split()) if self.learnt["deaf"] else _words(text)


def _words(text: str) -> set[str]:
    return set(text.lower().replace(".", " ").split())
