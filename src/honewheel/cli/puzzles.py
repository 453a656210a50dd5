"""Verbs for structured problems with an exact answer: their kinds, making and scoring some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.records import as_dict

puzzles = typer.Typer(
    no_args_is_help=True, help="Problems with an exact answer: kinds, making, scoring."
)
app.add_typer(puzzles, name="puzzles", rich_help_panel=None)


@puzzles.command("list")
def puzzles_list(as_json: show.Json = False) -> None:
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
    kind: Annotated[str, typer.Argument(help="Kind, as `honewheel puzzles list` tells it.")],
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
    """Make problems with their exact answers.

    There are rows to learn from and items that judge. No two of them are symmetric, so the items
    are new to whoever learns from the rows.
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


@puzzles.command("score")
def puzzles_score(
    context: typer.Context,
    suite: Annotated[str, typer.Argument(help="Name of an imported suite.")],
    version: Annotated[str, typer.Option(help="Version that answers it.")],
    against: Annotated[
        str | None, typer.Option(help="Another version, to count gained and lost items with.")
    ] = None,
    as_json: show.Json = False,
) -> None:
    """Score a version on a suite, by difficulty.

    Exact and valid answers beside a trivial baseline and chance.
    """
    with show.Watcher() as watch:
        found = wheel(context).solved(suite, version, against, on_progress=watch)
    if as_json:
        show.out(as_dict(found))
        return
    measures = sorted(found.bands[0].measures)
    headers = ["level", "items", "exact", "valid", "violations", *measures, "baseline", "chance"]
    show.table([name.replace("_", " ") for name in headers], [_row(one) for one in found.bands])
    show.say(f"{found.version} on {found.suite}; the oracle solves all of them")
    if found.flips is not None:
        show.say(f"{found.against} -> {found.version}: {found.flips.told}")


def _row(band: Any) -> list[Any]:
    rates = [
        f"{100 * one.value:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"
        for one in (band.exact, band.valid)
    ]
    shares = [f"{100 * band.measures[name]:.1f} %" for name in sorted(band.measures)]
    ends = [f"{100 * band.baseline:.1f} %", f"{100 * band.chance:.2g} %"]
    return [band.name, band.items, *rates, round(band.violations, 2), *shares, *ends]


@puzzles.command("sequences")
def puzzles_sequences(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of pairs.")],
    task: Annotated[str, typer.Option(help="Task the rows are for.")],
    out: Annotated[Path, typer.Option(help="JSONL file to write, to import.")],
    corpus: Annotated[Path | None, typer.Option(help="Other people's pairs to mix in.")] = None,
    share: Annotated[float, typer.Option(help="Share of all rows that are the corpus's.")] = 0.0,
    input_room: Annotated[
        int | None, typer.Option(help="Tokens of an input; the longest by default.")
    ] = None,
    target_room: Annotated[
        int | None, typer.Option(help="Tokens of a target; the longest by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the rows of the corpus.")] = 0,
    as_json: show.Json = False,
) -> None:
    """Convert pairs of varying length into problems of one length.

    A pair is prompt and completion, or input_sequence and target_sequence; a file may hold both.
    """
    from honewheel.events import sequences

    mixed = sequences.convert(
        paths,
        task=task,
        out=out,
        corpus=corpus,
        share=share,
        room=(input_room, target_room),
        seed=seed,
    )
    if as_json:
        show.out(as_dict(mixed))
        return
    show.say(f"{out}: {mixed.own:,} rows and {mixed.corpus:,} of the corpus")
    show.say(f"  room for {mixed.room[0]:,} tokens of input and {mixed.room[1]:,} of target")
    for name, number in mixed.spellings.items():
        show.say(f"  {number:,} were {name}")
    for reason, number in mixed.refused.items():
        show.say(f"  {number:,} left out: {reason}")


@puzzles.command("from-arrays")
def puzzles_from_arrays(
    folder: Annotated[Path, typer.Argument(help="A split of a published data set.")],
    kind: Annotated[str, typer.Option(help="Kind of its problems.")],
    task: Annotated[str, typer.Option(help="Task the rows are for.")],
    out: Annotated[Path, typer.Option(help="JSONL file to write, to import.")],
    name: Annotated[str, typer.Option("--set", help="Which set of the split.")] = "all",
    every: Annotated[
        bool, typer.Option("--every", help="All augmented forms, not the first of each group.")
    ] = False,
    as_json: show.Json = False,
) -> None:
    """Turn a published puzzle data set into rows.

    It is a folder of npy files and a dataset.json, one a split.
    """
    from honewheel.events import puzzle_arrays

    rows = puzzle_arrays.to_rows(folder, kind=kind, task=task, out=out, name=name, every=every)
    if as_json:
        show.out({"file": str(out), "rows": rows})
    else:
        show.say(f"{out}: {rows:,} rows")


@puzzles.command("to-arrays")
def puzzles_to_arrays(
    file: Annotated[Path, typer.Argument(help="Rows whose prompts are problems of one size.")],
    out: Annotated[Path, typer.Option(help="Folder of the split to write.")],
    as_json: show.Json = False,
) -> None:
    """Turn rows into a puzzle data set as it is published.

    It is a folder of npy files and a dataset.json.
    """
    from honewheel.events import puzzle_arrays

    rows = puzzle_arrays.to_arrays(file, out)
    if as_json:
        show.out({"folder": str(out), "examples": rows})
    else:
        show.say(f"{out}: {rows:,} examples")
