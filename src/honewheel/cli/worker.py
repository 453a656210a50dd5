"""Verbs of work that runs by itself: worker, jobs list, jobs cancel."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from honewheel import logs
from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.records import as_dict

jobs = typer.Typer(no_args_is_help=True, help="Jobs of the workers: what waits, runs and ended.")
app.add_typer(jobs, name="jobs", rich_help_panel=None)

SHOWN = 60  # characters of a reason in a list


@app.command()
def worker(
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing is due and no job waits.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stderr.")
    ] = False,
) -> None:
    """Run what is due or queued, and watch versions on trial.

    Goes on until SIGTERM or Ctrl-C, which leave a running cycle resumable and give its job back.
    """
    project = wheel(context)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with show.run_log(project.config.root, "worker", lines=True):
        project.work(once=once, stop=stop, tell=_teller(as_json))


def _teller(as_json: bool) -> Callable[[str, dict[str, Any]], None]:
    """Writes a line an event to stderr, and the same to the log file."""

    def tell(event: str, fields: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        logs.note(show.log, event, **fields)
        if as_json:
            show.say(json.dumps({"at": at, "event": event, **fields}, default=str))
        else:
            words = "  ".join(f"{key}={value}" for key, value in fields.items())
            show.say(f"{at[11:19]}  {event}  {words}")

    return tell


@jobs.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Newest jobs shown.")] = 20,
    as_json: show.Json = False,
) -> None:
    """List the newest jobs: state, worker, attempts, and what came out."""
    found = [as_dict(one) for one in wheel(context).jobs(limit)]
    if as_json:
        show.out(found)
        return
    if not found:
        show.say("There is no job yet. Run: honewheel cycle --queue, or honewheel worker")
        return
    show.table(
        ["job", "kind", "model", "state", "attempt", "worker", "queued", "result", "reason"],
        [
            [
                one["id"],
                " ".join(filter(None, (one["asked"].get("schedule"), one["kind"]))),
                one["model"],
                one["state"],
                one["attempt"],
                one["worker"] or "",
                one["queued_at"][:16].replace("T", " "),
                _result(one["result"] or {}),
                _short(one["reason"]),
            ]
            for one in found
        ],
    )


def _result(result: dict[str, Any]) -> str:
    return _short(str(result.get("error") or result.get("verdict") or ""))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


@jobs.command()
def cancel(
    context: typer.Context,
    job: Annotated[int, typer.Argument(help="Number of the job, as `jobs list` shows.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "asked for",
    as_json: show.Json = False,
) -> None:
    """Call a job off.

    A waiting one is cancelled at once, a running one at its next step.
    """
    found = wheel(context).cancel(job, reason=reason)
    if as_json:
        show.out(as_dict(found))
    elif found.state == "cancelled":
        show.say(f"job {found.id} is cancelled")
    else:
        show.say(f"job {found.id} runs on {found.worker}; it stops at its next step")
