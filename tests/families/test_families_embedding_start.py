"""An embedding run may go on from a version: where it begins, how it resumes, what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import embedding_builders as builders
import pytest
import torch

from honewheel import atomic
from honewheel.families import hardware
from honewheel.families.embedding import learner, machine, pairs
from honewheel.families.embedding.family import Embedding
from honewheel.protocols import START, KnowsMachine, WarmStarts
from honewheel.records import Dataset, Spec

FAMILY = Embedding()
RATES = {"head": 0.01, "lora": 3e-3, "full": 1e-3}
MORE = builders.dataset(48, 40, seed=5)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builders.make_base(tmp_path_factory.mktemp("embedding") / "bert")


def spec(base: Path, method: str, **changes: Any) -> Spec:
    quick = {"learning_rate": RATES[method], "updates": 12, "patience": 50, "keep": "last"}
    return builders.spec(base, method, **quick | changes)


def trained(given: Spec, run_dir: Path, data: Dataset, stop: int | None = None) -> Path:
    run_dir.mkdir(exist_ok=True)
    for progress in FAMILY.train(given, data, run_dir):
        if progress.step == stop:
            break
    return run_dir / "final"


@pytest.fixture(scope="module")
def champions(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A version by each method."""
    made = tmp_path_factory.mktemp("champions")
    data = builders.dataset(96, 40)
    return {method: trained(spec(bert, method), made / method, data) for method in RATES}


def warm(base: Path, champion: Path, run_dir: Path, method: str, **changes: Any) -> Spec:
    """A spec that goes on from `champion`, with its copy where `train.run` would put it."""
    run_dir.mkdir()
    shutil.copytree(champion, run_dir / START)
    given = spec(base, method, start="champion", **changes)
    return replace(given, start_files=atomic.verify(champion))


def first(run: Path) -> dict[str, float]:
    """The scores before the first update."""
    found: dict[str, float] = json.loads((run / "training.json").read_text())["scores"][0][1]
    return found


@pytest.mark.parametrize("method", list(RATES))
def test_a_run_begins_where_the_champion_ended(
    bert: Path, tmp_path: Path, champions: dict[str, Path], method: str
) -> None:
    given = warm(bert, champions[method], tmp_path / "warm", method)
    work = pairs.read(MORE.train, MORE.val, 0.75)
    made = learner.make(given, bert, work.texts, tmp_path / "warm", lambda *_: None)
    made.fresh()
    made.module.eval()
    with torch.no_grad():
        there = made.embed(torch.arange(8).numpy())
    with FAMILY.open(str(bert), champions[method]) as champion:
        expected = torch.from_numpy(champion.embed(work.texts[:8]))
    torch.testing.assert_close(there.float(), expected, atol=5e-3, rtol=0)

    final = trained(given, tmp_path / "warm", MORE)
    cold = replace(given, start_files=None, settings={**given.settings, "start": "base"})
    plain = trained(cold, tmp_path / "cold", MORE)
    assert first(final)["spearman"] > first(plain)["spearman"]
    assert atomic.verify(final) != atomic.verify(plain)
    with FAMILY.open(str(bert), final) as model:  # it is a version like any other
        assert model.embed(["card lost"]).shape == (1, model.dimension)


def test_a_warm_run_that_was_cut_short_ends_with_the_same_bytes(
    bert: Path, tmp_path: Path, champions: dict[str, Path]
) -> None:
    given = warm(bert, champions["head"], tmp_path / "one", "head", checkpoint_every=4)
    whole = atomic.verify(trained(given, tmp_path / "one", MORE))
    again = warm(bert, champions["head"], tmp_path / "two", "head", checkpoint_every=4)
    trained(again, tmp_path / "two", MORE, stop=6)
    assert not (tmp_path / "two" / "final").exists()
    assert atomic.verify(trained(again, tmp_path / "two", MORE)) == whole


def test_what_does_not_fit_is_refused_with_the_numbers(
    bert: Path, champions: dict[str, Path], tmp_path: Path
) -> None:
    for method in RATES:
        assert not FAMILY.check_start(spec(bert, method, start="champion"), champions[method])
    (told,) = FAMILY.check_start(spec(bert, "lora", start="champion"), champions["head"])
    assert "trained with method head, and method lora is asked for" in told.message
    (told,) = FAMILY.check_start(spec(bert, "lora", rank=4), champions["lora"])
    assert "trained with rank 16, and rank 4 is asked for" in told.message
    other = builders.make_base(tmp_path / "other", hidden=64)
    (told,) = FAMILY.check_start(spec(other, "head"), champions["head"])
    assert f"{other} here has" in told.message
    assert told.severity == "error"


def test_the_machine_tells_what_it_can_train(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(FAMILY, KnowsMachine)
    assert isinstance(FAMILY, WarmStarts)
    assert machine.largest(10**9, "head") == 0
    sizes = [machine.largest(8 * 10**9, method) for method in ("head", "lora", "full")]
    assert sizes == sorted(sizes, reverse=True)
    assert 22e6 < sizes[2] < machine.largest(32 * 10**9, "full")
    monkeypatch.setattr(hardware, "available", lambda: 16 * 10**9)
    free, able = FAMILY.machine()
    assert free.message == "16.00 GB free"
    assert able.message.startswith("head up to ")
    assert able.severity == "warning"
    monkeypatch.setattr(hardware, "available", lambda: 10**8)
    assert FAMILY.machine()[1].severity == "error"
    monkeypatch.setattr(hardware, "available", lambda: None)
    assert list(FAMILY.machine()) == []
