"""What honewheel's embedding family does on the similarity sets, a part a process.

A part returns its figures and the cosines of its test pairs, so that intervals and verdicts can be
computed without training again. CPU seconds are those of the process, all threads together.
"""

from __future__ import annotations

import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from honewheel.families.embedding import head, judge
from honewheel.families.embedding.family import Embedding
from honewheel.records import Dataset, Decoding, Example, Item, Json, Spec, dataset_hash
from honewheel.tasks import ranking
from honewheel.tasks.similarity import as_prompt

BASE = "minilm"
VECTORS = Path(".bench/embedding/vectors")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Pairs that are taken: of training for the small runs and the best, of dev, of test."""

    train: int = 2400
    all: int = 8000
    dev: int = 1000
    test: int = 100_000
    indexed: int = 100_000


def rows(data: Path, name: str, most: int) -> list[dict[str, Any]]:
    with (data / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line, _ in zip(file, range(most), strict=False)]


def dataset(data: Path, name: str, train: int, dev: int) -> Dataset:
    """`train` and `dev` pairs of a set, in the order of its files."""
    learnt, judged = (
        tuple(
            Example(
                id=f"{split}-{at}",
                task=name,
                prompt=as_prompt(row["a"], row["b"]),
                target=f"{row['score']:g}",
                group=f"{split}-{at}",
                split="train" if split == "train" else "val",
            )
            for at, row in enumerate(rows(data, f"{name}.{split}", most))
        )
        for split, most in (("train", train), ("dev", dev))
    )
    return Dataset(hash=dataset_hash(learnt, judged), train=learnt, val=judged)


def spec(method: str, seed: int, **changes: Json) -> Spec:
    """The family's defaults but for `changes`."""
    family = Embedding()
    settings = {key: rule.default for key, rule in family.ranges(method).items()}
    return Spec(
        family=family.name,
        base=BASE,
        base_hash=family.resolve(BASE)[1],
        method=method,
        settings=settings | changes,
        seed=seed,
    )


def answered(data: Path, name: str, most: int, version: Path | None) -> tuple[Any, Any]:
    """Cosines (cut at 0, as the model answers) and labels of the test pairs of a set."""
    given = rows(data, f"{name}.test", most)
    labels = np.array([row["score"] for row in given], dtype=np.float32)
    if version is None or (version / head.WEIGHTS).is_file():
        return _by_vectors(given, name, version), labels
    items = [
        Item(id=str(at), task=name, prompt=as_prompt(row["a"], row["b"]), reference="", group="")
        for at, row in enumerate(given)
    ]
    with Embedding().open(BASE, version) as model:
        found = {one.item: float(one.output) for one in model.predict(items, Decoding())}
    return np.array([found[item.id] for item in items], dtype=np.float32), labels


def _by_vectors(given: Sequence[Mapping[str, Any]], name: str, version: Path | None) -> Any:
    """What the base, or a head on it, answers; vectors of the base are made once and kept."""
    texts = list(dict.fromkeys(row[side] for row in given for side in "ab"))
    path = VECTORS / f"{name}-{len(texts)}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with Embedding().open(BASE, None) as model:
            np.save(path, model.embed(texts))
    vectors = np.load(path)
    if version is not None:
        with torch.inference_mode():
            vectors = head.load(version)(torch.from_numpy(vectors)).numpy()
    place = {text: at for at, text in enumerate(texts)}
    a, b = (vectors[[place[row[side]] for row in given]] for side in "ab")
    return np.maximum(0.0, (a * b).sum(1))


def scored(cosines: Any, labels: Any) -> dict[str, float]:
    from sklearn.metrics import average_precision_score

    return {
        "spearman": judge.spearman(cosines, labels),
        "auc": judge.auc(cosines, labels),
        "ap": float(average_precision_score(labels >= ranking.SAME, cosines)),
    }


