"""The verb that makes examples where people have given too few: synthesize."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from honewheel.cli import show
from honewheel.cli.app import FAILED, app, wheel
from honewheel.errors import InputError
from honewheel.records import as_dict, count

KEY_VARIABLE = "HONEWHEEL_TEACHER_KEY"


@app.command()
def synthesize(
    context: typer.Context,
    place: Annotated[
        str | None, typer.Argument(help="Folder of documents, or URL of a teacher's API.")
    ] = None,
    origin: Annotated[
        Literal["documents", "templates", "teacher"],
        typer.Option("--from", help="Where the examples come from."),
    ] = "templates",
    task: Annotated[str, typer.Option(help="Task they are for.")] = "",
    count: Annotated[int, typer.Option(help="How many new examples.")] = 100,
    preview: Annotated[
        int | None, typer.Option(help="Print so many instead of recording any.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of templates and teacher.")] = 0,
    model: Annotated[str | None, typer.Option(help="The teacher's model, by its name.")] = None,
    base: Annotated[
        str | None, typer.Option(help="A local base as the teacher, in place of a URL.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="What to ask the teacher: a file of rows with a prompt.")
    ] = None,
    key_variable: Annotated[
        str, typer.Option("--key-env", help="Environment variable with the teacher's key.")
    ] = KEY_VARIABLE,
    timeout: Annotated[float, typer.Option(help="Seconds a teacher's answer may take.")] = 60.0,
    as_json: show.Json = False,
) -> None:
    """Make examples from documents, templates or a teacher. They only ever train."""
    from honewheel.events.teacher import Endpoint
    from honewheel.loop.synthesize import Order

    if not task:
        raise InputError("Which task? Give --task NAME.")
    endpoint = None
    if origin == "teacher" and place:
        if model is None:
            raise InputError("Which model does the teacher use? Give --model NAME.")
        key = _key(key_variable)
        endpoint = Endpoint(url=place, model=model, key=key, timeout_seconds=timeout)
    order = Order(
        task=task,
        origin=origin,
        count=count if preview is None else preview,
        seed=seed,
        folder=Path(place) if place and origin == "documents" else None,
        endpoint=endpoint,
        base=base,
        prompts=prompts,
    )
    project = wheel(context)
    with show.run_log(project.config.root, "synthesize"), show.Watcher() as watch:
        found = project.synthesize(order, keep=preview is None, on_progress=watch)
    _tell(found, preview is not None, as_json)
    if not found.made:
        raise typer.Exit(FAILED)


def _key(variable: str) -> str | None:
    """The teacher's key; a local server needs none, a variable that was named must be there."""
    key = os.environ.get(variable, "").strip()
    if not key and variable != KEY_VARIABLE:
        raise InputError(f"The environment variable {variable} is not set.")
    return key or None


def _tell(found: Any, previewed: bool, as_json: bool) -> None:
    kept = "nothing is stored" if previewed else f"{found.stored:,} recorded"
    show.say(f"{count(found.made, 'example')} made of {count(found.drafts, 'draft')}; {kept}")
    for reason, number in found.left_out.items():
        show.say(f"  {number:,} left out: {reason}")
    for reason, number in found.skipped.items():
        show.say(f"  {number:,} not read: {reason}")
    if not found.drafts:
        show.say("  an example is a block or a file in the task's language with prose above it")
    if as_json:
        show.out(as_dict(found))
    elif previewed:
        for row in found.rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
