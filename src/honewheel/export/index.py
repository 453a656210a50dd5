"""An index of texts: their vectors in files that say which version made them.

    DIR/index.json              which version, how many texts, which parts with their sha256
    DIR/part-00000-KEY.parquet  id, text, vector (float32, length one) of up to ROWS texts

A part is named by what it holds: version and texts decide KEY. So a build that was killed goes on
with the parts that are missing, and texts that were added cost only what is new. `index.json` is
replaced last: until then the index is the one it was; then the parts it does not name are removed.
One part is in memory at a time.
"""

from __future__ import annotations

import heapq
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from honewheel import atomic
from honewheel.errors import ConfigError, Damaged, InputError, NotFound
from honewheel.export.rows import Row
from honewheel.protocols import Embedding
from honewheel.records import Progress, as_dict, digest

FORMAT = 1
HEAD = "index.json"
ROWS = 2048  # texts a part

Vectors = NDArray[np.float32]
Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """The version that makes the vectors. `files` is its digest, that of the base for number 0."""

    version: str
    files: str
    base: str
    base_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    file: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What `index.json` says. `cut` texts are longer than the `limit` tokens that were read."""

    format: int
    version: str
    files: str
    base: str
    base_hash: str
    dimension: int
    limit: int
    texts: int
    cut: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An index with what a build of it did: texts embedded now, and taken over from before."""

    index: Index
    embedded: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A text of an index and its cosine with what was looked for."""

    id: str
    text: str
    score: float


def read(folder: Path) -> Index:
    """What is in `folder`. Raises NotFound, Damaged."""
    try:
        found: dict[str, Any] = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        parts = tuple(Part(**one) for one in found.pop("parts"))
        return Index(**found, parts=parts)
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no index in {folder}. Make one: honewheel embed VERSION FILE --out {folder}"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(f"{folder / HEAD} is no index of format {FORMAT}: {error}") from error


def build(
    rows: Iterable[Row], model: Embedding, maker: Maker, folder: Path, listen: Listener, total: int
) -> Built:
    """Make (or finish, or renew) the index of `rows` in `folder`; `total` texts are expected.

    Raises:
        InputError: there is no text, a row is unreadable, or the vectors of the index that is
            there have another length.
    """
    _refuse_other_length(folder, model, maker)
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Part] = []
    embedded = done = cut = 0
    for number, block in enumerate(_blocks(rows)):
        path = folder / _name(number, maker, block)
        if not path.is_file():
            _write(path, block, model, maker)
            embedded += len(block)
        done += len(block)
        cut += _cut(path)
        parts.append(Part(file=path.name, rows=len(block), sha256=atomic.sha256_of(path)))
        listen(Progress(stage="embed", step=done, total=max(total, done), message=maker.version))
    if not parts:
        raise InputError("There is no text to embed; nothing was changed.")
    index = Index(
        format=FORMAT,
        version=maker.version,
        files=maker.files,
        base=maker.base,
        base_hash=maker.base_hash,
        dimension=model.dimension,
        limit=model.limit,
        texts=done,
        cut=cut,
        parts=tuple(parts),
    )
    told = json.dumps(as_dict(index), indent=1, ensure_ascii=False) + "\n"
    atomic.write_file(folder / HEAD, told.encode())
    _drop_others(folder, index)
    return Built(index=index, embedded=embedded, kept=done - embedded)


def rows(folder: Path) -> Iterator[Row]:
    """The texts of an index, in order. Raises NotFound, Damaged."""
    for part in read(folder).parts:
        table = _table(folder, part, ["id", "text"])
        yield from map(Row, table["id"].to_pylist(), table["text"].to_pylist())


def search(folder: Path, vector: Vectors, most: int) -> list[Neighbour]:
    """The `most` texts nearest to a vector [d] of length one, the nearest first."""
    found: list[tuple[float, int, str, str]] = []
    number = 0
    for part in read(folder).parts:
        table = _table(folder, part, ["id", "text", "vector"])
        scores = _vectors(table) @ vector
        names, texts = table["id"], table["text"]
        for at in np.argsort(-scores, kind="stable")[:most].tolist():
            entry = (float(scores[at]), -(number + at), names[at].as_py(), texts[at].as_py())
            (heapq.heappush if len(found) < most else heapq.heappushpop)(found, entry)
        number += part.rows
    ranked = sorted(found, reverse=True)
    return [Neighbour(id=name, text=text, score=score) for score, _, name, text in ranked]


# --- parts --------------------------------------------------------------------------------------


def _blocks(rows: Iterable[Row]) -> Iterator[tuple[Row, ...]]:
    source = iter(rows)
    while block := tuple(islice(source, ROWS)):
        yield block


def _name(number: int, maker: Maker, block: Iterable[Row]) -> str:
    key = digest([FORMAT, maker.base_hash, maker.files, [[row.id, row.text] for row in block]])
    return f"part-{number:05d}-{key[:16]}.parquet"


def _write(path: Path, block: tuple[Row, ...], model: Embedding, maker: Maker) -> None:
    texts = [row.text for row in block]
    vectors = model.embed(texts)
    cut = int((model.count(texts) > model.limit).sum())
    flat = pa.array(vectors.reshape(-1), pa.float32())
    table = pa.table(
        {
            "id": pa.array([row.id for row in block], pa.string()),
            "text": pa.array(texts, pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )
    table = table.replace_schema_metadata(
        {"version": maker.version, "files": maker.files, "cut": str(cut)}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    atomic.write_file(path, buffer.getvalue())


def _cut(path: Path) -> int:
    """How many texts of a part are longer than what is read."""
    try:
        found = pq.read_schema(path).metadata
        return int(found[b"cut"])
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise Damaged(f"{path} is no part of an index: {error}. Remove it.") from error


def _table(folder: Path, part: Part, columns: list[str]) -> pa.Table:
    path = folder / part.file
    if not path.is_file() or atomic.sha256_of(path) != part.sha256:
        raise Damaged(f"{path} is missing or not what was written. Run: honewheel reindex {folder}")
    return pq.read_table(path, columns=columns)


def _vectors(table: pa.Table) -> Vectors:
    column = table["vector"].combine_chunks()
    found: Vectors = column.flatten().to_numpy(zero_copy_only=False)
    return found.reshape(len(table), -1)


def _refuse_other_length(folder: Path, model: Embedding, maker: Maker) -> None:
    if not (folder / HEAD).is_file():
        return
    there = read(folder)
    if there.dimension != model.dimension:
        raise ConfigError(
            f"The index in {folder} holds vectors of length {there.dimension} by {there.version}, "
            f"and {maker.version} makes {model.dimension}: what reads the index would break. Make "
            "one elsewhere (honewheel embed ... --out NEW) and move over to it."
        )


def _drop_others(folder: Path, index: Index) -> None:
    named = {part.file for part in index.parts}
    for path in folder.glob("part-*.parquet"):
        if path.name not in named:
            path.unlink()
