"""`POST /v1/feedback`: rows in, one outcome a row out, acknowledged after the commit.

The route is raw ASGI and msgspec: at thousands of rows a second the commit is what costs, not a
framework. What a row may say is decided in `events.accept`, as everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from honewheel.config import Config
from honewheel.errors import AlreadyRecorded, InputError
from honewheel.events import redact
from honewheel.events.accept import accept_or_reason
from honewheel.events.ingest import MAX_BYTES, Entry
from honewheel.records import SHADOW_OF
from honewheel.server.access import Access, Caller
from honewheel.server.answers import Refused
from honewheel.server.keys import may
from honewheel.server.writer import Outcome, Writer
from honewheel.store.arrivals import Arrival, Stored
from honewheel.wheel import Wheel

BATCH_BYTES = 8 << 20
BATCH_ROWS = 10_000
ACTION = "POST /v1/feedback"
_LINES = (b"application/x-ndjson", b"application/jsonl", b"application/x-jsonlines")
_JSON = b"application/json"

_raw_rows = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Rows:
    """What a body holds, still as bytes; `batch` when it may hold several rows."""

    raw: Sequence[bytes | memoryview]
    batch: bool


class Answered(msgspec.Struct, omit_defaults=True):
    """The outcome of one row; `row` counts from 0."""

    row: int
    id: str = ""
    seq: int = 0
    known: bool = False
    error: str = ""


def split(body: bytes, content_type: bytes) -> Rows:
    """The rows of a body: one object, an array, or one object a line.

    Raises Refused: 415 for another content type, 422 for no JSON, 413 for too much.
    """
    kind = content_type.partition(b";")[0].strip().lower()
    if kind in _LINES:
        found: Sequence[bytes | memoryview] = [line for line in body.splitlines() if line.strip()]
        return _bounded(found)
    if kind != _JSON:
        raise Refused(
            415,
            "Send content-type: application/json (one row or an array of rows) or "
            "application/x-ndjson (a row a line).",
            "unsupported_media_type",
        )
    if not body.lstrip().startswith(b"["):
        if len(body) > MAX_BYTES:
            raise Refused(413, f"The row is larger than {MAX_BYTES:,} bytes.", "too_large")
        return Rows([body], batch=False)
    try:
        return _bounded([bytes(raw) for raw in _raw_rows.decode(body)])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(422, f"not valid JSON: {error}", "invalid_request_error") from None


def _bounded(found: Sequence[bytes | memoryview]) -> Rows:
    if not found:
        raise Refused(422, "The batch holds no row.", "invalid_request_error")
    if len(found) > BATCH_ROWS:
        raise Refused(413, f"{len(found):,} rows at once; {BATCH_ROWS:,} are allowed.", "too_large")
    return Rows(found, batch=True)


def read_row(raw: bytes | memoryview) -> dict[str, Any] | InputError:
    """One row as a JSON object, or why it is none."""
    if len(raw) > MAX_BYTES:
        return InputError(f"the row is larger than {MAX_BYTES:,} bytes")
    try:
        data = _any.decode(raw)
    except RecursionError:
        return InputError("the row is nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return InputError(f"not valid JSON: {error}")
    if not isinstance(data, dict):
        return InputError(f"a row is a JSON object, this is a {type(data).__name__}")
    return data


class Feedback:
    """The route with what it needs."""

    def __init__(self, wheel: Wheel, writer: Writer, access: Access) -> None:
        self._config: Config = wheel.config
        redact.of(wheel.config.settings.events)  # what cannot redact is told before a row comes
        self._clock = wheel.clock
        self._writer = writer
        self._access = access

    async def post(self, body: bytes, content_type: bytes, caller: Caller) -> tuple[int, bytes]:
        """(status, JSON) of one request. Raises Refused, StoreError; nothing is stored then."""
        rows = split(body, content_type)
        self._access.spend(caller, len(rows.raw))
        taken = [self._taken(raw, caller) for raw in rows.raw]
        arrivals = [_arrival(one, caller) for one in taken if isinstance(one, Entry)]
        stored = iter(await self._writer.put(arrivals) if arrivals else ())
        found = [next(stored) if isinstance(one, Entry) else one for one in taken]
        return _batch(found) if rows.batch else _single(found[0])

    def _taken(self, raw: bytes | memoryview, caller: Caller) -> Entry | InputError:
        data = read_row(raw)
        if isinstance(data, InputError):
            return data
        found = accept_or_reason(self._config, data, self._clock())
        return _claim(found, caller) or found


def _claim(found: Entry | InputError, caller: Caller) -> InputError | None:
    """Why a caller may not send what a row claims to be; None when it claims nothing.

    What a version on trial answered in the shadow decides the trial, and nobody saw it: whoever
    could send such a row could keep a bad version, or have a good one taken back.
    """
    if not isinstance(found, Entry) or found.response is None:
        return None
    if SHADOW_OF not in found.response.decoding or may(caller.role, "operator"):
        return None
    return InputError(
        f"decoding.{SHADOW_OF} marks an answer that the gateway asked a version on trial for, and "
        "decides the trial: leave it out, or send it with an operator's key"
    )


def _arrival(found: Entry, caller: Caller) -> Arrival:
    return Arrival(found.response, found.feedback, caller.name, ACTION, found.timed)


def _single(outcome: Outcome) -> tuple[int, bytes]:
    if isinstance(outcome, Stored):
        return 202, msgspec.json.encode(outcome)
    if isinstance(outcome, AlreadyRecorded):
        raise Refused(409, str(outcome), "conflict")
    raise Refused(422, str(outcome), "invalid_request_error")


def _batch(found: Sequence[Outcome]) -> tuple[int, bytes]:
    """202 when a row was stored, else 422; either way with an outcome a row."""
    rows = [_told(number, outcome) for number, outcome in enumerate(found)]
    refused = sum(bool(row.error) for row in rows)
    data = {"stored": len(rows) - refused, "refused": refused, "rows": rows}
    return (422 if refused == len(rows) else 202), msgspec.json.encode(data)


def _told(number: int, outcome: Outcome) -> Answered:
    if isinstance(outcome, Stored):
        return Answered(number, outcome.id, outcome.seq, outcome.known)
    return Answered(number, error=str(outcome))
