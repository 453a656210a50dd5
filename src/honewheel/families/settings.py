"""A run's settings against the ranges of its family: unknown, missing, outside."""

from __future__ import annotations

from collections.abc import Mapping

from honewheel.families.order import CURRICULUM, KINDS
from honewheel.protocols import Range
from honewheel.records import Finding, Json


def problems(settings: Mapping[str, Json], ranges: Mapping[str, Range], of: str) -> list[Finding]:
    """One refusal a setting that is wrong; `of` names whose settings they are."""
    rules = {**ranges}
    if CURRICULUM in settings:  # how the data asks to be shown, no setting of the model
        rules[CURRICULUM] = Range(default="off", choices=KINDS)
    found = [f"{key} is no setting of {of}" for key in {*settings} - {*rules}]
    found += [f"{key} is not set" for key in {*rules} - {*settings}]
    for key, rule in rules.items():
        if key in settings and (problem := rule.problem(settings[key])):
            found.append(f"{key}: {problem}" + (f"; outside it, {rule.why}" if rule.why else ""))
    return [Finding(code="setting", message=message) for message in sorted(found)]
