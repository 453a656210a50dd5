import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.errors import ParseError
from honewheel.tasks.json_schema import JsonSchema

TASK = JsonSchema()
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z]"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": True},
        "born": {"enum": ["Porto", "Lyon"]},
    },
    "patternProperties": {"^x-": {"type": "number"}},
    "additionalProperties": False,
    "required": ["name", "age"],
    "$defs": {"tag": {"type": "string", "maxLength": 5}},
}
CONTEXT = {"schema": json.dumps(SCHEMA)}
ANA = {"name": "Ana", "age": 41, "tags": ["a", "b"], "born": "Porto", "x-height": 1.7}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def check(value, schema):
    text = value if isinstance(value, str) else json.dumps(value)
    return TASK.check(text, {"schema": schema if isinstance(schema, str) else json.dumps(schema)})


def only(found):
    assert found.score == 0
    return found.findings[0]


def test_the_kind_is_registered():
    assert isinstance(plugins.task("json-schema"), JsonSchema)


def test_what_the_schema_accepts_is_valid():
    assert check(ANA, SCHEMA).score == 1


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"age": None}, "schema-type", "$.age"),
        ({"age": -1}, "schema-minimum", "$.age"),
        ({"name": "ana"}, "schema-pattern", "$.name"),
        ({"tags": ["a", "a"]}, "schema-uniqueItems", "$.tags"),
        ({"tags": ["longer"]}, "schema-maxLength", "$.tags[0]"),
        ({"born": "Rome"}, "schema-enum", "$.born"),
        ({"x-height": "tall"}, "schema-type", "$['x-height']"),
        ({"other": 1}, "schema-additionalProperties", "$"),
    ],
)
def test_each_violation_is_an_error_with_its_path(change, code, path):
    finding = only(check(ANA | change, SCHEMA))
    assert finding.code == code
    assert path in finding.message or path.replace("['", ".").replace("']", "") in finding.message


def test_every_violation_is_told_up_to_twenty_of_them():
    found = check({"age": "x", "tags": [1, 2]}, SCHEMA)
    assert len(found.findings) == 4
    assert len(check(list(range(99)), {"items": {"type": "string"}}).findings) == 20


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{'a': 1}", "syntax"),
        ("[1,]", "syntax"),
        ("1 2", "syntax"),
        ("", "syntax"),
        ("\0", "syntax"),
        ("NaN", "number"),
        ("[1e999]", "number"),
        ("9" * 5_000, "number"),
        ('{"a": 1, "a": 1}', "repeated-key"),
        ('"\\ud800"', "not-unicode"),
        ('"\ud800"', "not-unicode"),
        ("[" * 33 + "]" * 33, "too-deep"),
        ("```json\n{}\n```", "code-fence"),
        (" " * 20_001, "too-large"),
    ],
)
def test_the_text_must_be_strict_json(text, code):
    assert only(check(text, True if text else {})).code == code
    with pytest.raises(ParseError):
        TASK.facts(text, {})


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("[1]", "an object, not"),
        ("{", "not JSON"),
        ({"type": "intt"}, "$.type"),
        ({"$schema": "https://example.org/mine"}, "no known dialect"),
        ({"$ref": "https://example.org/a.json"}, "outside of it"),
        ({"properties": {"a": {"$ref": "other.json#/b"}}}, "outside of it"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "#"}, "without end"),
        ({"pattern": "("}, "cannot be read"),
        ({"patternProperties": {"[": True}}, "cannot be read"),
        ({"patternProperties": {}, "unevaluatedProperties": False}, "not supported"),
    ],
)
def test_a_bad_schema_is_named_as_such(schema, reason):
    finding = only(check({"a": 1}, schema))
    assert finding.code == "bad-schema"
    assert reason in finding.message


def test_without_a_schema_nothing_is_valid_though_it_has_facts():
    assert only(TASK.check("{}", {})).code == "no-schema"
    assert TASK.facts("{}", {}) == {("$", "{}")}


def test_a_reference_in_data_is_data():
    assert check({"$ref": "https://x"}, {"const": {"$ref": "https://x"}}).valid


def test_dialects_differ():
    tuple_of = {"items": [{"type": "integer"}]}
    draft7 = tuple_of | {"$schema": "http://json-schema.org/draft-07/schema#"}
    assert only(check(["x"], draft7)).code == "schema-type"
    assert only(check(["x"], tuple_of)).code == "bad-schema"


