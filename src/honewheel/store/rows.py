"""The rows of a dataset as Parquet bytes and back: same rows, same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from honewheel.records import Example
from honewheel.store.columns import json_text


def write_rows(train: Sequence[Example], val: Sequence[Example]) -> bytes:
    """A Parquet file of all fields of the examples, in order, with the part each belongs to."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [_row("train", row) for row in train] + [_row("val", row) for row in val]
    table = pa.Table.from_pylist(rows, schema=_schema())
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=10_000)
    return bytes(sink.getvalue().to_pybytes())


def read_rows(data: bytes) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(train, val) of a file written by `write_rows`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.ParquetFile(pa.BufferReader(data)).read().to_pylist()
    train = tuple(_example(row) for row in rows if row["part"] == "train")
    val = tuple(_example(row) for row in rows if row["part"] == "val")
    return train, val


def _schema() -> Any:
    import pyarrow as pa

    words = ("part", "id", "task", "prompt", "target", "group", "split", "context")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in words),
            pa.field("value", pa.float64(), nullable=False),
            pa.field("weight", pa.float64(), nullable=False),
            pa.field("role", pa.string(), nullable=False),
            pa.field("events", pa.list_(pa.string()), nullable=False),
            pa.field("simulated", pa.bool_(), nullable=False),
        ]
    )


def _row(part: str, example: Example) -> dict[str, Any]:
    fields = asdict(example)
    return fields | {
        "part": part,
        "context": json_text(fields["context"]),
        "events": list(example.events),
    }


def _example(row: dict[str, Any]) -> Example:
    fields = {name: value for name, value in row.items() if name != "part"}
    return Example(
        **fields | {"context": json.loads(row["context"]), "events": tuple(row["events"])}
    )
