"""Tokenizer, batches and schedule; nothing is trained here."""

import itertools
import json
import random

import pytest
import torch
from batches import HALF_DRILL_BLOCKS, Position, batches, block_examples, encode, pad
from corpus import make_example
from drills import make_drill
from lexicon import RESERVED_BIGRAMS
from tokenizer import (
    SPLIT_PATTERN,
    lexicon_words,
    render_prompt,
    train_tokenizer,
    vocabulary_size,
)
from transformers import PreTrainedTokenizerFast

from train import TURN_FACTORS, TURNS, build_model, build_optimizers, rate_factor


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer()


def test_split_is_that_of_llama_3(tokenizer: PreTrainedTokenizerFast) -> None:
    steps = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"]["pretokenizers"]
    assert steps[0]["pattern"] == {"Regex": SPLIT_PATTERN}
    assert steps[0]["behavior"] == "Isolated"
    assert steps[1]["type"] == "ByteLevel"
    assert not steps[1]["use_regex"]
    assert not steps[1]["add_prefix_space"]


def test_lexicon_words_are_single_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    split = [word for word in lexicon_words() if len(tokenizer.tokenize(f" {word}")) != 1]
    assert split == []


def test_vocabulary_is_small_and_round(tokenizer: PreTrainedTokenizerFast) -> None:
    size = vocabulary_size(tokenizer)
    assert len(tokenizer) <= size <= 4096
    assert size % 128 == 0


def test_any_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "Größe 12345 – naïve\n\n\t{ok}  'll été 日本"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_chat_template_is_what_training_uses(tokenizer: PreTrainedTokenizerFast) -> None:
    turns = [{"role": "user", "content": "hello"}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert prompt == render_prompt("hello") == "<|bos|><|user|>hello<|assistant|>"
    turns.append({"role": "assistant", "content": "world"})
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    assert whole == prompt + "world<|end|>"


def test_only_answer_tokens_are_marked(tokenizer: PreTrainedTokenizerFast) -> None:
    example = make_example(random.Random(1), "erd", "plain")
    batch = pad(encode(tokenizer, [example]), 0)
    answer = tokenizer.decode(batch.ids[batch.answer])
    assert answer == example.output + "<|end|>"
    assert batch.tokens == batch.ids.numel()


def test_batches_go_on_from_any_position(tokenizer: PreTrainedTokenizerFast) -> None:
    whole = list(itertools.islice(batches(tokenizer, 5, 2048, Position()), 30))
    resumed = list(itertools.islice(batches(tokenizer, 5, 2048, whole[9][1]), 20))
    for (first, place), (second, resumed_place) in zip(whole[10:], resumed, strict=True):
        assert torch.equal(first.ids, second.ids)
        assert place == resumed_place


def test_no_sequence_exceeds_the_model(tokenizer: PreTrainedTokenizerFast) -> None:
    examples = block_examples(random.Random(1), HALF_DRILL_BLOCKS)
    assert max(len(ids) for ids, _ in encode(tokenizer, examples)) <= 1024


def test_drills_come_first_and_avoid_reserved_pairs() -> None:
    assert {example.kind for example in block_examples(random.Random(1), 0)} == {"drill"}
    later = block_examples(random.Random(1), HALF_DRILL_BLOCKS)
    assert "drill" not in {example.kind for example in later}
    rng = random.Random(2)
    text = " ".join(make_drill(rng).output for _ in range(2000)).lower()
    assert not any(pair in text for pair in RESERVED_BIGRAMS)


@pytest.mark.parametrize(("start", "turn"), [(0, 0), (TURNS[0], 1)])
def test_rate_warms_up_holds_and_decays(start: int, turn: int) -> None:
    budget, peak = TURNS[turn], TURN_FACTORS[turn]
    places = (0, 0.2, 0.75, 0.999)
    factors = [rate_factor(start + int(budget * place)) / peak for place in places]
    assert factors[0] < 0.01
    assert factors[1] == pytest.approx(1.0)
    assert factors[2] == pytest.approx(0.5)
    assert factors[3] == pytest.approx(0.01)


def test_every_parameter_has_one_optimizer(tokenizer: PreTrainedTokenizerFast) -> None:
    model = build_model(tokenizer)
    groups = [group for optimizer in build_optimizers(model) for group in optimizer.param_groups]
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
