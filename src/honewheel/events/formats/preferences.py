"""Formats of preference training: chosen against rejected, and single answers with a label."""

from __future__ import annotations

from typing import Any

from honewheel.errors import InputError
from honewheel.events.formats.base import Format, Reading, Record, Row, has, tasked, text
from honewheel.events.formats.conversation import Turn, answered, asked, turns

_YES, _NO = ("true", "1", "yes", "up"), ("false", "0", "no", "down")


def _chosen_rejected(record: Record, reading: Reading) -> list[Row]:
    before, chosen = _side(record, "chosen")
    beside, rejected = _side(record, "rejected")
    if before != beside:
        raise InputError("chosen and rejected answer different conversations")
    if chosen.strip() == rejected.strip():
        raise InputError("chosen and rejected are the same")
    return [tasked(record, reading) | before | {"output": rejected, "correction": chosen}]


def _side(record: Record, key: str) -> tuple[Row, str]:
    """What was asked, and the answer of one side."""
    found = record.get(key)
    if isinstance(found, str):
        return _asked(record), text(record, key)
    said = turns(found)
    if _prompt(record) and not any(turn.role == "user" for turn in said):
        said = [*_turns_before(record), *said]
    return answered(said)


def _asked(record: Record) -> Row:
    if not _prompt(record):
        raise InputError("prompt is missing")
    return asked(_turns_before(record))


def _prompt(record: Record) -> Any:
    return record.get("prompt")


def _turns_before(record: Record) -> list[Turn]:
    prompt = _prompt(record)
    return [Turn("user", text(record, "prompt"))] if isinstance(prompt, str) else turns(prompt)


def _kto(record: Record, reading: Reading) -> list[Row]:
    output = record.get("completion")
    found = [Turn("assistant", output)] if isinstance(output, str) else turns(output)
    before, answer = answered([*_turns_before(record), *found])
    thumb = {"thumb": int(_label(record.get("label")))}
    return [tasked(record, reading) | before | {"output": answer} | thumb]


def _label(value: Any) -> bool:
    word = str(value).casefold()
    if word not in _YES + _NO:
        raise InputError(f"label is {value!r}; it is true for a desirable answer, else false")
    return word in _YES


CHOSEN_REJECTED = Format(
    name="dpo",
    title="chosen and rejected",
    mapping="prompt -> prompt, rejected -> output, chosen -> correction",
    matches=has("chosen", "rejected"),
    rows=_chosen_rejected,
)
KTO = Format(
    name="kto",
    title="KTO",
    mapping="prompt -> prompt, completion -> output, label -> thumb",
    matches=has("prompt", "completion", "label"),
    rows=_kto,
)
