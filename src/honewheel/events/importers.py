"""Files of feedback into the log: good rows are kept, bad ones are set aside with the reason.

A file's format is told by the keys of its first rows, or by the caller. Importing the same file
again changes nothing: rows that bring no id are named by what they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from honewheel import plugins
from honewheel.errors import Erased, InputError, NotFound
from honewheel.events import files, formats, ingest, redact
from honewheel.events.accept import require_fit
from honewheel.events.files import Line, Source
from honewheel.events.formats import Format, Reading, Row
from honewheel.events.ingest import Entry
from honewheel.events.redact import Redactor
from honewheel.records import Progress, Quarantined, count
from honewheel.store import Store

BATCH = 500  # rows a transaction: one fsync for many rows (research: 8,558 rows/s at 100)
FIRST = 20  # rows a format is told by
SHOWN = 5  # rows of a preview
RAW_KEPT = 4_000  # characters of a bad row kept for a look
_ABSENT = object()
TOLD = 1_000  # bad rows (and distinct reasons) in a result; the store keeps them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a file is to be read; everything else is told by the file itself.

    `format` None detects it; `task` is for rows that name none; `columns` gives for a key the
    column (or `outer.inner` path) that holds it; `joined` is a file that completes this one;
    `scale` the best score where it is not 1.
    """

    format: str | None = None
    task: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    joined: Path | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not 0 < self.scale < float("inf"):
            raise InputError(f"the scale is {self.scale:g}; the best score is a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file's rows; `stored` counts rows acknowledged, new or already known.

    `refused` rows were quarantined; `quarantined` holds the first TOLD of them.
    """

    rows: int
    stored: int
    refused: int
    quarantined: tuple[Quarantined, ...]
    format: str
    mapping: str  # which of the file's keys became what, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """How a file would be read: the first good rows as feedback rows, and what is bad and why."""

    rows: int
    good: int
    bad: Mapping[str, int]  # how often each reason
    quarantined: tuple[Quarantined, ...]  # the first of them
    format: str
    mapping: str
    first: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A file whose format is known."""

    source: Source
    format: Format
    reading: Reading
    columns: Mapping[str, str]
    unread: tuple[str, ...]  # columns of a table that are no keys
    kinds: Mapping[str, str]
    dated: datetime
    now: datetime
    redacted: Redactor | None = None

    @property
    def mapping(self) -> str:
        renamed = [f"{column} -> {key}" for key, column in self.columns.items()]
        left = [f"not read: {', '.join(self.unread)}"] if self.unread else []
        return "; ".join([self.format.mapping, *renamed, *left])


@dataclass(frozen=True, slots=True)
class _Read:
    """One record of the file as rows and as what the log stores."""

    line: Line
    rows: tuple[Row, ...]
    entries: tuple[Entry, ...]
    redacted: Redactor | None = None


_Line: TypeAlias = tuple[Line, _Read | str]  # what a line becomes, or the reason why it is bad


def import_file(
    store: Store,
    path: Path,
    options: Options,
    *,
    kinds: Mapping[str, str],
    now: datetime,
    on_progress: Callable[[Progress], None] | None = None,
    redacted: Redactor | None = None,
) -> Imported:
    """Import a file; a row without `created_at` is dated by the file. `kinds` are the tasks'.

    With `redacted`, what it finds is taken out before anything is stored, bad rows included.

    Raises InputError when the file cannot be read, its format is not known, or its rows name no
    task and the options neither; nothing is stored then.
    """
    plan = replace(_plan(path, options, kinds, now), redacted=redacted)
    told: list[Quarantined] = []
    rows = stored = 0
    for batch in _batches(_read(plan)):
        good = [found for _, found in batch if isinstance(found, _Read)]
        bad: list[Quarantined] = []

        def refuse(line: Line, reason: str, into: list[Quarantined] = bad) -> None:
            kept = _quarantined(path, line, reason, now)
            into.append(replace(kept, raw=redacted(kept.raw)) if redacted else kept)

        for line, found in batch:
            if isinstance(found, str):
                refuse(line, found)

        rows += len(batch)
        stored += _append(store, good, refuse)
        store.log.quarantine(bad)
        told += bad[: TOLD - len(told)]
        if on_progress:
            on_progress(Progress(stage="import", step=rows, total=0))
    return Imported(
        rows=rows,
        stored=stored,
        refused=rows - stored,
        quarantined=tuple(told),
        format=plan.format.name,
        mapping=plan.mapping,
    )


def preview(path: Path, options: Options, *, kinds: Mapping[str, str], now: datetime) -> Preview:
    """How `import_file` would read the file, without storing anything. Raises InputError."""
    plan = _plan(path, options, kinds, now)
    first: list[Row] = []
    bad: list[Quarantined] = []
    reasons: Counter[str] = Counter()
    rows = shown = 0
    for line, found in _read(plan):
        rows += 1
        if isinstance(found, str):
            reasons[found if len(reasons) < TOLD else "another reason"] += 1
            if len(bad) < FIRST:
                bad.append(_quarantined(path, line, found, now))
        elif shown < SHOWN:
            shown += 1
            first += found.rows
    return Preview(
        rows=rows,
        good=rows - reasons.total(),
        bad=dict(reasons.most_common()),
        quarantined=tuple(bad),
        format=plan.format.name,
        mapping=plan.mapping,
        first=tuple(first),
    )


def _plan(path: Path, options: Options, kinds: Mapping[str, str], now: datetime) -> _Plan:
    source = files.source(path)
    dated = min(_modified(path), now)
    lines = list(islice(source.lines(), FIRST))
    first = [_mapped(line.record, options.columns) for line in lines if line.record is not None]
    try:
        _require_columns([line.record for line in lines if line.record], options.columns, source)
        found = formats.named(options.format) if options.format else formats.detect(first)
        _require_task(found, first, options, kinds)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    joined = _joined(options.joined, found) if options.joined else {}
    keys = {key for record in first for key in record} - set(ingest.Row.model_fields)
    return _Plan(
        source=source,
        format=found,
        reading=Reading(task=options.task, scale=options.scale, joined=joined),
        columns=options.columns,
        unread=tuple(sorted(keys)) if source.table and found.name == "honewheel" else (),
        kinds=kinds,
        dated=dated,
        now=now,
    )


def _require_columns(
    records: Sequence[Mapping[str, Any]], columns: Mapping[str, str], source: Source
) -> None:
    """A mapped column that no row can have: of a table, or the one for what every row needs."""
    for key, column in columns.items():
        if not records or not (source.table or key in ("prompt", "output")):
            continue  # some keys of JSON stand in few rows only
        if not any(_at(record, column) is not _ABSENT for record in records):
            known = sorted({name for record in records for name in record})
            where = "its columns" if source.table else f"its first {count(len(records), 'row')}"
            raise InputError(
                f"--map {key}={column}: {column!r} is none of the keys of {where}. "
                f"{plugins.suggest(column, known)}"
            )


def _require_task(
    found: Format, first: Sequence[Row], options: Options, kinds: Mapping[str, str]
) -> None:
    """Every row needs a task that the project defines; a wrong one is told before anything."""
    fitting = sorted(name for name, kind in kinds.items() if found.kind in (None, kind))
    wanted = f" of kind {found.kind}" if found.kind else ""
    choices = ", ".join(fitting) or f"none: add a [tasks.NAME] section{wanted}"
    if options.task is not None and options.task not in fitting:
        known = "is not defined" if options.task not in kinds else f"is not{wanted}"
        raise InputError(f"task {options.task!r} {known}; defined{wanted}: {choices}")
    named = any("task" in row or "response" in row for row in first)
    if options.task is None and first and not named:
        raise InputError(f"its rows name no task. Add --task NAME; defined{wanted}: {choices}")


def _joined(path: Path, found: Format) -> dict[str, list[Row]]:
    """Records of the file that completes this one, by what they belong to."""
    if found.join_key is None:
        raise InputError(f"{found.title} needs no second file; leave --with out.")
    source = files.source(path)
    if path.stat().st_size > files.MAX_DOCUMENT:
        raise InputError(
            f"{path} is read whole, up to {files.MAX_DOCUMENT >> 20} MiB; split both files."
        )
    joined: dict[str, list[Row]] = {}
    for line in source.lines():
        for key in found.join_key(line.record) if line.record else ():
            joined.setdefault(key, []).append(dict(line.record or {}))
    return joined


def _read(plan: _Plan) -> Iterator[_Line]:
    for line in plan.source.lines():
        if line.record is None:
            yield line, line.reason
            continue
        try:
            yield line, _entries(plan, line)
        except InputError as error:
            yield line, str(error)


def _batches(found: Iterator[_Line]) -> Iterator[list[_Line]]:
    while batch := list(islice(found, BATCH)):
        yield batch


def _entries(plan: _Plan, line: Line) -> _Read:
    if plan.source.table and len(line.raw.encode(errors="surrogatepass")) > ingest.MAX_BYTES:
        raise InputError(f"the row is larger than {ingest.MAX_BYTES:,} bytes")
    record = _mapped(line.record or {}, plan.columns)
    if plan.unread:
        record = {key: value for key, value in record.items() if key not in plan.unread}
    rows = plan.format.rows(record, plan.reading)
    entries = tuple(_entry(row, plan.now, plan.dated, plan.redacted) for row in rows)
    for one in entries:
        _fitting_task(one, plan)
    return _Read(line, tuple(rows), entries, plan.redacted)


def _entry(row: Row, now: datetime, dated: datetime, redacted: Redactor | None) -> Entry:
    found = ingest.entry(row, now=now, dated=dated)
    return redact.entry(found, redacted) if redacted else found


def _mapped(record: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    """The record with each mapped column under its key."""
    found = dict(record)
    for key, column in columns.items():
        value = _at(record, column)
        found.pop(column, None)
        if value is not _ABSENT and value is not None:
            found[key] = value
    return found


def _at(record: Mapping[str, Any], column: str) -> Any:
    """What stands in a column or at an `outer.inner` path; _ABSENT where nothing does."""
    value: Any = record
    for part in [column] if column in record else column.split("."):
        value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def _fitting_task(found: Entry, plan: _Plan) -> None:
    if found.response is None:
        return
    task, wanted = found.response.task, plan.format.kind
    if task not in plan.kinds:
        raise InputError(f"task {task!r} is not defined; defined: {', '.join(sorted(plan.kinds))}")
    if wanted and plan.kinds[task] != wanted:
        raise InputError(f"task {task!r} is of kind {plan.kinds[task]}, not {wanted}")
    require_fit(found.response, plan.kinds[task])


def _append(store: Store, batch: list[_Read], refuse: Callable[[Line, str], None]) -> int:
    """Store a batch in one transaction; when a row is refused, find it by halving."""
    if not batch:
        return 0
    entries = [found for read in batch for found in read.entries]
    try:
        store.log.append(
            [item.response for item in entries if item.response],
            [said for item in entries for said in item.feedback],
        )
    except InputError as error:
        if len(batch) == 1:
            if isinstance(error, Erased):  # its text is not kept anywhere, here neither
                refuse(replace(batch[0].line, raw=""), str(error))
                return 0
            again = _as_stored(store, batch[0])
            if again is None:
                refuse(batch[0].line, str(error))
                return 0
            return _append(store, [again], refuse)
        middle = len(batch) // 2
        return _append(store, batch[:middle], refuse) + _append(store, batch[middle:], refuse)
    return len(batch)


def _as_stored(store: Store, read: _Read) -> _Read | None:
    """The same rows dated as they were first stored, by a file that was touched since."""
    again = []
    for row, found in zip(read.rows, read.entries, strict=True):
        try:
            stored = store.log.event(found.id)
        except NotFound:
            again.append(found)
            continue
        told = (found.response or found.feedback[0]).created_at
        entry = _entry(row, told, stored.response.created_at, read.redacted)
        if entry.response and entry.response != stored.response:
            return None
        dates = {item.id: item.created_at for item in stored.feedback}
        said = tuple(
            replace(item, created_at=dates.get(item.id, item.created_at)) for item in found.feedback
        )
        again.append(replace(entry, feedback=said))
    return None if tuple(again) == read.entries else replace(read, entries=tuple(again))


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _quarantined(path: Path, line: Line, reason: str, now: datetime) -> Quarantined:
    raw = files.printable(line.raw)[:RAW_KEPT]
    return Quarantined(
        origin=path.name, row=line.number, reason=files.printable(reason), raw=raw, at=now
    )
