"""Prediction: batching, stopping, sampling and merging must not change what is answered."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import dataset, items, spec

from honewheel.errors import Damaged
from honewheel.families import adapters, hardware, modes
from honewheel.families.causal_lm import loading, memory
from honewheel.families.causal_lm.cache import argument
from honewheel.families.causal_lm.family import CausalLM
from honewheel.records import Decoding, Item, Prediction

FAMILY = CausalLM()
SHORT = Decoding(max_new_tokens=12)


def trained(run_dir: Path, base: Path, method: str, **settings: Any) -> Path:
    for _ in FAMILY.train(spec(base, method, eval_every=1.0, **settings), dataset(24, 4), run_dir):
        pass
    return run_dir / "final"


@pytest.fixture(scope="module")
def tuned(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with an adapter that changes the answers."""
    return trained(tmp_path_factory.mktemp("tuned"), llama, "lora", learning_rate=1e-2)


@pytest.fixture(scope="module")
def speller(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version (all weights) that has learnt to end its answers."""
    run_dir = tmp_path_factory.mktemp("speller")
    return trained(run_dir, llama, "full", learning_rate=2e-3, epochs=25, patience=25)


def answers(
    base: Path, version: Path | None, asked: list[Item], decoding: Decoding = SHORT
) -> dict[str, Prediction]:
    with FAMILY.open(str(base), version) as model:
        found = list(model.predict(asked, decoding))
    assert len(found) == len(asked)
    return {answer.item: answer for answer in found}


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma3"])
def test_batched_greedy_answers_are_those_of_transformers_generate(
    bases: Callable[[str], Path], architecture: str
) -> None:
    base = bases(architecture)
    asked = items(6)
    found = answers(base, None, asked)
    model = loading.load(base, full_precision=False).eval()
    with FAMILY.open(str(base), None) as opened:
        renderer = opened.renderer
    for item in asked:
        (prompt,) = renderer.prompts([(item.prompt, item.context)])
        ids = torch.tensor([prompt])
        with torch.inference_mode(), modes.quiet():
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
            )
        new = [token for token in out[0, len(prompt) :].tolist() if token not in renderer.stops]
        assert found[item.id].output == renderer.decode(new)


def test_answers_do_not_depend_on_their_company(llama: Path, speller: Path) -> None:
    asked = items(9)
    together = answers(llama, speller, asked, Decoding(max_new_tokens=40))
    for item in asked[::3]:
        alone = answers(llama, speller, [item], Decoding(max_new_tokens=40))
        assert alone == {item.id: together[item.id]}


def test_short_answers_are_given_before_long_ones_end(llama: Path, speller: Path) -> None:
    with FAMILY.open(str(llama), speller) as model:
        found = list(model.predict(items(12), Decoding(max_new_tokens=40)))
    assert len({answer.tokens for answer in found}) > 1
    assert any(answer.stopped for answer in found)
    assert [answer.tokens for answer in found] == sorted(answer.tokens for answer in found)


def test_an_answer_cut_by_the_limit_says_so(llama: Path, tuned: Path) -> None:
    found = answers(llama, tuned, items(4), Decoding(max_new_tokens=2))
    assert {(answer.tokens, answer.stopped) for answer in found.values()} == {(2, False)}


def test_a_prompt_that_fills_every_position_is_not_answered(llama: Path) -> None:
    long = Item(id="long", task="t", prompt="x" * 300, reference="", group="g")
    found = answers(llama, None, [long, *items(2)])
    answer = found["long"]
    assert answer == Prediction(item="long", output="", tokens=0, stopped=False, asked=answer.asked)
    assert answer.asked is not None
    assert answer.asked > 256  # the positions that this base has


def test_sampling_follows_seed_and_item_and_no_temperature_is_greedy(
    llama: Path, tuned: Path
) -> None:
    asked = items(6)
    warm = Decoding(max_new_tokens=12, temperature=1.5, seed=1)
    first = answers(llama, tuned, asked, warm)
    assert answers(llama, tuned, asked, warm) == first
    assert answers(llama, tuned, asked[2:3], warm)[asked[2].id] == first[asked[2].id]
    other = Decoding(max_new_tokens=12, temperature=1.5, seed=2)
    assert answers(llama, tuned, asked, other) != first
    cold = Decoding(max_new_tokens=12, temperature=1e-4, seed=1)
    greedy = answers(llama, tuned, asked)
    assert answers(llama, tuned, asked, cold) == greedy != first


def test_a_merged_adapter_answers_like_an_adapter_kept_apart(llama: Path, tuned: Path) -> None:
    from peft import PeftModel

    ids = torch.arange(4, 60)[None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's, see adapters.py
        loaded = loading.load(llama, full_precision=False)
        apart = PeftModel.from_pretrained(loaded, str(tuned)).eval()
    merged = adapters.load(loading.load(llama, full_precision=False), tuned).eval()
    assert not hasattr(merged, "peft_config")
    with torch.inference_mode():
        bare = loading.load(llama, full_precision=False).eval()(ids).logits
        torch.testing.assert_close(merged(ids).logits, apart(ids).logits, atol=1e-4, rtol=0)
        assert (apart(ids).logits - bare).abs().max() > 0.1


def test_an_adapter_on_a_half_precision_base_stays_apart(llama: Path, tuned: Path) -> None:
    half = loading.load(llama, full_precision=False).to(torch.bfloat16)
    assert hasattr(adapters.load(half, tuned), "peft_config")


def test_a_damaged_version_is_named_and_not_opened(
    llama: Path, tuned: Path, tmp_path: Path
) -> None:
    version = Path(shutil.copytree(tuned, tmp_path / "version"))
    data = bytearray((version / "adapter_model.safetensors").read_bytes())
    data[-1] ^= 1
    (version / "adapter_model.safetensors").write_bytes(data)
    with pytest.raises(Damaged, match=r"adapter_model\.safetensors is damaged: sha256"):
        FAMILY.open(str(llama), version)


def test_rows_answered_at_once_shrink_with_the_memory_there_is(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = 2 * 2 * 2 * 16 * 100 * 4  # keys and values, layers, heads, size, tokens, bytes
    for free, rows in ((None, 64), (10**12, 64), (40 * each, 10), (1, 1)):
        monkeypatch.setattr(hardware, "available", lambda free=free: free)
        assert memory.rows_in_cache(llama, 100) == rows


class Before:
    def forward(self, input_ids: object, past_key_values: object = None) -> None: ...


class Since:
    def forward(self, input_ids: object, cache: object = None) -> None: ...


class Adapted:
    def forward(self, *args: object, **kwargs: object) -> None: ...

    def get_base_model(self) -> Since:
        return Since()


def test_the_cache_is_handed_over_by_the_name_that_this_release_of_transformers_knows() -> None:
    assert argument(Before()) == "past_key_values"
    assert argument(Since()) == "cache"
    assert argument(Adapted()) == "cache"  # as a model with an adapter does
