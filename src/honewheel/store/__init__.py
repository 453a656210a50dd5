"""The only memory: the log, what was made of it, and the files. Start at `open_store`.

SQL lives in this room alone. Nothing here reads a clock: every time is passed in.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from honewheel.store.store import Store

__all__ = ["Store", "open_store"]


def open_store(url: str, files: Path) -> Store:
    """The store at `url` with its files under the folder `files`, created or upgraded if need be.

    `url` is `sqlite:///path/to/file.db` or `postgresql://user@host/database`.

    Raises:
        ConfigError: the URL names no database this room knows.
        MissingExtra: a PostgreSQL URL without the extra `postgres`.
        StoreError: it cannot be reached, or a newer honewheel wrote it.
    """
    from honewheel.store.store import Store

    return Store(url, files)


def __getattr__(name: str) -> object:
    if name == "Store":
        from honewheel.store.store import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
