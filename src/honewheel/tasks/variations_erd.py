"""Rewritings of Mermaid ER diagrams, made line by line so that the rest stays as it was written.

A diagram is read as entity blocks, relation lines and other lines. A block or relation that
shares its line with something else is left alone: such a diagram has fewer rewritings.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from honewheel.tasks.variations import Variation

_NAME = r'(?:"[^"\n]+"|[^\s{}:"\[\]]+)'
_OPENING = re.compile(rf"\s*({_NAME})(?:\s*\[[^\]\n]*\])?\s*\{{\s*")
_ATTRIBUTE = re.compile(
    r"(?P<before>\s*)(?P<type>\S+)(?P<gap>\s+)(?P<name>\S+)"
    r'(?P<keys>(?:\s+(?:PK|FK|UK)(?:\s*,\s*(?:PK|FK|UK))*)?)(?P<comment>(?:\s+"[^"\n]*")?\s*)'
)
_LEFT = r"\|o|\|\||\}o|\}\|"
_RIGHT = r"o\||\|\||o\{|\|\{"
_RELATION = re.compile(
    rf"(?P<before>\s*)(?P<left>{_NAME})(?P<a>\s*)(?P<left_end>{_LEFT})(?P<line>--|\.\.)"
    rf"(?P<right_end>{_RIGHT})(?P<b>\s*)(?P<right>{_NAME})(?P<label>\s*:.*)"
)
_MIRROR = {"|o": "o|", "||": "||", "}o": "o{", "}|": "|{"}
_WORDS = {"|o": "zero or one", "||": "only one", "}o": "zero or more", "}|": "one or more"}
_LINES = {"--": "to", "..": "optionally to"}
_OTHER_TYPES = ("string", "int", "date", "boolean", "decimal")


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive lines of the text: an entity's block (named), a relation, or anything else."""

    kind: str  # "block", "relation", "other"
    lines: tuple[str, ...]
    names: tuple[str, ...] = ()


def equivalents(output: str, context: Mapping[str, str], rng: random.Random) -> Iterator[Variation]:
    """Another order of entities, attributes and relations, another layout, words for signs."""
    parts = _parts(output)
    reordered = {
        "entities-reordered": _shuffled(parts, "block", rng),
        "relations-reordered": _shuffled(parts, "relation", rng),
        "attributes-reordered": [_inside_shuffled(part, rng) for part in parts],
        "relations-first": _relations_first(parts),
    }
    for name, changed in reordered.items():
        yield Variation(name=name, output=_text(changed))
    every = [_inside_shuffled(part, rng) for part in _shuffled(parts, "block", rng)]
    yield Variation(
        name="all-reordered", output=_text(_relations_first(_shuffled(every, "relation", rng)))
    )
    yield Variation(name="cardinalities-in-words", output=_text([_spelled(p) for p in parts]))
    yield Variation(name="indented", output=_text([_indented(part) for part in parts]))


def mutations(output: str, context: Mapping[str, str], rng: random.Random) -> Iterator[Variation]:
    """One fault each: a cardinality, a key, an attribute, a type, a relation or an entity."""
    parts = _parts(output)
    attributes = [*_attributes(parts)]
    types = sorted({match["type"] for _, _, match in attributes})
    entities = sorted({part.names[0] for part in parts if part.kind == "block"})
    for place, part in enumerate(parts):
        if part.kind == "block":
            yield Variation(name="entity-dropped", output=_text(_without(parts, part.names[0])))
            own = {match["name"] for at, _, match in attributes if at == place}
            foreign = [m for _, _, m in attributes if m["name"] not in own and not m["keys"]]
            if foreign:
                lines = (*part.lines[:-1], rng.choice(foreign)[0], part.lines[-1])
                yield Variation(name="attribute-invented", output=_text(_with(parts, place, lines)))
        elif match := _relation(part):
            for name, line in _relation_faults(match, entities, rng):
                yield Variation(name=name, output=_text(_with(parts, place, (line,))))
            yield Variation(name="relation-dropped", output=_text(_with(parts, place, ())))
    for place, number, match in attributes:
        for name, faulty in _attribute_faults(match, types, rng):
            lines = parts[place].lines
            changed = (*lines[:number], *faulty, *lines[number + 1 :])
            yield Variation(name=name, output=_text(_with(parts, place, changed)))


# --- reading and writing ------------------------------------------------------------------------


def _parts(output: str) -> list[_Part]:
    lines = output.split("\n")
    found: list[_Part] = []
    at = 0
    while at < len(lines):
        opening = _OPENING.fullmatch(lines[at])
        end = _block_end(lines, at) if opening else None
        if opening is not None and end is not None:
            found.append(_Part("block", tuple(lines[at : end + 1]), (opening[1],)))
            at = end + 1
            continue
        match = _RELATION.fullmatch(lines[at])
        names = (match["left"], match["right"]) if match else ()
        found.append(_Part("relation" if match else "other", (lines[at],), names))
        at += 1
    return found


