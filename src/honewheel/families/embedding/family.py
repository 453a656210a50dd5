"""The embedding family: sentence-transformers models, by a head, by LoRA or with all weights.

Importing this module imports neither torch nor transformers; its methods do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from honewheel.errors import MissingExtra
from honewheel.families import settings as given
from honewheel.families.embedding import base as bases
from honewheel.families.embedding import ranges as hyperparameters
from honewheel.protocols import Range
from honewheel.records import Dataset, Estimate, Finding, Progress, Spec

if TYPE_CHECKING:
    from honewheel.families.embedding.predict import EmbeddingModel

_PACKAGES = ("torch", "transformers", "sentence_transformers", "safetensors", "peft")
_PRELOADED = ("honewheel.families.embedding.training",)


class Embedding:
    """Any sentence-transformers model as a base; see `ranges.py` for its settings."""

    name = "embedding"
    methods = hyperparameters.METHODS

    def require(self) -> None:
        """Raises MissingExtra where sentence-transformers or one of its kin is not installed."""
        for package in _PACKAGES:
            if find_spec(package) is None:
                raise MissingExtra("An embedding model", package.replace("_", "-"), "embed")

    def ranges(self, method: str) -> Mapping[str, Range]:
        return hyperparameters.ranges(method)

    def resolve(self, base: str) -> tuple[Path, str]:
        return bases.resolve(base)

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        """Everything that would stop or surprise a run: settings, base, pairs, lengths."""
        from honewheel.families.embedding import checks, sizes

        if wrong := given.problems(spec.settings, self.ranges(spec.method), spec.method):
            return wrong
        self._prepare()
        folder, _ = bases.resolve(spec.base)
        found = checks.data(spec, dataset)
        if any(one.severity == "error" for one in found):
            return found
        texts, limit = sizes.texts(dataset), sizes.limit(folder, spec)
        found += checks.lengths(sizes.tokens(folder, texts), limit)
        return [*found, *sizes.room(self.estimate(spec, dataset))]

    def check_start(self, spec: Spec, start: Path) -> Sequence[Finding]:
        """A version of another method or base, or an adapter of another shape than is asked for."""
        from honewheel.families import weights
        from honewheel.families.embedding import checks

        weights.refuse_unsafe(start)
        wrong = given.problems(spec.settings, self.ranges(spec.method), spec.method)
        return wrong or checks.start(spec, start)

    def machine(self) -> Sequence[Finding]:
        """What this machine can train: free memory, the largest usual base by method."""
        from honewheel.families.embedding import machine

        return machine.machine()

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        """Bytes by part and rough seconds on this machine's cores (early stopping aside)."""
        from honewheel.families.embedding import sizes

        self._prepare()
        folder, _ = bases.resolve(spec.base)
        return sizes.estimate(folder, spec, dataset, os.cpu_count() or 1)

    def preload(self) -> str | None:
        """Load what training needs; why a fork of this process could not train then."""
        self._prepare()
        from honewheel.families import modes

        for module in _PRELOADED:
            import_module(module)
        return modes.unforkable()

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        self._prepare()
        from honewheel.families.embedding.training import train

        return train(spec, dataset, run_dir)

    def open(self, base: str, version_dir: Path | None) -> EmbeddingModel:
        self._prepare()
        from honewheel.families.embedding.predict import EmbeddingModel

        return EmbeddingModel(base, version_dir)

    def _prepare(self) -> None:
        """What must hold before torch is imported. Raises MissingExtra."""
        self.require()
        # Threads that wait sleep: spinning ones burn the cores that other work on the machine
        # needs. Read once, when torch loads.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
