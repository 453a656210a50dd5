"""Verbs about how alike two texts are: pairs say, from-labels, report; adversarial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.errors import InputError

pairs = typer.Typer(
    no_args_is_help=True, help="Pairs of texts: say how alike they are, and see what is known."
)
app.add_typer(pairs, name="pairs", rich_help_panel=None)

Task = Annotated[str | None, typer.Option(help="Task of kind similarity; may be left out.")]
Version = Annotated[str | None, typer.Option(help="MODEL@NUMBER; the champion by default.")]
SHOWN = 10  # flips that are listed


@pairs.command("say")
def say(
    context: typer.Context,
    a: Annotated[str, typer.Argument(help="One text.")],
    b: Annotated[str, typer.Argument(help="The other.")],
    same: Annotated[
        bool | None, typer.Option("--same/--different", help="Whether they are the same.")
    ] = None,
    score: Annotated[float | None, typer.Option(help="How alike they are, 0 to 1.")] = None,
    task: Task = None,
    source: Annotated[str, typer.Option(help="Who says so.")] = "cli",
    as_json: show.Json = False,
) -> None:
    """Record how alike two texts are. Prints the event's id."""
    if (same is None) == (score is None):
        raise InputError("Say one of --same, --different and --score NUMBER.")
    number = score if score is not None else float(bool(same))
    event = wheel(context).say_similar(a, b, number, task=task, source=source)
    if as_json:
        show.out({"event": event})
    else:
        typer.echo(event)


