import random
from importlib.metadata import entry_points

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import ParseError
from honewheel.protocols import Task
from honewheel.records import Finding
from honewheel.tasks.facts import MAX_FINDINGS, fact_f1, graph_key, judged, unreadable
from honewheel.tasks.mermaid_erd import MermaidErd

FACTS = st.frozensets(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")))


@given(FACTS, FACTS)
def test_fact_f1_is_symmetric_within_zero_and_one_and_one_only_for_equal_sets(a, b):
    assert fact_f1(a, b) == fact_f1(b, a)
    assert 0 <= fact_f1(a, b) <= 1
    assert (fact_f1(a, b) == 1) == (a == b)


@given(FACTS, FACTS)
def test_fact_f1_is_zero_exactly_when_nothing_is_shared(a, b):
    assert (fact_f1(a, b) == 0) == (not a & b and bool(a or b))


def test_an_error_scores_zero_and_warnings_count_once_a_kind_down_to_a_half():
    slip = [Finding(code=f"slip-{number}", message="", severity="warning") for number in range(9)]
    assert judged([]).score == 1
    assert judged(slip[:1] * 3).score == 0.9
    assert judged(slip).score == 0.5
    assert judged(slip).valid
    assert judged([*slip, Finding(code="bad", message="")]).score == 0
    assert len(judged(slip * 9).findings) == MAX_FINDINGS


def test_fences_lone_surrogates_and_long_texts_are_refused_before_parsing():
    assert unreadable("a" * 10, 10) is None
    assert unreadable("a" * 11, 10).code == "too-large"
    assert unreadable("\ud800", 10).code == "not-unicode"
    assert unreadable("\n ```sql\nx", 99).code == "code-fence"


@given(st.integers(0, 1000), st.permutations(range(6)))
def test_graph_key_does_not_depend_on_the_order_of_nodes(seed, order):
    rng = random.Random(seed)
    colours = [rng.choice("ab") for _ in order]
    edges = [(rng.randrange(6), rng.choice("uv"), rng.randrange(6)) for _ in range(7)]
    moved = [""] * 6
    for old, new in enumerate(order):
        moved[new] = colours[old]
    renamed = [(order[a], label, order[b]) for a, label, b in edges]
    rng.shuffle(renamed)
    assert graph_key(colours, edges) == graph_key(moved, renamed)


def test_graph_key_sees_colours_labels_directions_and_far_ends():
    def chain(labels, colours="aaaaaa"):
        return graph_key(colours, [(i, label, i + 1) for i, label in enumerate(labels)])

    keys = {
        chain("uuuuu"),
        chain("uuuuv"),
        chain("uuvuu"),
        chain("uuuuu", "aaaaab"),
        graph_key("aaaaaa", [(0, "u", 1), (2, "u", 1), (2, "u", 3), (3, "u", 4), (4, "u", 5)]),
    }
    assert len(keys) == 5


def test_graph_key_cannot_tell_one_ring_of_six_from_two_of_three_as_documented():
    six = [(i, "u", (i + 1) % 6) for i in range(6)]
    threes = [(i, "u", i // 3 * 3 + (i + 1) % 3) for i in range(6)]
    assert graph_key("a" * 6, six) == graph_key("a" * 6, threes)


def test_compare_raises_when_the_reference_cannot_be_read():
    with pytest.raises(ParseError, match="erDiagram"):
        MermaidErd().compare("erDiagram\nA", "graph TD", {})


def test_an_unreadable_output_scores_zero_against_any_reference():
    found = MermaidErd().compare("erDiagram\n A ||--", "erDiagram\n A", {})
    assert found == {"score": 0, "valid": 0, "facts": 0, "exact": 0, "equivalent": 0}


def test_every_registered_kind_is_a_task_whose_version_starts_with_its_slug():
    found = {point.name: point.load()() for point in entry_points(group="honewheel.tasks")}
    assert {"mermaid-erd", "sql", "gherkin"} <= found.keys()
    for name, task in found.items():
        assert isinstance(task, Task)
        assert task.kind == name
        assert task.version.startswith(f"{name}/")
