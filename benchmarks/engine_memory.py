"""The memory estimate beside the peak that a training process really reaches.

    make bench-engine_memory                         about 2 minutes of one core
    python benchmarks/engine_memory.py --quick       the two smallest, not written

Each configuration trains three updates in a fresh process whose batches are all of the longest
length, so the widest pass that the estimate speaks of does occur. The peak is the kernel's own
(VmHWM); what the libraries take is measured where they have been imported and nothing is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine_data
import results_file
from results_file import metric

BASES = Path(__file__).parents[1] / ".bench" / "bases"
LENGTH, ROWS = range(380, 421), 16


@dataclass(frozen=True, slots=True)
class Case:
    size: str
    method: str
    precision: str
    batch: int
    tokens_per_pass: int = 8192
    vocabulary: int = 4096

    @property
    def name(self) -> str:
        kind = "bf16" if self.precision == "bfloat16" else "fp32"
        words = "" if self.vocabulary == 4096 else f"_{self.vocabulary // 1024}k"
        return f"{self.size}{words}_{self.method}_{kind}_{min(8 * 400, self.tokens_per_pass)}"


CASES = (
    Case("5m", "lora", "bfloat16", 8),
    Case("5m", "full", "float32", 8),
    Case("25m", "lora", "bfloat16", 8),
    Case("25m", "lora", "float32", 8),
    Case("25m", "lora", "float32", 8, tokens_per_pass=1000),
    Case("25m", "full", "bfloat16", 8),
    Case("25m", "lora", "float32", 8, vocabulary=32_768),
    Case("100m", "lora", "bfloat16", 8, tokens_per_pass=2000),
    Case("100m", "full", "float32", 8, tokens_per_pass=1000),
)


def measure(case: Case) -> dict[str, Any]:
    """Bytes estimated and reached, in a process of its own."""
    base = BASES / f"{case.size}-{case.vocabulary}"
    engine_data.base(base, case.size, case.vocabulary)
    given = json.dumps([str(base), case.method, case.precision, case.batch, case.tokens_per_pass])
    found = subprocess.run(
        [sys.executable, __file__, "--child", given],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def child(
    base: str, method: str, precision: str, batch: int, tokens_per_pass: int
) -> dict[str, Any]:
    """Train and tell: bytes of a bare Python, with the libraries, at the peak, and estimated."""
    bare = _status("VmRSS")
    from honewheel.families.causal_lm import training
    from honewheel.families.causal_lm.family import CausalLM
    from honewheel.records import Dataset, Spec

    family = CausalLM()
    settings = {key: rule.default for key, rule in family.ranges(method).items()} | {
        "precision": precision,
        "batch_size": batch,
        "tokens_per_pass": tokens_per_pass,
        "updates": 3,
    }
    _, hashed = family.resolve(base)
    spec = Spec(family="causal-lm", base=base, base_hash=hashed, method=method, settings=settings)
    found = (
        pair
        for pair in engine_data.pairs(4000, 3, 4096)
        if len(f"{pair[0]}{pair[1]}".split()) + 1 in LENGTH
    )
    rows = engine_data.examples([next(found) for _ in range(ROWS)])
    dataset = Dataset(hash="memory", train=tuple(rows), val=())
    estimate = family.estimate(spec, dataset)
    imported = _status("VmRSS")
    with tempfile.TemporaryDirectory() as folder:
        for _ in training.train(spec, dataset, Path(folder)):
            pass
    return {
        "bare": bare,
        "imported": imported,
        "peak": _status("VmHWM"),
        "estimate": estimate.total_bytes,
        "parts": dict(estimate.bytes_by_part),
    }


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(*json.loads(given.child))))
        return
    metrics: dict[str, Any] = {}
    worst = 0.0
    notes = ["estimate over measured peak of the whole process, less a bare Python; 1 is exact"]
    for case in CASES[:2] if given.quick else CASES:
        found = measure(case)
        ratio = found["estimate"] / (found["peak"] - found["bare"])
        worst = max(worst, abs(ratio - 1))
        metrics[f"estimate_over_peak_{case.name}"] = metric(ratio, "x")
        parts = {key: round(value / 1e6) for key, value in found["parts"].items()}
        line = (
            f"{case.name}: {(found['peak'] - found['bare']) / 1e6:.0f} MB reached, "
            f"{(found['imported'] - found['bare']) / 1e6:.0f} of them by imports, "
            f"{found['estimate'] / 1e6:.0f} estimated {parts}"
        )
        print(f"{ratio:.2f}  {line}", flush=True)
        notes.append(line)
    metrics["memory_estimate_worst_error"] = metric(worst, "share")
    if not given.quick:
        print(results_file.write("engine_memory", metrics, [0], notes))


if __name__ == "__main__":
    main()
