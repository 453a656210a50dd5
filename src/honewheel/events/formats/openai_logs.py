"""Logs of an OpenAI-compatible API: what was asked and what was answered, without a judgment.

Three shapes are read, one object a line or in a list:
`{"request": {...}, "response": {...}}`, both bodies as sent, or wrapped in `body`;
`{"messages": [...], "choices": [...]}`, a stored completion with its messages put beside it;
`{"custom_id": ..., "response": {"status_code": ..., "body": {...}}}`, a line of a batch's output,
whose question stands in the batch's input file under the same `custom_id` (join that file).
Bodies are those of chat completions (`messages`, `choices`) or of responses (`input`, `output`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from honewheel.errors import InputError
from honewheel.events.formats.base import (
    Format,
    Reading,
    Record,
    Row,
    as_list,
    as_object,
    has,
    tasked,
    when,
)
from honewheel.events.formats.conversation import Turn, asked, plain, turns

SETTINGS = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "seed")


def _matches(record: Record) -> bool:
    answered = isinstance(record.get("response"), Mapping)
    return has("messages", "choices")(record) or (
        answered and ("request" in record or "custom_id" in record)
    )


def _rows(record: Record, reading: Reading) -> list[Row]:
    if "choices" in record:
        return [_row(record, record, record, reading)]
    request = _request(record, reading)
    response = as_object(record.get("response"), "response")
    status = response.get("status_code")
    if isinstance(status, int) and status >= 400:
        raise InputError(f"the request failed with status {status}")
    return [_row(record, request, _body(response), reading)]


def _request(record: Record, reading: Reading) -> Record:
    if "request" in record:
        return _body(as_object(record["request"], "request"))
    name = str(record.get("custom_id"))
    found = reading.joined.get(name)
    if not found:
        raise InputError(
            f"the line tells no question: give the batch's input file with --with, it must hold "
            f"the custom_id {name!r}"
        )
    return _body(found[0])


def _body(found: Record) -> Record:
    return as_object(found["body"], "body") if "body" in found else found


def _row(record: Record, request: Record, response: Record, reading: Reading) -> Row:
    row = tasked(record, reading) | asked(_asked(request)) | {"output": _answer(response)}
    decoding = {key: request[key] for key in SETTINGS if isinstance(request.get(key), int | float)}
    model = response.get("model") or request.get("model")
    row["decoding"] = decoding | ({"model": model} if isinstance(model, str) else {})
    return row | when(response.get("created") or response.get("created_at"))


def _asked(request: Record) -> list[Turn]:
    if "messages" in request:
        return turns(request["messages"])
    found = request.get("input")
    said = [Turn("user", found)] if isinstance(found, str) else turns(found)
    system = request.get("instructions")
    return [Turn("system", system), *said] if isinstance(system, str) else said


def _answer(response: Record) -> str:
    if "choices" in response:
        choices = as_list(response["choices"], "choices")
        if not choices:
            raise InputError("choices is empty")
        message = as_object(as_object(choices[0], "choice 1").get("message"), "message")
        return plain(message.get("content"), "the answer")
    parts = [_output(item) for item in as_list(response.get("output"), "output")]
    if not any(parts):
        raise InputError("the answer has no text (a tool call?)")
    return "".join(parts)


def _output(item: Any) -> str:
    """The text of one item of a response's output; reasoning and tool calls have none."""
    if not isinstance(item, Mapping) or item.get("type") != "message":
        return ""
    content = item.get("content")
    return plain(content, "the answer") if isinstance(content, Sequence) else ""


def _custom_id(record: Record) -> Sequence[str]:
    return [str(record["custom_id"])] if "custom_id" in record else []


OPENAI = Format(
    name="openai",
    title="OpenAI request log",
    mapping="last user message -> prompt, answer -> output, system and earlier messages -> "
    "context, settings and model -> decoding",
    matches=_matches,
    rows=_rows,
    join_key=_custom_id,
)
