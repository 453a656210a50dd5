"""Test scenarios in Gherkin: valid means that gherkin-official reads the text and every scenario
has steps.

The parser alone is not enough: it takes whatever follows `Scenario:` as a description, so a
scenario whose steps lack their keyword is "valid" and tests nothing. A Markdown fence is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from honewheel.records import Check, Fact, Finding, Json, digest
from honewheel.tasks.facts import compare, judged, parse_error, unreadable

MAX_CHARS = 50_000

_QUOTED = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'(?!\w)')
_PARAMETER = re.compile(r"<([^<>\n]+)>")
_BLANK = re.compile(r"\s+")


class Step(NamedTuple):
    """`keyword` as written without its space; `kind` is given, when, then or other."""

    keyword: str
    kind: str
    text: str
    argument: str  # doc string or table below the step, "" without


class Block(NamedTuple):
    """A background or a scenario."""

    name: str
    line: int
    tags: tuple[str, ...]
    steps: tuple[Step, ...]
    examples: tuple[tuple[tuple[str, ...], ...], ...]  # tables: header row, then the others
    outline: bool
    rule: str


class Feature(NamedTuple):
    name: str
    tags: tuple[str, ...]
    backgrounds: tuple[Block, ...]
    scenarios: tuple[Block, ...]


class Gherkin:
    kind = "gherkin"
    version = "gherkin/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """Errors from the parser and for scenarios that test nothing; warnings for slips."""
        if finding := unreadable(output, MAX_CHARS):
            return judged([finding])
        feature, findings = _read(output)
        if feature is None:
            return judged(findings)
        return judged([*_empty(feature), *_slips(feature)])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """Feature, tags, background and scenario steps with keyword and text, examples.

        The order of scenarios is no fact; the order of a scenario's steps is one.
        """
        feature = _feature(output)
        found: list[Fact] = [("feature", feature.name)]
        found += [("tag", "", tag) for tag in feature.tags]
        for label, blocks in (
            ("background", feature.backgrounds),
            ("scenario", feature.scenarios),
        ):
            for block in blocks:
                found += _block_facts(label, block)
        return frozenset(found)

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of what is tested, whatever feature, rule and scenarios are called.

        Not counted: the order of scenarios, of tags and of example rows; `And`, `But` and `*` for
        the keyword they continue; case and spacing of step texts; quoted strings and outline
        parameters, as long as equal ones stay equal within a scenario and its background.
        Numbers count: steps do arithmetic with them.
        """
        feature = _feature(output)
        backgrounds = {block.rule: block for block in feature.backgrounds}
        shapes: list[Json] = []
        for block in feature.scenarios:
            rename = _renaming()
            above = [backgrounds[rule] for rule in {"": 0, block.rule: 0} if rule in backgrounds]
            shapes.append(
                [
                    [_step_shapes(part.steps, rename) for part in above],
                    _step_shapes(block.steps, rename),
                    sorted(block.tags),
                    sorted(_table_shape(table, rename) for table in block.examples),
                ]
            )
        return digest([sorted(feature.tags), sorted(shapes, key=repr)])

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """See `honewheel.tasks.facts.compare`."""
        return compare(self, output, reference, context)


# --- reading ------------------------------------------------------------------------------------


def _feature(output: str) -> Feature:
    if finding := unreadable(output, MAX_CHARS):
        raise parse_error(finding)
    feature, findings = _read(output)
    if feature is None:
        raise parse_error(findings[0])
    return feature


def _read(output: str) -> tuple[Feature | None, list[Finding]]:
    from gherkin.dialect import Dialect
    from gherkin.errors import CompositeParserException, ParserException
    from gherkin.parser import Parser

    try:
        document: Mapping[str, Any] = Parser().parse(output)
    except CompositeParserException as error:
        return None, [_syntax(one) for one in error.errors]
    except ParserException as error:
        return None, [_syntax(error)]
    feature = document.get("feature")
    if feature is None:
        return None, [Finding(code="no-feature", message="there is no `Feature:`")]
    dialect = Dialect.for_name(feature["language"])
    blocks = [*_blocks(feature["children"], "", dialect.scenario_outline_keywords)]
    return (
        Feature(
            name=feature["name"],
            tags=_tags(feature),
            backgrounds=tuple(block for is_background, block in blocks if is_background),
            scenarios=tuple(block for is_background, block in blocks if not is_background),
        ),
        [],
    )


def _syntax(error: Any) -> Finding:
    message = str(error).partition("): ")[2] or str(error)
    return Finding(code="syntax", message=message[:300], line=error.location["line"])


def _blocks(
    children: Sequence[Mapping[str, Any]], rule: str, outlines: Sequence[str]
) -> Iterator[tuple[bool, Block]]:
    """(whether it is a background, the block) for each, those of rules included."""
    for child in children:
        if "rule" in child:
            yield from _blocks(child["rule"]["children"], child["rule"]["name"] or "rule", outlines)
        elif "background" in child:
            yield True, _block(child["background"], rule, outlines)
        else:
            yield False, _block(child["scenario"], rule, outlines)


