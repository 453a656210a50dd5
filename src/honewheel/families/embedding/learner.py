"""The three rungs behind one interface: what is trained, and the vectors of numbered texts.

A head learns on cached vectors of the base. LoRA and full training run the transformer.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from honewheel.families import adapters, modes, precision
from honewheel.families.embedding import base as bases
from honewheel.families.embedding import cache, head
from honewheel.families.embedding.encoder import Encoder, set_dropout
from honewheel.families.weights import TOKENIZER_FILES
from honewheel.protocols import START
from honewheel.records import Json, Spec

Ints = NDArray[np.int64]


class Learner(Protocol):
    """`module` holds what is trained and nothing else that changes."""

    module: torch.nn.Module
    counts: Ints  # tokens of each text
    limit: int  # tokens of a text that are read

    def fresh(self) -> None:
        """Put `module` where every run of this spec starts."""

    def embed(self, texts: Ints) -> torch.Tensor:
        """[n, d] unit vectors of numbered texts, with gradients where torch wants them."""

    def save(self, folder: Path) -> None:
        """What was trained, as `open` reads it."""

    def realised(self) -> dict[str, Json]:
        """Settings as the modules really have them."""


def make(
    spec: Spec,
    folder: Path,
    texts: Sequence[str],
    run_dir: Path,
    say: Callable[[int, int], None],
) -> Learner:
    """The learner of `spec`, which begins with the version in `run_dir/start` if it names one.

    Raises ConfigError, Damaged.
    """
    begins = None if spec.start_files is None else run_dir / START
    if spec.method == "head":
        return _HeadLearner(spec, folder, begins, texts, run_dir, say)
    return _TransformerLearner(spec, folder, begins, texts)


class _HeadLearner:
    module: torch.nn.Module

    def __init__(
        self,
        spec: Spec,
        folder: Path,
        begins: Path | None,
        texts: Sequence[str],
        run_dir: Path,
        say: Callable[[int, int], None],
    ) -> None:
        self.begins = begins
        encoder = Encoder(folder)
        kind = precision.realised("auto", bases.transformer(folder))
        encoder.bfloat16 = kind == "bfloat16"
        self.folder, self.precision = folder, kind
        self.counts, self.limit = encoder.count(texts), encoder.limit
        decisive: Json = [spec.base_hash, kind, encoder.limit, encoder.prompt]
        self.vectors = cache.vectors(encoder, texts, run_dir / "embeddings", decisive, say)

    def fresh(self) -> None:
        size = self.vectors.shape[1]
        self.module = self.head = (
            head.Residual(size) if self.begins is None else head.load(self.begins)
        )

    def embed(self, texts: Ints) -> torch.Tensor:
        found: torch.Tensor = self.head(self.vectors[torch.from_numpy(texts)])
        return found

    def save(self, folder: Path) -> None:
        head.save(self.head, folder)
        copy_tokenizer(self.folder, folder)

    def realised(self) -> dict[str, Json]:
        return {"precision": self.precision, "dimension": self.vectors.shape[1]}


class _TransformerLearner:
    module: torch.nn.Module

    def __init__(self, spec: Spec, folder: Path, begins: Path | None, texts: Sequence[str]) -> None:
        self.spec, self.begins, self.texts = spec, begins, texts
        # All weights of a version are a whole model, as its base is.
        self.folder = begins if begins is not None and spec.method == "full" else folder
        self.settings: Mapping[str, Any] = spec.settings
        self.fresh()
        self.counts, self.limit = self.encoder.count(texts), self.encoder.limit

    def fresh(self) -> None:
        whole = self.spec.method == "full"
        self.encoder = encoder = Encoder(self.folder, whole=whole)
        self.reads = encoder.limit  # with or without this training
        encoder.limit = min(encoder.limit, self.settings["max_tokens"])
        encoder.tokens_per_pass = self.settings["tokens_per_pass"]
        kind = precision.realised(self.settings["precision"], bases.transformer(self.folder))
        encoder.bfloat16 = kind == "bfloat16"
        set_dropout(encoder.inner, self.settings["encoder_dropout"])
        if whole:
            self.module = encoder.st
        else:
            # The layers are exchanged in place, so the encoder runs them too.
            self.module = adapters.attach(
                encoder.inner, self.settings, self.spec.seed, task_type="FEATURE_EXTRACTION"
            )
            if self.begins is not None:
                adapters.fill(self.module, self.begins)

    def embed(self, texts: Ints) -> torch.Tensor:
        return self.encoder.embed([self.texts[at] for at in texts], self.counts[texts])

    def save(self, folder: Path) -> None:
        if self.spec.method == "full":
            with modes.quiet():
                self.encoder.limit = self.reads
                self.encoder.st.save_pretrained(str(folder), create_model_card=False)
        else:
            adapters.save(self.module, folder, self.spec.base)
            copy_tokenizer(self.folder, folder)

    def realised(self) -> dict[str, Json]:
        lora = adapters.realised(self.module) if self.spec.method == "lora" else {}
        inner = [
            part.p
            for name, part in self.encoder.inner.named_modules()
            if isinstance(part, torch.nn.Dropout) and "lora_dropout" not in name
        ]
        return {
            "precision": "bfloat16" if self.encoder.bfloat16 else "float32",
            "dimension": self.encoder.dimension,
            "encoder_dropout": max(inner, default=0.0),
            "tokens_read": self.encoder.limit,
            "tokens_per_pass": self.encoder.tokens_per_pass,
            **lora,
        }


def copy_tokenizer(base: Path, folder: Path) -> None:
    """The tokenizer beside what was trained: a version says by itself how it reads a text."""
    for name in TOKENIZER_FILES:
        path = bases.transformer(base) / name
        if path.is_file():
            shutil.copyfile(path, folder / name)
