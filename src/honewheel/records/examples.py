"""What is worth learning, and what judges it: sealed datasets and held-out suites."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from honewheel.records.plain import Json, as_dict, digest
from honewheel.records.said import Split

Role: TypeAlias = Literal["new", "replay"]
SuiteRole: TypeAlias = Literal["panel", "guard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row to learn from: the target a model should write for a prompt.

    `value` = P(a user would accept the target) in [0, 1]; `weight` > 0, mean 1 over the dataset;
    `events` are the ids it was made of. `difficulty` in [0, 1] is the smoothed share of failures
    in its group; `since` in [0, 1) the share of the training before which it is not shown.
    `variant` names the rewriting that made it of another row ("" for what was said or written).
    """

    id: str
    task: str
    prompt: str
    target: str
    group: str
    split: Split
    context: Mapping[str, str] = field(default_factory=dict)
    value: float = 1.0
    weight: float = 1.0
    role: Role = "new"
    events: tuple[str, ...] = ()
    simulated: bool = False
    difficulty: float = 0.5
    since: float = 0.0
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two outputs for one prompt, of which users would take `chosen`; for DPO and its kin.

    `origin` tells how it is known: "correction", "comparison" (a person compared), "sampled"
    (several outputs, checked and ranked) or "mutation" (a certified fault). `weight` > 0.
    """

    id: str
    task: str
    prompt: str
    chosen: str
    rejected: str
    group: str
    split: Split
    origin: str
    context: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """One output that was found good or bad by itself, without a rival; for KTO."""

    id: str
    task: str
    prompt: str
    output: str
    desirable: bool
    group: str
    split: Split
    context: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Why an event is not in a dataset: `reason` is a short code, `detail` names the numbers."""

    event: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A sealed, immutable set of examples. `hash` is that of its canonical rows, in order.

    `pairs` and `rated` are what preference methods learn from; fine-tuning on targets
    does not read them.
    """

    hash: str
    train: tuple[Example, ...]
    val: tuple[Example, ...]
    dropped: tuple[Dropped, ...] = ()
    pairs: tuple[Pair, ...] = ()
    rated: tuple[Rated, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks with something new to learn (replayed rows only keep what is known)."""
        return tuple(sorted({row.task for row in self.train if row.role == "new"}))


def dataset_hash(
    train: Sequence[Example],
    val: Sequence[Example],
    pairs: Sequence[Pair] = (),
    rated: Sequence[Rated] = (),
    *,
    lacking: Collection[str] = (),
) -> str:
    """The identity of a dataset: the digest of its canonical rows, in order, train before val.

    Pairs and rated rows follow as one last entry, `{"pairs": [...], "rated": [...]}`, in which
    a kind that has no rows is left out; without either there is no such entry. `lacking` names
    fields of an example that the release which sealed the dataset did not know.
    """
    rows: list[Json] = [
        {key: value for key, value in as_dict(row).items() if key not in lacking}
        for row in (*train, *val)
    ]
    kinds = (("pairs", pairs), ("rated", rated))
    more: Json = {name: [as_dict(row) for row in found] for name, found in kinds if found}
    return digest([*rows, more] if more else rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One held-out prompt with the output that a user would accept."""

    id: str
    task: str
    prompt: str
    reference: str
    group: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A named set of held-out items of one task; a frozen suite is imported and never trains."""

    name: str
    task: str
    role: SuiteRole
    items: tuple[Item, ...]

    @property
    def hash(self) -> str:
        return digest([self.name, self.task, [as_dict(item) for item in self.items]])
