"""Rows of feedback: what is accepted, what is refused and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import InputError
from honewheel.events import ingest

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROW: dict[str, Any] = {"task": "erd", "prompt": "draw it", "output": "erDiagram", "thumb": 1}


def test_a_row_becomes_a_response_and_its_feedback() -> None:
    row = ROW | {"score": 0.5, "correction": "erDiagram\n a", "comment": "hm", "source": "ana"}
    found = ingest.entry(row, now=NOW)
    assert found.response is not None
    assert found.response.prompt == "draw it"
    kinds = {item.kind: item for item in found.feedback}
    assert set(kinds) == {"rating", "thumb", "correction", "comment"}
    assert kinds["rating"].value == 0.5
    assert kinds["correction"].text == "erDiagram\n a"
    assert {item.response_id for item in found.feedback} == {found.id}


def test_findings_of_a_person_count_as_a_validators() -> None:
    row = ROW | {"findings": [{"code": "x", "message": "bad"}]}
    finding = next(item for item in ingest.entry(row, now=NOW).feedback if item.kind == "finding")
    assert (finding.source_kind, finding.value, finding.text) == ("validator", 0.0, "x: bad")


def test_simulated_sources_stay_flagged() -> None:
    row = ROW | {"source_kind": "simulated", "findings": [{"code": "x"}]}
    kinds = {item.source_kind for item in ingest.entry(row, now=NOW).feedback}
    assert kinds == {"simulated"}


def test_the_same_row_twice_is_one_event_and_another_row_another() -> None:
    first, second = ingest.entry(ROW, now=NOW), ingest.entry(ROW, now=NOW + timedelta(days=1))
    assert first.id == second.id
    assert ingest.entry(ROW | {"prompt": "draw"}, now=NOW).id != first.id
    fresh = ingest.entry(ROW, now=NOW, fresh_id=True)
    assert fresh.id != first.id


def test_behaviour_becomes_a_value_that_curation_reads() -> None:
    values = [ingest.entry(ROW | {"signal": name}, now=NOW).feedback for name in ("copy", "retry")]
    assert [next(f.value for f in said if f.kind == "signal") for said in values] == [1.0, 0.0]


def test_a_thumb_may_be_a_word() -> None:
    for word, value in (("up", 1.0), ("down", 0.0), (True, 1.0), (0, 0.0)):
        said = ingest.entry({"response": "evt_1", "thumb": word}, now=NOW).feedback
        assert [item.value for item in said] == [value]


def test_a_row_may_speak_of_an_earlier_response() -> None:
    found = ingest.entry({"response": "evt_1", "thumb": 0, "source": "ben"}, now=NOW)
    assert found.response is None
    assert found.id == "evt_1"
    assert found.feedback[0].value == 0.0


def test_a_time_from_the_future_is_refused_beyond_five_minutes_of_skew() -> None:
    ahead = (NOW + timedelta(minutes=5)).isoformat()
    response = ingest.entry(ROW | {"created_at": ahead}, now=NOW).response
    assert response is not None
    assert response.created_at == NOW + timedelta(minutes=5)
    later = (NOW + timedelta(minutes=6)).isoformat()
    with pytest.raises(InputError, match=r"in the future: it is 2026-11-20T12:00Z.* 5 minutes"):
        ingest.entry(ROW | {"created_at": later}, now=NOW)


def test_only_a_row_without_a_time_of_its_own_is_dated() -> None:
    dated = NOW - timedelta(days=3)
    found = [
        ingest.entry(row, now=NOW, dated=dated).response
        for row in (ROW, ROW | {"created_at": NOW.isoformat()})
    ]
    assert [one.created_at for one in found if one] == [dated, NOW]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": None}, "prompt is missing"),
        ({"task": None}, "task is missing"),
        ({"prompt": ""}, "prompt"),
        ({"output": 3}, "output"),
        ({"score": 1.2}, "less than or equal to 1"),
        ({"thumb": "sideways"}, "thumb"),
        ({"thumb": 2}, "thumb"),
        ({"corection": "x"}, "corection is no key of a feedback row"),
        ({"prompt": "a\x00b"}, "NUL"),
        ({"context": {"a\x00": "b"}}, "NUL"),
        ({"correction": "a\ud800b"}, "unicode"),
        ({"id": "a b"}, "letters, digits"),
        ({"id": "x" * 129}, "at most 128"),
        ({"response": "evt_1"}, "cannot also bring"),
        ({"context": {"a": 1}}, "context.a"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "out of range"),
        ({"context": {"caf\udce9": "x"}}, "nicode"),
        ({"context": {"x": "caf\udce9"}}, "nicode"),
        ({"decoding": {"\ud800": 1}}, "nicode"),
        ({"task": "er\ud800"}, "nicode"),
    ],
)
def test_a_bad_row_is_refused_with_the_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        ingest.entry({key: v for key, v in (ROW | change).items() if v is not None}, now=NOW)


def test_feedback_that_says_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="says nothing"):
        ingest.entry({"response": "evt_1"}, now=NOW)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("{", "not valid JSON"),
        ("[1]", "a row is a JSON object, this is a list"),
        ('{"score": NaN}', "NaN"),
        ("[" * 100_000, "nested too deeply|not valid JSON"),
        (json.dumps(ROW | {"prompt": "x" * (1 << 20)}), "larger than"),
    ],
)
def test_a_bad_line_is_refused_with_the_reason(raw: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        ingest.parse(raw, now=NOW)


@given(st.text(max_size=300))
def test_any_text_is_accepted_or_refused_but_never_crashes(raw: str) -> None:
    try:
        found = ingest.parse(raw, now=NOW)
    except InputError:
        return
    assert found.feedback or found.response


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=8,
    ),
    st.sampled_from(["prompt", "output", "score", "thumb", "context", "id", "findings", "source"]),
)
def test_any_value_in_any_key_is_accepted_or_refused(value: Any, key: str) -> None:
    try:
        found = ingest.entry(ROW | {key: value}, now=NOW)
    except InputError:
        return
    assert found.response is not None
