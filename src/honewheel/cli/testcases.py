"""Verbs from requirements to test cases, and from reviewed cases to feedback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.errors import InputError

testcases = typer.Typer(
    no_args_is_help=True, help="Test cases from requirements, and reviews of them."
)
app.add_typer(testcases, name="testcases", rich_help_panel=None)

Tasks = Annotated[
    list[str] | None,
    typer.Option("--task", help="Task that answers, where several are of a kind; repeatable."),
]


@testcases.command("make")
def cases_make(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Requirements: a table in Markdown or CSV.")],
    out: Annotated[Path, typer.Option(help="Folder for the cases; new or empty.")],
    version: Annotated[
        str | None, typer.Option(help="Version that writes them; the champion by default.")
    ] = None,
    by: Annotated[
        Literal["version", "oracle"],
        typer.Option(help="oracle: the exact answer of the rules, as a reference; no model."),
    ] = "version",
    rule: Annotated[str, typer.Option(help="Rule of the boundary tables.")] = "two-value",
    digits: Annotated[
        int | None, typer.Option(help="Digits of a number, as the version was trained on.")
    ] = None,
    task: Tasks = None,
    as_json: show.Json = False,
) -> None:
    """Write the test cases of a requirements file.

    They are written as CSV to review, as Gherkin and as pytest.
    """
    from honewheel.testcases import formats
    from honewheel.testcases.reference import by_oracle

    if by == "oracle":
        if version or digits or task:
            raise InputError("--by oracle asks no version: leave --version, --digits, --task out.")
        found = by_oracle(file, rule=rule)
        formats.write(found, out)
    else:
        with show.Watcher() as watch:
            found = wheel(context).make_cases(
                file,
                version,
                out=out,
                rule=rule,
                digits=digits,
                tasks=task or (),
                on_progress=watch,
            )
    _tell(found, out, as_json)


def _tell(found: Any, out: Path, as_json: bool) -> None:
    wrong = [one for one in found.answers if one.findings]
    if as_json:
        show.out(
            {
                "out": str(out),
                "by": found.by,
                "cases": len(found.cases),
                "answers": len(found.answers),
                "findings": {
                    one.asked.subject or "choices": [item.message for item in one.findings]
                    for one in wrong
                },
            }
        )
        return
    who = "the oracle (exact; no model)" if found.by == "oracle" else found.by
    show.say(f"{out}: {len(found.cases)} test cases for {len(found.answers)} problems, by {who}")
    for one in wrong:
        show.say(
            f"  {one.asked.subject or 'choices'}: {one.findings[0].message}{_counted(found, one)}"
        )
    show.say("Next: review cases.csv, then honewheel testcases review FOLDER --source NAME")


def _counted(found: Any, one: Any) -> str:
    """How to read a finding's numbers, where they are not those of the field."""
    if not one.asked.subject:
        return ""
    field = found.requirements.field(one.asked.subject)
    first = field.units[0]
    return "" if field.value(first) == str(first) else f" ({first} stands for {field.value(first)})"


@testcases.command("review")
def cases_review(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder that `testcases make` wrote.")],
    source: Annotated[str, typer.Option(help="Who reviewed the cases.")],
    task: Tasks = None,
    as_json: show.Json = False,
) -> None:
    """Record what was changed in cases.csv as feedback.

    The next cycle learns from it.
    """
    events = wheel(context).review_cases(folder, source=source, tasks=task or ())
    if as_json:
        show.out(events)
        return
    show.say(f"{len(events)} answers reviewed by {source} are recorded. Next: honewheel cycle")