def _block_end(lines: Sequence[str], opening: int) -> int | None:
    """The line that closes the block, when everything between is one attribute a line."""
    for at in range(opening + 1, len(lines)):
        if lines[at].strip() == "}":
            return at
        if lines[at].strip() and not _ATTRIBUTE.fullmatch(lines[at]):
            return None
    return None


def _text(parts: Sequence[_Part]) -> str:
    return "\n".join(line for part in parts for line in part.lines)


def _with(parts: Sequence[_Part], place: int, lines: tuple[str, ...]) -> list[_Part]:
    return [
        _Part(part.kind, lines if number == place else part.lines, part.names)
        for number, part in enumerate(parts)
    ]


def _without(parts: Sequence[_Part], entity: str) -> list[_Part]:
    return [part for part in parts if entity not in part.names]


def _relation(part: _Part) -> re.Match[str] | None:
    return _RELATION.fullmatch(part.lines[0]) if part.kind == "relation" else None


def _attributes(parts: Sequence[_Part]) -> Iterator[tuple[int, int, re.Match[str]]]:
    for place, part in enumerate(parts):
        if part.kind == "block":
            for number, line in enumerate(part.lines[1:-1], start=1):
                if match := _ATTRIBUTE.fullmatch(line):
                    yield place, number, match


# --- the same in other words --------------------------------------------------------------------


def _shuffled(parts: Sequence[_Part], kind: str, rng: random.Random) -> list[_Part]:
    """The parts of one kind in another order, on the places that such parts have."""
    places = [place for place, part in enumerate(parts) if part.kind == kind]
    order = rng.sample(places, len(places))
    if len(places) > 1 and order == places:
        order = [*places[1:], places[0]]
    changed = list(parts)
    for place, other in zip(places, order, strict=True):
        changed[place] = parts[other]
    return changed


def _inside_shuffled(part: _Part, rng: random.Random) -> _Part:
    if part.kind != "block":
        return part
    inside = rng.sample(part.lines[1:-1], len(part.lines) - 2)
    return _Part(part.kind, (part.lines[0], *inside, part.lines[-1]), part.names)


def _relations_first(parts: Sequence[_Part]) -> list[_Part]:
    first = next((n for n, part in enumerate(parts) if part.kind == "block"), len(parts))
    relations = [part for part in parts[first:] if part.kind == "relation"]
    others = [part for part in parts[first:] if part.kind != "relation"]
    return [*parts[:first], *relations, *others]


def _spelled(part: _Part) -> _Part:
    match = _relation(part)
    if match is None:
        return part
    left, right = _WORDS[match["left_end"]], _WORDS[_mirrored(match["right_end"])]
    line = (
        f"{match['before']}{match['left']} {left} {_LINES[match['line']]} {right} "
        f"{match['right']}{match['label']}"
    )
    return _Part(part.kind, (line,), part.names)


def _indented(part: _Part) -> _Part:
    """Twice the indent, and a blank line behind a block."""
    lines = tuple(" " * (len(line) - len(line.lstrip(" "))) + line for line in part.lines)
    return _Part(part.kind, (*lines, "") if part.kind == "block" else lines, part.names)


# --- faults -------------------------------------------------------------------------------------


def _mirrored(end: str) -> str:
    """The sign of the same cardinality on the other side of a relation."""
    return {**_MIRROR, **{right: left for left, right in _MIRROR.items()}}[end]


def _relation_faults(
    match: re.Match[str], entities: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, str]]:
    def line(**changes: str) -> str:
        return "".join({**match.groupdict(), **changes}.values())

    left, right = match["left_end"], match["right_end"]
    if left != _mirrored(right):
        flipped = line(left_end=_mirrored(right), right_end=_mirrored(left))
        yield "cardinality-flipped", flipped
    for end, choices in (("left_end", _MIRROR), ("right_end", _MIRROR.values())):
        other = rng.choice([sign for sign in dict.fromkeys(choices) if sign != match[end]])
        yield "cardinality-changed", line(**{end: other})
    yield "identification-changed", line(line=".." if match["line"] == "--" else "--")
    elsewhere = [name for name in entities if name not in (match["left"], match["right"])]
    if elsewhere:
        yield "relation-redirected", line(right=rng.choice(elsewhere))


def _attribute_faults(
    match: re.Match[str], types: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, the lines that take the attribute's place)."""
    keys = match["keys"]
    yield "reference-dropped" if "FK" in keys else "attribute-dropped", ()
    others = [name for name in types if name != match["type"]]
    other = rng.choice(others or [name for name in _OTHER_TYPES if name != match["type"]])
    rest = match["gap"] + match["name"]
    yield "attribute-retyped", (f"{match['before']}{other}{rest}{keys}{match['comment']}",)
    if keys:
        yield "key-dropped", (f"{match['before']}{match['type']}{rest}{match['comment']}",)
