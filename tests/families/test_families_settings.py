"""Every setting takes effect: it is read back from optimizer, schedule, model and adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import dataset, spec
from safetensors.torch import load_file

from honewheel import atomic
from honewheel.errors import ConfigError
from honewheel.families import adapters
from honewheel.families.causal_lm import attention, checks, loading
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.causal_lm.ranges import METHODS, OBJECTIVES, ranges
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.scoring import Scorer
from honewheel.families.optimizer import make_optimizer
from honewheel.families.schedule import Course, make_schedule
from honewheel.records import Json, Spec

FAMILY = CausalLM()


def trained(given: Spec, run_dir: Path) -> dict[str, Any]:
    """training.json of a short run."""
    run_dir.mkdir(exist_ok=True)
    list(FAMILY.train(given, dataset(8, 2), run_dir))
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


def test_a_setting_is_what_the_run_really_had(llama: Path, tmp_path: Path) -> None:
    """None of these is the default, and each is read where it takes effect."""
    asked: dict[str, Json] = {
        "optimizer": "adafactor",
        "schedule": "cosine_restarts",
        "restarts": 2,
        "warmup_share": 0.5,
        "max_grad_norm": 0.25,
        "weight_decay": 0.1,
        "precision": "bfloat16",
        "checkpointing": True,
        "learning_rate": 3e-3,
        "rank": 4,
        "alpha": 6,
        "dropout": 0.1,
        "target_modules": "q_proj, v_proj",
    }
    assert all(asked[key] != rule.default for key, rule in ranges("lora").items() if key in asked)
    found = trained(spec(llama, epochs=3, batch_size=2, **asked), tmp_path / "run")
    assert found["planned_updates"] == 12
    same = ("schedule", "restarts", "max_grad_norm", "weight_decay", "precision", "checkpointing")
    expected = {key: asked[key] for key in (*same, "learning_rate", "rank", "dropout")}
    expected |= {"optimizer": "Adafactor", "warmup_updates": 6, "scaling": 3.0}
    expected |= {"target_modules": ["q_proj", "v_proj"]}
    assert found["realised"].items() >= expected.items()
    saved = load_file(tmp_path / "run" / "final" / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in saved} == {"q_proj", "v_proj"}


def test_every_setting_of_every_method_and_objective_is_checked_by_its_range(llama: Path) -> None:
    for method in METHODS:
        for objective in OBJECTIVES:
            given = spec(llama, method, objective=objective)
            assert {*given.settings} == {*ranges(method, objective)}
            assert checks.settings(given) == []
            for key, rule in ranges(method, objective).items():
                assert rule.help
                bad = replace(given, settings={**given.settings, key: ["nonsense"]})
                (found,) = checks.settings(bad)
                assert found.message.startswith(f"{key}: ")


def test_preferences_are_given_lower_rates_than_targets() -> None:
    for method in METHODS:
        sft, *others = (ranges(method, name)["learning_rate"] for name in OBJECTIVES)
        for other in others:
            assert other.default < sft.default  # type: ignore[operator]
            assert other.high < sft.high  # type: ignore[operator]


# --- what they do ------------------------------------------------------------------------------


def test_the_rate_restarts_in_the_optimizer() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    schedule = make_schedule(optimizer, Course(9, 0, "cosine_restarts", 2))
    rates = []
    for _ in range(9):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == 0.5
    assert rates[3:6] == pytest.approx(rates[:3])
    assert rates[6:] == pytest.approx(rates[:3])
    assert rates[0] > rates[1] > rates[2]


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_norms_do_not_decay_and_the_rate_is_the_one_given(name: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))
    optimizer = make_optimizer(name, model, 0.01, 0.5)
    groups = optimizer.param_groups
    decays = {weight.ndim: group["weight_decay"] for group in groups for weight in group["params"]}
    assert decays == {2: 0.5, 1: 0.0}
    assert {group["lr"] for group in optimizer.param_groups} == {0.01}
    before = model[0].weight.detach().clone()
    model(torch.ones(1, 4)).square().sum().backward()
    optimizer.step()
    moved = (model[0].weight - before * (1 - 0.01 * 0.5)).abs().max().item()
    assert 0 < moved <= 0.0101


@pytest.mark.parametrize("method", [pytest.param("lora", marks=pytest.mark.slow), "full"])
def test_a_run_with_adafactor_resumes_with_the_same_bytes(
    llama: Path, tmp_path: Path, method: str
) -> None:
    given = spec(llama, method, optimizer="adafactor", checkpoint_every=1)
    trained(given, tmp_path / "whole")
    (tmp_path / "broken").mkdir()
    progress = FAMILY.train(given, dataset(8, 2), tmp_path / "broken")
    assert isinstance(progress, Iterator)
    next(report for report in progress if report.step == 2)
    progress.close()  # type: ignore[attr-defined]
    trained(given, tmp_path / "broken")
    assert atomic.verify(tmp_path / "broken" / "final") == atomic.verify(
        tmp_path / "whole" / "final"
    )


def test_target_modules_that_the_base_has_not_are_refused_with_those_it_has(llama: Path) -> None:
    assert list(FAMILY.check(spec(llama, target_modules="q_proj, v_proj"), dataset())) == []
    (wrong,) = FAMILY.check(spec(llama, target_modules="q_proj,c_attn"), dataset())
    assert wrong.severity == "error"
    assert wrong.message.startswith("target_modules names c_attn, which the base in")
    assert "It has down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in wrong.message


def test_checkpointing_computes_layers_again_and_changes_no_loss(
    llama: Path, tmp_path: Path
) -> None:
    plain = trained(spec(llama), tmp_path / "plain")
    again = trained(spec(llama, checkpointing=True), tmp_path / "again")
    assert again["losses"] == plain["losses"]
    attention.register()
    passes = {}
    for checkpointing in (False, True):
        model = loading.load(llama, attention=attention.NAME, full_precision=True).train()
        if checkpointing:
            loading.checkpoint_activations(model)
        seen: list[int] = []
        model.model.layers[0].mlp.register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        rows = Renderer(llama).encode(dataset(3).train)
        Scorer(model, False, 8192).token_losses(rows).sum().backward()
        passes[checkpointing] = len(seen)
    assert passes == {False: 1, True: 2}


def test_nf4_is_refused_where_it_cannot_be_had_and_says_what_is_missing(llama: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    (found,) = FAMILY.check(spec(llama, quantisation="nf4"), dataset())
    assert found.severity == "error"
    assert found.message.startswith("quantisation = nf4 needs a CUDA device")
    assert 'Set quantisation = "none"' in found.message


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device and bitsandbytes")
def test_nf4_is_what_the_base_is_held_in(llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    found = trained(spec(llama, quantisation="nf4"), tmp_path / "run")
    assert found["realised"]["weights"] == "nf4"
    assert found["val_losses"][-1][1] < found["val_losses"][0][1]


def test_an_architecture_that_cannot_recompute_is_refused() -> None:
    class Plain:
        supports_gradient_checkpointing = False

    with pytest.raises(ConfigError, match="checkpointing = true: Plain cannot"):
        loading.checkpoint_activations(Plain())


def test_targets_are_read_as_a_set_of_names() -> None:
    assert adapters._targets("v_proj, q_proj,q_proj") == ["q_proj", "v_proj"]
    assert adapters._targets("all-linear") == "all-linear"
