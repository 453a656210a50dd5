"""Links lead somewhere, and what a reader may copy works."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docs_pages
import pytest

from honewheel.config import load
from honewheel.events import ingest, suites

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def parts(language: str) -> list[Any]:
    return [pytest.param(text, id=where) for where, text in docs_pages.blocks(language)]


@pytest.mark.parametrize("page", docs_pages.PAGES, ids=docs_pages.name)
def test_every_internal_link_resolves(page: Path) -> None:
    for link in docs_pages.links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in docs_pages.headings(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [docs_pages.ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        waiting += [
            (page.parent / link.partition("#")[0]).resolve() for link in docs_pages.links(page)
        ]
    assert {page for page in docs_pages.PAGES if "decisions/0" not in str(page)} <= seen


@pytest.mark.parametrize("text", parts("toml"))
def test_a_toml_snippet_is_read_by_the_real_loader(
    text: str, json_object: None, tmp_path: Path
) -> None:
    tree = tomllib.loads(text)
    if "entry-points" in tree.get("project", {}):
        return  # a pyproject.toml
    wanted = {task for model in tree.get("models", {}).values() for task in model.get("tasks", ())}
    missing = wanted - set(tree.get("tasks", {}))
    file = tmp_path / "honewheel.toml"
    file.write_text(text + "".join(f'\n[tasks.{task}]\nkind = "sql"\n' for task in missing))
    assert load(file, environment={}).values


@pytest.mark.parametrize("text", parts("jsonl"))
def test_a_jsonl_snippet_is_read_by_the_real_parser(text: str, tmp_path: Path) -> None:
    if '"reference"' in text:
        file = tmp_path / "suite.jsonl"
        file.write_text(text)
        assert suites.read(file, task="erd", name="suite", role="panel").items
    else:
        assert all(ingest.parse(line, now=NOW).id for line in text.splitlines())


@pytest.mark.parametrize("text", parts("python"))
def test_a_python_snippet_is_python(text: str) -> None:
    compile(text, "snippet", "exec")


def test_the_commands_exist_with_their_options() -> None:
    verbs = docs_pages.reference.verbs()
    seen = 0
    for page, words in docs_pages.commands():
        while words and words[0] in ("--set", "--project", "-C"):
            words = words[2:]
        if not words or words[0].startswith(("-", "[")):
            continue
        nouns = "suite dataset jobs quarantine keys webhooks puzzles testcases pairs".split()
        verb = " ".join(words[:2]) if words[0] in nouns else words[0]
        assert verb in verbs, f"{page}: {words}"
        known = {word for one in docs_pages.reference.command(verb).params for word in one.opts} | {
            "--help"
        }
        used = {word for word in words if word.startswith("--")}
        assert used <= known, f"{page}: {words}"
        seen += 1
    assert seen > 80
