"""Light and deep cycles: which is due, what each takes for new, and where it can be seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import USAGE, call
from honewheel.errors import ConfigError

SCHEDULES = """
[models.artifacts.trigger]
min_new = 5
cooldown_hours = 0
hoped_gain = 50

[models.artifacts.schedules.light.train]
steps = 2

[models.artifacts.schedules.deep.trigger]
every_days = 7
"""


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with both schedules, whose deep cycle has run; nothing is due."""
    made = tmp_path_factory.mktemp("scheduled")
    folder = wheels.project(made / "project")
    with (folder / "honewheel.toml").open("a") as file:
        file.write(SCHEDULES)
    with wheels.memo_installed(), wheels.open_wheel(folder) as opened:
        wheels.fill(opened, made)
        assert opened.work(once=True) == 1
    return folder


@pytest.fixture
def wheel(tmp_path: Path, turned: Path) -> Iterator[Any]:
    with wheels.open_wheel(shutil.copytree(turned, tmp_path / "project")) as opened:
        yield opened


def later(wheel: Any, **amount: float) -> None:
    """Let time pass for the project's clock."""
    clock = wheel.clock
    wheel.clock = lambda: clock() + timedelta(**amount)


def more(wheel: Any, folder: Path, seed: int) -> None:
    wheel.import_file(wheels.write_jsonl(folder / "more.jsonl", wheels.feedback(30, seed=seed)))


def test_the_deep_cycle_runs_first_and_then_neither_is_due(wheel: Any) -> None:
    (cycle,) = wheel.cycles()
    assert (cycle.schedule, cycle.verdict) == ("deep", "promote")
    (job,) = wheel.jobs()
    assert (job.asked, job.result["schedule"]) == ({"schedule": "deep"}, "deep")
    found = wheel.due()
    assert (found.fire, found.schedule) == (False, None)
    assert [why.partition(":")[0] for why in found.reasons] == ["deep", "light"]


def test_light_cycles_run_until_the_calendar_asks_for_a_deep_one(
    wheel: Any, tmp_path: Path
) -> None:
    more(wheel, tmp_path, 1)
    found = wheel.due()
    assert (found.fire, found.schedule) == (True, "light")
    assert wheel.work(once=True) == 1
    light, deep = wheel.cycles()
    assert (light.schedule, deep.schedule) == ("light", "deep")
    trained = wheel.show(light.id)["steps"]["train"]["spec"]
    assert (trained["settings"]["steps"], trained["settings"]["start"]) == (2, "champion")
    assert wheel.version("artifacts@2").started_from == 1
    assert not wheel.due().fire
    later(wheel, days=7)
    found = wheel.due()  # what the light cycle has learnt waits for the deep one all the same
    assert (found.fire, found.schedule) == (True, "deep")
    assert found.reasons == ("the last finished cycle was 7 days ago (every_days 7)",)
    more(wheel, tmp_path, 2)  # the light one is due as well
    assert wheel.due().schedule == "deep"
    assert wheel.work(once=True) == 1
    assert wheel.cycles()[0].schedule == "deep"
    assert wheel.version("artifacts@3").started_from is None
    assert not wheel.due().fire  # a deep cycle takes in what waited for the light one


def test_where_schedules_are_seen(
    wheel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more(wheel, tmp_path, 1)
    assert wheel.work(once=True) == 1
    status = wheel.status()["models"]["artifacts"]
    why = wheel.jobs()[0].reason
    assert "effective new examples wait" in why
    assert (status["last_schedule"], status["last_reason"]) == ("light", why)
    made = {"id": "artifacts-0002", "schedule": "light", "reason": why}
    assert wheel.show("artifacts@2")["cycle"] == made
    assert wheel.show("artifacts-0002")["reason"] == why
    assert f"A light cycle: {why}" in wheel.report().read_text()
    standing = status["schedules"]
    assert {name: one["cycle"] for name, one in standing.items()} == {
        "deep": "artifacts-0001",
        "light": "artifacts-0002",
    }
    assert [point.schedule for point in wheel.trend("erd").points] == ["deep", "light"]
    explained = [wheel.explain(f"evt_e1-{n}")["models"][0]["answer"] for n in range(30)]
    assert "trained on in artifacts-0002 (light)" in explained
    there = ["-C", str(wheel.config.root)]
    assert call([*there, "trend", "erd"]) == 0
    assert "light" in capsys.readouterr().out
    assert call([*there, "jobs", "list"]) == 0
    assert "light cycle" in capsys.readouterr().out
    assert call([*there, "versions"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if "light" in row] == ["artifacts@2"]
    assert [row[0] for row in rows if "deep" in row] == ["artifacts@1"]


def test_the_command_line_runs_and_queues_by_schedule(
    wheel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ["-C", str(wheel.config.root)]
    assert call([*there, "cycle", "--schedule", "weekly"]) == USAGE
    assert "no schedule 'weekly'" in capsys.readouterr().err
    more(wheel, tmp_path, 1)
    assert call([*there, "due"]) == 0
    assert capsys.readouterr().out.startswith("due (light)")
    assert call([*there, "cycle", "--if-due", "--schedule", "deep"]) == 0
    assert len(wheel.cycles()) == 1  # light is due, deep was asked for
    assert call([*there, "cycle", "--schedule", "light", "--queue", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["asked"] == {"schedule": "light"}
    wheel.cancel(wheel.jobs()[0].id)
    assert call([*there, "cycle", "--if-due", "--queue", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["asked"] == {"schedule": "light"}
    wheel.cancel(wheel.jobs()[0].id)
    call([*there, "cycle", "--schedule", "light"])
    assert wheel.cycles()[0].schedule == "light"
    with pytest.raises(ConfigError, match="no schedule"):
        wheel.queue(schedule="weekly")


def test_without_a_schedule_the_model_turns_by_its_own_settings(wheel: Any, tmp_path: Path) -> None:
    more(wheel, tmp_path, 1)
    wheel.cycle()
    cycle = wheel.cycles()[0]
    assert cycle.schedule is None
    assert wheel.show(cycle.id)["steps"]["train"]["spec"]["settings"]["start"] == "base"


def test_a_light_cycle_that_was_cut_short_goes_on_as_a_light_one(
    wheel: Any, tmp_path: Path
) -> None:
    from honewheel.errors import Stopped

    def cut(step: Any) -> None:
        if step.stage == "train":
            raise Stopped("here")

    more(wheel, tmp_path, 1)
    with pytest.raises(Stopped):
        wheel.cycle("artifacts", cut, "light")
    wheel.cycle("artifacts", schedule="deep")
    newest = wheel.cycles()[0]
    assert (newest.number, newest.schedule, newest.state) == (2, "light", "done")
