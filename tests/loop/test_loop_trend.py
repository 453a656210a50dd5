"""A task over its cycles: every number is one that can be looked up in the store."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import DONE, USAGE, call
from honewheel.curate import acceptance
from honewheel.errors import ConfigError
from honewheel.loop import proof
from honewheel.loop.trend import Point, share_above
from honewheel.records import EvalRow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = wheels.project(tmp_path_factory.mktemp("trend") / "acme")
    with (found / "honewheel.toml").open("a") as file:
        file.write("\n[evaluate]\nnewest_days = 3000\n")
    return found


@pytest.fixture
def wheel(folder: Path) -> Iterator[Any]:
    """A project with two finished cycles; the tests only read, so they share it."""
    with wheels.open_wheel(folder) as opened:
        if not opened.cycles():
            wheels.fill(opened, folder, n=40, items=35)
            opened.cycle()
            more = wheels.write_jsonl(folder / "more.jsonl", wheels.feedback(20, seed=1))
            opened.import_file(more)
            opened.cycle()
        yield opened


def test_every_point_is_what_the_cycle_measured(wheel: Any) -> None:
    found = wheel.trend("erd")
    assert [point.cycle for point in found.points] == ["artifacts-0001", "artifacts-0002"]
    for point in found.points:
        rows = [
            row
            for row in wheel.store.versions.eval_rows(point.cycle, point.version)
            if row.task == "erd"
        ]
        decision = wheel.store.versions.decision(point.cycle)
        task = next(row for row in (decision.primary, *decision.tasks) if "erd" in row.name)
        assert point.version == decision.challenger
        assert point.verdict == decision.verdict
        assert point.prompts == len(rows) >= 35
        assert point.score == pytest.approx(task.challenger)
        assert point.champion == pytest.approx(task.champion)
        scores = [row.metrics["score"] for row in rows]
        assert point.success == sum(score >= 0.7 for score in scores) / len(scores)
        assert point.valid == sum(row.metrics["valid"] for row in rows) / len(rows)
    assert found.points[0].champion < found.points[0].score


def test_acceptance_is_of_the_feedback_since_the_cycle_before(wheel: Any) -> None:
    tables = wheel.trend("ddl").points
    assert [point.heard for point in tables] == [40, 20]
    assert all(point.accepted > 0.8 for point in tables)  # all thumbs up
    diagrams = wheel.trend("erd").points
    assert [point.heard for point in diagrams] == [40, 20]
    events = list(wheel.store.log.events(["erd"], wheel.store.log.last_seq()))
    values = [acceptance.acceptance(event) for event in events]
    assert diagrams[0].accepted == pytest.approx(sum(values[:40]) / 40)
    assert diagrams[0].accepted < tables[0].accepted  # all were corrected


def test_the_length_of_answers_is_that_of_the_predictions(wheel: Any) -> None:
    """The memo family counts an answer's words as its tokens."""
    point = wheel.trend("ddl").points[0]
    rows = [
        row
        for row in wheel.store.versions.eval_rows(point.cycle, point.version)
        if row.task == "ddl"
    ]
    expected = sum(len(row.output.split(" ")) for row in rows) / len(rows)
    assert point.tokens == pytest.approx(expected)


def test_the_time_of_answers_is_that_measured_when_they_were_made(wheel: Any) -> None:
    for point in wheel.trend("ddl").points:
        assert point.seconds is not None
        assert 0 < point.seconds < 60
    assert wheel.trend("ddl").points == wheel.trend("ddl").points  # remembered, not measured again


def test_what_was_asked_last_is_scored_apart(wheel: Any) -> None:
    for point in wheel.trend("erd").points:
        decision = wheel.store.versions.decision(point.cycle)
        told = {one.name: one for one in decision.slices}
        rows = [
            row.metrics["score"]
            for row in wheel.store.versions.eval_rows(point.cycle, point.version)
            if row.suite == "panel-erd"
        ]
        assert told["erd/newest"].items == point.late == len(rows) > 0  # all are that new here
        assert point.newest == pytest.approx(sum(rows) / len(rows))
        assert "erd/newest" not in {guard.comparison.name for guard in decision.guards}


