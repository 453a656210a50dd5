"""The adversarial diagnostic on the demo's tickets: its cost, and what the base does with it.

    make bench-adversarial        about 1,000 cases; --quick 240

MiniLM's answers to edits of 630 tickets, at the threshold of labelled pairs that share no ticket
with them. CPU seconds are of everything from opening the model to the table: cases, embeddings,
answers, intervals. They are CPU and no wall seconds, so a busy machine does not change them much.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence

import results_file

from honewheel import plugins
from honewheel.curate import labelled
from honewheel.demo import tickets
from honewheel.evaluate import metrics, pairs
from honewheel.evaluate.adversarial import cases, results
from honewheel.protocols import Model
from honewheel.records import Decoding, EvalRow, Item
from honewheel.settings import Adversarial
from honewheel.tasks.pairs import as_prompt
from honewheel.tasks.similarity import Similarity

TASK = "same_issue"
CASES, QUICK = 84, 20  # of each of 12 categories
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="240 cases")
    count = QUICK if parser.parse_args().quick else CASES
    judged, held = tickets.parted(SEED)
    policy = Adversarial().policy
    model = plugins.family("embedding").open("minilm", None)
    with model:
        dev = _pairs(labelled.make(held, task=TASK, one_side=True, seed=SEED))
        limit = pairs.threshold(_rows(model, dev))
        assert limit is not None
        started = time.process_time()
        made = cases.make(
            [one.text for one in judged], policy=policy, per_category=count, seed=SEED
        )
        items = [cases.item(case, TASK) for case in made]
        rows = _rows(model, items)
        table = results.table(made, {row.item: row.metrics["answer"] for row in rows}, limit)
        spent = time.process_time() - started
    found = {
        "adversarial_cases": results_file.metric(len(made), "cases"),
        "adversarial_cpu_s_1000": results_file.metric(spent * 1000 / len(made), "s"),
        "threshold": results_file.metric(limit, "cosine"),
    }
    for line in table:
        found[f"{line.category}_mean"] = results_file.metric(line.mean_answer, "cosine")
        if line.passed is not None:
            share = line.passed / line.cases
            found[f"{line.category}_passed"] = results_file.metric(
                share, "share", line.low, line.high
            )
    notes = [
        "Base all-MiniLM-L6-v2, untrained. Negation and its kin are to be answered below the "
        "threshold, typos and their kin at or above it; numbers, identifiers and names are only "
        "reported.",
        "The threshold has the best F1 on pairs of other tickets.",
    ]
    print(json.dumps(found, indent=2))
    print(results_file.write("adversarial", found, [SEED], notes))


def _pairs(made: labelled.Made) -> list[Item]:
    return [
        Item(
            id=f"p{number}",
            task=TASK,
            prompt=as_prompt(one.a.text, one.b.text),
            reference="1" if one.same else "0",
            group=f"p{number}",
        )
        for number, one in enumerate(made.pairs)
    ]


def _rows(model: Model, items: Sequence[Item]) -> list[EvalRow]:
    answers = list(model.predict(items, Decoding()))
    return metrics.rows("minilm@0", "bench", items, answers, Similarity().compare)


if __name__ == "__main__":
    main()
