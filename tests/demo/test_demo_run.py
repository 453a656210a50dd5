"""The story the demo tells, whatever the gate says; the commands are tested elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from honewheel.demo import run as demo
from honewheel.demo import team
from honewheel.errors import HonewheelError, MissingExtra


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Play the demo with exit codes of its cycles; returns what it found, its verbs, its words."""
    row = {"id": "evt_1", "task": "erd", "correction": "erDiagram"}
    made = team.Team(
        folder=tmp_path, seed=0, answers=(), rows=(row,), feedback=(tmp_path / "f",), suites={}
    )
    monkeypatch.setattr(team, "prepare", lambda *_, **__: made)
    monkeypatch.setattr(team, "poison", lambda *_, **__: tmp_path / "poison.jsonl")

    def played(*codes: int, quick: bool = False) -> tuple[dict[str, Any], list[str], str]:
        left, verbs, said = list(codes), [], []

        def command(words: Sequence[str]) -> int:
            verbs.append("cycle" if "cycle" in words else words[2])
            return left.pop(0) if verbs[-1] == "cycle" else 0

        found = demo.run(
            tmp_path / "demo",
            quick=quick,
            seed=0,
            command=command,
            say=said.append,
            listen=lambda _: None,
        )
        return found, verbs, "\n".join(said)

    return played


def test_a_promotion_is_followed_by_poison_and_a_cycle_without_replay(play: Any) -> None:
    found, verbs, _ = play(0, 2, 2)
    assert found["promoted"] is True
    assert [verb for verb in verbs if verb != "import"] == [
        *("cycle", "cycle", "rollback", "cycle", "promote", "trace", "explain", "versions")
    ]


@pytest.mark.parametrize("quick", [True, False])
def test_a_refusal_is_told_and_is_no_failure(play: Any, quick: bool) -> None:
    found, verbs, said = play(2, 2, quick=quick)
    assert found["promoted"] is False
    assert "The gate did not promote it" in said
    assert not {"rollback", "promote"} & set(verbs)
    assert verbs[-3:] == ["trace", "explain", "versions"]


def test_any_other_code_ends_the_demo(play: Any) -> None:
    with pytest.raises(HonewheelError, match="ended with code 1 where the demo expects 0 or 2"):
        play(1)


def test_without_the_extra_no_folder_is_made(play: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"The demo needs torch.*honewheel\[train\]"):
        play(0)
    assert not (tmp_path / "demo").exists()
