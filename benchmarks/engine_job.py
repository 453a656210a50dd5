"""The whole training job in a process of its own, imports and saving included: ours, and TRL's.

54 pairs, 28 million parameters, batches of 8, 3 epochs; or 5,000 pairs, once. `python
engine_job.py BASE OUT SEED PAIRS EPOCHS` is the rival: its leanest setting, padding_free in
bfloat16.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import engine_data

PAIRS, EPOCHS = 54, 3
MANY = 5_000  # pairs of the large job, shown once


def ours(base: Path, seed: int, pairs: int = PAIRS, epochs: int = EPOCHS) -> float:
    """CPU seconds of the training child, from its start to the sealed adapter."""
    from honewheel.train import inputs
    from honewheel.train.process import environment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec, dataset = _asked(base, seed, pairs, epochs)
        inputs.write(folder, inputs.Inputs("causal-lm", spec, dataset, 1))
        found = cpu([sys.executable, "-m", "honewheel.train.child", name], environment(1))
        assert (folder / "final" / "adapter_model.safetensors").is_file()
    return found


def _asked(base: Path, seed: int, pairs: int, epochs: int) -> tuple[Any, Any]:
    """Spec and dataset of a job."""
    from honewheel import plugins
    from honewheel.records import Dataset, Spec, dataset_hash

    family = plugins.family("causal-lm")
    train = tuple(engine_data.examples(engine_data.pairs(pairs, seed)))
    settings = {key: rule.default for key, rule in family.ranges("lora").items()}
    spec = Spec(
        family="causal-lm",
        base=str(base),
        base_hash=family.resolve(str(base))[1],
        method="lora",
        settings=settings | {"epochs": epochs},
        seed=seed,
    )
    return spec, Dataset(hash=dataset_hash(train, ()), train=train, val=())


def warm(base: Path, seed: int, pairs: int, epochs: int) -> tuple[float, float]:
    """CPU seconds of the same training in a process of its own and as a fork of a warm one."""
    from honewheel.train.run import run
    from honewheel.train.warm import WarmProcess

    spec, dataset = _asked(base, seed, pairs, epochs)
    with tempfile.TemporaryDirectory() as name, WarmProcess() as process:
        folder = Path(name)
        for part in ("loads", "forked"):
            known = 0.0 if process.pid is None else _forks_of(process.pid)
            run("causal-lm", spec, dataset, folder / part, lambda _: None, threads=1, warm=process)
        assert process.pid is not None
        forked = _forks_of(process.pid) - known
        before = _children()
        run("causal-lm", spec, dataset, folder / "cold", lambda _: None, threads=1)
        return _children() - before, forked


def _forks_of(pid: int) -> float:
    """CPU seconds of the ended children of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def trl(base: Path, seed: int, pairs: int = PAIRS, epochs: int = EPOCHS) -> float:
    """CPU seconds of a process that does the same with TRL."""
    with tempfile.TemporaryDirectory() as out:
        words = [sys.executable, __file__, *map(str, (base, out, seed, pairs, epochs))]
        found = cpu(words, {**os.environ, "OMP_NUM_THREADS": "1"})
        assert (Path(out) / "adapter_model.safetensors").is_file()
    return found


def cpu(words: Sequence[str], environment: dict[str, str], folder: Path | None = None) -> float:
    """CPU seconds of a process and its children. Raises RuntimeError when it fails."""
    before = _children()
    # The pipe stays open: the training child ends when its parent's end is closed.
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        if process.wait() != 0:
            raise RuntimeError(said.decode()[-2000:])
    return _children() - before


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main(base: str, out: str, seed: str, pairs: str, epochs: str) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    found = engine_data.pairs(int(pairs), int(seed))
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        args=SFTConfig(
            output_dir=out,
            per_device_train_batch_size=8,
            num_train_epochs=int(epochs),
            learning_rate=2e-3,
            seed=int(seed),
            bf16=True,
            gradient_checkpointing=False,
            padding_free=True,
            max_length=None,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": a, "completion": b} for a, b in found]),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(
            r=16, lora_alpha=8, use_rslora=True, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    trainer.train()
    trainer.save_model(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
