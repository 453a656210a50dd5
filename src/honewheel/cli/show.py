"""How things look: JSON or tables on stdout, progress on stderr, one log file a run."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from honewheel import logs
from honewheel.records import Comparison, Decision, Progress

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
STAGES = ("build", "train", "evaluate", "gate", "promote")
QUIET_SECONDS = 10.0  # between progress lines when nobody watches a terminal

log = logging.getLogger("honewheel.cli")


def out(data: Any) -> None:
    """`data` as JSON on stdout."""
    typer.echo(json.dumps(data, indent=2, default=str, ensure_ascii=False))


def say(text: str = "") -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns on stdout; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        for index in range(len(headers))
    ]
    for line in (list(headers), *cells):
        parts = [
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(line, widths, right, strict=True)
        ]
        typer.echo("  ".join(parts).rstrip())


def pairs(data: Mapping[str, Any], indent: str = "") -> None:
    """Nested data as indented `key  value` lines on stdout."""
    width = max((len(key) for key in data), default=0)
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            typer.echo(f"{indent}{key}")
            pairs(value, indent + "  ")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            typer.echo(f"{indent}{key}  ({len(value):,})")
            for item in value[:20]:
                line = "  ".join(f"{name}={_cell(part)}" for name, part in item.items())
                typer.echo(f"{indent}  {line}")
            if len(value) > 20:
                typer.echo(f"{indent}  ... {len(value) - 20:,} more (--json shows all)")
        else:
            typer.echo(f"{indent}{key.ljust(width)}  {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value)) or "none"
    if isinstance(value, Mapping):
        return "none"
    return str(value).replace("\n", "\\n")


@contextmanager
def run_log(root: Path, verb: str, *, lines: bool = False) -> Iterator[Path]:
    """A log file for one run of `verb` under .honewheel/logs, named by time; `lines` of JSON."""
    folder = root / ".honewheel" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{verb}.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(logs.JsonLines() if lines else plain)
    logger = logging.getLogger("honewheel")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield path
    except BaseException as error:
        logger.error("%s: %s", type(error).__name__, error)
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()


class Watcher:
    """Shows Progress: a bar where somebody watches, a line now and then where nobody does."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.bar: Any = None
        self.stage = ""
        self.last = time.monotonic()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __call__(self, step: Progress) -> None:
        log.info("%s %s/%s %s", step.stage, step.step, step.total, _note(step))
        if step.stage in STAGES and step.total == 1:
            self._stop()
            if step.message:
                say(f"{STAGES.index(step.stage) + 1} {step.stage:<9} {step.message}")
        elif step.total > 1 and self.live:
            self._advance(step)
        elif step.total > 1 and time.monotonic() - self.last > QUIET_SECONDS:
            self.last = time.monotonic()
            say(f"            {step.stage} {step.step:,}/{step.total:,} {_note(step)}".rstrip())

    def _advance(self, step: Progress) -> None:
        if self.bar is None or self.stage != step.stage:
            self._stop()
            self.bar = _bar()
            self.bar.start()
            self.bar.add_task(f"  {step.stage}", total=step.total, note="")
        self.stage = step.stage
        row = self.bar.task_ids[0]
        self.bar.update(row, completed=step.step, total=step.total, note=_note(step))
        if step.step >= step.total:
            self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _note(step: Progress) -> str:
    parts = [step.message] if step.message else []
    if step.loss is not None:
        parts.append(f"loss {step.loss:.3f}")
    if step.val_loss is not None:
        parts.append(f"val {step.val_loss:.3f}")
    if step.tokens_per_second:
        parts.append(f"{step.tokens_per_second:,.0f} tok/s")
    if step.memory_bytes:
        parts.append(f"{step.memory_bytes / 1e9:.1f} GB")
    if step.seconds_left is not None:
        parts.append(f"{_minutes(step.seconds_left)} left")
    return "  ".join(parts)


def _minutes(seconds: float) -> str:
    """0:58, 12:05, 1:02:11."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    start = f"{hours}:{rest // 60:02d}" if hours else f"{rest // 60}"
    return f"{start}:{rest % 60:02d}"


def decision(found: Decision) -> None:
    """The gate's numbers and reasons, on stderr."""
    rows = [(row, row_state(row)) for row in found.tasks]
    rows += [(guard.comparison, guard.state) for guard in found.guards]
    rows += [(row, row_state(row)) for row in found.slices]
    width = max((len(row.name) for row, _ in rows), default=0)
    for row, state in rows:
        say(
            f"            {row.name.ljust(width)}  {100 * row.champion:5.1f} -> "
            f"{100 * row.challenger:5.1f}   {100 * row.difference:+5.1f}  "
            f"[{100 * row.low:+.1f}, {100 * row.high:+.1f}]   {state}"
        )
    for index, reason in enumerate(found.reasons):
        if index == 0:
            say(f"{found.verdict}: {reason}")
        elif found.verdict != "promote":  # the table above says the rest of a promotion
            say(f"  {reason}")
    for index, step in enumerate(found.next_steps):
        say(f"Next: {step}" if index == 0 else f"      {step}")


def row_state(row: Comparison) -> str:
    """A word for a comparison: better, worse or no clear difference (95 %)."""
    if row.low > 0:
        return "better"
    return "worse" if row.high < 0 else "no clear difference"
