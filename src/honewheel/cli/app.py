"""The command line: verbs in the order of the flow. Data goes to stdout, talk to stderr.

Exit codes: 0 done, 2 rejected or undecided, 1 failed, 3 wrong usage, settings or input.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from honewheel.errors import ConfigError, HonewheelError, InputError, NotFound, NothingNew

DONE, FAILED, REFUSED, USAGE = 0, 1, 2, 3
_INTERRUPTED = 130  # what shells expect after Ctrl-C
SECTIONS = {
    "Start": "demo init doctor config",
    "Feedback": "record import pairs suite puzzles ask",
    "Training data": "synthesize sample quarantine dataset",
    "The wheel": "due cycle worker jobs report ablate search",
    "Looking": "status versions show diff trend failures adversarial trace explain",
    "Champions": "watch promote rollback",
    "Test cases": "testcases",
    "Embeddings": "embed reindex search-similar",
    "Service": "serve keys audit webhooks",
    "Housekeeping": "gc forget",
}
VERBS = " ".join(SECTIONS.values()).split()
_UsageError: Any = typer.BadParameter.__base__  # typer exports only this subclass of it


class _Flow(TyperGroup):
    """Lists the verbs in the order of the flow, in sections."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, verbs in SECTIONS.items():
            longest = max(10, *map(len, verbs.split()))
            width = formatter.width - 6 - longest
            with formatter.section(title):
                rows = [(verb, self.commands[verb]) for verb in verbs.split()]
                formatter.write_dl(
                    [(verb.ljust(longest), one.get_short_help_str(width)) for verb, one in rows]
                )


app = typer.Typer(
    cls=_Flow,
    name="honewheel",
    help="Feedback in, a proven better model out. Start with `honewheel demo`, or `honewheel "
    "init` in your project.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from honewheel import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option("--project", "-C", help="Folder or honewheel.toml of the project."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting that wins over file and environment; repeatable.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = {"path": project, "set": tuple(setting or ())}


def wheel(context: typer.Context) -> Any:
    """The open project of this command line, closed when the command ends."""
    from honewheel.wheel import open as open_wheel

    return context.with_resource(open_wheel(context.obj["path"], set=context.obj["set"]))


def register() -> None:
    """Import every module that adds verbs to `app`."""
    from honewheel.cli import (
        ablate,
        cycle,
        dataset,
        embed,
        feedback,
        forget,
        pairs,
        project,
        puzzles,
        quarantine,
        queue,
        search,
        serve,
        synthesize,
        testcases,
        trend,
        versions,
        watch,
        webhooks,
        worker,
    )

    verbs = ablate, cycle, dataset, embed, feedback, project, quarantine, queue, search, serve
    more = forget, pairs, puzzles, synthesize, testcases, trend, versions, watch, webhooks, worker

    assert all((*verbs, *more))  # importing them is all there is to do


def main() -> None:
    """Run the command line and turn every expected error into a message and an exit code."""
    sys.exit(call())


def call(words: Sequence[str] | None = None) -> int:
    """Exit code of one command line (`sys.argv` when None); errors are told on stderr."""
    register()
    try:
        code = app(None if words is None else list(words), standalone_mode=False)
    except _UsageError as error:
        error.show()
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        return _stopped()
    except NothingNew as error:
        return _say(str(error), DONE)
    except (ConfigError, InputError, NotFound) as error:
        return _say(f"error: {error}", USAGE)
    except HonewheelError as error:
        return _say(f"error: {error}")
    except BrokenPipeError:
        return DONE  # the reader (head, less) has seen enough
    except OSError as error:
        return _say(f"error: {error}")
    if code == _INTERRUPTED:
        return _stopped()
    return code if isinstance(code, int) else DONE


def _stopped() -> int:
    return _say("stopped. What is done is kept; run the command again to continue.", _INTERRUPTED)


def _say(text: str, code: int = FAILED) -> int:
    typer.echo(text, err=True)
    return code