@pairs.command("from-labels")
def from_labels(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet of labelled texts.")],
    task: Task = None,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    per_text: Annotated[int, typer.Option(help="Pairs of one label for each text.")] = 2,
    most: Annotated[int | None, typer.Option(help="At most so many pairs.")] = None,
    whole_labels: Annotated[
        bool, typer.Option("--whole-labels", help="Test on labels that are never trained on.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    source: Annotated[str, typer.Option(help="Who says so.")] = "labels",
    as_json: show.Json = False,
) -> None:
    """Record pairs made of labelled texts."""
    from honewheel.curate import labelled

    made = wheel(context).import_labelled(
        file,
        task=task,
        text=text,
        label=label,
        per_text=per_text,
        most=most,
        whole_labels=whole_labels,
        seed=seed,
        source=source,
    )
    show.say(labelled.told(made))
    for one, reason in made.left_out[:SHOWN]:
        show.say(f"  left out: {json.dumps(one, ensure_ascii=False)} {reason}")
    if len(made.left_out) > SHOWN:
        show.say(f"  ... {len(made.left_out) - SHOWN:,} more left out (--json)")
    if as_json:
        show.out({"pairs": len(made.pairs), "texts": made.texts, "left_out": made.left_out})


@pairs.command("mine")
def mine(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet of labelled texts.")],
    out: Annotated[Path, typer.Option(help="JSONL to write, for `honewheel import`.")],
    task: Task = None,
    version: Version = None,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    per_text: Annotated[int, typer.Option(help="Hard negatives of each text.")] = 1,
    margin: Annotated[
        float, typer.Option(help="How much less near than a positive, as a share of its cosine.")
    ] = 0.05,
    skip: Annotated[int, typer.Option(help="Nearest candidates to pass over.")] = 0,
    as_json: show.Json = False,
) -> None:
    """Find pairs that a version wrongly takes for the same."""
    found = wheel(context).mine(
        file,
        out,
        task=task,
        version=version,
        text=text,
        label=label,
        per_text=per_text,
        margin=margin,
        skip=skip,
    )
    show.say(found.told)
    if as_json:
        show.out({"found": len(found.found), "dropped": found.dropped, "file": str(out)})
    elif found.found:
        show.say(f"Look through {out}, then: honewheel import {out}")


@pairs.command("edits")
def edits(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="JSONL to write, for `honewheel import`.")],
    task: Task = None,
    cases: Annotated[int, typer.Option(help="Pairs of each category.")] = 40,
    as_json: show.Json = False,
) -> None:
    """Write edits of training texts as pairs to train on."""
    counts = wheel(context).pair_edits(out, task=task, cases=cases)
    show.say(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if as_json:
        show.out({"pairs": counts, "file": str(out)})
    else:
        show.say(f"Look through {out}, then: honewheel import {out}")


@pairs.command("report")
def report(
    context: typer.Context,
    task: Task = None,
    version: Version = None,
    against: Annotated[
        str | None, typer.Option(help="Version to compare with; the base by default.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Frozen suite in place of the panels.")] = None,
    as_json: show.Json = False,
) -> None:
    """All that can be measured of a version on held-out pairs."""
    project = wheel(context)
    with show.Watcher() as watch:
        found = project.pairs_report(
            task, version=version, against=against, suite=suite, on_progress=watch
        )
    if as_json:
        show.out(found)
        return
    columns = list(dict.fromkeys((found["against"], found["version"])))
    sets = {name: found["scores"][name] for name in columns} | found["slices"]
    first = next(iter(sets.values()))
    show.table(
        ["", *sets],
        [[key, *(_number(one[key]) for one in sets.values())] for key in first],
    )
    for one in found["difference"]:
        show.say(_difference(one))
    show.say(f"thresholds, of {found['dev_pairs']:,} validation pairs: {_limits(found)}")
    if found["difficulty"] and found["difficulty"]["told"]:
        show.say(found["difficulty"]["told"])
    flips = found["flips"]
    broken = sum(not one["mended"] for one in flips)
    show.say(f"{len(flips):,} pairs flipped: {broken:,} broken, {len(flips) - broken:,} mended")
    for one in flips[:SHOWN]:
        show.say(f"  {_flip(one, one['a'], one['b'])}")


@app.command()
def adversarial(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Texts, one a line; the held-out pairs by default.")
    ] = None,
    task: Task = None,
    suite: Annotated[str | None, typer.Option(help="Frozen suite whose texts are taken.")] = None,
    version: Version = None,
    against: Annotated[
        str | None, typer.Option(help="Version for flips; the champion by default.")
    ] = None,
    cases: Annotated[int | None, typer.Option(help="Cases of each category.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="In place of the validation pairs' threshold.")
    ] = None,
    as_json: show.Json = False,
) -> None:
    """What small edits of your texts do to a similarity model."""
    project = wheel(context)
    with show.Watcher() as watch:
        found = project.adversarial(
            file,
            task=task,
            suite=suite,
            version=version,
            against=against,
            cases=cases,
            threshold=threshold,
            on_progress=watch,
        )
    if as_json:
        show.out(found)
        return
    show.say(f"{found['version']}: {found['cases']:,} cases, threshold {found['threshold']:.3f}")
    show.table(
        ["category", "is", "cases", "mean", "passed", "95 %", "kept above", "broken", "mended"],
        [_line(one) for one in found["categories"]],
    )
    for name in found["empty"]:
        show.say(f"{name}: the texts offer no such case")
    for one in found["flips"][:SHOWN]:
        case = one["case"]
        show.say(f"  {case['category']}: {_flip(one, case['a'], case['b'])}")


def _line(one: dict[str, Any]) -> list[str]:
    if one["passed"] is None:
        passed, interval = f"({one['called_same']} called the same)", "-"
    else:
        passed = f"{100 * one['passed'] / one['cases']:.0f} %"
        interval = f"{100 * one['low']:.0f} .. {100 * one['high']:.0f}"
    above = "-" if one["kept_above"] is None else f"{100 * one['kept_above']:.0f} %"
    counts = (f"{one[key]}" for key in ("broken", "mended"))
    mean = f"{one['mean_answer']:.3f}"
    return [
        one["category"],
        one["expected"],
        f"{one['cases']}",
        mean,
        passed,
        interval,
        above,
        *counts,
    ]


def _flip(one: dict[str, Any], a: str, b: str) -> str:
    word = "mended" if one["mended"] else "broken"
    return f"{word} {one['before']:.2f} -> {one['after']:.2f}  {_short(a)}  |  {_short(b)}"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 60 else f"{plain[:57]}..."


def _difference(one: dict[str, Any]) -> str:
    if "undefined" in one:
        return str(one["undefined"])
    numbers = (100 * one[key] for key in ("difference", "low", "high"))
    return "{}: {:+.1f} [{:+.1f}, {:+.1f}] points".format(one["metric"], *numbers)


def _limits(found: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {'none (one class only)' if limit is None else format(limit, '.3f')}"
        for name, limit in found["thresholds"].items()
    )


def _number(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
