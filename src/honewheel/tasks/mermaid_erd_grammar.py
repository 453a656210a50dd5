"""Mermaid's erDiagram language: text -> Diagram, accepting exactly what Mermaid 11 accepts.

The language is looser than its documentation. Newlines separate nothing outside style lines, so
`A B` declares two entities and attributes may share a line; words such as `one`, `to`, `end` and
`style` are never names; inside a block, `PK` is a key wherever it stands as a word. The lexer has
one pattern per state, tried in order, first match wins; the grammar needs one token of lookahead.

Not followed: diagrams over 50,000 characters (Mermaid parses them and refuses to draw them).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from honewheel.tasks.facts import Refused
from honewheel.tasks.mermaid_text import LINE_ENDS, SPACE, Source, prepared

_CARDINALITIES = {
    "zero-or-one": r"one or zero\b|\|o\b|zero or one\b|o\|",
    "one-or-more": r"one or more\b|one or many\b|1\+|many\(1\)|\}\||\|\{",
    "zero-or-more": r"zero or more\b|zero or many\b|0\+|\}o\b|many\(0\)|many\b|o\{",
    "only-one": r"one\b|only one\b|\|\|",
    "parent": r"u(?=[.\-|])",
}
_CARDINALITY_KINDS = [*(name.replace("-", "_") for name in _CARDINALITIES), "only_one_number"]
# A lone 1 is a cardinality before a name, a number or a line, else an entity called 1.
_ONE = rf"1(?=[{SPACE}]+[A-Za-z_\"'0-9]|--|\.\.|\.-|-\.)"
_DIRECTION = re.compile(rf"(?P<direction>direction[{SPACE}]+(TB|BT|RL|LR)[^\n]*)", re.IGNORECASE)
_LETTER = "\u00b5\u00c0-\U0010ffff"  # the micro sign's upper case lies in Mermaid's range


def _pattern(**rules: str) -> re.Pattern[str]:
    joined = "|".join(f"(?P<{name.replace('-', '_')}>{rule})" for name, rule in rules.items())
    return re.compile(joined, re.IGNORECASE | re.ASCII)


_PLAIN = _pattern(
    acc_title=rf"accTitle[{SPACE}]*:[{SPACE}]*",
    acc_descr=rf"accDescr[{SPACE}]*:[{SPACE}]*",
    acc_block=rf"accDescr[{SPACE}]*\{{[{SPACE}]*",
    skip=r"[ \t\r]+",
    newline=r"\n+",
    quoted=r'"[^"%\r\n\v\b\\]+"',
    text=r'"[^"]*"',
    header=r"erDiagram\b",
    block=r"\{",
    comma=",",
    class_mark=":::",
    colon=":",
    open=r"\[",
    close=r"\]",
    style=r"style\b",
    class_def=r"classDef\b",
    class_=r"class\b",
    subgraph=r"subgraph\b",
    end=rf"end\b[{SPACE}]*",
    **_CARDINALITIES,
    decimal=r"[0-9]+\.[0-9]+",
    only_one_number=_ONE,
    one=r"1\b",
    number=r"[0-9]+",
    dashed=r"\.\.|optionally to\b|\.-|-\.",
    solid=r"--|to\b",
    name=r"(?:[^\x00-\x7f]|\w|[-*.])+",
)
_BLOCK = _pattern(
    skip=rf"[{SPACE}]+",
    key=r"(?:PK|FK|UK)\b",
    word=rf"[*A-Za-z_{_LETTER}][A-Za-z0-9\-_\[\]().,*{_LETTER}]*",
    ticked="`",
    comment=r'"[^"]*"',
    block_end=r"\}",
    optional=r"\?",
    comma=",",
)
# Tried first where the word ahead holds a tilde; trying it everywhere would be quadratic.
_GENERIC = _pattern(
    skip=rf"[{SPACE}]+",
    key=r"(?:PK|FK|UK)\b",
    generic=rf"[^{SPACE}~]*~[^{LINE_ENDS}]*~[^{SPACE}]*",
)
_STYLE = _pattern(
    newline=r"\n+",
    skip=rf"[{SPACE}]+",
    colon=":",
    comma=",",
    hash="#",
    word=r"(?:[^\x00-\x7f]|\w|[-*])+",
    semicolon=";",
)
_TICKED = _pattern(word="[^`]+", ticked="`")
_REST = _pattern(value=r"[^\n]*")
_DESCRIPTION = _pattern(block_end=r"\}", value=r"[^}]*")

# Tokens that change the state, and the state they lead to.
_ENTERS = {
    (_PLAIN, "acc_title"): _REST,
    (_PLAIN, "acc_descr"): _REST,
    (_PLAIN, "acc_block"): _DESCRIPTION,
    (_PLAIN, "block"): _BLOCK,
    (_PLAIN, "style"): _STYLE,
    (_PLAIN, "class_def"): _STYLE,
    (_REST, "value"): _PLAIN,
    (_DESCRIPTION, "block_end"): _PLAIN,
    (_BLOCK, "block_end"): _PLAIN,
    (_BLOCK, "ticked"): _TICKED,
    (_TICKED, "ticked"): _BLOCK,
    (_STYLE, "newline"): _PLAIN,
}
_SILENT = {"skip", "ticked", "acc_block"}


class Token(NamedTuple):
    kind: str
    text: str
    at: int  # offset in the prepared text


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    type: str
    name: str
    keys: tuple[str, ...]  # as written: PK, FK, UK
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """`left` has `left_end` of the cardinality names above; solid lines are identifying."""

    left: str
    right: str
    left_end: str
    right_end: str
    identifying: bool
    label: str
    line: int


@dataclass(slots=True)
class Diagram:
    """Entities in order of first mention, with what their blocks say."""

    entities: dict[str, list[Attribute]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    stray: list[tuple[str, int]] = field(default_factory=list)  # lone names beside other words


def parse(text: str) -> Diagram:
    """What `text` draws.

    Raises:
        Refused: Mermaid would not accept the text; with the line.
    """
    return _Parser(prepared(text, "erDiagram")).diagram()


def _tokens(found: Source) -> Iterator[Token]:
    text, at, state = found.text, 0, _PLAIN
    directions = _Directions(text)
    tilde, space = _upcoming("~", text), _upcoming(f"[{SPACE}]", text)
    while at < len(text):
        match = None
        if state is _PLAIN:
            match = directions.match(at)
        elif state is _BLOCK and tilde(at) < space(at):
            match = _GENERIC.match(text, at)
        match = match or state.match(text, at)
        if match is None or match.lastgroup is None:
            raise Refused("syntax", f"{text[at]!r} cannot stand here", found.line(at))
        kind = match.lastgroup
        if kind not in _SILENT and not (state is _DESCRIPTION and kind == "block_end"):
            yield Token(kind, match[0], at)
        state = _ENTERS.get((state, kind), state)
        at = match.end()
    if state is _PLAIN:
        yield Token("eof", "", at)
    yield Token("cut", "", at)


def _upcoming(pattern: str, text: str) -> Callable[[int], int]:
    """Where `pattern` next stands from an offset on; each stretch of text is searched once."""
    search = re.compile(pattern).search
    known = -1

    def position(at: int) -> int:
        nonlocal known
        if known < at:
            match = search(text, at)
            known = match.start() if match else len(text)
        return known

    return position


class _Directions:
    """Where `direction TB` and its like stand; one swallows its line from wherever the lexer is."""

    def __init__(self, text: str) -> None:
        self._found = list(_DIRECTION.finditer(text))
        self._starts = [match.start() for match in self._found]
        self._lines = [_line_start(text, start) for start in self._starts]

    def match(self, at: int) -> re.Match[str] | None:
        """The one that matches at `at`: TB before BT before RL before LR, the last of its kind."""
        first = bisect_left(self._starts, at)
        if first == len(self._starts) or self._lines[first] > at:
            return None
        here = self._found[first : bisect_right(self._lines, self._lines[first])]
        order = ("TB", "BT", "RL", "LR")
        return min(reversed(here), key=lambda match: order.index(match[2].upper()))


def _line_start(text: str, at: int) -> int:
    return 1 + max(text.rfind(end, 0, at) for end in LINE_ENDS)


_STARTS = {"header", "newline", "value", "direction", "end"}  # what may precede a statement
_NAMES = {"name", "quoted", "number", "decimal", "one"}
_SAYS = {
    "newline": "the end of the line",
    "eof": "the end of the diagram",
    "cut": "the end of the diagram",
}


class _Parser:
    def __init__(self, found: Source) -> None:
        self._found = found
        self._tokens = _tokens(found)
        self._next = next(self._tokens)
        self._last = self._next.kind
        self._diagram = Diagram()

    def diagram(self) -> Diagram:
        self._take("erDiagram", "header")
        depth = 0
        while not self._at("eof"):
            if self._at("subgraph"):
                self._subgraph()
                depth += 1
            elif depth and self._accept("end"):
                depth -= 1
            else:
                self._statement()
        if depth:
            self._refuse("`end` of the subgraph")
        self._take("the end", "eof")
        return self._diagram

    def _statement(self) -> None:
        if self._next.kind in _NAMES:
            self._entity()
        elif self._accept("style", "class_def"):
            self._style()
        elif self._accept("class_"):
            self._names("name")
            self._names("name")
        elif not self._accept("newline", "direction", "value"):
            if not self._accept("acc_title", "acc_descr"):
                self._refuse("an entity, a relation or a style")
            self._take("a text", "value")

    def _entity(self) -> None:
        token, before = self._next, self._last
        name = self._name()
        alias = None
        if self._accept("open"):
            alias = self._name()
            self._take("`]`", "close")
        self._classes()
        if alias is None and self._at(*_CARDINALITY_KINDS):
            self._relation(name, token)
            return
        attributes = self._diagram.entities.setdefault(name, [])
        if alias is not None:
            self._diagram.aliases.setdefault(name, alias)
        if self._accept("block"):
            while not self._accept("block_end"):
                attributes.append(self._attribute())
        elif before not in _STARTS or not self._at("newline", "eof"):
            self._diagram.stray.append((name, self._found.line(token.at)))

    def _relation(self, left: str, token: Token) -> None:
        left_end = self._cardinality()
        line = self._take("`--` or `..`", "solid", "dashed")
        right_end = self._cardinality()
        right = self._name()
        self._classes()
        self._take("`:` and a label", "colon")
        label = self._take("a label", "name", "quoted", "text").text.replace('"', "")
        for name in (left, right):
            self._diagram.entities.setdefault(name, [])
        self._diagram.relations.append(
            Relation(
                left=left,
                right=right,
                left_end=left_end,
                right_end=right_end,
                identifying=line.kind == "solid",
                label=label,
                line=self._found.line(token.at),
            )
        )

    def _cardinality(self) -> str:
        token = self._take("a cardinality such as `||` or `o{`", *_CARDINALITY_KINDS)
        return token.kind.removesuffix("_number").replace("_", "-")

    def _attribute(self) -> Attribute:
        token = self._take("an attribute type or `}`", "word", "generic")
        optional = "?" if self._accept("optional") else ""
        name = self._take("an attribute name", "word", "generic").text
        keys = []
        if self._at("key"):
            keys.append(self._take("a key", "key").text)
            while self._accept("comma"):
                keys.append(self._take("PK, FK or UK", "key").text)
        self._accept("comment")
        line = self._found.line(token.at)
        return Attribute(type=token.text + optional, name=name, keys=tuple(keys), line=line)

    def _style(self) -> None:
        self._names("word")
        while True:
            self._take("a style", "word", "colon", "hash")
            while self._accept("word", "colon", "hash"):
                pass
            if not self._accept("comma"):
                break
        self._take("the end of the line", "newline", "semicolon", "eof")

    def _subgraph(self) -> None:
        self._take("`subgraph`", "subgraph")
        self._name()
        if self._accept("open"):
            self._name()
            while not self._accept("close"):
                self._name()
        self._take("the end of the line", "newline", "eof")

    def _classes(self) -> None:
        if self._accept("class_mark"):
            self._names("name")

    def _names(self, kind: str) -> None:
        self._take("a name", kind)
        while self._accept("comma"):
            self._take("a name", kind)

    def _name(self) -> str:
        return self._take("an entity name", *_NAMES).text.replace('"', "")

    def _at(self, *kinds: str) -> bool:
        return self._next.kind in kinds

    def _accept(self, *kinds: str) -> bool:
        if self._next.kind not in kinds:
            return False
        self._advance()
        return True

    def _take(self, expected: str, *kinds: str) -> Token:
        if self._next.kind not in kinds:
            self._refuse(expected)
        return self._advance()

    def _advance(self) -> Token:
        token = self._next
        self._last = token.kind
        self._next = next(self._tokens, token)
        return token

    def _refuse(self, expected: str) -> NoReturn:
        text = self._next.text
        found = _SAYS.get(self._next.kind, repr(text if len(text) <= 40 else text[:40] + "..."))
        line = self._found.line(self._next.at)
        raise Refused("syntax", f"expected {expected}, found {found}", line)
