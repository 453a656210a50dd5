"""Entity-relationship diagrams in Mermaid: valid means that Mermaid 11 accepts the text as it is.

A Markdown fence around the diagram is an error, as it is for Mermaid. What Mermaid accepts but
nobody means (no entity at all, words astray on a line) is a warning. Lone surrogates and texts
over 50,000 characters are refused although Mermaid parses them; front matter is read as in
`mermaid_text`. Everything else has the real parser's verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from honewheel.records import Check, Fact, Finding
from honewheel.tasks.facts import (
    VALID_FLOOR,
    Refused,
    compare,
    graph_key,
    judged,
    parse_error,
    unreadable,
)
from honewheel.tasks.mermaid_erd_grammar import Diagram, Relation, parse

MAX_CHARS = 50_000  # Mermaid's own limit for drawing


class MermaidErd:
    kind = "mermaid-erd"
    version = "mermaid-erd/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """Errors where Mermaid rejects `output`, warnings where it draws what nobody means."""
        if finding := unreadable(output, MAX_CHARS):
            return judged([finding])
        try:
            diagram = parse(output)
        except Refused as refused:
            return judged([refused.finding])
        if not diagram.entities:  # valid for Mermaid, worth nothing to a reader
            nothing = _warning("no-entities", "the diagram has no entity", None)
            return Check(score=VALID_FLOOR, findings=(nothing,))
        return judged([*_doubts(diagram)])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """Entities, aliases, attributes (type, name, keys) and relations, names as written.

        Spellings of one cardinality (`}|`, `one or more`) are one fact. Comments, colours,
        grouping and direction are none.
        """
        diagram = _diagram(output)
        return frozenset(
            [
                *(("entity", name) for name in diagram.entities),
                *(("alias", name, alias) for name, alias in diagram.aliases.items()),
                *(
                    ("attribute", name, item.type, item.name, " ".join(_keys(item.keys)))
                    for name, items in diagram.entities.items()
                    for item in items
                ),
                *(
                    (
                        "relation",
                        *(item.left, item.left_end, item.right_end, item.right),
                        "identifying" if item.identifying else "non-identifying",
                        item.label,
                    )
                    for item in diagram.relations
                ),
            ]
        )

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the shape: entities with their attributes' types and keys, and relations.

        Names of entities and attributes, aliases and labels are forgotten, and so is from which
        side a relation is written. See `graph_key` for what it cannot tell apart.
        """
        diagram = _diagram(output)
        position = {name: place for place, name in enumerate(diagram.entities)}
        colours = [
            repr(sorted((item.type, _keys(item.keys)) for item in items))
            for items in diagram.entities.values()
        ]
        edges = []
        for item in diagram.relations:
            line = "--" if item.identifying else ".."
            # A node between the two keeps the ends apart whichever way the relation is written.
            middle = len(colours)
            colours.append(line)
            edges.append((middle, item.left_end, position[item.left]))
            edges.append((middle, item.right_end, position[item.right]))
        return graph_key(colours, edges)

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """See `honewheel.tasks.facts.compare`."""
        return compare(self, output, reference, context)


def _diagram(output: str) -> Diagram:
    if finding := unreadable(output, MAX_CHARS):
        raise parse_error(finding)
    try:
        return parse(output)
    except Refused as refused:
        raise parse_error(refused.finding) from refused


def _keys(keys: tuple[str, ...]) -> list[str]:
    return sorted(key.upper() for key in keys)


def _doubts(diagram: Diagram) -> Iterator[Finding]:
    for name, line in diagram.stray:
        message = f"{name} becomes an entity of its own: Mermaid reads on in the line"
        yield _warning("stray-name", message, line)
    for name, attributes in diagram.entities.items():
        seen = Counter[str]()
        for item in attributes:
            seen[item.name] += 1
            if seen[item.name] == 2:
                message = f"{name} has the attribute {item.name} twice"
                yield _warning("repeated-attribute", message, item.line)
    yield from _undescribed(diagram)


def _undescribed(diagram: Diagram) -> Iterator[Finding]:
    """Entities without attributes in relations, where other entities have some."""
    if not any(diagram.entities.values()):
        return
    first: dict[str, Relation] = {}
    for item in diagram.relations:
        first.setdefault(item.left, item)
        first.setdefault(item.right, item)
    for name, item in first.items():
        if not diagram.entities[name]:
            message = f"{name} is in a relation but has no attributes"
            yield _warning("undescribed-entity", message, item.line)


def _warning(code: str, message: str, line: int | None) -> Finding:
    return Finding(code=code, message=message, severity="warning", line=line)
