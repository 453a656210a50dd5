"""Verbs about versions and where they come from."""

from __future__ import annotations

from typing import Annotated

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.cli.cycle import Model
from honewheel.records import AliasMove, as_dict, count

TRIALS = 1_000  # newest ones that are looked at
Name = Annotated[str, typer.Argument(help="artifacts@3, artifacts (its champion), @3, or an id.")]


@app.command()
def versions(context: typer.Context, model: Model = None, as_json: show.Json = False) -> None:
    """List the versions of a model, and how each of them fared."""
    project = wheel(context)
    trials = {
        (one.model, one.version): one.ended or "on trial"
        for one in reversed(project.store.deployments.list(model, TRIALS))
    }
    rows = []
    for version in project.versions(model):
        found = project.show(version.name)
        decision = found["decision"]
        gain = decision["primary"] if decision else None
        rows.append(
            as_dict(version)
            | {
                "name": version.name,
                "champion": found["champion"],
                "verdict": decision["verdict"] if decision else None,
                "gain": round(100 * gain["difference"], 1) if gain else None,
                "schedule": found["cycle"]["schedule"] if found["cycle"] else None,
                "reason": found["cycle"]["reason"] if found["cycle"] else None,
                "trial": trials.get((version.model, version.number)),
            }
        )
    if as_json:
        show.out(rows)
        return
    show.table(
        ["version", "champion", "verdict", "gain", "by", "live", "made", "dataset"],
        [
            [
                row["name"],
                "<- champion" if row["champion"] else "",
                row["verdict"] or "the base",
                "" if row["gain"] is None else f"{row['gain']:+.1f}",
                row["schedule"] or "",
                row["trial"] or "",
                row["created_at"][:16].replace("T", " "),
                (row["dataset"] or "")[:12],
            ]
            for row in rows
        ],
    )


@app.command("show")
def show_(context: typer.Context, name: Name, as_json: show.Json = False) -> None:
    """Everything known of a version, a cycle or an event."""
    found = wheel(context).show(name)
    if as_json:
        show.out(found)
    else:
        show.pairs(found)


@app.command()
def trace(context: typer.Context, name: Name, as_json: show.Json = False) -> None:
    """From an event to its versions, or from a version to events."""
    found = wheel(context).trace(name)
    if as_json:
        show.out(found)
    else:
        show.pairs(found)


@app.command()
def diff(
    context: typer.Context,
    left: Name,
    right: Name,
    outputs: Annotated[int, typer.Option(min=0, help="Differing answers shown.")] = 5,
    as_json: show.Json = False,
) -> None:
    """Two versions side by side: data, scores and answers."""
    found = wheel(context).diff(left, right, outputs=outputs)
    if as_json:
        show.out(found)
        return
    names, data = found["versions"], found["data"]
    show.table(
        ["", *names],
        [
            ["events trained on", *data["events"]],
            ["  only there", *(len(one) for one in data["only"])],
            *(
                [name, *("-" if value is None else str(value) for value in pair)]
                for name, pair in found["spec"].items()
            ),
        ],
    )
    for row in found["scores"]:
        old, new = (100 * value for value in row["values"])
        typer.echo(
            f"{row['task']} {row['metric']}  {old:.1f} -> {new:.1f}  {new - old:+.1f}  "
            f"({count(row['items'], 'prompt')})"
        )
    for row in found["outputs"]:
        old, new = (100 * value for value in row["scores"])
        typer.echo(f"\n{row['suite']} {row['item']}  {old:.1f} -> {new:.1f}")
        for name, text in zip(names, row["outputs"], strict=True):
            typer.echo(f"--- {name}\n{text}")


@app.command()
def explain(
    context: typer.Context,
    event: Annotated[str, typer.Argument(help="Event or feedback id.")],
    as_json: show.Json = False,
) -> None:
    """Whether an event was trained on, and if not, why."""
    found = wheel(context).explain(event)
    if as_json:
        show.out(found)
        return
    for answer in found["models"]:
        typer.echo(f"{answer['model']}: {answer['answer']}")
    show.pairs({key: value for key, value in found.items() if key != "models"})


@app.command()
def promote(
    context: typer.Context,
    version: Name,
    force: Annotated[
        str | None, typer.Option(help="Promote against the gate, for this recorded reason.")
    ] = None,
    as_json: show.Json = False,
) -> None:
    """Make a version champion. One that the gate promoted, or any with --force REASON."""
    project = wheel(context)
    with show.run_log(project.config.root, "promote"):
        _moved(project.promote(version, force=force), as_json)


@app.command()
def rollback(
    context: typer.Context,
    model: Model = None,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "asked for",
    as_json: show.Json = False,
) -> None:
    """Make the champion before this one champion again."""
    project = wheel(context)
    with show.run_log(project.config.root, "rollback"):
        _moved(project.rollback(model, reason=reason), as_json)


def _moved(move: AliasMove, as_json: bool) -> None:
    show.log.info("champion of %s: %s -> %s", move.model, move.previous, move.version)
    if as_json:
        show.out(as_dict(move))
    else:
        show.say(
            f"{move.model}@{move.version} is champion (was {move.model}@{move.previous}): "
            f"{move.reason}"
        )
