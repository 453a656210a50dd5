"""A cycle may go on from the champion: what it is shown, what is told of it, what is forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wheels

WARM = "models.artifacts.train.start=champion"
WHO = {"reason": "asked by letter", "by": "dpo"}


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a champion, and feedback that came after it."""
    made = tmp_path_factory.mktemp("champion")
    with wheels.memo_installed(), wheels.open_wheel(wheels.project(made / "project")) as wheel:
        wheels.fill(wheel, made)
        assert wheel.cycle().verdict == "promote"
        rows = wheels.feedback(40, seed=1)
        wheel.import_file(wheels.write_jsonl(made / "more.jsonl", rows))
    return made / "project"


@pytest.fixture
def folder(tmp_path: Path, champion: Path) -> Path:
    return shutil.copytree(champion, tmp_path / "project")


@pytest.fixture
def warm(folder: Path) -> Iterator[Any]:
    with wheels.open_wheel(folder, WARM) as wheel:
        yield wheel


def test_a_warm_start_is_frozen_and_told(warm: Any) -> None:
    said: list[str] = []
    warm.cycle(on_progress=lambda step: said.append(step.message))
    _, first, second = warm.versions()
    assert (first.started_from, second.started_from) == (None, 1)
    assert any(one.endswith("on memo/echo, from artifacts@1") for one in said)
    step = warm.show("artifacts@2")["training"]
    assert step["spec"]["start_files"] == first.files
    assert step["started_from"] == "artifacts@1"
    told = warm.trace("artifacts@2")
    assert (told["started_from"], told["learnt_before"]) == ("artifacts@1", [first.dataset])
    assert warm.trace("artifacts@1")["started_from"] is None
    assert "<code>artifacts@1</code>" in warm.report().read_text().split("started from")[1][:50]


def test_what_the_start_has_learnt_is_replay(warm: Any) -> None:
    warm.cycle()
    _, first, second = warm.versions()
    known, shown = (warm.store.datasets.load(one.dataset).train for one in (first, second))
    learnt = {row.id for row in known}
    assert {row.role for row in shown if row.id in learnt} <= {"replay"}
    new = {row.id for row in shown if row.role == "new"}
    assert new
    assert not new & learnt
    assert len(new) < 40


def test_from_the_base_everything_is_new_again(folder: Path) -> None:
    with wheels.open_wheel(folder) as wheel:
        wheel.cycle()
        _, first, second = wheel.versions()
        assert second.started_from is None
        assert wheel.show("artifacts@2")["training"]["spec"]["start_files"] is None
        known, shown = (wheel.store.datasets.load(one.dataset).train for one in (first, second))
        assert {row.id for row in known if row.role == "new"} <= {
            row.id for row in shown if row.role == "new"
        }


def test_a_champion_that_is_the_base_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    with wheels.open_wheel(wheels.project(tmp_path / "acme"), WARM) as wheel:
        wheels.fill(wheel, tmp_path)
        wheel.cycle(on_progress=lambda step: said.append(step.message))
        assert wheel.versions()[-1].started_from is None
    assert any("it starts from the base, which is the champion" in one for one in said)


def test_what_an_ancestor_learnt_is_traced_explained_and_forgotten(warm: Any) -> None:
    warm.cycle()
    first = warm.versions()[1].dataset
    shown = warm.store.datasets.shown_events(warm.versions()[2].dataset)
    only = sorted(warm.store.datasets.shown_events(first) - shown)[0]
    told = warm.trace(only)
    assert [row["version"] for row in told["versions"]] == ["artifacts@1"]
    (row,) = told["by_their_start"]
    assert (row["version"], row["started_from"]) == ("artifacts@2", "artifacts@1")
    answer = warm.explain(only)["models"][0]["answer"]
    assert answer.endswith("; its training started from weights that learnt it in artifacts@1")
    found = warm.forget(only, **WHO)
    assert found.versions == ("artifacts@1", "artifacts@2")


def test_no_training_goes_on_from_what_learnt_a_forgotten_event(warm: Any) -> None:
    dataset = warm.versions()[1].dataset
    gone = sorted(warm.store.datasets.shown_events(dataset))[:2]
    warm.forget(*gone, **WHO)
    said: list[str] = []
    warm.cycle(on_progress=lambda step: said.append(step.message))
    told = "it starts from the base: artifacts@1 has learnt 2 events since forgotten or rejected"
    assert any(told in one for one in said)
    newest = warm.versions()[-1]
    assert newest.started_from is None
    rows = warm.store.datasets.load(newest.dataset).train
    assert sum(row.role == "new" for row in rows) > 40  # the base is shown everything


def test_no_training_goes_on_from_what_learnt_a_rejected_event(warm: Any) -> None:
    shown = sorted(warm.store.datasets.shown_events(warm.versions()[1].dataset))
    warm.drop(shown[0], reason="made up", by="ana")
    said: list[str] = []
    warm.cycle(on_progress=lambda step: said.append(step.message))
    assert any("artifacts@1 has learnt 1 event since forgotten or rejected" in one for one in said)
    assert warm.versions()[-1].started_from is None


def test_ablations_and_searches_start_where_a_cycle_would(warm: Any) -> None:
    files = warm.versions()[1].files
    study = warm.study("artifacts", ["replay"], seeds=1).study
    search = warm.search("artifacts", only=["steps"], trials=2, seeds=1)
    for one in (study.trainings(warm.config)[0], search._rehearsal({}, 0)):
        assert one.spec.start_files == files
        assert one.start.name == files
    found = search.run(lambda step: None)
    assert len(found["trials"]) == 2
