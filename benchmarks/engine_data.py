"""Bases of several sizes and pairs to train on, made from a seed: nothing is downloaded.

Words are tokens (a word-level tokenizer), so any vocabulary size costs nothing to make and both
sides see the same ids. Lengths are lognormal as measured on artifacts: mean about 127 tokens,
median about 99, at most 506, two fifths of them prompt.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from honewheel.records import Example, Pair

LONGEST, SHORTEST = 506, 16
_SPREAD = 0.85
_CENTER = math.log(130) - _SPREAD**2 / 2
_FUNCTION_WORDS = 40  # a fifth of the vocabulary's draws fall on few words, as in any text


@dataclass(frozen=True, slots=True)
class Size:
    hidden: int
    inner: int
    layers: int
    heads: int


SIZES = {
    "5m": Size(hidden=256, inner=704, layers=4, heads=4),
    "25m": Size(hidden=512, inner=1408, layers=6, heads=8),
    "28m": Size(hidden=512, inner=1408, layers=8, heads=8),
    "100m": Size(hidden=768, inner=2048, layers=13, heads=12),
}


def base(folder: Path, size: str, vocabulary: int) -> Path:
    """The folder of a random Llama with its tokenizer; made when it is not there."""
    if (folder / "tokenizer.json").is_file():
        return folder
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from honewheel.families.modes import quiet

    one = SIZES[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=one.hidden,
        intermediate_size=one.inner,
        num_hidden_layers=one.layers,
        num_attention_heads=one.heads,
        num_key_value_heads=one.heads,
        max_position_embeddings=1024,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    with quiet():
        LlamaForCausalLM(config).save_pretrained(folder)
    _tokenizer(folder, vocabulary)
    return folder


def _tokenizer(folder: Path, vocabulary: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<end>": 1, "<unknown>": 2}
    words |= {f"w{number}": number for number in range(len(words), vocabulary)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unknown>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<end>", pad_token="<pad>", unk_token="<unknown>"
    ).save_pretrained(folder)


def pairs(count: int, seed: int, vocabulary: int = 4096) -> list[tuple[str, str]]:
    """(prompt, completion); a completion repeats words of its prompt, so there is a habit."""
    draw = random.Random(seed)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        total = round(draw.lognormvariate(_CENTER, _SPREAD))
        if not SHORTEST <= total <= LONGEST:
            continue
        asked = max(4, round(0.4 * total))
        prompt = [_word(draw, vocabulary) for _ in range(asked)]
        answer = [
            draw.choice(prompt) if draw.random() < 0.5 else _word(draw, vocabulary)
            for _ in range(total - asked - 1)
        ]
        found.append((" ".join(prompt) + " ", " ".join(answer)))
    return found


def _word(draw: random.Random, vocabulary: int) -> str:
    few = draw.random() < 0.2
    return f"w{draw.randrange(3, _FUNCTION_WORDS if few else vocabulary)}"


def preferences(count: int, seed: int, vocabulary: int = 4096) -> list[tuple[str, str, str]]:
    """(prompt, chosen, rejected); half the words of what is rejected are others."""
    draw = random.Random(f"rejected {seed}")
    found = []
    for prompt, chosen in pairs(count, seed, vocabulary):
        words = [_word(draw, vocabulary) if draw.random() < 0.5 else w for w in chosen.split()]
        found.append((prompt, chosen, " ".join(words)))
    return found


def as_pairs(found: list[tuple[str, str, str]]) -> list[Pair]:
    """The same preferences as our side reads them."""
    return [
        Pair(
            id=f"p{number}",
            task="words",
            prompt=prompt,
            chosen=chosen,
            rejected=rejected,
            group=f"g{number}",
            split="train",
            origin="correction",
        )
        for number, (prompt, chosen, rejected) in enumerate(found)
    ]


def examples(found: list[tuple[str, str]]) -> list[Example]:
    """The same pairs as our side reads them."""
    rows: list[dict[str, Any]] = [
        {"id": f"e{number}", "prompt": prompt, "target": completion, "group": f"g{number}"}
        for number, (prompt, completion) in enumerate(found)
    ]
    return [Example(task="words", split="train", **row) for row in rows]
