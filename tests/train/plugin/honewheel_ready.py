"""Families whose runs may be forks of a process that has loaded what they need."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from honewheel_brittle import Brittle

from honewheel.families.causal_lm.family import CausalLM
from honewheel.records import Dataset, Progress, Spec


class Ready(Brittle):
    """Goes wrong like Brittle; notes in `run_dir/colours` what earlier runs left in its process."""

    name = "ready"

    def preload(self) -> str | None:
        import honewheel_heavy  # noqa: F401

        return os.environ.get("UNFIT")

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        import honewheel_heavy

        (run_dir / "colours").write_text(json.dumps(honewheel_heavy.COLOUR))
        honewheel_heavy.COLOUR.append(run_dir.name)
        yield from super().train(spec, dataset, run_dir)


class Watched(CausalLM):
    """A causal LM that notes in `run_dir/imported` what a run imports."""

    name = "watched"

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        before = set(sys.modules)
        yield from super().train(spec, dataset, run_dir)
        (run_dir / "imported").write_text(json.dumps(sorted(set(sys.modules) - before)))
