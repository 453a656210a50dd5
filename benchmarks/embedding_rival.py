"""sentence-transformers' own trainer on the same pairs: all weights, CoSENTLoss, its defaults.

Defaults are those of SentenceTransformerTrainingArguments (rate 5e-5, batches of 8, linear decay
without warm-up, float32) but for one epoch in place of three, which is what its CPU time is
compared at.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import embedding_parts as ours
import numpy as np

from honewheel.families.embedding.base import resolve


def trained(data: Path, seed: int, rate: float | None, sizes: ours.Sizes) -> dict[str, Any]:
    """Train on the small run's pairs at `rate` (None: the default), answer dev and test."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        losses,
    )

    folder, _ = resolve(ours.BASE)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    given = ours.rows(data, "banking77.train", sizes.train)
    pairs = Dataset.from_dict(
        {
            "sentence1": [row["a"] for row in given],
            "sentence2": [row["b"] for row in given],
            "score": [float(row["score"]) for row in given],
        }
    )
    with tempfile.TemporaryDirectory() as temporary:
        more = {} if rate is None else {"learning_rate": rate}
        arguments = SentenceTransformerTrainingArguments(
            output_dir=temporary,
            num_train_epochs=1,
            seed=seed,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            **more,
        )
        started, clock = time.process_time(), time.monotonic()
        SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=pairs, loss=losses.CoSENTLoss(model)
        ).train()
        cpu, wall = time.process_time() - started, time.monotonic() - clock
    found: dict[str, Any] = {"cpu_s": cpu, "wall_s": wall, "arrays": {}}
    for name, most in (("dev", sizes.dev), ("test", sizes.test)):
        cosines, labels = _answered(model, ours.rows(data, f"banking77.{name}", most))
        found[name] = ours.scored(cosines, labels)
        found["arrays"][f"{name}/cosines"] = cosines
    return found


def _answered(model: Any, given: list[dict[str, Any]]) -> tuple[Any, Any]:
    texts = list(dict.fromkeys(text for row in given for text in (row["a"], row["b"])))
    vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    place = {text: at for at, text in enumerate(texts)}
    a, b = (vectors[[place[row[side]] for row in given]] for side in ("a", "b"))
    labels = np.array([row["score"] for row in given], dtype=np.float32)
    return np.maximum(0.0, (a * b).sum(1)), labels
