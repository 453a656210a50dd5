"""Verbs about what the outside is told: webhooks list, test, send."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import FAILED, app, wheel

webhooks = typer.Typer(
    no_args_is_help=True, help="Webhooks and the MLflow sink: who is told, and what waits."
)
app.add_typer(webhooks, name="webhooks", rich_help_panel=None)

COLUMNS = ("outlet", "events", "sent", "waiting", "given_up", "error")


@webhooks.command("list")
def list_(context: typer.Context, as_json: show.Json = False) -> None:
    """Who is told what, how much waits, and the last trouble."""
    found = wheel(context).outlets()
    if as_json:
        show.out(found)
    elif not found:
        show.say("Nobody is told anything: there is no [webhooks.NAME] section in honewheel.toml.")
    else:
        rows = [[*(one[name] for name in COLUMNS)] for one in found]
        show.table([name.replace("_", " ") for name in COLUMNS], rows)


@webhooks.command("test")
def try_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The NAME of a [webhooks.NAME] section.")],
    as_json: show.Json = False,
) -> None:
    """Send a signed event `test` now, and say what became of it."""
    found = wheel(context).webhook_test(name)
    if as_json:
        show.out(found)
    else:
        show.say(f"{name} took it: status {found['status']} in {found['seconds']:.2f} s")


@webhooks.command()
def send(context: typer.Context, as_json: show.Json = False) -> None:
    """Send all that waits now, and what was given up.

    Exit code 1 when something was not taken.
    """

    def tell(event: str, fields: dict[str, Any]) -> None:
        words = "  ".join(f"{key}={value}" for key, value in fields.items())
        show.say(f"{event}  {words}")

    found = wheel(context).send_notices(tell)
    if as_json:
        show.out(found)
    else:
        show.say(f"{found['sent']:,} sent, {found['missed']:,} not taken")
    if found["missed"]:
        raise typer.Exit(FAILED)
