"""Architecture in Mermaid: flowcharts and C4 diagrams. Valid means within a strict part of the
language that Mermaid 11 accepts; see `mermaid_flow_grammar` and `mermaid_c4_grammar`.

A Markdown fence around the diagram is an error, as it is for Mermaid.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from honewheel.records import Check, Fact, Finding
from honewheel.tasks import mermaid_c4_grammar, mermaid_flow_grammar
from honewheel.tasks.facts import VALID_FLOOR, Refused, compare, judged, parse_error, unreadable
from honewheel.tasks.mermaid_flow_model import Diagram, facts, key
from honewheel.tasks.mermaid_text import prepared

MAX_CHARS = 50_000  # Mermaid's own limit for drawing

_FLOW = r"(?:graph|flowchart)(?![\w-])"
_C4 = f"C4(?:{'|'.join(kind.removeprefix('C4') for kind in mermaid_c4_grammar.KINDS)})"
_C4_LINE = re.compile(rf"^[ \t]*{_C4}\b", re.MULTILINE)


class MermaidFlow:
    kind = "mermaid-flow"
    version = "mermaid-flow/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """Errors for what is outside the grammar; warnings for lone nodes and repeated links."""
        try:
            diagram = _read(output)
        except Refused as refused:
            return judged([refused.finding])
        if not diagram.nodes and not diagram.groups:  # valid for Mermaid, worth nothing to a reader
            nothing = _warning("no-nodes", "the diagram has no node", None)
            return Check(score=VALID_FLOOR, findings=(nothing,))
        return judged([*_doubts(diagram)])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """Nodes (id, shape, label), edges (ends, line and marks, label), groups and who is in
        them; in C4 diagrams elements, relations and boundaries with all their texts.

        Direction, length of links, styles, classes and clicks are none, nor is the order.
        """
        return frozenset(facts(_diagram(output)))

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """Hash of the diagram whatever its ids and order; labels count, shapes and marks too.

        A node without a label shows its id, which is forgotten like any other. Links that look
        the same from both ends may be written from either.
        """
        return key(_diagram(output))

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """See `honewheel.tasks.facts.compare`."""
        return compare(self, output, reference, context)


def _diagram(output: str) -> Diagram:
    try:
        return _read(output)
    except Refused as refused:
        raise parse_error(refused.finding) from refused


def _read(output: str) -> Diagram:
    if finding := unreadable(output, MAX_CHARS):
        raise Refused(finding.code, finding.message, finding.line)
    c4 = _C4_LINE.search(output) is not None
    try:
        found = prepared(output, _C4 if c4 else _FLOW)
    except Refused as refused:
        if refused.finding.code != "not-a-diagram":
            raise
        message = "does not start with flowchart, graph or C4Context and its kin"
        raise Refused("not-a-diagram", message, refused.finding.line) from refused
    return mermaid_c4_grammar.parse(found) if c4 else mermaid_flow_grammar.parse(found)


def _doubts(diagram: Diagram) -> Iterator[Finding]:
    linked = {name for edge in diagram.edges for name in (edge.start, edge.end)}
    for name, node in diagram.nodes.items():
        if linked and name not in linked and name not in diagram.groups:
            yield _warning("lone-node", f"{name} is linked to nothing", node.line)
    seen = Counter[tuple[str, ...]]()
    for edge in diagram.edges:
        seen[edge.start, edge.kind, edge.end, *edge.texts] += 1
        if seen[edge.start, edge.kind, edge.end, *edge.texts] == 2:
            message = f"{edge.start} is linked to {edge.end} twice in the same way"
            yield _warning("repeated-link", message, edge.line)


def _warning(code: str, message: str, line: int | None) -> Finding:
    return Finding(code=code, message=message, severity="warning", line=line)
