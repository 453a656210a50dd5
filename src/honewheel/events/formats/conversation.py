"""Messages of a chat into the prompt, the context and the answer of one row.

The last answer of the model is the output, the user's turn before it the prompt. A system message
becomes the context entry `system`; every other turn before the answer is rendered, in order, into
the entry `conversation`. Turns after the answer are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from honewheel.errors import InputError
from honewheel.events.formats.base import Row, as_list, as_object

ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
}


class Turn(NamedTuple):
    """One message; `role` is user, assistant, system or tool."""

    role: str
    text: str


def turns(messages: Any, *, role: str = "role", content: str = "content") -> list[Turn]:
    """The messages of a list. Raises InputError naming the first that is no text."""
    found = []
    for number, message in enumerate(as_list(messages, "the list of messages"), start=1):
        one = as_object(message, f"message {number}")
        name = str(one.get(role))
        if name not in ROLES:
            raise InputError(f"message {number} has the {role} {name!r}")
        found.append(Turn(ROLES[name], plain(one.get(content), f"message {number}")))
    return found


def plain(content: Any, name: str) -> str:
    """The text of a message: itself, or its text parts. Raises InputError for what is no text."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and content:
        return "\n".join(_part(part, name) for part in content)
    raise InputError(f"{name} has no text (a tool call?)")


def _part(part: Any, name: str) -> str:
    found = part.get("text") if isinstance(part, Mapping) else part
    if not isinstance(found, str):
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        raise InputError(f"{name} holds {kind!r}, which is no text")
    return found


def asked(before: Sequence[Turn]) -> Row:
    """Prompt and context of what was said before an answer. Raises InputError without a user."""
    places = [place for place, turn in enumerate(before) if turn.role == "user"]
    if not places:
        raise InputError("no user asked anything before the answer")
    last = places[-1]
    system = "\n\n".join(turn.text for turn in before if turn.role == "system")
    others = [turn for turn in (*before[:last], *before[last + 1 :]) if turn.role != "system"]
    context = {
        "system": system,
        "conversation": "\n\n".join(f"{turn.role.capitalize()}: {turn.text}" for turn in others),
    }
    kept = {key: value for key, value in context.items() if value.strip()}
    return {"prompt": before[last].text} | ({"context": kept} if kept else {})


def answered(found: Sequence[Turn]) -> tuple[Row, str]:
    """What was asked, and the model's last answer to it. Raises InputError without one."""
    places = [place for place, turn in enumerate(found) if turn.role == "assistant"]
    if not places:
        raise InputError("there is no answer of the assistant")
    return asked(found[: places[-1]]), found[places[-1]].text
