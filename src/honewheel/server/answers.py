"""What the server answers with: JSON, errors in one form, and server-sent events.

Errors have the form that OpenAI clients read: `{"error": {"message", "type", "code"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from honewheel.errors import (
    ConfigError,
    HonewheelError,
    InputError,
    MissingExtra,
    Moved,
    NotEnoughData,
    NotFound,
    StoreBusy,
    StoreError,
    StoreFull,
)

RETRY_SECONDS = 1
_STATUS: tuple[tuple[type[HonewheelError], int, str], ...] = (
    (NotFound, 404, "not_found"),
    (InputError, 422, "invalid_request_error"),
    (ConfigError, 422, "invalid_request_error"),
    (MissingExtra, 501, "not_installed"),
    (NotEnoughData, 409, "nothing_to_do"),
    (Moved, 409, "conflict"),
    (StoreBusy, 503, "store_unavailable"),
    (StoreFull, 507, "store_full"),
    (StoreError, 503, "store_unavailable"),
)


class Refused(Exception):
    """A request that is answered with an error; raised anywhere below a handler."""

    def __init__(
        self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})


def json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(data), status, headers, "application/json")


def error(found: Refused) -> Response:
    """The answer to a refused request."""
    return json(error_body(str(found), found.kind), found.status, found.headers)


def error_body(message: str, kind: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": kind, "param": None}}


def translated(found: HonewheelError) -> Refused:
    """What an error of honewheel means over HTTP. Unforeseen ones are 500 with their message."""
    for kind, status, name in _STATUS:
        if isinstance(found, kind):
            retry = {"retry-after": str(RETRY_SECONDS)} if status == 503 else {}
            return Refused(status, str(found), name, retry)
    return Refused(500, str(found), "internal_error")


def sse(data: Any, *, number: int | None = None, event: str | None = None) -> bytes:
    """One server-sent event: optional id and name, `data` as JSON on one line."""
    head = f"id: {number}\n" if number is not None else ""
    head += f"event: {event}\n" if event else ""
    return head.encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"
