"""One row of feedback, from Python or JSONL, into a Response and its Feedback.

A row brings a response with what was said of it (`task`, `prompt`, `output`, ...), adds feedback
to a response that is already in the log (`response`), or shows what a good output is without any
model having answered (`demonstration`). Rows are hostile: unknown keys, NaN, NUL, lone surrogates
and oversized texts are refused with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    ValidationError,
)

from honewheel.errors import InputError
from honewheel.ids import ulid
from honewheel.records import Feedback, FeedbackKind, Json, Response, SourceKind, digest, utc

MAX_BYTES = 1 << 20  # of one row; larger ones are quarantined
SKEW = timedelta(minutes=5)  # how far a sender's clock may be ahead of ours
DEMONSTRATION: Mapping[str, Json] = {"origin": "demonstration"}  # see `Response.demonstration`
# How good the output was, in [0, 1], as behaviour tells it; `curate.reward` trusts it little.
SIGNALS = {"copy": 1.0, "edit": 0.3, "retry": 0.0}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

Text = Annotated[str, Field(min_length=1, max_length=400_000)]
Unit = Annotated[float, Field(ge=0, le=1)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]


class FindingRow(BaseModel):
    """One finding an outside validator reports."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    code: Text
    message: str = ""


class Row(BaseModel):
    """The wire format of one row; every key is documented in docs/reference/feedback.md."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: str | None = None
    task: str | None = None
    prompt: Text | None = None
    output: Text | None = None
    demonstration: Text | None = None
    context: dict[str, str] = Field(default_factory=dict)
    version: str | None = None
    decoding: dict[str, str | int | float | bool] = Field(default_factory=dict)
    response: Annotated[
        str | None, Field(validation_alias=AliasChoices("response", "response_id"))
    ] = None
    source: Annotated[str, Field(min_length=1, max_length=200)] = "unknown"
    source_kind: Literal["person", "validator", "signal", "simulated"] = "person"
    created_at: AwareDatetime | NaiveDatetime | None = None
    score: Unit | None = None
    thumb: Literal[0, 1, "up", "down"] | bool | None = None
    correction: Text | None = None
    comment: Text | None = None
    findings: tuple[FindingRow, ...] = ()
    signal: Literal["retry", "copy", "edit"] | None = None
    preferred_over: Id | tuple[Id, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What one row becomes. `response` is None when the row speaks of an earlier response."""

    response: Response | None
    feedback: tuple[Feedback, ...]
    timed: bool = True  # whether the row brought its time

    @property
    def id(self) -> str:
        return self.response.id if self.response else self.feedback[0].response_id


def new_id() -> str:
    """A fresh event id, sortable by time: `evt_` and a ULID."""
    return f"evt_{ulid()}"


def parse(raw: str, *, now: datetime, dated: datetime | None = None) -> Entry:
    """One line of JSONL as an Entry; see `entry`. Raises InputError with the reason."""
    return entry(decode(raw), now=now, dated=dated)


def decode(raw: str) -> dict[str, Any]:
    """The JSON object of one line. Raises InputError: too large, no JSON, no object."""
    if len(raw.encode(errors="surrogatepass")) > MAX_BYTES:
        raise InputError(f"the row is larger than {MAX_BYTES:,} bytes")
    try:
        data = json.loads(raw, parse_constant=_no_constant)
    except RecursionError as error:
        raise InputError("the row is nested too deeply") from error
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"a row is a JSON object, this is a {type(data).__name__}")
    return data


def entry(
    data: Mapping[str, Any],
    *,
    now: datetime,
    dated: datetime | None = None,
    fresh_id: bool = False,
) -> Entry:
    """A mapping as an Entry; `dated` (else `now`) is the time of a row without `created_at`.

    A `created_at` more than SKEW after `now` is refused: a row from the future would outweigh
    every honest one for as long as it stays there.

    Without an `id` the event id is the hash of the row's content, so the same row sent twice is
    one event; with `fresh_id` it is a new ULID instead. Raises InputError.
    """
    row = _validated(data)
    _refuse_bad_text(data)
    try:
        at = (dated or now) if row.created_at is None else utc(row.created_at)
    except OverflowError as error:
        raise InputError("created_at is out of range") from error
    if row.created_at is not None and at > utc(now) + SKEW:
        raise InputError(
            f"created_at {at:%Y-%m-%dT%H:%M:%SZ} is in the future: it is {utc(now):%Y-%m-%dT%H:%MZ}"
            f" here, and at most {SKEW.seconds // 60} minutes of clock skew are allowed"
        )
    if row.response is not None:
        return _addition(row, at)
    output = row.output if row.demonstration is None else _demonstrated(row)
    for key, value in (("task", row.task), ("prompt", row.prompt), ("output", output)):
        if value is None:
            raise InputError(f"{key} is missing")
    identity = new_id() if fresh_id else content_id(data)
    response = Response(
        id=_checked_id(row.id) if row.id is not None else identity,
        task=str(row.task),
        prompt=str(row.prompt),
        output=str(output),
        created_at=at,
        context=row.context,
        version=row.version,
        decoding={**row.decoding, **(DEMONSTRATION if row.demonstration else {})},
    )
    return Entry(response, _feedback(row, response.id, at), row.created_at is not None)


