"""Langfuse: traces (or observations) with their scores.

Read are the traces of the public API and of the trace download (`input`, `output`, `scores`, also
inside `trace`), and rows of a blob storage export (`traces/` or `observations_v2/`) joined with
its `scores/` file. Keys may be spelt in either case (`dataType`, `data_type`). Exports of the
table view, where a score is a column, are read as CSV with their columns mapped.

A score's `source` tells who judged: EVAL is a validator; ANNOTATION and API (where applications
send their users' feedback) are people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from honewheel.errors import InputError
from honewheel.events.formats.base import (
    Format,
    Reading,
    Record,
    Row,
    as_object,
    said,
    share,
    tasked,
    verdict,
    when,
)
from honewheel.events.formats.conversation import Turn, asked, plain, turns

_CAMEL = re.compile(r"(?<=[a-z])([A-Z])")


def _matches(record: Record) -> bool:
    trace = record.get("trace", record)
    return isinstance(trace, Mapping) and {"input", "output", "scores"} <= trace.keys()


def _rows(record: Record, reading: Reading) -> list[Row]:
    trace = _snake(as_object(record.get("trace", record), "trace"))
    row = tasked(record, reading) | asked(_turns(trace.get("input")))
    row["output"] = _answer(trace.get("output"))
    if isinstance(release := trace.get("release") or trace.get("version"), str):
        row["decoding"] = {"release": release}
    response = row | when(trace.get("timestamp") or trace.get("start_time"))
    return said(response, [_remark(score, reading) for score in _scores(trace, reading)])


def _scores(trace: Record, reading: Reading) -> list[Record]:
    """The trace's own scores and the joined ones; those of an observation are not its trace's."""
    own = trace.get("scores") or []
    found = [item for item in own if isinstance(item, Mapping)] if isinstance(own, list) else []
    joined = reading.joined.get(str(trace.get("id")), ())
    return [_snake(item) for item in (*found, *joined)]


def _remark(score: Record, reading: Reading) -> Row:
    name = str(score.get("name") or "score")
    who = score.get("author_user_id") or "langfuse"
    kind = "validator" if score.get("source") == "EVAL" else "person"
    row = {"source": f"{who}/{name}"[:200], "source_kind": kind} | when(score.get("timestamp"))
    if isinstance(score.get("comment"), str) and score["comment"].strip():
        row["comment"] = score["comment"]
    return row | _said(score, name, reading)


def _said(score: Record, name: str, reading: Reading) -> Row:
    kind = str(score.get("data_type") or "NUMERIC")
    word = score.get("string_value")
    if kind == "BOOLEAN":
        return {"thumb": int(share(score.get("value"), Reading(), name))}
    if kind == "NUMERIC":
        return {"score": share(score.get("value"), reading, f"score {name!r}")}
    if not isinstance(word, str) or not word.strip():
        raise InputError(f"score {name!r} of type {kind} has no stringValue")
    if kind == "CORRECTION":
        return {"correction": word}
    return verdict(word) if kind == "CATEGORICAL" else {"comment": word}


def _turns(value: Any) -> list[Turn]:
    """The question of a trace: text, messages, or an object with `messages`."""
    if isinstance(value, Mapping) and "messages" in value:
        value = value["messages"]
    if isinstance(value, str):
        return [Turn("user", value)]
    if isinstance(value, list):
        return turns(value)
    raise InputError("input is neither text nor messages")


def _answer(value: Any) -> str:
    if isinstance(value, Mapping) and "content" in value:
        value = value["content"]
    if not isinstance(value, str | list):
        raise InputError("output is neither text nor a message")
    return plain(value, "output")


def _snake(record: Record) -> Record:
    return {_CAMEL.sub(r"_\1", key).lower(): value for key, value in record.items()}


def _join_key(record: Record) -> Sequence[str]:
    score = _snake(record)
    name = score.get("observation_id") or score.get("trace_id")
    return [str(name)] if name else []


LANGFUSE = Format(
    name="langfuse",
    title="Langfuse traces with scores",
    mapping="input -> prompt and context, output -> output, scores -> score, thumb, correction or "
    "comment",
    matches=_matches,
    rows=_rows,
    join_key=_join_key,
)
