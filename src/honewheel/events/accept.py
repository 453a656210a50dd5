"""The one way into the log for a row that the project itself takes: Python, command line, HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, cast

from honewheel import plugins
from honewheel.config import Config
from honewheel.errors import ConfigError, InputError
from honewheel.events import ingest, redact
from honewheel.events.ingest import Entry
from honewheel.protocols import ChecksRequests, Task
from honewheel.records import Response


def accept(config: Config, row: Mapping[str, Any], now: datetime) -> Entry:
    """A row as an Entry of this project: valid, of a task it has, redacted if it says so.

    Without an `id` it gets a new one. Raises InputError, ConfigError (no such task), MissingExtra.
    """
    redactor = redact.of(config.settings.events)
    found = ingest.entry(row, now=now, fresh_id=True)
    if found.response:
        require_fit(found.response, config.task(found.response.task).kind)
    return redact.entry(found, redactor) if redactor else found


def require_fit(response: Response, kind: str) -> None:
    """Nothing when a task of this kind can learn of such a request. Raises InputError."""
    task = plugins.task(kind)
    if _checks_requests(type(task)):
        reason = cast(ChecksRequests, task).refuse(response.prompt, response.context)
        if reason is not None:
            raise InputError(reason)


@cache
def _checks_requests(kind: type[Task]) -> bool:
    """Asked of the class, once: for each row, it cost twice what validating the row does."""
    return issubclass(kind, ChecksRequests)


def accept_or_reason(config: Config, row: Mapping[str, Any], now: datetime) -> Entry | InputError:
    """As `accept`, for one row of many: the reason in place of an exception."""
    try:
        return accept(config, row, now)
    except InputError as error:
        return error
    except ConfigError as error:
        return InputError(str(error))
