"""The causal language model family: targets or preferences, by LoRA or with all weights.

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
from honewheel.families import weights
from honewheel.families.causal_lm import base as bases
from honewheel.families.causal_lm import checks, machine, memory
from honewheel.families.causal_lm import ranges as hyperparameters
from honewheel.families.causal_lm.render import Renderer, longest
from honewheel.families.causal_lm.units import Unit, encode, fitting, given
from honewheel.protocols import Range
from honewheel.records import Dataset, Estimate, Finding, Progress, Spec

if TYPE_CHECKING:
    from honewheel.families.causal_lm.predict import CausalModel


_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "peft")
# Whatever a run imports but the code of its architecture, of which the commonest is among them.
_PRELOADED = (
    "honewheel.families.causal_lm.training",
    "transformers.models.llama.modeling_llama",
)


class CausalLM:
    """Any Hugging Face causal LM as a base; see `ranges.py` for its settings."""

    name = "causal-lm"
    methods = hyperparameters.METHODS

    def require(self) -> None:
        """Raises MissingExtra where torch or one of its kin is not installed."""
        for package in _PACKAGES:
            if find_spec(package) is None:
                raise MissingExtra("Fine-tuning a causal LM", package, "train")

    def ranges(
        self, method: str, objective: str = hyperparameters.OBJECTIVES[0]
    ) -> Mapping[str, Range]:
        return hyperparameters.ranges(method, objective)

    def resolve(self, base: str) -> tuple[Path, str]:
        return bases.resolve(base)

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        """Everything that would stop or surprise a run: settings, base, data, memory."""
        if wrong := checks.settings(spec):
            return wrong
        self._prepare()
        folder, _ = bases.resolve(spec.base)
        if wrong := [*checks.base(folder, spec), *checks.data(spec, dataset)]:
            return wrong
        renderer, limit = Renderer(folder), longest(spec.settings, folder)
        found = [*checks.template(renderer), *checks.lengths(spec, dataset, renderer, limit)]
        units = _units(spec, dataset, renderer, limit)
        return [*found, *checks.room(folder, spec, units)]

    def check_start(self, spec: Spec, start: Path) -> Sequence[Finding]:
        """A version of another method, or an adapter of another shape than `spec` asks for."""
        weights.refuse_unsafe(start)
        return checks.settings(spec) or checks.start(spec, start)

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        """Bytes by part and rough seconds on this machine's cores (early stopping aside)."""
        self._prepare()
        folder, _ = bases.resolve(spec.base)
        units = _units(spec, dataset, Renderer(folder), longest(spec.settings, folder))
        return memory.estimate(folder, spec, units, os.cpu_count() or 1)

    def machine(self) -> Sequence[Finding]:
        """What this machine can train: processor, precision, memory, largest sizes by method."""
        return machine.machine()

    def preload(self) -> str | None:
        """Load what training needs; why a fork of this process could not train then."""
        self._prepare()
        from honewheel.families import modes

        for module in _PRELOADED:
            import_module(module)
        return modes.unforkable()

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        self._prepare()
        from honewheel.families.causal_lm.training import train

        return train(spec, dataset, run_dir)

    def open(self, base: str, version_dir: Path | None) -> CausalModel:
        self._prepare()
        from honewheel.families.causal_lm.predict import CausalModel

        return CausalModel(base, version_dir)

    def open_beside(self, other: CausalModel, version_dir: Path | None) -> CausalModel | None:
        """A version of the base of `other` that answers from its weights; None: it has its own."""
        from honewheel.families.causal_lm.predict import CausalModel

        return CausalModel.beside(other, version_dir)

    def _prepare(self) -> None:
        """What must hold before torch is imported. Raises MissingExtra."""
        self.require()
        # Threads that wait sleep: spinning ones burn the cores that other work on the machine
        # needs. Read once, when torch loads.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _units(spec: Spec, dataset: Dataset, renderer: Renderer, limit: int) -> Sequence[Unit]:
    """What a run takes from `dataset`."""
    rows = given(str(spec.settings["objective"]), dataset, "train")
    return fitting(rows, encode(rows, renderer), limit)[0]
