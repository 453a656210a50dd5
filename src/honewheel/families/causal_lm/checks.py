"""What is refused or warned of before a run loads anything heavy, each with the next step."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from honewheel.families import hardware, warm
from honewheel.families.causal_lm import memory
from honewheel.families.causal_lm.base import text_config
from honewheel.families.causal_lm.ranges import OBJECTIVES, ranges
from honewheel.families.causal_lm.render import Renderer
from honewheel.families.causal_lm.units import NOUNS, Unit, encode, given, missing
from honewheel.families.names import ALL_LINEAR, REPORT
from honewheel.families.settings import problems
from honewheel.families.weights import read_json, tensor_shapes
from honewheel.records import Dataset, Example, Finding, Pair, Spec, Split

_SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")  # see memory.py


def settings(spec: Spec) -> list[Finding]:
    """Unknown, missing and disallowed settings."""
    objective = spec.settings.get("objective", OBJECTIVES[0])
    if objective not in OBJECTIVES:
        problem = ranges(spec.method)["objective"].problem(objective)
        return [Finding(code="setting", message=f"objective: {problem}")]
    of = spec.method if objective == OBJECTIVES[0] else f"{spec.method} with {objective}"
    return problems(spec.settings, ranges(spec.method, str(objective)), of)


def base(folder: Path, spec: Spec) -> list[Finding]:
    """An architecture nobody knows, layers it has not, a quantisation this machine cannot do."""
    found = [_architecture(folder), _targets(folder, spec), _quantisation(spec)]
    return [Finding(code="base", message=message) for message in found if message]


def _architecture(folder: Path) -> str | None:
    from transformers import __version__
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = read_json(folder / "config.json").get("model_type")
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        lacking = [name for name in _SIZES if not text_config(folder).get(name)]
        told = f"The base in {folder} ({kind}) does not tell its {' and '.join(lacking)} in "
        advice = "Choose another base (Llama, Qwen, Mistral and Gemma work)."
        return f"{told}config.json, so nothing can be planned. {advice}" if lacking else None
    return (
        f"The base in {folder} is of the architecture {kind!r}, which transformers {__version__} "
        "does not know as a causal language model. Update transformers, or choose another base "
        "(Llama, Qwen, Mistral and Gemma work)."
    )


def _targets(folder: Path, spec: Spec) -> str | None:
    asked = str(spec.settings.get("target_modules", ALL_LINEAR))
    if asked == ALL_LINEAR:
        return None
    shapes = tensor_shapes(folder)
    there = {name.split(".")[-2] for name, shape in shapes.items() if memory.is_linear(name, shape)}
    names = {name.strip() for name in asked.split(",")}
    if names <= there:
        return None
    return (
        f"target_modules names {', '.join(sorted(names - there)) or 'nothing'}, which the base in "
        f"{folder} has not. It has {', '.join(sorted(there))}; or use {ALL_LINEAR!r}."
    )


def _quantisation(spec: Spec) -> str | None:
    if spec.settings.get("quantisation", "none") == "none":
        return None
    import torch

    lacking = [] if torch.cuda.is_available() else ["a CUDA device"]
    if find_spec("bitsandbytes") is None:
        lacking.append("bitsandbytes (pip install 'honewheel[qlora]')")
    if not lacking:
        return None
    return (
        f"quantisation = nf4 needs {' and '.join(lacking)}, which this machine lacks. Set "
        'quantisation = "none": then the base is held in the precision it is stored in.'
    )


def start(spec: Spec, version: Path) -> list[Finding]:
    """Why the run `spec` cannot go on from `version`: an adapter keeps its shape and its scale."""
    was = dict(read_json(version / REPORT)["inputs"])
    now = {"method": spec.method, **spec.settings}
    return warm.refusals(was, now, warm.shape(was, now))


def data(spec: Spec, dataset: Dataset) -> list[Finding]:
    """Rows that the objective needs and are not there, and answers that say nothing."""
    kind = str(spec.settings["objective"])
    if lack := missing(kind, dataset):
        return [Finding(code="objective", message=lack)]
    rows = given(kind, dataset, "train")
    empty = [row.id for row in rows if not all(text.strip() for text in _texts(row))]
    if not empty:
        return []
    message = (
        f"{len(empty)} of {len(rows)} {NOUNS[kind]} have an empty answer (first {empty[0]}): they "
        "would teach the model to say nothing. Remove or correct them."
    )
    return [Finding(code="empty", message=message)]


def _texts(row: object) -> tuple[str, ...]:
    if isinstance(row, Pair):
        return row.chosen, row.rejected
    return (row.target if isinstance(row, Example) else str(getattr(row, "output", "")),)


def template(renderer: Renderer) -> list[Finding]:
    """A warning when prompts are shown as plain text."""
    if renderer.has_template:
        return []
    message = (
        "The tokenizer has no chat template: prompts are shown as plain text that ends with a "
        "blank line, here and when the model answers. Add chat_template.jinja to the base if it "
        "was trained with one."
    )
    return [Finding(code="template", message=message, severity="warning")]


def lengths(spec: Spec, dataset: Dataset, renderer: Renderer, limit: int) -> list[Finding]:
    """A warning when some rows are left out for their length, a refusal when all are."""
    kind = str(spec.settings["objective"])
    found = []
    splits: tuple[tuple[Split, str], ...] = (("train", "training"), ("val", "held-out"))
    for split, word in splits:
        rows = given(kind, dataset, split)
        sizes = [max(map(len, row)) for row in encode(rows, renderer)]
        over = [size for size in sizes if size > limit]
        if not over and (rows or split == "val"):
            continue
        message = (
            f"{len(over)} of {len(rows)} {word} {NOUNS[kind]} are longer than {limit} tokens "
            f"(longest {max(over, default=0)}) and are left out. Raise max_tokens, up to what the "
            "base has positions for."
        )
        none_left = split == "train" and len(over) == len(rows)
        severity: Literal["error", "warning"] = "error" if none_left else "warning"
        found.append(Finding(code="too-long", message=message, severity=severity))
    return found


def room(folder: Path, spec: Spec, units: Sequence[Unit]) -> list[Finding]:
    """A refusal when the run would not fit into the memory that is free, with what would.

    A warning where it is expected to fit but need not.
    """
    needed, free = memory.estimate(folder, spec, units), hardware.available()
    if free is None or needed.high_bytes <= free:
        return []
    fits = needed.total_bytes <= free
    way_out = memory.plan(folder, spec, units, int(free / memory.HIGH))
    message = memory.explain(needed, free, way_out)
    severity: Literal["error", "warning"] = "warning" if fits else "error"
    return [Finding(code="memory", message=message, severity=severity)]
