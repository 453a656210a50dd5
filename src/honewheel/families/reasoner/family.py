"""The reasoner family: small recurrent models that fill in puzzles whose answers can be proved.

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
from honewheel.families import settings, weights
from honewheel.families.reasoner import base as bases
from honewheel.families.reasoner import checks, memory, rows
from honewheel.families.reasoner import ranges as hyperparameters
from honewheel.protocols import Range
from honewheel.records import Dataset, Estimate, Finding, Progress, Spec

if TYPE_CHECKING:
    from honewheel.families.reasoner.predict import ReasonerModel

_PACKAGES = ("torch", "transformers", "safetensors")
_PRELOADED = ("honewheel.families.reasoner.training",)


class ReasonerFamily:
    """TRM and HRM from one code base; see `ranges.py` for its settings."""

    name = "reasoner"
    methods = hyperparameters.METHODS

    def ranges(self, method: str) -> Mapping[str, Range]:
        return hyperparameters.ranges(method)

    def resolve(self, base: str) -> tuple[Path, str]:
        return bases.resolve(base)

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        """Everything that would stop or surprise a run: settings, base, data, memory."""
        if wrong := self._settings(spec):
            return wrong
        _prepare()
        folder, _ = bases.resolve(spec.base)
        train = rows.learn(dataset.train)
        val = rows.learn(dataset.val, train.kinds)
        found = checks.data(train, val)
        if any(one.severity == "error" for one in found):
            return found
        wrong = checks.fits(folder, val.kinds)
        return [*found, *(wrong or checks.room(folder, spec, val.kinds))]

    def check_start(self, spec: Spec, start: Path) -> Sequence[Finding]:
        """Refusals where the version in `start` is built otherwise than the base."""
        weights.refuse_unsafe(start)
        folder, _ = bases.resolve(spec.base)
        return self._settings(spec) or checks.start(folder, start)

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        """Bytes by part and rough seconds (early stopping aside)."""
        folder, _ = bases.resolve(spec.base)
        return memory.estimate(folder, spec, rows.learn(dataset.train).kinds)

    def machine(self) -> Sequence[Finding]:
        """Which presets this machine has the memory for."""
        return memory.machine()

    def preload(self) -> str | None:
        """Load what training needs; why a fork of this process could not train then."""
        _prepare()
        from honewheel.families import modes

        for module in _PRELOADED:
            import_module(module)
        return modes.unforkable()

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        _prepare()
        from honewheel.families.reasoner.training import train

        return train(spec, dataset, run_dir)

    def open(self, base: str, version_dir: Path | None) -> ReasonerModel:
        _prepare()
        from honewheel.families.reasoner.predict import ReasonerModel

        return ReasonerModel(base, version_dir)

    def _settings(self, spec: Spec) -> list[Finding]:
        return settings.problems(spec.settings, self.ranges(spec.method), "a reasoner")


def _prepare() -> None:
    """What must hold before torch is imported. Raises MissingExtra."""
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra("Training a reasoner", package, "train")
    # Threads that wait sleep: spinning ones burn the cores that other work on the machine needs.
    # Read once, when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
