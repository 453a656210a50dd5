"""What a run tells on its way: time left, memory, and of a long run the widest batch first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from causal_builders import dataset, preferences, spec
from test_families_curriculum import paced

from honewheel import atomic
from honewheel.cli import show
from honewheel.errors import NotEnoughMemory
from honewheel.families import hardware
from honewheel.families.causal_lm import probe, training
from honewheel.families.causal_lm.family import CausalLM
from honewheel.records import Progress


def test_time_left_and_memory_come_with_every_update(llama: Path, tmp_path: Path) -> None:
    told = list(CausalLM().train(spec(llama, updates=4), dataset(val=0), tmp_path))
    updates = [one for one in told if one.loss is not None]
    assert len(updates) == 4
    assert updates[-1].seconds_left == 0
    assert all((one.seconds_left or 0) > 0 for one in updates[:-1])
    assert (updates[-1].memory_bytes or 0) > 100_000_000
    assert "longest batch" not in told[0].message


def test_a_long_run_tries_its_widest_batch_first_and_ends_with_the_same_bytes(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = spec(llama, updates=6, dropout=0.2)
    monkeypatch.setattr(training, "PROBE_FROM", 7)
    short = list(CausalLM().train(given, dataset(val=0), tmp_path / "short"))
    monkeypatch.setattr(training, "PROBE_FROM", 6)
    long = list(CausalLM().train(given, dataset(val=0), tmp_path / "long"))
    assert len(long) == len(short) + 1
    assert long[0].message.startswith("the longest batch takes ")
    assert (long[0].seconds_left or 0) > 0
    assert atomic.verify(tmp_path / "long/final") == atomic.verify(tmp_path / "short/final")


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_a_run_on_preferences_tries_its_own_loss_and_ends_with_the_same_bytes(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    given = spec(llama, objective=objective, updates=3, dropout=0.2)
    data = preferences(6, 2)
    list(CausalLM().train(given, data, tmp_path / "short"))
    monkeypatch.setattr(training, "PROBE_FROM", 1)
    long = list(CausalLM().train(given, data, tmp_path / "long"))
    assert [one.message for one in long if one.message.startswith("the longest batch takes ")]
    assert atomic.verify(tmp_path / "long/final") == atomic.verify(tmp_path / "short/final")


def test_a_first_look_draws_no_batch_of_a_curriculum_ahead_of_its_time(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = spec(llama, curriculum="stages", epochs=3, batch_size=2, learning_rate=1e-5)
    list(CausalLM().train(given, paced("stages"), tmp_path / "short"))
    monkeypatch.setattr(training, "PROBE_FROM", 1)
    list(CausalLM().train(given, paced("stages"), tmp_path / "long"))
    assert atomic.verify(tmp_path / "long/final") == atomic.verify(tmp_path / "short/final")


def test_memory_that_runs_out_in_the_widest_batch_is_told_before_the_first_update(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 B")

    monkeypatch.setattr(training, "PROBE_FROM", 1)
    monkeypatch.setattr(probe, "backward", no_room)
    told: list[Progress] = []
    with pytest.raises(NotEnoughMemory, match="Training needs about"):
        told.extend(CausalLM().train(spec(llama), dataset(val=0), tmp_path))
    assert told
    assert all(one.message.startswith("memory ran out in a pass") for one in told)


def test_passes_that_are_too_wide_for_the_widest_batch_are_smaller_from_the_start(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = probe.backward

    def cramped(objective: Any, scorer: Any, *more: Any) -> Any:
        if scorer.limit > 60:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 B")
        return real(objective, scorer, *more)

    monkeypatch.setattr(training, "PROBE_FROM", 1)
    monkeypatch.setattr(probe, "backward", cramped)
    list(CausalLM().train(spec(llama, updates=3), dataset(val=0), tmp_path))
    passes = json.loads((tmp_path / "passes.json").read_text())
    assert {change["update"] for change in passes} == {0}
    assert passes[-1]["tokens_per_pass"] <= 60


def test_the_peak_is_what_the_kernel_counts() -> None:
    found = hardware.peak()
    assert found is not None
    assert found > 10_000_000


def test_the_command_line_shows_both() -> None:
    step = Progress(stage="train", step=3, total=9, seconds_left=58.2, memory_bytes=1_240_000_000)
    assert show._note(step) == "1.2 GB  0:58 left"
    assert show._minutes(3731) == "1:02:11"
    assert show._minutes(725) == "12:05"
