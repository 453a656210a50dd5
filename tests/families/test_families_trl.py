"""The losses of preferences, row by row, against TRL as an independent implementation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import preferences, spec
from test_families_preferences import encoded

from honewheel.families import adapters
from honewheel.families.causal_lm import attention, loading
from honewheel.families.causal_lm.dpo import Dpo
from honewheel.families.causal_lm.kto import Kto
from honewheel.families.causal_lm.reference import with_reference
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.scoring import Scorer
from honewheel.records import Dataset, Pair, Rated

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
DATA = preferences(12, 0)


def fresh(folder: Path, attended: str) -> Any:
    """The base under a fresh adapter."""
    attention.register()
    model = loading.load(folder, attention=attended, full_precision=True)
    return adapters.attach(model, dict(spec(folder).settings), seed=1)


def moved(model: Any) -> Any:
    """`model`, its adapter as if it had learnt something, the same at every call.

    TRL keeps a copy of the adapter it is given as the reference: it has to be fresh until then.
    """
    draw = torch.Generator().manual_seed(2)
    for name, weight in model.named_parameters():
        if "lora_B.default" in name:
            weight.data.normal_(0.0, 0.05, generator=draw)
    return model.eval()


def ours(folder: Path, tmp_path: Path, objective: Any, kind: str, data: Dataset) -> list[float]:
    """Loss of each unit under the moved adapter, against the bare base."""
    model = moved(fresh(folder, attention.NAME))
    scorer = Scorer(model, bfloat16=False, limit=8192)
    with model.disable_adapter():
        units = with_reference(encoded(folder, kind, data), scorer, tmp_path / "r", lambda *_: None)
    with torch.no_grad():
        shared = objective.begin(scorer, units)
        losses: list[float] = objective.loss(scorer, units, shared)[1].tolist()
    return losses


def prompts(folder: Path, rows: Sequence[Pair | Rated]) -> list[str]:
    renderer = Renderer(folder)
    return [renderer.text(row.prompt, row.context) for row in rows]


def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def arguments(tmp_path: Path, batch: int) -> dict[str, Any]:
    return {
        "output_dir": str(tmp_path / "trl"),
        "per_device_train_batch_size": batch,
        "beta": 0.3,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": [],
        "use_cpu": True,
    }


def test_each_pair_costs_what_it_costs_in_trl(llama: Path, tmp_path: Path) -> None:
    from datasets import Dataset as Table
    from trl import DPOConfig, DPOTrainer

    table = Table.from_dict(
        {
            "prompt": prompts(llama, DATA.pairs),
            "chosen": [pair.chosen for pair in DATA.pairs],
            "rejected": [pair.rejected for pair in DATA.pairs],
        }
    )
    for kinds, weights, own in (
        (["sigmoid"], [1.0], Dpo(0.3, 0.0, 0.0)),
        (["sigmoid", "sft"], [1.0, 0.4], Dpo(0.3, 0.4, 0.0)),
    ):
        trainer = DPOTrainer(
            fresh(llama, "sdpa"),
            args=DPOConfig(**arguments(tmp_path, 1), loss_type=kinds, loss_weights=weights),
            train_dataset=table,
            processing_class=tokenizer(llama),
        )
        moved(trainer.model)
        rows = [trainer.data_collator([row]) for row in trainer.train_dataset]
        with torch.no_grad():
            theirs = [trainer.compute_loss(trainer.model, row).item() for row in rows]
        found = ours(llama, tmp_path / str(len(kinds)), own, "dpo", DATA)
        assert found == pytest.approx(theirs, abs=1e-5)
        assert max(theirs) - min(theirs) > 0.1


def test_each_rated_answer_costs_what_it_costs_in_trl(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Dataset as Table
    from trl import KTOConfig, KTOTrainer

    # TRL swaps answers between neighbours, whatever their prompts: so one row of each prompt.
    good = list(DATA.rated[::4]) + list(DATA.rated[3::4])
    data = Dataset(hash="r", train=(), val=(), rated=tuple(good))
    table = Table.from_dict(
        {
            "prompt": prompts(llama, good),
            "completion": [row.output for row in good],
            "label": [row.desirable for row in good],
        }
    )
    config = arguments(tmp_path, len(good)) | {
        "desirable_weight": 1.2,
        "undesirable_weight": 0.7,
        "train_sampling_strategy": "sequential",
    }
    trainer = KTOTrainer(
        fresh(llama, "sdpa"),
        args=KTOConfig(**config),
        train_dataset=table,
        processing_class=tokenizer(llama),
    )
    moved(trainer.model)
    seen: list[torch.Tensor] = []
    mean = torch.Tensor.nanmean
    monkeypatch.setattr(torch.Tensor, "nanmean", lambda losses: seen.append(losses) or mean(losses))
    with torch.no_grad():
        trainer.compute_loss(trainer.model, trainer.data_collator(list(trainer.train_dataset)))
    found = ours(llama, tmp_path / "own", Kto(0.3, 1.2, 0.7), "kto", data)
    half = [row.desirable for row in good].index(False)  # TRL lists the good ones first, as we do
    assert not any(row.desirable for row in good[half:])
    assert found == pytest.approx(seen[-1].tolist(), abs=1e-5)
    assert max(found) - min(found) > 0.05
