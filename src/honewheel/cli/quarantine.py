"""Verbs about what is held back: quarantine list, release, drop."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.records import as_dict

quarantine = typer.Typer(
    no_args_is_help=True, help="What is held back from training, and your ruling on it."
)
app.add_typer(quarantine, name="quarantine", rich_help_panel=None)

SHOWN = 40  # lines of a list for people

Events = Annotated[
    list[str],
    typer.Argument(
        help="Ids of events, as `quarantine list` shows; MODEL@N: all held for that version."
    ),
]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]
Who = Annotated[str | None, typer.Option("--by", help="Who decides; you by default.")]


@quarantine.command("list")
def list_(context: typer.Context, as_json: show.Json = False) -> None:
    """List events held or flagged, rulings, and refused rows.

    Rulings are those on events; refused rows are those that an import set aside.
    """
    found = [as_dict(one) for one in wheel(context).held()]
    if as_json:
        show.out(found)
        return
    if not found:
        show.say("Nothing is held back, and no row was refused.")
        return
    show.table(
        ["state", "name", "source", "by", "why"],
        [
            [one["state"], one["name"], one["source"], one["who"], one["reason"]]
            for one in found[:SHOWN]
        ],
    )
    if len(found) > SHOWN:
        show.say(f"... {len(found) - SHOWN:,} more (--json shows all)")


@quarantine.command()
def release(
    context: typer.Context,
    events: Events,
    reason: Reason,
    by: Who = None,
    as_json: show.Json = False,
) -> None:
    """Let held events train again from the next cycle on."""
    _told(wheel(context).release(*events, reason=reason, by=by or me()), as_json)


@quarantine.command()
def drop(
    context: typer.Context,
    events: Events,
    reason: Reason = "rejected",
    by: Who = None,
    as_json: show.Json = False,
) -> None:
    """Keep events out of every later dataset; the log keeps them."""
    _told(wheel(context).drop(*events, reason=reason, by=by or me()), as_json)


def _told(rulings: list[dict[str, object]], as_json: bool) -> None:
    if as_json:
        show.out(rulings)
        return
    for one in rulings:
        show.say(f"{one['event']}: {one['verdict']} by {one['who']} ({one['reason']})")
    show.say("The next cycle obeys: honewheel cycle")


def me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        return "unknown"
