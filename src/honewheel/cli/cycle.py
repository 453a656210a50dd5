"""The verb that turns the wheel, and the report it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import DONE, REFUSED, app, wheel
from honewheel.errors import NothingNew
from honewheel.records import as_dict

Model = Annotated[str | None, typer.Argument(help="Registered model; the only one by default.")]


@app.command()
def due(context: typer.Context, model: Model = None, as_json: show.Json = False) -> None:
    """Whether a cycle is due, and why or why not. Exit code 0 when it is, 2 when it is not."""
    found = wheel(context).due(model)
    if as_json:
        missing = found.power.missing
        show.out(as_dict(found) | {"power": as_dict(found.power) | {"missing": missing}})
    else:
        by = f" ({found.schedule})" if found.schedule else ""
        typer.echo(f"due{by}" if found.fire else "not due")
        for reason in found.reasons:
            typer.echo(f"  {reason}")
        if found.next_look is not None:
            typer.echo(f"next look  {found.next_look:%Y-%m-%d %H:%M} UTC")
    raise typer.Exit(DONE if found.fire else REFUSED)


@app.command()
def cycle(
    context: typer.Context,
    model: Model = None,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Do nothing, and say why, unless one is due.")
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Leave it to a worker (honewheel worker).")
    ] = False,
    schedule: Annotated[
        str | None,
        typer.Option(help="light or deep, where the model has them; else by its own settings."),
    ] = None,
    as_json: show.Json = False,
) -> None:
    """Turn the wheel: data, fine-tune, proof, promotion or refusal. Resumes after a crash."""
    project = wheel(context)
    name = project.config.model(model)[0]
    project.config.scheduled(name, schedule)  # a name that is none is told before anything else
    if if_due:
        found = _due(project, name, as_json)
        if not found.fire or schedule not in (None, found.schedule):
            raise typer.Exit(DONE)
        schedule = found.schedule
    reason = "; ".join(found.reasons) if if_due else "asked for"
    if queue:
        _queued(project, name, schedule, reason, as_json)
        raise typer.Exit(DONE)
    show.say(_opening(name, project.status()["models"][name], schedule))
    with show.run_log(project.config.root, "cycle") as log, show.Watcher() as watch:
        try:
            decision = project.cycle(name, watch, schedule, reason)
        except NothingNew as error:
            if as_json:
                show.out(_none([str(error)]))
            raise
    newest = project.cycles(name, 1)[0]
    report = project.config.state / "reports" / newest.id / f"{newest.id}.html"
    show.say()
    show.decision(decision)
    if decision.verdict == "promote":
        show.say(f"{decision.champion} is kept: honewheel rollback {name}")
    show.say()
    show.say(f"report   {report}")
    show.say(f"log      {log}")
    if as_json:
        show.out({"cycle": newest.id, "decision": as_dict(decision), "report": str(report)})
    raise typer.Exit(DONE if decision.verdict == "promote" else REFUSED)


def _queued(project: Any, name: str, schedule: str | None, reason: str, as_json: bool) -> None:
    job = project.queue(name, schedule=schedule, reason=reason)
    if as_json:
        show.out(as_dict(job))
    else:
        show.say(f"job {job.id}: {job.state} a cycle of {name} ({job.reason})")


def _none(reasons: Sequence[str]) -> dict[str, Any]:
    """What `--json` prints where no cycle ran, and why none did."""
    return {"cycle": None, "decision": None, "report": None, "reasons": list(reasons)}


def _due(project: Any, name: str, as_json: bool) -> Any:
    """Whether a cycle is due; the reasons are told either way."""
    found = project.due(name)
    first, *more = found.reasons
    by = f", by its {found.schedule} schedule" if found.schedule else ""
    show.say(f"{name} is {'due' if found.fire else 'not due'}{by}: {first}")
    for reason in more:
        show.say(f"  {reason}")
    if found.next_look is not None:
        show.say(f"next look  {found.next_look:%Y-%m-%d %H:%M} UTC")
    if as_json and not found.fire:
        show.out(_none(found.reasons))
    return found


def _opening(name: str, standing: dict[str, Any], schedule: str | None) -> str:
    champion = standing["champion"] or "none yet"
    if "running" in standing["by_verdict"]:
        return f"{name}   champion {champion}   resuming {standing['last_cycle']}"
    since = standing["last_cycle"] or "the start"
    by = f"   {schedule} cycle" if schedule else ""
    new = f"{standing['new_entries']:,} new log entries since {since}"
    return f"{name}   champion {champion}{by}   {new}"


@app.command()
def report(
    context: typer.Context,
    cycle: Annotated[str | None, typer.Argument(help="Cycle; the newest by default.")] = None,
    as_json: show.Json = False,
) -> None:
    """Write the report of a cycle again; prints where it is."""
    path = wheel(context).report(cycle)
    if as_json:
        show.out({"report": str(path)})
    else:
        typer.echo(path)
