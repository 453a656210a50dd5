"""The canonical form of a module: what stays when names of locals, docstrings, comments, layout
and the order of definitions are forgotten.

Locals are numbered by first appearance: variables of functions and comprehensions, parameters
that no call can name (of lambdas, positional-only, `self` and `cls`), functions and classes within
functions, imports within functions. Kept is what others can see: attributes, names of the module
and of class bodies, and all other parameters, since callers, fixtures and routes pass them by
name. A function that calls `locals`, `vars`, `eval`, `exec` or `dir` keeps its names too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = Function | ast.ClassDef
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SILENT = {"ctx", "kind", "type_comment", "type_ignores"}
_REVEALING = {"locals", "vars", "eval", "exec", "dir"}


def without_docstring(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements after a docstring."""
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return list(body[1:]) if isinstance(first.value.value, str) else list(body)
    return list(body)


def canonical(tree: ast.Module) -> list[Any]:
    """Nested lists of texts, equal for modules that differ only in what is forgotten."""
    return _ordered(without_docstring(tree.body), lambda node: _Namer().form(node))


def _ordered(body: Iterable[ast.stmt], form: Any) -> list[Any]:
    """Definitions by name (like names in their order), imports sorted, the rest as it stands."""
    imports, definitions, others = [], [], []
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif isinstance(node, DEFINITIONS):
            definitions.append(node)
        else:
            others.append(node)
    definitions.sort(key=lambda node: node.name)
    return [
        sorted((form(node) for node in imports), key=repr),
        [form(node) for node in others],
        [form(node) for node in definitions],
    ]


@dataclass(slots=True)
class _Scope:
    """`names` are the bound ones; `kept` those that stay; a class hides nothing from methods."""

    is_class: bool = False
    names: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)  # declared nonlocal
    module: set[str] = field(default_factory=set)  # declared global
    numbers: dict[str, str] = field(default_factory=dict)


class _Namer:
    """Forms of one top-level statement; numbers run through it."""

    def __init__(self) -> None:
        self._scopes: list[_Scope] = []
        self._count = 0

    def form(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.form(item) for item in node]
        if not isinstance(node, ast.AST):
            return repr(node)
        special = getattr(self, f"_{type(node).__name__}", None)
        if special is not None:
            return special(node)
        if isinstance(node, _COMPREHENSIONS):
            return self._comprehension(node)
        return [type(node).__name__, *self._fields(node)]

    def _fields(self, node: ast.AST, *, skip: frozenset[str] = frozenset()) -> list[Any]:
        return [
            self.form(value)
            for name, value in ast.iter_fields(node)
            if name not in _SILENT and name not in skip
        ]

    def _name(self, name: str) -> str:
        """What stands for `name` here: itself, or its number."""
        for place in range(len(self._scopes) - 1, -1, -1):
            scope = self._scopes[place]
            if scope.is_class and place < len(self._scopes) - 1:
                continue
            if name in scope.module:
                return name
            if name in scope.names and name not in scope.elsewhere:
                return name if name in scope.kept else self._number(scope, name)
        return name

    def _number(self, scope: _Scope, name: str) -> str:
        if name not in scope.numbers:
            scope.numbers[name] = f"#{self._count}"
            self._count += 1
        return scope.numbers[name]

    # --- what opens a scope -------------------------------------------------------------------

    def _FunctionDef(self, node: Function) -> Any:
        outside = [self._name(node.name), self.form(node.decorator_list), self.form(node.returns)]
        outside.append(self.form(getattr(node, "type_params", [])))
        signature = self._outer_arguments(node.args)
        bound = bool(self._scopes) and self._scopes[-1].is_class
        static = any(
            isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list
        )
        scope = _function_scope(node.args, node.body, hides_first=bound and not static)
        self._scopes.append(scope)
        names = self._parameters(node.args)
        body = self.form(without_docstring(node.body))
        self._scopes.pop()
        return [type(node).__name__, *outside, signature, names, body]

    _AsyncFunctionDef = _FunctionDef

    def _Lambda(self, node: ast.Lambda) -> Any:
        signature = self._outer_arguments(node.args)
        scope = _function_scope(node.args, [ast.Expr(node.body)], hides_first=False)
        scope.kept -= {item.arg for item in [*node.args.args, *node.args.posonlyargs]}
        self._scopes.append(scope)
        form = ["Lambda", signature, self._parameters(node.args), self.form(node.body)]
        self._scopes.pop()
        return form

    def _ClassDef(self, node: ast.ClassDef) -> Any:
        outside = [
            self._name(node.name),
            *(self.form(part) for part in (node.decorator_list, node.bases, node.keywords)),
            self.form(getattr(node, "type_params", [])),
        ]
        scope = _Scope(is_class=True)
        _bind(scope, node.body)
        scope.kept = set(scope.names)
        self._scopes.append(scope)
        body = _ordered(without_docstring(node.body), self.form)
        self._scopes.pop()
        return ["ClassDef", *outside, body]

    def _comprehension(self, node: Comprehension) -> Any:
        first = self.form(node.generators[0].iter)  # evaluated outside
        scope = _Scope()
        for part in node.generators:
            _bind(scope, [part.target])
        self._scopes.append(scope)
        parts = [
            [
                first if place == 0 else self.form(part.iter),
                self.form(part.target),
                self.form(part.ifs),
                str(part.is_async),
            ]
            for place, part in enumerate(node.generators)
        ]
        rest = self._fields(node, skip=frozenset({"generators"}))
        self._scopes.pop()
        return [type(node).__name__, parts, *rest]

    def _outer_arguments(self, args: ast.arguments) -> Any:
        """Defaults and annotations, which are evaluated where the function is defined."""
        notes = [self.form(item.annotation) for item in _parameters(args)]
        return [self.form(args.defaults), self.form(args.kw_defaults), notes]

    def _parameters(self, args: ast.arguments) -> Any:
        groups = [args.posonlyargs, args.args, args.kwonlyargs]
        extra = [args.vararg, args.kwarg]
        return [
            [[self._name(item.arg) for item in group] for group in groups],
            [None if item is None else self._name(item.arg) for item in extra],
        ]

    # --- what names something -----------------------------------------------------------------

    def _Name(self, node: ast.Name) -> Any:
        return ["Name", self._name(node.id)]

    def _Global(self, node: ast.Global) -> Any:
        return ["Global", sorted(node.names)]

    def _Nonlocal(self, node: ast.Nonlocal) -> Any:
        return ["Nonlocal", sorted(self._name(name) for name in node.names)]

    def _ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        name = None if node.name is None else self._name(node.name)
        return ["ExceptHandler", self.form(node.type), name, self.form(node.body)]

    def _MatchAs(self, node: ast.MatchAs) -> Any:
        name = None if node.name is None else self._name(node.name)
        return ["MatchAs", self.form(node.pattern), name]

    def _MatchStar(self, node: ast.MatchStar) -> Any:
        return ["MatchStar", None if node.name is None else self._name(node.name)]

    def _MatchMapping(self, node: ast.MatchMapping) -> Any:
        rest = None if node.rest is None else self._name(node.rest)
        return ["MatchMapping", self.form(node.keys), self.form(node.patterns), rest]

    def _Import(self, node: ast.Import) -> Any:
        # `import a.b` binds a, `import a.b as a` binds a.b: only plain names have one meaning.
        return [
            "Import",
            [
                [item.name, self._name(_bound(item)), str("." in item.name and not item.asname)]
                for item in node.names
            ],
        ]

    def _ImportFrom(self, node: ast.ImportFrom) -> Any:
        names = sorted([item.name, self._name(_bound(item))] for item in node.names)
        return ["ImportFrom", str(node.level), node.module or "", names]


