"""DPO and KTO: what they cost, what they teach, what they are judged by, how they resume."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from causal_builders import pair, preferences, rated, spec

from honewheel import atomic
from honewheel.errors import NotEnoughData
from honewheel.families.causal_lm import attention, loading, reference, units
from honewheel.families.causal_lm.dpo import Dpo
from honewheel.families.causal_lm.family import CausalLM
from honewheel.families.causal_lm.kto import Kto
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.scoring import Scorer
from honewheel.families.causal_lm.units import EncodedPair, EncodedRated
from honewheel.records import Dataset, Progress, Spec, Split

FAMILY = CausalLM()


def preferring(base: Path, objective: str, method: str = "lora", **settings: Any) -> Spec:
    rate = 2e-3 if method == "lora" else 5e-4
    given = {"learning_rate": rate, "checkpoint_every": 2} | settings
    return spec(base, method, objective=objective, **given)


def trained(given: Spec, data: Dataset, run_dir: Path) -> list[Progress]:
    run_dir.mkdir(exist_ok=True, parents=True)
    return list(FAMILY.train(given, data, run_dir))


def report(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "final" / "training.json").read_text())
    return found


def encoded(base: Path, objective: str, data: Dataset, split: Split = "train") -> list[Any]:
    rows = units.given(objective, data, split)
    return units.fitting(rows, units.encode(rows, Renderer(base)), 256)[0]


@pytest.fixture(scope="module")
def scorer(llama: Path) -> Scorer:
    attention.register()
    model = loading.load(llama, attention=attention.NAME, full_precision=True).eval()
    return Scorer(model, bfloat16=False, limit=8192)


# --- the losses --------------------------------------------------------------------------------


def test_dpo_is_its_formula_and_does_not_depend_on_the_passes(llama: Path, scorer: Scorer) -> None:
    pairs: list[EncodedPair] = encoded(llama, "dpo", preferences())
    moved = [
        replace(one, chosen=replace(one.chosen, weight=0.5 + i / 8), reference=(-30.0 - i, -20.0))
        for i, one in enumerate(pairs)
    ]
    objective = Dpo(beta=0.2, sft_weight=0.3, label_smoothing=0.1)
    with torch.no_grad():
        shared = objective.begin(scorer, moved)
        whole, each = objective.loss(scorer, moved, shared)
        halves = [objective.loss(scorer, part, shared)[0] for part in (moved[:5], moved[5:])]
        chosen = scorer.log_probs([one.chosen for one in moved]).tolist()
        rejected = scorer.log_probs([one.rejected for one in moved]).tolist()
    terms, told = [], []
    for one, good, bad in zip(moved, chosen, rejected, strict=True):
        margin = 0.2 * ((good - one.reference[0]) - (bad - one.reference[1]))
        terms.append(0.9 * math.log1p(math.exp(-margin)) + 0.1 * math.log1p(math.exp(margin)))
        told.append(-good)
    weights = [one.weight for one in moved]
    tokens = sum(one.weight * one.chosen.loss_tokens for one in moved)
    expected = sum(w * t for w, t in zip(weights, terms, strict=True)) / sum(weights)
    expected += 0.3 * sum(w * t for w, t in zip(weights, told, strict=True)) / tokens
    assert whole.item() == pytest.approx(expected, rel=1e-5)
    assert sum(part.item() for part in halves) == pytest.approx(expected, rel=1e-5)
    assert each[0].item() == pytest.approx(
        terms[0] + 0.3 * told[0] / moved[0].chosen.loss_tokens, rel=1e-5
    )


def test_kto_is_its_formula_and_does_not_depend_on_the_passes(llama: Path, scorer: Scorer) -> None:
    rows: list[EncodedRated] = encoded(llama, "kto", preferences())
    moved = [
        replace(one, reference=(-30.0 - i, -60.0 + 2 * i), row=replace(one.row, weight=1 + i / 9))
        for i, one in enumerate(rows)
    ]
    objective = Kto(beta=0.2, desirable_weight=1.5, undesirable_weight=0.5)
    with torch.no_grad():
        shared = objective.begin(scorer, moved)
        whole, each = objective.loss(scorer, moved, shared)
        halves = [objective.loss(scorer, part, shared)[0] for part in (moved[:5], moved[5:])]
        own = scorer.log_probs([one.row for one in moved]).tolist()
        other = scorer.log_probs([one.mismatched for one in moved]).tolist()
    gone = [now - one.reference[1] for one, now in zip(moved, other, strict=True)]
    point = max(0.0, sum(gone) / len(gone))
    terms = []
    for one, now in zip(moved, own, strict=True):
        ratio = now - one.reference[0] - point
        sign, cost = (1, 1.5) if one.desirable else (-1, 0.5)
        terms.append(cost * (1 - 1 / (1 + math.exp(-0.2 * sign * ratio))))
    weights = [one.weight for one in moved]
    expected = sum(w * t for w, t in zip(weights, terms, strict=True)) / sum(weights)
    assert whole.item() == pytest.approx(expected, rel=1e-4)
    assert sum(part.item() for part in halves) == pytest.approx(expected, rel=1e-4)
    assert each.tolist() == pytest.approx(terms, rel=1e-4)


def test_the_reference_point_is_never_below_zero(llama: Path, scorer: Scorer) -> None:
    rows: list[EncodedRated] = encoded(llama, "kto", preferences())
    fallen = [replace(one, reference=(0.0, 0.0)) for one in rows]  # no answer is certain
    assert Kto(0.1, 1.0, 1.0).begin(scorer, fallen).point.item() == 0


def test_a_mismatched_row_has_its_own_prompt_and_the_answer_to_another(llama: Path) -> None:
    rows: list[EncodedRated] = encoded(llama, "kto", preferences())
    for index, one in enumerate(rows):
        start = one.row.answer_start
        assert one.mismatched.ids[:start] == one.row.ids[:start]
        before = rows[index - 1 - index % 2].row  # two rows of each prompt stand together
        assert one.mismatched.ids[start:] == before.ids[before.answer_start :]


# --- what they teach ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "method"),
    [
        ("dpo", "lora"),
        ("kto", "full"),
        pytest.param("dpo", "full", marks=pytest.mark.slow),
        pytest.param("kto", "lora", marks=pytest.mark.slow),
    ],
)
def test_a_preference_is_learnt_and_carries_over_to_held_out_rows(
    llama: Path, tmp_path: Path, objective: str, method: str
) -> None:
    given = preferring(llama, objective, method, epochs=4, patience=100)
    seen = trained(given, preferences(), tmp_path / "run")
    found = report(tmp_path / "run")
    first, last = found["val_losses"][0][1], found["val_losses"][-1][1]
    start = {"dpo": math.log(2), "kto": 0.5}[objective]  # nothing has moved yet
    sft = 0.2 * 5.6 if objective == "dpo" else 0.0
    assert first == pytest.approx(start + sft, abs=0.1)
    assert last < first - 0.02
    noun = {"dpo": "pairs", "kto": "rated answers"}[objective]
    assert found["judged_by"] == f"held-out {noun}"
    assert f"judged by held-out {noun}" in " ".join(progress.message for progress in seen)
    assert (found["examples"], found["val_examples"]) == (16, 4)


def test_without_held_out_pairs_the_held_out_targets_judge_and_the_run_says_so(
    llama: Path, tmp_path: Path
) -> None:
    trained(preferring(llama, "dpo"), preferences(16, 0), tmp_path / "run")
    found = report(tmp_path / "run")
    assert found["judged_by"] == "held-out targets, as no pairs are held out"
    assert found["val_examples"] == 3
    assert found["val_losses"][0][1] == pytest.approx(5.6, abs=0.3)  # nats a byte, untrained


@pytest.mark.slow
def test_an_sft_term_keeps_the_chosen_answers_likely(llama: Path, tmp_path: Path) -> None:
    """Without it DPO is content to make both less likely, the rejected ones more so."""
    data = preferences()
    rows = [one.chosen for one in encoded(llama, "dpo", data)]
    likely = {}
    for weight in (0.0, 1.0):
        given = preferring(llama, "dpo", "full", sft_weight=weight, epochs=4)
        trained(given, replace(data, val=()), tmp_path / str(weight))
        final = tmp_path / str(weight) / "final"
        model = loading.load(final, attention=attention.NAME, full_precision=True).eval()
        likely[weight] = Scorer(model, False, 8192).fixed_log_probs(rows).mean().item()
    assert likely[1.0] > likely[0.0] + 0.5


# --- settings ----------------------------------------------------------------------------------


def test_the_settings_of_an_objective_are_read_back_where_they_take_effect(
    llama: Path, tmp_path: Path
) -> None:
    dpo = {"beta": 0.3, "sft_weight": 0.4, "label_smoothing": 0.05}
    trained(preferring(llama, "dpo", epochs=1, **dpo), preferences(4, 0), tmp_path / "dpo")
    assert report(tmp_path / "dpo")["realised"].items() >= (dpo | {"objective": "dpo"}).items()
    kto = {"beta": 0.3, "desirable_weight": 1.2, "undesirable_weight": 0.8}
    trained(preferring(llama, "kto", epochs=1, **kto), preferences(4, 0), tmp_path / "kto")
    assert report(tmp_path / "kto")["realised"].items() >= (kto | {"objective": "kto"}).items()


def test_a_dataset_without_what_the_objective_needs_is_refused_with_the_counts(
    llama: Path, tmp_path: Path
) -> None:
    bare = replace(preferences(), pairs=(pair(0, "val"),), rated=())
    (found,) = FAMILY.check(preferring(llama, "dpo"), bare)
    assert found.severity == "error"
    assert found.message.startswith(
        "objective = dpo needs pairs; this dataset has 0 for training (in all 1 pairs, 0 rated "
        "answers and 7 examples). Set curate.preferences = true"
    )
    with pytest.raises(NotEnoughData, match="objective = kto needs rated answers"):
        trained(preferring(llama, "kto"), bare, tmp_path / "run")
    same = tuple(rated(i, prompt="spell it") for i in range(4))
    (found,) = FAMILY.check(preferring(llama, "kto"), replace(bare, rated=same))
    assert "at least two prompts" in found.message
    assert "all 4 of this dataset are to one" in found.message


# --- references --------------------------------------------------------------------------------


def cached(folder: Path) -> dict[str, float]:
    (path,) = (folder / "reference").iterdir()
    found: dict[str, float] = json.loads(path.read_text())["values"]
    return found


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_references_are_those_of_the_starting_weights_and_computed_once(
    llama: Path, tmp_path: Path, scorer: Scorer, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, data = preferring(llama, objective, epochs=1), preferences()
    seen = trained(given, data, tmp_path / "first")
    rows = [
        row
        for split in ("train", "val")
        for one in encoded(llama, objective, data, split)  # type: ignore[arg-type]
        for row in one.rows
    ]
    expected = [
        scorer.fixed_log_probs([row]).item() for row in {row.ids: row for row in rows}.values()
    ]
    assert sorted(cached(tmp_path).values()) == sorted(expected)
    assert any(progress.message.startswith("reference ") for progress in seen)
    more = replace(data, hash="more", pairs=(*data.pairs, pair(90)), rated=(*data.rated, rated(90)))
    again = trained(given, more, tmp_path / "second")
    new = [progress.message for progress in again if progress.message.startswith("reference ")]
    fresh = len(cached(tmp_path)) - len(expected)
    assert new == [f"reference {fresh} of {fresh} rows"]
    assert fresh == {"dpo": 2, "kto": 3}[objective]  # the first row's partner is another one now
    monkeypatch.setattr(Scorer, "fixed_log_probs", None)
    if objective == "dpo":  # KTO's reference point needs the policy's own at each update
        trained(given, data, tmp_path / "third")


def test_a_damaged_cache_of_references_is_told_and_computed_again(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given, data = preferring(llama, "dpo", epochs=1), preferences(6, 2)
    trained(given, data, tmp_path / "first")
    before = cached(tmp_path)
    (path,) = (tmp_path / "reference").iterdir()
    path.write_text(path.read_text().replace("-", "-1", 1))
    trained(given, data, tmp_path / "second")
    assert "is damaged: its log-probabilities are computed again" in caplog.text
    assert cached(tmp_path) == before
    path.write_text("{")
    trained(given, data, tmp_path / "third")
    assert "cannot be read" in caplog.text
    assert cached(tmp_path) == before


def test_references_of_other_weights_or_another_precision_are_kept_apart(llama: Path) -> None:
    given, cpu = preferring(llama, "dpo"), torch.device("cpu")
    paths = {
        reference.cache(llama, given, "float32", cpu),
        reference.cache(llama, given, "bfloat16", cpu),
        reference.cache(llama, replace(given, base_hash="0" * 64), "float32", cpu),
    }
    assert len(paths) == 3


# --- resuming ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("objective", "method", "after"), [("dpo", "lora", 5), ("kto", "full", 3)])
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    llama: Path, tmp_path: Path, objective: str, method: str, after: int
) -> None:
    extra: dict[str, Any] = {"dropout": 0.3} if method == "lora" else {}
    given, data = preferring(llama, objective, method, **extra), preferences()
    trained(given, data, tmp_path / "one" / "whole")
    (tmp_path / "two" / "broken").mkdir(parents=True)
    progress = FAMILY.train(given, data, tmp_path / "two" / "broken")
    next(report for report in progress if report.step == after)
    progress.close()  # type: ignore[attr-defined]
    seen = trained(given, data, tmp_path / "two" / "broken")
    assert any(one.message.startswith("resumed after update") for one in seen)
    assert atomic.verify(tmp_path / "one" / "whole" / "final") == atomic.verify(
        tmp_path / "two" / "broken" / "final"
    )
