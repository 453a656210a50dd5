import random
import re
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.demo import facts, requirements, simulator
from honewheel.demo.project import TASKS
from honewheel.records import Check
from honewheel.tasks import variations
from honewheel.tasks.variations import Variation

KINDS = facts.KINDS
SCHEMA = """CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE shop (id INTEGER PRIMARY KEY, city_id INTEGER REFERENCES city(id), size INTEGER);"""
QUERY = """SELECT city.name, SUM(shop.size) AS total
FROM shop
JOIN city ON shop.city_id = city.id
WHERE shop.size > 3 AND city.name <> 'x'
GROUP BY city.name
ORDER BY total DESC
LIMIT 5"""
OUTLINE = """Feature: Fares
  @slow
  Scenario Outline: fare by age
    Given a rider aged <age>
    When the rider buys a ticket
    Then the fare is <fare>

    Examples:
      | age | fare |
      | 5   | 1    |
      | 40  | 3    |

  Scenario: no ticket
    Given a rider without a ticket
    And 2 inspectors
    When the rider is checked
    Then the rider pays 60"""


def artifacts(kind, count=2):
    return [simulator.wanted(one) for one in requirements.requirements(kind, count, 5)]


def sorts(task, output, context, *, faulty):
    make = variations.mutations if faulty else variations.equivalents
    return {one.name for one in make(task, output, context, 0)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_proposed_equivalent_of_a_generated_artifact_is_certified(kind):
    task = plugins.task(TASKS[kind])
    for output in artifacts(kind):
        proposed = variations.proposed(task, output, {}, 1, faulty=False)
        assert len(proposed) >= 2
        assert [*variations.equivalents(task, output, {}, 1)] == proposed
        for one in proposed:
            found = task.compare(one.output, output, {})
            assert (found["score"], found["equivalent"]) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_are_valid_and_wrong(kind):
    task = plugins.task(TASKS[kind])
    for output in artifacts(kind):
        found = [*islice(variations.mutations(task, output, {}, 1), 12)]
        assert len({one.name for one in found}) >= 4
        for one in found:
            metrics = task.compare(one.output, output, {})
            assert metrics["valid"] == 1
            assert metrics["score"] < 1
            assert metrics["equivalent"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_facts_rank_every_equivalent_above_every_fault(kind):
    task = plugins.task(TASKS[kind])
    for output in artifacts(kind):

        def f1(one, output=output):
            return task.compare(one.output, output, {})["facts"]

        same = variations.proposed(task, output, {}, 2, faulty=False)
        wrong = variations.proposed(task, output, {}, 2, faulty=True)[:12]
        assert min(map(f1, same)) > max(map(f1, wrong))


def test_sorts_of_diagram_rewritings():
    task = plugins.task("mermaid-erd")
    output = max(artifacts("erd", 12), key=len)
    assert sorts(task, output, {}, faulty=False) >= {
        "entities-reordered",
        "attributes-reordered",
        "relations-first",
        "cardinalities-in-words",
        "indented",
    }
    assert sorts(task, output, {}, faulty=True) >= {
        "cardinality-flipped",
        "cardinality-changed",
        "key-dropped",
        "reference-dropped",
        "attribute-dropped",
        "attribute-retyped",
        "attribute-invented",
        "relation-dropped",
        "relation-redirected",
        "entity-dropped",
    }


def test_sorts_of_schema_rewritings():
    task = plugins.task("sql")
    schema = SCHEMA.replace("name TEXT", "name TEXT NOT NULL UNIQUE")
    assert sorts(task, schema, {}, faulty=False) == {
        "tables-reordered",
        "columns-reordered",
        "references-below",
        "names-quoted",
        "keywords-lower",
        "one-line",
    }
    assert sorts(task, schema, {}, faulty=True) >= {
        "reference-dropped",
        "column-dropped",
        "column-retyped",
        "column-invented",
        "table-dropped",
        "required-dropped",
        "required-added",
        "unique-dropped",
    }


def test_columns_stay_where_rows_are_inserted_by_position():
    task = plugins.task("sql")
    script = f"{SCHEMA}\nINSERT INTO city VALUES (1, 'Oslo');"
    assert "columns-reordered" not in sorts(task, script, {}, faulty=False)


def test_sorts_of_query_rewritings():
    task, context = plugins.task("sql"), {"schema": SCHEMA}
    assert sorts(task, QUERY, context, faulty=False) == {
        "conditions-reordered",
        "keywords-lower",
        "one-line",
    }
    found = {one.name: one.output for one in variations.mutations(task, QUERY, context, 0)}
    assert found.keys() >= {"where-dropped", "comparison-changed", "column-dropped"}
    for output in found.values():
        assert task.compare(output, QUERY, context)["answer"] == 0


def test_a_query_fault_that_changes_no_answer_is_not_certified():
    task, context = plugins.task("sql"), {"schema": SCHEMA}
    output = "SELECT id FROM city"  # ids are distinct anyway
    proposed = {one.name for one in variations.proposed(task, output, context, 0, faulty=True)}
    assert proposed == {"distinct-added"}
    assert not [*variations.mutations(task, output, context, 0)]


def test_sorts_of_feature_rewritings():
    task = plugins.task("gherkin")
    assert sorts(task, OUTLINE, {}, faulty=False) == {
        "scenarios-reordered",
        "examples-reordered",
        "indented",
        "blank-lines",
    }
    found = {one.name: one.output for one in variations.mutations(task, OUTLINE, {}, 0)}
    assert found.keys() == {
        "scenario-dropped",
        "step-dropped",
        "number-changed",
        "outcome-negated",
        "outcome-exchanged",
        "example-dropped",
    }
    assert "the rider pays 61" in found["number-changed"]
    assert "the fare is not <fare>" in found["outcome-negated"]


def test_a_mutation_changes_one_line_of_a_diagram_at_most():
    output = artifacts("erd", 1)[0]
    task = plugins.task("mermaid-erd")
    for one in variations.mutations(task, output, {}, 0):
        if one.name != "entity-dropped":
            gone = set(output.split("\n")) - set(one.output.split("\n"))
            assert len(gone) <= 1


def test_faults_take_turns():
    task = plugins.task("mermaid-erd")
    found = variations.proposed(task, artifacts("erd", 1)[0], {}, 3, faulty=True)
    kinds = len({one.name for one in found})
    assert len({one.name for one in found[:kinds]}) == kinds


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_and_nothing_else(kind):
    task = plugins.task(TASKS[kind])
    output = artifacts(kind, 1)[0]
    first = variations.proposed(task, output, {}, 1, faulty=True)
    assert variations.proposed(task, output, {}, 1, faulty=True) == first
    assert variations.proposed(task, output, {}, 2, faulty=True) != first


@pytest.mark.parametrize("kind", ["mermaid-erd", "sql", "gherkin"])
@pytest.mark.parametrize("output", ["", "x", "erDiagram\n  A {", "SELECT 'a", "Feature: x\n  @"])
def test_what_cannot_be_read_has_no_mutations(kind, output):
    task = plugins.task(kind)
    assert not [*variations.mutations(task, output, {}, 0)]


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet='erDiagram {}|o-:\n"%AB id PK', max_size=60), st.integers(0, 3))
def test_odd_diagrams_never_break_a_generator(text, seed):
    task = plugins.task("mermaid-erd")
    for one in variations.mutations(task, f"erDiagram\n{text}", {}, seed):
        assert task.check(one.output, {}).valid


