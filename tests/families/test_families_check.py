"""What is refused or warned of before anything heavy loads, with the numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from causal_builders import dataset, example, make_tokenizer, preferences, spec

from honewheel.errors import ConfigError, MissingExtra
from honewheel.families import hardware, precision
from honewheel.families.causal_lm import family, machine, memory
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.units import encode, fitting
from honewheel.protocols import ModelFamily
from honewheel.records import Estimate

FAMILY: ModelFamily = CausalLM()


def test_a_sound_run_has_no_findings(llama: Path) -> None:
    assert list(FAMILY.check(spec(llama), dataset())) == []
    assert list(FAMILY.check(spec(llama, "full"), dataset())) == []


def test_a_missing_package_says_what_to_install(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = spec(llama)
    monkeypatch.setattr(
        family, "find_spec", lambda name: None if name == "torch" else find_spec(name)
    )
    told = (
        r"Fine-tuning a causal LM needs torch\. Install it with: pip install 'honewheel\[train\]'"
    )
    for use in (
        lambda: FAMILY.check(given, dataset()),
        lambda: FAMILY.train(given, dataset(), tmp_path),
        lambda: FAMILY.open(str(llama), None),
    ):
        with pytest.raises(MissingExtra, match=told):
            use()


def test_settings_outside_their_range_unknown_or_missing_are_refused(llama: Path) -> None:
    given = spec(llama, learning_rate=0.05, cleverness=1)
    without = replace(given, settings={k: v for k, v in given.settings.items() if k != "rank"})
    found = FAMILY.check(without, dataset())
    assert [finding.message for finding in found] == [
        "cleverness is no setting of lora",
        "learning_rate: 0.05 is outside 1e-05 .. 0.01; outside it, a LoRA update either does not "
        "move the model or destroys it",
        "rank is not set",
    ]
    assert {finding.severity for finding in found} == {"error"}


def test_examples_that_are_too_long_are_counted_as_a_warning_and_refused_when_all_are(
    llama: Path,
) -> None:
    data = replace(dataset(3), train=(*dataset(3).train, example(9, target="x" * 300)))
    (some,) = FAMILY.check(spec(llama), data)
    assert (some.code, some.severity) == ("too-long", "warning")
    assert "1 of 4 training examples are longer than 256 tokens (longest 3" in some.message
    (every, *_) = FAMILY.check(spec(llama, max_tokens=16), data)
    assert every.severity == "error"


def test_held_out_examples_that_are_too_long_are_counted_too(llama: Path) -> None:
    data = replace(dataset(3, 2), val=(*dataset(0, 2).val, example(9, "val", target="x" * 300)))
    (some,) = FAMILY.check(spec(llama), data)
    assert (some.code, some.severity) == ("too-long", "warning")
    assert "1 of 3 held-out examples are longer than 256 tokens" in some.message


def test_empty_answers_are_refused_by_name(llama: Path) -> None:
    data = replace(dataset(3), train=(*dataset(3).train, example(9, target=" \n")))
    (found,) = FAMILY.check(spec(llama), data)
    assert (found.code, found.severity) == ("empty", "error")
    assert found.message.startswith("1 of 4 examples have an empty answer (first e9)")


def test_an_architecture_that_nobody_knows_is_refused_by_name(llama: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(llama, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    for kind in ("holographic", "vit", None):  # of vision; not told
        (base / "config.json").write_text(json.dumps(config | {"model_type": kind}))
        (found,) = FAMILY.check(spec(base), dataset())
        assert (found.code, found.severity) == ("base", "error")
        assert f"is of the architecture {kind!r}, which transformers" in found.message
        with pytest.raises(ConfigError, match=r"transformers \S+ cannot load the base in"):
            FAMILY.open(str(base), None)


def test_a_base_that_does_not_tell_its_sizes_is_refused_with_their_names(
    llama: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(llama, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    config["n_layer"] = config.pop("num_hidden_layers")  # as GPT-2 calls it
    (base / "config.json").write_text(json.dumps(config))
    (found,) = FAMILY.check(spec(base), dataset())
    assert (found.code, found.severity) == ("base", "error")
    assert "(llama) does not tell its num_hidden_layers in config.json" in found.message


def test_a_tokenizer_without_a_template_is_told_and_one_without_padding_is_fine(
    llama: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(llama, tmp_path / "base"))
    make_tokenizer(base, template=None)
    (base / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings.pop("pad_token")
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    (found,) = FAMILY.check(spec(base), dataset())
    assert (found.code, found.severity) == ("template", "warning")
    assert "prompts are shown as plain text" in found.message
    assert len(list(FAMILY.train(spec(base, epochs=1), dataset(4, 0), tmp_path))) > 0


def test_a_run_that_does_not_fit_is_refused_with_the_bytes_of_each_part(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = FAMILY.estimate(spec(llama), dataset())
    assert needed.low_bytes < needed.total_bytes < needed.high_bytes
    monkeypatch.setattr(hardware, "available", lambda: needed.high_bytes)
    assert list(FAMILY.check(spec(llama), dataset())) == []
    monkeypatch.setattr(hardware, "available", lambda: needed.total_bytes)
    (close,) = FAMILY.check(spec(llama), dataset())
    assert (close.code, close.severity) == ("memory", "warning")
    monkeypatch.setattr(hardware, "available", lambda: needed.total_bytes - 1)
    (found,) = FAMILY.check(spec(llama), dataset())
    assert (found.code, found.severity) == ("memory", "error")
    assert f"about {needed.total_bytes / 1e9:.2f} GB" in found.message
    assert "libraries 0.68 GB" in found.message


def test_what_would_fit_is_named_with_its_bytes(llama: Path) -> None:
    wide = spec(llama, "full", batch_size=64, tokens_per_pass=8192)
    long = [example(n, target="x" * 200) for n in range(64)]
    rows, _ = fitting(long, encode(long, Renderer(llama)), 1024)
    needed = memory.estimate(llama, wide, rows).total_bytes
    told = memory.plan(llama, wide, rows, needed - 1)
    assert told is not None
    assert told.startswith("tokens_per_pass = 4096 would fit (about ")
    assert memory.plan(llama, wide, rows, needed) == (
        f"tokens_per_pass = 8192 would fit (about {needed / 1e9:.2f} GB)"
    )
    least = {
        method: memory.estimate(llama, spec(llama, method, tokens_per_pass=256), rows).total_bytes
        for method in ("full", "lora")
    }
    assert least["lora"] < least["full"]
    told = memory.plan(llama, wide, rows, least["full"] - 1)
    assert told is not None
    assert told.startswith('method = "lora" and tokens_per_pass = ')
    assert memory.plan(llama, wide, rows, least["lora"] // 2) is None


def test_bfloat16_keeps_less_and_auto_is_what_a_run_would_have(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, whole, auto = (
        FAMILY.estimate(spec(llama, precision=name), dataset()).bytes_by_part["activations"]
        for name in ("bfloat16", "float32", "auto")
    )
    assert half < whole
    assert auto == (half if precision.realised("auto", llama) == "bfloat16" else whole)
    with monkeypatch.context() as patch:
        patch.setattr(precision, "LARGE", 1)
        patch.setattr(hardware, "processor_has_bfloat16", lambda: True)
        large = FAMILY.estimate(spec(llama, precision="auto"), dataset())
        assert large.bytes_by_part["activations"] == half
    info = tmp_path / "cpuinfo"
    info.write_text("flags : fpu avx512f avx512_bf16\n")
    assert hardware.processor_has_bfloat16(info)
    info.write_text("flags : fpu avx512f\n")
    assert not hardware.processor_has_bfloat16(info)


def parts(base: Path, method: str = "lora", **settings: Any) -> Mapping[str, int]:
    return FAMILY.estimate(spec(base, method, **settings), preferences(8, 2)).bytes_by_part


def test_what_is_held_and_trained_is_estimated_as_it_is_set(llama: Path) -> None:
    plain = parts(llama)
    assert parts(llama, checkpointing=True)["activations"] < plain["activations"]
    nf4 = parts(llama, quantisation="nf4")["weights"]
    embedding, norms = 264 * 64, 5 * 64
    linear = plain["weights"] // 4 - embedding - norms
    assert nf4 == round(4 * (embedding + norms) + linear * (1 / 2 + 1 / 64 + 1 / 4096))
    some = parts(llama, target_modules="q_proj, v_proj", rank=2)
    adapter = 2 * 2 * ((64 + 64) + (32 + 64))  # layers x rank x (out + in)
    assert (some["adapter"], some["optimizer"]) == (4 * adapter, 8 * adapter)
    thrifty = parts(llama, target_modules="q_proj, v_proj", rank=2, optimizer="adafactor")
    rows_and_columns = 2 * ((2 + 64) + (64 + 2) + (2 + 64) + (32 + 2))
    assert thrifty["optimizer"] == 4 * rows_and_columns
    assert parts(llama, "full", optimizer="adafactor")["optimizer"] < plain["weights"] / 10


def test_a_pair_is_estimated_with_both_of_its_rows(llama: Path) -> None:
    pairs, targets = parts(llama, objective="dpo"), parts(llama, objective="kto")
    assert pairs["activations"] > 1.5 * targets["activations"]
    assert pairs["logits"] > 1.5 * targets["logits"]


def test_the_largest_size_grows_with_memory_and_adapters_reach_further() -> None:
    for method in ("lora", "full"):
        assert machine.largest(10**9 // 2, method) == 0
        assert 0 < machine.largest(4 * 10**9, method) < machine.largest(32 * 10**9, method)
    assert machine.largest(32 * 10**9, "lora") > 2 * machine.largest(32 * 10**9, "full")


def test_the_estimate_counts_weights_and_what_is_trained(llama: Path) -> None:
    linear = 2 * (4 * 64 * 16 * 2 + 64 * 32 * 2 + 3 * 64 * 128)
    parameters = 264 * 64 + linear + 5 * 64
    lora = FAMILY.estimate(spec(llama, rank=4), dataset()).bytes_by_part
    full = FAMILY.estimate(spec(llama, "full"), dataset()).bytes_by_part
    adapter = 4 * 2 * (2 * 128 + 2 * 96 + 3 * 192)
    assert (lora["weights"], full["weights"]) == (4 * parameters, 4 * parameters)
    assert (lora["adapter"], lora["optimizer"]) == (4 * adapter, 8 * adapter)
    assert lora["gradients"] == max(0, 4 * adapter - lora["activations"] - lora["logits"])
    assert (full["adapter"], full["optimizer"]) == (0, 8 * parameters)


def test_smaller_passes_need_less_and_more_epochs_take_longer(llama: Path) -> None:
    def estimate(**settings: Any) -> Estimate:
        return FAMILY.estimate(spec(llama, **settings), dataset())

    wide, narrow = estimate(tokens_per_pass=8192), estimate(tokens_per_pass=64)
    assert narrow.bytes_by_part["activations"] < wide.bytes_by_part["activations"]
    once, thrice = estimate(epochs=1).seconds, estimate(epochs=3).seconds
    assert once is not None
    assert thrice == pytest.approx(3 * once)


def test_available_memory_is_the_lower_of_free_and_what_the_cgroup_allows(tmp_path: Path) -> None:
    info = tmp_path / "meminfo"
    info.write_text("MemTotal: 100 kB\nMemAvailable:   64 kB\n")
    assert hardware._free(info) == 64 * 1024
    assert hardware._free(tmp_path / "absent") is None
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert hardware._cgroup(tmp_path) == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware._cgroup(tmp_path) is None
    assert hardware._cgroup(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("error", "exhausted"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_failed_allocations_are_told_from_other_errors(error: Exception, exhausted: bool) -> None:
    assert hardware.is_exhausted(error) is exhausted
