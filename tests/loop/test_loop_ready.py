"""A machine that lacks what training takes says so at once, and begins nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.errors import MissingExtra
from honewheel.families.causal_lm import family
from honewheel.loop import worker


@pytest.fixture
def light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A project that would fine-tune the embedded base, where peft is not installed."""
    folder = wheels.project(tmp_path / "acme")
    file = folder / "honewheel.toml"
    text = file.read_text().replace('"memo"', '"causal-lm"').replace("memo/echo", "honewheel/tiny")
    file.write_text(text)
    monkeypatch.setattr(
        family, "find_spec", lambda name: None if name == "peft" else find_spec(name)
    )
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, tmp_path)
        yield wheel


def test_nothing_is_begun(light: Any) -> None:
    for verb in (light.cycle, lambda: light.study(techniques=["replay"]), light.search):
        with pytest.raises(
            MissingExtra, match=r"Fine-tuning a causal LM.*peft.*honewheel\[train\]"
        ):
            verb()
    assert light.cycles() == []
    assert light.store.versions.alias("artifacts") is None
    assert not (light.config.state / "search").exists()


def test_nothing_is_queued_and_it_is_told_once(light: Any) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    one = worker.Worker(
        light.store,
        light.config,
        light.cycle,
        light.clock,
        tell=lambda event, fields: told.append((event, fields)),
    )
    one.look()
    one.look()
    (said,) = [fields for event, fields in told if event == "not ready"]
    assert "honewheel[train]" in said["why"]
    assert not light.jobs()


def test_a_queued_cycle_fails_at_once_and_leaves_no_cooldown(light: Any) -> None:
    light.queue(reason="asked")
    assert light.work(once=True) == 1
    (job,) = light.jobs()
    assert (job.state, "honewheel[train]" in job.result["error"]) == ("failed", True)
    assert light.cycles() == []
    assert not any("cooldown" in reason for reason in light.due().reasons)
