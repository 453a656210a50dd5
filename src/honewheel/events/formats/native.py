"""Feedback rows as they are: JSONL, or CSV and Parquet with columns named like the keys."""

from __future__ import annotations

from honewheel.events.formats.base import Format, Reading, Record, Row, share
from honewheel.events.ingest import Row as Keys


def _matches(record: Record) -> bool:
    return (
        "response" in record
        or {"prompt", "output"} <= record.keys()
        or ("task" in record and any(key in Keys.model_fields for key in record if key != "task"))
    )


def _rows(record: Record, reading: Reading) -> list[Row]:
    row = dict(record)
    if reading.task and row.get("task") is None and row.get("response") is None:
        row["task"] = reading.task
    if reading.scale is not None and row.get("score") is not None:
        row["score"] = share(row["score"], reading)  # in CSV it is a text
    return [row]


NATIVE = Format(
    name="honewheel",
    title="feedback rows",
    mapping="every key is its own",
    matches=_matches,
    rows=_rows,
)
