"""What a run is made of, written once into its folder: the child and every resume read this.

run_dir/inputs/
    run.json                             family, spec, dataset hash, threads
    train.jsonl val.jsonl                examples, in order
    pairs.jsonl rated.jsonl              what preference methods read; absent where there are none
    manifest.json                        sha256 of each
run_dir/start/                           a copy of the version that training starts from, if any
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from honewheel import atomic
from honewheel.errors import ConfigError, Damaged
from honewheel.protocols import START
from honewheel.records import Dataset, Example, Pair, Rated, Spec, as_dict

_RUN = "run.json"
_Row = TypeVar("_Row", Example, Pair, Rated)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything the child needs. `threads` belongs to it: the last bits depend on their number."""

    family: str
    spec: Spec
    dataset: Dataset
    threads: int


def write(run_dir: Path, inputs: Inputs, start: Path | None = None) -> Inputs:
    """Write `inputs` into `run_dir` unless it has some; returns what a run there must use.

    `start` is copied, so that a run can be continued whatever becomes of the version.

    A run that is continued keeps the number of threads it was started with.

    Raises:
        ConfigError: the folder belongs to a run of another family, spec or dataset; each
            difference is named.
        Damaged: the recorded inputs, or `start`, do not match their sha256.
    """
    if start is not None and not _folder(run_dir).exists():
        shutil.rmtree(run_dir / START, ignore_errors=True)  # of a start that was cut short
        with atomic.staged_folder(run_dir / START) as staging:
            shutil.copytree(start, staging, dirs_exist_ok=True)
    with atomic.staged_folder(_folder(run_dir)) as staging:  # an existing folder wins
        (staging / _RUN).write_text(json.dumps(_head(inputs), sort_keys=True, indent=1))
        for part, rows in _parts(inputs.dataset).items():
            (staging / part).write_text(_lines(rows), encoding="utf-8")
    found = read(run_dir)
    was, now = _decisive(found), _decisive(inputs)
    changes = [
        f"{key} was {was.get(key)!r}, now {now.get(key)!r}"
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    ]
    if changes:
        raise ConfigError(
            f"{run_dir} belongs to a run with other inputs: {'; '.join(changes)}. "
            "Use a new run folder, or set them back to continue this run."
        )
    return found


def read(run_dir: Path) -> Inputs:
    """The inputs in `run_dir`, each byte verified. Raises Damaged."""
    folder = _folder(run_dir)
    atomic.verify(folder)
    head: dict[str, Any] = json.loads((folder / _RUN).read_text())
    spec = Spec(**head["spec"])
    _verify_start(run_dir / START, spec.start_files)
    dataset = Dataset(
        hash=head["dataset"],
        train=_rows(folder / "train.jsonl", Example),
        val=_rows(folder / "val.jsonl", Example),
        pairs=_rows(folder / "pairs.jsonl", Pair),
        rated=_rows(folder / "rated.jsonl", Rated),
    )
    return Inputs(head["family"], spec, dataset, head["threads"])


def _verify_start(folder: Path, wanted: str | None) -> None:
    if wanted is None:
        return
    if not folder.is_dir():
        raise Damaged(f"{folder}, the version that training starts from, is missing.")
    if (found := atomic.verify(folder)) != wanted:
        raise Damaged(f"{folder} holds {found[:12]}; training starts from {wanted[:12]}.")


def _folder(run_dir: Path) -> Path:
    return run_dir / "inputs"


def _decisive(inputs: Inputs) -> dict[str, Any]:
    """What must not change between a start and its continuation, as one flat mapping."""
    given = as_dict(inputs.spec)
    settings: dict[str, Any] = given.pop("settings")
    return {"dataset": inputs.dataset.hash, **given, **settings}


def _head(inputs: Inputs) -> dict[str, Any]:
    return {
        "family": inputs.family,
        "spec": as_dict(inputs.spec),
        "dataset": inputs.dataset.hash,
        "threads": inputs.threads,
    }


def _parts(dataset: Dataset) -> dict[str, Sequence[Example | Pair | Rated]]:
    found: dict[str, Sequence[Example | Pair | Rated]]
    found = {"train.jsonl": dataset.train, "val.jsonl": dataset.val}
    found |= {"pairs.jsonl": dataset.pairs} if dataset.pairs else {}
    found |= {"rated.jsonl": dataset.rated} if dataset.rated else {}
    return found


def _lines(rows: Sequence[Example | Pair | Rated]) -> str:
    lines = [json.dumps(as_dict(row), sort_keys=True, ensure_ascii=False) for row in rows]
    return "".join(f"{line}\n" for line in lines)


def _rows(path: Path, kind: Callable[..., _Row]) -> tuple[_Row, ...]:
    if not path.is_file():
        return ()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return tuple(kind(**{**row, "events": tuple(row["events"])}) for row in rows)