def test_facts_are_paths_and_values_without_key_order():
    text = '{"b": [1, {"a b": null}], "a": {}, "0": "x"}'
    assert TASK.facts(text, {}) == {
        ('$["b"][0]', "1"),
        ('$["b"][1]["a b"]', "null"),
        ('$["a"]', "{}"),
        ('$["0"]', '"x"'),
    }


def test_numbers_are_compared_by_value_and_apart_from_texts_and_truth():
    assert TASK.facts("[1.0, 1e2, -0.0]", {}) == TASK.facts("[1, 100, 0]", {})
    assert TASK.facts("[1]", {}) != TASK.facts('["1"]', {})
    assert TASK.equivalence_key("[1]", {}) != TASK.equivalence_key("[true]", {})
    assert check([1, True], {"uniqueItems": True}).valid
    assert not check("[1, 1.0]", {"uniqueItems": True}).valid


def shuffled(value, rng):
    if isinstance(value, dict):
        pairs = [(name, shuffled(item, rng)) for name, item in value.items()]
        rng.shuffle(pairs)
        return dict(pairs)
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(0, 9), st.sampled_from([None, 1, 4]))
def test_order_of_keys_and_layout_change_neither_facts_nor_key(value, seed, indent):
    text = json.dumps(shuffled(value, random.Random(seed)), indent=indent, ensure_ascii=bool(seed))
    found = TASK.compare(text, json.dumps(value), {"schema": "true"})
    assert found["facts"] == found["equivalent"] == found["score"] == 1


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES)
def test_fact_f1_is_symmetric_and_one_exactly_for_equal_values(one, two):
    texts = [json.dumps(one), json.dumps(two)]
    there = TASK.compare(*texts, {"schema": "true"})
    assert there["facts"] == TASK.compare(*texts[::-1], {"schema": "true"})["facts"]
    assert (there["facts"] == 1) == (there["equivalent"] == 1)


@pytest.mark.parametrize(
    "change",
    [{"age": 42}, {"name": "Eva"}, {"tags": ["b", "a"]}, {"tags": ["a"]}, {"born": "Lyon"}],
)
def test_every_single_change_lowers_the_score(change):
    found = TASK.compare(json.dumps(ANA | change), json.dumps(ANA), CONTEXT)
    assert found["valid"] == 1
    assert 0 < found["score"] < 1
    assert found["equivalent"] == 0


def doubling(levels):
    defs = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$defs": defs | {f"d{levels}": {"type": "integer"}}, "$ref": "#/$defs/d0"}


HOSTILE = {
    "doubling references": ("1", doubling(30)),
    "slow patterns": (json.dumps(["a" * 40 + "!"] * 400), {"items": {"pattern": "^(a|aa)+$"}}),
    "many items": (json.dumps([{"a": i} for i in range(1_500)]), {"uniqueItems": True}),
    "many rules": (json.dumps([[]] * 4_000), {"allOf": [{"items": {"type": "array"}}] * 600}),
    "large enum": (json.dumps([1] * 6_000), {"items": {"enum": list("abcdefghi" * 300)}}),
    "open brackets": ("[" * 19_000, True),
    "open quotes": ('"\\' * 9_000, True),
    "nested pattern": ("1", {"pattern": "(" * 3_000}),
    "tiny step": ("1" + "0" * 299, {"multipleOf": 1e-308}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_schema_or_text_hangs_the_check(name):
    text, schema = HOSTILE[name]
    start = time.thread_time()
    check(text, schema)
    assert time.thread_time() - start < 4


def test_deep_values_are_judged_by_recursive_schemas():
    schema = {"type": "array", "items": {"$ref": "#"}}
    assert check("[" * 32 + "]" * 32, schema).valid
    assert not check("[" * 31 + "1" + "]" * 31, schema).valid


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(
        st.text(st.characters(codec=None, categories=None), max_size=60),
        st.lists(st.sampled_from('{ } [ ] " a : , 1 null e9 \\u00'.split()), max_size=20).map(
            "".join
        ),
    ),
    st.one_of(VALUES.map(json.dumps), st.text(max_size=20), st.just(CONTEXT["schema"])),
)
def test_any_text_and_schema_get_a_check_and_facts_or_a_parse_error(text, schema):
    found = TASK.check(text, {"schema": schema})
    assert found.valid == (found.score > 0)
    try:
        TASK.facts(text, {})
        TASK.equivalence_key(text, {})
    except ParseError:
        assert not found.valid
