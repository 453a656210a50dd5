"""The reference pages say what the code says."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from unittest.mock import Mock

import pytest
from docs_pages import DOCS, reference

import honewheel as hw
from honewheel import plugins
from honewheel.cli import app
from honewheel.errors import HonewheelError
from honewheel.events.ingest import Row
from honewheel.records import Comparison, Decision
from honewheel.settings import Settings

VERBS: list[str] = reference.verbs()


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["configuration.md", "cli.md"])
def test_the_tables_are_those_the_code_gives(name: str) -> None:
    assert reference.fill(page(name)) == page(name), "run: python docs/make_reference.py"


def test_a_changed_table_would_be_noticed() -> None:
    for told, wrong in (("`180.0`", "`18.0`"), ('> 0 or `"auto"`', "> 0"), ('`"coverage"`', "")):
        stale = page("configuration.md").replace(told, wrong)
        assert stale != page("configuration.md")
        assert reference.fill(stale) == page("configuration.md")


@pytest.mark.parametrize("name", ["configuration.md", "cli.md"])
def test_a_block_that_is_missing_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in ("configuration.md", "cli.md"):
        (tmp_path / other).write_text(page(other), encoding="utf-8")
    monkeypatch.setattr(reference, "PAGES", tmp_path)
    assert reference.main() == 0
    for block in reference.wanted(name):
        lacking = page(name).replace(f"<!-- begin: {block} -->", "")
        assert reference.missing(name, lacking) == [block]
    (tmp_path / name).write_text(lacking, encoding="utf-8")
    assert reference.main() == 1
    assert block in capsys.readouterr().out


def test_every_verb_has_its_section() -> None:
    told = re.findall(r"^### `honewheel (.+)`$", page("cli.md"), re.MULTILINE)
    assert sorted(told) == sorted(VERBS)
    flow = [verb.split()[0] for verb in told]
    assert list(dict.fromkeys(flow)) == app.VERBS
    titles = re.findall(r"^## (.+)$", page("cli.md"), re.MULTILINE)
    assert titles[2:] == list(app.SECTIONS)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_every_option_is_told_in_its_section(verb: str) -> None:
    heading = f"### `honewheel {verb}`" if verb else "## Before the verb"
    section = page("cli.md").partition(f"\n{heading}\n")[2].partition("\n##")[0]
    options = [word for one in reference.command(verb).params for word in one.opts]
    assert options
    for word in options:
        assert (f"`{word}" if word.startswith("--") else word) in section or word.upper() in section


def test_every_setting_is_told_and_none_that_is_gone() -> None:
    keys = [key for key, _ in reference.settings()]
    assert len(keys) > 50
    assert set(keys) == set(reference.MEANINGS)
    told = set(re.findall(r"^\| `([a-z]+\.[A-Za-z_.]+)` \|", page("configuration.md"), re.M))
    assert told == set(keys)
    for section in Settings.model_fields:
        assert f"## `[{section}" in page("configuration.md")


@pytest.mark.parametrize("family", reference.families())
def test_every_hyperparameter_is_told(family: str) -> None:
    for method in plugins.family(family).methods:
        block = f"<!-- begin: hyperparameters {family} {method} -->"
        part = page("configuration.md").partition(block)[2].partition("<!-- end -->")[0]
        told = re.findall(r"^\| `([a-z_]+)` \|", part, re.M)
        assert told == list(plugins.family(family).ranges(method))


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_every_hyperparameter_of_an_objective_is_told(objective: str) -> None:
    text = page("configuration.md").partition(f'### `objective = "{objective}"`')[2]
    for method in plugins.family("causal-lm").methods:
        part = text.partition(f'`method = "{method}"`')[2].partition("<!-- end -->")[0]
        told = re.findall(r"^\| `([a-z_]+)` \|", part, re.M)
        given = {"method": method, "objective": objective}
        there = plugins.ranges("causal-lm", given)[1]
        assert told == [key for key in there if key in told]
        assert {"learning_rate", "beta"} <= {*told} <= {*there}
        assert {*there} - {*told} <= {*plugins.family("causal-lm").ranges(method)}


def test_every_key_of_a_feedback_row_is_told() -> None:
    told = re.findall(r"^\| `([a-z_]+)` \|", page("feedback.md"), re.M)
    assert set(Row.model_fields) <= set(told)


def test_every_method_of_the_wheel_is_told_and_none_that_is_gone() -> None:
    methods = {
        name
        for name, _ in inspect.getmembers(hw.Wheel, inspect.isfunction)
        if not name.startswith("_")
    }
    told = re.findall(r"^\| `([a-z_]+)\(", page("python.md"), re.M)
    assert {*told, "close"} == methods


def test_every_public_name_is_told() -> None:
    names = page("python.md").partition("## Names")[2]
    for name in hw.__all__:
        assert f"`{name}`" in names


def test_errors_named_in_the_reference_exist() -> None:
    from honewheel import errors

    for name in re.findall(r"`([A-Z][A-Za-z]+)`", page("python.md").split("## A decision")[0]):
        found = getattr(errors, name, None)
        assert found is None or issubclass(found, HonewheelError)
        assert found is not None or name in ("Imported", "Suite", "Decision", "AliasMove")


def test_every_built_in_kind_and_metric_is_told() -> None:
    text = page("task-kinds.md")
    for kind in plugins.names(plugins.TASKS):
        assert f"| `{kind}` |" in text
    schema = {"schema": "CREATE TABLE a (b INTEGER PRIMARY KEY);"}
    for metric in plugins.task("sql").compare("SELECT b FROM a", "SELECT b FROM a", schema):
        assert f"| `{metric}` |" in text


@pytest.mark.parametrize("record", [Decision, Comparison])
def test_every_field_of_a_decision_is_told(record: type[Decision] | type[Comparison]) -> None:
    text = page("metrics-and-gate.md").partition("## The decision as data")[2]
    for field in fields(record):
        assert f"`{field.name}`" in text


def test_every_route_is_told_with_its_role_and_none_that_is_gone() -> None:
    from honewheel.server import app

    routes = app.routes(Mock(), Mock(), Mock(), Mock())
    told = re.findall(r"^\| `([A-Z]+) ([^`]+)` \| (\w+) \|", page("http.md"), re.M)
    spelt = {"anyone": "none"}
    assert told == [(one.method, one.path, spelt.get(one.role, one.role)) for one in routes]


def test_every_verb_of_the_client_is_told() -> None:
    section = page("python.md").partition("## A client of the server")[2].partition("\n## ")[0]
    for kind in (hw.Client, hw.AsyncClient):
        for name, _ in inspect.getmembers(kind, inspect.isfunction):
            assert name.startswith("_") or f"`{name}`" in section