def _block(node: Mapping[str, Any], rule: str, outlines: Sequence[str]) -> Block:
    examples = []
    for table in node.get("examples", ()):
        header = table.get("tableHeader")
        rows = [header, *table["tableBody"]] if header else []
        examples.append(tuple(_cells(row) for row in rows))
    return Block(
        name=node["name"],
        line=node["location"]["line"],
        tags=_tags(node),
        steps=tuple(_steps(node["steps"])),
        examples=tuple(examples),
        outline=bool(examples) or node["keyword"] in outlines,
        rule=rule,
    )


def _steps(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    kinds = {"Context": "given", "Action": "when", "Outcome": "then"}
    kind = "other"
    for node in nodes:
        kind = kinds.get(node["keywordType"], kind)
        argument = ""
        if "docString" in node:
            argument = node["docString"]["content"]
        elif "dataTable" in node:
            argument = "\n".join(" | ".join(_cells(row)) for row in node["dataTable"]["rows"])
        yield Step(node["keyword"].strip(), kind, node["text"], argument)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(cell["value"] for cell in row["cells"])


def _tags(node: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(tag["name"] for tag in node["tags"]) if "tags" in node else ()


# --- findings -----------------------------------------------------------------------------------


def _empty(feature: Feature) -> Iterator[Finding]:
    if not feature.scenarios:
        yield Finding(code="no-scenario", message="the feature has no scenario")
    for block in feature.scenarios:
        if not block.steps:
            message = f"scenario {block.name!r} has no step; text without a keyword is none"
            yield Finding(code="empty-scenario", message=message, line=block.line)
        elif block.outline and not any(len(table) > 1 for table in block.examples):
            message = f"outline {block.name!r} has no example rows, so it never runs"
            yield Finding(code="no-examples", message=message, line=block.line)


def _slips(feature: Feature) -> Iterator[Finding]:
    names = Counter((block.rule, block.name) for block in feature.scenarios)
    for block in feature.scenarios:
        if names.pop((block.rule, block.name), 1) > 1:
            message = f"more than one scenario is called {block.name!r}"
            yield _slip("repeated-name", message, block)
        if block.steps and all(step.kind != "then" for step in block.steps):
            yield _slip("no-outcome", f"scenario {block.name!r} has no Then", block)
        if block.outline:
            known = {name for table in block.examples for name in table[0]}
            used = {name for step in block.steps for name in _PARAMETER.findall(step.text)}
            if unknown := sorted(used - known):
                message = f"<{unknown[0]}> is no column of the examples of {block.name!r}"
                yield _slip("unknown-parameter", message, block)


def _slip(code: str, message: str, block: Block) -> Finding:
    return Finding(code=code, message=message, severity="warning", line=block.line)


# --- facts and shapes ---------------------------------------------------------------------------


def _block_facts(label: str, block: Block) -> Iterator[Fact]:
    where = (label, block.rule, block.name)
    if label == "scenario":
        yield where
    for tag in block.tags:
        yield ("tag", *where[1:], tag)
    for step, count in Counter(block.steps).items():
        for number in range(count):
            yield ("step", *where, step.keyword, step.text, step.argument, str(number))
    if len(block.steps) > 1:
        yield ("sequence", *where, digest([step.text for step in block.steps]))
    for table in block.examples:
        header, rows = table[:1], table[1:]
        for row in rows:
            cells = sorted(zip(header[0], row, strict=True))
            yield ("example", *where, ", ".join(f"{name}={value}" for name, value in cells))


def _renaming() -> Callable[[str], str]:
    """A function that gives each name a number by first appearance."""
    numbers: dict[str, str] = {}
    return lambda name: numbers.setdefault(name, f"#{len(numbers)}")


def _step_shapes(steps: Sequence[Step], rename: Callable[[str], str]) -> list[list[str]]:
    return [
        [step.kind, *(_shape(text, rename) for text in (step.text, step.argument))]
        for step in steps
    ]


def _shape(text: str, rename: Callable[[str], str]) -> str:
    """`text` in lower case and single spaces, its quoted strings and parameters numbered."""
    pattern = re.compile(f"{_QUOTED.pattern}|{_PARAMETER.pattern}")
    parts, at = [], 0
    for match in pattern.finditer(text):
        parts += [text[at : match.start()].lower(), rename(match[0])]
        at = match.end()
    return _BLANK.sub(" ", "".join([*parts, text[at:].lower()])).strip()


def _table_shape(
    table: Sequence[Sequence[str]], rename: Callable[[str], str]
) -> list[list[list[str]]]:
    """Rows in any order, each a list of (parameter, value) in the parameters' order."""
    if not table:
        return []
    header = [rename(f"<{name}>") for name in table[0]]
    rows = [zip(header, row, strict=True) for row in table[1:]]
    return sorted(sorted([name, value] for name, value in row) for row in rows)
