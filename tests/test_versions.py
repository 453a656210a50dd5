"""A stage's VERSION does something: it is in the key of whatever is kept of the stage's work."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import honewheel

ROOT = Path(honewheel.__file__).parent
TREES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    ): ast.parse(path.read_text(encoding="utf-8"))
    for path in ROOT.rglob("*.py")
}
BUILD = "honewheel.curate.build"


def imported(module: str) -> dict[str, str]:
    """Modules of the package that a module imports, by the name it calls them."""
    found = {}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                full = f"{node.module}.{one.name}"
                found[one.asname or one.name] = full if full in TREES else node.module
    return {name: full for name, full in found.items() if full in TREES}


def read(module: str) -> set[str]:
    """Modules whose VERSION a module reads, its own included."""
    known = imported(module)
    found = {
        known[node.value.id]
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Attribute)
        and node.attr == "VERSION"
        and isinstance(node.value, ast.Name)
        and node.value.id in known
    }
    if module == BUILD:
        found |= {known[name] for name in re.findall(r"\w+", stages()) if name in known}
    own = (node for node in ast.walk(TREES[module]) if isinstance(node, ast.Name))
    if any(node.id == "VERSION" and isinstance(node.ctx, ast.Load) for node in own):
        found.add(module)
    return found


def stages() -> str:
    (node,) = (
        node.value
        for node in TREES[BUILD].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_STAGES"
    )
    return ast.unparse(node)


def versioned() -> set[str]:
    return {
        name
        for name, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION"
    }


def reached(start: str, step: dict[str, set[str]]) -> set[str]:
    found, new = set(), {start}
    while new:
        found |= new
        new = {below for one in new for below in step[one]} - found
    return found


def test_every_version_is_read() -> None:
    everywhere = {one for module in TREES for one in read(module)}
    assert versioned() - everywhere == set()


def test_a_build_is_keyed_by_every_stage_it_reaches() -> None:
    uses = reached(BUILD, {module: {*imported(module).values()} for module in TREES})
    keyed = reached(BUILD, {module: read(module) for module in TREES})
    assert len(uses & versioned()) > 25
    assert (uses & versioned()) - keyed == set()
