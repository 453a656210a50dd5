"""What a run will need, from the files of its base and its texts. Loads no weights.

Bytes of activations are those of a BERT-like layer as autograd keeps them; the seconds are the
multiplications at a rate that one core of a server processor sustains, so both are rough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from honewheel.families import hardware
from honewheel.families.embedding import base as bases
from honewheel.families.embedding.pairs import read
from honewheel.families.embedding.ranges import AUTO, LADDERS, planned_updates
from honewheel.families.weights import read_json, tensor_shapes
from honewheel.records import Dataset, Estimate, Finding, Spec

FLOAT = 4
LIBRARIES = 700_000_000  # torch, transformers and sentence-transformers, imported
KEPT_HIDDEN, KEPT_INNER, KEPT_SCORES = 14, 3, 2  # values that autograd keeps a token and layer
FLOPS = 2e10  # multiply-adds a second and core that products of this size reach, times two
LOW, HIGH = 0.5, 2.0  # the peak as shares of the sum of the parts
_DEFAULT_LIMIT = 512


def texts(dataset: Dataset) -> tuple[str, ...]:
    """Every text of the training and validation pairs, once."""
    return read(dataset.train, dataset.val, 1.0).texts


def limit(folder: Path, spec: Spec) -> int:
    """Tokens of a text that a training reads."""
    part = bases.transformer(folder)
    told = _told(part / "sentence_bert_config.json", "max_seq_length")
    told = told or _told(part / "tokenizer_config.json", "model_max_length")
    found = int(told or _config(folder).get("max_position_embeddings") or _DEFAULT_LIMIT)
    asked = spec.settings.get("max_tokens", found)
    return min(found, int(str(asked)))


def _told(path: Path, key: str) -> int | None:
    found = read_json(path).get(key) if path.is_file() else None
    # Tokenizers that know no limit say 1e30.
    return int(found) if isinstance(found, int | float) and found < 1 << 20 else None


def tokens(folder: Path, rows: Sequence[str]) -> list[int]:
    """Tokens of each text, marks included, before anything is cut."""
    found = _tokenizer(bases.transformer(folder) / "tokenizer.json").encode_batch(list(rows))
    return [len(one.ids) for one in found]


@lru_cache(maxsize=4)
def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(path))
    found.no_truncation()
    found.no_padding()
    return found


def estimate(folder: Path, spec: Spec, dataset: Dataset, cores: int) -> Estimate:
    """Bytes by part and rough seconds of a run on `cores` cores."""
    config, settings = _config(folder), dict[str, Any](spec.settings)
    shapes = tensor_shapes(bases.transformer(folder))
    weights = sum(math.prod(shape) for shape in shapes.values())
    hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    inner, heads = int(config["intermediate_size"]), int(config["num_attention_heads"])
    rows = texts(dataset)
    reads = limit(folder, spec)
    sizes = [min(size, reads) for size in tokens(folder, rows)]
    mean = sum(sizes) / max(1, len(sizes))
    per_token = 2.0 * layers * (4 * hidden**2 + 2 * hidden * inner)
    once = per_token * sum(sizes)  # every text through the transformer
    updates = planned_updates(spec.method, settings, len(dataset.train))
    rungs = len(LADDERS[spec.method]) if settings["learning_rate"] == AUTO else 1
    if spec.method == "head":
        parts = {
            "weights": FLOAT * weights,
            "vectors": FLOAT * hidden * len(rows),
            "trained": 4 * FLOAT * hidden**2,
        }
        learnt = 6.0 * hidden**2 * 2 * settings["batch_size"] * rungs * updates
        return _estimate(parts, (once + learnt) / (FLOPS * cores))
    adapters = 2 * int(settings.get("rank", 0)) * layers * (8 * hidden + 2 * (hidden + inner))
    trained = weights if spec.method == "full" else adapters
    batch = 2 * settings["batch_size"] * mean
    kept = KEPT_HIDDEN * hidden + KEPT_INNER * inner + KEPT_SCORES * heads * mean
    parts = {
        "weights": FLOAT * weights,
        "gradients and optimizer": 3 * FLOAT * trained,
        "activations": round(FLOAT * batch * layers * kept),
    }
    share = 1.0 + (rungs * float(settings["ladder_share"]) if rungs > 1 else 0.0)
    looks = share * settings["epochs"] / settings["eval_every"]
    seen = share * updates * batch * per_token
    backward = 3.0 if spec.method == "full" else 2.2
    judged = looks * once * len(dataset.val) / max(1, len(dataset.train) + len(dataset.val))
    return _estimate(parts, (backward * seen + judged) / (FLOPS * cores))


def _estimate(parts: dict[str, int], seconds: float) -> Estimate:
    return Estimate(
        bytes_by_part={**parts, "libraries": LIBRARIES}, seconds=seconds, low=LOW, high=HIGH
    )


def room(needed: Estimate) -> list[Finding]:
    """A refusal when the run would not fit into the memory that is free."""
    free = hardware.available()
    if free is None or needed.total_bytes <= free:
        return []
    listed = ", ".join(
        f"{name} {hardware.gigabytes(amount)}" for name, amount in needed.bytes_by_part.items()
    )
    message = (
        f"Training needs about {hardware.gigabytes(needed.total_bytes)} and "
        f"{hardware.gigabytes(free)} are available ({listed}). Lower batch_size or max_tokens, or "
        'use method = "head".'
    )
    return [Finding(code="memory", message=message)]


def _config(folder: Path) -> dict[str, Any]:
    return dict(read_json(bases.transformer(folder) / "config.json"))
