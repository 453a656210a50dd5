"""Polishes pretrained weights: three short rounds at low rates on what the turns left weak.

The turns left the model without a clear default style (the same request phrased another way led to
a made-up one) and with slips in copying long names: the first round shows the plain style more
often and tables more than the rest. Requests that say SQL or CREATE TABLE in capitals, which the
corpus never did, still went wrong: the second round says them so. Once tuned to a house style, the
model miscopied words of several tokens: the third round is spent on styles that nobody has seen.
AdamW for all weights: small steps need no Muon.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from batches import BROAD_BLOCK, POLISH_BLOCK, PROPER_BLOCK, Position, batches
from tokenizer import train_tokenizer
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from export import export_model
from train import BATCH_TOKENS, DEFAULT_OUTPUT, LOG_STEPS, Progress, answer_loss, log

WARMUP_TOKENS = 100_000
FINAL_FACTOR = 0.02
PREVIEW_TOKENS = 500_000


@dataclass(frozen=True)
class Round:
    """Tokens, highest rate, and the block of the stream that it starts with."""

    tokens: int
    peak: float
    block: int

    def rate(self, tokens: int) -> float:
        """Warm up, then fall linearly; of tokens only, so slow machines learn the same."""
        if tokens < WARMUP_TOKENS:
            return self.peak * (tokens + 1) / WARMUP_TOKENS
        return self.peak * max(FINAL_FACTOR, 1 - tokens / self.tokens)


ROUNDS = (
    Round(tokens=5_000_000, peak=8e-4, block=POLISH_BLOCK),
    Round(tokens=2_500_000, peak=6e-4, block=PROPER_BLOCK),
    Round(tokens=5_000_000, peak=1e-3, block=BROAD_BLOCK),
)


def polish(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    plan: Round,
    preview: Path | None,
) -> Progress:
    """Train all weights for one round; `preview` gets the weights now and then."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.peak, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    stream = batches(tokenizer, seed, BATCH_TOKENS, Position(plan.block, 0))
    body = torch.compile(model.model, dynamic=True)
    progress, losses, shown = Progress(), list[float](), 0
    started = time.monotonic()
    model.train()
    while progress.tokens < plan.tokens:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(progress.tokens)
        batch, _ = next(stream)
        loss = answer_loss(model, body, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        progress.step += 1
        progress.tokens += batch.tokens
        progress.seconds = time.monotonic() - started
        if progress.step % LOG_STEPS == 0:
            factor = plan.rate(progress.tokens) / plan.peak
            log(progress, plan.tokens, losses[-LOG_STEPS:], factor)
        if preview and progress.tokens // PREVIEW_TOKENS > shown:
            shown = progress.tokens // PREVIEW_TOKENS
            export_model(model, tokenizer, preview)
    return progress


def main() -> None:
    """Parse the command line, polish, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--start", type=Path, default=DEFAULT_OUTPUT, help="folder of train.py")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--preview", type=Path, help="folder for the weights so far, as they come")
    parser.add_argument("--rounds", type=int, nargs="*", default=[1, 2, 3], choices=(1, 2, 3))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    model = LlamaForCausalLM.from_pretrained(arguments.start, dtype=torch.float32)
    tokenizer = train_tokenizer()
    for number in arguments.rounds:
        plan = ROUNDS[number - 1]
        done = polish(model, tokenizer, arguments.seed, plan, arguments.preview)
        minutes = done.seconds / 60
        print(f"round {number}: {done.step} steps, {done.tokens:,} tokens, {minutes:.1f} min")
        export_model(model, tokenizer, arguments.output)


if __name__ == "__main__":
    main()
