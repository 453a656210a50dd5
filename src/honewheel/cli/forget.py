"""The verb that erases what was recorded, and proves it."""

from __future__ import annotations

from typing import Annotated

import typer

from honewheel.cli import show
from honewheel.cli.app import DONE, FAILED, app, wheel
from honewheel.cli.quarantine import Who, me
from honewheel.records import as_dict, count


@app.command()
def forget(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Event or feedback id; repeatable.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Every event that this source spoke of.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Every event that mentions this text (a name, a mail).")
    ] = None,
    by: Who = None,
    as_json: show.Json = False,
) -> None:
    """Erase events and their traces; queues a retrain without them. Exit code 1: some text remains.

    Ids, hashes and lineage stay. Versions that learnt from the events are named.
    """
    found = wheel(context).forget(
        *(event or ()), source=source, subject=subject, reason=reason, by=by or me()
    )
    if as_json:
        show.out(as_dict(found))
        raise typer.Exit(FAILED if found.remains else DONE)
    erased, removed = count(len(found.events), "event"), count(len(found.removed), "path")
    show.say(f"erased   {erased}, {removed}")
    show.say(f"learnt   {', '.join(found.versions) or 'no version'}")
    for job in found.jobs:
        show.say(f"queued   job {job}: a cycle without them (honewheel worker)")
    if found.remains:
        show.say(f"remains  {found.searched:,} texts were looked for, and some still stand in:")
        for place in found.remains:
            show.say(f"         {place}")
    else:
        show.say(f"proof    {found.searched:,} texts looked for in every table and file: none left")
    raise typer.Exit(FAILED if found.remains else DONE)
