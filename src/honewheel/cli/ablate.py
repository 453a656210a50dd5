"""The verb that tells which techniques help on this project's own data."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel

HEADERS = ("technique", "without", "with", "difference", "95 %", "answer", "setting")


@app.command()
def ablate(
    context: typer.Context,
    techniques: Annotated[
        list[str] | None, typer.Argument(help="Techniques; those that are on by default.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Registered model; the only one by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each arm.")] = 3,
    curve: Annotated[
        bool, typer.Option("--curve", help="Also draw score over the number of examples.")
    ] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Only tell what it would take.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Switch off in honewheel.toml what does not help.")
    ] = False,
    as_json: show.Json = False,
) -> None:
    """Tell which techniques help, by training with and without each.

    All trainings are equally long. Resumes where it was stopped; the champion is not touched.
    """
    project = wheel(context)
    with show.run_log(project.config.root, "ablate"), show.Watcher() as watch:
        study = project.study(model, techniques or [], seeds=seeds, curve=curve, on_progress=watch)
        show.say(_told(study.cost))
        if cost:
            if as_json:
                show.out({"cost": study.cost})
            return
        found = study.run(watch)
    if not as_json:
        show.table(HEADERS, [_row(one) for one in found["findings"]])
    for name, path in found["plots"].items():
        show.say(f"{name:<9}{path}")
    if write:
        changed = study.write(found)
        show.say("honewheel.toml: " + (", ".join(changed) if changed else "nothing to change"))
    if as_json:
        show.out(found)


def _told(cost: dict[str, Any]) -> str:
    left = cost["trainings"] - cost["known"]
    text = f"{cost['trainings']} trainings, {cost['known']} of them done before"
    if not left:
        return text
    if cost["seconds"] is None:
        return f"{text}; no cycle was timed here yet, so how long they take is not known"
    return f"{text}; about {cost['seconds'] / 60:.0f} min, by the newest cycle's own times"


def _row(finding: dict[str, Any]) -> list[str]:
    """The cells of one technique; where nothing was compared, the reason stands at the end."""
    effect = finding["effect"]
    if effect is None:
        return [finding["technique"], *("-",) * 4, "not measured", finding["reason"]]
    return [
        finding["technique"],
        f"{100 * effect['without']:.1f}",
        f"{100 * effect['with_it']:.1f}",
        f"{100 * effect['difference']:+.1f}",
        f"[{100 * effect['low']:+.1f}, {100 * effect['high']:+.1f}]",
        finding["answer"],
        finding["setting"],
    ]
