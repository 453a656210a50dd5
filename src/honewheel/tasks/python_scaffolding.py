"""Code that only looks like code: stubs, bodies left out, notes about what should stand here.

A stub is a function without a body of its own (`pass`, `...`, a bare return, or raising
NotImplementedError, after an optional docstring) or a class of nothing that inherits nothing.
What is meant to be empty is no stub: abstract methods, overloads, methods of protocols, an
`__init__` or another hook named `__...__` that passes.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from honewheel.records import Finding
from honewheel.tasks.python_shape import DEFINITIONS, Definition, Function, without_docstring

_MEANT_EMPTY = {"abstractmethod", "overload", "abstractproperty"}
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign)
_MARK = re.compile(r"#\W*(TODO|FIXME|XXX|TBD)\b")
_OMITTED = re.compile(
    r"#\W*(?:(?:the )?(?:rest|remainder|remaining|existing|other) (?:of (?:the|your) )?"
    r"(?:code|implementation|methods|functions|logic)"
    r"|(?:add |put |write |insert )?your (?:code|logic|implementation)"
    r"|(?:add|put|write|insert|implement|implementation)(?: \w+){0,3} (?:here|goes here)"
    r"|implement (?:me|this)|placeholder\b|same as (?:above|before)\b|code (?:omitted|unchanged))"
    r"|#\s*(?:\.\.\.|…)",
    re.IGNORECASE,
)


def findings(tree: ast.Module, code: str) -> Iterator[Finding]:
    """An error when there is nothing but scaffolding; else a warning for each piece of it."""
    if not without_docstring(tree.body):
        yield Finding(code="no-code", message="there is no statement, only text and blank space")
        return
    parts = [*_parts(tree)]
    stubs = [node for node in parts if _is_stub(node)]
    if not stubs and _says_nothing(tree):
        message = "nothing but imports, pass and ...: no statement does anything"
        yield Finding(code="scaffolding", message=message)
    elif stubs and len(stubs) == len(parts) and not _works(tree):
        message = f"only scaffolding: stubs are all there is ({len(stubs)})"
        yield Finding(code="scaffolding", message=message, line=stubs[0].lineno)
    for node in stubs:
        yield _slip("stub", f"{node.name} has no body of its own", node.lineno)
    yield from _gaps(tree, stubs)
    yield from _notes(code)


def _parts(tree: ast.Module) -> Iterator[Definition]:
    """Functions that should have a body, and classes without any function or ancestor."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, protocol = waiting.pop()
        if isinstance(node, ast.ClassDef):
            protocol = any(_last_name(base) == "Protocol" for base in node.bases)
            if all(_is_empty(item) for item in without_docstring(node.body)):
                yield node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {_last_name(item) for item in node.decorator_list}
            if not protocol and not decorators & _MEANT_EMPTY and not _is_idle_hook(node):
                yield node
            protocol = False
        waiting += [(child, protocol) for child in reversed([*ast.iter_child_nodes(node)])]


def _is_stub(node: Definition) -> bool:
    body = without_docstring(node.body)
    if isinstance(node, ast.ClassDef):
        return not node.bases and not node.decorator_list
    return all(_is_empty(item) or _is_refusal(item) for item in body)


def _is_idle_hook(node: Function) -> bool:
    body = without_docstring(node.body)
    hook = node.name.startswith("__") and node.name.endswith("__")
    return hook and all(isinstance(item, ast.Pass) for item in body)


def _is_empty(node: ast.stmt) -> bool:
    if isinstance(node, ast.Return):
        return node.value is None
    return isinstance(node, ast.Pass) or _is_dots(node)


def _is_dots(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is ...
    )


def _is_refusal(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return _last_name(raised) == "NotImplementedError"


def _last_name(node: ast.expr) -> str:
    """The last word of a dotted name, below subscripts and calls; "" of anything else."""
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _says_nothing(tree: ast.Module) -> bool:
    """Only `pass`, `...` and imports, and of the first two at least one."""
    body = without_docstring(tree.body)
    empty = [node for node in body if _is_empty(node)]
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    return bool(empty) and len(empty) + len(imports) == len(body)


def _works(tree: ast.Module) -> bool:
    """Whether something besides functions does or declares something.

    In the module that is a statement other than an assignment or the main guard, in a class
    anything, since its fields are what it declares.
    """
    loose = [node for node in without_docstring(tree.body) if not _is_main_guard(node)]
    if any(_does_something(node) and not isinstance(node, _ASSIGNMENTS) for node in loose):
        return True
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return any(_does_something(part) for node in classes for part in without_docstring(node.body))


def _does_something(node: ast.stmt) -> bool:
    return not isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom)) and not _is_empty(node)


def _is_main_guard(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and isinstance(node.test.left, ast.Name)
        and node.test.left.id == "__name__"
    )


def _gaps(tree: ast.Module, stubs: list[Definition]) -> Iterator[Finding]:
    """`...` as a statement among others: something was left out there."""
    known = {id(item) for node in stubs for item in node.body}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or len(without_docstring(body)) < 2:
            continue
        for item in body:
            if _is_dots(item) and id(item) not in known:
                message = "... stands where statements are missing"
                yield _slip("placeholder", message, item.lineno)


def _notes(code: str) -> Iterator[Finding]:
    """Comments that say what should be written or was left out."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type != tokenize.COMMENT:
                continue
            if _MARK.match(token.string) or _OMITTED.match(token.string):
                text = token.string if len(token.string) <= 60 else token.string[:60] + "..."
                yield _slip("placeholder", f"a note in place of code: {text}", token.start[0])
    except (tokenize.TokenError, SyntaxError):
        return  # Python's own tokenizer took the text; this stricter one stops early


def _slip(code: str, message: str, line: int) -> Finding:
    return Finding(code=code, message=message, severity="warning", line=line)
