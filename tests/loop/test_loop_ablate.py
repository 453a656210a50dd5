"""An ablation turns for real: trains, asks, compares, resumes, and writes what it found."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from honewheel.cli.app import call
from honewheel.errors import InputError, NotEnoughData
from honewheel.loop import techniques
from honewheel.train import run as train
from wheels import fill, open_wheel, project


@pytest.fixture
def wheel(tmp_path: Path) -> Any:
    with open_wheel(project(tmp_path)) as found:
        fill(found, tmp_path, n=30, items=20)
        yield found


def listen(_: object) -> None:
    """Listens to nothing."""


def test_replay_is_found_to_help_where_forgetting_is_real(wheel: Any) -> None:
    study = wheel.study(techniques=["replay"], seeds=2)
    assert study.cost == {"trainings": 4, "known": 0, "seconds": None}
    found = study.run(listen)["findings"][0]
    assert found["answer"] == "helps"
    by_task = {row["name"]: row for row in found["tasks"]}
    assert by_task["ddl"]["difference"] > 0.1 > abs(by_task["erd"]["difference"])
    assert Path(wheel.config.state / "ablate" / "effects.png").stat().st_size > 10_000


def test_a_stopped_ablation_goes_on_and_trains_nothing_twice(
    wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun = train.run, []

    def stops(*args: Any, **kwargs: Any) -> Path:
        begun.append(args)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(train, "run", stops)
    with pytest.raises(KeyboardInterrupt):
        wheel.study(techniques=["replay"], seeds=2).run(listen)
    again = wheel.study(techniques=["replay"], seeds=2)
    assert again.cost["known"] == 2
    first = again.run(listen)
    assert len(begun) == 5
    repeated = wheel.study(techniques=["replay"], seeds=2)
    assert repeated.cost["known"] == repeated.cost["trainings"]
    assert repeated.run(listen) == first
    assert len(begun) == 5


def test_a_switch_that_changes_nothing_says_so(wheel: Any) -> None:
    found = wheel.study(techniques=["selection", "balance"], seeds=1).run(listen)["findings"]
    assert "max_examples is not set" in found[0]["reason"]
    assert found[0]["effect"] is None


def test_what_does_not_help_is_switched_off_in_the_file(wheel: Any, tmp_path: Path) -> None:
    file = tmp_path / "honewheel.toml"
    file.write_text("# ours\n" + file.read_text().replace("[curate]", "[curate]  # tuned"))
    study = wheel.study(seeds=1)  # decay and replay are on by default
    found = study.run(listen)
    assert {one["technique"]: one["answer"] for one in found["findings"]}["replay"] == "helps"
    assert study.write(found) == ["curate.half_life_days = 36500.0"]
    assert tomllib.loads(file.read_text())["curate"]["half_life_days"] == 36500.0
    assert "# ours" in file.read_text()
    assert "# tuned" in file.read_text()


@pytest.mark.slow
def test_the_curve_grows_with_the_examples(wheel: Any) -> None:
    found = wheel.study(techniques=["replay"], seeds=1, curve=True).run(listen)
    points = [point for point in found["curve"] if point["on"]]
    assert [point["examples"] for point in points] == sorted({p["examples"] for p in points})
    assert points[-1]["score"] >= points[0]["score"]
    assert "curve-replay" in found["plots"]


def test_the_champion_is_not_touched(wheel: Any) -> None:
    wheel.study(techniques=["replay"], seeds=1).run(listen)
    assert wheel.versions() == []
    assert wheel.cycles() == []


def test_the_verb_tells_the_cost_first_and_prints_json(
    wheel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["-C", str(tmp_path), "ablate", "replay", "--seeds", "1", "--cost", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["cost"]["trainings"] == 2
    assert "how long they take is not known" in said.err
    assert call(["-C", str(tmp_path), "ablate", "replay", "--seeds", "1"]) == 0
    assert "helps" in capsys.readouterr().out
    assert call(["-C", str(tmp_path), "ablate", "replya"]) == 3
    assert "Did you mean" in capsys.readouterr().err


def test_every_technique_is_a_setting_with_a_plain_value(wheel: Any) -> None:
    for one in techniques.TECHNIQUES.values():
        on, off = techniques.arms(wheel.config, one)
        assert techniques.value(on, one) != techniques.value(off, one) == one.off
    with pytest.raises(InputError, match="at least 1 seed"):
        wheel.study(seeds=0)


def test_without_held_out_prompts_nothing_is_trained(tmp_path: Path) -> None:
    with open_wheel(project(tmp_path)) as bare, pytest.raises(NotEnoughData, match="suite import"):
        bare.study(techniques=["replay"])
