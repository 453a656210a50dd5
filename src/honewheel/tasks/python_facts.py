"""What a Python module states, as written: names, signatures, calls and control structure count.

Comments and layout are no facts, nor is the order of imports and definitions. Of a docstring the
presence counts, not the wording. One fact holds the whole of each body, so that no difference,
not even in the order of two statements, goes unseen.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from honewheel.records import Fact, digest
from honewheel.tasks.python_shape import DEFINITIONS, Definition, Function, without_docstring

_BLOCKS = {
    "body": "",
    "orelse": "else",
    "finalbody": "finally",
    "handlers": "except",
    "cases": "case",
}


def facts(tree: ast.Module) -> frozenset[Fact]:
    """Facts of a module; like ones in one place are numbered."""
    return frozenset(
        (*fact, str(number))
        for fact, count in Counter(_scope("", tree.body)).items()
        for number in range(count)
    )


def _scope(name: str, body: Sequence[ast.stmt]) -> Iterator[Fact]:
    """Facts of one module, class or function; `name` is dotted, "" for the module."""
    rest = without_docstring(body)
    if len(rest) < len(body):
        yield ("docstring", name)
    loose = [node for node in rest if not isinstance(node, (*DEFINITIONS, *_IMPORTS))]
    if loose:
        yield ("body", name, digest([_dump(node) for node in loose]))
    for node in rest:
        yield from _statement(name, "", node)


_IMPORTS = (ast.Import, ast.ImportFrom)


def _statement(scope: str, where: str, node: ast.stmt) -> Iterator[Fact]:
    """Facts of a statement; `where` is the kinds of blocks around it, "for if"."""
    if isinstance(node, DEFINITIONS):
        yield from _definition(scope, node)
        return
    if isinstance(node, ast.Import):
        yield from (("import", item.name, "", item.asname or "") for item in node.names)
        return
    if isinstance(node, ast.ImportFrom):
        source = "." * node.level + (node.module or "")
        yield from (("import", source, item.name, item.asname or "") for item in node.names)
        return
    blocks = [(name, getattr(node, name)) for name in _BLOCKS if getattr(node, name, None)]
    word = type(node).__name__.lower()
    yield ("statement", scope, where, _header(node))
    yield from _calls(scope, node)
    for name, block in blocks:
        inside = f"{where} {word} {_BLOCKS[name]}".strip()
        for item in block:
            if isinstance(item, ast.stmt):
                yield from _statement(scope, inside, item)
            else:
                yield ("statement", scope, inside, _header(item))
                yield from _calls(scope, item)
                for part in item.body:
                    yield from _statement(scope, inside, part)


def _definition(scope: str, node: Definition) -> Iterator[Fact]:
    name = f"{scope}.{node.name}" if scope else node.name
    yield from (("decorator", name, _text(item)) for item in node.decorator_list)
    if isinstance(node, ast.ClassDef):
        yield ("class", name)
        yield from (("base", name, _text(item)) for item in [*node.bases, *node.keywords])
    else:
        kind = "async" if isinstance(node, ast.AsyncFunctionDef) else ""
        yield ("function", name, kind)
        yield from _signature(name, node)
    yield from (("type parameter", name, _text(item)) for item in getattr(node, "type_params", []))
    yield from _scope(name, node.body)


def _signature(name: str, node: Function) -> Iterator[Fact]:
    args = node.args
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    for place, (item, default) in enumerate(zip(plain, defaults, strict=True)):
        kind = "positional" if place < len(args.posonlyargs) else "plain"
        yield (
            "parameter",
            name,
            kind,
            str(place),
            item.arg,
            _text(item.annotation),
            _text(default),
        )
    for item, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield ("parameter", name, "keyword", "", item.arg, _text(item.annotation), _text(default))
    for kind, extra in (("*", args.vararg), ("**", args.kwarg)):
        if extra is not None:
            yield ("parameter", name, kind, "", extra.arg, _text(extra.annotation), "")
    if node.returns is not None:
        yield ("returns", name, _text(node.returns))


def _calls(scope: str, node: ast.AST) -> Iterator[Fact]:
    """What the statement itself calls, not what the statements in its blocks call."""
    for part in _expressions(node):
        for inner in ast.walk(part):
            if isinstance(inner, ast.Call):
                yield ("call", scope, _text(inner.func))


def _expressions(node: ast.AST) -> Iterable[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in _BLOCKS and isinstance(value, list):
            continue
        yield from (item for item in _listed(value) if isinstance(item, ast.AST))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _header(node: ast.AST) -> str:
    """The statement without its blocks: "if x > 0", "for a in b"."""
    blocks = [name for name in _BLOCKS if isinstance(getattr(node, name, None), list)]
    if not blocks:
        return _text(node)
    parts = [
        _text(item) if isinstance(item, ast.AST) else str(item)
        for name, value in ast.iter_fields(node)
        if name not in blocks and name != "type_comment"
        for item in _listed(value)
        if item is not None
    ]
    return " ".join([type(node).__name__.lower(), *parts])


def _text(node: ast.AST | None) -> str:
    if node is None:
        return ""
    try:
        return ast.unparse(node)
    except ValueError:  # some nested format strings have no spelling before Python 3.12
        return ast.dump(node)


def _dump(node: ast.stmt) -> str:
    """The whole statement, docstrings of definitions within it left out."""
    copied = [item for item in ast.walk(node) if isinstance(item, DEFINITIONS)]
    bodies = [(item, item.body) for item in copied]
    for item in copied:
        item.body = without_docstring(item.body)
    try:
        return ast.dump(node)
    finally:
        for item, body in bodies:
            item.body = body
