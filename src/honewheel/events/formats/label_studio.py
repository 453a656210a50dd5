"""Label Studio: tasks with annotations, from its JSON export.

Of a task's `data`, `prompt` (or `instruction`, `question`, `input`) is the prompt and `output`
(or `response`, `answer`, `completion`) the output; other names are mapped. Of each annotation,
`choices` say good or bad (another word is a comment), a `rating` of n stars is (n - 1) / (best - 1)
with 5 as the best unless `scale` says otherwise, a `textarea` is a correction; one whose control
is called comment, reason or note is a comment. Cancelled annotations and predictions are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    said,
    tasked,
    verdict,
    when,
)

PROMPTS = ("prompt", "instruction", "question", "input")
OUTPUTS = ("output", "response", "answer", "completion")
REMARKS = ("comment", "reason", "note")
BEST = 5.0  # stars of a Rating tag unless its maxRating says otherwise, which no export tells


def _rows(record: Record, reading: Reading) -> list[Row]:
    data = {**as_object(record.get("data"), "data"), **_mapped(record)}
    response = tasked(data, reading) | {
        "prompt": _first(data, PROMPTS),
        "output": _first(data, OUTPUTS),
    }
    response |= when(record.get("created_at"))
    remarks = []
    for annotation in as_list(record.get("annotations"), "annotations"):
        one = as_object(annotation, "an annotation")
        if not one.get("was_cancelled"):
            remarks += _remarks(one, reading)
    return said(response, remarks)


def _mapped(record: Record) -> Row:
    """What the reader was told to call prompt and output, lifted out of `data`."""
    return {key: record[key] for key in ("prompt", "output") if key in record}


def _first(data: Record, names: tuple[str, ...]) -> str:
    for name in names:
        if isinstance(data.get(name), str) and data[name].strip():
            return str(data[name])
    raise InputError(
        f"data holds none of {', '.join(names)} as text; it holds {', '.join(sorted(data))}"
    )


def _remarks(annotation: Record, reading: Reading) -> list[Row]:
    """One row a control that says something of the output."""
    base = {"source": _who(annotation.get("completed_by"))} | when(annotation.get("created_at"))
    found = []
    for result in as_list(annotation.get("result"), "result"):
        control = as_object(result, "a result")
        value = as_object(control.get("value"), "value")
        name = str(control.get("from_name") or "")
        found += [base | told for told in _told(str(control.get("type")), value, name, reading)]
    return found


def _told(kind: str, value: Record, name: str, reading: Reading) -> list[Row]:
    if kind == "choices":
        return [verdict(str(word)) for word in as_list(value.get("choices"), "choices")]
    if kind == "rating":
        return [{"score": _stars(value.get("rating"), reading.scale or BEST)}]
    if kind == "textarea":
        found = value.get("text")
        text = "\n".join(map(str, found)) if isinstance(found, list) else str(found or "")
        spoken = any(word in name.casefold() for word in REMARKS)
        return [{"comment" if spoken else "correction": text}] if text.strip() else []
    return []  # regions and other controls say nothing of an output as a whole


def _stars(value: Any, best: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= best:
        raise InputError(
            f"rating is {value!r}, outside 1 to {best:g}; --scale gives the most stars"
        )
    return (value - 1) / (best - 1) if best > 1 else 1.0


def _who(value: Any) -> str:
    """`completed_by` is a number, or an object with an email."""
    if isinstance(value, Mapping):
        value = value.get("email") or value.get("id")
    return f"label-studio/{value}"[:200] if value is not None else "label-studio"


LABEL_STUDIO = Format(
    name="label-studio",
    title="Label Studio export",
    mapping="data.prompt -> prompt, data.output -> output, choices -> thumb or comment, rating -> "
    "score, textarea -> correction",
    matches=has("data", "annotations"),
    rows=_rows,
)
