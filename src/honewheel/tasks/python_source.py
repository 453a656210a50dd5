"""Text -> syntax tree of a Python module, without ever running it and whatever the text is.

A model's answer often comes as one Markdown code block. Exactly one block with nothing around it
is unwrapped; prose around a block, or several blocks, is not code. Nesting deeper than 80 is
refused, since everything that walks the tree recurses.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from honewheel.tasks.facts import Refused, unreadable

MAX_CHARS = 50_000
MAX_DEPTH = 80
MAX_INTEGER_BITS = 10_000  # Python itself refuses to print integers of over 4,300 digits

_OPENING = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[ \t]*")
_FENCE_LINE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_LANGUAGES = frozenset({"", "py", "python", "python3", "py3"})
_FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError)
_QUIET = Lock()  # the filters of `warnings` belong to the whole process


@dataclass(frozen=True, slots=True)
class Source:
    """`code` keeps the line numbers of the text it was taken from; `fenced` if it was unwrapped."""

    code: str
    tree: ast.Module
    fenced: bool


def read(text: str) -> Source:
    """The module that `text` is.

    Raises:
        Refused: too long, too deep, not Python, or a code block among other text.
    """
    bare = text.lstrip("\ufeff")
    fence = _fence(bare)
    if finding := unreadable(bare.lstrip(" \t\r\n`") if fence else bare, MAX_CHARS):
        raise Refused(finding.code, finding.message, finding.line)
    code = _unwrapped(bare, fence) if fence else bare
    try:
        return Source(code, _parsed(code), fence is not None)
    except Refused as refused:
        if refused.finding.code == "syntax" and (match := _FENCE_LINE.search(code)):
            line = code.count("\n", 0, match.start()) + 1
            message = "a Markdown fence among other text; the code alone is expected"
            raise Refused("code-fence", message, line) from refused
        raise


def depth(tree: ast.AST) -> int:
    """Levels of the tree; found without recursion."""
    deepest, level = 0, [tree]
    while level:
        deepest += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return deepest


def _fence(text: str) -> str | None:
    """The marks that open a code block on the first line that is not blank, or None."""
    match = _OPENING.match(text.lstrip("\r\n \t"))
    return match[1] if match else None


def _unwrapped(text: str, fence: str) -> str:
    """What stands in the one code block that `text` is, its first line left empty."""
    lines = text.splitlines()
    first = next(place for place, line in enumerate(lines) if line.strip())
    opening = _OPENING.fullmatch(lines[first])
    if opening is None or opening[2].lower() not in _LANGUAGES:
        raise Refused("code-fence", f"{lines[first].strip()[:40]!r} opens no Python block", 1)
    last = next(place for place in reversed(range(len(lines))) if lines[place].strip())
    closing = lines[last].strip()
    if last == first or set(closing) != {fence[0]} or len(closing) < len(fence):
        message = "the code block is not closed on the last line, or text follows it"
        raise Refused("code-fence", message, last + 1)
    return "\n".join(["" for _ in lines[: first + 1]] + lines[first + 1 : last])


def _parsed(code: str) -> ast.Module:
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
            _bounded(tree)
            # Finds what the grammar lets through, such as a return outside a function.
            compile(tree, "<output>", "exec", dont_inherit=True)
    except _FAILURES as error:
        raise _refusal(error) from error
    return tree


def _bounded(tree: ast.Module) -> None:
    if (deep := depth(tree)) > MAX_DEPTH:
        raise Refused("too-deep", f"nested {deep} deep; at most {MAX_DEPTH} is read")
    for node in _constants(tree):
        if isinstance(node.value, int) and node.value.bit_length() > MAX_INTEGER_BITS:
            raise Refused("too-large", "an integer is too long to be written out", node.lineno)


def _constants(tree: ast.Module) -> Iterator[ast.Constant]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Constant))


def _refusal(error: BaseException) -> Refused:
    if isinstance(error, SyntaxError):
        return Refused("syntax", f"not Python: {error.msg}", error.lineno)
    if isinstance(error, RecursionError | MemoryError):
        return Refused("too-deep", f"nested deeper than Python reads; at most {MAX_DEPTH} is read")
    return Refused("syntax", f"not Python: {error}")
