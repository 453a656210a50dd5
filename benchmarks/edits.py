"""Does training on adversarial edits lift what the diagnostic measures, and what does it cost?

    make bench-edits

The demo's tickets, a head on MiniLM. One cycle learns from labelled pairs; the next one also from
edits of training tickets (`honewheel pairs edits`). Both versions answer the same cases, which are
edits of held-out tickets with another seed, and the same suite. One seed: a figure, no law.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import results_file

import honewheel as hw
from honewheel.demo import similar, tickets

SEED = 0
EDITS = 100  # training pairs of each category
CASES = 84  # of each category in the diagnostic


def main() -> None:
    started = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        found = _measure(Path(place) / "project")
    found["cpu_s"] = results_file.metric(time.process_time() - started, "s")
    notes = [
        "Before: a head trained on labelled pairs; after: on these and on edits of other tickets.",
        "Shares passed are at each version's own threshold, from validation pairs; AUC is that of "
        "the demo's frozen suite and panel together, as the gate measures it.",
        "cpu_s counts this process; training runs in children.",
    ]
    print(results_file.write("edits", found, [SEED], notes))


def _measure(folder: Path) -> dict[str, Any]:
    similar.prepare(folder, SEED, similar.BASE, cases=0)
    found: dict[str, Any] = {}
    with hw.open(folder, environment={}) as wheel:
        wheel.import_labelled(folder / "tickets.csv", label="intent", seed=SEED)
        wheel.suite_import(folder / "suite.jsonl", task=tickets.TASK)
        first = wheel.cycle()
        counts = wheel.pair_edits(folder / "edits.jsonl", cases=EDITS)
        wheel.import_file(folder / "edits.jsonl", task=tickets.TASK)
        second = wheel.cycle()
        for name, decision in (("labels", first), ("edits", second)):
            one = decision.primary
            assert one is not None
            found[f"auc_gain_{name}"] = results_file.metric(
                one.difference, "share", one.low, one.high
            )
        after, before = second.challenger, first.challenger
        table = wheel.adversarial(version=after, against=before, cases=CASES)
        earlier = wheel.adversarial(version=before, against=after, cases=CASES)
    found["edits"] = results_file.metric(sum(counts.values()), "pairs")
    for now, was in zip(table["categories"], earlier["categories"], strict=True):
        for word, line in (("after", now), ("before", was)):
            if line["passed"] is not None:
                found[f"{line['category']}_passed_{word}"] = results_file.metric(
                    line["passed"] / line["cases"], "share", line["low"], line["high"]
                )
            found[f"{line['category']}_mean_{word}"] = results_file.metric(
                line["mean_answer"], "cosine"
            )
    return found


if __name__ == "__main__":
    main()