def test_only_what_was_asked_lately_is_newest(wheel: Any) -> None:
    cycle = wheel.cycles()[0]
    names = [row.name for row in wheel.store.suites.list()]
    panels = proof.panels(wheel.store, wheel.config, "artifacts", cycle.as_of_seq, names)
    items = {item.id for one in panels if one.name.startswith("panel-") for item in one.items}
    asked = {event.id: event.response.created_at for event in wheel.store.log.events(None, 10**9)}

    def newest(days: float) -> frozenset[str]:
        return proof.newest(wheel.store, panels, cycle.as_of, cycle.as_of_seq, days)

    middle = sorted(cycle.as_of - asked[item] for item in items)[len(items) // 2]
    days = middle / timedelta(days=1)
    expected = {item for item in items if cycle.as_of - asked[item] <= middle}
    assert newest(days) == expected
    assert newest(1e-6) < newest(days) <= newest(3_000) == items


def test_answers_that_say_nothing_are_counted(wheel: Any) -> None:
    (before,) = wheel.trend("erd", last=1).points
    rows = wheel.store.versions.eval_rows(before.cycle, before.version)
    rows = [row for row in rows if row.task == "erd"]
    assert before.generic == 0.0
    empty = [replace(row, output="TODO") for row in rows[:7]]
    wheel.store.versions.save_eval(before.cycle, empty)
    try:
        assert wheel.trend("erd", last=1).points[0].generic == 7 / len(rows)
    finally:
        wheel.store.versions.save_eval(before.cycle, rows[:7])


def test_only_the_newest_are_shown_and_what_is_not_known_is_none(wheel: Any) -> None:
    (point,) = wheel.trend("erd", last=1).points
    assert point.cycle == "artifacts-0002"
    assert point.heard == 20  # its interval still begins at the cycle before
    assert (point.val_loss, point.perplexity) == (None, None)  # the memo family measures none


def test_hard_examples_are_counted_where_difficulty_was_measured(wheel: Any) -> None:
    dataset = wheel.store.cycles.step("artifacts-0001", "build")[1]["dataset"]
    rows = wheel.store.datasets.load(dataset).train
    new = [row.difficulty for row in rows if row.task == "erd" and row.role == "new"]
    assert wheel.store.trends.difficulties(dataset, "erd") == new
    assert wheel.store.trends.difficulties("0" * 64, "erd") is None
    known = any(value != 0.5 for value in new)
    share = sum(value > 0.7 for value in new) / len(new)
    assert wheel.trend("erd").points[0].hard == (share if known else None)


def test_a_damaged_dataset_leaves_a_gap_and_no_error(wheel: Any, folder: Path) -> None:
    built = wheel.store.cycles.step("artifacts-0002", "build")[1]["dataset"]
    summary = next(one for one in wheel.store.datasets.list() if one.hash == built)
    path = wheel.store.files.path(summary.files) / "dataset.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    try:
        assert wheel.trend("erd").points[1].hard is None
    finally:
        path.write_bytes(whole)


def test_an_unknown_task_is_named_with_its_neighbour(wheel: Any) -> None:
    with pytest.raises(ConfigError, match=r"'erdd'.*erd"):
        wheel.trend("erdd")


def test_seventy_points_are_a_success_and_less_is_none() -> None:
    def row(score: float) -> EvalRow:
        metrics = {"score": score}
        return EvalRow(version="v@1", suite="s", task="t", item="i", group="g", metrics=metrics)

    assert share_above([row(0.7), row(0.6999), row(1.0), row(0.0)], 0.7) == 0.5
    assert share_above([row(1 - 0.3)], 0.7) == 1.0  # 0.7 less a rounding error


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    point = Point(
        cycle="c",
        version="m@1",
        verdict="promote",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        prompts=1,
        score=0.5,
        champion=None,
        success=0.0,
        valid=1.0,
        accepted=None,
        heard=0,
        newest=None,
        late=0,
        seconds=None,
        tokens=None,
        generic=None,
        hard=None,
        val_loss=math.log(8),
    )
    assert point.perplexity == pytest.approx(8)


def test_the_command_line_prints_a_table_json_and_a_picture(
    wheel: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["--project", str(folder), "trend", "erd"]) == DONE
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:5] == ["version", "by", "verdict", "ended", "prompts"]
    assert [line.split()[0] for line in table[1:]] == ["artifacts@1", "artifacts@2"]
    picture = tmp_path / "erd.png"
    words = ["--project", str(folder), "trend", "erd", "--json", "--plot", str(picture)]
    assert call(words) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "erd"
    assert found["points"][0]["score"] == wheel.trend("erd").points[0].score
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "told"),
    [(["erdd"], "No task 'erdd'"), (["erd", "--plot", "erd.svg"], "ends in .png")],
)
def test_the_command_line_explains_a_mistake(
    wheel: Any, folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert call(["--project", str(folder), "trend", *words]) == USAGE
    assert told in capsys.readouterr().err


def test_a_task_without_a_cycle_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = wheels.project(tmp_path / "fresh")
    capsys.readouterr()
    assert call(["--project", str(fresh), "trend", "erd"]) == DONE
    assert "No finished cycle has measured erd" in capsys.readouterr().err
