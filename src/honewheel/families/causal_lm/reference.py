"""Log-probabilities under the starting weights, computed once and kept by content.

    RUNS/reference/HASH.json   {"digest": ..., "values": {hash of a row: nats, summed}}

RUNS is the folder that holds the run folders, so that a resumed run and the next cycle find what
the last one computed; it may be deleted at any time. HASH covers the base and all that decides
the last bits. On a CPU each row has a pass of its own: a value then depends on its row alone, and
a cached one is the one that would be computed now.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import transformers

from honewheel import atomic
from honewheel.families.causal_lm.render import Encoded
from honewheel.families.causal_lm.scoring import Scorer
from honewheel.families.causal_lm.units import Unit
from honewheel.families.causal_lm.work import Work
from honewheel.records import Json, Spec, digest

VERSION = 1
_AT_ONCE = 256  # rows that a kill costs at most
_log = logging.getLogger(__name__)


def cache(run_dir: Path, spec: Spec, precision: str, device: torch.device) -> Path:
    """Where the values of a run's starting weights are kept."""
    weights = spec.settings.get("quantisation", "none")
    decisive: list[Json] = [VERSION, spec.base_hash, spec.method, weights, precision, device.type]
    decisive += [] if spec.start_files is None else [spec.start_files]
    software: Json = [torch.__version__, transformers.__version__, torch.get_num_threads()]
    return run_dir.parent / "reference" / f"{digest([decisive, software])[:24]}.json"


def complete(work: Work, scorer: Scorer, path: Path, report: Callable[[int, int], None]) -> Work:
    """`work` with the references that its objective and its judge need (see `with_reference`)."""
    if work.objective.needs_reference:
        work = replace(work, units=with_reference(work.units, scorer, path, report))
    if work.judge.needs_reference:
        work = replace(work, val=with_reference(work.val, scorer, path, report))
    return work


def with_reference(
    units: Sequence[Unit], scorer: Scorer, path: Path, report: Callable[[int, int], None]
) -> list[Unit]:
    """`units` with the log-probabilities of their rows under the weights that `scorer` has now.

    `report(done, missing)` is called as rows that `path` does not hold are computed.
    """
    known = _read(path)
    rows = {_key(row): row for unit in units for row in unit.rows}
    absent = [key for key in rows if key not in known]
    limit = scorer.limit if scorer.device.type == "cuda" else 1
    for start in range(0, len(absent), _AT_ONCE):
        keys = absent[start : start + _AT_ONCE]
        found = scorer.fixed_log_probs([rows[key] for key in keys], limit)
        known |= dict(zip(keys, found.tolist(), strict=True))
        _write(path, known)
        report(start + len(keys), len(absent))
    return [_told(unit, known) for unit in units]


def _told(unit: Unit, known: dict[str, float]) -> Unit:
    if isinstance(unit, Encoded):
        return unit
    return replace(unit, reference=tuple(known[_key(row)] for row in unit.rows))


def _key(row: Encoded) -> str:
    told = json.dumps([row.answer_start, row.ids])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _read(path: Path) -> dict[str, float]:
    """What `path` holds; nothing when it is not there, or not what was written."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        values: dict[str, float] = found["values"]
        if found["digest"] == digest(values):
            return values
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("%s cannot be read (%s)", path, error)
    _log.warning("%s is damaged: its log-probabilities are computed again", path)
    return {}


def _write(path: Path, values: dict[str, float]) -> None:
    told = {"digest": digest(values), "values": values}
    atomic.write_file(path, json.dumps(told, sort_keys=True).encode())