# --- which names a scope binds ------------------------------------------------------------------


def _function_scope(args: ast.arguments, body: Sequence[ast.stmt], *, hides_first: bool) -> _Scope:
    scope = _Scope()
    _bind(scope, body)
    scope.names |= {item.arg for item in _parameters(args)}
    scope.kept = {item.arg for item in [*args.args, *args.kwonlyargs]}
    if hides_first and not args.posonlyargs and args.args:
        scope.kept.discard(args.args[0].arg)
    if _reveals(body):
        scope.kept = set(scope.names)
    return scope


def _parameters(args: ast.arguments) -> list[ast.arg]:
    extra = [item for item in (args.vararg, args.kwarg) if item is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


def _reveals(body: Iterable[ast.AST]) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id in _REVEALING
        for part in body
        for node in ast.walk(part)
    )


def _bind(scope: _Scope, body: Iterable[ast.AST]) -> None:
    """Enter the names that `body` binds in its own scope."""
    waiting = [(node, False) for node in body]  # inside a comprehension only := binds out here
    while waiting:
        node, inner = waiting.pop()
        inner = inner or isinstance(node, _COMPREHENSIONS)
        if isinstance(node, ast.Global):
            scope.module |= set(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.elsewhere |= set(node.names)
        elif isinstance(node, ast.NamedExpr):
            scope.names.add(node.target.id)
        elif not inner:
            scope.names |= set(_binds(node))
        waiting += [(child, inner) for child in _within(node)]


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, DEFINITIONS):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (_bound(item) for item in node.names)
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def _within(node: ast.AST) -> Iterable[ast.AST]:
    """Children evaluated in the same scope as `node`."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, *_defaults(node.args)]
    if isinstance(node, ast.Lambda):
        return _defaults(node.args)
    return ast.iter_child_nodes(node)


def _defaults(args: ast.arguments) -> list[ast.AST]:
    return [item for item in [*args.defaults, *args.kw_defaults] if item is not None]


def _bound(item: ast.alias) -> str:
    return item.asname or item.name.partition(".")[0]
