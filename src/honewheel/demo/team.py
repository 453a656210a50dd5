"""The demo's team at work: it asks the base, says what it thinks, and keeps held-out prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from honewheel import plugins
from honewheel.demo import damage, project, simulator
from honewheel.demo import suites as frozen
from honewheel.demo.facts import Kind, Requirement
from honewheel.demo.requirements import HELD_OUT_SEED, requirements
from honewheel.demo.simulator import Answer, Row
from honewheel.records import Decoding, Item, Progress

Listener = Callable[[Progress], None]

POISON = 90  # requests that a broken integration "corrects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much the team asks (prompts by kind) and how many it holds out."""

    asked: Mapping[Kind, int]
    held_out: Mapping[Kind, int]


# About 175 corrections to train on (the hand-written ones among them), and enough accepted answers
# of the other kinds to replay. 160 held-out diagrams give a 95 % interval of about +-3 points, and
# as many of the others let the guards tell a loss of 3 points from none.
FULL = Sizes(
    asked={"erd": 260, "ddl": 150, "gherkin": 110},
    held_out={"erd": 160, "ddl": 100, "gherkin": 130},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """The files of one team's project, and what they were made of."""

    folder: Path
    seed: int
    answers: tuple[Answer, ...]
    rows: tuple[Row, ...]
    feedback: tuple[Path, ...]
    suites: Mapping[Kind, Path]

    @property
    def corrected(self) -> str:
        """Id of an event that the team corrected to its house style."""
        return next(
            str(row["id"]) for row in self.rows if row["task"] == "erd" and "correction" in row
        )


def prepare(
    folder: Path,
    *,
    seed: int,
    sizes: Sizes,
    now: datetime,
    listen: Listener,
    replay_share: float = project.REPLAY_SHARE,
    shuffled: bool = False,
    answers: Sequence[Answer] | None = None,
) -> Team:
    """Write honewheel.toml, the feedback files and the frozen suites into `folder`.

    With `shuffled` every correction belongs to another prompt: nothing true can be learnt.
    `answers` are the base's to the same requests, when they are known already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "honewheel.toml", project.settings(replay_share=replay_share, seed=seed))
    wanted = [one for kind, n in sizes.asked.items() for one in requirements(kind, n, seed)]
    answers = answer(wanted, listen) if answers is None else answers
    rows = simulator.feedback(
        answers,
        check=project.check,
        score=project.score,
        now=now,
        seed=seed,
        batch="team",
        version=f"{project.MODEL}@0",
    )
    if shuffled:
        rows = simulator.shuffled(rows, seed=seed, batch="shuffled")
    broken = list(damage.malformed(rows[0]).values())
    files = [_write(folder / "feedback.jsonl", damage.to_jsonl(rows, broken))]
    if not shuffled:
        files.append(_write(folder / "handwritten.jsonl", project.handwritten()))
    suites = {
        kind: _write(
            folder / f"suite-{kind}.jsonl", frozen.suite(kind, n, seed=HELD_OUT_SEED + seed)
        )
        for kind, n in sizes.held_out.items()
    }
    return Team(
        folder=folder,
        seed=seed,
        answers=tuple(answers),
        rows=tuple(rows),
        feedback=tuple(files),
        suites=suites,
    )


def poison(team: Team, *, now: datetime, listen: Listener) -> Path:
    """A file in which a broken integration answers new requests with one and the same diagram."""
    known = {str(row["prompt"]) for row in team.rows}
    asked = [
        one for one in requirements("erd", POISON, team.seed + 1_000) if one.prompt not in known
    ]
    batch = damage.poisoned(
        answer(asked, listen), now=now, seed=team.seed, batch="sync", version=f"{project.MODEL}@0"
    )
    return _write(team.folder / "poisoned.jsonl", damage.to_jsonl(batch))


def answer(wanted: Sequence[Requirement], listen: Listener) -> list[Answer]:
    """What the bare base writes for each requirement, in their order."""
    items = [
        Item(id=one.id, task=one.kind, prompt=one.prompt, reference="", group=one.id)
        for one in wanted
    ]
    outputs: dict[str, str] = {}
    with plugins.family("causal-lm").open("honewheel/tiny", None) as model:
        for step, found in enumerate(model.predict(items, Decoding()), start=1):
            outputs[found.item] = found.output
            listen(Progress(stage="base answers", step=step, total=len(items)))
    return [(one, outputs[one.id]) for one in wanted]


def valid(answers: Sequence[Answer], kind: str) -> tuple[int, int]:
    """(valid, all) answers of a kind, by the real check."""
    found = [project.check(kind, text).valid for one, text in answers if one.kind == kind]
    return sum(found), len(found)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
