"""A whole cycle by stage: seconds from "events are in the store" to "the decision is written".

    make bench-cycle                                 500 and 5,000 stored events
    python benchmarks/cycle.py --only 50000          another number; results of all are merged
    python benchmarks/cycle.py --only 500 --soup .bench/soup/bin/soup    and soup-cli beside it
    python benchmarks/cycle.py --only 500 --base 25m     a random base of 25 million parameters
    python benchmarks/cycle.py --quick               a few of everything, not written

The embedded model (or a random one, whose answers end after 64 tokens), three tasks, 20 updates
whatever the number of events, 10 rolling test prompts a task. Taking in (checks, near-duplicates,
splits) is part of the cycle: the events lie in the log as an application would have left them. Then
ten more arrive and the wheel turns again: whoever has answered a prompt before must not be asked it
a second time. Seconds are CPU seconds of this process and of the training child.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import curation_log
import cycle_soup
import engine_data
import results_file
from results_file import metric

import honewheel as hw
from honewheel import plugins
from honewheel.loop import proof
from honewheel.records import Progress

LOG = Path(__file__).parents[1] / ".bench" / "cycle.json"
SIZES, LATER, MOST_CORRECTED, PANEL, UPDATES = (500, 5_000), 10, 400, 10, 20
QUICK = (60, 2, 2, 24)  # events, updates, prompts a task, tokens of an answer
VOCABULARY, RANDOM_TOKENS = 4096, 64
STAGES = ("build", "train", "evaluate", "gate")


class Watch:
    """CPU and wall seconds by stage, and how many prompts each version was asked."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.wall: dict[str, float] = {}
        self.asked: Counter[str] = Counter()
        self.begun = self._now()

    def __call__(self, step: Progress) -> None:
        if step.stage in STAGES and step.total == 1:
            cpu, wall = self._now()
            if step.step == 1:
                self.seconds[step.stage] = cpu - self.begun[0]
                self.wall[step.stage] = wall - self.begun[1]
            self.begun = cpu, wall
        elif step.stage == "evaluate":
            self.asked[step.message] = max(self.asked[step.message], step.total)

    @staticmethod
    def _now() -> tuple[float, float]:
        spent = [
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ]
        return sum(one.ru_utime + one.ru_stime for one in spent), time.perf_counter()


def rows(start: int, stop: int, corrected: int) -> list[dict[str, Any]]:
    """Feedback rows: every second one corrected until `corrected` are, the others accepted."""
    found = []
    for number in range(start, stop):
        one = curation_log.asked(number)
        at = curation_log.NOW - timedelta(minutes=10 * (stop - number))
        row: dict[str, Any] = {"id": one.id, "task": one.task}
        row |= {"prompt": one.prompt, "output": one.output}
        row |= {"source": f"user-{number % 40:02d}", "created_at": at.isoformat()}
        if number % 2 == 0 and number // 2 < corrected:
            row["correction"] = one.output.replace("    int ", "    bigint ")
        else:
            row["thumb"] = 1
        found.append(row)
    return found


