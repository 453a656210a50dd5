"""What the watch promises, simulated: false rollbacks, and how fast a bad version goes.

Every request is answered by champion or canary, split at random by the share, and judged right or
wrong; the evidence is looked at after every outcome, as `loop/watch.py` does. A deployment ends
when it is rolled back, or when it became champion and its watch against the record is over. No
store and no model: `evaluate/trial.py` as it is, with the default settings.

    make bench-watch                       1,000 deployments of equal versions, 200 of worse ones
    python benchmarks/watch.py --quick     a tenth of them, same metrics, not written
"""

from __future__ import annotations

import argparse
import random
import statistics
from dataclasses import dataclass

import results_file
from results_file import metric

from honewheel.evaluate import trial
from honewheel.evaluate.trial import Record
from honewheel.settings import Watch

EQUAL, WORSE = 1_000, 200
ACCEPTED = 0.8  # of the champion's outputs
LIMIT = 30_000  # outcomes after which a deployment that is still undecided is given up
Z95 = 1.96


@dataclass(frozen=True)
class Ending:
    rolled_back: bool
    stage: str
    requests: int


def deployment(seed: int, settings: Watch, champion: float, canary: float) -> Ending:
    """One deployment; `champion` and `canary` are the chances that an output is accepted."""
    rng = random.Random(seed)
    margin, requests = settings.margin / 100, 0
    found, old = trial.two_arms(settings.share, margin), Record()
    word: trial.Word = "unclear"
    while word == "unclear" and requests < LIMIT:
        requests += 1
        chosen = rng.random() < settings.share
        value = float(rng.random() < (canary if chosen else champion))
        old = old if chosen else old.add(value)
        found = found.add("trial" if chosen else "champion", value)
        word = trial.verdict(found, alpha=settings.alpha, least=settings.min_outcomes)
    if word != "not worse":
        return Ending(word == "worse", "canary", requests)
    found = trial.against(old, settings.alpha, margin)
    for _ in range(settings.after_outcomes):
        requests += 1
        found = found.add("trial", float(rng.random() < canary))
        if trial.verdict(found, alpha=settings.alpha, least=settings.min_outcomes) == "worse":
            return Ending(True, "champion", requests)
    return Ending(False, "kept", requests)


def rate(hits: int, count: int) -> tuple[float, float, float]:
    """(share, low, high): Wilson's 95 % interval."""
    share, square = hits / count, Z95 * Z95
    middle = (share + square / (2 * count)) / (1 + square / count)
    spread = (share * (1 - share) / count + square / (4 * count * count)) ** 0.5
    half = Z95 * spread / (1 + square / count)
    return share, max(0.0, middle - half), min(1.0, middle + half)


def false_rollbacks(count: int) -> dict[str, object]:
    settings = Watch(mode="canary")
    found = [deployment(seed, settings, ACCEPTED, ACCEPTED) for seed in range(count)]
    hits = sum(one.rolled_back for one in found)
    value, low, high = rate(hits, count)
    kept = [one.requests - settings.after_outcomes for one in found if one.stage == "kept"]
    return {
        "false_rollback_rate": metric(value, "share of deployments", low, high),
        "requests_to_champion_equal": metric(statistics.median(kept), "rated requests"),
        "undecided_equal": metric(
            sum(one.stage == "canary" and not one.rolled_back for one in found) / count, "share"
        ),
    }


def caught(count: int, share: float, drop: float, name: str) -> dict[str, object]:
    settings = Watch(mode="canary", share=share)
    found = [deployment(seed, settings, ACCEPTED, ACCEPTED - drop) for seed in range(count)]
    taken = sorted(one.requests for one in found if one.rolled_back)
    value, low, high = rate(len(taken), count)
    edge = taken[min(len(taken) - 1, int(0.9 * len(taken)))]
    return {
        f"requests_to_rollback_{name}": metric(
            statistics.median(taken), "rated requests, median", taken[len(taken) // 10], edge
        ),
        f"rolled_back_{name}": metric(value, "share of deployments", low, high),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, not written")
    quick = parser.parse_args().quick
    equal, worse = (EQUAL // 10, WORSE // 10) if quick else (EQUAL, WORSE)
    metrics = false_rollbacks(equal)
    metrics |= caught(worse, 0.1, 0.10, "10pt")
    metrics |= caught(worse, 0.5, 0.10, "10pt_half")
    metrics |= caught(worse, 0.1, 0.30, "30pt")
    for key, one in metrics.items():
        print(key, one)
    if not quick:
        plain = Watch()
        notes = [
            f"{equal:,} deployments of equal versions, {worse} of each worse one; the seeds are "
            f"the first and the last. Outputs of the champion are accepted with probability "
            f"{ACCEPTED}.",
            f"Default settings: share {plain.share}, alpha {plain.alpha}, margin {plain.margin}, "
            f"min_outcomes {plain.min_outcomes}, after_outcomes {plain.after_outcomes}; _half has "
            "share 0.5.",
            "A rated request is one that somebody said something of; where one in five is, five "
            "times as many requests are needed. low and high of requests are the 10 % and 90 % "
            "points, of shares a 95 % interval.",
        ]
        print(results_file.write("watch", metrics, (0, equal - 1), notes))


if __name__ == "__main__":
    main()
