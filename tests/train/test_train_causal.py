"""A causal LM trained in the child process: killed at any moment, it ends with the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from honewheel import atomic
from honewheel.errors import TrainingFailed
from honewheel.records import Dataset, Progress
from honewheel.train import run as training

sys.path.insert(0, str(Path(__file__).parents[1] / "families"))

from causal_builders import dataset, make_base, preferences, spec


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


def train(
    base: Path,
    run_dir: Path,
    kill: Callable[[Progress], bool] | None = None,
    data: Dataset | None = None,
    **settings: Any,
) -> Path:
    """Train in a child; SIGKILL it at the first report for which `kill` holds."""
    usual = {"dropout": 0.2, "checkpoint_every": 2, "epochs": 6, "precision": "auto"}
    given = spec(base, **(usual | settings))

    def listen(progress: Progress) -> None:
        if kill is not None and kill(progress):
            kill_child(run_dir)

    rows = data or dataset()
    return training.run("causal-lm", given, rows, run_dir, listen, threads=1)


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
    base: Path, tmp_path: Path
) -> None:
    whole = train(base, tmp_path / "whole")
    with pytest.raises(TrainingFailed, match="SIGKILL"):
        train(base, tmp_path / "killed", lambda progress: progress.step == 13)
    resumed = train(base, tmp_path / "killed")
    assert "resumed after update" in (tmp_path / "killed" / "log.jsonl").read_text()
    assert atomic.verify(resumed) == atomic.verify(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "moment"), [("dpo", "reference "), ("kto", ""), ("dpo", "resumed")]
)
def test_a_killed_run_on_preferences_ends_with_the_bytes_of_an_uninterrupted_one(
    base: Path, tmp_path: Path, objective: str, moment: str
) -> None:
    """Killed while references are computed, between two updates, and twice."""
    settings: dict[str, Any] = {"objective": objective, "batch_size": 4, "epochs": 3}
    whole = train(base, tmp_path / "a" / "whole", None, preferences(), **settings)
    run_dir = tmp_path / "b" / "killed"

    def late(progress: Progress) -> bool:
        return moment in progress.message if moment == "reference " else progress.step == 5

    def again(progress: Progress) -> bool:
        return "resumed" in progress.message

    for kill in (late, *([again] if moment == "resumed" else [])):
        with pytest.raises(TrainingFailed, match="SIGKILL"):
            train(base, run_dir, kill, preferences(), **settings)
    resumed = train(base, run_dir, None, preferences(), **settings)
    assert atomic.verify(resumed) == atomic.verify(whole)


@pytest.mark.slow
def test_ten_kills_at_random_moments_leave_no_trace_in_the_result(
    base: Path, tmp_path: Path
) -> None:
    """The moment is a random time after a random report: inside an update, a checkpoint, ..."""
    whole = train(base, tmp_path / "whole")
    draw = random.Random(5)
    killed = 0
    for _ in range(10):
        moment = draw.randint(0, 3)

        def later(progress: Progress, moment: int = moment) -> bool:
            time.sleep(draw.random() / 50)
            return progress.step % 4 == moment and progress.message == ""

        with contextlib.suppress(TrainingFailed):
            train(base, tmp_path / "killed", later)
            continue
        killed += 1
    assert killed >= 5
    assert atomic.verify(train(base, tmp_path / "killed")) == atomic.verify(whole)
