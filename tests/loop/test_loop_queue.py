"""Asking and failures from a real project, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import DONE, USAGE, call
from honewheel.errors import ConfigError, NotFound


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return wheels.project(tmp_path / "acme")


@pytest.fixture
def wheel(folder: Path) -> Any:
    with wheels.open_wheel(folder) as found:
        yield found


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = call(["--project", str(folder), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def record(wheel: Any, count: int, task: str = "erd") -> list[str]:
    rows = wheels.feedback(count, seed=5)
    texts = [row for row in rows if row["task"] == task]
    return [
        wheel.record(
            id=row["id"], task=task, prompt=f"Draw this.\n{row['prompt']}", output=row["output"]
        )
        for row in texts
    ]


def test_only_what_nobody_answered_is_asked_and_an_answer_takes_it_off(wheel: Any) -> None:
    names = record(wheel, 8)
    found = wheel.ask("erd", size=5)
    assert len(found) == 5
    assert {row.event for row in found} <= {*names}
    assert sum(row.why == "random" for row in found) == 1
    wheel.record(response=found[0].event, thumb=1, source="ana")
    left = {row.event for row in wheel.ask("erd", size=50)}
    assert left == {*names} - {found[0].event}
    assert wheel.ask("ddl") == ()


def test_checks_are_known_before_anything_is_asked(wheel: Any) -> None:
    fine, broken = record(wheel, 1), wheel.record(task="ddl", prompt="a table", output="CREATE ((")
    worth = {row.event: row.value for row in wheel.ask()}
    assert worth[broken] < worth[fine[0]]


def test_an_excluded_source_has_answered_nothing(folder: Path) -> None:
    with wheels.open_wheel(folder, 'curate.exclude_sources=["bot"]') as wheel:
        event = record(wheel, 1)[0]
        wheel.record(response=event, thumb=1, source="bot")
        assert [row.event for row in wheel.ask()] == [event]
        wheel.record(response=event, thumb=1, source="ana")
        assert wheel.ask() == ()


def test_the_verb_prints_the_queue_and_how_to_answer(wheel: Any, run: Any) -> None:
    names = record(wheel, 6)
    code, out, err = run("ask", "--task", "erd", "--size", "3")
    lines = out.splitlines()
    assert code == DONE
    assert len(lines) == 4
    assert lines[0].split() == ["event", "task", "why", "prompt"]
    assert all(line.split()[0] in names and line.endswith("Draw this.") for line in lines[1:])
    assert "honewheel record --response" in err
    found = json.loads(run("ask", "--json")[1])
    assert {row["event"] for row in found} == {*names}
    assert {*found[0]} == {"event", "task", "why", "score", "value", "prompt", "output"}
    assert run("ask", "--task", "none")[0] == USAGE
    assert run("ask", "--size", "0")[0] == USAGE


def test_nothing_to_ask_is_said(run: Any) -> None:
    code, out, err = run("ask")
    assert (code, out) == (DONE, "")
    assert "no response is waiting" in err


# --- failures -----------------------------------------------------------------------------------


def test_without_a_measured_champion_there_are_no_failures_to_tell(wheel: Any, run: Any) -> None:
    with pytest.raises(NotFound, match="run honewheel cycle"):
        wheel.failures()
    with pytest.raises(ConfigError):
        wheel.failures("none")
    assert run("failures")[0] == USAGE


def test_failures_are_those_of_the_present_champion(wheel: Any, run: Any, tmp_path: Path) -> None:
    wheels.fill(wheel, tmp_path)
    assert wheel.cycle().verdict == "promote"
    (after,) = wheel.failures()
    assert (after.model, after.version, after.cycle) == (
        "artifacts",
        "artifacts@1",
        "artifacts-0001",
    )
    wheel.rollback()
    (before,) = wheel.failures()
    assert before.version == "artifacts@0"
    assert before.items == after.items > 0
    lost = [sum(row.count for row in found.failures) for found in (before, after)]
    assert lost[0] > lost[1]  # the base knows no house types
    erd = wheel.failures("erd")[0]
    assert {row.task for row in erd.failures} == {"erd"}
    assert erd.items < before.items
    code, out, err = run("failures", "--task", "erd")
    assert code == DONE
    header = "task finding prompts with items points worst"
    assert out.splitlines()[0].split() == header.split()
    assert "artifacts@0 on" in err
    found = json.loads(run("failures", "--json")[1])
    assert found[0]["failures"][0]["count"] == before.failures[0].count
