"""The pages of the docs, their links, code blocks and commands, and what makes their tables."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(language: str) -> list[tuple[str, str]]:
    """(page and place, text) of every fenced block in a language."""
    found = []
    for page in PAGES:
        texts = [text for kind, text in _FENCE.findall(page.read_text()) if kind == language]
        found += [(f"{name(page)}:{place}", text) for place, text in enumerate(texts, start=1)]
    return found


def links(page: Path) -> list[str]:
    """Targets inside the repository, `page#heading` included."""
    text = _FENCE.sub("", page.read_text())
    return [link for link in _LINK.findall(text) if "://" not in link]


def headings(page: Path) -> set[str]:
    """Anchors of a page as GitHub makes them."""
    found = set()
    for line in _FENCE.sub("", page.read_text()).splitlines():
        if line.startswith("#"):
            plain = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(plain.replace(" ", "-"))
    return found


def commands() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of every `honewheel ...` command in indented, fenced and inline code."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        code = [text, *(f"    {line}" for part in _bash(text) for line in part.splitlines())]
        found = re.findall(r"^    (honewheel .+)$", "\n".join(code), re.MULTILINE)
        found += re.findall(r"`(honewheel [a-z-][^`]*)`", text)
        for line in found:
            yield name(page), shlex.split(line.split(">")[0], comments=True)[1:]


def _bash(text: str) -> list[str]:
    return [part for kind, part in _FENCE.findall(text) if kind == "bash"]


def script(path: Path) -> ModuleType:
    """A script of the repository, loaded from its file as a module of its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = script(DOCS / "make_reference.py")
