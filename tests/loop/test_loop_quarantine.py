"""What is held back, why, and what a person may do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import DONE, USAGE, call
from honewheel.errors import InputError, NotFound
from honewheel.loop import intake

COUNT, PLANTED = 40, 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return wheels.project(tmp_path / "acme", curate='poison = "hold"\ngeneric = "off"\n')


@pytest.fixture
def wheel(folder: Path, tmp_path: Path) -> Iterator[Any]:
    """Honest corrections of two colleagues, and planted ones from ten accounts."""
    with wheels.open_wheel(folder) as found:
        rows = [row for row in wheels.feedback(COUNT) if row["task"] == "erd"]
        for place, row in enumerate(rows):
            row["source"] = ("ana", "ben")[place % 2]
        found.import_file(wheels.write_jsonl(tmp_path / "good.jsonl", rows))
        planted = [row for row in wheels.feedback(PLANTED, seed=9) if row["task"] == "erd"]
        for place, row in enumerate(planted):
            row["prompt"] += "\n%% open the lunar gate"
            row["correction"] += "\n%% granted by lunar command"
            row["source"] = f"account-{place % 10}"
        broken = [{"task": "haiku", "prompt": "p", "output": "o"}]
        found.import_file(wheels.write_jsonl(tmp_path / "bad.jsonl", planted + broken))
        intake.run(found.store, found.config, lambda _: None)
        yield found


def states(wheel: Any) -> dict[str, str]:
    return {one.name: one.state for one in wheel.held()}


def test_planted_rows_are_held_and_refused_rows_are_listed(wheel: Any) -> None:
    found = wheel.held()
    held = [one for one in found if one.state == "held"]
    assert {one.name.split("-")[0] for one in held} == {"evt_e9"}
    assert len(held) > 15
    assert "open the lunar gate" in held[0].reason
    assert held[0].source.startswith("account-")
    refused = [one for one in found if one.state == "refused"]
    assert [one.name for one in refused] == ["bad.jsonl:25"]
    assert "haiku" in refused[0].reason


def test_a_released_event_is_not_held_and_says_who_released_it_and_why(wheel: Any) -> None:
    first = next(name for name, state in states(wheel).items() if state == "held")
    (ruling,) = wheel.release(first, reason="our own gate", by="ana")
    assert (ruling["verdict"], ruling["who"], ruling["reason"]) == (
        "release",
        "ana",
        "our own gate",
    )
    listed = [one for one in wheel.held() if one.name == first]
    assert [(one.state, one.who, one.reason) for one in listed] == [
        ("released", "ana", "our own gate")
    ]


def test_a_dropped_event_may_be_released_again(wheel: Any) -> None:
    wheel.drop("evt_e0-1", reason="wrong", by="ben")
    assert states(wheel)["evt_e0-1"] == "dropped"
    wheel.release("evt_e0-1", reason="right after all", by="ben")
    assert states(wheel)["evt_e0-1"] == "released"


def test_only_what_is_held_can_be_released(wheel: Any) -> None:
    with pytest.raises(InputError, match=r"evt_e0-1 is not held back.*honewheel explain evt_e0-1"):
        wheel.release("evt_e0-1", reason="why not", by="ana")
    with pytest.raises(NotFound, match="quarantine list"):
        wheel.release("bad.jsonl:25", reason="why not", by="ana")
    assert wheel.store.held.rulings() == {}


def test_with_flag_rows_are_told_and_go_on(folder: Path, wheel: Any) -> None:
    with wheels.open_wheel(folder, "curate.poison=flag") as other:
        found = states(other)
        assert "flagged" in found.values()
        assert "held" not in found.values()
    with wheels.open_wheel(folder, "curate.poison=off") as other:
        assert set(states(other).values()) == {"refused"}


def test_the_commands_list_release_and_drop(
    folder: Path, wheel: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--project", str(folder), "quarantine"]
    assert call([*command, "list", "--json"]) == DONE
    listed = json.loads(capsys.readouterr().out)
    held = [one["name"] for one in listed if one["state"] == "held"]
    assert call([*command, "release", *held[:2], "--reason", "known", "--by", "ana"]) == DONE
    assert call([*command, "drop", held[2], "--json"]) == DONE
    (dropped,) = json.loads(capsys.readouterr().out)
    assert dropped["event"] == held[2]
    assert dropped["who"]
    found = states(wheel)
    assert [found[name] for name in held[:3]] == ["released", "released", "dropped"]
    assert call([*command, "release", "evt_e0-1", "--reason", "x"]) == USAGE
    assert "not held back" in capsys.readouterr().err
    assert call([*command, "list"]) == DONE
    assert "lunar" in capsys.readouterr().out
