"""Files are complete or absent, and a changed byte is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from honewheel import atomic
from honewheel.errors import Damaged, StoreFull


def make(folder: Path) -> Path:
    with atomic.staged_folder(folder) as staging:
        (staging / "a.bin").write_bytes(b"one")
        (staging / "deep").mkdir()
        (staging / "deep" / "b.bin").write_bytes(b"two")
    return folder


def test_a_published_folder_verifies_to_its_digest(tmp_path: Path) -> None:
    folder = make(tmp_path / "out")
    assert atomic.verify(folder) == atomic.folder_digest(folder)
    assert set(atomic.read_manifest(folder)) == {"a.bin", "deep/b.bin"}
    assert atomic.verify(make(tmp_path / "again")) == atomic.verify(folder)


def test_an_error_while_staging_leaves_nothing(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with atomic.staged_folder(tmp_path / "out") as staging:
            (staging / "a").write_text("x")
            raise RuntimeError("cut short")

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_publishers_wins(tmp_path: Path) -> None:
    first = make(tmp_path / "out")
    with atomic.staged_folder(first) as staging:
        (staging / "other").write_text("x")
    assert set(atomic.read_manifest(first)) == {"a.bin", "deep/b.bin"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "add", "manifest"])
def test_damage_is_named(tmp_path: Path, harm: str) -> None:
    folder = make(tmp_path / "out")
    victim = folder / "a.bin"
    if harm == "flip":
        victim.write_bytes(bytes([victim.read_bytes()[0] ^ 1]) + victim.read_bytes()[1:])
    elif harm == "cut":
        victim.write_bytes(b"on")
    elif harm == "remove":
        victim.unlink()
    elif harm == "add":
        (folder / "a.bin.extra").write_text("x")
    else:
        (folder / atomic.MANIFEST).write_text("[1]")
    with pytest.raises(Damaged, match=r"a\.bin|manifest"):
        atomic.verify(folder)


def test_a_written_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "x" / "f.json"
    atomic.write_file(path, b"old")
    atomic.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [item.name for item in path.parent.iterdir()] == ["f.json"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.json"
    atomic.write_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull, match="gc"):
        atomic.write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["f.json"]
