"""Tiny random sentence-transformers bases and pairs that can be learnt, made in a second."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from honewheel.families.embedding.family import Embedding
from honewheel.records import Dataset, Example, Item, Json, Spec, Split, dataset_hash
from honewheel.tasks.similarity import as_prompt

INTENTS = {
    "card": "card lost stolen blocked frozen wallet".split(),
    "rate": "rate exchange currency euro dollar fee".split(),
    "pin": "pin code forgot reset number unlock".split(),
    "loan": "loan credit borrow interest mortgage repay".split(),
    "atm": "cash machine withdraw atm notes swallowed".split(),
    "app": "app login phone update crash screen".split(),
}
FILLER = "please help my the a with i today again how why is it".split()
ARCHITECTURES = ("bert", "mpnet")


def words() -> list[str]:
    return sorted({*FILLER, *(word for group in INTENTS.values() for word in group)})


def make_base(folder: Path, architecture: str = "bert", hidden: int = 32) -> Path:
    """A random model of two layers with a word tokenizer and mean pooling, in `folder`."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    from honewheel.families.modes import quiet

    special = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
    vocabulary = {word: at for at, word in enumerate([*special, *words()])}
    inner = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=32,
    )
    sizes: dict[str, Any] = {
        "vocab_size": len(vocabulary),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 40,
        "initializer_range": 0.05,
        "pad_token_id": 0,
    }
    config, model = {
        "bert": (transformers.BertConfig, transformers.BertModel),
        "mpnet": (transformers.MPNetConfig, transformers.MPNetModel),
    }[architecture]
    torch.manual_seed(0)
    with quiet():
        raw = folder.with_name(f"{folder.name}-raw")
        model(config(**sizes)).save_pretrained(raw)
        tokenizer.save_pretrained(raw)
        part = Transformer(str(raw), max_seq_length=16)
        parts = [part, Pooling(hidden, pooling_mode="mean"), Normalize()]
        SentenceTransformer(modules=parts, device="cpu").save_pretrained(
            str(folder), create_model_card=False
        )
    return folder


def sentence(intent: str, draw: random.Random) -> str:
    picked = draw.sample(INTENTS[intent], 2) + draw.sample(FILLER, 3)
    draw.shuffle(picked)
    return " ".join(picked)


def example(number: int, draw: random.Random, split: Split, same: bool | None = None) -> Example:
    """A pair of one intent (target 1) or of two (target 0)."""
    same = draw.random() < 0.5 if same is None else same
    first, second = draw.sample(sorted(INTENTS), 2)
    a, b = sentence(first, draw), sentence(first if same else second, draw)
    return Example(
        id=f"{split}-{number}",
        task="same_intent",
        prompt=as_prompt(a, b),
        target="1" if same else "0",
        group=f"g-{split}-{number}",
        split=split,
    )


def dataset(train: int = 96, val: int = 40, seed: int = 0) -> Dataset:
    draw = random.Random(seed)
    rows = tuple(example(at, draw, "train") for at in range(train))
    held = tuple(example(at, draw, "val") for at in range(val))
    return Dataset(hash=dataset_hash(rows, held), train=rows, val=held)


def items(count: int = 40, seed: int = 9) -> list[Item]:
    draw = random.Random(seed)
    rows = [example(at, draw, "test") for at in range(count)]
    return [
        Item(id=row.id, task=row.task, prompt=row.prompt, reference=row.target, group=row.group)
        for row in rows
    ]


def spec(base: Path, method: str = "head", seed: int = 0, **changes: Json) -> Spec:
    """Settings at their defaults but for `changes`."""
    family = Embedding()
    settings = {name: rule.default for name, rule in family.ranges(method).items()}
    return Spec(
        family="embedding",
        base=str(base),
        base_hash=family.resolve(str(base))[1],
        method=method,
        settings=settings | changes,
        seed=seed,
    )
