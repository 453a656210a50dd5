"""The causal language model family: LoRA and full supervised fine-tuning.

Importing this module imports neither torch nor transformers; its methods do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from honewheel.errors import MissingExtra
from honewheel.families.causal_lm import base as bases
from honewheel.families.causal_lm import machine, memory
from honewheel.families.causal_lm import ranges as hyperparameters
from honewheel.families.causal_lm.order import CURRICULUM, KINDS
from honewheel.families.causal_lm.render import Encoded, Renderer, longest
from honewheel.protocols import Range
from honewheel.records import Dataset, Estimate, Finding, Progress, Spec

if TYPE_CHECKING:
    from honewheel.families.causal_lm.predict import CausalModel


_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "accelerate", "peft")


class CausalLM:
    """Any Hugging Face causal LM as a base; see `ranges.py` for its settings."""

    name = "causal-lm"
    methods = hyperparameters.METHODS

    def ranges(self, method: str) -> Mapping[str, Range]:
        return hyperparameters.ranges(method)

    def resolve(self, base: str) -> tuple[Path, str]:
        return bases.resolve(base)

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        """Settings outside their ranges, examples that are too long, memory that is not there."""
        if wrong := _check_settings(spec):
            return wrong
        _prepare()
        folder, _ = bases.resolve(spec.base)
        limit = longest(spec.settings, folder)
        rows = Renderer(folder).encode(dataset.train)
        fitting = [row for row in rows if len(row) <= limit]
        return [*_check_lengths(rows, limit), *_check_memory(folder, spec, fitting)]

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        """Bytes by part and rough seconds on this machine's cores (early stopping aside)."""
        _prepare()
        folder, _ = bases.resolve(spec.base)
        limit = longest(spec.settings, folder)
        rows = [row for row in Renderer(folder).encode(dataset.train) if len(row) <= limit]
        return memory.estimate(folder, spec, rows, os.cpu_count() or 1)

    def machine(self) -> Sequence[Finding]:
        """What this machine can train: processor, precision, memory, largest sizes by method."""
        return machine.machine()

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        _prepare()
        from honewheel.families.causal_lm.training import train

        return train(spec, dataset, run_dir)

    def open(self, base: str, version_dir: Path | None) -> CausalModel:
        _prepare()
        from honewheel.families.causal_lm.predict import CausalModel

        return CausalModel(base, version_dir)


def _prepare() -> None:
    """What must hold before torch is imported. Raises MissingExtra."""
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra("Fine-tuning a causal LM", package, "train")
    # Threads that wait sleep: spinning ones burn the cores that other work on the machine needs.
    # Read once, when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _check_settings(spec: Spec) -> list[Finding]:
    """Unknown, missing and disallowed settings."""
    rules = {**hyperparameters.ranges(spec.method)}
    if CURRICULUM in spec.settings:  # how the data asks to be shown, no setting of the model
        rules[CURRICULUM] = Range(default="off", choices=KINDS)
    found = [f"{key} is no setting of {spec.method}" for key in {*spec.settings} - {*rules}]
    found += [f"{key} is not set" for key in {*rules} - {*spec.settings}]
    for key, rule in rules.items():
        if key in spec.settings and (problem := rule.problem(spec.settings[key])):
            found.append(f"{key}: {problem}" + (f"; outside it, {rule.why}" if rule.why else ""))
    return [Finding(code="setting", message=message) for message in sorted(found)]


def _check_lengths(rows: Sequence[Encoded], limit: int) -> list[Finding]:
    """A warning when some examples are left out, a refusal when all are."""
    over = [len(row) for row in rows if len(row) > limit]
    if not over and rows:
        return []
    message = (
        f"{len(over)} of {len(rows)} training examples are longer than {limit} tokens "
        f"(longest {max(over, default=0)}) and are left out. Raise max_tokens, up to what the "
        "base has positions for."
    )
    severity: Literal["error", "warning"] = "error" if len(over) == len(rows) else "warning"
    return [Finding(code="too-long", message=message, severity=severity)]


def _check_memory(folder: Path, spec: Spec, rows: Sequence[Encoded]) -> list[Finding]:
    """A refusal when the run would not fit into the memory that is free, with what would.

    A warning where it is expected to fit but need not.
    """
    needed, free = memory.estimate(folder, spec, rows), memory.available()
    if free is None or needed.high_bytes <= free:
        return []
    fits = needed.total_bytes <= free
    way_out = memory.plan(folder, spec, rows, int(free / memory.HIGH))
    message = memory.explain(needed, free, way_out)
    severity: Literal["error", "warning"] = "warning" if fits else "error"
    return [Finding(code="memory", message=message, severity=severity)]
