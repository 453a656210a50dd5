"""Other people's files: what each format's record becomes, and what makes a record bad."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import reward
from honewheel.errors import InputError
from honewheel.events import formats, ingest
from honewheel.events.formats import Reading
from honewheel.records import Event
from honewheel.tasks.similarity import Similarity, pair

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
READING = Reading(task="erd")


def rows(name: str, record: dict[str, Any], reading: Reading = READING) -> list[dict[str, Any]]:
    """The rows of a record, each accepted by the parser of rows."""
    found = formats.named(name).rows(record, reading)
    assert all(ingest.entry(row, now=NOW) for row in found)
    return found


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


CHAT = [turn("system", "Be brief."), turn("user", "Hi"), turn("assistant", "Hello")]
MORE = [turn("user", "Draw it"), turn("assistant", "erDiagram")]


# --- demonstrations ---------------------------------------------------------------------------


def test_alpaca_is_a_demonstration() -> None:
    record = {"instruction": "Draw it", "input": "a shop", "output": "erDiagram"}
    assert rows("alpaca", record) == [
        {"task": "erd", "prompt": "Draw it\n\na shop", "demonstration": "erDiagram"}
    ]
    assert rows("alpaca", record | {"input": ""})[0]["prompt"] == "Draw it"


def test_a_chat_gives_its_last_answer_and_the_turns_before_as_context() -> None:
    assert rows("chat", {"messages": CHAT + MORE + [turn("user", "thanks")]}) == [
        {
            "task": "erd",
            "prompt": "Draw it",
            "demonstration": "erDiagram",
            "context": {
                "system": "Be brief.",
                "conversation": "User: Hi\n\nAssistant: Hello",
            },
        }
    ]


def test_text_parts_are_joined_and_pictures_refused() -> None:
    parts = [{"type": "text", "text": "Draw"}, {"type": "text", "text": "it"}]
    found = rows("chat", {"messages": [turn("user", parts), turn("assistant", "x")]})
    assert found[0]["prompt"] == "Draw\nit"
    picture = [turn("user", [{"type": "image_url"}]), turn("assistant", "x")]
    with pytest.raises(InputError, match="message 1 holds 'image_url', which is no text"):
        rows("chat", {"messages": picture})


def test_sharegpt_turns_have_other_names() -> None:
    said = [{"from": "human", "value": "Draw it"}, {"from": "gpt", "value": "erDiagram"}]
    found = rows("sharegpt", {"system": "Be brief.", "conversations": said})
    assert found[0] == {
        "task": "erd",
        "prompt": "Draw it",
        "demonstration": "erDiagram",
        "context": {"system": "Be brief."},
    }


def test_a_demonstration_is_no_model_s_answer_and_its_target_a_correction() -> None:
    row = rows("completion", {"prompt": "Draw it", "completion": "erDiagram"})[0]
    found = ingest.entry(row, now=NOW)
    assert found.response is not None
    assert found.response.demonstration
    assert found.response.version is None
    assert [(item.kind, item.text) for item in found.feedback] == [("correction", "erDiagram")]
    plain = ingest.entry({"task": "erd", "prompt": "p", "output": "o"}, now=NOW)
    assert plain.response is not None
    assert not plain.response.demonstration


@pytest.mark.parametrize("key", ["output", "correction", "version"])
def test_a_demonstration_cannot_also_be_an_answer(key: str) -> None:
    row = {"task": "erd", "prompt": "p", "demonstration": "x", key: "y"}
    with pytest.raises(InputError, match=f"cannot also bring {key}"):
        ingest.entry(row, now=NOW)


# --- preferences ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Draw it", "chosen": "good", "rejected": "bad"},
        {
            "prompt": [turn("user", "Draw it")],
            "chosen": [turn("assistant", "good")],
            "rejected": [turn("assistant", "bad")],
        },
        {
            "prompt": "Draw it",
            "chosen": [turn("user", "Draw it"), turn("assistant", "good")],
            "rejected": [turn("user", "Draw it"), turn("assistant", "bad")],
        },
        {
            "chosen": [turn("user", "Draw it"), turn("assistant", "good")],
            "rejected": [turn("user", "Draw it"), turn("assistant", "bad")],
        },
    ],
)
def test_the_rejected_answer_is_the_output_and_the_chosen_its_correction(
    record: dict[str, Any],
) -> None:
    assert rows("dpo", record) == [
        {"task": "erd", "prompt": "Draw it", "output": "bad", "correction": "good"}
    ]


@pytest.mark.parametrize(("label", "thumb"), [(True, 1), (False, 0), ("True", 1), ("0", 0)])
def test_a_kto_label_is_a_thumb(label: Any, thumb: int) -> None:
    record = {"prompt": "Draw it", "completion": "erDiagram", "label": label}
    row = {"task": "erd", "prompt": "Draw it", "output": "erDiagram", "thumb": thumb}
    assert rows("kto", record) == [row]


def test_a_kto_row_of_messages_keeps_the_conversation() -> None:
    record = {"prompt": CHAT + MORE[:1], "completion": MORE[1:], "label": False}
    assert rows("kto", record)[0]["context"]["conversation"] == "User: Hi\n\nAssistant: Hello"


# --- similarity -------------------------------------------------------------------------------


def test_a_triplet_is_two_pairs() -> None:
    near, far = rows("triplets", {"anchor": "a", "positive": "b", "negative": "c"})
    assert pair(near["prompt"], {}) == ("a", "b")
    assert pair(far["prompt"], {}) == ("a", "c")
    assert (near["demonstration"], far["demonstration"]) == ("1", "0")
    assert len(rows("triplets", {"anchor": "a", "positive": "b"})) == 1


def test_a_pair_s_score_is_a_share_of_the_scale() -> None:
    record = {"sentence1": "a", "sentence2": "b", "score": 3}
    assert rows("pairs", record, Reading(task="erd", scale=5))[0]["demonstration"] == "0.6"
    with pytest.raises(InputError, match="score is 3, outside 0 to 1; --scale"):
        rows("pairs", record)


@given(st.floats(0, 1), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_a_pair_s_answer_is_valid_of_its_kind(share: float, scale: float) -> None:
    record = {"sentence1": "a", "sentence2": "b", "score": share * scale}
    row = rows("pairs", record, Reading(task="same", scale=scale))[0]
    check = Similarity().check(row["demonstration"], {})
    assert check.valid, row
    assert Similarity().refuse(row["prompt"], {}) is None


@pytest.mark.parametrize(
    ("said", "similarity"),
    [
        ({"same": "yes"}, "1"),
        ({"same": False}, "0"),
        ({"duplicate": 1}, "1"),
        ({"is_duplicate": "0"}, "0"),
        ({"label": 1}, "1"),
        ({"score": 0.7}, "0.7"),
    ],
)
def test_sameness_is_said_in_words_or_numbers(said: dict[str, Any], similarity: str) -> None:
    row = rows("pairs", {"text_a": "one", "text_b": "two", "label_a": "x", **said})[0]
    assert row["demonstration"] == similarity
    assert row["context"] == {"label_a": "x"}


def test_a_click_says_what_goes_with_the_query_and_what_was_passed_over() -> None:
    record = {"query": "lost card", "results": ["card fees", "card is gone", "pin"], "clicked": 1}
    above, hit = rows("clicks", record)
    assert (pair(above["prompt"], {}), above["demonstration"]) == (("lost card", "card fees"), "0")
    assert (pair(hit["prompt"], {}), hit["demonstration"]) == (("lost card", "card is gone"), "1")
    assert hit["source_kind"] == "signal"
    assert rows("clicks", record | {"clicked": ["card is gone"]}) == [above, hit]
    said = event_of(rows("triplets", {"anchor": "a", "positive": "b"})[0])
    assert 0.5 <= reward.value(event_of(hit)) < reward.value(said)


def event_of(row: dict[str, Any]) -> Event:
    found = ingest.entry(row | {"task": "same"}, now=NOW)
    assert found.response is not None
    return Event(seq=1, response=found.response, feedback=found.feedback)


# --- request logs -----------------------------------------------------------------------------

REQUEST = {"model": "m", "temperature": 0.2, "messages": CHAT[:2]}
ANSWER = {"model": "m-1", "created": 1704067200, "choices": [{"message": CHAT[2]}]}
LOGGED = {
    "task": "erd",
    "prompt": "Hi",
    "context": {"system": "Be brief."},
    "output": "Hello",
    "decoding": {"temperature": 0.2, "model": "m-1"},
    "created_at": "2024-01-01T00:00:00+00:00",
}


def test_a_request_and_its_response_say_nothing_but_what_was_answered() -> None:
    assert rows("openai", {"request": REQUEST, "response": ANSWER}) == [LOGGED]
    assert rows("openai", {"request": {"body": REQUEST}, "response": {"body": ANSWER}}) == [LOGGED]
    assert rows("openai", REQUEST | ANSWER) == [LOGGED]
    assert not ingest.entry(LOGGED, now=NOW).feedback


def test_a_batch_s_output_line_finds_its_question_in_the_input_file() -> None:
    line = {"custom_id": "r1", "response": {"status_code": 200, "body": ANSWER}}
    asked = {"custom_id": "r1", "method": "POST", "body": REQUEST}
    assert formats.named("openai").join_key is not None
    reading = Reading(task="erd", joined={"r1": [asked]})
    assert rows("openai", line, reading) == [LOGGED]
    with pytest.raises(InputError, match="input file with --with"):
        rows("openai", line)
    failed = line | {"response": {"status_code": 429, "body": {}}}
    with pytest.raises(InputError, match="status 429"):
        rows("openai", failed, reading)


def test_the_responses_api_is_read_too() -> None:
    request = {"input": "Hi", "instructions": "Be brief."}
    content = [{"type": "output_text", "text": "Hello"}]
    output = [{"type": "reasoning"}, {"type": "message", "content": content}]
    found = rows("openai", {"request": request, "response": {"output": output}})[0]
    assert (found["prompt"], found["output"]) == ("Hi", "Hello")
    assert found["context"] == {"system": "Be brief."}


# --- Langfuse ---------------------------------------------------------------------------------

TRACE = {
    "id": "t1",
    "timestamp": "2026-01-02T03:04:05Z",
    "input": {"messages": CHAT[:2]},
    "output": CHAT[2],
}
SCORES = [
    {"name": "user", "dataType": "BOOLEAN", "value": 0, "source": "API"},
    {"name": "quality", "dataType": "NUMERIC", "value": 0.5, "source": "EVAL"},
    {
        "name": "fix",
        "dataType": "CORRECTION",
        "stringValue": "Good day",
        "source": "ANNOTATION",
        "authorUserId": "ana",
        "comment": "too short",
    },
    {"name": "label", "dataType": "CATEGORICAL", "stringValue": "Correct", "source": "ANNOTATION"},
]


def test_a_trace_s_scores_are_what_was_said_of_its_output() -> None:
    response, *remarks = rows("langfuse", TRACE | {"scores": SCORES})
    assert response["prompt"] == "Hi"
    assert response["output"] == "Hello"
    assert {remark["response"] for remark in remarks} == {response["id"]}
    assert [remark["source"] for remark in remarks] == [
        "langfuse/user",
        "langfuse/quality",
        "ana/fix",
        "langfuse/label",
    ]
    assert [remark["source_kind"] == "validator" for remark in remarks] == [
        False,
        True,
        False,
        False,
    ]
    assert (remarks[0]["thumb"], remarks[1]["score"], remarks[3]["thumb"]) == (0, 0.5, 1)
    assert (remarks[2]["correction"], remarks[2]["comment"]) == ("Good day", "too short")


def test_a_download_and_an_export_in_two_files_read_the_same() -> None:
    whole = rows("langfuse", TRACE | {"scores": SCORES})
    assert rows("langfuse", {"trace": TRACE | {"scores": SCORES}, "observations": []}) == whole
    named = {
        "dataType": "data_type",
        "stringValue": "string_value",
        "authorUserId": "author_user_id",
    }
    split = [
        {named.get(key, key): value for key, value in score.items()} | {"trace_id": "t1"}
        for score in SCORES
    ]
    join = formats.named("langfuse").join_key
    assert join is not None
    assert [list(join(score)) for score in split] == [["t1"]] * 4
    assert rows("langfuse", TRACE, Reading(task="erd", joined={"t1": split})) == whole


# --- Label Studio -----------------------------------------------------------------------------


def control(kind: str, name: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, "from_name": name, "to_name": "text", "value": value}


def labelled(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    annotation = {"id": 1, "completed_by": 7, "result": list(results)} | more
    return {"id": 1, "data": {"prompt": "Hi", "output": "Hello"}, "annotations": [annotation]}


def test_annotations_become_thumbs_scores_corrections_and_comments() -> None:
    record = labelled(
        control("choices", "verdict", choices=["Good answer"]),
        control("choices", "topic", choices=["greeting"]),
        control("rating", "stars", rating=4),
        control("textarea", "better", text=["Good day"]),
        control("textarea", "comment", text=["too short"]),
        control("labels", "span", start=0, end=1, labels=["x"]),
    )
    response, *remarks = rows("label-studio", record)
    assert (response["prompt"], response["output"]) == ("Hi", "Hello")
    said = [{key: row[key] for key in row if key not in ("response", "source")} for row in remarks]
    assert said == [
        {"thumb": 1},
        {"comment": "greeting"},
        {"score": 0.75},
        {"correction": "Good day"},
        {"comment": "too short"},
    ]
    assert {row["source"] for row in remarks} == {"label-studio/7"}


def test_cancelled_annotations_are_left_out_and_stars_go_by_the_scale() -> None:
    assert len(rows("label-studio", labelled(was_cancelled=True))) == 1
    record = labelled(control("rating", "stars", rating=10))
    assert rows("label-studio", record, Reading(task="erd", scale=10))[1]["score"] == 1
    with pytest.raises(InputError, match="rating is 10, outside 1 to 5; --scale"):
        rows("label-studio", record)


# --- Open WebUI -------------------------------------------------------------------------------


def arena(rating: int, *rivals: str) -> dict[str, Any]:
    """A chat of two turns; the answer `a0` to the second was rated, others answered beside it."""
    names = ["a0", *(f"a{place}" for place in range(1, len(rivals) + 1))]
    messages: dict[str, Any] = {
        "u1": {"id": "u1", "parentId": None, "childrenIds": ["m1"], **turn("user", "Hi")},
        "m1": {"id": "m1", "parentId": "u1", "childrenIds": ["u2"], **turn("assistant", "Hello")},
        "u2": {"id": "u2", "parentId": "m1", "childrenIds": names, **turn("user", "Draw it")},
    }
    for name, text in zip(names, ["erDiagram", *rivals], strict=True):
        messages[name] = {"id": name, "parentId": "u2", "model": f"model-{name}"}
        messages[name] |= turn("assistant", text)
    return {
        "id": "f1",
        "user_id": "u-7",
        "type": "rating",
        "data": {"rating": rating, "model_id": "m", "reason": "other", "comment": "hm"},
        "meta": {"arena": True, "chat_id": "c1", "message_id": "a0"},
        "snapshot": {"chat": {"id": "c1", "chat": {"history": {"messages": messages}}}},
        "created_at": 1704067200,
    }


def test_a_rated_message_is_the_output_and_its_turn_the_prompt() -> None:
    response, said = rows("open-webui", arena(-1))
    assert (response["prompt"], response["output"]) == ("Draw it", "erDiagram")
    assert response["context"] == {"conversation": "User: Hi\n\nAssistant: Hello"}
    assert response["decoding"] == {"model": "model-a0"}
    assert (said["thumb"], said["comment"]) == (0, "other: hm")
    assert said["source"] == "open-webui/u-7"
    assert said["created_at"] == "2024-01-01T00:00:00+00:00"


def test_a_liked_answer_is_preferred_over_its_rivals() -> None:
    response, first, second, _, preferred = rows("open-webui", arena(1, "flowchart", "graph"))
    assert preferred["response"] == response["id"]
    assert preferred["preferred_over"] == [first["id"], second["id"]]


def test_of_a_disliked_answer_only_a_single_rival_is_known_to_be_better() -> None:
    response, rival, _, preferred = rows("open-webui", arena(-1, "flowchart"))
    assert (preferred["response"], preferred["preferred_over"]) == (rival["id"], response["id"])
    found = rows("open-webui", arena(-1, "flowchart", "graph"))
    assert not any("preferred_over" in row for row in found)


def test_a_preference_is_feedback_that_names_the_beaten_response() -> None:
    row = {"response": "evt_a", "preferred_over": ["evt_b", "evt_c"], "source": "ana"}
    found = ingest.entry(row, now=NOW).feedback
    assert [(item.kind, item.text, item.value) for item in found] == [
        ("preferred", "evt_b", None),
        ("preferred", "evt_c", None),
    ]
    for wrong, reason in (("evt_a", "names the response itself"), ("a b", "preferred_over")):
        with pytest.raises(InputError, match=reason):
            ingest.entry(row | {"preferred_over": wrong}, now=NOW)


# --- every format -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "record", "reason"),
    [
        ("alpaca", {"instruction": "x", "output": " "}, "output is empty"),
        ("alpaca", {"instruction": "x", "output": "y", "input": 3}, "input is no text"),
        ("chat", {"messages": [turn("user", "x")]}, "no answer of the assistant"),
        ("chat", {"messages": [turn("assistant", "x")]}, "no user asked anything"),
        ("chat", {"messages": [turn("wizard", "x")]}, "message 1 has the role 'wizard'"),
        ("chat", {"messages": [turn("user", None)]}, "message 1 has no text"),
        ("chat", {"messages": "x"}, "the list of messages is no list"),
        ("sharegpt", {"conversations": [{"from": "bing", "value": "x"}]}, "the from 'bing'"),
        ("dpo", {"chosen": "a", "rejected": "b"}, "prompt is missing"),
        ("dpo", {"prompt": "p", "chosen": "a", "rejected": "a "}, "are the same"),
        ("kto", {"prompt": "p", "completion": "c", "label": "maybe"}, "label is 'maybe'"),
        ("pairs", {"sentence1": "a", "sentence2": "b", "score": "nan"}, "score is nan"),
        ("pairs", {"sentence1": "a", "sentence2": "b", "score": True}, "score is no number"),
        ("triplets", {"anchor": "a", "positive": None}, "positive is missing"),
        ("triplets", {"anchor": "a", "positive": "A "}, "teaches nothing"),
        ("clicks", {"query": "q", "results": ["a"], "clicked": 3}, "none of the 1 results"),
        ("clicks", {"query": "q", "results": "a", "clicked": 0}, "results is no list"),
        ("clicks", {"query": "q", "results": ["a"], "clicked": []}, "names none"),
        ("pairs", {"text1": "a", "text2": "b", "same": "maybe"}, "neither yes nor no"),
        ("pairs", {"a": "a", "b": " ", "score": 1}, "b is empty"),
        ("openai", {"request": {}, "response": {"choices": []}}, "list of messages is missing"),
        ("langfuse", {"input": 3, "output": "x"}, "input is neither text nor messages"),
        ("label-studio", {"data": {"text": "x"}, "annotations": []}, "it holds text"),
        ("open-webui", arena(0), "rating is 0"),
        ("open-webui", arena(1) | {"meta": {"message_id": "gone"}}, "'gone'.* not in the snapshot"),
    ],
)
def test_a_bad_record_is_refused_with_the_reason(
    name: str, record: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        rows(name, record)


KEYS = sorted(
    "messages conversations instruction input output prompt completion label chosen rejected "
    "anchor positive negative sentence1 sentence2 score request response custom_id choices body "
    "role content from value data annotations result snapshot chat history meta trace "
    "scores".split()
)
ANY = st.characters(exclude_categories=())  # halves of surrogate pairs and NUL too
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(ANY, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_record_is_read_or_refused_by_every_format(record: dict[str, Any]) -> None:
    for found in formats.FORMATS:
        found.matches(record)
        if found.join_key:
            found.join_key(record)
        try:
            for row in found.rows(record, READING):
                ingest.entry(row, now=NOW)
        except InputError:
            continue
