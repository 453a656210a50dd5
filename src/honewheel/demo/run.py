"""The demo: one team, its house style, and the whole wheel, with the commands a user would type.

Nothing is scripted but the team: what the base writes, what is learnt and what the gate says is
measured on this machine while it runs. `command` runs one honewheel command line and returns its
exit code, so that every step is one a user can repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from honewheel.demo import project, team
from honewheel.demo.damage import POISON_SOURCE
from honewheel.demo.team import Listener, Team
from honewheel.errors import HonewheelError, InputError, MissingExtra

Command = Callable[[Sequence[str]], int]
Say = Callable[[str], None]

# Exit codes: promoted; rejected or undecided; Ctrl-C.
DONE, REFUSED, INTERRUPTED = 0, 2, 130
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "matplotlib")  # the extra `train`


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays, and how it acts and speaks."""

    folder: Path
    command: Command
    say: Say

    def do(self, *words: str, expect: Sequence[int] = (DONE,)) -> int:
        """Run one command, shown as a user would type it; returns its exit code.

        Raises HonewheelError when that is none of `expect`.
        """
        self.say(f"\n$ honewheel {' '.join(_quoted(word) for word in words)}")
        code = self.command(["--project", str(self.folder), *words])
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code not in expect:
            expected = " or ".join(map(str, expect))
            raise HonewheelError(
                f"`honewheel {words[0]}` ended with code {code} where the demo expects {expected}. "
                f"The project is in {self.folder}: look at its report and .honewheel/logs."
            )
        return code


def run(
    folder: Path, *, quick: bool, seed: int, command: Command, say: Say, listen: Listener
) -> dict[str, Any]:
    """Play the demo in `folder`; returns where it is, whether the gate promoted, and the seconds.

    Raises:
        InputError: the folder is not empty (nothing of it is touched).
        MissingExtra: a package that training needs is not installed; no folder is made.
        HonewheelError: a step ended otherwise than the demo expects.
    """
    require_empty(folder)
    require_packages(_PACKAGES, "train")
    started = time.monotonic()
    stage = Stage(folder, command, say)
    say(f"A project in {folder}. Its team asks the base model first.")
    found = team.prepare(folder, seed=seed, sizes=team.FULL, now=_now(), listen=listen)
    _import(stage, found)
    say("\nOne cycle: curate, fine-tune, prove on held-out prompts, decide.")
    promoted = stage.do("cycle", expect=(DONE, REFUSED)) == DONE
    decided = time.monotonic() - started
    if not promoted:
        _refused(stage, seed)
    if promoted and not quick:
        _poison(stage, found, listen)
    if not quick:
        _without_replay(stage, promoted)
    say("\nEvery weight can be traced to the feedback behind it, and back.")
    stage.do("trace", found.corrected)
    stage.do("explain", found.corrected)
    stage.do("versions")
    seconds = time.monotonic() - started
    farewell(stage, seconds)
    return {
        "folder": str(folder),
        "seed": seed,
        "quick": quick,
        "promoted": promoted,
        "decided_after_seconds": round(decided, 1),
        "seconds": round(seconds, 1),
    }


def _import(stage: Stage, found: Team) -> None:
    for kind in project.TASKS:
        good, count = team.valid(found.answers, kind)
        stage.say(f"  {kind:<8} {good:>3} of {count:>3} base answers are valid")
    stage.say(
        "\nThe team wants a house style that this model has never seen. A seeded simulation of\n"
        "it (flagged as simulated in store and report) corrects, rates or accepts each answer;\n"
        "a second file was written by hand. Some rows are broken on purpose."
    )
    stage.do("import", *map(str, found.feedback))
    stage.say("\nFrozen suites: held-out prompts that judge and never train.")
    for kind, path in found.suites.items():
        stage.do("suite", "import", str(path), "--task", kind)


def _refused(stage: Stage, seed: int) -> None:
    stage.say(
        "\nThe gate did not promote it; its reasons stand above, and the base stays in use. That\n"
        "is a result like any other: a gain in one task does not pay for a loss elsewhere. With\n"
        f"another team it may end otherwise: honewheel demo --seed {seed + 1} --folder PLACE"
    )


def _poison(stage: Stage, found: Team, listen: Listener) -> None:
    stage.say(
        "\nA broken integration now sends well-formed nonsense: one and the same diagram as the\n"
        "correction of every request. The gate has to notice."
    )
    stage.do("import", str(team.poison(found, now=_now(), listen=listen)))
    stage.do("cycle", expect=(REFUSED,))


def _without_replay(stage: Stage, promoted: bool) -> None:
    stage.say("\nAgain from the base, to see what replay was for: the same good data without it.")
    if promoted:
        stage.do("rollback", "--reason", "to compare with a cycle without replay")
    excluded = f'curate.exclude_sources=["{POISON_SOURCE}"]'
    stage.do("--set", "curate.replay_share=0", "--set", excluded, "cycle", expect=(REFUSED,))
    if promoted:
        stage.say("\nThe version that was proved is one command away.")
        stage.do("promote", f"{project.MODEL}@1")


def require_empty(folder: Path) -> None:
    """Nothing when the folder is empty or not there. Raises InputError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is not empty; the demo touches nothing that is there. Give another place: "
            "honewheel demo --folder PLACE"
        )


def require_packages(packages: Sequence[str], extra: str) -> None:
    """Nothing when all are installed. Raises MissingExtra naming the extra that brings them."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra("The demo", package.replace("_", "-"), extra)


def farewell(stage: Stage, seconds: float) -> None:
    """Where the reports lie, and what a user does next."""
    stage.say(f"\nDone in {seconds:,.0f} s. Everything above was measured on this machine.")
    for path in sorted((stage.folder / ".honewheel" / "reports").glob("*/*.html")):
        stage.say(f"report   {path}")
    stage.say("Next: honewheel init in your own project, then honewheel import FEEDBACK.jsonl;")
    stage.say("      honewheel --help lists the verbs in the order in which you will need them.")


def _now() -> datetime:
    return datetime.now(UTC)


def _quoted(word: str) -> str:
    return f"'{word}'" if any(char in word for char in ' "[]') else word
