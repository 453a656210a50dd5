from __future__ import annotations

import random
from collections import Counter

import numpy as np
from curate_builders import requirement
from hypothesis import given
from hypothesis import strategies as st

from honewheel.curate import dedup, split


@given(st.text(), st.text())
def test_the_same_root_and_salt_give_the_same_split(root: str, salt: str) -> None:
    assert split.assign(root, salt) == split.assign(root, salt)
    assert split.assign(root, salt) in ("train", "val", "test")


def test_shares_are_80_10_10() -> None:
    found = Counter(split.assign(f"evt_{at}", "salt") for at in range(20_000))
    assert abs(found["train"] / 20_000 - 0.8) < 0.012
    assert abs(found["val"] / 20_000 - 0.1) < 0.009
    assert abs(found["test"] / 20_000 - 0.1) < 0.009


def test_another_salt_splits_otherwise() -> None:
    moved = sum(split.assign(f"e{at}", "a") != split.assign(f"e{at}", "b") for at in range(1000))
    assert 250 < moved < 430  # 1 - (.8^2 + .1^2 + .1^2) = 0.34


def test_coin_flip_labels_are_not_learnable_across_the_split() -> None:
    """Copies carry their original's label. Only a split by group keeps 1-NN at chance."""
    rng = random.Random(11)
    prompts, labels = [], []
    for seed in range(500):
        label = rng.randrange(2)
        for copy in range(4):
            prompts.append(requirement(seed) + ("", " thanks!", " please.", " asap")[copy])
            labels.append(label)
    signed = dedup.signatures([(prompt, {}) for prompt in prompts])
    by_group, lost = _accuracy(prompts, signed, labels, grouped=True)
    by_row, _ = _accuracy(prompts, signed, labels, grouped=False)
    chance = 3 * (0.25 / 100) ** 0.5  # about 100 test groups, copies are no further evidence
    assert lost == 0
    assert abs(by_group - 0.5) < chance
    assert by_row > 0.9


def _accuracy(
    prompts: list[str], signed: list[bytes], labels: list[int], *, grouped: bool
) -> tuple[float, int]:
    """1-nearest-neighbour accuracy on val and test from train, and rows in quarantine."""
    placed: list[dedup.Candidate] = []
    bands: dict[int, list[dedup.Candidate]] = {}
    lost = 0
    for at, prompt in enumerate(prompts):
        name = f"evt_{at}"
        keys = dedup.bands(signed[at])
        near = {one.response_id: one for key in keys for one in bands.get(key, [])}
        exact = dedup.exact_key(prompt, {})
        found = dedup.link(name, exact, signed[at], near.values() if grouped else [])
        lost += found.quarantined is not None
        mine = dedup.Candidate(
            response_id=name,
            exact=exact,
            signature=signed[at],
            group=found.group,
            split=found.split or split.assign(found.group, "salt"),
        )
        placed.append(mine)
        for key in keys:
            bands.setdefault(key, []).append(mine)
    rows = np.stack([np.frombuffer(sign, "<u4") for sign in signed])
    train = np.array([one.split == "train" for one in placed])
    truth = np.array(labels)
    right = [
        truth[train][(rows[train] == rows[at]).sum(axis=1).argmax()] == truth[at]
        for at in np.flatnonzero(~train)
    ]
    return float(np.mean(right)), lost
