"""honewheel.toml: order of precedence, origins, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from honewheel import config
from honewheel.errors import ConfigError

GOOD = """\
[project]
name = "acme"

[models.artifacts]
family = "causal-lm"
base = "honewheel/tiny"
tasks = ["erd"]

[models.artifacts.train]
method = "lora"
rank = 8

[tasks.erd]
kind = "mermaid-erd"

[curate]
half_life_days = 90
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "honewheel.toml"
    path.write_text(GOOD)
    return path


def told(path: Path, text: str, **kwargs: object) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as found:
        config.load(path, environment={}, **kwargs)  # type: ignore[arg-type]
    return str(found.value)


def origin(found: config.Config, path: str) -> tuple[object, str]:
    value = next(item for item in found.values if item.path == path)
    return value.value, value.origin


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("HONEWHEEL_CURATE_SEED", "HONEWHEEL_CURATE__SEED"),
        ("HONEWHEEL_MODELS_ARTIFACTS_TRAIN_RANK", "HONEWHEEL_MODELS__ARTIFACTS__TRAIN__RANK"),
    ],
)
def test_a_variable_with_single_underscores_is_not_ignored(
    project: Path, given: str, meant: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{given} sets nothing.* Did you mean {meant}\?"):
        config.load(project, environment={given: "1"})
    for other in ("HONEWHEEL_API_KEY", "HONEWHEEL_TEACHER_KEY", "CURATE_SEED"):
        config.load(project, environment={other: "secret"})


def test_flag_beats_environment_beats_file_beats_default(project: Path) -> None:
    key = "curate.half_life_days"
    assert origin(config.load(project, environment={}), "curate.seed") == (0, "default")
    assert origin(config.load(project, environment={}), key) == (90.0, "honewheel.toml line 17")
    environment = {"HONEWHEEL_CURATE__HALF_LIFE_DAYS": "30"}
    found = config.load(project, environment=environment)
    assert origin(found, key) == (30.0, "HONEWHEEL_CURATE__HALF_LIFE_DAYS")
    assert found.settings.curate.half_life_days == 30
    found = config.load(project, environment=environment, flags=[f"{key}=7"])
    assert origin(found, key) == (7.0, "--set")


def test_every_hyperparameter_is_listed_with_its_default(project: Path) -> None:
    found = config.load(project, environment={})
    paths = {value.path for value in found.values}
    assert "models.artifacts.train.learning_rate" in paths
    assert origin(found, "models.artifacts.train.rank") == (8, "honewheel.toml line 11")
    assert found.hyperparameters("artifacts")["rank"] == 8
    assert "method" not in found.hyperparameters("artifacts")


def test_an_unknown_key_gets_a_did_you_mean_and_its_line(project: Path) -> None:
    text = told(project, GOOD + "halflife_days = 3\n")
    assert "curate.halflife_days is no setting (honewheel.toml line 18)" in text
    assert "Did you mean half_life_days?" in text


def test_an_unknown_section_is_where_its_keys_are(project: Path) -> None:
    assert "gate is no setting (honewheel.toml line 18)" in told(
        project, GOOD + "[gate]\nmin_items = 3\n"
    )
    project.write_text(GOOD)
    with pytest.raises(ConfigError, match=r"gate is no setting \(--set\)"):
        config.load(project, environment={}, flags=["gate.min_items=3"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("rank = 8", "rnak = 8"), "Did you mean rank?"),
        (
            ("rank = 8", "learning_rate = 0.5"),
            "models.artifacts.train.learning_rate: 0.5 is outside",
        ),
        (("rank = 8", "rank = 8.5"), "not a whole number"),
        (('tasks = ["erd"]', 'tasks = ["edr"]'), "Did you mean erd?"),
        (('tasks = ["erd"]', "tasks = []"), "models.artifacts.tasks"),
        (('kind = "mermaid-erd"', 'kind = "mermaid-er"'), "Did you mean mermaid-erd?"),
        (('family = "causal-lm"', 'family = "casual-lm"'), "Did you mean causal-lm?"),
        (('method = "lora"', 'method = "loar"'), "Did you mean lora?"),
        (("half_life_days = 90", "half_life_days = -1"), "greater than 0"),
        (("half_life_days = 90", "half_life_days = nan"), "finite number"),
        (("[curate]", "[store]\nurl = 'mysql://x'\n[curate]"), "store.url"),
        (
            (
                "[curate]",
                "[models.artifacts.upstream]\nurl = 'http://ana:pw@host/v1'\nmodel = 'm'\n[curate]",
            ),
            "holds no user or password",
        ),
        (("[curate]", "[curate"), "not valid TOML"),
    ],
)
def test_a_mistake_names_the_key_and_the_reason(
    project: Path, change: tuple[str, str], expected: str
) -> None:
    assert expected in told(project, GOOD.replace(*change))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            'objective = "dpp"',
            "'dpp' is none of sft, dpo, kto (lora). It was set in",
        ),
        (
            "beta = 0.1",
            "train.beta is no setting of lora (honewheel.toml line 11)",
        ),
        ('objective = "kto"\nsft_weight = 1.0', "train.sft_weight is no setting of lora, kto"),
        ('objective = "dpo"\nbeta = 99.0', "beta: 99 is outside 0.01 .. 10 (lora, dpo)."),
        ('objective = "dpo"\nlearning_rate = 0.005', "0.005 is outside 1e-07 .. 0.002 (lora, dpo)"),
    ],
)
def test_settings_that_an_objective_has_not_are_refused_with_its_own_ranges(
    project: Path, lines: str, expected: str
) -> None:
    assert expected in told(project, GOOD.replace("rank = 8", lines))


