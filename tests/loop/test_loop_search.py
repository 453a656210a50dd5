"""A search turns for real: trains, asks the validation split, resumes, and adopts no luck."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from honewheel import plugins
from honewheel.cli.app import call
from honewheel.errors import InputError, NotEnoughData, TrainingFailed
from honewheel.loop import intake, proof
from honewheel.records import EvalRow
from honewheel.train import inputs
from honewheel.train import run as train
from wheels import fill, open_wheel, project


@pytest.fixture(scope="module")
def made() -> dict[str, Path]:
    """The project once it is filled: that takes longest."""
    return {}


@pytest.fixture
def folder(made: dict[str, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model has a hyperparameter with one best value, far from where it is."""
    if not made:
        filled = project(tmp_path_factory.mktemp("filled"))
        with open_wheel(filled) as wheel:
            fill(wheel, filled, n=150, items=10)
            intake.run(wheel.store, wheel.config, listen=listen)
        made["filled"] = filled
    found = shutil.copytree(made["filled"], tmp_path / "project")
    file = found / "honewheel.toml"
    file.write_text(file.read_text().replace('"memo"', '"dial"  # ours'))
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains in this process: starting one for each try is what takes the time."""

    def here(run_dir: Path, found: inputs.Inputs, on_progress: Any, _: object) -> None:
        for progress in plugins.family(found.family).train(found.spec, found.dataset, run_dir):
            on_progress(progress)

    monkeypatch.setattr(train, "_train", here)


def listen(_: object) -> None:
    """Listens to nothing."""


@pytest.mark.usefixtures("quick")
def test_the_best_settings_are_found_proved_written_and_used(folder: Path) -> None:
    with open_wheel(folder) as wheel:
        search = wheel.search(trials=8)
        assert (search.first, search.space) == ({"dial": 0.2}, {"dial": (0.0, 1.5)})
        found = search.run(listen)
        assert found["trials"][0]["settings"] == {"dial": 0.2}
        assert abs(found["adopt"]["dial"] - 1.0) < 0.3
        best = found["finalists"][0]["effect"]
        assert best["low"] > 0
        kept = json.loads((folder / ".honewheel/search/newest-artifacts.json").read_text())
        assert kept == found
        (line,) = search.write(found)
        assert line == f"models.artifacts.train.dial = {found['adopt']['dial']}"
        assert wheel.versions() == []
        assert wheel.cycles() == []
    text = (folder / "honewheel.toml").read_text()
    assert "# ours" in text
    assert f"# search {found['study']}: +" in text
    with open_wheel(folder) as wheel:
        value = next(v for v in wheel.config.values if v.path == "models.artifacts.train.dial")
        assert value.value == found["adopt"]["dial"]
        assert value.origin.startswith("honewheel.toml line")
        wheel.cycle()
        spec = wheel.store.cycles.step(wheel.cycles()[0].id, "train")[1]["spec"]
        assert spec["settings"]["dial"] == found["adopt"]["dial"]


def test_what_is_searched_are_the_settings_of_the_objective(folder: Path) -> None:
    file = folder / "honewheel.toml"
    text = file.read_text().replace('"dial"', '"causal-lm"').replace("memo/echo", "honewheel/tiny")
    train = '[models.artifacts.train]\nobjective = "dpo"\nbeta = 0.2\n\n[curate]'
    file.write_text(text.replace("[curate]", train))
    with open_wheel(folder) as wheel:
        search = wheel.search(trials=2)
        assert search.first["beta"] == 0.2
        assert search.space["beta"] == (0.03, 1.0)
        assert search.space["learning_rate"] == (1e-5, 1e-3)
        spec = search._rehearsal(search.first, 0).spec
        assert spec.settings["objective"] == "dpo"
        with pytest.raises(InputError, match="No hyperparameter 'objective'"):
            wheel.search(trials=2, only=["objective"])


@pytest.mark.usefixtures("quick")
def test_only_validation_prompts_are_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    kind: Any = type(plugins.family("dial"))
    real = kind.open

    def watched(self: Any, base: str, version_dir: Path | None) -> Any:
        model = real(self, base, version_dir)
        predict = model.predict

        def seen(items: Any, decoding: Any) -> Any:
            asked.update(item.id for item in items)
            return predict(items, decoding)

        model.predict = seen
        return model

    monkeypatch.setattr(kind, "open", watched)
    monkeypatch.setattr(proof, "panels", lambda *_: pytest.fail("the test panel was read"))
    with open_wheel(folder) as wheel:
        search = wheel.search(trials=3)
        search.run(listen)
        assert asked == {row.id for row in search.dataset.val}
        splits = {
            wheel.store.log.event(event).placement.split
            for row in search.dataset.val
            for event in row.events
        }
    assert splits == {"val"}


@pytest.mark.usefixtures("quick")
def test_a_killed_search_goes_on_and_trains_nothing_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun = train.run, []

    def stops(*args: Any, **kwargs: Any) -> Path:
        begun.append(args[1].settings["dial"])
        if len(begun) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(train, "run", stops)
    with open_wheel(folder) as wheel:
        with pytest.raises(KeyboardInterrupt):
            wheel.search(trials=4).run(listen)
        again = wheel.search(trials=4)
        assert len(again.study.trials()) == 2
        again.run(listen)
        assert begun[3] == begun[2]
        count = len(begun)
        assert wheel.search(trials=4).run(listen)["trials"] == again.run(listen)["trials"]
        assert len(begun) == count


@pytest.mark.usefixtures("quick")
def test_twenty_equal_settings_promote_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`idle` changes nothing, so whatever differs between tries is luck: here, by as good as 8
    points from one training to the next.
    """
    from honewheel.evaluate import metrics

    real = metrics.rows

    def lucky(version: str, *args: Any) -> list[EvalRow]:
        luck = int(version[:4], 16) / 0xFFFF * 0.08  # of the training: its key is a hash
        return [
            EvalRow(**{key: getattr(row, key) for key in ROW} | {"metrics": _moved(row, luck)})
            for row in real(version, *args)
        ]

    monkeypatch.setattr(metrics, "rows", lucky)
    with open_wheel(folder, "models.artifacts.train.dial=0.5") as wheel:
        search = wheel.search(only=["idle"], trials=20, seeds=3)
        found = search.run(listen)
        scores = [one["score"] for one in found["trials"] if one["score"] is not None]
        assert max(scores) - min(scores) > 0.01
        assert len(found["trials"]) == 20
        assert found["adopt"] is None
        assert search.write(found) == []


