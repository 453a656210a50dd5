"""Verbs about what people said: record, import, suite."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from honewheel.cli import show
from honewheel.cli.app import FAILED, app, wheel
from honewheel.errors import InputError
from honewheel.records import Quarantined, as_dict, count

suite = typer.Typer(
    no_args_is_help=True, help="Frozen suites: held-out prompts that judge and never train."
)
app.add_typer(suite, name="suite", rich_help_panel=None)

Text = Annotated[str | None, typer.Option(help="Text, or @FILE to read it from a file.")]


@app.command()
def record(
    context: typer.Context,
    task: Annotated[str | None, typer.Option(help="Task the response belongs to.")] = None,
    prompt: Text = None,
    output: Text = None,
    correction: Text = None,
    response: Annotated[
        str | None, typer.Option(help="Id of an earlier response to say more of.")
    ] = None,
    score: Annotated[float | None, typer.Option(help="0 (useless) to 1 (perfect).")] = None,
    thumb: Annotated[Literal["up", "down"] | None, typer.Option(help="Accepted or not.")] = None,
    comment: Text = None,
    with_context: Annotated[
        list[str] | None, typer.Option("--context", help="KEY=TEXT or KEY=@FILE; repeatable.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Version that produced it.")] = None,
    source: Annotated[str, typer.Option(help="Who says so.")] = "cli",
    as_json: show.Json = False,
) -> None:
    """Record a response and what was said of it. Prints its event id."""
    row: dict[str, Any] = {
        "task": task,
        "prompt": _text(prompt),
        "output": _text(output),
        "correction": _text(correction),
        "comment": _text(comment),
        "response": response,
        "score": score,
        "thumb": None if thumb is None else int(thumb == "up"),
        "version": version,
        "source": source,
        "context": dict(_pair(item) for item in with_context or []),
    }
    event = wheel(context).record(**{key: value for key, value in row.items() if value is not None})
    if as_json:
        show.out({"event": event})
    else:
        typer.echo(event)


@app.command("import")
def import_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="JSONL, JSON, CSV or Parquet files.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the first rows are read; store nothing.")
    ] = False,
    format: Annotated[
        str | None, typer.Option("--format", help="Format; told by the first rows by default.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Task of rows that name none.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="KEY=COLUMN: the column that holds a key; repeatable."),
    ] = None,
    joined: Annotated[
        Path | None,
        typer.Option("--with", help="File that completes it: a batch's input, a trace's scores."),
    ] = None,
    scale: Annotated[float | None, typer.Option(help="The best score, where it is not 1.")] = None,
    as_json: show.Json = False,
) -> None:
    """Import files of feedback. Bad rows are set aside with the reason, good rows are kept."""
    project = wheel(context)
    reading: dict[str, Any] = {
        "format": format,
        "task": task,
        "columns": dict(_column(item) for item in columns or []),
        "joined": joined,
        "scale": scale,
    }
    if dry_run:
        _preview(project, files, reading, as_json)
        return

    def store(file: Path) -> dict[str, Any]:
        before = project.store.log.last_seq()
        found = project.import_file(file, watch, **reading)
        show.say(f"{file}: {found.stored:,} of {count(found.rows, 'row')} stored")
        show.say(f"  read as {found.format}: {found.mapping}")
        if found.stored and project.store.log.last_seq() == before:
            show.say("  nothing new: all of them were stored before")
        _bad_rows(found.quarantined, found.refused, "quarantined")
        return as_dict(found)

    with show.run_log(project.config.root, "import"), show.Watcher() as watch:
        results = _each(files, store)
    if as_json:
        show.out(results)
    _fail_without(results, "stored")


def _each(files: Sequence[Path], work: Callable[[Path], dict[str, Any]]) -> list[dict[str, Any]]:
    """What `work` says of each file; one that cannot be read does not keep the others."""
    results = []
    for file in files:
        try:
            results.append(work(file) | {"file": str(file)})
        except InputError as error:
            if len(files) == 1:
                raise
            show.say(f"error: {error}")
            results.append({"file": str(file), "error": str(error)})
    if failed := [row["file"] for row in results if "error" in row]:
        show.say(f"{len(failed)} of {len(files)} files could not be read: {', '.join(failed)}")
    return results


def _fail_without(results: Sequence[dict[str, Any]], what: str) -> None:
    """Exit as failed where a file could not be read, or no file has any good row."""
    if any("error" in row for row in results) or not any(row[what] for row in results):
        raise typer.Exit(FAILED)


def _preview(project: Any, files: list[Path], reading: dict[str, Any], as_json: bool) -> None:
    """How files would be read: rows to stdout, the rest to stderr."""

    def look(file: Path) -> dict[str, Any]:
        found = project.import_preview(file, **reading)
        show.say(f"{file}: {found.good:,} of {count(found.rows, 'row')} good; nothing is stored")
        show.say(f"  read as {found.format}: {found.mapping}")
        for reason, times in found.bad.items():
            show.say(f"  {times:,} bad: {reason}")
        _bad_rows(found.quarantined, found.rows - found.good, "bad")
        for row in () if as_json else found.first:
            typer.echo(json.dumps(row, ensure_ascii=False, default=str))
        return as_dict(found)

    results = _each(files, look)
    if as_json:
        show.out(results)
    _fail_without(results, "good")


def _bad_rows(bad: Sequence[Quarantined], number: int, what: str) -> None:
    for one in bad[:10]:
        show.say(f"  row {one.row}: {one.reason} ({what})")
    if number > 10:
        show.say(f"  ... {number - 10:,} more {what} (--json)")


@suite.command("import")
def suite_import(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSONL: prompt, reference, optional context.")],
    task: Annotated[str, typer.Option(help="Task the suite judges.")],
    name: Annotated[str | None, typer.Option(help="Name; the file's name by default.")] = None,
    guard: Annotated[
        bool, typer.Option("--guard", help="Let it only forbid, not speak for, a promotion.")
    ] = False,
    as_json: show.Json = False,
) -> None:
    """Import a frozen suite: all its rows, or none."""
    role: Literal["panel", "guard"] = "guard" if guard else "panel"
    found = wheel(context).suite_import(file, task=task, name=name, role=role)
    if as_json:
        data = {"name": found.name, "task": found.task, "role": found.role}
        show.out(data | {"items": len(found.items), "hash": found.hash})
    else:
        show.say(
            f"suite {found.name}: {count(len(found.items), 'item')} "
            f"{'judges' if len(found.items) == 1 else 'judge'} {found.task} ({found.role})"
        )


@suite.command("list")
def suite_list(context: typer.Context, as_json: show.Json = False) -> None:
    """List the frozen suites."""
    rows = wheel(context).suite_list()
    if as_json:
        show.out(rows)
    elif not rows:
        show.say("There is no frozen suite yet. Run: honewheel suite import FILE --task TASK")
    else:
        show.table(
            ["suite", "task", "role", "items"],
            [[row["name"], row["task"], row["role"], row["items"]] for row in rows],
        )


def _text(value: str | None) -> str | None:
    if value is None or not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{value[1:]} cannot be read: {error}.") from error


def _column(item: str) -> tuple[str, str]:
    key, separator, column = item.partition("=")
    if not (separator and key and column):
        raise InputError(f"--map takes KEY=COLUMN, got {json.dumps(item)}.")
    return key, column


def _pair(item: str) -> tuple[str, str]:
    key, separator, value = item.partition("=")
    if not separator:
        raise InputError(f"--context takes KEY=TEXT or KEY=@FILE, got {json.dumps(item)}.")
    return key, _text(value) or ""
