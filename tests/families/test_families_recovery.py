"""Runs that meet a loss that is no number, or the end of memory: what they do and write down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import dataset, make_base, spec

from honewheel import atomic
from honewheel.errors import ConfigError, NotEnoughMemory, TrainingFailed
from honewheel.families import modes
from honewheel.families.causal_lm import scoring
from honewheel.families.causal_lm.collate import Pass
from honewheel.families.causal_lm.family import CausalLM
from honewheel.records import Progress, Spec

FAMILY = CausalLM()
EXHAUSTED = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
Losses = Callable[[Any, Pass, bool], torch.Tensor]


def trained(given: Spec, run_dir: Path) -> list[Progress]:
    run_dir.mkdir(exist_ok=True)
    return list(FAMILY.train(given, dataset(), run_dir))


def interrupted(given: Spec, run_dir: Path, when: Callable[[Progress], bool]) -> None:
    run_dir.mkdir()
    progress = FAMILY.train(given, dataset(), run_dir)
    assert isinstance(progress, Iterator)
    next(report for report in progress if when(report))
    progress.close()  # type: ignore[attr-defined]


def report(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


class Faults:
    """Wraps the one function all losses come from; counts the training passes it sees."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.real: Losses = scoring.token_losses
        self.passes = 0
        self.broken: set[int] = set()  # training passes (from 1) that give nan
        self.most = 10**9  # tokens of a pass that memory is enough for
        self.cramped_from = 10**9  # training pass from which it is enough for 80 only
        monkeypatch.setattr(scoring, "token_losses", self)

    def __call__(self, model: Any, part: Pass, bfloat16: bool) -> torch.Tensor:
        if self.passes >= self.cramped_from:
            self.most = 80
        if part.ids.shape[1] > self.most:
            raise RuntimeError(EXHAUSTED)
        losses = self.real(model, part, bfloat16)
        if not losses.requires_grad:
            return losses
        self.passes += 1
        return losses * (float("nan") if self.passes in self.broken else 1.0)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


# --- no number ---------------------------------------------------------------------------------


def test_a_run_goes_back_to_its_newest_checkpoint_with_half_the_rate(
    llama: Path, tmp_path: Path, faults: Faults
) -> None:
    faults.broken = {7}
    given = spec(llama, checkpoint_every=2, eval_every=1.0, schedule="constant", warmup_share=0.0)
    seen = trained(given, tmp_path / "run")
    told = "at update 7 the loss became nan (learning rate 0.002); back to update 6 with half"
    assert f"{told} the rate" in [progress.message for progress in seen]
    found = report(tmp_path / "run")
    assert found["retreat"] == {
        "update": 7, "what": "the loss became nan", "rate": 0.002, "back_to": 6,
    }  # fmt: skip
    assert found["updates"] == 10
    assert found["realised"]["learning_rate"] == 0.001
    rates = {progress.step: progress.learning_rate for progress in seen if progress.learning_rate}
    assert [rates[step] for step in (5, 6, 7, 8, 10)] == [0.002, 0.002, 0.001, 0.001, 0.001]


@pytest.mark.parametrize(
    "killed_at", [7, pytest.param(9, marks=pytest.mark.slow)]
)  # before and after the first checkpoint since
def test_a_run_that_went_back_and_was_killed_takes_the_same_way(
    llama: Path, tmp_path: Path, faults: Faults, killed_at: int
) -> None:
    given = spec(llama, checkpoint_every=2, eval_every=1.0, dropout=0.2)
    faults.broken = {7}
    trained(given, tmp_path / "whole")
    faults.passes = 0
    back: list[str] = []

    def after_going_back(progress: Progress) -> bool:
        back.extend([progress.message] if "half the rate" in progress.message else [])
        return bool(back) and progress.step == killed_at

    interrupted(given, tmp_path / "broken", after_going_back)
    faults.broken = set()
    trained(given, tmp_path / "broken")
    assert report(tmp_path / "broken") == report(tmp_path / "whole")
    assert atomic.verify(tmp_path / "broken" / "final") == atomic.verify(
        tmp_path / "whole" / "final"
    )


def test_the_second_time_it_fails_with_both_sets_of_numbers(
    llama: Path, tmp_path: Path, faults: Faults
) -> None:
    faults.broken = {7, 9}
    given = spec(llama, checkpoint_every=2, eval_every=1.0, schedule="constant", warmup_share=0.0)
    with pytest.raises(TrainingFailed) as told:
        trained(given, tmp_path / "run")
    assert str(told.value).startswith(
        "At update 7 the loss became nan (learning rate 0.002); gone back to update 6 with half "
        "the rate, at update 8 the loss became nan (learning rate 0.001). Lower learning_rate"
    )
    assert not (tmp_path / "run" / "final").exists()


