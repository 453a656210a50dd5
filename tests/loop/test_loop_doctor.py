"""The doctor names versions with known holes and what the machine can train."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from honewheel.families import hardware
from honewheel.loop import doctor
from wheels import open_wheel, project


@pytest.mark.parametrize(("version", "sound"), [("2.9.1+cpu", False), ("2.10.0", True)])
def test_a_version_with_a_known_hole_is_trouble(
    version: str, sound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    row = next(one for one in doctor._libraries() if one["check"] == "torch")
    assert row["ok"] is sound
    assert sound or "CVE-2026-24747" in row["advice"]


def test_what_the_machine_can_train_is_told_by_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path)
    file = folder / "honewheel.toml"
    file.write_text(file.read_text().replace('"memo"', '"causal-lm"').replace("memo/echo", "x"))
    monkeypatch.setattr(hardware, "available", lambda: 16 * 10**9)
    with open_wheel(folder) as wheel:
        rows = {row["check"]: row for row in wheel.doctor()}
        assert rows["causal-lm: memory"]["found"] == "16.00 GB free"
        assert "lora up to 1." in rows["causal-lm: can train"]["found"]
        monkeypatch.setattr(hardware, "available", lambda: 10**8)
        rows = {row["check"]: row for row in wheel.doctor()}
        assert not rows["causal-lm: can train"]["ok"]


def test_families_that_know_nothing_of_the_machine_are_left_out(tmp_path: Path) -> None:
    with open_wheel(project(tmp_path)) as wheel:
        assert not [row for row in wheel.doctor() if row["check"].startswith("memo:")]
