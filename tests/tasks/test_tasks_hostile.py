"""No text makes a task raise, hang or import what it does not need."""

import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from honewheel.errors import ParseError
from honewheel.records import Check
from honewheel.tasks.gherkin import Gherkin
from honewheel.tasks.mermaid_erd import MermaidErd
from honewheel.tasks.sql import Sql

SCHEMA = {"schema": "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"}
ALL = [(MermaidErd(), {}), (Sql(), {}), (Sql(), SCHEMA), (Gherkin(), {})]
PIECES = (
    "erDiagram|A|{|}|int|PK|||--o{|:|\"x\"|%%|---|%%{|direction LR|style|subgraph|end|`|~|[|]|;|#|"
    "SELECT|FROM|t|a|(|)|,|JOIN|ON|WHERE|CASE|WHEN|'|CREATE TABLE|REFERENCES|WITH|UNION|--|/*|"
    "Feature:|Scenario:|Given|Then|Examples:|<a>|@t|\"\"\"|Rule:|Background:|# language: fr|\n|\n| "
).split("|")  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(codec=None, categories=None), max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=40).map("\n".join),
)


def exercise(task, context, text):
    check = task.check(text, context)
    assert isinstance(check, Check)
    assert 0 <= check.score <= 1
    assert check.valid == (check.score > 0)
    assert all(finding.message for finding in check.findings)
    for view in (task.facts, task.equivalence_key):
        try:
            view(text, context)
        except ParseError:
            assert not check.valid


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_any_text_gets_a_check_and_facts_or_a_parse_error(text):
    for task, context in ALL:
        exercise(task, context, text)


LONG = {
    "nul": "\0" * 100_000,
    "surrogates": "\udfff" * 100_000,
    "spaces": " " * 100_000,
    "words": "erDiagram " + "a " * 19_000,
    "lines": "erDiagram" + "\n" * 20_000,
    "comments": "erDiagram" + "\n \n%% x" * 6_000,
    "directives": "%%{" * 13_000,
    "front matter": "---" + "\n" * 20_000,
    "directives in a line": "%%{" * 13_000 + "\u2028\n",
    "tags": "erDiagram " + "<a " * 13_000,
    "colours": "erDiagram\n" + "style:#" * 5_000,
    "ticks": "erDiagram A {" + "`" * 39_000,
    "ticked": "erDiagram A {" + "`a`" * 13_000,
    "tildes": "erDiagram A {" + "a~ " * 13_000,
    "directions": "erDiagram " + "a " * 15_000 + "\ndirection LR",
    "subgraphs": "erDiagram\n" + "subgraph a\n" * 3_500,
    "chain": "erDiagram\n" + "\n".join(f"a{i} ||--|| a{i + 1} : x" for i in range(1_500)),
    "open brackets": "SELECT " + "(" * 19_000,
    "brackets": "SELECT " + "(" * 9_000 + "1" + ")" * 9_000,
    "nots": "SELECT " + "NOT " * 4_900 + "1",
    "sum": "SELECT 1" + "+1" * 9_000,
    "comparisons": "SELECT " + "a = " * 4_900 + "1 FROM t",
    "cases": "SELECT " + "CASE WHEN 1 THEN " * 500 + "1" + " END" * 500,
    "selects": "SELECT " + "(SELECT " * 39 + "1" + ")" * 39,
    "joins": "SELECT * FROM t" + " JOIN t" * 2_000,
    "joined selects": "SELECT 1 FROM t" + " JOIN (SELECT 1 FROM t JOIN t AS u ON 1)" * 400,
    "unions": "SELECT 1" + " UNION SELECT 1" * 1_300,
    "columns": "CREATE TABLE x (" + ", ".join(f"c{i} INT" for i in range(1_500)) + ")",
    "steps": "Feature: x\nScenario: a\n" + "Given x\n" * 5_000,
    "scenarios": "Feature: x\n" + "Scenario: a\n" * 3_000,
    "table": "Feature: x\nScenario: a\nGiven x\n" + "|a" * 20_000 + "|",
    "quotes": "Feature: x\nScenario: a\nGiven " + "'" * 40_000,
}


@pytest.mark.parametrize("name", LONG)
def test_long_and_deep_texts_take_neither_the_stack_nor_quadratic_time(name):
    for task, context in ALL:
        start = time.thread_time()
        exercise(task, context, LONG[name])
        assert time.thread_time() - start < 3, task.kind


def test_the_parsers_are_imported_only_when_used():
    code = (
        "import sys, honewheel.tasks.sql, honewheel.tasks.gherkin, honewheel.tasks.mermaid_erd;"
        "print({'sqlglot', 'gherkin'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
