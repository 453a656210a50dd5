import difflib
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import ParseError
from honewheel.tasks.mermaid_erd import MermaidErd

TASK = MermaidErd()
TABLE = [
    json.loads(line)
    for line in (Path(__file__).parent / "mermaid_verdicts.jsonl").read_text().splitlines()
]
SHOP = """erDiagram
    customers {
        uuid customer_id PK
        varchar name
    }
    orders {
        uuid order_id PK
        uuid customer_id FK
        numeric total
    }
    items {
        uuid item_id PK
        uuid order_id FK
        int amount
    }
    customers ||--o{ orders : "places"
    orders ||--|{ items : "holds"
"""
BLOCKS = re.findall(r"    \w+ \{\n.*?\n    \}\n", SHOP, re.DOTALL)
RELATIONS = re.findall(r"    .*--.*\n", SHOP)
MUTATIONS = {
    "foreign key dropped": ("customer_id FK", "customer_id"),
    "attribute dropped": ("        numeric total\n", ""),
    "attribute renamed": ("numeric total", "numeric sum"),
    "type changed": ("numeric total", "int total"),
    "entity renamed": ("customers", "clients"),
    "cardinality flipped": ("customers ||--o{ orders", "customers }o--|| orders"),
    "cardinality weakened": ("||--|{", "||--o{"),
    "made non-identifying": ("orders ||--|{", "orders ||..|{"),
    "relation dropped": (RELATIONS[1], ""),
    "relation rewired": ("orders ||--|{ items", "customers ||--|{ items"),
    "label changed": ("places", "makes"),
}
SHAPE_KEPT = {"attribute renamed", "entity renamed", "label changed"}


def test_the_table_is_large_and_knows_both_verdicts():
    valid = sum(row["valid"] for row in TABLE)
    assert len(TABLE) >= 600
    assert valid >= 250
    assert len(TABLE) - valid >= 250


def test_our_verdict_is_the_real_parsers_on_every_sample_of_the_table():
    wrong = [row for row in TABLE if TASK.check(row["text"], {}).valid != row["valid"]]
    assert wrong == []


def test_facts_exist_exactly_for_valid_diagrams():
    for row in TABLE:
        if row["valid"]:
            TASK.facts(row["text"], {})
            TASK.equivalence_key(row["text"], {})
        else:
            with pytest.raises(ParseError):
                TASK.facts(row["text"], {})
            with pytest.raises(ParseError):
                TASK.equivalence_key(row["text"], {})


def test_a_rejection_names_the_line_and_what_was_expected():
    found = TASK.check("%% a note\n\nerDiagram\n  %% another\n  A ||--o{ B\n", {}).findings[0]
    assert (found.code, found.line) == ("syntax", 5)
    assert found.message == "expected `:` and a label, found the end of the line"


def test_lines_are_counted_through_front_matter_and_directives():
    text = "---\ntitle: x\n---\n%%{init: {'a': 1}}%%\nerDiagram\n A {\n int\n }"
    assert TASK.check(text, {}).findings[0].line == 8


def test_facts_are_what_the_diagram_states_as_written():
    text = (
        'erDiagram\n a[Person] { int id "note"\n int b_id FK, pk }\n a one or more to 1 "b c" : has'
    )
    assert TASK.facts(text, {}) == {
        ("entity", "a"),
        ("entity", "b c"),
        ("alias", "a", "Person"),
        ("attribute", "a", "int", "id", ""),
        ("attribute", "a", "int", "b_id", "FK PK"),
        ("relation", "a", "one-or-more", "only-one", "b c", "identifying", "has"),
    }


@pytest.mark.parametrize(
    ("left", "right"),
    [("}|..o{", "one or more optionally to many(0)"), ("||--o|", "only one to zero or one")],
)
def test_spellings_of_one_cardinality_are_one_fact(left, right):
    assert TASK.facts(f"erDiagram\n a {left} b : x", {}) == TASK.facts(
        f"erDiagram\n a {right} b : x", {}
    )


