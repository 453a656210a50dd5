"""The verb that shows versions on trial in live traffic."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.cli.cycle import Model


@app.command()
def watch(
    context: typer.Context,
    model: Model = None,
    limit: Annotated[int, typer.Option(min=1, help="Trials shown of each model.")] = 5,
    as_json: show.Json = False,
) -> None:
    """Versions on trial in live traffic, and the evidence so far."""
    found = wheel(context).watch(model, limit)
    if as_json:
        show.out(found)
        return
    if not found:
        show.say('No version was ever on trial. [models.NAME.watch] mode = "canary" starts that.')
        return
    headers = ["version", "against", "stage", "traffic", "accepted", "before"]
    show.table([*headers, "e worse", "e not worse", "needed", "state"], list(map(_row, found)))
    for one in found:
        if one["reason"]:
            show.say(f"{one['version']} {one['ended']}: {one['reason']}")


def _row(one: dict[str, Any]) -> list[Any]:
    return [
        one["version"],
        one["baseline"],
        one["stage"],
        f"{100 * one['share']:g} %",
        _accepted(one, "version"),
        _accepted(one, "baseline"),
        one["e_worse"],
        one["e_not_worse"],
        one["threshold"],
        one["ended"] or "open",
    ]


def _accepted(one: dict[str, Any], side: str) -> str:
    share, count = one["accepted"][side], one["outcomes"][side]
    return "none yet" if share is None else f"{100 * share:.1f} % of {count:,}"
