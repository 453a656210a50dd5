"""Column types that hold the same value in SQLite and PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from honewheel.errors import InputError
from honewheel.records import Json, utc

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
# "INTEGER PRIMARY KEY" is the row id in SQLite: no second index for the sequence number.
Sequence64 = BigInteger().with_variant(Integer(), "sqlite")


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as whole microseconds since 1970 (exact in both dialects)."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (utc(value) - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class JsonText(TypeDecorator[Json]):
    """Plain JSON data as canonical ASCII text; a string inside may hold any character.

    ASCII because PostgreSQL refuses NUL in text and both refuse lone surrogates; JSON escapes
    them. NaN and infinities are refused: SQLite would read NaN back as NULL.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json, dialect: Dialect) -> str:
        return json_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Json:
        if value == "{}":  # what most rows of a log hold
            return {}
        found: Json = None if value is None else json.loads(value)
        return found


def json_text(value: Json) -> str:
    """Canonical ASCII JSON of `value`. Raises InputError on NaN and infinities."""
    if value == {}:  # what most rows of a log hold
        return "{}"
    try:
        return _CANONICAL.encode(value)
    except ValueError as error:
        raise InputError(f"Not storable as JSON: {error}. Numbers must be finite.") from error
