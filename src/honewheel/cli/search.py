"""The verb that looks for better hyperparameters on this project's own data."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel

HEADERS = ("settings", "now", "with them", "difference", "95 %", "answer")


@app.command()
def search(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="Registered model; the only one by default.")
    ] = None,
    only: Annotated[
        str, typer.Option(help="Hyperparameters, by comma; by default the family's choice.")
    ] = "",
    trials: Annotated[
        int | None, typer.Option(min=2, help="Most tries; 12 when no minutes are given.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="No try begins that would not be over by then.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Further trainings of the best two.")] = 2,
    write: Annotated[
        bool, typer.Option("--write", help="Set in honewheel.toml what proved better.")
    ] = False,
    as_json: show.Json = False,
) -> None:
    """Look for better hyperparameters on validation prompts.

    Resumes where it was stopped. Nothing is adopted that is within noise.
    """
    project = wheel(context)
    names = [name.strip() for name in only.split(",") if name.strip()]
    with show.run_log(project.config.root, "search"), show.Watcher() as watch:
        found = project.search(
            model, only=names, trials=trials, minutes=minutes, seeds=seeds, on_progress=watch
        )
        show.say(_opening(found))
        result = found.run(watch)
    if not as_json:
        show.table(HEADERS, [_row(one) for one in result["finalists"]])
    show.say(_closing(result))
    if write:
        changed = found.write(result)
        show.say("honewheel.toml: " + (", ".join(changed) if changed else "nothing to change"))
    if as_json:
        show.out(result)


def _opening(found: Any) -> str:
    space = "; ".join(f"{key} {_from(drawn)}" for key, drawn in found.space.items())
    known = len(found.study.trials())
    return f"{space}   judged on {len(found.dataset.val)} validation prompts" + (
        f"   {known} tried before" if known else ""
    )


def _from(drawn: tuple[Any, ...]) -> str:
    if len(drawn) == 2 and not isinstance(drawn[0], bool | str):
        return f"{drawn[0]:g} .. {drawn[1]:g}"
    return ", ".join(map(str, drawn))


def _closing(result: dict[str, Any]) -> str:
    tried = result["trials"]
    up = sum(one["state"] == "given up" for one in tried)
    text = f"{len(tried)} tried, {up} of them given up early. "
    if result["adopt"] is None:
        return text + "Nothing is better than the present settings by more than noise."
    return (
        text + "Better: " + ", ".join(f"{key} = {value}" for key, value in result["adopt"].items())
    )


def _row(one: dict[str, Any]) -> list[str]:
    effect = one["effect"]
    return [
        effect["name"],
        f"{100 * effect['without']:.1f}",
        f"{100 * effect['with_it']:.1f}",
        f"{100 * effect['difference']:+.1f}",
        f"[{100 * effect['low']:+.1f}, {100 * effect['high']:+.1f}]",
        one["answer"],
    ]
