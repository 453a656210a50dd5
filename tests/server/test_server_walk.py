"""The loop driven from outside over HTTP, while server and worker die twenty times: see `walk`."""

from __future__ import annotations

from pathlib import Path

import pytest

import walk

KILLS = (7, 7, 6)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_in_three_acts_change_neither_verdicts_nor_what_was_learnt(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "walk"
    found = walk.walk(folder, walk.Sizes(), kills=KILLS, seed=3, tell=print)
    assert {kill.which for kill in found.kills} == {"server", "worker"}
    assert len(found.kills) == sum(KILLS)
    assert found.lost == found.doubled == []

    told = [(one["verdict"] == "promote", one["champion"]) for one in found.versions]
    assert told == [(False, False), (True, True), (True, False), (False, False)]
    trials = [(one["version"], one["ended"]) for one in reversed(found.trials)]
    assert trials == [("artifacts@1", "kept"), ("artifacts@2", "rolled back")]
    moves = [(one["alias"], one["version"], one["reason"][:11]) for one in found.moves]
    assert [one[:2] for one in moves] == [
        *(("champion", 0), ("champion", 1)),
        *(("canary", 1), ("canary", 2), ("canary", 1)),
    ]
    assert moves[-1][2] == "rolled back"
    deeds = [(one["action"], one["detail"]["version"]) for one in found.deeds]
    assert deeds == [("roll back", "artifacts@2"), ("promote", "artifacts@1")]

    stored = walk.in_store(folder, found)
    assert (stored["datasets"], stored["versions"], stored["cycles"]) == (3, 3, 3)
    assert stored["events_trained"] > 0
    for fault in ("trained_twice", "foreign", "stored_twice"):
        assert stored[f"events_{fault}"] == 0, fault
