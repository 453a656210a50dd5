"""A model family whose settings say how its training goes wrong. It learns nothing.

Every step appends the process id to `run_dir/steps`, so a test sees who worked, and when.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from honewheel import atomic, errors
from honewheel.errors import HonewheelError
from honewheel.protocols import Model, Range
from honewheel.records import Dataset, Estimate, Finding, Progress, Spec, as_dict


class Exotic(HonewheelError):
    """An error class that only this plug-in knows."""


class Brittle:
    name = "brittle"
    methods = ("pretend",)

    def ranges(self, method: str) -> Mapping[str, Range]:
        return {}

    def resolve(self, base: str) -> tuple[Path, str]:
        return Path(), ""

    def check(self, spec: Spec, dataset: Dataset) -> Sequence[Finding]:
        return ()

    def estimate(self, spec: Spec, dataset: Dataset) -> Estimate:
        return Estimate(bytes_by_part={})

    def open(self, base: str, version_dir: Path | None) -> Model:
        raise NotImplementedError

    def train(self, spec: Spec, dataset: Dataset, run_dir: Path) -> Iterator[Progress]:
        settings = spec.settings
        for step in range(1, 4):
            with (run_dir / "steps").open("a") as file:
                file.write(f"{os.getpid()}\n")
            yield Progress(stage="train", step=step, total=3, loss=1 / step)
            if step == 2:
                _go_wrong(str(settings.get("fault", "")), run_dir)
        seen = {
            "rows": [as_dict(row) for row in (*dataset.train, *dataset.val)],
            "hash": dataset.hash,
            "variables": {
                key: os.environ.get(key) for key in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE")
            },
        }
        with atomic.staged_folder(run_dir / "final") as staging:
            (staging / "seen.json").write_text(json.dumps(seen, sort_keys=True))


def _go_wrong(fault: str, run_dir: Path) -> None:
    if (run_dir / "healed").exists():
        return
    if fault == "print":
        print("noise from a library")
        os.write(1, b"noise from native code\n")
    elif fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "abort":
        os.abort()
    elif fault == "hang":
        time.sleep(600)
    elif fault == "bug":
        raise ValueError("an ordinary bug")
    elif fault == "exotic":
        raise Exotic("something new")
    elif fault == "extra":
        raise errors.MissingExtra("Fine-tuning", "torch", "train")
    elif fault == "no final":
        os._exit(0)
    elif fault:
        raise getattr(errors, fault)(f"told as {fault}")
