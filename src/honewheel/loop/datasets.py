"""Looking at sealed datasets and handing them out: found by name, counted, written as JSONL."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from honewheel import atomic
from honewheel.curate import balance
from honewheel.errors import InputError, NotFound
from honewheel.records import Dataset, Example, Pair, Rated, as_dict
from honewheel.store import Store
from honewheel.store.datasets import DatasetSummary

Format: TypeAlias = Literal["sft", "dpo", "kto", "chat"]
Side: TypeAlias = Literal["train", "val", "all"]

NEWEST = "newest"
_SHORTEST = 4  # digits of a hash that may name it


def listed(store: Store) -> list[dict[str, Any]]:
    """Every sealed dataset, the newest first; `pairs` is None where its files were removed."""
    found = []
    for summary in reversed(store.datasets.list()):
        counts = store.datasets.preferences(summary)
        pairs, rated = (None, None) if counts is None else counts
        found.append(as_dict(summary) | {"pairs": pairs, "rated": rated})
    return found


def find(store: Store, name: str) -> DatasetSummary:
    """The dataset called by its hash (4 digits or more of it), its cycle, or "newest".

    Raises NotFound, InputError when the digits fit several.
    """
    known = list(store.datasets.list())
    if not known:
        raise NotFound("There is no dataset yet. Run: honewheel cycle")
    if name == NEWEST:
        return known[-1]
    if any(cycle.id == name for cycle in store.cycles.list(None, 100_000)):
        built = store.cycles.step(name, "build")
        if built is None:
            raise NotFound(f"Cycle {name} sealed no dataset: it ended before that.")
        name = str(built[1]["dataset"])
    fits = [row for row in known if len(name) >= _SHORTEST and row.hash.startswith(name)]
    if len(fits) > 1:
        raise InputError(f"{name} fits {len(fits)} datasets: {', '.join(r.hash for r in fits)}.")
    if not fits:
        raise NotFound(
            f"No dataset {name!r}. Name one by {_SHORTEST} or more digits of its hash, by the "
            "cycle that sealed it, or as newest: honewheel dataset list"
        )
    return fits[0]


def shown(store: Store, name: str) -> dict[str, Any]:
    """What a dataset holds: rows by part, task, role and variant, weights, dropped by reason.

    `length_bias` is the correlation of chosen with longer over the training pairs, in [-1, 1];
    `desirable_ratio` the desirable over the undesirable weight of the rated training rows.
    """
    summary = find(store, name)
    dataset = store.datasets.load(summary.hash)
    return {
        **as_dict(summary),
        "pairs": len(dataset.pairs),
        "rated": len(dataset.rated),
        "rows": _rows(dataset),
        "length_bias": _length_bias(dataset.pairs),
        "desirable_ratio": _desirable_ratio(dataset.rated),
        "dropped_by_reason": {
            one.reason: one.count for one in store.datasets.reasons(summary.hash)
        },
    }


def _rows(dataset: Dataset) -> list[dict[str, Any]]:
    """One entry a part, task, role and variant, with the rows and the weights there."""
    kinds: defaultdict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for part, examples in (("train", dataset.train), ("val", dataset.val)):
        for row in examples:
            kinds[part, row.task, row.role, row.variant].append(row.weight)
    for pair in dataset.pairs:
        kinds[f"pairs/{pair.split}", pair.task, pair.origin, ""].append(pair.weight)
    for one in dataset.rated:
        label = "desirable" if one.desirable else "undesirable"
        kinds[f"rated/{one.split}", one.task, label, ""].append(one.weight)
    return [
        {
            "part": part,
            "task": task,
            "role": role,
            "variant": variant,
            "rows": len(weights),
            "weight": round(math.fsum(weights), 6),
            "least_weight": min(weights),
            "most_weight": max(weights),
        }
        for (part, task, role, variant), weights in kinds.items()
    ]


def _length_bias(pairs: Sequence[Pair]) -> float | None:
    trained = [pair for pair in pairs if pair.split == "train"]
    return round(balance.length_bias(trained), 6) if trained else None


def _desirable_ratio(rated: Sequence[Rated]) -> float | None:
    trained = [row for row in rated if row.split == "train"]
    good = math.fsum(row.weight for row in trained if row.desirable)
    bad = math.fsum(row.weight for row in trained if not row.desirable)
    return round(good / bad, 6) if bad else None


# --- handing out -------------------------------------------------------------------------------


def export(store: Store, name: str, format: Format, path: Path, side: Side = "train") -> int:
    """Write a dataset as JSONL that TRL reads; returns the rows written.

    sft: prompt, completion. dpo: prompt, chosen, rejected. kto: prompt, completion, label.
    chat: messages. A prompt ends with a blank line, since TRL puts plain texts together as they
    are; it is then what a base without a chat template is trained on here. Weights do not travel.

    Raises:
        InputError: an unknown format or side, a file that is there already, or no such rows.
        NotFound, Damaged: see `find` and `Datasets.load`.
        StoreFull: no space; nothing is left at `path`.
    """
    if format not in get_args(Format) or side not in get_args(Side):
        raise InputError(
            f"A dataset is written as one of {', '.join(get_args(Format))}, of the side "
            f"{', '.join(get_args(Side))}; got {format!r} and {side!r}."
        )
    if path.exists():
        raise InputError(f"{path} is there already; nothing was written. Name another file.")
    dataset = store.datasets.load(find(store, name).hash)
    rows = [_FORMATS[format](row) for row in _of(dataset, format, side)]
    if not rows:
        raise InputError(_nothing(dataset, format, side))
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        atomic.write_file(path, "".join(lines).encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    return len(rows)


def _of(dataset: Dataset, format: Format, side: Side) -> Iterable[Example | Pair | Rated]:
    sides = ("train", "val") if side == "all" else (side,)
    if format == "dpo":
        return [pair for pair in dataset.pairs if pair.split in sides]
    if format == "kto":
        return [row for row in dataset.rated if row.split in sides]
    parts = {"train": dataset.train, "val": dataset.val}
    return [row for part in sides for row in parts[part]]


def _nothing(dataset: Dataset, format: Format, side: Side) -> str:
    what = {"dpo": "pairs", "kto": "rated rows"}.get(format, "examples")
    told = f"Dataset {dataset.hash[:12]} has no {what} on the side {side}; nothing was written."
    if what == "examples":
        return told
    return f"{told} Set curate.preferences = true and run a cycle to have them collected."


def _content(row: Example | Pair | Rated) -> str:
    from honewheel.families.causal_lm.render import content

    return content(row.prompt, row.context)


def _prompt(row: Any) -> str:
    return f"{_content(row)}\n\n"


_FORMATS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "sft": lambda row: {"prompt": _prompt(row), "completion": row.target},
    "dpo": lambda row: {"prompt": _prompt(row), "chosen": row.chosen, "rejected": row.rejected},
    "kto": lambda row: {
        "prompt": _prompt(row),
        "completion": row.output,
        "label": row.desirable,
    },
    "chat": lambda row: {
        "messages": [
            {"role": "user", "content": _content(row)},
            {"role": "assistant", "content": row.target},
        ]
    },
}
