"""The demo's project: its honewheel.toml and its three kinds of artifact."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from honewheel import plugins
from honewheel.records import Check

MODEL = "artifacts"
TASKS: Mapping[str, str] = {"erd": "mermaid-erd", "ddl": "sql", "gherkin": "gherkin"}


REPLAY_SHARE = 0.4  # of the train set; what the guards say of it: benchmarks/results/demo.json


def settings(
    *, base: str = "honewheel/tiny", replay_share: float = REPLAY_SHARE, seed: int = 0
) -> str:
    """The text of the demo's honewheel.toml; `replay_share` in [0, 0.9] as in [curate]."""
    listed = ", ".join(f'"{task}"' for task in TASKS)
    sections = "".join(f'\n[tasks.{task}]\nkind = "{kind}"\n' for task, kind in TASKS.items())
    return f"""[project]
name = "demo"

[models.{MODEL}]
family = "causal-lm"
base   = "{base}"
tasks  = [{listed}]

[models.{MODEL}.train]
method = "lora"
{sections}
[curate]
replay_share = {replay_share}
seed         = {seed}
"""


def check(task: str, output: str) -> Check:
    """The real check of one of the demo's tasks on one output. Raises KeyError on other tasks."""
    return plugins.task(TASKS[task]).check(output, {})


def score(task: str, output: str, reference: str) -> float:
    """How much of `reference` an output states, in [0, 1]; 0 when it is invalid."""
    return plugins.task(TASKS[task]).compare(output, reference, {})["score"]


def handwritten() -> str:
    """The hand-written feedback file, as text (see data/README.md)."""
    return (files("honewheel.demo") / "data" / "handwritten.jsonl").read_text(encoding="utf-8")