def test_an_objective_brings_its_own_settings_and_defaults(project: Path) -> None:
    project.write_text(GOOD.replace("rank = 8", 'objective = "dpo"\nbeta = 0.3'))
    found = config.load(project, environment={})
    given = found.hyperparameters("artifacts")
    assert (given["objective"], given["beta"]) == ("dpo", 0.3)
    assert given["learning_rate"] < 1e-3  # type: ignore[operator]
    assert origin(found, "models.artifacts.train.sft_weight")[1] == "default"
    assert found.method("artifacts") == "lora"


def test_a_range_message_tells_method_and_place(project: Path) -> None:
    text = told(project, GOOD.replace("rank = 8", "learning_rate = 0.5"))
    assert "(lora)" in text
    assert "It was set in honewheel.toml line 11." in text


def test_an_empty_table_is_shown_as_what_it_is(project: Path) -> None:
    found = config.load(project, environment={})
    assert origin(found, "curate.trust") == ({}, "default")
    assert origin(found, "models.artifacts.schedules.deep") == (None, "default")
    assert not any(value.path.endswith(".train") for value in found.values)


def test_a_flag_without_a_value_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        config.load(project, environment={}, flags=["curate.seed"])


def test_a_flag_through_a_value_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match="a value, not a section"):
        config.load(project, environment={}, flags=["project.name.first=1"])


def test_the_nearest_file_upwards_is_found(project: Path) -> None:
    deep = project.parent / "a" / "b"
    deep.mkdir(parents=True)
    assert config.find(deep) == project


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="honewheel init"):
        config.find(tmp_path)


def test_a_base_folder_of_the_project_is_found_from_anywhere(project: Path) -> None:
    (project.parent / "bases" / "mine").mkdir(parents=True)
    project.write_text(GOOD.replace("honewheel/tiny", "bases/mine"))
    found = config.load(project, environment={}).settings.models["artifacts"].base
    assert found == str(project.parent / "bases" / "mine")


def test_frozen_settings_come_back_equal(project: Path) -> None:
    found = config.load(project, environment={})
    dumped = found.settings.model_dump(mode="json")
    assert config.from_frozen(dumped, found.root).settings == found.settings


def test_asking_for_an_unregistered_model_suggests_one(project: Path) -> None:
    found = config.load(project, environment={})
    with pytest.raises(ConfigError, match="Did you mean artifacts"):
        found.model("artefacts")
    with pytest.raises(ConfigError, match="No task 'ddl'"):
        found.task("ddl")


def test_several_models_need_a_name(project: Path) -> None:
    project.write_text(GOOD + '[models.other]\ntasks = ["erd"]\n')
    with pytest.raises(ConfigError, match="registers 2"):
        config.load(project, environment={}).model()
