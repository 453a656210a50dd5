"""Files of records, one at a time: JSONL, a JSON document, CSV, Parquet.

JSONL, CSV and Parquet are streamed, whatever their size. A JSON document (the exports that are one
list) is read whole, up to MAX_DOCUMENT bytes. A record that cannot be read comes with its reason.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from honewheel.errors import InputError
from honewheel.events import ingest
from honewheel.events.formats import Record

MAX_DOCUMENT = 256 << 20  # bytes of a JSON document, which is read whole
_PEEK = 4 << 20  # bytes of the first line looked at to tell JSONL from a document
_FIELD = 64 << 20  # characters of one CSV cell; a longer one ends the file
_BATCH = 256  # Parquet rows at a time
_NESTED = "{["  # a CSV cell that begins so is read as JSON where that works


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a file, or why it is none. `number` is its line, or its place in a list."""

    number: int
    raw: str
    record: Record | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of records. In a `table` (CSV, Parquet) every record has the same columns."""

    path: Path
    kind: str  # "JSONL", "JSON", "CSV", "Parquet"

    @property
    def table(self) -> bool:
        return self.kind in ("CSV", "Parquet")

    def lines(self) -> Iterator[Line]:
        """Every record in order. Raises InputError when the file cannot be read."""
        readers = {"JSONL": _jsonl, "JSON": _document, "CSV": _csv, "Parquet": _parquet}
        try:
            yield from readers[self.kind](self.path)
        except OSError as error:
            _unreadable(self.path, error)


def source(path: Path) -> Source:
    """What kind of file this is, by its name, else by its first bytes. Raises InputError."""
    suffixes = {".jsonl": "JSONL", ".ndjson": "JSONL", ".csv": "CSV", ".tsv": "CSV"}
    try:
        with path.open("rb") as file:
            start = file.readline(_PEEK)
            while start and not start.strip():
                start = file.readline(_PEEK)
            more = bool(file.read(1))
    except OSError as error:
        _unreadable(path, error)
    if start.startswith(b"PAR1"):
        return Source(path, "Parquet")
    known = suffixes.get(path.suffix.lower())
    return Source(path, known or ("JSON" if _is_document(start, more) else "JSONL"))


def _is_document(start: bytes, more: bool) -> bool:
    """Whether a file that begins with this line is one JSON text rather than one a line."""
    text = start.strip().removeprefix(b"\xef\xbb\xbf")
    if not text.startswith((b"{", b"[")):
        return False
    try:
        first = json.loads(text)
    except (ValueError, RecursionError):
        # A line that ends inside a value belongs to a text that goes on.
        return text.startswith(b"[") or (more and not text.endswith(b"}"))
    return not more and (isinstance(first, list) or _is_list_object(first))


def _is_list_object(found: Any) -> bool:
    """A page of an API: {"object": "list", "data": [...]}."""
    return isinstance(found, dict) and found.get("object") == "list" and "data" in found


def printable(raw: str) -> str:
    """A text that every store keeps: no NUL, no half of a surrogate pair."""
    return raw.encode("utf-8", errors="backslashreplace").decode().replace("\x00", "\\x00")


def _jsonl(path: Path) -> Iterator[Line]:
    """Non-empty lines; bytes that are not UTF-8 become lone surrogates, which are refused."""
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            raw = line.strip("\ufeff").rstrip("\n") if number == 1 else line.rstrip("\n")
            if raw.strip():
                try:
                    yield Line(number, raw, ingest.decode(raw))
                except InputError as error:
                    yield Line(number, raw, None, str(error))


def _document(path: Path) -> Iterator[Line]:
    size = path.stat().st_size
    if size > MAX_DOCUMENT:
        raise InputError(
            f"{path} is one JSON text of {size / 2**20:,.0f} MiB; such a text is read whole, up to "
            f"{MAX_DOCUMENT >> 20} MiB. Write one object a line instead: jq -c '.[]' FILE"
        )
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if _is_list_object(found):
        found = found["data"]
    for number, one in enumerate(found if isinstance(found, list) else [found], start=1):
        yield _line(number, one)


def _line(number: int, found: Any) -> Line:
    raw = json.dumps(found, ensure_ascii=False, default=str)
    if not isinstance(found, Mapping):
        return Line(number, raw, None, f"a row is an object, this is a {type(found).__name__}")
    return Line(number, raw, found)


def _csv(path: Path) -> Iterator[Line]:
    """Rows under the header's names; an empty cell is no value."""
    csv.field_size_limit(_FIELD)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        delimiter = _delimiter(file.readline(_PEEK), path)
        file.seek(0)
        rows = csv.reader(file, delimiter=delimiter)
        header: list[str] = []
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(rows.line_num, "", None, f"no row of a table: {error}")
                continue
            if header and any(cells):
                yield _cells(rows.line_num, header, cells)
            elif not header:
                header = [cell.strip() for cell in cells]


def _delimiter(header: str, path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t", key=header.count)


def _cells(number: int, header: list[str], cells: list[str]) -> Line:
    raw = json.dumps(cells, ensure_ascii=False)
    if len(cells) > len(header):
        told = f"the row has {len(cells)} cells, the header {len(header)}"
        return Line(number, raw, None, told)
    named = zip(header, cells, strict=False)
    return Line(number, raw, {name: _cell(cell) for name, cell in named if name and cell != ""})


def _cell(text: str) -> Any:
    if text[0] not in _NESTED:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # a text that happens to begin with a bracket


def _parquet(path: Path) -> Iterator[Line]:
    import pyarrow.lib
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for found in batch.to_pylist():
                    number += 1
                    kept = {key: value for key, value in found.items() if value is not None}
                    yield _line(number, kept)
    except pyarrow.lib.ArrowException as error:
        raise InputError(f"{path} is no Parquet file that can be read: {error}.") from error


def _unreadable(path: Path, error: OSError) -> NoReturn:
    raise InputError(f"{path} cannot be read: {error.strerror}.") from error
