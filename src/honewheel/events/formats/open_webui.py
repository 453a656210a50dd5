"""Open WebUI: the feedback export of its evaluations page.

A record is a rating of one message (`data.rating` 1 or -1, `meta.message_id`) with a snapshot of
the chat (`snapshot.chat.chat.history`, messages by id with `parentId`). The message is the output,
the user's turn before it the prompt, earlier turns the context. Answers of other models to the
same turn (arena, several models) are kept too, and the better one is preferred over them: the
rated one when it was liked, its only rival when it was not. The details rating (1 to 10) says the
same thing again and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from honewheel.errors import InputError
from honewheel.events import ingest
from honewheel.events.formats.base import (
    Format,
    Reading,
    Record,
    Row,
    as_list,
    as_object,
    tasked,
    when,
)
from honewheel.events.formats.conversation import ROLES, Turn, asked, plain

LONGEST = 10_000  # turns followed upwards; a chat that loops ends here


def _matches(record: Record) -> bool:
    data = record.get("data")
    return isinstance(data, Mapping) and "rating" in data and "snapshot" in record


def _rows(record: Record, reading: Reading) -> list[Row]:
    messages = _messages(as_object(record.get("snapshot"), "snapshot"))
    data = as_object(record.get("data"), "data")
    meta = as_object(record.get("meta"), "meta")
    rated = _message(messages, meta.get("message_id"), "the rated message")
    row = tasked(record, reading)
    response = _response(row, messages, rated)
    rivals = [_response(row, messages, one) for one in _rivals(messages, rated)]
    remark = {"source": f"open-webui/{record.get('user_id')}"[:200]} | when(
        record.get("created_at")
    )
    thumb = _thumb(data.get("rating"))
    spoken = {"response": response["id"], "thumb": int(thumb)} | remark | _comment(data)
    return [response, *rivals, spoken, *_preferred(response, rivals, thumb, remark)]


def _preferred(response: Row, rivals: list[Row], liked: bool, remark: Row) -> list[Row]:
    others = [one["id"] for one in rivals if one["id"] != response["id"]]
    if liked and others:
        return [{"response": response["id"], "preferred_over": others} | remark]
    if not liked and len(others) == 1:  # of several rivals nobody said which is better
        return [{"response": others[0], "preferred_over": response["id"]} | remark]
    return []


def _messages(snapshot: Record) -> dict[str, Record]:
    """Messages by id; the chat is nested once or twice, and may list them instead."""
    chat = as_object(snapshot.get("chat"), "snapshot.chat")
    for place in (chat.get("chat"), chat, snapshot):
        history = place.get("history") if isinstance(place, Mapping) else None
        found = history.get("messages") if isinstance(history, Mapping) else None
        if isinstance(found, Mapping):
            return {str(key): one for key, one in found.items() if isinstance(one, Mapping)}
        if isinstance(found, list):
            return {str(one.get("id")): one for one in found if isinstance(one, Mapping)}
    raise InputError("snapshot holds no history of messages")


def _message(messages: Mapping[str, Record], name: Any, told: str) -> Record:
    if str(name) not in messages:
        raise InputError(f"{told} ({name!r}) is not in the snapshot")
    return messages[str(name)]


def _response(row: Row, messages: Mapping[str, Record], message: Record) -> Row:
    """One answer as a row, named by its content: the same answer rated twice is one event."""
    output = plain(message.get("content"), "the rated message")
    model = message.get("selectedModelId") or message.get("model")
    decoding = {"decoding": {"model": model}} if isinstance(model, str) else {}
    found = row | asked(_before(messages, message)) | {"output": output} | decoding
    found |= when(message.get("timestamp"))
    return found | {"id": ingest.content_id(found)}


def _before(messages: Mapping[str, Record], message: Record) -> list[Turn]:
    found: list[Turn] = []
    name = message.get("parentId")
    while name is not None and len(found) < LONGEST:
        one = _message(messages, name, "an earlier message")
        role = ROLES.get(str(one.get("role")), "tool")
        found.append(Turn(role, plain(one.get("content"), "an earlier message")))
        name = one.get("parentId")
    return found[::-1]


def _rivals(messages: Mapping[str, Record], rated: Record) -> list[Record]:
    parent = messages.get(str(rated.get("parentId")), {})
    names = as_list(parent.get("childrenIds") or [], "childrenIds")
    found = [messages[str(name)] for name in names if str(name) in messages]
    return [one for one in found if one is not rated and str(one.get("content") or "").strip()]


def _thumb(value: Any) -> bool:
    if str(value) not in ("1", "-1"):
        raise InputError(f"rating is {value!r}; a thumb up is 1, a thumb down -1")
    return str(value) == "1"


def _comment(data: Record) -> Row:
    words = [data.get(key) for key in ("reason", "comment")]
    told = ": ".join(word for word in words if isinstance(word, str) and word.strip())
    return {"comment": told} if told else {}


OPEN_WEBUI = Format(
    name="open-webui",
    title="Open WebUI feedback export",
    mapping="rated message -> output, the turn before it -> prompt, rating -> thumb, reason and "
    "comment -> comment, other answers to the turn -> preferred_over",
    matches=_matches,
    rows=_rows,
)
