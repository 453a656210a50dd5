"""Rows that wait on the application's own disk until a server has taken them.

What enters are rows of feedback; what leaves are batches that one request takes. Standard library
only: applications import this.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

BATCH = 500  # rows a request
BATCH_BYTES = 4 << 20  # and at most so many bytes; the server takes twice as many


class Spool:
    """Rows in a JSONL file, appended and flushed to disk.

    Several processes may share one: an exclusive lock on a file beside it guards every change.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows; they are on disk when this returns. A line cut short by a crash is mended."""
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        with self._locked("write"), self._path.open("ab") as file:
            new = file.tell() == 0
            if not new and not self._whole():
                data = b"\n" + data
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if new:
                self._sync_folder()

    def _sync_folder(self) -> None:
        """Make the file's name as durable as its content."""
        handle = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _whole(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """The right to send: one sender at a time, while others may append."""
        with self._locked("send"):
            yield

    def first(self) -> list[dict[str, Any]]:
        """The oldest rows, as many as one request takes."""
        with self._locked("write"):
            return fitting([json.loads(line) for line in self._lines()[:BATCH]])

    def waiting(self) -> int:
        with self._locked("write"):
            return len(self._lines())

    def drop(self, count: int, refused: Sequence[dict[str, Any]]) -> None:
        """Take the oldest `count` rows out; those the server refused are kept beside the spool."""
        with self._locked("write"):
            rest = self._lines()[count:]
            if refused:
                with self._path.with_name(f"{self._path.name}.refused").open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in refused)
                    file.flush()
                    os.fsync(file.fileno())  # on disk before they leave the spool
            staging = self._path.with_name(f"{self._path.name}.new")
            with staging.open("wb") as file:
                file.writelines(line + b"\n" for line in rest)
                file.flush()
                os.fsync(file.fileno())
            os.replace(staging, self._path)

    def _lines(self) -> list[bytes]:
        """Every row; a line that is none (a write cut short by a crash) is passed over."""
        try:
            found = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [line for line in found if _is_row(line)]

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with self._threads if name == "send" else contextlib.nullcontext():
            handle = os.open(
                self._path.with_name(f"{self._path.name}.{name}"), os.O_RDWR | os.O_CREAT, 0o600
            )
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)


def fitting(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of `rows`, as many as one request takes; at least one where there is one."""
    found: list[dict[str, Any]] = []
    size = 0
    for row in rows[:BATCH]:
        size += len(json.dumps(row)) + 2
        if found and size > BATCH_BYTES:
            break
        found.append(row)
    return found


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