def _demonstrated(row: Row) -> str:
    for key in ("output", "correction", "version"):
        if getattr(row, key):
            raise InputError(
                f"a row with `demonstration` shows what is right and no model's answer; it cannot "
                f"also bring {key}"
            )
    return str(row.demonstration)


def _addition(row: Row, at: datetime) -> Entry:
    for key in (
        "id",
        "task",
        "prompt",
        "output",
        "demonstration",
        "version",
        "context",
        "decoding",
    ):
        if getattr(row, key):
            raise InputError(
                f"a row with `response` adds feedback to an earlier response; it cannot also "
                f"bring {key}"
            )
    found = _feedback(row, _checked_id(str(row.response)), at)
    if not found:
        raise InputError("the row says nothing of the response (no score, thumb, correction ...)")
    return Entry(None, found, row.created_at is not None)


def _feedback(row: Row, response_id: str, at: datetime) -> tuple[Feedback, ...]:
    said: list[tuple[FeedbackKind, float | None, str | None]] = []
    if row.score is not None:
        said.append(("rating", row.score, None))
    if row.thumb is not None:
        said.append(("thumb", float(row.thumb in (1, "up")), None))
    written = row.correction if row.demonstration is None else row.demonstration
    if written is not None:
        said.append(("correction", None, written))
    if row.signal is not None:
        said.append(("signal", SIGNALS[row.signal], row.signal))
    if row.comment is not None:
        said.append(("comment", None, row.comment))
    beaten = row.preferred_over
    for rival in (beaten,) if isinstance(beaten, str) else beaten:
        if rival == response_id:
            raise InputError("preferred_over names the response itself")
        said.append(("preferred", None, rival))
    found = [_one(row, response_id, at, *item) for item in said]
    kind: SourceKind = "validator" if row.source_kind == "person" else row.source_kind
    for item in row.findings:
        text = f"{item.code}: {item.message}"
        found.append(_one(row, response_id, at, "finding", 0.0, text, kind))
    return tuple({item.id: item for item in found}.values())


def _one(
    row: Row,
    response_id: str,
    at: datetime,
    kind: FeedbackKind,
    value: float | None,
    text: str | None,
    source_kind: SourceKind | None = None,
) -> Feedback:
    stamp = None if row.created_at is None else at.isoformat()
    identity = digest([response_id, kind, value, text, row.source, stamp])
    return Feedback(
        id=f"fb_{identity[:26]}",
        response_id=response_id,
        kind=kind,
        source=row.source,
        source_kind=source_kind or row.source_kind,
        created_at=at,
        value=value,
        text=text,
    )


def _validated(data: Mapping[str, Any]) -> Row:
    try:
        return Row.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = _where(first["loc"])
        message = "is no key of a feedback row" if first["type"] == "extra_forbidden" else None
        raise InputError(f"{where} {message}" if message else f"{where}: {first['msg']}") from error


def _where(place: tuple[int | str, ...]) -> str:
    """Key of a row, and the key in it for those that hold some; elsewhere a type's name follows."""
    inside = place[1:2] if place[:1] in (("context",), ("decoding",), ("findings",)) else ()
    return ".".join(map(str, (*place[:1], *inside))) or "row"


def content_id(data: Mapping[str, Any]) -> str:
    """The event id of a row that brings none: `evt_` and the hash of what it says.

    Raises InputError for a text that no database stores.
    """
    _refuse_bad_text(data)
    plain: Json = json.loads(json.dumps(data, default=str, sort_keys=True))
    return f"evt_{digest(plain)[:26]}"


def _checked_id(found: str) -> str:
    if not _ID.fullmatch(found):
        raise InputError(
            f"id {found[:40]!r} may hold letters, digits and . _ : - only, at most 128 of them"
        )
    return found


def _refuse_bad_text(value: Any, path: str = "row") -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise InputError(f"{path!a} contains a NUL character")
        if value.isascii():  # what most texts are, told without encoding them
            return
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{path!a} is not valid Unicode") from error
    elif isinstance(value, int | float | None):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_bad_text(key, path)
            _refuse_bad_text(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_bad_text(item, path)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number JSON knows")
