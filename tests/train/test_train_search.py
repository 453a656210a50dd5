"""What a study tries, gives up, remembers and takes up again."""

from __future__ import annotations

import importlib.util
import math
import random
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.errors import InputError, MissingExtra, TrainingFailed, TrainingStopped
from honewheel.families.causal_lm import ranges as causal
from honewheel.protocols import Range
from honewheel.records import Json
from honewheel.train import search
from honewheel.train.search import GivenUp, Search, Settings

RANGES = {
    "learning_rate": Range(default=1e-4, low=1e-6, high=1e-1, log=True, search=(1e-5, 1e-2)),
    "rank": Range(default=8, low=1, high=256, log=True, search=(1, 256)),
    "dropout": Range(default=0.0, low=0.0, high=0.5, search=(0.0, 0.5)),
    "schedule": Range(default="linear", choices=("linear", "cosine")),
    "rslora": Range(default=True),
    "note": Range(default="free text"),
}
NOW: dict[str, Json] = {key: rule.default for key, rule in RANGES.items()}


def opened(file: Path | None = None, *, seed: int = 0, only: Any = ()) -> Search:
    found = search.space(RANGES, NOW, only)
    return Search(file, "study", RANGES, found, {key: NOW[key] for key in found}, seed=seed)


def planted(tried: Settings) -> float:
    """1 at a rate of 1e-3, rank 32 and dropout 0.1, and less all around."""
    rate, rank, dropout = (float(tried[key]) for key in ("learning_rate", "rank", "dropout"))  # type: ignore[arg-type]
    away = ((math.log10(rate) + 3) / 1.5) ** 2 + ((math.log2(rank) - 5) / 4) ** 2
    return 1 - (away + ((dropout - 0.1) / 0.3) ** 2) / 3


def drawn(seed: int) -> float:
    """The best of 30 random settings from the same space, the first being the same."""
    draw = random.Random(seed)
    tries: list[Settings] = [
        {
            "learning_rate": 10 ** draw.uniform(-5, -2),
            "rank": round(2 ** draw.uniform(0, 8)),
            "dropout": draw.uniform(0, 0.5),
        }
        for _ in range(29)
    ]
    return max(map(planted, [NOW, *tries]))


def test_a_planted_optimum_is_found_better_than_at_random() -> None:
    ours = []
    for seed in range(20):
        study = opened(seed=seed)
        for _ in range(30):
            study.step(lambda tried, _: planted(tried))
        best = study.best()
        assert best is not None
        ours.append(best.score)
    by_chance = [drawn(seed) for seed in range(20)]
    assert statistics.median(ours) > statistics.median(by_chance)
    assert statistics.median(ours) > 0.98


def test_the_first_try_is_the_project_as_it_is() -> None:
    study = opened()
    assert study.step(lambda tried, _: planted(tried)).settings == {
        "learning_rate": 1e-4,
        "rank": 8,
        "dropout": 0.0,
    }


@st.composite
def rules(draw: st.DrawFn) -> Range:
    """Any numeric Range that a family could have, with a part to search inside."""
    whole = draw(st.booleans())
    log = draw(st.booleans())
    number: Any = (
        st.integers(1 if log else -50, 500)
        if whole
        else st.floats(1e-7 if log else -50, 500, allow_nan=False)
    )
    low, default, high = sorted(draw(st.tuples(number, number, number)))
    inner = sorted(draw(st.tuples(number, number)))
    part = (max(low, inner[0]), min(high, inner[1]))
    return Range(
        default=default,
        low=low,
        high=high,
        log=log,
        search=part if part[0] <= part[1] else (low, high),
    )


