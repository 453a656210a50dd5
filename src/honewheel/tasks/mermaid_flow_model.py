"""What flowcharts and C4 diagrams have in common: nodes, edges, groups; their facts and key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from honewheel.records import Fact
from honewheel.tasks.facts import graph_key

_CODE = re.compile("\ufb02\u00b0(\\w+)\u00b6\u00df")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Node:
    """`shape` is a word ("rect", "Person"); `texts` what is written on it, none when the id is."""

    shape: str
    texts: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Edge:
    """`kind` tells line and marks ("solid ->", "Rel"); `symmetric` when both ends look alike."""

    start: str
    end: str
    kind: str
    texts: tuple[str, ...]
    symmetric: bool
    line: int


@dataclass(slots=True)
class Group:
    """A subgraph or boundary with the ids of nodes and groups directly in it."""

    shape: str
    texts: tuple[str, ...]
    line: int
    members: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Diagram:
    """`kind` is "flowchart" or the C4 diagram's name; nodes and groups by id."""

    kind: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)


def written(text: str) -> str:
    """A label as a reader sees it: codes as they were typed, breaks and runs of blanks as one."""
    text = _CODE.sub(lambda match: f"#{match[1]};", text)
    return " ".join(_BREAK.sub(" ", text).split())


def facts(diagram: Diagram) -> Iterator[Fact]:
    """Nodes, groups, who is in which, edges; equal edges are numbered."""
    yield ("diagram", diagram.kind)
    for name, node in diagram.nodes.items():
        if name not in diagram.groups:
            yield ("node", name, node.shape, *(node.texts or (name,)))
    for name, group in diagram.groups.items():
        yield ("group", name, group.shape, *(group.texts or (name,)))
        yield from (("member", name, member) for member in group.members)
    edges = Counter((edge.start, edge.kind, edge.end, *edge.texts) for edge in diagram.edges)
    for edge, count in edges.items():
        yield from (("edge", *edge, str(number)) for number in range(count))


def key(diagram: Diagram) -> str:
    """Hash of the diagram without ids and order; see `graph_key` for what it cannot tell apart."""
    names = [*diagram.groups, *(name for name in diagram.nodes if name not in diagram.groups)]
    place = {name: number for number, name in enumerate(names)}
    colours = [repr((diagram.kind, part.shape, part.texts)) for part in _parts(diagram, names)]
    links = [
        (place[name], "holds", place[member])
        for name, group in diagram.groups.items()
        for member in group.members
    ]
    for edge in diagram.edges:
        middle = len(colours)
        colours.append(repr((edge.kind, edge.texts)))
        links.append((middle, "end" if edge.symmetric else "start", place[edge.start]))
        links.append((middle, "end", place[edge.end]))
    return graph_key(colours, links)


def _parts(diagram: Diagram, names: list[str]) -> Iterator[Node | Group]:
    for name in names:
        yield diagram.groups[name] if name in diagram.groups else diagram.nodes[name]
