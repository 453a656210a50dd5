"""Whether the model can be taught a house style it never saw.

Trains LoRA adapters on requests answered in an ER diagram style built from letter pairs that are
reserved (no training example has them), with and without replaying the model's own answers to
other kinds of request, and measures all kinds before and after.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import random
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from batches import encode, pad
from corpus import Example
from kind_tables import render_erd
from lexicon import TypeClass
from peft import LoraConfig, get_peft_model
from phrasing import model_request
from spec import sample_model
from styles import Naming, TableStyle
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from evaluate import WORD_SOURCES, Scores, generate, held_out, load, score
from train import DEFAULT_OUTPUT, HERE, answer_loss

PROBE_STYLE = TableStyle(
    naming=Naming(
        plural=True,
        table_prefix="zq_",
        primary_key="{e}_vk",
        foreign_key="jx_{e}",
        column_suffix="_wz",
    ),
    types={
        TypeClass.INT: "qxint",
        TypeClass.DECIMAL: "qxnum",
        TypeClass.STRING: "qxtext",
        TypeClass.DATE: "qxday",
    },
    key_type="xqkey",
    last_columns=(("qxday", "vk_stamp"), ("qxtext", "vk_author")),
    quote_labels=True,
    label_prefix="wz_",
)
OTHER_KINDS = ("ddl", "query", "gherkin", "cases")
LEARNING_RATE = 2e-3
BATCH_SIZE = 8


@dataclass(frozen=True)
class Probe:
    """One adaptation: how it was trained and the scores before and after, by kind."""

    name: str
    steps: int
    seconds: float
    before: dict[str, Scores]
    after: dict[str, Scores]


def probe_examples(seed: int, count: int, held_out_words: bool) -> list[Example]:
    """ER diagram requests answered in the probe style."""
    rng = random.Random(f"probe/{seed}")
    sources = tuple(WORD_SOURCES.values())
    examples = []
    for number in range(count):
        source = sources[number % 3] if held_out_words else sources[(0, 2)[number % 2]]
        model = sample_model(rng, source)
        prompt = model_request(rng, "erd", model)
        examples.append(Example("erd", "probe", prompt, render_erd(model, PROBE_STYLE)))
    return examples


def train_adapter(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    examples: list[Example],
    epochs: int,
) -> tuple[LlamaForCausalLM, int, float]:
    """The model with a trained adapter, the steps and the seconds it took."""
    torch.manual_seed(0)
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    inner = adapted.get_base_model()
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.0)
    encoded = encode(tokenizer, examples)
    pad_id = int(tokenizer.convert_tokens_to_ids("<|pad|>"))
    total = epochs * -(-len(encoded) // BATCH_SIZE)
    rng = random.Random(0)
    step, began = 0, time.monotonic()
    adapted.train()
    for _ in range(epochs):
        rng.shuffle(encoded)
        for start in range(0, len(encoded), BATCH_SIZE):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 10) * (1 - step / total)
            loss = answer_loss(inner, inner.model, pad(encoded[start : start + BATCH_SIZE], pad_id))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
    return adapted.merge_and_unload(), step, time.monotonic() - began


def measure(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, test: dict[str, list[Example]]
) -> dict[str, Scores]:
    """Scores by kind."""
    return {kind: score(group, generate(model, tokenizer, group)) for kind, group in test.items()}


def replayed(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, count: int
) -> list[Example]:
    """The model's own answers to requests of the other kinds."""
    requests = [
        example
        for kind in OTHER_KINDS
        for group in held_out(kind, count // len(OTHER_KINDS), seed=55).values()
        for example in group
    ]
    outputs = generate(model, tokenizer, requests)
    return [
        replace(example, output=output) for example, output in zip(requests, outputs, strict=True)
    ]


def main() -> None:
    """Parse the command line, run both probes, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--replay", type=int, default=108)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--count", type=int, default=60, help="test requests per kind")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    test = {"erd": probe_examples(2, arguments.count, held_out_words=True)}
    for kind in OTHER_KINDS:
        test[kind] = [e for group in held_out(kind, arguments.count).values() for e in group]
    model, tokenizer = load(arguments.model)
    before = measure(model, tokenizer, test)
    print("before", before, flush=True)
    lesson = probe_examples(1, arguments.examples, held_out_words=False)
    memory = replayed(model, tokenizer, arguments.replay)
    probes = []
    for name, examples in (("style alone", lesson), ("with replay", lesson + memory)):
        model, tokenizer = load(arguments.model)
        model, steps, seconds = train_adapter(model, tokenizer, examples, arguments.epochs)
        after = measure(model, tokenizer, test)
        probes.append(Probe(name, steps, round(seconds, 1), before, after))
        print(name, f"{steps} steps, {seconds:.0f} s", after, flush=True)
    saved = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    saved["adaptation"] = [asdict(probe) for probe in probes]
    arguments.results.write_text(json.dumps(saved, indent=2) + "\n")


if __name__ == "__main__":
    main()
