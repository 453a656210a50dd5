"""Rewritings of Gherkin features, made line by line where the parser says each part stands.

Features with rules are left alone but for their steps: scenarios of two rules do not mix.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from honewheel.errors import ParseError
from honewheel.tasks.variations import Variation

# What is said and what says the opposite; the first that occurs decides.
_OPPOSITES = (
    (r"\bis not\b", "is"),
    (r"\bcannot\b", "can"),
    (r"\bare not\b", "are"),
    (r"\bdenied\b", "granted"),
    (r"\bis\b", "is not"),
    (r"\bare\b", "are not"),
    (r"\bcan\b", "cannot"),
    (r"\bmust\b", "must not"),
    (r"\bshould\b", "should not"),
    (r"\bwill\b", "will not"),
)
_NUMBER = re.compile(r"\b\d{1,9}\b")


class _Step(NamedTuple):
    start: int  # first line, from 0
    end: int  # behind the last line, its table or doc string included
    kind: str  # "Context", "Action", "Outcome", as the keyword or the one it continues says
    text: str


class _Scenario(NamedTuple):
    start: int
    end: int
    steps: tuple[_Step, ...]
    rows: tuple[tuple[int, ...], ...]  # lines of the example rows of each table
    movable: bool


def equivalents(output: str, context: Mapping[str, str], rng: random.Random) -> Iterator[Variation]:
    """Another order of scenarios and example rows, another layout."""
    lines = output.split("\n")
    scenarios = _scenarios(output, lines)
    movable = [scenario for scenario in scenarios if scenario.movable]
    for _ in range(3):
        blocks = [lines[scenario.start : scenario.end] for scenario in movable]
        order = rng.sample(blocks, len(blocks))
        text = _replaced(
            lines,
            [(one.start, one.end, block) for one, block in zip(movable, order, strict=True)],
        )
        yield Variation(name="scenarios-reordered", output=text)
    tables = [rows for scenario in scenarios for rows in scenario.rows]
    dealt = [
        (row, row + 1, [lines[other]])
        for rows in tables
        for row, other in zip(rows, rng.sample(rows, len(rows)), strict=True)
    ]
    yield Variation(name="examples-reordered", output=_replaced(lines, dealt))
    if '"""' not in output and "```" not in output:  # the indent of a doc string is its own
        deeper = [" " * (len(line) - len(line.lstrip(" "))) + line for line in lines]
        yield Variation(name="indented", output="\n".join(deeper))
    apart = [(one.start, one.start, [""]) for one in scenarios]
    yield Variation(name="blank-lines", output=_replaced(lines, apart))


def mutations(output: str, context: Mapping[str, str], rng: random.Random) -> Iterator[Variation]:
    """One fault each: a scenario, a step, an outcome, a number or an example row."""
    lines = output.split("\n")
    scenarios = _scenarios(output, lines)
    for one in scenarios:
        if len(scenarios) > 1:
            dropped = _replaced(lines, [(one.start, one.end, [])])
            yield Variation(name="scenario-dropped", output=dropped)
        for rows in one.rows:
            for row in rows if len(rows) > 1 else ():
                text = _replaced(lines, [(row, row + 1, [])])
                yield Variation(name="example-dropped", output=text)
        for place in range(len(one.steps)):
            for name, changed in _step_faults(lines, one.steps, place):
                yield Variation(name=name, output=_replaced(lines, changed))
    yield from _exchanged(lines, scenarios, rng)


# --- reading and writing ------------------------------------------------------------------------


def _scenarios(output: str, lines: Sequence[str]) -> list[_Scenario]:
    from gherkin.errors import ParserError
    from gherkin.parser import Parser

    try:
        document: Mapping[str, Any] = Parser().parse(output)
    except ParserError as error:
        raise ParseError("not Gherkin") from error
    children = (document.get("feature") or {"children": []})["children"]
    ruled = [inner for child in children if "rule" in child for inner in child["rule"]["children"]]
    nodes = [(node, not ruled) for node in children if "rule" not in node]
    nodes += [(node, False) for node in ruled]
    starts = sorted(_first_line(next(iter(node.values()))) for node in (*children, *ruled))
    found = []
    for node, movable in nodes:
        if (scenario := node.get("scenario")) is None:
            continue
        start = _first_line(scenario)
        end = next((line for line in starts if line > start), len(lines))
        while end > start + 1 and not lines[end - 1].strip():
            end -= 1
        found.append(_scenario(scenario, start, end, movable))
    return found


def _first_line(node: Mapping[str, Any]) -> int:
    located = [node, *node.get("tags", ())]
    return min(int(one["location"]["line"]) for one in located) - 1


def _scenario(node: Mapping[str, Any], start: int, end: int, movable: bool) -> _Scenario:
    tables = node.get("examples", ())
    last = min((_first_line(table) for table in tables), default=end)
    steps: list[_Step] = []
    bounds = [*(step["location"]["line"] - 1 for step in node["steps"]), last]
    for number, step in enumerate(node["steps"]):
        kind = step["keywordType"]
        if kind == "Conjunction" and steps:
            kind = steps[-1].kind
        steps.append(_Step(bounds[number], bounds[number + 1], kind, step["text"]))
    rows = tuple(
        tuple(row["location"]["line"] - 1 for row in table["tableBody"]) for table in tables
    )
    return _Scenario(start, end, tuple(steps), rows, movable)


def _replaced(lines: Sequence[str], changes: Sequence[tuple[int, int, Sequence[str]]]) -> str:
    """The text with each run of lines replaced; the runs must not overlap."""
    found = list(lines)
    for start, end, new in sorted(changes, key=lambda change: change[:2], reverse=True):
        found[start:end] = new
    return "\n".join(found)


# --- faults -------------------------------------------------------------------------------------


def _step_faults(
    lines: Sequence[str], steps: Sequence[_Step], place: int
) -> Iterator[tuple[str, list[tuple[int, int, Sequence[str]]]]]:
    step = steps[place]
    line = lines[step.start]
    follows = place + 1 < len(steps) and steps[place + 1].kind == step.kind
    if len(steps) > 1 and not follows:  # else the next `And` would continue something else
        yield "step-dropped", [(step.start, step.end, [])]
    if step.kind == "Outcome":
        for pattern, other in _OPPOSITES:
            if re.search(pattern, step.text):
                said = line.replace(step.text, re.sub(pattern, other, step.text, count=1))
                yield "outcome-negated", [(step.start, step.start + 1, [said])]
                break
        # Only an expected number: another input may well test the same rule.
        if number := _NUMBER.search(step.text):
            changed = step.text[: number.start()] + str(int(number[0]) + 1)
            said = line.replace(step.text, changed + step.text[number.end() :])
            yield "number-changed", [(step.start, step.start + 1, [said])]


def _exchanged(
    lines: Sequence[str], scenarios: Sequence[_Scenario], rng: random.Random
) -> Iterator[Variation]:
    """A scenario's first outcome replaced by another scenario's."""
    outcomes = [
        next(step for step in one.steps if step.kind == "Outcome")
        for one in scenarios
        if any(step.kind == "Outcome" for step in one.steps)
    ]
    for step in outcomes:
        others = [other for other in outcomes if other.text != step.text]
        if others:
            other = rng.choice(others)
            said = list(lines[other.start : other.end])
            text = _replaced(lines, [(step.start, step.end, said)])
            yield Variation(name="outcome-exchanged", output=text)
