"""The verb that follows a task over its cycles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.errors import InputError
from honewheel.records import as_dict

HEADERS = (
    *("version", "by", "verdict", "ended", "prompts", "score", "champion", ">=70", "valid"),
    *("accepted", "newest", "seconds", "tokens", "generic", "hard", "val loss", "perplexity"),
)


@app.command()
def trend(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="A task of the project.")],
    last: Annotated[int, typer.Option("--last", min=1, help="How many cycles.")] = 20,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="PNG file to draw it into.", metavar="FILE.png")
    ] = None,
    as_json: show.Json = False,
) -> None:
    """A task over its cycles: score, validity, acceptance, loss."""
    if plot is not None and plot.suffix.lower() != ".png":
        raise InputError(f"--plot writes a PNG; give a name that ends in .png, not {plot.name!r}.")
    project = wheel(context)
    found = project.trend(task, last)
    if plot is not None:
        project.trend_plot(found, plot)
        show.say(f"plot     {plot}")
    if as_json:
        rows = [as_dict(point) | {"perplexity": point.perplexity} for point in found.points]
        show.out({"task": found.task, "points": rows})
    elif not found.points:
        show.say(f"No finished cycle has measured {found.task}. Run: honewheel cycle")
    else:
        show.table(
            HEADERS,
            [_row(point) for point in found.points],
        )


def _row(point: Any) -> list[Any]:
    shares = (point.score, point.champion, point.success, point.valid, point.accepted)
    return [
        point.version,
        point.schedule,
        point.verdict,
        f"{point.at:%Y-%m-%d %H:%M}",
        point.prompts,
        *(_points(share) for share in shares),
        _points(point.newest),
        None if point.seconds is None else float(f"{point.seconds:.3g}"),
        None if point.tokens is None else round(point.tokens),
        _points(point.generic),
        _points(point.hard),
        point.val_loss,
        point.perplexity,
    ]


def _points(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)
