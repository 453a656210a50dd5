"""Tiny random bases of several architectures with a byte-level tokenizer, and data for them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from honewheel import atomic
from honewheel.families.causal_lm.family import CausalLM
from honewheel.records import Dataset, Example, Item, Json, Pair, Rated, Spec, Split

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>")
ARCHITECTURES = ("llama", "qwen3", "mistral", "gemma2", "gemma3")


def make_tokenizer(folder: Path, template: str | None = TEMPLATE) -> None:
    """A tokenizer of single bytes: 256 of them and the special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(list(SPECIAL))
    outer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|end|>", pad_token="<|pad|>"
    )
    outer.chat_template = template
    outer.save_pretrained(folder)


def make_base(folder: Path, architecture: str = "llama", **changes: Any) -> Path:
    """A base of two layers, hidden size 64, in `folder`."""
    import torch
    import transformers

    from honewheel.families.modes import quiet

    sizes: dict[str, Any] = {
        "vocab_size": 264,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
        "tie_word_embeddings": True,
    }
    extra: dict[str, dict[str, Any]] = {
        "mistral": {"sliding_window": 8},
        "gemma2": {"sliding_window": 8, "attn_logit_softcapping": 1.0},
        "gemma3": {"sliding_window": 8},
    }
    classes = {
        "llama": ("LlamaConfig", "LlamaForCausalLM"),
        "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
        "mistral": ("MistralConfig", "MistralForCausalLM"),
        "gemma2": ("Gemma2Config", "Gemma2ForCausalLM"),
        "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM"),
    }
    config_name, model_name = classes[architecture]
    settings = sizes | extra.get(architecture, {}) | changes
    torch.manual_seed(0)
    model = getattr(transformers, model_name)(getattr(transformers, config_name)(**settings))
    with quiet():
        model.save_pretrained(folder)
    make_tokenizer(folder)
    return folder


def example(number: int, split: Split = "train", **changes: Any) -> Example:
    """A small habit to learn: the target spells the prompt's letters apart."""
    draw = random.Random(number)
    word = "".join(draw.choice("abcdef") for _ in range(draw.randint(3, 9)))
    given: dict[str, Any] = {
        "id": f"e{number}",
        "task": "spell",
        "prompt": f"spell {word}",
        "target": " ".join(word) + ".",
        "group": f"g{number}",
        "split": split,
    }
    return Example(**(given | changes))


def dataset(train: int = 20, val: int = 6, name: str = "data", **changes: Any) -> Dataset:
    return Dataset(
        hash=name,
        train=tuple(example(number, **changes) for number in range(train)),
        val=tuple(example(1000 + number, "val") for number in range(val)),
    )


def pair(number: int, split: Split = "train", **changes: Any) -> Pair:
    """Small letters apart are preferred to capital letters together."""
    row = example(number, split)
    given: dict[str, Any] = {
        "id": f"p{number}",
        "task": row.task,
        "prompt": row.prompt,
        "chosen": row.target,
        "rejected": row.target.upper().replace(" ", ""),
        "group": row.group,
        "split": split,
        "origin": "correction",
    }
    return Pair(**(given | changes))


def rated(number: int, split: Split = "train", **changes: Any) -> Rated:
    told = pair(number // 2, split)
    good = number % 2 == 0
    given: dict[str, Any] = {
        "id": f"r{number}",
        "task": told.task,
        "prompt": told.prompt,
        "output": told.chosen if good else told.rejected,
        "desirable": good,
        "group": told.group,
        "split": split,
    }
    return Rated(**(given | changes))


def preferences(train: int = 16, val: int = 4) -> Dataset:
    held: list[Split] = ["train"] * train + ["val"] * val
    return replace(
        dataset(4, 3),
        pairs=tuple(pair(i, split) for i, split in enumerate(held)),
        rated=tuple(rated(i, split) for i, split in enumerate(held)),
    )


def spec(base: Path, method: str = "lora", *, seed: int = 0, **settings: Any) -> Spec:
    family = CausalLM()
    objective = settings.get("objective", "sft")
    chosen = {key: rule.default for key, rule in family.ranges(method, objective).items()}
    quick: dict[str, Json] = {"epochs": 2, "batch_size": 4, "precision": "float32"}
    return Spec(
        family=family.name,
        base=str(base),
        base_hash=family.resolve(str(base))[1],
        method=method,
        settings=chosen | quick | settings,
        seed=seed,
    )


def items(count: int = 10) -> list[Item]:
    found = [example(2000 + number) for number in range(count)]
    return [
        Item(id=row.id, task=row.task, prompt=row.prompt, reference=row.target, group=row.group)
        for row in found
    ]


def adapter(base: Path, folder: Path, seed: int, targets: str = "all-linear") -> Path:
    """A version of `base` whose adapter says something: neither of its matrices is zero."""
    import torch

    from honewheel.families import adapters
    from honewheel.families.causal_lm import loading

    chosen = {"rank": 4, "alpha": 64, "dropout": 0.0, "rslora": False, "quantisation": "none"}
    model = adapters.attach(
        loading.load(base, full_precision=False), chosen | {"target_modules": targets}, seed
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    with atomic.staged_folder(folder) as staging:
        adapters.save(model, staging, str(base))
    return folder
