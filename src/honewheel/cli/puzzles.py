"""Verbs for structured problems with an exact answer: what kinds there are, and making some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from honewheel.cli import show
from honewheel.cli.app import app
from honewheel.records import as_dict

puzzles = typer.Typer(
    no_args_is_help=True, help="Problems with an exact answer: list the kinds, make some."
)
app.add_typer(puzzles, name="puzzles", rich_help_panel=None)


@puzzles.command("kinds")
def puzzles_kinds(as_json: show.Json = False) -> None:
    """List the kinds with their sizes, rules and levels."""
    from honewheel.tasks.puzzle import base

    rows = [
        {"kind": name, "sizes": kind.sizes, "rules": kind.rules, "levels": kind.levels}
        for name, kind in sorted(base.kinds().items())
    ]
    if as_json:
        show.out(rows)
        return
    keys = ("kind", "sizes", "rules", "levels")
    show.table(
        list(keys),
        [[row["kind"], *(", ".join(map(str, row[key])) for key in keys[1:])] for row in rows],
    )


@puzzles.command("make")
def puzzles_make(
    kind: Annotated[str, typer.Argument(help="Kind, as `honewheel puzzles kinds` lists it.")],
    task: Annotated[str, typer.Option(help="Task the rows are for.")],
    count: Annotated[int, typer.Option(help="How many rows to learn from.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSONL file for them, to import.")] = None,
    suite: Annotated[int, typer.Option(help="How many held-out items.")] = 0,
    suite_out: Annotated[
        Path | None, typer.Option(help="JSONL file for them, for honewheel suite import.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Size; the kind's first by default.")] = None,
    rule: Annotated[str | None, typer.Option(help="Rule; the kind's first by default.")] = None,
    level: Annotated[str | None, typer.Option(help="Difficulty; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same problems.")] = 0,
    as_json: show.Json = False,
) -> None:
    """Make problems with their exact answers: rows to learn from, items that judge.

    No two of them are symmetric, so the items are new to whoever learns from the rows.
    """
    from honewheel.events import puzzles as files
    from honewheel.tasks.puzzle.generate import Order

    order = Order(kind=kind, size=size, rule=rule, level=level, seed=seed)
    with show.Watcher() as watch:
        made = files.make(
            order,
            task=task,
            count=count,
            out=out,
            suite=suite,
            suite_out=suite_out,
            listen=watch,
        )
    if as_json:
        show.out(as_dict(made))
        return
    show.say(f"{made.rows:,} rows and {made.suite:,} suite items, no two of them symmetric")
    show.say("  " + ", ".join(f"{number:,} {name}" for name, number in made.levels.items()))
