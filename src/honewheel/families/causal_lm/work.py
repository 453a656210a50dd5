"""What a run learns from and is judged by: its units, its objective, the held-out units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from honewheel.errors import NotEnoughData
from honewheel.families.causal_lm.dpo import Dpo
from honewheel.families.causal_lm.kto import Kto
from honewheel.families.causal_lm.objective import Objective
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.sft import Sft
from honewheel.families.causal_lm.units import NOUNS, Unit, encode, fitting, given, missing
from honewheel.records import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`since` is when each unit is first shown (see order.py).

    `val` is scored by `judge`: the objective itself where there are held-out units for it, else
    SFT on the held-out targets; `judged_by` says which. `left_out` rows of train and val are too
    long.
    """

    objective: Objective
    units: Sequence[Unit]
    since: Sequence[float]
    judge: Objective
    val: Sequence[Unit]
    judged_by: str
    left_out: int


def make(settings: Mapping[str, Any], dataset: Dataset, renderer: Renderer, limit: int) -> Work:
    """The work of a run; units with a row of more than `limit` tokens are left out and counted.

    Raises:
        NotEnoughData: nothing to train on, with the counts.
    """
    kind = settings["objective"]
    if lack := missing(kind, dataset):
        raise NotEnoughData(lack)
    rows, held = given(kind, dataset, "train"), given(kind, dataset, "val")
    units, places = fitting(rows, encode(rows, renderer), limit)
    if not units:
        raise NotEnoughData(
            f"None of {len(rows)} {NOUNS[kind]} is at most {limit} tokens long. "
            "Raise max_tokens, or choose a base with more positions."
        )
    objective = make_objective(settings)
    judge, judged_by = objective, f"held-out {NOUNS[kind]}"
    val, _ = fitting(held, encode(held, renderer), limit)
    left_out = len(rows) - len(units) + len(held) - len(val)
    if not val and kind != "sft":
        judge, judged_by = Sft(), f"held-out targets, as no {NOUNS[kind]} are held out"
        val, _ = fitting(dataset.val, encode(dataset.val, renderer), limit)
        left_out += len(dataset.val) - len(val)
    return Work(
        objective=objective,
        units=units,
        since=[dataset.train[at].since if kind == "sft" else 0.0 for at in places],
        judge=judge,
        val=val,
        judged_by=judged_by if val else "nothing: no row is held out",
        left_out=left_out,
    )


def make_objective(settings: Mapping[str, Any]) -> Objective:
    """The objective that `settings` name, with its own settings."""
    if settings["objective"] == "dpo":
        return Dpo(settings["beta"], settings["sft_weight"], settings["label_smoothing"])
    if settings["objective"] == "kto":
        return Kto(settings["beta"], settings["desirable_weight"], settings["undesirable_weight"])
    return Sft()
