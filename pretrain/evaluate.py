"""Measures a model on requests it was not trained on, and how well it takes up a new style.

A third of the requests use held-out domains, a third made-up words, a third the lexicon. Greedy
decoding; validity by real checkers; exact match and line-F1 against the plain-style gold.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from checkers import is_valid
from corpus import KIND_WEIGHTS, Example, make_example
from lexicon import HELD_OUT_NOUNS
from spec import WordSource
from tokenizer import render_prompt
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from train import DEFAULT_OUTPUT, HERE, matrix_precision

HELD_OUT_SEED = 990_001
WORD_SOURCES: dict[str, WordSource] = {
    "lexicon": WordSource(pseudo_rate=0.0),
    "held-out domains": WordSource(nouns=tuple(sorted(HELD_OUT_NOUNS)), pseudo_rate=0.0),
    "made-up words": WordSource(pseudo_rate=0.8),
}
BATCH = 32


@dataclass(frozen=True)
class Scores:
    """Percentages over a set of requests."""

    count: int
    valid: float
    exact: float
    line_f1: float


def held_out(kind: str, count: int, seed: int = HELD_OUT_SEED) -> dict[str, list[Example]]:
    """Plain-style examples by where their words come from, `count` in all."""
    rng = random.Random(f"{seed}/{kind}")
    share = count // len(WORD_SOURCES)
    return {
        name: [make_example(rng, kind, "plain", source) for _ in range(share)]
        for name, source in WORD_SOURCES.items()
    }


def line_f1(gold: str, output: str) -> float:
    """F1 over the multisets of lines that are not blank."""
    wanted, got = (Counter(line for line in t.split("\n") if line.strip()) for t in (gold, output))
    common = sum((wanted & got).values())
    return 2 * common / max(1, wanted.total() + got.total())


def score(examples: list[Example], outputs: list[str]) -> Scores:
    """Scores of outputs against the examples' own outputs."""
    pairs = list(zip(examples, outputs, strict=True))

    def percent(values: list[float]) -> float:
        return round(100 * sum(values) / len(values), 1)

    return Scores(
        len(pairs),
        percent([float(is_valid(example, output)) for example, output in pairs]),
        percent([float(output.strip() == example.output.strip()) for example, output in pairs]),
        percent([line_f1(example.output, output) for example, output in pairs]),
    )


@torch.inference_mode()
def generate(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, examples: list[Example]
) -> list[str]:
    """Greedy outputs, in the order of the examples."""
    model.eval()
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].output))
    outputs = [""] * len(examples)
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        encoded = tokenizer(
            [render_prompt(examples[place].user_content) for place in places],
            add_special_tokens=False,
            padding=True,
            return_tensors="pt",
        )
        width = encoded["input_ids"].shape[1]
        with matrix_precision():
            generated = model.generate(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                max_new_tokens=min(512, 1024 - width),
                do_sample=False,
            )
        for place, ids in zip(places, generated[:, width:], strict=True):
            outputs[place] = tokenizer.decode(ids, skip_special_tokens=True)
    return outputs


def load(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The model in full precision and its tokenizer."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left")
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32), tokenizer


def evaluate_kind(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, kind: str, count: int
) -> tuple[dict[str, Scores], list[tuple[Example, str]]]:
    """Scores by word source and over all, with the outputs that are not exact."""
    groups = held_out(kind, count)
    examples = [example for group in groups.values() for example in group]
    outputs = generate(model, tokenizer, examples)
    results = {"all": score(examples, outputs)}
    start = 0
    for name, group in groups.items():
        results[name] = score(group, outputs[start : start + len(group)])
        start += len(group)
    misses = [(e, o) for e, o in zip(examples, outputs, strict=True) if o != e.output]
    return results, misses


def main() -> None:
    """Parse the command line, measure, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--count", type=int, default=150, help="requests per kind")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--show", type=int, default=0, help="outputs to print that are not exact")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model, tokenizer = load(arguments.model)
    report: dict[str, object] = {}
    for kind in KIND_WEIGHTS:
        began = time.monotonic()
        results, misses = evaluate_kind(model, tokenizer, kind, arguments.count)
        report[kind] = {name: asdict(scores) for name, scores in results.items()}
        print(kind, f"{time.monotonic() - began:.0f} s", *results.items(), sep="\n  ", flush=True)
        for example, output in misses[: arguments.show]:
            print(example.user_content, "--- wanted", example.output, "--- got", output, sep="\n")
    saved = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    saved["held_out"] = report
    arguments.results.write_text(json.dumps(saved, indent=2) + "\n")


if __name__ == "__main__":
    main()
