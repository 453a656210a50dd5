"""Who trains again and again keeps a warm process, and ends it; who trains once keeps none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.train import run as train

Kept = list[int | None]  # after each training: the warm process that stands by


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    found: Kept = []
    real = train.run

    def run(*args: Any, **given: Any) -> Path:
        final = real(*args, **given)
        found.append(given["warm"].pid if given["warm"] is not None else None)
        return final

    monkeypatch.setattr(train, "run", run)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = wheels.project(tmp_path / "project")
    with wheels.open_wheel(found) as wheel:
        wheels.fill(wheel, tmp_path, n=30, items=20)
    return found


def listen(_: object) -> None:
    """Listens to nothing."""


def gone(pid: int | None) -> bool:
    return pid is not None and not Path(f"/proc/{pid}").exists()


def test_cycles_in_a_block_share_one_process_and_others_have_none(
    folder: Path, kept: Kept, tmp_path: Path
) -> None:
    def turn(wheel: Any, seed: int) -> None:
        rows = wheels.write_jsonl(tmp_path / "more.jsonl", wheels.feedback(3, seed))
        wheel.import_file(rows)
        wheel.cycle()

    with wheels.open_wheel(folder) as wheel:
        with wheel.warm():
            turn(wheel, 1)
            turn(wheel, 2)
        assert kept[0] == kept[1]
        assert gone(kept[0])
        turn(wheel, 3)
    assert kept[2] is None


@pytest.mark.parametrize(("seconds", "stands"), [(300, True), (0, False)])
def test_a_worker_keeps_one_as_long_as_it_is_told(
    folder: Path, kept: Kept, seconds: int, stands: bool
) -> None:
    with wheels.open_wheel(folder, f"worker.warm_seconds={seconds}") as wheel:
        wheel.queue()
        assert wheel.work(once=True) == 1
    assert [one is not None for one in kept] == [stands]
    assert gone(kept[0]) is stands


def test_an_ablation_trains_in_forks_of_one_process(folder: Path, kept: Kept) -> None:
    with wheels.open_wheel(folder) as wheel:
        wheel.study(techniques=["replay"], seeds=2).run(listen)
    assert len(kept) == 4
    assert len(set(kept)) == 1
    assert gone(kept[0])


def test_a_search_trains_in_forks_of_one_process(
    tmp_path: Path, folder: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    from honewheel.loop import search

    monkeypatch.setattr(search, "LEAST_ITEMS", 1)
    file = folder / "honewheel.toml"
    file.write_text(file.read_text().replace('"memo"', '"dial"'))
    with wheels.open_wheel(folder) as wheel:
        wheel.search(trials=3, seeds=1).run(listen)
    assert len(kept) >= 3
    assert len(set(kept)) == 1
    assert gone(kept[0])
