"""Training: the loss that is minimised, resuming, refusing, and what `final` holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import ARCHITECTURES, dataset, example, items, make_base, spec
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy

from honewheel import atomic
from honewheel.errors import ConfigError, Damaged, NotEnoughData, TrainingFailed
from honewheel.families import checkpoints, hardware, precision
from honewheel.families.causal_lm import attention, loading
from honewheel.families.causal_lm.collate import flatten
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.causal_lm.render import Encoded, Renderer
from honewheel.families.causal_lm.scoring import token_losses
from honewheel.records import Dataset, Decoding, Progress, Spec

FAMILY = CausalLM()


def trained(given: Spec, data: Dataset, run_dir: Path) -> list[Progress]:
    run_dir.mkdir(exist_ok=True)
    return list(FAMILY.train(given, data, run_dir))


def interrupted(given: Spec, data: Dataset, run_dir: Path, after: int) -> None:
    """Stop listening once update `after` was reported."""
    run_dir.mkdir()
    progress = FAMILY.train(given, data, run_dir)
    assert isinstance(progress, Iterator)
    next(report for report in progress if report.step == after)
    progress.close()  # type: ignore[attr-defined]
    assert not (run_dir / "final").exists()


def report(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


def losses(run_dir: Path) -> list[float]:
    """Training loss of each update."""
    return [loss for _, loss in report(run_dir)["losses"]]


def padded_losses(folder: Path, rows: list[Encoded]) -> torch.Tensor:
    """Cross-entropy of each answer token from the plain padded forward pass."""
    model = loading.load(folder, attention="eager", full_precision=True).eval()
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row.ids)
        mask[index, : len(row)] = 1
        labels[index, row.answer_start : len(row)] = torch.tensor(row.ids[row.answer_start :])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    kept = labels[:, 1:] != -100
    return cross_entropy(logits[kept], labels[:, 1:][kept], reduction="none")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_padding_free_loss_is_the_padded_loss(
    bases: Callable[[str], Path], architecture: str
) -> None:
    folder = bases(architecture)
    rows = Renderer(folder).encode([example(number) for number in range(7)])
    assert max(map(len, rows)) > 16  # longer than the sliding windows
    attention.register()
    model = loading.load(folder, attention=attention.NAME, full_precision=True).eval()
    with torch.no_grad():
        found = token_losses(model, flatten(rows), bfloat16=False)
    torch.testing.assert_close(found, padded_losses(folder, rows), atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_architecture_learns_by_either_method_and_answers(
    bases: Callable[[str], Path], tmp_path: Path, architecture: str, method: str
) -> None:
    base = bases(architecture)
    rate = 1e-2 if method == "lora" else 2e-3
    given = spec(base, method, learning_rate=rate, epochs=3)
    seen = trained(given, dataset(), tmp_path / "run")
    validated = [progress.val_loss for progress in seen if progress.val_loss is not None]
    assert validated[-1] < validated[0] - 0.2
    with FAMILY.open(str(base), tmp_path / "run" / "final") as model:
        answers = list(model.predict(items(3), Decoding(max_new_tokens=5)))
    assert sorted(answer.item for answer in answers) == ["e2000", "e2001", "e2002"]


@pytest.mark.parametrize("method", ["lora", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("after", [6, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 11))])
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    llama: Path, tmp_path: Path, method: str, after: int
) -> None:
    extra: dict[str, Any] = {"dropout": 0.3} if method == "lora" else {}
    given = spec(llama, method, checkpoint_every=2, schedule="cosine", epochs=4, **extra)
    trained(given, dataset(), tmp_path / "whole")
    interrupted(given, dataset(), tmp_path / "broken", after)
    seen = trained(given, dataset(), tmp_path / "broken")
    assert after == 1 or seen[0].message.startswith("resumed after update")
    assert atomic.verify(tmp_path / "broken" / "final") == atomic.verify(
        tmp_path / "whole" / "final"
    )


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = spec(llama, checkpoint_every=1, eval_every=1.0)
    trained(given, dataset(), tmp_path / "whole")
    interrupted(given, dataset(), tmp_path / "broken", 8)
    newest = sorted((tmp_path / "broken" / "checkpoints").glob("step-*"))[-1]
    flip(newest / "tensors.safetensors")
    seen = trained(given, dataset(), tmp_path / "broken")
    assert "is damaged" in caplog.text
    assert seen[0].message == f"resumed after update {int(newest.name[5:]) - 1}"
    assert atomic.verify(tmp_path / "broken" / "final") == atomic.verify(
        tmp_path / "whole" / "final"
    )


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_changed_setting_or_dataset_refuses_to_resume_and_says_what_changed(
    llama: Path, tmp_path: Path
) -> None:
    given = spec(llama, checkpoint_every=1)
    interrupted(given, dataset(), tmp_path / "run", 3)
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.002, now 0\.001"):
        trained(spec(llama, checkpoint_every=1, learning_rate=1e-3), dataset(), tmp_path / "run")
    with pytest.raises(ConfigError, match="dataset was 'data', now 'other'"):
        trained(given, dataset(name="other"), tmp_path / "run")


def test_a_complete_run_is_not_trained_again_and_a_damaged_one_is_named(
    llama: Path, tmp_path: Path
) -> None:
    given = spec(llama, epochs=1)
    trained(given, dataset(8, 0), tmp_path / "run")
    assert trained(given, dataset(8, 0), tmp_path / "run") == []
    with pytest.raises(ConfigError, match="seed was 0, now 1"):
        trained(replace(given, seed=1), dataset(8, 0), tmp_path / "run")
    flip(tmp_path / "run" / "final" / "adapter_model.safetensors")
    with pytest.raises(Damaged, match=r"adapter_model\.safetensors is damaged: sha256"):
        trained(given, dataset(8, 0), tmp_path / "run")


def test_a_base_that_changed_since_planning_is_refused(llama: Path, tmp_path: Path) -> None:
    given = replace(spec(llama), base_hash="0" * 64)
    with pytest.raises(ConfigError, match="planned 000000000000"):
        trained(given, dataset(), tmp_path / "run")


def test_realised_settings_are_read_back_from_optimizer_and_adapter(
    llama: Path, tmp_path: Path
) -> None:
    given = spec(
        llama, rank=4, alpha=6, dropout=0.1, learning_rate=3e-3, weight_decay=0.01,
        max_grad_norm=0.5, warmup_share=0.2, epochs=1,
    )  # fmt: skip
    trained(given, dataset(), tmp_path / "run")
    found = report(tmp_path / "run")["realised"]
    assert found == {
        "objective": "sft",
        "rank": 4,
        "scaling": 3.0,  # 6 / sqrt(4)
        "dropout": 0.1,
        "learning_rate": 3e-3,
        "weight_decay": 0.01,
        "max_grad_norm": 0.5,
        "optimizer": "AdamW",
        "schedule": "linear",
        "restarts": 1,
        "warmup_updates": 1,
        "precision": "float32",
        "weights": "float32",
        "checkpointing": False,
        "trainable_parameters": 4 * 2 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128)),
        "target_modules": [
            "down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj",
        ],
    }  # fmt: skip


def test_the_adapter_folder_names_the_base_as_configured_and_loads_with_plain_peft(
    llama: Path, tmp_path: Path
) -> None:
    from peft import PeftConfig

    trained(spec(llama, epochs=1, rslora=False), dataset(8, 2), tmp_path / "run")
    final = tmp_path / "run" / "final"
    config = PeftConfig.from_pretrained(str(final))
    assert config.base_model_name_or_path == str(llama)
    assert (config.use_rslora, config.lora_alpha) == (False, 8)
    assert str(tmp_path / "run") not in (final / "adapter_config.json").read_text()


def test_training_stops_when_validation_does_not_improve_and_keeps_the_best_state(
    llama: Path, tmp_path: Path
) -> None:
    noise = tuple(
        replace(row, target=f"{i * 7919 % 1000}") for i, row in enumerate(dataset().train)
    )
    data = replace(dataset(), train=noise)
    given = spec(llama, learning_rate=1e-2, epochs=40, patience=2, eval_every=1.0)
    seen = trained(given, data, tmp_path / "run")
    found = report(tmp_path / "run")
    assert seen[-1].message == "no improvement in 2 validations: stopped"
    assert found["updates"] == seen[-1].step < found["planned_updates"] == 200
    validated = [step for step, _ in found["val_losses"]]
    assert found["best_update"] == validated[-3]
    best = checkpoints.read(
        checkpoints.folder(tmp_path / "run" / "checkpoints", found["best_update"])
    )
    final = load_file(tmp_path / "run" / "final" / "adapter_model.safetensors")
    for name, weight in best.part("weight").items():
        assert torch.equal(final[name.replace(".default", "")], weight)


def test_weights_count_relative_to_their_batch(llama: Path, tmp_path: Path) -> None:
    """Doubling all of them changes nothing; an example of hardly any weight hardly counts."""
    plain = spec(llama, epochs=1, batch_size=4)

    def weighted(weights: list[float], name: str) -> list[float]:
        rows = tuple(example(i, weight=weight) for i, weight in enumerate(weights))
        trained(plain, replace(dataset(0, 0), train=rows), tmp_path / name)
        return losses(tmp_path / name)

    once = weighted([1.0, 1.0, 1.0, 1.0], "once")
    assert weighted([2.0, 2.0, 2.0, 2.0], "twice") == pytest.approx(once, rel=1e-6)
    only_first = weighted([1.0, 1e-9, 1e-9, 1e-9], "first")
    rows = Renderer(llama).encode([example(0)])
    assert only_first[0] == pytest.approx(padded_losses(llama, rows).mean().item(), abs=1e-5)
    assert only_first != pytest.approx(once, rel=1e-3)


def test_splitting_a_batch_into_passes_changes_the_loss_by_rounding_only(
    llama: Path, tmp_path: Path
) -> None:
    trained(spec(llama, tokens_per_pass=8192), dataset(val=0), tmp_path / "one")
    trained(spec(llama, tokens_per_pass=64), dataset(val=0), tmp_path / "many")
    assert losses(tmp_path / "many") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)


def test_examples_that_are_too_long_are_left_out_and_counted(llama: Path, tmp_path: Path) -> None:
    long = replace(dataset(8, 2), train=(*dataset(8).train, example(50, target="x" * 300)))
    trained(spec(llama, epochs=1), long, tmp_path / "run")  # the base has 256 positions
    found = report(tmp_path / "run")
    assert (found["examples"], found["left_out_too_long"]) == (8, 1)
    with pytest.raises(NotEnoughData, match="None of 8 examples is at most 16 tokens long"):
        trained(spec(llama, max_tokens=16), dataset(8, 2), tmp_path / "none")


def test_a_loss_that_is_not_finite_stops_the_run_with_its_numbers(
    tmp_path: Path,
) -> None:
    base = make_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    told = (
        r"At update 1 the loss became nan \(learning rate 0\.002\); gone back to update 0 with "
        r"half the rate, at update 1 the loss became nan \(learning rate 0\.001\)\. Lower "
    )
    for _ in range(2):  # and so again when it is resumed
        with pytest.raises(TrainingFailed, match=told):
            trained(spec(base), dataset(val=0), tmp_path / "run")
    assert not (tmp_path / "run" / "final").exists()


def test_only_the_last_two_checkpoints_and_their_best_states_are_kept(
    llama: Path, tmp_path: Path
) -> None:
    trained(
        spec(llama, checkpoint_every=1, epochs=4, learning_rate=1e-2), dataset(), tmp_path / "run"
    )
    kept = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [path.name for path in kept][-2:] == ["step-00000019", "step-00000020"]
    assert 2 <= len(kept) <= 4


def test_another_seed_gives_other_weights(llama: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        trained(spec(llama, seed=seed, epochs=1), dataset(8, 0), tmp_path / str(seed))
    assert atomic.verify(tmp_path / "0" / "final") != atomic.verify(tmp_path / "1" / "final")


def test_bfloat16_is_another_arithmetic_and_recorded(llama: Path, tmp_path: Path) -> None:
    trained(spec(llama, precision="bfloat16", epochs=1), dataset(8, 2), tmp_path / "half")
    trained(spec(llama, precision="float32", epochs=1), dataset(8, 2), tmp_path / "single")
    half, single = losses(tmp_path / "half"), losses(tmp_path / "single")
    assert half != single
    assert half == pytest.approx(single, rel=2e-2)


def test_bfloat16_is_taken_by_itself_where_it_gains(llama: Path, tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [5000, 5000], "data_offsets": [0, 0]}})
    head = len(header).to_bytes(8, "little") + header.encode()
    (tmp_path / "model.safetensors").write_bytes(head)
    expected = "bfloat16" if hardware.has_bfloat16() else "float32"
    assert precision.realised("auto", tmp_path) == expected
    small = expected if torch.cuda.is_available() else "float32"
    assert precision.realised("auto", llama) == small
    assert precision.realised("bfloat16", llama) == "bfloat16"


def test_the_log_has_one_line_a_report_with_the_time_and_nothing_hashed_has(
    llama: Path, tmp_path: Path
) -> None:
    seen = trained(spec(llama, epochs=1), dataset(8, 2), tmp_path / "run")
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [progress.step for progress in seen]
    assert all(json.loads(line)["at"].endswith("+00:00") for line in lines)
    assert {path.name for path in (tmp_path / "run" / "final").iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "manifest.json", "training.json",
    }  # fmt: skip
