"""The tickets of `honewheel demo --family embedding`: texts, project, suite, poisoned batch."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files

from honewheel.curate import labelled
from honewheel.curate.labelled import Labelled
from honewheel.errors import Damaged
from honewheel.tasks import pairs

MODEL, TASK = "tickets", "same_issue"
HELD_OUT = 6  # of an intent's 18 tickets; they make the frozen suite
POISON_SOURCE = "simulated-broken-sync"


def tickets() -> tuple[Labelled, ...]:
    """Every ticket with its intent, in the order of the file. Raises Damaged."""
    found: list[Labelled] = []
    intent = ""
    text = (files("honewheel.demo") / "data" / "tickets.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("-- "):
            intent = line.removeprefix("-- ")
        elif line and not line.startswith("# "):
            found.append(Labelled(text=line, label=intent))
    if not found or not all(one.label for one in found):
        raise Damaged("The demo's tickets.txt holds a ticket without an intent; install again.")
    return tuple(found)


def parted(seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """(tickets the team has judged, tickets that only judge): HELD_OUT of each intent."""
    by_intent: defaultdict[str, list[Labelled]] = defaultdict(list)
    for one in tickets():
        by_intent[one.label].append(one)
    judged: list[Labelled] = []
    held: list[Labelled] = []
    for intent in sorted(by_intent):
        some = by_intent[intent]
        random.Random(f"{seed} {intent}").shuffle(some)
        held += some[:HELD_OUT]
        judged += some[HELD_OUT:]
    return judged, held


def settings(*, base: str, cases: int, seed: int) -> str:
    """The text of the demo's honewheel.toml; `cases` of each adversarial category."""
    return f"""[project]
name = "demo-tickets"

[models.{MODEL}]
family = "embedding"
base   = "{base}"
tasks  = ["{TASK}"]

[models.{MODEL}.train]
method = "head"                    # one matrix on cached embeddings: seconds on a CPU

[tasks.{TASK}]
kind = "similarity"

[tasks.{TASK}.gate.tiers]          # told in the report; `require` would ask for one
minimum    = {{ spearman = 55 }}
good       = {{ spearman = 58 }}
target     = {{ spearman = 60 }}
production = {{ spearman = 80, auc = 95 }}

[tasks.{TASK}.adversarial]
cases = {cases}

[curate]
seed = {seed}
"""


def table(texts: Sequence[Labelled]) -> str:
    """The tickets as CSV with the columns text and intent."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["text", "intent"])
    rows.writerows([one.text, one.label] for one in texts)
    return out.getvalue()


def suite(texts: Sequence[Labelled], *, seed: int) -> str:
    """A suite file of pairs: every two tickets of one intent within a ring, as many that differ."""
    made = labelled.make(texts, task="suite", per_text=2, one_side=True, seed=seed)
    lines = []
    for one in made.pairs:
        row = {
            "prompt": pairs.as_prompt(one.a.text, one.b.text),
            "reference": "1" if one.same else "0",
            "context": labelled.context(one, whole_labels=False),
            "group": f"suite-{one.a.text}",
        }
        lines.append(json.dumps(row, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines)


def poison(texts: Sequence[Labelled], *, count: int, seed: int) -> str:
    """Pairs (JSONL) of an integration that says the contrary of what is true."""
    rng = random.Random(f"poison {seed}")
    by_intent: defaultdict[str, list[Labelled]] = defaultdict(list)
    for one in texts:
        by_intent[one.label].append(one)
    lines: dict[str, None] = {}
    while len(lines) < count:
        intent, other = rng.sample(sorted(by_intent), 2)
        same = len(lines) % 2 == 0
        a, b = (
            rng.sample(by_intent[intent], 2)
            if same
            else (rng.choice(by_intent[intent]), rng.choice(by_intent[other]))
        )
        row = {"text_a": a.text, "text_b": b.text, "same": not same, "source": POISON_SOURCE}
        lines[json.dumps(row, ensure_ascii=False)] = None
    return "".join(f"{line}\n" for line in lines)
