"""Pretrains the embedded base model from nothing.

One command makes the shipped weights: the corpus, the tokenizer, the batches and the schedule all
follow from the seed and the token budget. A stopped run goes on from its last checkpoint.
"""

import os

# Spinning OpenMP threads starve whatever shares the cores; set before torch starts its pool.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from batches import Batch, Position, batches
from tokenizer import train_tokenizer, vocabulary_size
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from export import export_model

HERE = Path(__file__).resolve().parent
# Two turns of warm-up, hold and decay: after the first, tables still went wrong (76 % of DDL ran on
# the demo's prompts), so the second, at a lower rate, is spent on them more than on the rest.
TURNS = (10_500_000, 4_500_000)
TURN_FACTORS = (1.0, 0.6)
DEFAULT_OUTPUT = HERE.parent / "src" / "honewheel" / "models" / "tiny"
WARMUP_TOKENS = 50_000
DECAY_START = 0.5
FINAL_FACTOR = 0.01
MUON_RATE = 4e-3
ADAM_RATE = 3e-3
BATCH_TOKENS = 4096
LOG_STEPS = 25
CHECKPOINT_SECONDS = 240.0
PREVIEW_SECONDS = 900.0


@dataclass
class Progress:
    """What a run has done so far."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    block: int = 0
    batch: int = 0


@dataclass
class Run:
    """Everything a training run holds."""

    tokenizer: PreTrainedTokenizerFast
    model: LlamaForCausalLM
    optimizers: list[torch.optim.Optimizer]
    progress: Progress
    seed: int


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained model; every row length is a multiple of 256, as K-quants need."""
    config = LlamaConfig(
        vocab_size=vocabulary_size(tokenizer),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


def build_optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices, AdamW for embeddings and norms."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() == 2 and "embed" not in name
        (matrices if is_matrix else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def rate_factor(tokens: int) -> float:
    """Warm up, hold, decay linearly, twice; of tokens only, so slow machines learn the same."""
    peak, start, budget = TURN_FACTORS[0], 0, TURNS[0]
    if tokens >= TURNS[0]:
        peak, start, budget = TURN_FACTORS[1], TURNS[0], TURNS[1]
    spent = tokens - start
    if spent < WARMUP_TOKENS:
        return peak * (spent + 1) / WARMUP_TOKENS
    done = min(1.0, spent / budget)
    if done < DECAY_START:
        return peak
    return peak * max(FINAL_FACTOR, (1 - done) / (1 - DECAY_START))


def set_rates(run: Run) -> float:
    """Set both optimizers' learning rates; returns the factor."""
    factor = rate_factor(run.progress.tokens)
    for optimizer, rate in zip(run.optimizers, (MUON_RATE, ADAM_RATE), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
    return factor


def matrix_precision() -> torch.autocast:
    """bfloat16 products where the processor has them; emulated they are many times slower."""
    enabled = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)


def answer_loss(model: LlamaForCausalLM, body: Callable[..., Any], batch: Batch) -> Tensor:
    """Cross-entropy on answer tokens; the LM head runs only where an answer token follows."""
    selected = batch.answer[:, 1:]
    with matrix_precision():
        hidden = body(input_ids=batch.ids, use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[:, :-1][selected])
    return cross_entropy(logits.float(), batch.ids[:, 1:][selected])


def save_checkpoint(run: Run, path: Path) -> None:
    """Write the state aside first, so that a crash never leaves half a checkpoint."""
    state = {
        "model": run.model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in run.optimizers],
        "progress": asdict(run.progress),
        "generator": torch.get_rng_state(),
        "seed": run.seed,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load_checkpoint(run: Run, path: Path) -> None:
    """Go on from a checkpoint."""
    state = torch.load(path, weights_only=True)
    if state["seed"] != run.seed:
        raise SystemExit(f"{path} belongs to a run with seed {state['seed']}, not {run.seed}")
    run.model.load_state_dict(state["model"])
    for optimizer, saved in zip(run.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    run.progress = Progress(**state["progress"])
    torch.set_rng_state(state["generator"])


def start_run(seed: int, checkpoint: Path) -> Run:
    """A fresh run, or the one the checkpoint holds."""
    torch.manual_seed(seed)
    tokenizer = train_tokenizer()
    model = build_model(tokenizer)
    run = Run(tokenizer, model, build_optimizers(model), Progress(), seed)
    if checkpoint.exists():
        load_checkpoint(run, checkpoint)
    return run


def train(run: Run, checkpoint: Path, preview: Path | None) -> None:
    """Train until both turns are spent."""
    budget = sum(TURNS)
    body = torch.compile(run.model.model, dynamic=True)
    progress = run.progress
    stream = batches(
        run.tokenizer, run.seed, BATCH_TOKENS, Position(progress.block, progress.batch)
    )
    losses: list[float] = []
    clock = saved = previewed = time.monotonic()
    run.model.train()
    while progress.tokens < budget:
        factor = set_rates(run)
        batch, position = next(stream)
        loss = answer_loss(run.model, body, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        for optimizer in run.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        now = time.monotonic()
        progress.step += 1
        progress.tokens += batch.tokens
        progress.seconds += now - clock
        progress.block, progress.batch = position.block, position.batch
        clock = now
        if progress.step % LOG_STEPS == 0:
            log(progress, budget, losses[-LOG_STEPS:], factor)
        if now - saved > CHECKPOINT_SECONDS:
            save_checkpoint(run, checkpoint)
            saved = now
        if preview and now - previewed > PREVIEW_SECONDS:
            export_model(run.model, run.tokenizer, preview)
            previewed = now
    save_checkpoint(run, checkpoint)


def log(progress: Progress, budget: int, losses: list[float], factor: float) -> None:
    """One line on how the run is doing."""
    speed = progress.tokens / max(progress.seconds, 1e-9)
    left = (budget - progress.tokens) / speed / 60
    print(
        f"step {progress.step} tokens {progress.tokens:,} loss {sum(losses) / len(losses):.4f} "
        f"rate x{factor:.3f} {speed:,.0f} tok/s {progress.seconds / 60:.1f} min, {left:.1f} left",
        flush=True,
    )


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="checkpoint folder")
    parser.add_argument("--preview", type=Path, help="folder for the weights so far, as they come")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.work / "checkpoint.pt"
    run = start_run(arguments.seed, checkpoint)
    print(f"{sum(p.numel() for p in run.model.parameters()):,} parameters", flush=True)
    train(run, checkpoint, arguments.preview)
    export_model(run.model, run.tokenizer, arguments.output)
    progress = run.progress
    print(
        f"done: {progress.step} steps, {progress.tokens:,} tokens, {progress.seconds / 60:.1f} min"
    )


if __name__ == "__main__":
    main()
