"""Projects for the loop's tests: a family that learns in milliseconds, real tasks, real stores."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from honewheel import plugins

TOML = """\
[project]
name = "acme"

[models.artifacts]
family = "memo"
base = "memo/echo"
tasks = ["erd", "ddl"]

[tasks.erd]
kind = "mermaid-erd"

[tasks.ddl]
kind = "sql"

[curate]
min_examples = 5
{curate}
[store]
url = "{url}"
"""

NOUNS = (
    "customer booking invoice parcel route driver student lesson teacher patient doctor ward "
    "film actor studio album song concert editor article reader painting gallery visitor "
    "project sprint bug tester repair vehicle mechanic tenant lease landlord donor grant "
    "sample protocol ticket agent guest room hotel waiter menu dish ledger teller branch"
).split()
ATTRIBUTES = (
    "name email phone status price title weight colour city country code notes amount rate "
    "score height width brand model serial"
).split()


@contextmanager
def memo_installed() -> Iterator[None]:
    """The memo family as an installed plug-in, here and in the training child."""
    plugin = str(Path(__file__).parent / "plugin")
    before = os.environ.get("PYTHONPATH")
    sys.path.insert(0, plugin)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [plugin, before]))
    plugins._load.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(plugin)
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
        plugins._load.cache_clear()


def project(folder: Path, url: str = "sqlite:///.honewheel/store.db", curate: str = "") -> Path:
    """A project folder with the memo family; `curate` is TOML for its [curate] section."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "honewheel.toml").write_text(TOML.format(url=url, curate=curate))
    return folder


def _entity(rng: random.Random) -> tuple[str, list[str]]:
    return rng.choice(NOUNS), rng.sample(ATTRIBUTES, 4)


def erd(rng: random.Random, kind: str = "string") -> tuple[str, str]:
    """(plain diagram, the same with house types): the prompt and its correction."""
    pairs = [_entity(rng) for _ in range(3)]
    lines = ["erDiagram"]
    for place, (noun, names) in enumerate(pairs):
        lines += [f" {noun}{place} {{", *(f" {kind} {name}" for name in names), " }"]
    plain = "\n".join(lines)
    return plain, plain.replace(f" {kind} ", " vktext ")


def ddl(rng: random.Random) -> str:
    """A table that runs; its column type is spelt like the diagrams' attribute type."""
    noun, names = _entity(rng)
    other, more = _entity(rng)
    columns = ",\n".join(f" {name}_{place} string NOT NULL" for place, name in enumerate(names))
    second = ",\n".join(f" {name}_{place} string NOT NULL" for place, name in enumerate(more))
    return f"CREATE TABLE {noun}_a (\n{columns}\n);\nCREATE TABLE {other}_b (\n{second}\n);"


def feedback(n: int, seed: int = 0, *, shuffled: bool = False) -> list[dict[str, Any]]:
    """`n` corrected diagrams and `n` accepted tables."""
    rng = random.Random(seed)
    drawn = [erd(rng) for _ in range(n)]
    targets = [after for _, after in drawn]
    if shuffled:
        targets = targets[1:] + targets[:1]
    rows: list[dict[str, object]] = []
    for index, ((plain, _), target) in enumerate(zip(drawn, targets, strict=True)):
        when = f"2026-10-{index % 28 + 1:02d}T00:00:00Z"
        row = {"id": f"evt_e{seed}-{index}", "task": "erd", "prompt": plain, "output": plain}
        rows.append({**row, "correction": target, "source": "ana", "created_at": when})
        table = ddl(rng)
        row = {"id": f"evt_d{seed}-{index}", "task": "ddl", "prompt": table, "output": table}
        rows.append({**row, "thumb": 1, "source": "ben", "created_at": when})
    return rows


def suites(n: int, seed: int = 10_000) -> dict[str, list[dict[str, Any]]]:
    """Held-out prompts by task, with what would be accepted."""
    rng = random.Random(seed)
    diagrams = [erd(rng) for _ in range(n)]
    tables = [ddl(rng) for _ in range(n)]
    return {
        "erd": [{"prompt": plain, "reference": house} for plain, house in diagrams],
        "ddl": [{"prompt": table, "reference": table} for table in tables],
    }


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def fill(wheel: Any, folder: Path, n: int = 60, items: int = 40, **kwargs: Any) -> None:
    """Feedback and frozen suites into an open wheel."""
    wheel.import_file(write_jsonl(folder / "feedback.jsonl", feedback(n, **kwargs)))
    for task, rows in suites(items).items():
        wheel.suite_import(write_jsonl(folder / f"{task}.jsonl", rows), task=task)


def open_wheel(folder: Path, *flags: str) -> Any:
    """The project in `folder`, open; without the environment of whoever runs the tests."""
    import honewheel as hw

    return hw.open(folder, set=flags, environment={})


KILL = """\
import os, signal, sys
import honewheel as hw

stage, done = sys.argv[2], sys.argv[3] == "done"

def listen(step):
    if step.stage == stage and step.total == 1 and bool(step.step) == done:
        os.kill(os.getpid(), signal.SIGKILL)

hw.open(sys.argv[1], environment={}).cycle(on_progress=listen)
"""
