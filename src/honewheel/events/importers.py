"""Files of feedback into the log: good rows are kept, bad ones are set aside with the reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from honewheel.errors import InputError, NotFound
from honewheel.events import ingest
from honewheel.events.ingest import Entry
from honewheel.records import Progress, Quarantined
from honewheel.store import Store

BATCH = 500  # rows a transaction: one fsync for many rows (research: 8,558 rows/s at 100)
RAW_KEPT = 4_000  # characters of a bad row kept for a look


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file's rows; `stored` counts rows acknowledged, new or already known."""

    rows: int
    stored: int
    quarantined: tuple[Quarantined, ...]


def import_jsonl(
    store: Store,
    path: Path,
    *,
    tasks: Collection[str],
    now: datetime,
    on_progress: Callable[[Progress], None] | None = None,
) -> Imported:
    """Import a JSONL file; a row without `created_at` is dated by the file.

    Importing the same file again changes nothing. Raises InputError when the file cannot be read.
    """
    batch: list[tuple[int, str, Entry]] = []
    bad: list[Quarantined] = []
    rows = stored = 0
    dated = min(_modified(path), now)

    def refuse(number: int, raw: str, reason: str) -> None:
        bad.append(
            Quarantined(origin=path.name, row=number, reason=reason, raw=raw[:RAW_KEPT], at=now)
        )

    for number, raw in _lines(path):
        rows += 1
        try:
            found = ingest.parse(raw, now=dated)
            _known_task(found, tasks)
        except InputError as error:
            refuse(number, _printable(raw), str(error))
            continue
        batch.append((number, raw, found))
        if len(batch) == BATCH:
            stored += _append(store, batch, refuse)
            batch = []
            if on_progress:
                on_progress(Progress(stage="import", step=rows, total=0))
    stored += _append(store, batch, refuse)
    store.log.quarantine(bad)
    return Imported(rows=rows, stored=stored, quarantined=tuple(bad))


def _append(
    store: Store,
    batch: list[tuple[int, str, Entry]],
    refuse: Callable[[int, str, str], None],
) -> int:
    """Store a batch in one transaction; when a row is refused, find it by halving."""
    if not batch:
        return 0
    entries = [found for _, _, found in batch]
    try:
        store.log.append(
            [item.response for item in entries if item.response],
            [said for item in entries for said in item.feedback],
        )
    except InputError as error:
        if len(batch) == 1:
            number, raw, found = batch[0]
            if _known(store, raw, found):
                return 1
            refuse(number, raw, str(error))
            return 0
        middle = len(batch) // 2
        return _append(store, batch[:middle], refuse) + _append(store, batch[middle:], refuse)
    return len(batch)


def _known(store: Store, raw: str, found: Entry) -> bool:
    """Whether an undated row is in the log already, dated by a file that was touched since."""
    try:
        stored = store.log.event(found.id)
    except NotFound:
        return False
    again = ingest.parse(raw, now=stored.response.created_at)
    return again.response == stored.response and set(again.feedback) <= set(stored.feedback)


def _known_task(found: Entry, tasks: Collection[str]) -> None:
    if found.response and found.response.task not in tasks:
        raise InputError(
            f"task {found.response.task!r} is not defined; defined: {', '.join(sorted(tasks))}"
        )


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Non-empty lines with their number; bytes that are not UTF-8 become lone surrogates."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _printable(raw: str) -> str:
    return raw.encode("utf-8", errors="backslashreplace").decode().replace("\x00", "\\x00")