@given(st.dictionaries(st.sampled_from("abcd"), rules(), min_size=1), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_every_setting_that_is_tried_passes_its_range(given: Any, seed: int) -> None:
    now = {key: rule.default for key, rule in given.items()}
    study = Search(None, "study", given, search.space(given, now), now, seed=seed)
    for _ in range(8):
        tried = study.step(lambda _, __: random.Random(seed).random()).settings
        assert {key: given[key].problem(value) for key, value in tried.items()} == dict.fromkeys(
            given
        )


@pytest.mark.parametrize("objective", causal.OBJECTIVES)
@pytest.mark.parametrize("method", causal.METHODS)
def test_what_is_tried_for_a_language_model_passes_its_ranges(method: str, objective: str) -> None:
    found = causal.ranges(method, objective)
    now = {key: rule.default for key, rule in found.items()}
    space = search.space(found, now)
    assert {"learning_rate", "batch_size"} <= space.keys() <= {*found}
    study = Search(None, "study", found, space, now, seed=1)
    for number in range(40):
        tried = study.step(lambda _, __, n=number: n % 7 / 7).settings  # type: ignore[misc]
        assert not [found[key].problem(value) for key, value in tried.items() if
                    found[key].problem(value)]  # fmt: skip


def test_only_chooses_words_and_switches_too_and_refuses_what_has_no_bounds() -> None:
    assert search.space(RANGES, NOW, ["schedule", "rslora"]) == {
        "schedule": ("linear", "cosine"),
        "rslora": (False, True),
    }
    study = opened(only=["schedule", "rslora"])
    tried = [study.step(lambda *_: 0.5).settings for _ in range(12)]
    assert {str(one["schedule"]) for one in tried} == {"linear", "cosine"}
    with pytest.raises(InputError, match="Did you mean rank"):
        search.space(RANGES, NOW, ["rnk"])
    with pytest.raises(InputError, match="note has no bounds"):
        search.space(RANGES, NOW, ["note"])
    with pytest.raises(InputError, match="nothing to search"):
        Search(None, "study", RANGES, {}, {}, seed=0)


def test_a_number_that_is_a_word_now_is_drawn_from_its_bounds() -> None:
    rules = {"rate": Range(default="auto", words=("auto",), low=1e-6, high=1.0, search=(0.1, 0.5))}
    now: Settings = {"rate": "auto"}
    drawn = search.space(rules, now)
    assert drawn == {"rate": (0.1, 0.5)}
    study = Search(None, "word", rules, drawn, now, seed=0)
    trial = study.step(lambda settings, _: float(settings["rate"]))  # type: ignore[arg-type]
    assert 0.1 <= trial.score <= 0.5  # type: ignore[operator]


def test_present_settings_outside_the_usual_part_are_inside_what_is_drawn() -> None:
    assert search.space(RANGES, NOW | {"learning_rate": 0.05}, ["learning_rate"]) == {
        "learning_rate": (1e-5, 0.05)
    }


def test_a_clearly_worse_try_is_given_up_and_an_equal_one_is_not() -> None:
    study = opened()
    asked = [0]

    def scored(level: float) -> Any:
        def score(tried: Settings, report: search.Report) -> float:
            asked[0] = 0
            for item in range(60):
                asked[0] += 1
                if report(item, level + random.Random(item).random() / 10):
                    raise GivenUp
            return level

        return score

    study.step(scored(0.8))
    worse = study.step(scored(0.2))
    assert (worse.state, worse.score) == ("given up", None)
    assert search.GIVE_UP_ITEMS <= asked[0] < 30
    assert study.step(scored(0.8)).state == "done"


def test_a_training_that_diverges_fails_its_try_and_not_the_search(tmp_path: Path) -> None:
    study = opened(tmp_path / "studies.db")

    def diverges(tried: Settings, _: search.Report) -> float:
        raise TrainingFailed("The loss became nan.\nmore")

    assert study.step(diverges).state == "failed"
    assert study.step(lambda *_: 0.5).state == "done"
    assert [one.why for one in study.trials()] == ["The loss became nan.", ""]


def test_what_was_running_when_a_search_was_killed_is_tried_first(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    study = opened(file)
    study.step(lambda *_: 0.5)
    running: list[Settings] = []

    def killed(tried: Settings, _: search.Report) -> float:
        running.append(tried)
        raise TrainingStopped("killed")

    with pytest.raises(TrainingStopped):
        study.step(killed)
    again = opened(file)
    assert len(again.trials()) == 1
    assert again.step(lambda *_: 0.7).settings == running[0]
    assert [one.score for one in again.trials()] == [0.5, 0.7]


def test_without_optuna_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(search, "find_spec", lambda name: None if name == "optuna" else real(name))
    with pytest.raises(MissingExtra, match=r"honewheel\[search\]"):
        opened()