class Shouting:
    """A plug-in's kind with rewritings of its own: case does not count, the words do."""

    kind = "shouting"
    version = "shouting/1"

    def check(self, output, context):
        return Check(score=1.0)

    def facts(self, output, context):
        return frozenset(("word", word) for word in output.lower().split())

    def equivalence_key(self, output, context):
        return " ".join(sorted(output.lower().split()))

    def compare(self, output, reference, context):
        same = float(self.facts(output, context) == self.facts(reference, context))
        return {"score": same, "valid": 1.0, "equivalent": same, "facts": same, "exact": 0.0}

    def equivalents(self, output, context, rng):
        yield Variation(name="upper", output=output.upper())
        yield Variation(name="wrong", output=output + " more")

    def mutations(self, output, context, rng):
        yield Variation(name="dropped", output=output.split()[0])
        yield Variation(name="harmless", output=output.upper())


def test_a_plug_in_brings_its_own_rewritings_and_the_task_judges_them():
    task = Shouting()
    assert [one.name for one in variations.equivalents(task, "a b", {}, 0)] == ["upper"]
    assert [one.name for one in variations.mutations(task, "a b", {}, 0)] == ["dropped"]


def test_a_kind_without_rewritings_has_none():
    class Bare:
        kind = "bare"
        version = "bare/1"
        check = Shouting.check
        facts = Shouting.facts
        equivalence_key = Shouting.equivalence_key
        compare = Shouting.compare

    assert variations.varied(Bare()) is None
    assert not [*variations.mutations(Bare(), "a b", {}, 0)]


def test_reordering_moves_what_it_says():
    rng = random.Random(0)
    from honewheel.tasks.sql_edits import edited, reordered

    assert edited("abc", [(0, 1, "x"), (2, 3, "z")]) == "xbz"
    assert reordered("a,b", [[(0, 1), (2, 3)]], rng) == "b,a"
    assert re.sub(r"\s", "", reordered("a , b", [[]], rng)) == "a,b"
