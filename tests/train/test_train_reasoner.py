"""A reasoner trained in the child process: killed at any moment, it ends with the same bytes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from honewheel import atomic
from honewheel.errors import TrainingFailed
from honewheel.records import Progress
from honewheel.train import run as training

sys.path.insert(0, str(Path(__file__).parents[1] / "families"))

from reasoner_builders import dataset, examples, spec


def train(
    run_dir: Path,
    kill: Callable[[Progress], bool] | None = None,
    start: Path | None = None,
    **settings: Any,
) -> Path:
    """Train in a child; SIGKILL it at the first report for which `kill` holds."""
    given = spec(exploration=0.5, **settings)
    if start is not None:
        given = replace(given, start_files=atomic.folder_digest(start))

    def listen(progress: Progress) -> None:
        if kill is not None and kill(progress):
            kill_child(run_dir)

    rows = dataset([*examples(12), *examples(6, seed=4, role="replay")])
    return training.run("reasoner", given, rows, run_dir, listen, start=start, threads=1)


def kill_child(run_dir: Path) -> None:
    """SIGKILL the training process whose command line names `run_dir`."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue  # it ended while we looked
        if "honewheel.train.child" in words and str(run_dir) in words:
            os.kill(int(entry.name), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_run_is_resumed_and_ends_with_the_bytes_of_an_uninterrupted_one(
    tmp_path: Path,
) -> None:
    first = train(tmp_path / "first")
    whole = train(tmp_path / "whole", start=first, learning_rate=3e-3)
    for step in (1, 5, 7):
        with pytest.raises(TrainingFailed, match="SIGKILL"):
            train(
                tmp_path / "killed",
                lambda progress, step=step: progress.step == step,
                start=first,
                learning_rate=3e-3,
            )
    resumed = train(tmp_path / "killed", start=first, learning_rate=3e-3)
    assert "resumed after update" in (tmp_path / "killed" / "log.jsonl").read_text()
    assert atomic.verify(resumed) == atomic.verify(whole)
    assert atomic.verify(resumed) != atomic.verify(first)
