"""Verbs for embedding models: index texts, keep the index up to date, look for neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.records import as_dict

Folder = Annotated[Path, typer.Argument(help="Folder of the index.")]


@app.command()
def embed(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="MODEL (its champion) or MODEL@NUMBER.")],
    file: Annotated[Path, typer.Argument(help="Texts: one a line, or .jsonl with text and id.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the index.")],
    as_json: show.Json = False,
) -> None:
    """Index the texts of a file: vectors and who made them.

    Run again to add texts, or to go on where it was stopped.
    """
    project = wheel(context)
    with show.Watcher() as watch:
        found = project.embed(version, file, out, on_progress=watch)
    _told(found, out, as_json)


@app.command()
def reindex(
    context: typer.Context,
    folder: Folder,
    version: Annotated[
        str | None,
        typer.Option(help="MODEL@NUMBER; by default the champion of the model that made it."),
    ] = None,
    as_json: show.Json = False,
) -> None:
    """Embed the texts of an index by the new champion.

    The index answers as before until all is done; run again to go on where it was stopped.
    """
    project = wheel(context)
    with show.Watcher() as watch:
        found = project.reindex(folder, version, on_progress=watch)
    _told(found, folder, as_json)


@app.command("search-similar")
def search_similar(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to look for.")],
    index: Annotated[Path, typer.Option("--index", help="Folder of the index.")],
    most: Annotated[int, typer.Option("--most", "-k", min=1, help="Neighbours to show.")] = 10,
    as_json: show.Json = False,
) -> None:
    """The texts of an index that are nearest to a text."""
    found = wheel(context).search_similar(text, index, most=most)
    if as_json:
        show.out([as_dict(one) for one in found])
        return
    show.table(("score", "id", "text"), [(f"{one.score:.3f}", one.id, one.text) for one in found])


def _told(found: Any, folder: Path, as_json: bool) -> None:
    index = found.index
    if as_json:
        show.out(as_dict(found))
        return
    if index.cut:
        show.say(f"{index.cut:,} texts are longer than the {index.limit} tokens that are read")
    show.say(
        f"{index.texts:,} texts in {folder} by {index.version}: {found.embedded:,} embedded, "
        f"{found.kept:,} kept as they were"
    )
