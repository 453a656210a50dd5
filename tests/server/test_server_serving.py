"""Versions in memory: those of one base share a copy of it, and answer as they do alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import wheels
from families.causal_builders import adapter, items, make_base
from honewheel import plugins
from honewheel.loop import registry
from honewheel.records import Decoding, Version
from honewheel.server.serving import Serving

DECODING = Decoding(max_new_tokens=8)
TOML = """\
[models.artifacts]
base = "{base}"
tasks = ["erd"]

[tasks.erd]
kind = "mermaid-erd"
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Iterator[Any]:
    """A project with the bare base and two versions of it."""
    base = make_base(tmp_path / "base")
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "honewheel.toml").write_text(TOML.format(base=base))
    with wheels.open_wheel(folder) as opened:
        registry.ensure_champion(opened.store, opened.config, "artifacts", opened.clock())
        zero = opened.version("artifacts@0")
        for number in (1, 2):
            files = opened.store.files.put(adapter(base, tmp_path / f"v{number}", number))
            opened.store.versions.create(
                Version(
                    model="artifacts",
                    number=number,
                    base=zero.base,
                    base_hash=zero.base_hash,
                    created_at=opened.clock(),
                    files=files,
                )
            )
        yield opened


def alone(wheel: Any, version: Version) -> str:
    folder = wheel.store.files.verify(version.files) if version.files else None
    with plugins.family("causal-lm").open(version.base, folder) as model:
        return next(iter(model.predict(items(1), DECODING))).output


def test_versions_of_a_base_share_it_and_answer_as_they_do_alone(wheel: Any) -> None:
    versions = [wheel.version(f"artifacts@{number}") for number in (1, 0, 2)]
    expected = {one.name: alone(wheel, one) for one in versions}
    assert len(set(expected.values())) == 3
    serving = Serving(wheel, 3)
    asked = versions * 6

    def answer(one: Version) -> tuple[str, str]:
        if asked.index(one) % 2:
            return one.name, "".join(serving.stream(one, items(1)[0], DECODING))
        return one.name, serving.answer(one, items(1)[0], DECODING).output

    with ThreadPoolExecutor(6) as threads:
        for name, output in threads.map(answer, asked):
            assert output == expected[name]
    loaded: Any = list(serving._loaded.values())
    assert len(loaded) == 3
    assert len({id(one.model.shared) for one in loaded}) == 1
    assert len({id(one.turn) for one in loaded}) == 1
    serving.close()


def test_few_stay_loaded_and_the_base_goes_with_the_last(wheel: Any) -> None:
    serving = Serving(wheel, 1)
    for number in (1, 2, 0, 1):
        version = wheel.version(f"artifacts@{number}")
        assert serving.answer(version, items(1)[0], DECODING).output == alone(wheel, version)
        assert list(serving._loaded) == [version.name]
    serving.close()
    assert not serving._loaded
