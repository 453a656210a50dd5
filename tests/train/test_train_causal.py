"""A causal LM trained in the child process: killed at any moment, it ends with the same bytes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from honewheel import atomic
from honewheel.errors import TrainingFailed
from honewheel.records import Progress
from honewheel.train import run as training

sys.path.insert(0, str(Path(__file__).parents[1] / "families"))

from causal_builders import dataset, make_base, spec


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


def train(base: Path, run_dir: Path, kill_after: int | None = None) -> Path:
    """Train in a child; SIGKILL it once it has reported update `kill_after`."""
    given = spec(base, dropout=0.2, checkpoint_every=2, epochs=6, precision="auto")

    def listen(progress: Progress) -> None:
        if kill_after is not None and progress.step >= kill_after:
            kill_child(run_dir)

    return training.run("causal-lm", given, dataset(), run_dir, listen, threads=1)


def kill_child(run_dir: Path) -> None:
    """SIGKILL the process whose command line names `run_dir`."""
    import os
    import signal

    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "honewheel.train.child" in words and str(run_dir) in words:
            os.kill(int(entry.name), signal.SIGKILL)


def test_a_killed_run_is_resumed_and_ends_with_the_bytes_of_an_uninterrupted_one(
    base: Path, tmp_path: Path
) -> None:
    whole = train(base, tmp_path / "whole")
    with pytest.raises(TrainingFailed, match="SIGKILL"):
        train(base, tmp_path / "killed", kill_after=13)
    resumed = train(base, tmp_path / "killed")
    assert "resumed after update" in (tmp_path / "killed" / "log.jsonl").read_text()
    assert atomic.verify(resumed) == atomic.verify(whole)


@pytest.mark.slow
def test_ten_kills_at_random_moments_leave_no_trace_in_the_result(
    base: Path, tmp_path: Path
) -> None:
    whole = train(base, tmp_path / "whole")
    draw = random.Random(5)
    killed = 0
    for attempt in range(10):
        try:
            final = train(base, tmp_path / "killed", kill_after=draw.randint(0, 30))
        except TrainingFailed:
            killed += 1
            continue
        break
    else:
        final = train(base, tmp_path / "killed")
    assert killed >= 3, attempt
    assert atomic.verify(final) == atomic.verify(whole)
