"""The losses against sentence-transformers' own and against their definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.families.embedding import judge
from honewheel.families.embedding.losses import Angle, Batch, Cosent, Mnrl, Mse, make


def batch(size: int = 6, seed: int = 0, **changes: Any) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    u, v = (
        torch.nn.functional.normalize(torch.randn(size, 8, generator=draw), dim=1) for _ in range(2)
    )
    parts: dict[str, Any] = {
        "u": u,
        "v": v,
        "label": torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0, 0.25])[:size],
        "weight": torch.ones(size),
        "class_u": torch.arange(size),
        "class_v": torch.arange(size) + size,
    }
    return Batch(**parts | changes)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(Cosent(20.0), "CoSENTLoss"), (Mse(), "CosineSimilarityLoss")],
)
def test_losses_of_pairs_are_those_of_sentence_transformers(ours: Any, theirs: str) -> None:
    from sentence_transformers.sentence_transformer import losses

    found = batch()
    rival = getattr(losses, theirs)(None)
    expected = rival.compute_loss_from_embeddings([found.u, found.v], found.label)
    assert ours(found).item() == pytest.approx(expected.item(), rel=1e-5)


def test_angle_is_cosent_over_angles_and_over_cosines() -> None:
    from sentence_transformers.sentence_transformer import losses

    found = batch()
    rival = losses.AnglELoss(None).compute_loss_from_embeddings([found.u, found.v], found.label)
    expected = rival + Cosent(20.0)(found)
    assert Angle(20.0)(found).item() == pytest.approx(expected.item(), rel=1e-5)


def test_mnrl_finds_partners_both_ways_and_never_among_its_own_class() -> None:
    found = batch(label=torch.ones(6), class_u=torch.arange(6), class_v=torch.arange(6))
    texts = torch.cat([found.u, found.v])
    expected = []
    for row in range(6):
        for own, other in ((row, row + 6), (row + 6, row)):
            others = [at for at in range(12) if at % 6 != row] + [other]
            logits = 20.0 * texts[others] @ texts[own]
            expected.append((torch.logsumexp(logits, 0) - 20.0 * texts[other] @ texts[own]).item())
    value = Mnrl(20.0, 0.75)(found).item()
    assert value == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    # A text of the anchor's class in another row is no negative any more.
    joined = batch(label=torch.ones(6), class_u=torch.zeros(6), class_v=torch.zeros(6))
    assert Mnrl(20.0, 0.75)(joined).item() == pytest.approx(0.0, abs=1e-6)
    assert Mnrl(20.0, 0.75)(batch(label=torch.zeros(6))).item() == 0.0


def test_a_weight_is_how_much_a_pair_counts() -> None:
    plain, twice = batch(), batch(weight=torch.tensor([2.0, 1, 1, 1, 1, 1]))
    errors = (plain.cosines - plain.label) ** 2
    expected = (errors.sum() + errors[0]) / 7
    assert Mse()(twice).item() == pytest.approx(expected.item(), rel=1e-6)
    below = plain.label[:, None] < plain.label[None, :]
    terms = (20.0 * (plain.cosines[:, None] - plain.cosines[None, :])).exp()
    doubled = terms * twice.weight[:, None] * twice.weight[None, :]
    assert Cosent(20.0)(twice).item() == pytest.approx(
        math.log(1 + doubled[below].sum().item()), rel=1e-5
    )


def test_settings_name_the_loss_and_its_own_settings() -> None:
    asked = {"scale": 5.0, "positive_from": 0.4}
    assert make({"loss": "cosent", **asked}) == Cosent(5.0)
    assert make({"loss": "cached-mnrl", **asked}) == Mnrl(5.0, 0.4)
    assert make({"loss": "angle", **asked}) == Angle(5.0)
    assert make({"loss": "mse", **asked}) == Mse()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 1)), min_size=4, max_size=30))
def test_with_two_balanced_labels_spearman_is_the_auc_in_other_clothes(
    rows: list[tuple[float, int]],
) -> None:
    cosines = np.unique(np.array([row[0] for row in rows], dtype=np.float32))
    if len(cosines) < 4:
        return
    cosines = cosines[: len(cosines) // 2 * 2]
    labels = np.array([0, 1] * (len(cosines) // 2), dtype=np.float32)
    expected = math.sqrt(0.75) * (2 * judge.auc(cosines, labels) - 1)
    # Exact for many pairs; for few the ranks' own spread enters.
    count = len(cosines)
    spread = math.sqrt(1 - 1 / count**2)
    assert judge.spearman(cosines, labels) * spread == pytest.approx(expected, abs=1e-6)


def test_labels_that_are_all_alike_leave_nothing_to_judge_by() -> None:
    cosines, ones = np.array([0.1, 0.2, 0.3], np.float32), np.ones(3, np.float32)
    assert math.isnan(judge.spearman(cosines, ones))
    assert math.isnan(judge.auc(cosines, ones))


def test_of_scores_that_cannot_be_told_apart_the_first_is_taken() -> None:
    def scores(*values: float) -> list[judge.Score]:
        return [judge.Score(spearman=value, auc=0.5, random=0.0) for value in values]

    assert judge.lowest(scores(0.60, 0.682, 0.69), 1000) == 1  # half a standard error is 0.0085
    assert judge.lowest(scores(0.67, 0.682, 0.69), 1000) == 1
    assert judge.lowest(scores(0.67, 0.68, 0.69), 100) == 0
    assert judge.lowest(scores(math.nan, 0.1, math.nan), 100) == 1
    assert judge.lowest(scores(math.nan, math.nan), 100) == 0
