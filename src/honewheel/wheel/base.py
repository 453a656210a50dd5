"""An open project: its settings, its clock, its store. What every verb has at hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from honewheel.config import Config
from honewheel.errors import InputError
from honewheel.records import Progress
from honewheel.store import Store, open_store


def nobody(_: Progress) -> None:
    """Listens to nothing."""


def now() -> datetime:
    """The wall clock; the one place the library reads it."""
    return datetime.now(UTC)


class Opened:
    """One open project. Use as a context manager, or call `close()`."""

    def __init__(self, config: Config, *, clock: Callable[[], datetime] = now) -> None:
        self.config = config
        self.clock = clock
        self.store: Store = open_store(_absolute(config), config.root / config.settings.store.files)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()


def _absolute(config: Config) -> str:
    """The store's URL with a relative SQLite path made absolute below the project."""
    url = config.settings.store.url
    prefix = "sqlite:///"
    if not url.startswith(prefix):
        return url
    if url == prefix:
        raise InputError("store.url names no file; write sqlite:///.honewheel/store.db")
    return f"{prefix}{(config.root / url.removeprefix(prefix)).resolve()}"
