"""The demo's frozen suites: held-out prompts with the artifact that the team would accept.

`erd` shows the gain (house style); `ddl` and `gherkin` guard what the base can do already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from honewheel.demo.facts import Kind
from honewheel.demo.requirements import HELD_OUT_SEED, requirements
from honewheel.demo.simulator import wanted
from honewheel.errors import InputError

SIZES: Mapping[Kind, int] = {"erd": 160, "ddl": 80, "gherkin": 80}


def suite(kind: Kind, n: int | None = None, *, seed: int = HELD_OUT_SEED) -> str:
    """A suite file (JSONL with id, prompt, context, reference, group), one group per item.

    It has `n` items, or SIZES[kind] when None.

    Raises:
        InputError: the seed is one of training.
    """
    if seed < HELD_OUT_SEED:
        raise InputError(f"Seed {seed} makes training prompts; suites start at {HELD_OUT_SEED}.")
    size = SIZES[kind] if n is None else n
    lines = []
    for one in requirements(kind, size, seed):
        row = {
            "id": one.id,
            "prompt": one.prompt,
            "context": {},
            "reference": wanted(one),
            "group": one.id,
        }
        lines.append(json.dumps(row, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines)
