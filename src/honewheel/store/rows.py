"""The rows of a dataset as Parquet bytes and back: same rows, same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from honewheel.records import Example, Pair, Rated, as_dict
from honewheel.store.columns import json_text

_EXAMPLE = {
    **dict.fromkeys(("part", "id", "task", "prompt", "target", "group", "split"), "text"),
    "context": "json",
    "value": "number",
    "weight": "number",
    "role": "text",
    "events": "texts",
    "simulated": "flag",
    "difficulty": "number",
    "since": "number",
    "variant": "text",
}
_PAIR = {
    **dict.fromkeys(("id", "task", "prompt", "chosen", "rejected", "group", "split"), "text"),
    "origin": "text",
    "context": "json",
    "weight": "number",
    "events": "texts",
}
_RATED = {
    **dict.fromkeys(("id", "task", "prompt", "output"), "text"),
    "desirable": "flag",
    **dict.fromkeys(("group", "split"), "text"),
    "context": "json",
    "weight": "number",
    "events": "texts",
}


def write_rows(train: Sequence[Example], val: Sequence[Example]) -> bytes:
    """A Parquet file of all fields of the examples, in order, with the part each belongs to."""
    rows = [as_dict(row) | {"part": "train"} for row in train]
    rows += [as_dict(row) | {"part": "val"} for row in val]
    return _write(rows, _EXAMPLE)


def columns_of(data: bytes) -> frozenset[str]:
    """The fields that a file of rows holds: a release that knew fewer wrote fewer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return frozenset(pq.read_schema(pa.BufferReader(data)).names)


def read_rows(data: bytes) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(train, val) of a file written by `write_rows`; a field it lacks has its plain value."""
    parts: dict[str, list[Example]] = {"train": [], "val": []}
    for row in _read(data):
        parts[row.pop("part")].append(Example(**row))
    return tuple(parts["train"]), tuple(parts["val"])


def write_pairs(pairs: Sequence[Pair]) -> bytes:
    """A Parquet file of all fields of the pairs, in order."""
    return _write([as_dict(row) for row in pairs], _PAIR)


def read_pairs(data: bytes) -> tuple[Pair, ...]:
    """The pairs of a file written by `write_pairs`."""
    return tuple(Pair(**row) for row in _read(data))


def write_rated(rated: Sequence[Rated]) -> bytes:
    """A Parquet file of all fields of the rated rows, in order."""
    return _write([as_dict(row) for row in rated], _RATED)


def read_rated(data: bytes) -> tuple[Rated, ...]:
    """The rows of a file written by `write_rated`."""
    return tuple(Rated(**row) for row in _read(data))


def _write(rows: Sequence[dict[str, Any]], columns: Mapping[str, str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "json": pa.string(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "texts": pa.list_(pa.string()),
    }
    fields = [pa.field(name, kinds[kind], nullable=False) for name, kind in columns.items()]
    plain = [row | {"context": json_text(row["context"])} for row in rows]
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(plain, schema=pa.schema(fields))
    pq.write_table(table, sink, compression="zstd", row_group_size=10_000)
    return bytes(sink.getvalue().to_pybytes())


def _read(data: bytes) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.ParquetFile(pa.BufferReader(data)).read().to_pylist()
    return [
        row | {"context": json.loads(row["context"]), "events": tuple(row["events"])}
        for row in rows
    ]
