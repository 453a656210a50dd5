"""Versions that answer from one copy of their base answer as each does alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from causal_builders import adapter, items

from honewheel import atomic
from honewheel.families.causal_lm.family import CausalLM
from honewheel.protocols import SharesBase
from honewheel.records import Decoding

DECODING = Decoding(max_new_tokens=12)


def said(model: Any) -> dict[str, str]:
    return {one.item: one.output for one in model.predict(items(4), DECODING)}


def alone(base: Path, version: Path | None) -> dict[str, str]:
    with CausalLM().open(str(base), version) as model:
        return said(model)


def weights(model: Any) -> dict[str, Any]:
    return {name: one.clone() for name, one in model.model.state_dict().items()}


@pytest.fixture
def versions(llama: Path, tmp_path: Path) -> list[Path | None]:
    """The bare base and three versions of it, one of which changes fewer layers."""
    some = [adapter(llama, tmp_path / f"v{seed}", seed) for seed in (1, 2)]
    return [None, *some, adapter(llama, tmp_path / "v3", 3, "q_proj,v_proj")]


def test_each_answers_as_it_does_alone_whoever_was_asked_before(
    llama: Path, versions: list[Path | None]
) -> None:
    family = CausalLM()
    assert isinstance(family, SharesBase)
    expected = [alone(llama, version) for version in versions]
    assert len({str(one) for one in expected}) == len(versions)
    opened = [family.open(str(llama), versions[1])]  # alone at first, merged
    opened += [family.open_beside(opened[0], versions[at]) for at in (0, 2, 3)]
    assert len({id(model.shared) for model in opened}) == 1
    order = dict(zip((1, 0, 2, 3), opened, strict=True))
    for at in (2, 1, 3, 0, 1, 3, 2, 0):
        assert said(order[at]) == expected[at]
    for at in (0, 3, 1):
        order[at].__exit__(None, None, None)
    assert not order[2].shared._aside  # nobody else needs the base
    assert said(order[2]) == expected[2]
    again = family.open_beside(order[2], versions[1])
    assert again is not None
    assert said(again) == expected[1]
    assert said(order[2]) == expected[2]


def test_the_base_comes_back_to_the_bit(llama: Path, versions: list[Path | None]) -> None:
    import torch

    with CausalLM().open(str(llama), versions[1]) as first:
        merged = weights(first)
        second = CausalLM().open_beside(first, versions[2])
        bare = CausalLM().open_beside(first, None)
        assert second is not None
        assert bare is not None
        said(second)
        with CausalLM().open(str(llama), None) as fresh:
            plain = weights(fresh)
        assert all(torch.equal(one, plain[name]) for name, one in weights(bare).items())
        assert all(torch.equal(one, merged[name]) for name, one in weights(first).items())


def test_memory_is_that_of_two_bases_however_many_share(
    llama: Path, tmp_path: Path, versions: list[Path | None]
) -> None:
    with CausalLM().open(str(llama), versions[1]) as first:
        many = [
            CausalLM().open_beside(first, adapter(llama, tmp_path / f"m{seed}", seed))
            for seed in range(10, 14)
        ]
        for model in many:
            said(model)
        held = sum(one.numel() for one in first.shared._aside.values())
        assert held <= sum(one.numel() for one in first.model.parameters())


def test_a_version_with_weights_of_its_own_shares_nothing(
    llama: Path, bases: Callable[[str], Path], versions: list[Path | None]
) -> None:
    with CausalLM().open(str(llama), versions[1]) as first:
        assert CausalLM().open_beside(first, bases("qwen3")) is None
    with CausalLM().open(str(llama), llama_copy(llama, versions[1])) as whole:
        assert CausalLM().open_beside(whole, versions[2]) is None


def llama_copy(base: Path, beside: Path | None) -> Path:
    """The base as a version with all weights of its own."""
    import shutil

    assert beside is not None
    target = beside.with_name("whole")
    with atomic.staged_folder(target) as staging:
        shutil.copytree(base, staging, dirs_exist_ok=True)
    return target
