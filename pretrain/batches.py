"""Length-bucketed batches from the example stream, addressable by position."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from corpus import (
    BROAD_STYLE_WEIGHTS,
    LATE_KIND_WEIGHTS,
    POLISH_KIND_WEIGHTS,
    POLISH_STYLE_WEIGHTS,
    Example,
    make_example,
)
from drills import make_drill
from phrasing import proper_names
from tokenizer import END, render_prompt
from torch import Tensor
from transformers import PreTrainedTokenizerFast

BLOCK_SIZE = 768
# Training begins with drills alone, goes on with half drills and mostly plain artifacts, and takes
# smaller steps of tokens meanwhile: finding out that copying pays needs steps more than tokens.
PURE_DRILL_BLOCKS = 16
HALF_DRILL_BLOCKS = 32
# The first block after the first turn of the schedule (train.py); from here tables come more often.
LATE_BLOCK = 91
# The three rounds of the polish (polish.py) start here, well behind the last block of the turns.
# From the second on, requests name languages and keywords in capitals, which the turns never saw;
# in the third, half of the styles are made up.
POLISH_BLOCK = 1000
PROPER_BLOCK = 2000
BROAD_BLOCK = 3000
PROPER_SHARE = 0.7
EARLY_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Position:
    """Where in the stream training is: a block of examples and a batch in it."""

    block: int = 0
    batch: int = 0


@dataclass(frozen=True)
class Batch:
    """Token ids, the mask of answer tokens, and the number of tokens that are not padding."""

    ids: Tensor
    answer: Tensor
    tokens: int


Encoded = tuple[list[int], int]


def encode(tokenizer: PreTrainedTokenizerFast, examples: list[Example]) -> list[Encoded]:
    """Token ids of each example with the length of its prompt."""
    prompts = [render_prompt(example.user_content) for example in examples]
    answers = [example.output + END for example in examples]
    heads = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    tails = tokenizer(answers, add_special_tokens=False)["input_ids"]
    return [(head + tail, len(head)) for head, tail in zip(heads, tails, strict=True)]


def pad(group: list[Encoded], pad_id: int) -> Batch:
    """Right-padded batch; causal attention makes an attention mask needless."""
    width = max(len(ids) for ids, _ in group)
    ids = torch.full((len(group), width), pad_id)
    answer = torch.zeros(len(group), width, dtype=torch.bool)
    for row, (tokens, start) in enumerate(group):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        answer[row, start : len(tokens)] = True
    return Batch(ids, answer, sum(len(tokens) for tokens, _ in group))


def _bucket(encoded: list[Encoded], batch_tokens: int) -> list[list[Encoded]]:
    groups: list[list[Encoded]] = []
    current: list[Encoded] = []
    for item in sorted(encoded, key=lambda pair: len(pair[0])):
        if current and (len(current) + 1) * len(item[0]) > batch_tokens:
            groups.append(current)
            current = []
        current.append(item)
    return [*groups, current]


def block_examples(rng: random.Random, block: int) -> list[Example]:
    """The examples of a block."""
    if block >= POLISH_BLOCK:
        weights = POLISH_KIND_WEIGHTS
        styles = POLISH_STYLE_WEIGHTS if block < BROAD_BLOCK else BROAD_STYLE_WEIGHTS
        made = [make_example(rng, weights=weights, style_weights=styles) for _ in range(BLOCK_SIZE)]
        return made if block < PROPER_BLOCK else [_proper(rng, example) for example in made]
    if block >= LATE_BLOCK:
        return [make_example(rng, weights=LATE_KIND_WEIGHTS) for _ in range(BLOCK_SIZE)]
    if block >= HALF_DRILL_BLOCKS:
        return [make_example(rng) for _ in range(BLOCK_SIZE)]
    drills = [make_drill(rng) for _ in range(BLOCK_SIZE)]
    if block < PURE_DRILL_BLOCKS:
        return drills
    mostly_plain = ("plain", "plain", "plain", None)
    return drills + [
        make_example(rng, style=rng.choice(mostly_plain)) for _ in range(BLOCK_SIZE // 2)
    ]


def _proper(rng: random.Random, example: Example) -> Example:
    if rng.random() < PROPER_SHARE:
        return replace(example, prompt=proper_names(example.prompt))
    return example


def batches(
    tokenizer: PreTrainedTokenizerFast, seed: int, batch_tokens: int, start: Position
) -> Iterator[tuple[Batch, Position]]:
    """Endless batches from a position on, each with the position that follows it.

    Every block has a generator of its own, so any position is reached without replaying the ones
    before it.
    """
    pad_id = int(tokenizer.convert_tokens_to_ids("<|pad|>"))
    block, skip = start.block, start.batch
    while True:
        rng = random.Random(f"{seed}/{block}")
        examples = block_examples(rng, block)
        early = block < HALF_DRILL_BLOCKS
        limit = min(EARLY_BATCH_TOKENS, batch_tokens) if early else batch_tokens
        groups = _bucket(encode(tokenizer, examples), limit)
        rng.shuffle(groups)
        for number, group in enumerate(groups):
            if number >= skip:
                yield pad(group, pad_id), Position(block, number + 1)
        block, skip = block + 1, 0
