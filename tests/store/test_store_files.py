from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from honewheel import atomic
from honewheel.errors import Damaged, InputError, NotFound, StoreFull
from honewheel.store.files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "files")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"w" * 1000)
    (folder / "deep" / "config.json").write_text("{}")
    return folder


def age(path: Path, hours: float) -> None:
    then = path.stat().st_mtime - hours * 3600
    os.utime(path, (then, then))


def test_a_folder_is_kept_under_the_digest_of_its_content(files: Files, adapter: Path) -> None:
    digest = files.put(adapter)
    assert files.verify(digest) == files.path(digest) == files.root / digest
    assert (files.path(digest) / "deep" / "config.json").read_text() == "{}"
    assert not (adapter / atomic.MANIFEST).exists(), "the original was changed"
    assert atomic.write_manifest(adapter) == digest


def test_putting_again_keeps_one_copy(files: Files, adapter: Path) -> None:
    assert files.put(adapter) == files.put(adapter)
    atomic.write_manifest(adapter)
    files.put(adapter)
    assert len(list(files.root.iterdir())) == 1


def test_many_writers_of_the_same_content_leave_one_whole_copy(files: Files, adapter: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(files.put(adapter))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    files.verify(found[0])
    assert [path.name for path in files.root.iterdir()] == [found[0]]


@pytest.mark.parametrize("harm", ["flip", "truncate", "delete", "extra"])
def test_a_changed_byte_is_named(files: Files, adapter: Path, harm: str) -> None:
    digest = files.put(adapter)
    weights = files.path(digest) / "weights.bin"
    if harm == "flip":
        weights.write_bytes(b"w" * 999 + b"v")
    elif harm == "truncate":
        weights.write_bytes(b"w" * 999)
    elif harm == "delete":
        weights.unlink()
    else:
        (weights.parent / "extra.bin").write_bytes(b"")
    with pytest.raises(Damaged, match=rf"{digest}.*(weights|extra)\.bin"):
        files.verify(digest)
    files.put(adapter)
    files.verify(digest)


def test_a_folder_swapped_for_another_is_noticed(files: Files, adapter: Path) -> None:
    digest = files.put(adapter)
    (adapter / "weights.bin").write_bytes(b"other")
    other = files.put(adapter)
    files.path(digest).rename(files.root / "aside")
    files.path(other).rename(files.root / digest)
    with pytest.raises(Damaged, match=f"hashes to {other}, not {digest}"):
        files.verify(digest)


def test_a_damaged_original_is_refused(files: Files, adapter: Path) -> None:
    atomic.write_manifest(adapter)
    (adapter / "weights.bin").write_bytes(b"changed")
    with pytest.raises(Damaged, match=r"weights\.bin"):
        files.put(adapter)


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "/etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "%2e%2e"]
)
def test_only_digests_name_files(files: Files, name: str) -> None:
    for ask in (files.path, files.verify):
        with pytest.raises(InputError, match="not a digest"):
            ask(name)


def test_an_unknown_digest_is_not_found(files: Files) -> None:
    with pytest.raises(NotFound, match="a" * 64):
        files.path("a" * 64)


def test_links_and_empty_folders_are_refused(files: Files, adapter: Path, tmp_path: Path) -> None:
    (adapter / "link").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="symbolic link"):
        files.put(adapter)
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no files"):
        files.put(tmp_path / "empty")
    with pytest.raises(InputError, match="not a folder"):
        files.put(tmp_path / "absent")


def test_a_write_that_fails_leaves_nothing(
    files: Files, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StoreFull):
        files.put(adapter)
    assert list(files.root.iterdir()) == []


def test_gc_removes_what_is_not_kept_and_old_remains(files: Files, adapter: Path) -> None:
    assert files.gc(set()) == files.unneeded(set()) == []
    kept = files.put(adapter)
    (adapter / "weights.bin").write_bytes(b"x" * 10)
    dropped = files.put(adapter)
    for name, hours in ((".old", 1.1), (".young", 0.9)):
        (files.root / name).mkdir()
        age(files.root / name, hours)
    (files.root / "notes.txt").write_text("not ours")
    planned = files.unneeded({kept, "f" * 64})
    files.verify(dropped)
    ((digest, size),) = files.gc({kept, "f" * 64})
    assert planned == [(digest, size)]
    assert digest == dropped
    assert size > 12
    files.verify(kept)
    assert sorted(path.name for path in files.root.iterdir()) == sorted(
        [".young", kept, "notes.txt"]
    )
