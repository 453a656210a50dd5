r"""What Mermaid does to any diagram's text before its grammar sees it, with line numbers kept.

In order, twice (Mermaid does it twice): newlines become "\n", double quotes in HTML attributes
become single, front matter, directives and whole-line `%%` comments go. Then `#name;` character
codes become letters. Followed here because each of these decides verdicts: a comment behind a
statement is not a comment, and a bare `%%` line is an error.

Stricter than Mermaid on purpose: front matter is read as lines of `key: value` with plain or
quoted scalars, nested by indentation, since the light base has no YAML parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from honewheel.tasks.facts import Refused

# JavaScript's \s, which differs from Python's.
SPACE = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
LINE_ENDS = "\n\r\u2028\u2029"

_FLAGS = re.IGNORECASE | re.ASCII
_CARRIAGE = re.compile(r"\r\n?")
_TAG = re.compile(r"<\w+([^>]*)>", re.ASCII)
_QUOTED_ATTRIBUTE = re.compile(r'="([^"]*)"')
_OPENING = re.compile(rf"((?:(?!\n)[{SPACE}])*)---([{SPACE}]*)")
_DIRECTIVE = re.compile(
    rf"%%\{{[{SPACE}]*+(?:\w+[{SPACE}]*:|\w+)[{SPACE}]*"
    rf"(?:\w+|(?:(?!\}}%%)[^{LINE_ENDS}]|\r?\n)*)?[{SPACE}]*(?:\}}%%)?",
    _FLAGS,
)
_COMMENT = re.compile(rf"([{SPACE}]*+)%%(?!\{{)[^\n]+\n?|[{SPACE}]++")
_ANY_COMMENT = re.compile(rf"[{SPACE}]*+%%[^{LINE_ENDS}]*(\n|)|[{SPACE}]++")
_CODE = re.compile(r"#\w+;", re.ASCII)
_SCALAR = r"""(?:(?:-(?=\w)|[\w./+])(?:[\w ./+()-]*[\w./+()-])?|"[^"\\]*"|'[^']*')"""
_KEY = re.compile(rf"( *)([A-Za-z_][\w-]*):(?:[ ]+({_SCALAR}))?[ ]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """Text and, for each of its characters, the line (from 1) it came from."""

    text: str
    lines: tuple[int, ...]

    def line(self, offset: int) -> int:
        """The line of a character; past the end, that of the last one."""
        return self.lines[min(offset, len(self.lines) - 1)] if self.lines else 1

    def edit(self, edits: Iterable[tuple[int, int, str]]) -> Source:
        """Each (start, end, replacement), in order and without overlap, applied."""
        texts: list[str] = []
        lines: list[int] = []
        kept = 0
        for start, end, replacement in edits:
            texts += [self.text[kept:start], replacement]
            lines += self.lines[kept:start]
            lines += [self.line(start)] * len(replacement)
            kept = end
        if not texts:
            return self
        return Source("".join([*texts, self.text[kept:]]), (*lines, *self.lines[kept:]))


def source(text: str) -> Source:
    """`text` with its own line numbers."""
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        lines += [number] * (len(line) + 1)
    return Source(text, tuple(lines[:-1]))


def prepared(text: str, opening: str) -> Source:
    """What Mermaid's grammar is fed for `text`, when it takes it for a diagram `opening`.

    Raises:
        Refused: bad front matter, or another kind of diagram.
    """
    found = source(text)
    for _ in range(2):
        found = _cleaned(found)
    if not _detected(found.text, opening):
        raise Refused("not-a-diagram", f"does not start with {opening}", found.line(0))
    for word in ("style", "classDef"):
        found = found.edit(_colour_semicolons(found.text, word))
    found = found.edit(
        (match.start(), match.end(), f"\ufb02\u00b0{match[0][1:-1]}\u00b6\u00df")
        for match in _CODE.finditer(found.text)
    )
    return Source(found.text + "\n", (*found.lines, found.line(len(found.text))))


def _cleaned(found: Source) -> Source:
    found = found.edit((m.start(), m.end(), "\n") for m in _CARRIAGE.finditer(found.text))
    found = found.edit(_attribute_quotes(found.text))
    found = _without_front_matter(found)
    found = found.edit((m.start(), m.end(), "") for m in _DIRECTIVE.finditer(found.text))
    found = found.edit(_comments(found.text))
    blank = re.match(rf"[{SPACE}]+", found.text)
    return found.edit([(0, blank.end(), "")] if blank else [])


def _attribute_quotes(text: str) -> list[tuple[int, int, str]]:
    # Beyond the last ">" no tag closes; not looking there keeps the search linear.
    return [
        (*match.span(1), _QUOTED_ATTRIBUTE.sub(r"='\1'", match[1]))
        for match in _TAG.finditer(text, 0, text.rfind(">") + 1)
        if '="' in match[1]
    ]


def _comments(text: str) -> list[tuple[int, int, str]]:
    """Whole-line comments, each with the blank space from the first line start before it."""
    edits = []
    for match in _COMMENT.finditer(text):
        if match[1] is None:
            continue
        start = match.start()
        if start > 0 and text[start - 1] not in LINE_ENDS:
            line_end = re.search(f"[{LINE_ENDS}]", match[1])
            if line_end is None:
                continue
            start += line_end.end()
        edits.append((start, match.end(), ""))
    return edits


def _detected(text: str, opening: str) -> bool:
    """Whether Mermaid's own guess of the kind is `opening` (C4 names anywhere win)."""
    text = _DIRECTIVE.sub("", text)
    text = _ANY_COMMENT.sub(lambda match: match[1] or match[0], text)
    if re.search("C4(?:Container|Component|Dynamic|Deployment)", text):
        return opening.startswith("C4")
    return re.match(rf"[{SPACE}]*{opening}", text) is not None


def _colour_semicolons(text: str, word: str) -> list[tuple[int, int, str]]:
    """Mermaid drops the last semicolon of a line with `word` and a colour behind it."""
    edits = []
    start = 0
    for line in re.split(f"([{LINE_ENDS}])", text):
        at, last = line.find(word), line.rfind(";")
        if 0 <= at < last and _names_a_colour(line[at + len(word) : last]):
            edits.append((start + last, start + last + 1, ""))
        start += len(line)
    return edits


def _names_a_colour(text: str) -> bool:
    pieces = re.split(f"[{SPACE}]", text)
    return any(0 <= piece.find(":") < piece.rfind("#") for piece in pieces)


def _without_front_matter(found: Source) -> Source:
    text = found.text
    opening = _OPENING.match(text)
    if opening is None or "\n" not in opening[2]:
        return found
    indent, gap = opening[1], opening[2]
    closing = re.compile(rf"\n{re.escape(indent)}---[{SPACE}]*\n")
    last = opening.start(2) + gap.rindex("\n")
    close = closing.search(text, last + 1)
    if close is None and gap.count("\n") > 1:
        close = closing.match(text, last)
    if close is None:
        return found
    body = text[last + 1 : close.start()].split("\n")
    _check_front_matter([line.removeprefix(indent) for line in body], found.line(last) + 1)
    return found.edit([(0, close.end(), "")])


def _check_front_matter(lines: list[str], first: int) -> None:
    """Pass for lines of `key: value`, nested by indentation; else refuse."""
    levels: list[tuple[int, set[str]]] = []  # indent and keys so far of each open mapping
    may_open = True
    for number, line in enumerate(lines, start=first):
        if not line.strip(" ") or line.lstrip(" ").startswith("#"):
            continue
        match = _KEY.fullmatch(line)
        if match is None:
            raise Refused("front-matter", "front matter must be lines of `key: value`", number)
        depth = len(match[1])
        if may_open and (not levels or depth > levels[-1][0]):
            levels.append((depth, set()))
        while levels and levels[-1][0] > depth:
            levels.pop()
        if not levels or levels[-1][0] != depth:
            raise Refused("front-matter", "front matter is indented unevenly", number)
        if match[2] in levels[-1][1]:
            raise Refused("front-matter", f"front matter says {match[2]} twice", number)
        levels[-1][1].add(match[2])
        may_open = match[3] is None
