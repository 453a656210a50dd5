"""The nearest peer beside a cycle: soup-cli trains on the same rows and answers the same prompts.

    python -m venv .bench/soup
    .bench/soup/bin/pip install soup-cli "trl<1.0" torch transformers peft accelerate datasets
    python benchmarks/cycle.py --only 500 --soup .bench/soup/bin/soup

It has an environment of its own because it pins older packages than ours. Its commands are those
of a user: `soup train` with the rank, rate and batch of ours for as many updates, `soup infer` with
the base and with the adapter, greedy, in batches of 16. It does not curate, decide or promote; what
is counted are the CPU seconds of its processes, one thread each.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import engine_job

from honewheel.records import Example

BATCH = 8


def measure(
    soup: Path,
    base: Path,
    rows: Sequence[Example],
    prompts: Sequence[str],
    folder: Path,
    *,
    updates: int,
    most_tokens: int,
    settings: dict[str, Any],
) -> dict[str, float]:
    """CPU seconds of training and of answering in `folder`, which is empty."""
    shown = itertools.islice(itertools.cycle(rows), updates * BATCH)
    _write(folder / "train.jsonl", [{"messages": _messages(row)} for row in shown])
    _write(folder / "prompts.jsonl", [{"prompt": prompt} for prompt in prompts])
    (folder / "soup.yaml").write_text(json.dumps(_config(base, settings)))  # JSON is YAML
    answer = ["infer", "-i", "prompts.jsonl", "-t", "0", "--batch-size", "16", "--device", "cpu"]
    answer += ["--max-tokens", str(most_tokens)]
    asked = (
        ["-m", "output", "-b", str(base), "-o", "challenger.jsonl"],
        ["-m", str(base), "-o", "base.jsonl"],
    )
    found = {"train": _cpu(soup, folder, ["train", "-c", "soup.yaml", "--yes"])}
    found["answer"] = sum(_cpu(soup, folder, [*answer, *more]) for more in asked)
    for name in ("challenger", "base"):
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(prompts), (name, len(lines))
    return found


def _config(base: Path, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "base": str(base),
        "task": "sft",
        "data": {
            "train": "./train.jsonl",
            "format": "chatml",
            "val_split": 0,
            "max_length": settings["max_tokens"],
        },
        "training": {
            "epochs": 1,
            "lr": settings["learning_rate"],
            "batch_size": BATCH,
            "gradient_accumulation_steps": 1,
            "lora": {
                "r": settings["rank"],
                "alpha": settings["alpha"],
                "target_modules": "all-linear",
            },
            "quantization": "none",
        },
        "output": "./output",
    }


def _messages(row: Example) -> list[dict[str, str]]:
    said = (("user", row.prompt), ("assistant", row.target))
    return [{"role": role, "content": text} for role, text in said]


def _write(path: Path, rows: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _cpu(soup: Path, folder: Path, words: Sequence[str]) -> float:
    environment = {
        **os.environ,
        "HOME": str(folder),  # it keeps records of its own there
        "SOUP_NO_AUDIT_LOG": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(soup.absolute()), "--no-telemetry", "--no-audit-log", *words]
    return engine_job.cpu(command, environment, folder)
