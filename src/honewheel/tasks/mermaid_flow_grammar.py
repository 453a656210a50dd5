"""Mermaid's flowchart language, a strict part of it: what is accepted here, Mermaid 11 accepts.

Read are nodes in their bracketed shapes, chains of links with `&`, labels on links, subgraphs, and
statements of style, class and click, which say nothing about content. Not read, although Mermaid
takes them: `@{ ... }`, ellipses, ids with marks other than `_ - .`, labels that hold brackets,
`@` or a line break without quotes, and `direction LR` within a line, which Mermaid swallows whole.
"""

from __future__ import annotations

import re
from typing import NoReturn

from honewheel.tasks.facts import Refused
from honewheel.tasks.mermaid_flow_model import Diagram, Edge, Group, Node, written
from honewheel.tasks.mermaid_text import Source

MAX_EDGES = 500  # Mermaid's own limit
MAX_DEPTH = 50  # subgraphs within subgraphs

_LETTER = (
    "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02c1\u03a3-\u03f5\u03f7-\u0481\u0531-\u0556\u05d0-\u05ea"
    "\u0671-\u06d3\u0904-\u0939\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fcc\uac00-\ud7a3"
)
_ID = rf"[A-Za-z0-9_{_LETTER}]+(?:[-.][A-Za-z0-9_{_LETTER}]+)*+"
_WORDS = (
    "style default linkStyle interpolate classDef class href click call graph flowchart swimlane "
    "subgraph end _self _blank _parent _top accTitle accDescr direction"
).split()
# A word is a keyword at the start of an id and behind whatever ends a token there.
_KEYWORD = re.compile(rf"(?:^|[0-9{_LETTER}])(?:{'|'.join(_WORDS)})(?![A-Za-z0-9_])")
# `x--` starts a link with a cross for Mermaid, not with the node x.
_MARK = re.compile(rf"(?:^|[0-9{_LETTER}])[xo]$")
_QUOTED = r'"(?:[^"`][^"]*|`[^`"]+`)"'
_PLAIN = r'(?:(?!~~~)[^\[\](){}|"@\n\r])'
_SHAPES = {
    "double-circle": (r"\(\(\(", r"\)\)\)"),
    "circle": (r"\(\(", r"\)\)"),
    "stadium": (r"\(\[", r"\]\)"),
    "round": (r"\(", r"\)"),
    "subroutine": (r"\[\[", r"\]\]"),
    "cylinder": (r"\[\(", r"\)\]"),
    "lean-right": (r"\[/", r"/\]"),
    "lean-left": (r"\[\\", r"\\\]"),
    "trapezoid": (r"\[/", r"\\\]"),
    "trapezoid-upside-down": (r"\[\\", r"/\]"),
    "rect": (r"\[", r"\]"),
    "hexagon": (r"\{\{", r"\}\}"),
    "rhombus": (r"\{", r"\}"),
    "odd": (r">", r"\]"),
}
_SLANTED = r'(?:(?!~~~)[^\[\](){}|"@\n\r/\\])+'
_UPRIGHT = rf"(?![-/\\]){_PLAIN}+"


def _shape(name: str) -> re.Pattern[str]:
    opening, closing = _SHAPES[name]
    plain = _SLANTED if "lean" in name or "trapezoid" in name else _UPRIGHT
    return re.compile(rf"{opening}(?P<text>{_QUOTED}|{plain}){closing}")