ROW = ("version", "suite", "task", "item", "group", "metrics", "output")


def _moved(row: EvalRow, by: float) -> dict[str, float]:
    return {**row.metrics, "score": min(1.0, row.metrics["score"] * 0.9 + by)}


@pytest.mark.usefixtures("quick")
def test_a_training_that_breaks_is_one_bad_try(folder: Path) -> None:
    with open_wheel(folder) as wheel:
        found = wheel.search(only=["dial", "breaks"], trials=8).run(listen)
    failed = [one for one in found["trials"] if one["state"] == "failed"]
    assert failed
    assert {one["why"] for one in failed} == {"The loss became nan."}
    assert found["adopt"]["breaks"] is False


@pytest.mark.usefixtures("quick")
def test_when_no_try_can_be_trained_the_reason_is_told(folder: Path) -> None:
    with (
        open_wheel(folder, "models.artifacts.train.breaks=true") as wheel,
        pytest.raises(TrainingFailed, match=r"None of 2 tries .* The loss became nan"),
    ):
        wheel.search(trials=2).run(listen)


@pytest.mark.slow
def test_every_try_trains_in_a_process_of_its_own(folder: Path) -> None:
    with open_wheel(folder) as wheel:
        found = wheel.search(trials=3, seeds=1).run(listen)
    assert [one["state"] for one in found["trials"]].count("failed") == 0


@pytest.mark.usefixtures("quick")
def test_minutes_end_a_search_with_the_finals_kept_back(folder: Path) -> None:
    from datetime import UTC, datetime, timedelta

    import honewheel as hw

    moment = [datetime(2026, 11, 1, tzinfo=UTC)]

    def clock() -> datetime:
        moment[0] += timedelta(seconds=7)
        return moment[0]

    with hw.open(folder, environment={}, clock=clock) as wheel:
        found = wheel.search(minutes=2).run(listen)
    assert 2 <= len(found["trials"]) < 20


@pytest.mark.usefixtures("quick")
def test_the_verb_says_what_it_found_and_refuses_what_makes_no_sense(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-C", str(folder), "search", "--trials", "6", "--seeds", "1"]
    assert call([*words, "--write"]) == 0
    said = capsys.readouterr()
    assert "helps" in said.out
    assert "dial 0 .. 1.5   judged on" in said.err
    assert "honewheel.toml: models.artifacts.train.dial = " in said.err
    train_section = tomllib.loads((folder / "honewheel.toml").read_text())["models"]["artifacts"]
    assert train_section["train"]["dial"] > 0.2
    assert call([*words, "--only", "dail"]) == 3
    assert "Did you mean dial" in capsys.readouterr().err
    assert call([*words, "--only", "name"]) == 3
    assert "no bounds" in capsys.readouterr().err
    assert call([*words, "--json", "--only", "idle"]) == 0
    assert json.loads(capsys.readouterr().out)["adopt"] is None


def test_a_search_needs_sense_and_validation_prompts(folder: Path, tmp_path: Path) -> None:
    with open_wheel(folder) as wheel:
        for wrong in ({"seeds": 0}, {"trials": 1}, {"minutes": 0.0}):
            with pytest.raises(InputError, match="at least 2 trials"):
                wheel.search(**wrong)
    bare = project(tmp_path / "bare")
    with open_wheel(bare) as wheel:
        fill(wheel, bare, n=12, items=5)
        with pytest.raises(NotEnoughData, match="fell to validation"):
            wheel.search()
