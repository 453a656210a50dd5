"""Files that are complete or absent: stage -> fsync -> rename, with a sha256 manifest.

Every folder that is published carries `manifest.json` with the sha256 of each of its files. A
reader verifies it before use, so a bit flip or a truncated file is named instead of loaded
(safetensors and torch load a flipped bit silently).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from honewheel.errors import Damaged, StoreFull

MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@contextmanager
def space_errors(where: Path) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into StoreFull that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(
                f"No space left while writing {where}. Nothing half-written is kept; free some "
                "space (honewheel gc removes what no version needs) and run the command again."
            ) from error
        raise


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file's bytes, read in 1 MiB pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            found.update(piece)
    return found.hexdigest()


def write_file(path: Path, data: bytes) -> None:
    """Write one file so that `path` holds either its old bytes or all of `data`."""
    with space_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        staged = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(staged, path)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        _fsync(path.parent)


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """A staging folder beside `final`; on a clean exit it is manifested, synced and renamed.

    When `final` exists already (another process was first) it is kept and ours is dropped. On
    an error nothing appears at `final`.
    """
    with space_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
        try:
            yield staging
            write_manifest(staging)
            for path in _files(staging):
                _fsync(path)
            for folder in [staging, *(path for path in staging.rglob("*") if path.is_dir())]:
                _fsync(folder)
            try:
                os.rename(staging, final)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            _fsync(final.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def write_manifest(folder: Path) -> str:
    """Write `manifest.json` for `folder`; returns the folder's digest (see `folder_digest`)."""
    files = {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in _files(folder)
        if path.name != MANIFEST
    }
    (folder / MANIFEST).write_text(json.dumps(files, sort_keys=True, indent=1) + "\n")
    return _digest(files)


def read_manifest(folder: Path) -> dict[str, str]:
    """File name -> sha256 of a published folder. Raises Damaged when it cannot be read."""
    try:
        found = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise Damaged(f"{folder} has no readable {MANIFEST}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Damaged(f"{folder / MANIFEST} does not map file names to hashes")
    return found


def folder_digest(folder: Path) -> str:
    """Digest of a published folder: the hash of its manifest's names and hashes."""
    return _digest(read_manifest(folder))


def verify(folder: Path) -> str:
    """Check every byte of a published folder; returns its digest.

    Raises:
        Damaged: a file is missing, unexpected or does not match; its name and hashes are told.
    """
    expected = read_manifest(folder)
    present = {path.relative_to(folder).as_posix() for path in _files(folder)} - {MANIFEST}
    if missing := sorted(set(expected) - present):
        raise Damaged(f"{folder} lacks {missing[0]} (sha256 {expected[missing[0]][:12]})")
    if extra := sorted(present - set(expected)):
        raise Damaged(f"{folder} holds {extra[0]}, which its manifest does not list")
    for name, wanted in sorted(expected.items()):
        found = sha256_of(folder / name)
        if found != wanted:
            raise Damaged(
                f"{folder / name} is damaged: sha256 {found[:12]}, recorded {wanted[:12]}"
            )
    return _digest(expected)


def _digest(files: dict[str, str]) -> str:
    lines = "".join(f"{sha} {name}\n" for name, sha in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
