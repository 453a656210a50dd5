"""Two schedules of a model: what each takes over from the model, and what it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from honewheel import config
from honewheel.errors import ConfigError

TOML = """\
[models.artifacts]
tasks = ["erd"]

[models.artifacts.train]
rank = 8
epochs = 4

[models.artifacts.trigger]
min_new = 90
quiet_hours = "08:00-18:00"

[models.artifacts.schedules.light.trigger]
min_new = 30

[models.artifacts.schedules.deep.train]
epochs = 6

[tasks.erd]
kind = "mermaid-erd"
"""


def load(folder: Path, text: str = TOML) -> config.Config:
    path = folder / "honewheel.toml"
    path.write_text(text)
    return config.load(path, environment={})


def test_a_schedule_is_the_model_but_for_what_it_says(tmp_path: Path) -> None:
    found = load(tmp_path)
    light = found.scheduled("artifacts", "light").model("artifacts")[1]
    assert light.train == {"rank": 8, "start": "champion", "epochs": 1}
    assert (light.trigger.min_new, light.trigger.quiet_hours) == (30, "08:00-18:00")
    assert light.trigger.every_days is None
    deep = found.scheduled("artifacts", "deep").model("artifacts")[1]
    assert deep.train == {"rank": 8, "epochs": 6}
    assert (deep.trigger.min_new, deep.trigger.every_days) == (90, 7)
    own = found.scheduled("artifacts", None).model("artifacts")[1]
    assert own.train == {"rank": 8, "epochs": 4}
    values = {value.path: (value.value, value.origin) for value in found.values}
    key = "models.artifacts.schedules"
    assert values[f"{key}.light.trigger.min_new"] == (30, "honewheel.toml line 13")
    assert values[f"{key}.light.trigger.quiet_hours"] == ("08:00-18:00", "honewheel.toml line 10")
    assert values[f"{key}.deep.train.rank"] == (8, "honewheel.toml line 5")


def test_a_deep_cycle_starts_from_the_base_though_the_model_goes_on(tmp_path: Path) -> None:
    found = load(tmp_path, TOML.replace("rank = 8", 'start = "champion"'))
    assert found.scheduled("artifacts", "deep").hyperparameters("artifacts")["start"] == "base"
    assert found.scheduled("artifacts", None).hyperparameters("artifacts")["start"] == "champion"


def test_what_a_cycle_freezes_is_what_its_schedule_says(tmp_path: Path) -> None:
    found = load(tmp_path).scheduled("artifacts", "light")
    again = config.from_frozen(found.settings.model_dump(mode="json"), tmp_path)
    assert again.settings == found.settings


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[models.artifacts.schedules.deep.train]", "[models.artifacts.schedules.daily.train]"),
         "schedules.daily is no setting"),
        (("epochs = 6", "epochs = 0"), "schedules.deep.train.epochs"),
        (("epochs = 6", "ranks = 6"), "schedules.deep.train.ranks is no setting"),
        (("min_new = 30", "min_new = 0"), "schedules.light.trigger.min_new = 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_is(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(tmp_path, TOML.replace(*change))


def test_a_schedule_that_a_model_has_not_is_told(tmp_path: Path) -> None:
    found = load(tmp_path)
    with pytest.raises(ConfigError, match=r"no schedule 'ligth'. Did you mean light\?"):
        found.scheduled("artifacts", "ligth")
    plain = load(tmp_path, '[models.a]\ntasks = ["erd"]\n[tasks.erd]\nkind = "mermaid-erd"\n')
    with pytest.raises(ConfigError, match=r"Add a section \[models.a.schedules.deep\]"):
        plain.scheduled("a", "deep")