def test_a_checkpoint_never_holds_a_weight_that_is_no_number(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from honewheel.families import snapshot

    real, calls = snapshot.not_finite, []

    def third_is_broken(model: torch.nn.Module) -> list[str]:
        calls.append(1)
        if len(calls) == 3:
            with torch.no_grad():
                next(weight for _, weight in snapshot.trainable(model)).fill_(float("inf"))
        return real(model)

    monkeypatch.setattr(snapshot, "not_finite", third_is_broken)
    given = spec(llama, checkpoint_every=2, eval_every=1.0)
    seen = trained(given, tmp_path / "run")
    found = report(tmp_path / "run")["retreat"]
    assert (found["update"], found["back_to"]) == (5, 4)
    assert found["what"].startswith("1 trained weights became not finite (first base_model.")
    assert seen[-1].step == 10


# --- no memory ---------------------------------------------------------------------------------


def test_a_batch_that_does_not_fit_is_cut_into_smaller_passes_and_stays_the_batch(
    llama: Path, tmp_path: Path, faults: Faults
) -> None:
    given = spec(llama, dropout=0.2)
    trained(given, tmp_path / "roomy")
    faults.most = 80
    seen = trained(given, tmp_path / "cramped")
    messages = [progress.message for progress in seen if "memory ran out" in progress.message]
    assert messages
    assert "from update 1 on passes have at most" in messages[0]
    roomy, cramped = report(tmp_path / "roomy"), report(tmp_path / "cramped")
    assert roomy["passes"] == []
    assert 0 < cramped["passes"][-1]["tokens_per_pass"] <= 80
    assert cramped["updates"] == roomy["updates"]
    first = [found["losses"][0][1] for found in (roomy, cramped)]
    assert first[0] == pytest.approx(first[1], abs=0.2)  # dropout falls elsewhere


def test_a_resumed_run_cuts_each_update_as_it_was_cut_before(
    llama: Path, tmp_path: Path, faults: Faults
) -> None:
    given = spec(llama, checkpoint_every=2)

    faults.cramped_from = 5
    trained(given, tmp_path / "whole")
    faults.passes, faults.most = 0, 10**9
    interrupted(given, tmp_path / "broken", lambda progress: progress.step == 7)
    faults.cramped_from, faults.most = 10**9, 10**9  # there is memory again
    trained(given, tmp_path / "broken")
    assert report(tmp_path / "whole")["passes"] != []
    assert report(tmp_path / "broken") == report(tmp_path / "whole")


def test_a_row_that_does_not_fit_alone_fails_with_the_bytes_of_each_part(
    llama: Path, tmp_path: Path, faults: Faults
) -> None:
    faults.most = 8
    with pytest.raises(NotEnoughMemory, match=r"Training needs about .* GB"):
        trained(spec(llama), tmp_path / "run")


# --- architectures that would be trained wrongly -----------------------------------------------


def test_a_model_whose_forward_pass_lacks_what_is_needed_is_refused_by_name() -> None:
    class Elder(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, logits_to_keep: int = 0) -> None: ...

    with pytest.raises(ConfigError, match=r"Elder cannot be trained .* takes no position_ids"):
        scoring.refuse_foreign(Elder())


def test_short_convolutions_that_see_across_sequences_are_refused(tmp_path: Path) -> None:
    """LFM2 takes every argument and trains, on sequences that would run into one another."""
    import transformers

    make_base(tmp_path / "base")
    torch.manual_seed(0)
    config = transformers.Lfm2Config(
        vocab_size=264, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=128, max_position_embeddings=256,
        full_attn_idxs=[1], pad_token_id=0, eos_token_id=1, bos_token_id=None,
        initializer_range=0.2,  # at the usual 0.02 an untrained layer adds next to nothing
    )  # fmt: skip
    with modes.quiet():
        transformers.Lfm2ForCausalLM(config).save_pretrained(tmp_path / "base")
    with pytest.raises(ConfigError, match="Lfm2ForCausalLM reads a sequence differently beside"):
        trained(spec(tmp_path / "base"), tmp_path / "run")


def test_layers_that_carry_a_state_from_one_sequence_to_the_next_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from honewheel.families.causal_lm import attention

    base = make_base(tmp_path / "base")
    real = attention.attend

    def leaking(*given: Any, bounds: Any = None, **more: Any) -> Any:
        return real(*given, bounds=((0, bounds[-1][1]),), **more)

    monkeypatch.setattr(attention, "attend", leaking)
    with pytest.raises(ConfigError, match="reads a sequence differently beside another one"):
        trained(spec(base), tmp_path / "run")
