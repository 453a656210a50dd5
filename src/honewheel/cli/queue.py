"""Verbs about what to look at next: ask, failures."""

from __future__ import annotations

from typing import Annotated

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.records import as_dict

_WIDTH = 60  # characters of a prompt in the table

OneTask = Annotated[str | None, typer.Option("--task", help="Only this task.")]


@app.command()
def ask(
    context: typer.Context,
    task: OneTask = None,
    size: Annotated[int, typer.Option(min=1, help="Responses to show.")] = 20,
    as_json: show.Json = False,
) -> None:
    """Show which responses a person should look at next, and why."""
    with show.Watcher() as watch:
        found = wheel(context).ask(task, size=size, on_progress=watch)
    if as_json:
        show.out([as_dict(row) for row in found])
        return
    if not found:
        show.say("Nothing to ask: no response is waiting for a person's word.")
        return
    rows = [[row.event, row.task, row.why, _first_line(row.prompt)] for row in found]
    show.table(["event", "task", "why", "prompt"], rows)
    show.say(
        "Read one: honewheel show EVENT. Answer: honewheel record --response EVENT --source YOU "
        "with --score 0..1, --thumb up|down or --correction @FILE"
    )


@app.command()
def failures(
    context: typer.Context,
    task: OneTask = None,
    as_json: show.Json = False,
) -> None:
    """Rank what the champion gets wrong, by finding and prompt."""
    found = wheel(context).failures(task)
    if as_json:
        show.out([as_dict(row) for row in found])
        return
    for model in found:
        show.say(f"{model.version} on {model.items:,} held-out answers of {model.cycle}")
        if not model.failures:
            show.say("  no failures: nothing scored low")
            continue
        rows = [
            [
                row.task,
                row.finding,
                row.feature,
                row.count,
                round(100 * row.mean_score, 1),
                row.worst[0],
            ]
            for row in model.failures
        ]
        show.table(["task", "finding", "prompts with", "items", "points", "worst"], rows)


def _first_line(prompt: str) -> str:
    line = next(iter(prompt.strip().splitlines()), "")
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."
