"""Verbs about what is learnt from: sealed datasets, and answers sampled for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.records import count

dataset = typer.Typer(
    no_args_is_help=True, help="Sealed datasets: list them, look inside, write them as JSONL."
)
app.add_typer(dataset, name="dataset", rich_help_panel=None)

Name = Annotated[
    str, typer.Argument(help="Digits of its hash, the cycle that sealed it, or newest.")
]


@dataset.command("list")
def dataset_list(context: typer.Context, as_json: show.Json = False) -> None:
    """List the sealed datasets, the newest first."""
    rows = wheel(context).dataset_list()
    if as_json:
        show.out(rows)
        return
    if not rows:
        show.say("There is no dataset yet. Run: honewheel cycle")
        return
    keys = ("train", "val", "pairs", "rated", "dropped")
    show.table(
        ["dataset", "cycle", *keys, "tasks"],
        [
            [row["hash"][:12], row["cycle"], *(row[key] for key in keys), row["tasks"]]
            for row in rows
        ],
    )


@dataset.command("show")
def dataset_show(context: typer.Context, name: Name = "newest", as_json: show.Json = False) -> None:
    """Show what a dataset holds, and what was left out.

    Rows are counted by part, task, role and variant, with their weights.
    """
    found = wheel(context).dataset_show(name)
    if as_json:
        show.out(found)
        return
    show.pairs({key: found[key] for key in ("hash", "cycle", "as_of_seq")})
    typer.echo()
    keys = ("part", "task", "role", "variant", "rows", "weight", "least_weight", "most_weight")
    show.table(
        [key.replace("_", " ") for key in keys],
        [
            [row[key] or ("-" if key == "variant" else row[key]) for key in keys]
            for row in found["rows"]
        ],
    )
    _say_balance(found)
    if found["dropped_by_reason"]:
        typer.echo()
        show.pairs({"left out": found["dropped_by_reason"]})


def _say_balance(found: dict[str, Any]) -> None:
    told = {
        "chosen is the longer one (correlation)": found["length_bias"],
        "desirable to undesirable weight": found["desirable_ratio"],
    }
    if known := {key: value for key, value in told.items() if value is not None}:
        typer.echo()
        show.pairs(known)


@dataset.command("export")
def dataset_export(
    context: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(help="JSONL file to write; must not exist yet.")],
    as_format: Annotated[
        Literal["sft", "dpo", "kto", "chat"],
        typer.Option("--format", help="Shape of the rows, as TRL reads them."),
    ] = "sft",
    side: Annotated[
        Literal["train", "val", "all"], typer.Option(help="Which side of the dataset.")
    ] = "train",
    as_json: show.Json = False,
) -> None:
    """Write a dataset as JSONL, in a shape that TRL reads.

    Rows hold prompt and completion (sft), prompt, chosen and rejected (dpo), prompt, completion and
    label (kto), or messages (chat).
    """
    rows = wheel(context).dataset_export(name, file, format=as_format, side=side)
    if as_json:
        show.out({"file": str(file), "format": as_format, "side": side, "rows": rows})
    else:
        show.say(f"{file}: {count(rows, 'row')} ({as_format}, {side})")


@app.command()
def sample(
    context: typer.Context,
    task: Annotated[str | None, typer.Option(help="Task; all of them by default.")] = None,
    prompts: Annotated[int, typer.Option(help="Most prompts to ask, a model.")] = 20,
    outputs: Annotated[int, typer.Option(help="Answers a prompt, 2 to 5.")] = 4,
    temperature: Annotated[float, typer.Option(help="Above 0, up to 2; higher varies more.")] = 0.8,
    as_json: show.Json = False,
) -> None:
    """Let the champion answer prompts, for the next cycle to rank.

    Each is answered several times; curate.preferences makes pairs of answers that differ in value.
    """
    project = wheel(context)
    with show.run_log(project.config.root, "sample"), show.Watcher() as watch:
        found = project.sample(
            task=task,
            prompts=prompts,
            outputs=outputs,
            temperature=temperature,
            on_progress=watch,
        )
    if as_json:
        show.out(found)
    asked = [row for row in found if row["prompts"]]
    for row in asked:
        show.say(
            f"{row['version']}: {row['prompts']:,} x {outputs} answers, "
            f"{row['recorded']:,} distinct ones recorded"
        )
    if not asked:
        show.say(
            "Nothing to ask: every training prompt is corrected, or was sampled from this version "
            "before, or none is recorded yet."
        )
    elif not project.config.settings.curate.preferences:
        show.say("Next: curate.preferences = true, so that a cycle ranks them into pairs.")
