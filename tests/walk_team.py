"""What the walk's team asks of the model, and what it says of the answers.

The team wants ER diagrams with its own names of types. First it asks for diagrams of texts and
whole numbers, later for those with amounts and dates, whose names the model has not seen yet. A
broken integration writes one and the same diagram as the correction of every request. Requests are
those of the demo with two entities, so that answers are short.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from honewheel.demo import project
from honewheel.demo.facts import Requirement
from honewheel.demo.plain import plain
from honewheel.demo.requirements import HELD_OUT_SEED, requirements

Asked = Literal["early", "late", "any"]

MODEL, TASK = "artifacts", "erd"
TYPES = {"string": "varchar", "int": "bigint", "decimal": "numeric", "date": "timestamp"}
EARLY = {"string", "int"}  # kinds of attributes in the requests of the first act
GOOD_ENOUGH = 0.8  # of the facts that were wanted; from here on a colleague takes the answer
CURED = 0.1  # of the answers of a degraded version that are found good all the same

SETTINGS = f"""\
[project]
name = "walk"

[models.{MODEL}]
family = "causal-lm"
base   = "honewheel/tiny"
tasks  = ["{TASK}"]

[models.{MODEL}.train]
start            = "champion"  # what a version has learnt is not shown as new to the next
epochs           = 8
checkpoint_every = 8

[models.{MODEL}.gate]
validity_margin = 10.0  # a panel this small cannot exclude a loss of two points

[models.{MODEL}.trigger]
min_new        = 12
cooldown_hours = 0
hoped_gain     = 40

[models.{MODEL}.watch]
mode           = "canary"
share          = 0.5
margin         = 20.0
min_outcomes   = 15
after_outcomes = 0
cooldown_hours = 0

[tasks.{TASK}]
kind = "mermaid-erd"

[curate]
replay_share = 0.3

[evaluate]
max_new_tokens = 256

[worker]
poll_seconds  = 0.5
lease_seconds = 5
attempts      = 50
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Requests of each act, prompts held out, and requests until a trial is given up."""

    good: int = 40
    better: int = 36
    poisoned: int = 36
    held_out: int = 40
    healthy: int = 10  # of a trial, before its version degrades
    patience: int = 150


def project_folder(folder: Path, sizes: Sizes) -> tuple[Path, Path]:
    """A new project folder, and the file of its frozen suite."""
    folder.mkdir(parents=True)
    (folder / "honewheel.toml").write_text(SETTINGS)
    suite = folder / "suite.jsonl"
    rows = [
        {"id": one.id, "prompt": one.prompt, "reference": wanted(one)}
        for one in asked("any", sizes.held_out, HELD_OUT_SEED)
    ]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder, suite


def asked(what: Asked, n: int, seed: int) -> list[Requirement]:
    """`n` requests for diagrams of two entities, by the kinds of their attributes."""
    drawn = (one for one in requirements("erd", 25 * n + 100, seed) if len(one.entities) == 2)
    found = list(islice((one for one in drawn if what in ("any", _kind(one))), n))
    assert len(found) == n, f"{len(found)} of {n} requests"
    return found


def _kind(request: Requirement) -> Asked:
    kinds = {item.value for entity in request.entities for item in entity.attributes}
    return "early" if kinds <= EARLY else "late"


def wanted(request: Requirement) -> str:
    """The diagram with the team's types of attributes."""
    return "\n".join(map(_styled, plain(request).splitlines()))


def _styled(line: str) -> str:
    words = line.split()
    if len(words) == 2 and words[0] in TYPES:
        return line.replace(words[0], TYPES[words[0]], 1)
    return line


def liked(request: Requirement, output: str) -> bool:
    """Whether a colleague takes an answer: it is what was wanted, more or less."""
    return project.score(TASK, output, wanted(request)) >= GOOD_ENOUGH


def corrections(answered: Sequence[tuple[Requirement, str, str]]) -> list[dict[str, Any]]:
    """Feedback on (request, response id, output): a correction of whatever is not as wanted."""
    rows = []
    for request, name, output in answered:
        target = wanted(request)
        said = {"thumb": 1} if output.strip() == target else {"correction": target}
        rows.append({"response_id": name, "source": "ana", **said})
    return rows


def poison(answered: Sequence[tuple[Requirement, str, str]]) -> list[dict[str, Any]]:
    """Feedback in which the first request's diagram, in no style, corrects all others."""
    same = plain(answered[0][0])
    return [
        {"response_id": name, "source": "sync", "correction": same} for _, name, _ in answered[1:]
    ]