@given(st.permutations(BLOCKS + RELATIONS), st.sampled_from(["", "%% note\n", "\n\n"]))
def test_order_comments_and_layout_change_neither_facts_nor_key(parts, between):
    text = "erDiagram\n" + between.join(parts).replace("    ", "\t")
    assert TASK.facts(text, {}) == TASK.facts(SHOP, {})
    assert TASK.equivalence_key(text, {}) == TASK.equivalence_key(SHOP, {})


@given(st.randoms(use_true_random=False))
def test_renaming_changes_every_relation_but_not_the_key(rng):
    names = sorted(set(re.findall(r"customers|orders|items|\w+_id|name|total|amount", SHOP)))
    fresh = {name: f"n{number}" for number, name in enumerate(rng.sample(names, len(names)))}
    text = re.sub("|".join(sorted(names, key=len, reverse=True)), lambda m: fresh[m[0]], SHOP)
    assert TASK.equivalence_key(text, {}) == TASK.equivalence_key(SHOP, {})
    assert TASK.compare(text, SHOP, {})["score"] == 0


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_single_change_of_meaning_lowers_the_score(name):
    old, new = MUTATIONS[name]
    assert old in SHOP
    found = TASK.compare(SHOP.replace(old, new), SHOP, {})
    assert found["valid"] == 1
    assert found["score"] < 1
    assert found["equivalent"] == (name in SHAPE_KEPT)


def test_a_relation_written_from_its_other_end_is_equivalent_though_not_as_written():
    turned = SHOP.replace("customers ||--o{ orders", "orders }o--|| customers")
    found = TASK.compare(turned, SHOP, {})
    assert found["equivalent"] == 1
    assert found["score"] < 1


def test_identity_scores_one_in_everything():
    assert set(TASK.compare(SHOP, SHOP, {}).values()) == {1.0}


def test_facts_rank_a_reorder_above_a_flipped_cardinality_where_text_similarity_errs():
    """The counterexample that rules text metrics out, over shuffles and every flip."""
    rng = random.Random(5)
    flips = [SHOP.replace("||--o{", "}o--||"), SHOP.replace("||--|{", "}|--||")]
    fooled = 0
    for _ in range(20):
        moved = "erDiagram\n" + "".join(rng.sample(BLOCKS + RELATIONS, 5))
        for flip in flips:
            text = [difflib.SequenceMatcher(None, SHOP, one).ratio() for one in (moved, flip)]
            fooled += text[0] < text[1]
            assert TASK.compare(moved, SHOP, {})["score"] == 1
            assert TASK.compare(flip, SHOP, {})["score"] < 1
    assert fooled >= 30


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("erDiagram\n A {\n int a\n }\n some words", "stray-name", 5),
        ("erDiagram\n A {\n int a\n string a\n }", "repeated-attribute", 4),
        ("erDiagram\n A { int a }\n A ||--o{ B : x", "undescribed-entity", 3),
        ("erDiagram\n %% nothing", "no-entities", None),
    ],
)
def test_what_mermaid_draws_but_nobody_means_is_a_warning(text, code, line):
    check = TASK.check(text, {})
    assert check.valid
    assert check.score < 1
    assert (check.findings[0].code, check.findings[0].line) == (code, line)


def test_bare_entities_on_lines_of_their_own_are_no_warning():
    assert TASK.check("erDiagram\n A\n B\n A ||--o{ B : x\n C", {}).score == 1


def test_an_empty_diagram_is_valid_but_worth_half():
    assert TASK.check("erDiagram\n", {}).score == 0.5


def test_a_fenced_diagram_is_rejected_as_mermaid_does_and_says_why():
    check = TASK.check(f"```mermaid\n{SHOP}```", {})
    assert not check.valid
    assert check.findings[0].code == "code-fence"


@pytest.mark.parametrize(
    "front",
    ["title: [a]", "config: {theme: dark}", "title: >\n  folded", "a: 1\n   b: 2", "\ta: 1"],
)
def test_front_matter_beyond_key_and_value_is_refused_with_that_reason(front):
    found = TASK.check(f"---\n{front}\n---\nerDiagram\n A", {}).findings[0]
    assert found.code == "front-matter"
