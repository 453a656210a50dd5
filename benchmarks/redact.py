"""What redaction costs an event of 1 KB: the patterns, and Presidio's recognizers behind them.

    make bench-redact

CPU time of this process, in rounds one after the other, so that other work on the machine weighs on
each alike. Presidio runs without a spaCy model: a model's cost is its own and comes on top.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from results_file import metric, write

from honewheel.events import redact
from honewheel.settings import Events

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import wheels

EVENTS, ROUNDS, SEED = 200, 7, 1
SIZE = 1024  # characters of an event, over its texts


def events(rng: random.Random) -> list[tuple[str, ...]]:
    """Diagrams as prompt and output; every other one with a comment that holds personal data."""
    found: list[tuple[str, ...]] = []
    for number in range(EVENTS):
        plain, house = wheels.erd(rng)
        private = f"my phone is 030 12{number:05d}, or write to ana{number}@example.org. "
        said = (private if number % 2 else "") + "The second room has no key. " * 20
        room = SIZE - len(plain) - len(house)
        found.append((plain, house, said[:room]))
    return found


def cost(redactor: Callable[[str], str], rows: list[tuple[str, ...]]) -> float:
    """Microseconds of CPU an event."""
    began = time.process_time()
    for row in rows:
        for said in row:
            redactor(said)
    return 1e6 * (time.process_time() - began) / len(rows)


def main() -> None:
    rows = events(random.Random(SEED))
    sides = {}
    for name in ("patterns", "presidio"):
        found = redact.of(Events(redact=True, redactor=name))
        assert found is not None
        sides[name] = found
        cost(found, rows[:10])
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(2 if "--quick" in sys.argv else ROUNDS):
        for name, redactor in sides.items():
            seen[name].append(cost(redactor, rows))
    metrics = {
        f"{name}_cpu_us": metric(statistics.median(all_), "us", min(all_), max(all_))
        for name, all_ in seen.items()
    }
    ratios = [new / old for new, old in zip(seen["presidio"], seen["patterns"], strict=True)]
    metrics["presidio_ratio"] = metric(statistics.median(ratios), "x", min(ratios), max(ratios))
    size = statistics.mean(sum(map(len, row)) for row in rows)
    notes = [
        f"{EVENTS} events of {size:.0f} characters on average, CPU time, median of the rounds.",
        f"Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        "Presidio with its forms and context words alone, English, no spaCy model.",
    ]
    print(write("redact", metrics, [SEED], notes, packages=("presidio-analyzer", "spacy")))


if __name__ == "__main__":
    main()
