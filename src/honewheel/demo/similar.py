"""The demo of the embedding family: tickets, which of them are about the same, and the whole wheel.

A team has sorted its support tickets by what they are about. Pairs of them are the feedback; a
head on a small embedding model learns it in seconds, is proved on tickets it has not seen, and an
integration that says the contrary of what is true is refused. Nothing but the tickets is scripted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from honewheel.demo import run as stages
from honewheel.demo import tickets
from honewheel.demo.run import DONE, REFUSED, Command, Say, Stage
from honewheel.records import Progress

PACKAGES = ("torch", "transformers", "sentence_transformers", "peft", "matplotlib")
CASES = 20  # of each adversarial category
POISON = 1_500  # wrong pairs: more than the right ones
BASE = "minilm"


def run(
    folder: Path,
    *,
    quick: bool,
    seed: int,
    command: Command,
    say: Say,
    listen: Callable[[Progress], None],
    base: str = BASE,
) -> dict[str, Any]:
    """Play the demo in `folder`; returns where it is, whether the gate promoted, and the seconds.

    Raises InputError (the folder is not empty), MissingExtra, HonewheelError (a step ended
    otherwise than expected).
    """
    stages.require_empty(folder)
    stages.require_packages(PACKAGES, "minilm")
    started, cpu = time.monotonic(), time.process_time()
    stage = Stage(folder, command, say)
    judged, held = tickets.parted(seed)
    prepare(folder, seed, base)
    intents = len({one.label for one in judged})
    say(
        f"A project in {folder}. A team has sorted {len(judged)} support tickets into {intents}\n"
        f"intents; {len(held)} more are set apart as a frozen suite. Two tickets of one intent\n"
        "are the same, others are not: half of those share words, half are drawn at random."
    )
    stage.do("pairs", "from-labels", str(folder / "tickets.csv"), "--label", "intent")
    stage.do("suite", "import", str(folder / "suite.jsonl"), "--task", tickets.TASK)
    say("\nOne cycle: pairs, a head on frozen embeddings, proof on unseen tickets, decision.")
    promoted = stage.do("cycle", expect=(DONE, REFUSED)) == DONE
    if not quick:
        say(
            "\nWhat changed, pair by pair, and what small edits of the same texts do to it. That\n"
            "a negation is nearer than a typo is usual for such models: so the gate asks only\n"
            "that no category gets worse."
        )
        stage.do("pairs", "report")
        stage.do("adversarial", "--cases", str(CASES), "--against", f"{tickets.MODEL}@0")
        say("\nAn integration now says the contrary of what is true. The gate has to notice.")
        stage.do("import", str(folder / "poisoned.jsonl"), "--task", tickets.TASK)
        stage.do("cycle", expect=(REFUSED,))
    stage.do("versions")
    seconds = time.monotonic() - started
    stages.farewell(stage, seconds)
    return {
        "folder": str(folder),
        "seed": seed,
        "quick": quick,
        "promoted": promoted,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }


def prepare(folder: Path, seed: int, base: str, *, cases: int = CASES) -> None:
    """honewheel.toml, the sorted tickets, the suite and the poisoned batch."""
    judged, held = tickets.parted(seed)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "honewheel.toml": tickets.settings(base=base, cases=cases, seed=seed),
        "tickets.csv": tickets.table(judged),
        "suite.jsonl": tickets.suite(held, seed=seed),
        "poisoned.jsonl": tickets.poison(judged, count=POISON, seed=seed),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