_NODE_SHAPES = {name: _shape(name) for name in _SHAPES}
_NODE_ID = re.compile(_ID)
_CLASS = re.compile(rf":::(?P<name>{_ID})")
_AND = re.compile(r"[ \t]+&[ \t]+")
# Marks in front need blank space before them, or they would be part of the id.
_FRONT = r"[ \t\n]*(?P<front>(?:(?<=[ \t\n])[xo]|<)?)"
_LINKS = {
    "solid": re.compile(rf"{_FRONT}--+(?P<back>[-xo>])[ \t\n]*"),
    "thick": re.compile(rf"{_FRONT}==+(?P<back>[=xo>])[ \t\n]*"),
    "dotted": re.compile(rf"{_FRONT}-\.+-(?P<back>[xo>]?)[ \t\n]*"),
    "invisible": re.compile(r"[ \t\n]*(?P<front>)~~~+(?P<back>)[ \t\n]*"),
}
# How a link with its label in the middle starts, what its label cannot hold, and how it ends.
_LABELLED = {
    "solid": ("--(?![-xo>])", "--", "--+(?P<back>[-xo>])"),
    "thick": ("==(?![=xo>])", "=", "==+(?P<back>[=xo>])"),
    "dotted": (r"-\.(?![-.])", r"\.", r"\.+-(?P<back>[xo>]?)"),
}
_LABELLED_LINKS = {
    name: re.compile(
        rf"{_FRONT}{start}[ \t]*+(?P<text>{_QUOTED}|(?![-=])(?:(?!{bad}){_PLAIN})+(?<![-xo<=]))"
        rf"[ \t]*{end}[ \t\n]*"
    )
    for name, (start, bad, end) in _LABELLED.items()
}
_PIPED = re.compile(rf"\|(?P<text>{_QUOTED}|{_PLAIN}+)\|[ ]?")
_HEADER = re.compile(
    r"(?:graph|flowchart)(?:[ \t]+(?:TB|TD|BT|RL|LR)(?:(?=;)|[ \t]*(?=\n))|[ \t]*(?=\n))"
)
_BLANK = re.compile(r"[ \t\n;]*")
_END_OF_LINE = re.compile(r"[ \t]*(?=[\n;])")
_DIRECTION = re.compile(r"direction[ \t]+(?:TB|TD|BT|RL|LR)[ \t]*(?=\n)")
_SWALLOWED = re.compile(r"direction\s+(?:TB|TD|BT|RL|LR)")
_SUBGRAPH = re.compile(
    rf"subgraph[ ](?:(?P<id>{_ID})[ \t]*\[(?P<text>{_QUOTED}|{_UPRIGHT})\]|(?P<quoted>{_QUOTED})"
    rf"|(?P<words>{_ID}(?:[ ]+{_ID})*))"
)
_END = re.compile(r"end(?=[ \t]*[\n;])")
_VALUE = rf"(?![#0-9]*(?:{'|'.join(_WORDS)})\b)[#A-Za-z0-9.%]+"
_STYLE = rf"[A-Za-z]+(?:-[A-Za-z]+)*:{_VALUE}(?:[ -]{_VALUE})*"
_STYLES = rf"{_STYLE}(?:,[ ]*{_STYLE})*"
_URL = rf'"[^"\n]+"(?:[ ]{_QUOTED})?(?:[ ](?:_self|_blank|_parent|_top))?(?=[\n;])'
_SILENT = re.compile(
    rf"(?:style[ ](?P<styled>{_ID})[ ]{_STYLES}"
    rf"|linkStyle[ ](?:default|(?P<numbers>[0-9]+(?:,[0-9]+)*))[ ]{_STYLES}"
    rf"|classDef[ ]{_ID}(?:,{_ID})*[ ]{_STYLES}"
    rf"|class[ ](?P<classed>{_ID}(?:,{_ID})*)[ ]{_ID}"
    rf"|click[ ](?P<clicked>{_ID})[ ](?:href[ ])?{_URL}"
    r"|acc(?:Title|Descr)[ \t]*:[^\n;]+)"
)


def parse(found: Source) -> Diagram:
    """The flowchart in a prepared text.

    Raises:
        Refused: not in the language above; with the line.
    """
    return _Parser(found).diagram()


