"""Mermaid's C4 language (architecture: people, systems, containers, components), strictly.

One statement a line: an element or relation with its arguments, a boundary with `{` and, on a
line of its own, its `}`. What is accepted here, Mermaid 11 accepts; it also takes statements with
missing arguments and draws nothing for them, which is refused here, as are relations between
elements that do not exist, which Mermaid accepts and then fails to draw.
"""

from __future__ import annotations

import re
from typing import NoReturn

from honewheel.tasks.facts import Refused
from honewheel.tasks.mermaid_flow_model import Diagram, Edge, Group, Node, written
from honewheel.tasks.mermaid_text import Source

KINDS = ("C4Context", "C4Container", "C4Component", "C4Dynamic", "C4Deployment")
MAX_DEPTH = 50

_ELEMENTS = {"Person", "Person_Ext"} | {
    f"{kind}{form}{place}"
    for kind in ("System", "Container", "Component")
    for form in ("", "Db", "Queue")
    for place in ("", "_Ext")
}
_GROUPS = {
    *("Boundary", "Enterprise_Boundary", "System_Boundary", "Container_Boundary"),
    *("Deployment_Node", "Node", "Node_L", "Node_R"),
}
# Where a relation is drawn is layout.
_RELATIONS = {
    **dict.fromkeys(["Rel", "RelIndex"], "Rel"),
    **{f"Rel_{way}": "Rel" for way in ("U", "Up", "D", "Down", "L", "Left", "R", "Right")},
    "BiRel": "BiRel",
    "Rel_Back": "Rel_Back",
}
_STYLES = {"UpdateElementStyle", "UpdateRelStyle", "UpdateLayoutConfig"}
_FEWEST = {"RelIndex": 4} | dict.fromkeys(_RELATIONS.keys() - {"RelIndex"}, 3)

_QUOTED = r'(?:\$[A-Za-z]+="[^"\n]+"|"[^"\n]*")'
_ARGUMENT = rf"(?:{_QUOTED}|[A-Za-z0-9_.-]+(?:[ ][A-Za-z0-9_.-]+)*)"
# Mermaid reads a bare argument up to the next comma, so the last one stands in quotes.
_CALL = re.compile(rf"(?P<word>\w+)\((?P<list>(?:{_ARGUMENT},[ ]*)*{_QUOTED})\)", re.ASCII)
_ONE = re.compile(_ARGUMENT)
_TITLE = re.compile(r"title[ ][^#\n;]+|acc(?:Title|Descr)[ \t]*:[ ]*[^\n]+")
_SWALLOWED = re.compile(r"direction\s+(?:TB|BT|RL|LR)")


def parse(found: Source) -> Diagram:
    """The C4 diagram in a prepared text.

    Raises:
        Refused: not in the language above; with the line.
    """
    return _Parser(found).diagram()


class _Parser:
    def __init__(self, found: Source) -> None:
        self._found = found
        self._diagram = Diagram("")
        self._open: list[str] = []
        self._at = 0

    def diagram(self) -> Diagram:
        lines = self._found.text.split("\n")
        self._diagram.kind = lines[0].strip()
        if self._diagram.kind not in KINDS:
            self._refuse(f"one of {', '.join(KINDS)} alone on its line", lines[0])
        self._at = len(lines[0]) + 1
        for line in lines[1:]:
            if line.strip():
                self._statement(line.strip())
            self._at += len(line) + 1
        if self._open:
            self._refuse(f"`}}` of {self._open[-1]}", "")
        if not self._diagram.nodes and not self._diagram.groups:
            self._refuse('an element such as Person(alias, "label")', "")
        self._check_relations()
        return self._diagram

    def _statement(self, line: str) -> None:
        if _SWALLOWED.search(line):
            self._refuse("no direction; C4 diagrams have none", line)
        if line == "}":
            self._close()
            return
        if _TITLE.fullmatch(line):
            return
        match = _CALL.match(line)
        if match is None:
            self._refuse('a statement such as Person(alias, "label")', line)
        word, rest = match["word"], line[match.end() :].strip()
        texts = [_text(item) for item in _ONE.findall(match["list"])]
        plain = [text for text in texts if not text.startswith("$")]
        fewest = _FEWEST.get(word, 0 if word in _STYLES else 2)
        if word not in _ELEMENTS | _GROUPS | _RELATIONS.keys() | _STYLES:
            self._refuse("an element, boundary or relation", line)
        if len(plain) < fewest or (fewest and not all(plain[:fewest])):
            self._refuse(f"{fewest} arguments in {word}", line)
        if rest != ("{" if word in _GROUPS else ""):
            self._refuse("`{` of the boundary" if word in _GROUPS else "the end of the line", rest)
        self._add(word, plain)

    def _add(self, word: str, texts: list[str]) -> None:
        number = self._found.line(self._at)
        if word in _RELATIONS:
            first = 1 if word == "RelIndex" else 0
            start, end, *labels = texts[first:]
            if self._diagram.kind == "C4Dynamic":  # numbered in the order they are written
                labels.append(f"step {len(self._diagram.edges) + 1}")
            kind = _RELATIONS[word]
            edge = Edge(start, end, kind, tuple(labels), kind == "BiRel", number)
            self._diagram.edges.append(edge)
        elif word in _ELEMENTS | _GROUPS:
            name, *labels = texts
            if name in self._diagram.nodes or name in self._diagram.groups:
                self._refuse(f"another alias than {name!r}, which is in use", "")
            if self._open:
                self._diagram.groups[self._open[-1]].members.append(name)
            if word in _ELEMENTS:
                self._diagram.nodes[name] = Node(word, tuple(labels), number)
                return
            if len(self._open) >= MAX_DEPTH:
                self._refuse(f"at most {MAX_DEPTH} boundaries within each other", "")
            self._diagram.groups[name] = Group(word, tuple(labels), number)
            self._open.append(name)

    def _close(self) -> None:
        if not self._open:
            self._refuse("a boundary before its `}`", "}")
        name = self._open.pop()
        if not self._diagram.groups[name].members:
            self._refuse(f"an element within {name}", "}")

    def _check_relations(self) -> None:
        known = self._diagram.nodes.keys() | self._diagram.groups.keys()
        for edge in self._diagram.edges:
            for name in (edge.start, edge.end):
                if name not in known:
                    message = f"a relation names {name[:60]!r}, which is no element"
                    raise Refused("unknown-element", message, edge.line)

    def _refuse(self, expected: str, found: str) -> NoReturn:
        shown = repr(found[:40]) if found else "something else"
        message = f"expected {expected}, found {shown}"
        raise Refused("syntax", message, self._found.line(self._at))


def _text(argument: str) -> str:
    if argument.startswith("$"):
        return argument
    return written(argument.strip('"'))
