"""Verbs about the project: init, status, config, gc, doctor, demo."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from honewheel.cli import show
from honewheel.cli.app import FAILED, app, wheel
from honewheel.errors import ConfigError
from honewheel.records import count

if TYPE_CHECKING:
    from honewheel.config import Config


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write honewheel.toml.")] = Path(),
    as_json: show.Json = False,
) -> None:
    """Write a starter honewheel.toml."""
    from honewheel.wheel import init as init_project

    path = init_project(folder)
    if as_json:
        show.out({"file": str(path)})
        return
    show.say(f"wrote {path}")
    show.say("Next: honewheel import FEEDBACK.jsonl   (or from Python: hw.open().record(...))")
    show.say("      honewheel cycle                   (honewheel --help lists every verb)")


@app.command()
def status(context: typer.Context, as_json: show.Json = False) -> None:
    """What there is: events, cycles, datasets, panels, champions."""
    found = wheel(context).status()
    if as_json:
        show.out(found)
    else:
        show.pairs(found)


@app.command()
def config(
    context: typer.Context,
    ranges: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Every hyperparameter of this model: allowed, default, reason."
        ),
    ] = None,
    as_json: show.Json = False,
) -> None:
    """Every setting, its value, and where it came from."""
    from honewheel.config import find, load

    path = context.obj["path"] or Path.cwd()
    if not path.exists():
        raise ConfigError(f"There is no {path}.")
    file = path if path.is_file() else find(path.resolve())
    found = load(file, flags=context.obj["set"])
    if ranges is not None:
        _ranges(found, ranges, as_json)
    elif as_json:
        show.out([asdict(value) for value in found.values])
    else:
        rows = [[value.path, repr(value.value), value.origin] for value in found.values]
        show.table(["setting", "value", "from"], rows)


def _ranges(config: Config, model: str, as_json: bool) -> None:
    """The `Range` objects that a model's method and objective choose, with what is set now."""
    from honewheel.plugins import ranges

    settings, now = config.model(model)[1], config.hyperparameters(model)
    rules = ranges(settings.family, settings.train)[1]
    if as_json:
        show.out(
            [{"setting": key, "value": now[key], **asdict(rule)} for key, rule in rules.items()]
        )
        return
    rows = []
    for key, rule in rules.items():
        told = f"{rule.help}; outside it, {rule.why}" if rule.why else rule.help
        rows.append([key, repr(now[key]), repr(rule.default), rule.allowed, told])
    show.table(["setting", "value", "default", "allowed", "meaning"], rows)


@app.command()
def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: show.Json = False,
) -> None:
    """Remove files that no live lineage needs."""
    project = wheel(context)
    with show.run_log(project.config.root, "gc"):
        found = project.gc(dry_run=dry_run)
    if as_json:
        show.out(found)
    else:
        verb = "would remove" if dry_run else "removed"
        show.say(
            f"{verb} {count(len(found['files']), 'file')} and "
            f"{count(len(found['runs']), 'run folder')}, "
            f"{found['bytes'] / 1e6:,.1f} MB; kept {found['kept']:,} that versions need"
        )


@app.command()
def doctor(context: typer.Context, as_json: show.Json = False) -> None:
    """Check machine, packages, store and bases. Says what to do about each trouble."""
    found = wheel(context).doctor()
    if as_json:
        show.out(found)
    else:
        rows = [["ok" if row["ok"] else "TROUBLE", row["check"], row["found"]] for row in found]
        show.table(["", "check", "found"], rows)
        for row in found:
            if not row["ok"]:
                show.say(f"{row['check']}: {row['advice']}")
    if not all(row["ok"] for row in found):
        raise typer.Exit(FAILED)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo's project is made.")] = Path(
        "honewheel-demo"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="One cycle only.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulated team.")] = 0,
    family: Annotated[
        Literal["causal-lm", "embedding"],
        typer.Option(help="Diagrams by a language model, or like tickets by an embedding model."),
    ] = "causal-lm",
    as_json: show.Json = False,
) -> None:
    """See the wheel turn: no network, no GPU, no data of yours."""
    from honewheel.cli.app import call
    from honewheel.demo import run as artifacts
    from honewheel.demo import similar

    play = similar.run if family == "embedding" else artifacts.run
    with show.Watcher() as watch:
        found = play(
            folder.resolve(), quick=quick, seed=seed, command=call, say=show.say, listen=watch
        )
    if as_json:
        show.out(found)