class _Parser:
    def __init__(self, found: Source) -> None:
        self._found = found
        self._text = found.text
        self._at = 0
        self._diagram = Diagram("flowchart")
        self._open: list[tuple[str, list[str]]] = []  # subgraphs with all ids met in them
        self._claimed: set[str] = set()  # ids that a closed subgraph has taken

    def diagram(self) -> Diagram:
        if self._take(_HEADER) is None:
            self._refuse("`flowchart` or `graph`, a direction such as LR, and a new line")
        self._check_directions()
        self._take(_BLANK)
        while self._at < len(self._text):
            self._statement()
            self._take(_BLANK)
        if self._open:
            self._refuse("`end` of the subgraph")
        return self._diagram

    def _check_directions(self) -> None:
        for match in _SWALLOWED.finditer(self._text):
            before = self._text[self._text.rfind("\n", 0, match.start()) + 1 : match.start()]
            if before.strip() or _DIRECTION.match(self._text, match.start()) is None:
                self._refuse("a direction on a line of its own", match.start())

    def _statement(self) -> None:
        if self._take(_DIRECTION):
            return
        if self._take(_END):
            self._close()
        elif match := self._take(_SUBGRAPH):
            self._subgraph(match)
        elif match := self._take(_SILENT):
            self._silent(match)
        else:
            self._chain()
        if self._take(_END_OF_LINE) is None:
            self._refuse("a link, or the end of the line")

    def _subgraph(self, match: re.Match[str]) -> None:
        title = _label(match["text"] or match["quoted"] or match["words"])
        for word in (match["id"] or match["words"] or "").split():
            self._check_id(word, match.start())
        name = match["id"] or title
        if match["id"] is None and " " in title:  # Mermaid makes up an id
            name = f"subGraph{len(self._diagram.groups)} {title}"
        if name in self._diagram.groups or any(name == other for other, _ in self._open):
            self._refuse(f"another id than {name!r}, which is a subgraph already", match.start())
        if len(self._open) >= MAX_DEPTH:
            self._refuse(f"at most {MAX_DEPTH} subgraphs within each other", match.start())
        texts = () if match["words"] and " " not in title else (title,)
        self._diagram.groups[name] = Group("subgraph", texts, self._found.line(match.start()))
        self._open.append((name, []))

    def _close(self) -> None:
        if not self._open:
            self._refuse("a subgraph before its `end`", self._at - len("end"))
        name, met = self._open.pop()
        group = self._diagram.groups[name]
        if name in met:
            line = self._found.line(self._at)
            raise Refused("self-parent", f"the subgraph {name} is a node within itself", line)
        group.members = [item for item in dict.fromkeys(met) if item not in self._claimed]
        self._claimed |= {*group.members}
        if self._open:
            self._open[-1][1].append(name)

    def _silent(self, match: re.Match[str]) -> None:
        for number in (match["numbers"] or "").split(","):
            if number and (len(number) > 4 or int(number) >= len(self._diagram.edges)):
                self._refuse(f"the number of a link above; {number[:9]} is none", match.start())
        for names in (match["styled"], match["classed"], match["clicked"]):
            for name in (names or "").split(","):
                self._check_id(name, match.start())
        if match["styled"]:  # Mermaid makes the node when there is none
            line = self._found.line(match.start())
            self._diagram.nodes.setdefault(match["styled"], Node("rect", (), line))

    def _chain(self) -> None:
        start = self._nodes()
        while True:
            at = self._at
            link = self._link()
            if link is None:
                return
            end = self._nodes()
            for one in start:
                for other in end:
                    self._edge(one, other, link, self._found.line(at))
            start = end

    def _edge(self, start: str, end: str, link: tuple[str, bool, tuple[str, ...]], at: int) -> None:
        kind, symmetric, texts = link
        if len(self._diagram.edges) >= MAX_EDGES:
            raise Refused("too-large", f"more than {MAX_EDGES} links; Mermaid draws no more", at)
        self._diagram.edges.append(Edge(start, end, kind, texts, symmetric, at))

    def _nodes(self) -> list[str]:
        found = [self._node()]
        while self._take(_AND):
            found.append(self._node())
        return found

    def _node(self) -> str:
        match = self._take(_NODE_ID)
        if match is None:
            self._refuse("a node")
        name = match[0]
        self._check_id(name, match.start())
        if _MARK.search(name) and self._text[self._at] in "-=":
            self._refuse("a space before the link", match.start())
        shape = self._shape()
        if match := self._take(_CLASS):
            self._check_id(match["name"], match.start())
        line = self._found.line(self._at - 1)
        if shape is not None:
            self._diagram.nodes[name] = Node(*shape, line)
        else:
            self._diagram.nodes.setdefault(name, Node("rect", (), line))
        if self._open:
            self._open[-1][1].append(name)
        return name

    def _shape(self) -> tuple[str, tuple[str, ...]] | None:
        if self._text[self._at : self._at + 1] not in ("(", "[", "{", ">"):
            return None
        for name, pattern in _NODE_SHAPES.items():
            match = pattern.match(self._text, self._at)
            if match and match["text"].strip():
                self._at = match.end()
                return name, (_label(match["text"]),)
        raise self._refusal('a label; one with brackets or @ stands in quotes: ["a (b)"]')

    def _link(self) -> tuple[str, bool, tuple[str, ...]] | None:
        for line, pattern in _LINKS.items():
            if match := self._take(pattern):
                piped = self._take(_PIPED)
                return *self._look(line, match), (_label(piped["text"]),) if piped else ()
        for line, pattern in _LABELLED_LINKS.items():
            if match := self._take(pattern):
                return *self._look(line, match), (_label(match["text"]),)
        return None

    def _look(self, line: str, match: re.Match[str]) -> tuple[str, bool]:
        """Line and marks in words that forget a link's length, and whether its ends look alike."""
        front = match["front"].replace("<", ">")
        back = match["back"].replace("-", "").replace("=", "")
        if front and front != back:
            self._refuse("the same mark on both ends of the link", match.start("front"))
        return f"{line} {front}{back or '-'}", front == back

    def _check_id(self, name: str, at: int) -> None:
        if found := _KEYWORD.search(name):
            word = found[0].lstrip("0123456789")
            self._refuse(f"another id: {word!r} is a keyword", at)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match

    def _refuse(self, expected: str, at: int | None = None) -> NoReturn:
        raise self._refusal(expected, at)

    def _refusal(self, expected: str, at: int | None = None) -> Refused:
        at = self._at if at is None else at
        rest = self._text[at : at + 200].split("\n", 1)[0].strip()
        found = repr(rest[:40]) if rest else "the end of the line"
        return Refused("syntax", f"expected {expected}, found {found}", self._found.line(at))


def _label(text: str) -> str:
    if text.startswith('"'):
        text = text[1:-1].strip("`")
    return written(text)
