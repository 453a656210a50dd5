"""Folders of bytes, named by what is in them: complete or absent, and checked before use."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import tempfile
import uuid
from pathlib import Path

from honewheel import atomic
from honewheel.errors import Damaged, InputError, NotFound

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ORPHAN_SECONDS = 3600
_log = logging.getLogger(__name__)


class Files:
    """Immutable folders under `root`, each named by its digest (see `atomic.folder_digest`)."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def put(self, folder: Path) -> str:
        """The digest under which a copy of `folder` is now kept; the original stays as it is.

        Raises:
            InputError: it is empty or holds a symbolic link.
            Damaged: it has a manifest that its bytes do not match.
            StoreFull: no space; nothing of it is kept.
        """
        _require_plain(folder)
        expected = atomic.verify(folder) if (folder / atomic.MANIFEST).exists() else None
        # The name is known only once the copy is hashed: publish under a passing one, rename.
        arrived = self.root / f".arrived-{uuid.uuid4().hex}"
        try:
            with atomic.staged_folder(arrived) as staging:
                _copy(folder, staging)
            digest = atomic.folder_digest(arrived)
            if expected not in (None, digest):
                raise Damaged(f"{folder} changed while it was copied: {expected} became {digest}")
            self._publish(arrived, digest)
        finally:
            shutil.rmtree(arrived, ignore_errors=True)
        return digest

    def path(self, digest: str) -> Path:
        """The folder of `digest`, unchecked. Raises NotFound, InputError (not a digest)."""
        folder = self._folder(digest)
        if not folder.is_dir():
            raise NotFound(f"No files {digest} in {self.root}.")
        return folder

    def verify(self, digest: str) -> Path:
        """The folder of `digest` after reading every byte of it.

        Raises:
            Damaged: a file does not match its hash, is missing, or is not of this folder.
            NotFound: there is no such folder.
        """
        folder = self.path(digest)
        found = atomic.verify(folder)
        if found != digest:
            raise Damaged(f"{folder} is damaged: its manifest hashes to {found}, not {digest}")
        return folder

    def unneeded(self, keep: set[str]) -> list[tuple[str, int]]:
        """(digest, bytes) of each folder that `keep` does not name."""
        if not self.root.is_dir():
            return []
        names = (path.name for path in self.root.iterdir() if _DIGEST.fullmatch(path.name))
        return [(name, _bytes(self.root / name)) for name in sorted(names) if name not in keep]

    def gc(self, keep: set[str]) -> list[tuple[str, int]]:
        """What is `unneeded`, now removed.

        Remains of writers that died more than an hour ago go too, unreported. A folder is put
        before the row that names it: hold the models' cycle locks while collecting.
        """
        removed = self.unneeded(keep)
        for digest, _ in removed:
            # Out of sight first: a removal that is cut short leaves no half folder behind.
            gone = self.root / f".gone-{uuid.uuid4().hex}"
            (self.root / digest).rename(gone)
            shutil.rmtree(gone)
        self._sweep()
        return removed

    def remove(self, digest: str) -> None:
        """Remove one folder whatever needs it; no such folder is none to remove."""
        if (folder := self._folder(digest)).is_dir():
            gone = self.root / f".gone-{uuid.uuid4().hex}"
            folder.rename(gone)
            shutil.rmtree(gone)

    def _sweep(self) -> None:
        if not self.root.is_dir():
            return
        now = self._now()
        for folder in self.root.glob(".*"):
            if folder.is_dir() and now - folder.stat().st_mtime > _ORPHAN_SECONDS:
                shutil.rmtree(folder)
                _log.info("removed %s, left by a writer that died", folder)

    def _folder(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InputError(f"{digest!r} is not a digest (64 hexadecimal digits).")
        return self.root / digest

    def _publish(self, arrived: Path, digest: str) -> None:
        final = self._folder(digest)
        if final.is_dir():
            try:
                self.verify(digest)
                return
            except Damaged:
                # The same content arrives again: the sound copy replaces the damaged one.
                final.rename(final.with_name(f".gone-{uuid.uuid4().hex}"))
        with atomic.space_errors(final):
            try:
                arrived.rename(final)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    return  # another process was first with the same content
                raise
            handle = os.open(self.root, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _now(self) -> float:
        """The file system's own time, the one its modification times are in."""
        with tempfile.TemporaryFile(dir=self.root) as probe:
            return os.fstat(probe.fileno()).st_mtime


def _copy(folder: Path, to: Path) -> None:
    """Copy every file but the manifest (shutil.copytree would hide that a disk is full)."""
    for path in sorted(folder.rglob("*")):
        target = to / path.relative_to(folder)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path != folder / atomic.MANIFEST:
            shutil.copyfile(path, target)


def _require_plain(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    links = [path for path in folder.rglob("*") if path.is_symlink()]
    if folder.is_symlink() or links:
        raise InputError(f"{(links or [folder])[0]} is a symbolic link; only plain files are kept.")
    if not any(path.is_file() and path.name != atomic.MANIFEST for path in folder.rglob("*")):
        raise InputError(f"{folder} holds no files.")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
