"""The tutorial's project: its files are those the script makes, and do what is said of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from docs_pages import DOCS, ROOT, blocks, script

import honewheel as hw
from honewheel import plugins
from honewheel.curate import build
from honewheel.loop import intake

FIRST = ROOT / "examples" / "first-project"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in FIRST.iterdir():
        if file.suffix in (".toml", ".jsonl"):
            shutil.copy(file, tmp_path)
    return tmp_path


def test_the_script_makes_the_committed_files(tmp_path: Path) -> None:
    script(FIRST / "make.py").write(tmp_path)
    made = sorted(tmp_path.iterdir())
    assert len(made) == 3
    for file in made:
        assert file.read_bytes() == (FIRST / file.name).read_bytes(), "run: python make.py"


def test_every_target_and_reference_is_valid() -> None:
    kinds = {"erd": plugins.task("mermaid-erd"), "ddl": plugins.task("sql")}
    seen = 0
    for file in FIRST.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            task = row.get("task") or file.stem.removeprefix("suite-")
            text = row.get("correction") or row.get("output") or row["reference"]
            assert kinds[task].check(text, {}).valid
            seen += 1
    assert seen == 520


def test_the_tutorial_tells_what_import_and_build_give(project: Path) -> None:
    told = (DOCS / "tutorial.md").read_text()
    with hw.open(project, environment={}) as wheel:
        found = wheel.import_file(project / "feedback.jsonl")
        assert f"feedback.jsonl: {found.stored} of {found.rows} rows stored" in told
        for task in ("erd", "ddl"):
            suite = wheel.suite_import(project / f"suite-{task}.jsonl", task=task)
            assert f"suite {suite.name}: {len(suite.items)} items judge {task} (panel)" in told
        intake.run(wheel.store, wheel.config, listen=lambda _: None)
        events = list(wheel.store.log.events(["erd", "ddl"], wheel.store.log.last_seq()))
        dataset = build.build(
            events,
            as_of=wheel.clock(),
            settings=build.Settings(),
            held_out=[item for task in ("erd", "ddl") for item in wheel.store.suites.items(task)],
            used=frozenset(),
            checks=intake.checker(wheel.config),
            kinds={"erd": "mermaid-erd", "ddl": "sql"},
        ).dataset
    new = sum(row.role == "new" for row in dataset.train)
    line = f"{len(events)} events -> {new} new examples, {len(dataset.train) - new} replayed"
    assert f"{line}, {len(dataset.val)} to val" in told
    for event, reason in (("evt_first_erd-4-0000", None), ("evt_first_erd-4-0014", "held out")):
        assert f"honewheel explain {event}" in told
        left_out = {item.event: item.reason for item in dataset.dropped}
        assert (left_out.get(event) or "").startswith(reason or "")
        assert (event in left_out) == (reason is not None)


def test_the_starter_file_is_the_one_in_the_tutorial(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    shown = dict(blocks("toml"))["docs/tutorial.md:1"]
    made = hw.init(folder).read_text()
    assert made.partition("\n")[2].strip() == shown.strip()


def test_the_first_python_snippet_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    text = dict(blocks("python"))["docs/reference/python.md:1"]
    lines: list[object] = []
    exec(compile(text, "snippet", "exec"), {"print": lines.append})
    assert re.search("not seen by a cycle yet", str(lines[0]))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_tutorial_ends_with_a_promoted_version(project: Path) -> None:
    with hw.open(project, environment={}) as wheel:
        wheel.import_file(project / "feedback.jsonl")
        for task in ("erd", "ddl"):
            wheel.suite_import(project / f"suite-{task}.jsonl", task=task)
        assert wheel.cycle("artifacts").verdict == "promote"
