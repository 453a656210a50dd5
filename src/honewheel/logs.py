"""Log lines as JSON, one object a line, each with the id of the request that it belongs to.

    {"at": "2026-03-02T09:00:00.123+00:00", "level": "info", "logger": "honewheel.server.door",
     "event": "answered", "request": "3f9c2a1b-1f", "route": "GET /v1/status", "status": 200}

Standard library only.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

request: ContextVar[str | None] = ContextVar("request", default=None)
_FIELDS = "honewheel_fields"


def note(log: logging.Logger, event: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Write a line with fields of its own; cheap when nobody listens."""
    if log.isEnabledFor(level):
        log.log(level, event, extra={_FIELDS: fields})


class JsonLines(logging.Formatter):
    """Formats any record; what is no JSON is written as text."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if (name := request.get()) is not None:
            line["request"] = name
        line |= getattr(record, _FIELDS, {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