def base(data: Path, sizes: Sizes, sets: Sequence[str]) -> dict[str, Any]:
    """The untrained base on the test pairs of each set."""
    found: dict[str, Any] = {"arrays": {}}
    for name in sets:
        cosines, labels = answered(data, name, sizes.test, None)
        found[name] = scored(cosines, labels)
        found["arrays"] |= {f"{name}/cosines": cosines, f"{name}/labels": labels}
    return found


def trained(
    data: Path,
    given: Dataset,
    wanted: Spec,
    sets: Sequence[str],
    sizes: Sizes,
) -> dict[str, Any]:
    """Train, then answer the test pairs of `sets`. Embedding the texts is told apart."""
    import sentence_transformers  # noqa: F401  # imported before the clock starts, as the rival does

    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        run.mkdir()
        started, caching, note = time.process_time(), 0.0, ""
        clock = time.monotonic()
        for step in Embedding().train(wanted, given, run):
            if step.message.startswith("embedded"):
                caching = time.process_time() - started
            note = step.message or note
        cpu, wall = time.process_time() - started, time.monotonic() - clock
        report = json.loads((run / "final" / "training.json").read_text())
        found: dict[str, Any] = {
            "cpu_s": cpu,
            "caching_cpu_s": caching,
            "train_cpu_s": cpu - caching,
            "wall_s": wall,
            "rate": report["rate"],
            "updates": report["updates"],
            "best_update": report["best_update"],
            "dev": report["scores"][-1][1],
            "arrays": {},
        }
        for name in sets:
            cosines, labels = answered(data, name, sizes.test, run / "final")
            found[name] = scored(cosines, labels)
            found["arrays"] |= {f"{name}/cosines": cosines}
    return found


def indexed(sizes: Sizes) -> dict[str, Any]:
    """Most memory held while short texts are embedded and indexed: a tenth of them, then all."""
    from honewheel.export import index
    from honewheel.export.rows import Row

    words = "card app pin cash loan rate fee login phone transfer euro help lost new wrong".split()
    draw = random.Random(0)
    texts = [" ".join(draw.choices(words, k=4)) for _ in range(1000)]
    peaks = {}
    with tempfile.TemporaryDirectory() as temporary, Embedding().open(BASE, None) as model:
        maker = index.Maker(version="bench@0", files="bench", base=BASE, base_hash="bench")
        started = time.process_time()
        for count in (sizes.indexed // 10, sizes.indexed):
            made = (Row(str(at), f"{texts[at % 1000]} {at}") for at in range(count))
            folder = Path(temporary) / str(count)
            index.build(made, model, maker, folder, lambda _: None, count)
            peaks[count] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        cpu = time.process_time() - started
        (vector,) = model.embed([texts[0]])
        clock = time.process_time()
        index.search(folder, vector, 10)
        search = time.process_time() - clock
    small, large = peaks.values()
    return {"peak_small": small, "peak_large": large, "cpu_s": cpu, "search_cpu_s": search}


def lower_and_upper(
    old: Any, new: Any, labels: Any, measure: Any, resamples: int = 1000
) -> tuple[float, float]:
    """95 % interval of the difference, by a bootstrap of the pairs (the same for both sides)."""
    draw = np.random.default_rng(0)
    gains = []
    for _ in range(resamples):
        at = draw.integers(0, len(labels), len(labels))
        gains.append(measure(new[at], labels[at]) - measure(old[at], labels[at]))
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


def settings_of(arm: Mapping[str, Any]) -> dict[str, Json]:
    """The recipe of the system that got worse: LoRA r 16, alpha 32, on q, k, v and dense."""
    return {
        "learning_rate": arm["rate"],
        "epochs": arm["epochs"],
        "batch_size": 8,
        "rank": 16,
        "alpha": 32,
        "dropout": 0.1,
        "target_modules": "query,key,value,dense",
        "keep": "last",
        "patience": 1000,
        "eval_every": 10.0,
    }


def quiet() -> None:
    """As the training child is started."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
