"""The task kind of docs/how-to/new-task-kind.md: found, used, and true to its contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import honewheel as hw
from honewheel import plugins
from honewheel.config import load
from honewheel.errors import ConfigError
from honewheel.protocols import Task

PROJECT = """\
[models.extractor]
base  = "honewheel/tiny"
tasks = ["contact"]

[tasks.contact]
kind = "json-object"
"""
KEYS = {"keys": "name\ncity"}


@pytest.fixture
def kind(json_object: None) -> Task:
    return plugins.task("json-object")


def test_it_is_found_by_its_entry_point(kind: Task) -> None:
    assert isinstance(kind, Task)
    assert kind.kind == "json-object"
    assert "json-object" in plugins.names(plugins.TASKS)


def test_a_project_can_use_it_and_a_wrong_name_is_refused(kind: Task, tmp_path: Path) -> None:
    file = tmp_path / "honewheel.toml"
    file.write_text(PROJECT)
    assert load(file, environment={}).task("contact").kind == "json-object"
    file.write_text(PROJECT.replace("json-object", "json-objekt"))
    with pytest.raises(ConfigError, match="Did you mean json-object"):
        load(file, environment={})


def test_feedback_on_it_can_be_recorded(kind: Task, tmp_path: Path) -> None:
    (tmp_path / "honewheel.toml").write_text(PROJECT)
    with hw.open(tmp_path) as wheel:
        event = wheel.record(
            task="contact",
            prompt="Ana, Porto",
            context=KEYS,
            output='{"name": "Ana"}',
            correction='{"name": "Ana", "city": "Porto"}',
        )
        assert wheel.explain(event)["task"] == "contact"


@pytest.mark.parametrize(
    ("output", "codes", "valid"),
    [
        ('{"name": "Ana", "city": "Porto"}', [], True),
        ('{"name": "Ana"}', ["missing-key"], False),
        ('{"name": "", "city": "Porto"}', ["empty-value"], True),
        ("[1]", ["syntax"], False),
        ("{", ["syntax"], False),
        ("[" * 200_000, ["syntax"], False),
    ],
)
def test_the_check_tells_what_is_wrong(
    kind: Task, output: str, codes: list[str], valid: bool
) -> None:
    found = kind.check(output, KEYS)
    assert [item.code for item in found.findings] == codes
    assert found.valid == valid


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), values))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_object_agrees_with_itself_in_any_order(kind: Task, data: dict[str, object]) -> None:
    text = json.dumps(data)
    turned = json.dumps(dict(reversed(data.items())), indent=2)
    assert kind.compare(text, turned, {})["score"] == 1
    assert kind.equivalence_key(text, {}) == kind.equivalence_key(turned, {})


@given(st.text(max_size=40))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_output_makes_it_raise(kind: Task, output: str) -> None:
    found = kind.compare(output, '{"name": "Ana"}', {})
    assert set(found) >= {"score", "valid", "exact", "equivalent"}
    assert found["valid"] == kind.check(output, {}).valid
