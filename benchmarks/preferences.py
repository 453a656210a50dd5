"""Which rate DPO and KTO learn from preferences at: held-out pairs, and what is forgotten.

    make bench-preferences                      24 trainings, some minutes of one core; resumable
    python benchmarks/preferences.py --quick    one training an objective, not written

The embedded model under LoRA, all other settings as they stand, four rates, three seeds. A pair is
a diagram in the demo team's house style, preferred to the same diagram in the style that the model
was trained on; for KTO each of both is an answer found good or bad. Measured on prompts that
nothing was trained on: the share of pairs whose preferred side gained more (DPO's own measure) and
of those where it is the likelier one, and the mean loss of accepted answers a token, of the same
task (the preferred sides) and of two others (tables and Gherkin), where a model that was pushed too
far forgets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import results_file
from results_file import metric

for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ[name] = value  # before torch is imported

LOG = Path(__file__).parents[1] / ".bench" / "preferences.jsonl"
OBJECTIVES, RATES, SEEDS = ("dpo", "kto"), (2.5e-4, 5e-4, 1e-3, 2e-3), (0, 1, 2)
TRAINED, HELD_OUT, LONGEST = 32, 24, 128  # pairs; prompts a task; tokens of a row
QUICK = 8  # pairs and prompts
BASE = "honewheel/tiny"
SHOWN = {
    "accuracy": ("held-out pairs whose preferred side gained more on the base", "share"),
    "likelier": ("held-out pairs whose preferred side is the likelier one", "share"),
    "margin": ("what the preferred side gained more on the base", "nats"),
    "loss": ("held-out loss of preferred answers", "nats/token"),
    "other_loss": ("held-out loss of accepted answers of two other tasks", "nats/token"),
}


def pairs(count: int, seed: int, split: str) -> list[Any]:
    """Preferences for house style, of diagrams that are short enough."""
    from honewheel.demo.house import house
    from honewheel.demo.plain import plain
    from honewheel.records import Pair

    return [
        Pair(
            id=one.id,
            task="erd",
            prompt=one.prompt,
            chosen=house(one),
            rejected=plain(one),
            group=one.id,
            split=split,  # type: ignore[arg-type]
            origin="correction",
        )
        for one in _short("erd", count, seed)
    ]


def accepted(kind: Any, count: int, seed: int) -> list[Any]:
    """Prompts of a task with the answers that are accepted there."""
    from honewheel.demo.plain import plain
    from honewheel.records import Example

    return [
        Example(
            id=one.id, task=kind, prompt=one.prompt, target=plain(one), group=one.id, split="test"
        )
        for one in _short(kind, count, seed)
    ]


def _short(kind: Any, count: int, seed: int) -> list[Any]:
    """Requirements whose prompt and plain answer are at most LONGEST tokens long."""
    from honewheel.demo.plain import plain
    from honewheel.demo.requirements import requirements

    encoder = _renderer()._tokenizer
    found = (
        one
        for one in requirements(kind, 8 * count, seed)
        if len(encoder(one.prompt + plain(one))["input_ids"]) <= LONGEST
    )
    return [one for _, one in zip(range(count), found, strict=False)]


def _renderer() -> Any:
    from honewheel.families.causal_lm.render import Renderer

    return Renderer(_base())


def _base() -> Path:
    from honewheel import plugins

    return plugins.family("causal-lm").resolve(BASE)[0]


def spec(objective: str, rate: float, seed: int) -> Any:
    from honewheel import plugins
    from honewheel.families.causal_lm.family import CausalLM
    from honewheel.records import Spec

    ranges = CausalLM().ranges("lora", objective)
    return Spec(
        family="causal-lm",
        base=BASE,
        base_hash=plugins.family("causal-lm").resolve(BASE)[1],
        method="lora",
        settings={key: rule.default for key, rule in ranges.items()} | {"learning_rate": rate},
        seed=seed,
    )


def dataset(count: int, seed: int) -> Any:
    """Pairs to learn from, and the same as rated answers; a fifth is held out for stopping."""
    from honewheel.records import Dataset, Rated, digest

    found = [*pairs(count, seed, "train"), *pairs(max(4, count // 5), seed + 500, "val")]
    rated = [
        Rated(
            id=f"{one.id}-{side}",
            task=one.task,
            prompt=one.prompt,
            output=getattr(one, side),
            desirable=side == "chosen",
            group=one.group,
            split=one.split,
        )
        for one in found
        for side in ("chosen", "rejected")
    ]
    name = digest(["preferences", count, seed])
    return Dataset(hash=name, train=(), val=(), pairs=tuple(found), rated=tuple(rated))


def measured(
    final: Path | None, held: Sequence[Any], others: Sequence[Any], before: Any = None
) -> tuple[dict[str, float], Any]:
    """What a version (None: the base) makes of held-out pairs and accepted answers, and by how
    much each preferred side is the likelier one; `before` is that of the base.
    """
    import torch

    from honewheel.families import adapters
    from honewheel.families.causal_lm import attention, loading
    from honewheel.families.causal_lm.scoring import Scorer
    from honewheel.families.causal_lm.units import encode

    attention.register()
    model = loading.load(_base(), attention=attention.NAME, full_precision=True)
    model = (model if final is None else adapters.load(model, final)).eval()
    scorer, renderer = Scorer(model, False, 4096), _renderer()
    sides = [row for rows in encode(held, renderer) for row in rows]
    rest = [rows[0] for rows in encode(others, renderer)]
    with torch.no_grad():
        likely = scorer.fixed_log_probs(sides).view(-1, 2)
        other = scorer.fixed_log_probs(rest)
    tokens = sum(row.loss_tokens for row in sides[::2])
    ahead = (likely[:, 0] - likely[:, 1]).double()
    gained = ahead - (ahead if before is None else before)
    return {
        "accuracy": (gained > 0).double().mean().item(),
        "likelier": (ahead > 0).double().mean().item(),
        "margin": gained.mean().item(),
        "loss": -likely[:, 0].sum().item() / tokens,
        "other_loss": -other.sum().item() / sum(row.loss_tokens for row in rest),
    }, ahead


def runs(known: set[Any], quick: bool) -> Iterator[dict[str, Any]]:
    """The base, then every training that is not in the log yet."""
    from honewheel import plugins
    from honewheel.demo.requirements import HELD_OUT_SEED

    count, size = (QUICK, QUICK) if quick else (TRAINED, HELD_OUT)
    family = plugins.family("causal-lm")
    held = pairs(size, HELD_OUT_SEED, "test")
    others = [one for kind in ("ddl", "gherkin") for one in accepted(kind, size, HELD_OUT_SEED)]
    found, before = measured(None, held, others)
    if ("base", 0.0, 0) not in known:
        yield _row("base", 0.0, 0, 0, found)
    for seed in SEEDS[: 1 if quick else None]:
        data = dataset(count, seed)
        for objective in OBJECTIVES:
            for rate in RATES[1:2] if quick else RATES:
                if (objective, rate, seed) in known:
                    continue
                with tempfile.TemporaryDirectory() as name:
                    steps = 0
                    for step in family.train(spec(objective, rate, seed), data, Path(name)):
                        steps = max(steps, step.step)
                    found = measured(Path(name) / "final", held, others, before)[0]
                yield _row(objective, rate, seed, steps, found)


def _row(
    objective: str, rate: float, seed: int, steps: int, found: dict[str, float]
) -> dict[str, Any]:
    return {"objective": objective, "rate": rate, "seed": seed, "steps": steps, **found}


def report(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Means over seeds with the lowest and the highest."""
    metrics: dict[str, Any] = {}
    for objective, rate in sorted({(row["objective"], row["rate"]) for row in rows}):
        label = objective if objective == "base" else f"{objective}_{rate:g}"
        some = [row for row in rows if (row["objective"], row["rate"]) == (objective, rate)]
        for key, (_, unit) in SHOWN.items():
            values = [row[key] for row in some]
            metrics[f"{label}_{key}"] = metric(
                statistics.fmean(values), unit, min(values), max(values)
            )
    steps = {one: {r["steps"] for r in rows if r["objective"] == one} for one in OBJECTIVES}
    return metrics, [
        *(f"{key}: {told}" for key, (told, _) in SHOWN.items()),
        f"{TRAINED} pairs, for KTO {2 * TRAINED} rated answers, LoRA, all other settings at their "
        f"defaults; updates: dpo {_span(steps['dpo'])}, kto {_span(steps['kto'])}; low and high "
        "are the lowest and the highest seed",
    ]


def _span(values: set[int]) -> str:
    return f"{min(values)} to {max(values)}" if values else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two small trainings, not written")
    given = parser.parse_args()
    log = Path(tempfile.mkdtemp()) / "quick.jsonl" if given.quick else LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    known = {(row["objective"], row["rate"], row["seed"]) for row in rows}
    for row in runs(known, given.quick):
        rows.append(row)
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        told = "  ".join(f"{key} {row[key]:.4f}" for key in SHOWN)
        print(f"{row['objective']:<5} {row['rate']:<9g} seed {row['seed']}  {told}")
        sys.stdout.flush()
    metrics, notes = report(rows)
    if given.quick:
        print(json.dumps(metrics, indent=1))
    else:
        print(results_file.write("preferences", metrics, SEEDS, notes))


if __name__ == "__main__":
    main()
