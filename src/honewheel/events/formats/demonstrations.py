"""Formats of supervised fine-tuning: a prompt and what should be answered, without a model.

Such rows are demonstrations. Nobody's model wrote the target, so there is no output that was
wrong and nothing to prefer it over; but the target is new to learn (see `ingest.Row`).
"""

from __future__ import annotations

from typing import Any

from honewheel.errors import InputError
from honewheel.events.formats.base import Format, Reading, Record, Row, has, tasked, text
from honewheel.events.formats.conversation import answered, turns


def _chat(record: Record, reading: Reading) -> list[Row]:
    asked, answer = answered(turns(record.get("messages")))
    return [tasked(record, reading) | asked | {"demonstration": answer}]


def _sharegpt(record: Record, reading: Reading) -> list[Row]:
    found = turns(record.get("conversations"), role="from", content="value")
    asked, answer = answered(found)
    system = record.get("system")
    if isinstance(system, str) and system.strip():
        asked["context"] = {"system": system, **asked.get("context", {})}
    return [tasked(record, reading) | asked | {"demonstration": answer}]


def _alpaca(record: Record, reading: Reading) -> list[Row]:
    extra = record.get("input") or ""
    if not isinstance(extra, str):
        raise InputError("input is no text")
    prompt = text(record, "instruction") + (f"\n\n{extra}" if extra.strip() else "")
    target = text(record, "output")
    return [tasked(record, reading) | {"prompt": prompt, "demonstration": target}]


SPELLINGS = (("prompt", "completion"), ("input_sequence", "target_sequence"))


def pair(record: Record) -> tuple[str, Any, Any]:
    """Which spelling of a pair a record is in, its input and its target.

    Files put together of several tools hold both. Raises InputError when it is in none.
    """
    for given, wanted in SPELLINGS:
        if record.get(given) is not None and record.get(wanted) is not None:
            return f"{given}/{wanted}", record[given], record[wanted]
    known = " nor ".join(f"{given} and {wanted}" for given, wanted in SPELLINGS)
    raise InputError(f"neither {known}")


def _pair(record: Record, reading: Reading) -> list[Row]:
    _, given, wanted = pair(record)
    named = {"prompt": given, "completion": wanted}
    if not all(isinstance(value, str) for value in named.values()):
        raise InputError("tokens and no text: honewheel puzzles sequences reads such rows")
    target = text(named, "completion")
    return [tasked(record, reading) | {"prompt": text(named, "prompt"), "demonstration": target}]


CHAT = Format(
    name="chat",
    title="chat messages",
    mapping="last user message -> prompt, last assistant message -> demonstration, system and "
    "earlier messages -> context",
    matches=has("messages"),
    rows=_chat,
)
SHAREGPT = Format(
    name="sharegpt",
    title="ShareGPT",
    mapping="last human turn -> prompt, last gpt turn -> demonstration, system and earlier turns "
    "-> context",
    matches=has("conversations"),
    rows=_sharegpt,
)
ALPACA = Format(
    name="alpaca",
    title="Alpaca",
    mapping="instruction + input -> prompt, output -> demonstration",
    matches=has("instruction", "output"),
    rows=_alpaca,
)
COMPLETION = Format(
    name="completion",
    title="prompt and completion",
    mapping="prompt -> prompt, completion -> demonstration; input and target sequences too",
    matches=has("prompt", "completion"),
    rows=_pair,
)
SEQUENCES = Format(
    name="sequences",
    title="input and target sequences",
    mapping="input_sequence -> prompt, target_sequence -> demonstration; prompt and completion too",
    matches=has("input_sequence", "target_sequence"),
    rows=_pair,
)