def write(path: Path, found: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return path


def panel(wheel: Any) -> set[str]:
    """The prompts that judge now."""
    seq = wheel.store.log.last_seq()
    suites = proof.panels(wheel.store, wheel.config, "artifacts", seq, [])
    return {item.id for suite in suites for item in suite.items}


def measure(
    events: int,
    soup: Path | None = None,
    updates: int = UPDATES,
    prompts: int = PANEL,
    tokens: int | None = None,
    *,
    base: str | None = None,
) -> dict[str, Any]:
    """Two cycles on a store with so many events, and what soup-cli takes for the first."""
    with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as name:
        folder = Path(name)
        curation_log.project(folder)
        flags = [f"models.artifacts.train.updates={updates}", f"evaluate.panel_size={prompts}"]
        flags += [f"curate.max_examples={MOST_CORRECTED}"]
        if base:
            place = LOG.parent / "bases" / f"{base}-{VOCABULARY}"
            flags += [f"models.artifacts.base={engine_data.base(place, base, VOCABULARY)}"]
        flags += [f"evaluate.max_new_tokens={tokens}"] if tokens else []
        with hw.open(folder, set=flags, environment={}) as wheel:
            wheel.import_file(write(folder / "first.jsonl", rows(0, events, MOST_CORRECTED)))
            first = Watch()
            verdict = wheel.cycle(on_progress=first).verdict
            judged = panel(wheel)
            rival = peer(soup, wheel, folder, updates) if soup else {}
            known = {version.name for version in wheel.versions()}
            more = rows(events, events + LATER, events)
            wheel.import_file(write(folder / "later.jsonl", more))
            second = Watch()
            wheel.cycle(on_progress=second)
            newcomers = len(panel(wheel) - judged)
            asked = {name: count for name, count in second.asked.items() if name in known}
    # Whoever has answered a prompt is not asked it again: only what joined the panel is new.
    assert all(count <= newcomers for count in asked.values()), (asked, newcomers)
    return {
        "events": events,
        "base": base or "",
        "load": os.getloadavg()[0],
        "verdict": verdict,
        "prompts": len(judged),
        "newcomers": newcomers,
        "asked_again": sum(max(0, count - newcomers) for count in asked.values()),
        "first": first.seconds,
        "first_wall": first.wall,
        "second": second.seconds,
        "soup": rival,
    }


def peer(soup: Path, wheel: Any, folder: Path, updates: int) -> dict[str, float]:
    """soup-cli on the base, the rows and the prompts of the cycle that has just ended."""
    version = wheel.versions()[-1]
    seq = wheel.store.cycles.get(version.cycle).as_of_seq
    suites = proof.panels(wheel.store, wheel.config, "artifacts", seq, [])
    work = folder / "soup"
    work.mkdir()
    return cycle_soup.measure(
        soup,
        plugins.family("causal-lm").resolve(version.base)[0],
        wheel.store.datasets.load(version.dataset).train,
        [item.prompt for suite in suites for item in suite.items],
        work,
        updates=updates,
        most_tokens=wheel.config.settings.evaluate.max_new_tokens,
        settings=wheel.config.hyperparameters("artifacts"),
    )


def report(found: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    metrics: dict[str, Any] = {}
    notes = [
        f"CPU seconds; {UPDATES} updates, at most {PANEL} test prompts a task; soup-cli is counted "
        "with training and the answers of base and challenger, ours with the whole cycle from "
        "taking in to the decision"
    ]
    for one in found:
        size = f"{one['events']}_{one['base']}".rstrip("_")
        metrics[f"cycle_seconds_{size}"] = metric(sum(one["first"].values()), "CPU s")
        metrics[f"second_cycle_seconds_{size}"] = metric(sum(one["second"].values()), "CPU s")
        for stage in STAGES:
            metrics[f"{stage}_seconds_{size}"] = metric(one["first"].get(stage, 0.0), "CPU s")
        metrics[f"prompts_asked_again_{size}"] = metric(one["asked_again"], "prompts")
        if rival := one.get("soup"):
            ours = sum(one["first"].values())
            ratio = metric(sum(rival.values()) / ours, "x")
            metrics.setdefault("cycle_cpu_ratio_vs_soup", ratio)  # of the fewest events
            notes.append(
                f"{size}: soup-cli took {rival['train']:.1f} CPU s to train and "
                f"{rival['answer']:.1f} to answer, ours {one['first']['train']:.1f} and "
                f"{one['first']['evaluate']:.1f} of {ours:.1f}"
            )
        wall = sum(one["first_wall"].values())
        notes.append(
            f"{size}: {one['verdict']} on {one['prompts']} prompts, {one['newcomers']} new "
            f"ones in the second cycle; {wall:.0f} s of wall time at load {one['load']:.1f}"
        )
    return metrics, notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=int, help="this number of events")
    parser.add_argument("--base", choices=sorted(engine_data.SIZES), help="a random base's size")
    parser.add_argument("--soup", type=Path, help="the soup command, to be measured too")
    parser.add_argument("--report", action="store_true", help="write what was measured so far")
    given = parser.parse_args()
    if given.quick:
        events, *less = QUICK
        print(json.dumps(report([measure(events, given.soup, *less)])[0], indent=1))
        return
    LOG.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(LOG.read_text()) if LOG.is_file() else []
    sizes = (given.only,) if given.only else () if given.report else SIZES
    for size in sizes:
        tokens = RANDOM_TOKENS if given.base else None
        found = measure(size, given.soup, tokens=tokens, base=given.base)
        same = {key: found[key] for key in ("events", "base")}
        known = [one for one in known if not same.items() <= one.items()] + [found]
        LOG.write_text(json.dumps(known))
    metrics, notes = report(sorted(known, key=lambda one: (one["base"], one["events"])))
    print(json.dumps(metrics, indent=1))
    print(results_file.write("cycle", metrics, [0], notes))


if __name__ == "__main__":
    main()
