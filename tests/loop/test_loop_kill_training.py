"""Real training killed again and again: the cycle still ends with the same data and weights."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wheels

KILLS = 10
CURATE = "replay_share = 0.2"
TRAINING = ("epochs=4", "batch_size=4", "checkpoint_every=3", "rank=4")

KILL_TRAINING = """\
import os, signal, sys
import honewheel as hw

left = int(sys.argv[2])

def listen(step):
    global left
    if step.stage == "train" and step.total > 1:
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

hw.open(sys.argv[1], set=sys.argv[3:], environment={}).cycle(on_progress=listen)
"""


def small(folder: Path, url: str) -> Path:
    """A project that fine-tunes the embedded base on a few rows."""
    wheels.project(folder, url, CURATE)
    file = folder / "honewheel.toml"
    text = file.read_text().replace('"memo"', '"causal-lm"').replace("memo/echo", "honewheel/tiny")
    file.write_text(text)
    return folder


def flags() -> list[str]:
    return [f"models.artifacts.train.{item}" for item in TRAINING] + ["evaluate.max_new_tokens=8"]


def fill(folder: Path, tmp_path: Path) -> None:
    with wheels.open_wheel(folder) as wheel:
        rows = wheels.feedback(24)
        wheel.import_file(wheels.write_jsonl(tmp_path / "feedback.jsonl", rows))
        items = wheels.suites(32)["erd"]
        wheel.suite_import(wheels.write_jsonl(tmp_path / "erd.jsonl", items), task="erd")


def ended(folder: Path) -> tuple[str, str]:
    """(dataset hash, adapter digest) after running the cycle to its end."""
    with wheels.open_wheel(folder, *flags()) as wheel:
        wheel.cycle()
        assert [version.number for version in wheel.versions()] == [0, 1]
        assert [cycle.state for cycle in wheel.cycles()] == ["done"]
        newest = wheel.versions()[-1]
        return str(newest.dataset), str(newest.files)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_kills_during_training_change_nothing(
    tmp_path: Path, store_url: str, request: pytest.FixtureRequest
) -> None:
    calm = small(tmp_path / "calm", "sqlite:///.honewheel/store.db")
    fill(calm, tmp_path)
    expected = ended(calm)
    folder = small(tmp_path / "killed", store_url)
    fill(folder, tmp_path)
    rng = random.Random(7)
    killed = 0
    for _ in range(KILLS):
        # The first report comes after loading, so every kill falls into training itself.
        words: list[Any] = [sys.executable, "-c", KILL_TRAINING, folder, rng.randint(1, 5)]
        done = subprocess.run([*map(str, words), *flags()], check=False, timeout=300)
        killed += done.returncode == -signal.SIGKILL
        with wheels.open_wheel(folder) as wheel:
            seen = wheel.store.versions.alias("artifacts")
            assert seen.version == 0
    assert killed >= KILLS - 2
    assert ended(folder) == expected
