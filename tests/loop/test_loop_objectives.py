"""A cycle that learns from preferences: from feedback to a measured version, and its refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

import wheels
from honewheel.errors import ConfigError
from honewheel.records import Progress


def project(folder: Path, curate: str) -> Path:
    """Corrected diagrams and accepted tables, and the embedded base to train."""
    wheels.project(folder, curate=curate)
    file = folder / "honewheel.toml"
    text = file.read_text().replace('"memo"', '"causal-lm"').replace("memo/echo", "honewheel/tiny")
    file.write_text(text)
    with wheels.open_wheel(folder) as wheel:
        wheel.import_file(wheels.write_jsonl(folder / "feedback.jsonl", wheels.feedback(24)))
        items = wheels.suites(32)["erd"]
        wheel.suite_import(wheels.write_jsonl(folder / "erd.jsonl", items), task="erd")
    return folder


def flags(**settings: object) -> list[str]:
    told = [f"models.artifacts.train.{key}={value}" for key, value in settings.items()]
    return [*told, "evaluate.max_new_tokens=8"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_a_cycle_learns_from_what_people_preferred(tmp_path: Path, objective: str) -> None:
    folder = project(tmp_path, "preferences = true")
    said: list[Progress] = []
    with wheels.open_wheel(folder, *flags(objective=objective, epochs=2, batch_size=4)) as wheel:
        wheel.cycle(on_progress=said.append)
        (cycle,) = wheel.cycles()
        assert cycle.state == "done"
        train = wheel.store.cycles.step(cycle.id, "train")[1]
    assert train["realised"]["objective"] == objective
    assert train["realised"]["beta"] == 0.1
    assert train["spec"]["settings"]["objective"] == objective
    judged = [point["val_loss"] for point in train["history"] if "val_loss" in point]
    assert judged[-1] < judged[0]
    assert any(step.message.startswith("reference ") for step in said)
    assert f"lora, {objective} on honewheel/tiny" in [step.message for step in said]


def test_a_cycle_without_pairs_says_what_is_missing_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path, "")
    with (
        wheels.open_wheel(folder, *flags(objective="dpo")) as wheel,
        pytest.raises(ConfigError, match="objective = dpo needs pairs; this dataset has 0") as told,
    ):
        wheel.cycle()
    assert "Set curate.preferences = true" in str(told.value)
    assert not (folder / ".honewheel" / "runs").exists()
