"""The open store: one attribute a room, one database and one folder of files behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from honewheel.store.access import Audit, Keys
from honewheel.store.arrivals import Arrivals
from honewheel.store.cycles import Cycles
from honewheel.store.datasets import Datasets
from honewheel.store.db import Database
from honewheel.store.deployments import Deployments
from honewheel.store.erasure import Erasure
from honewheel.store.files import Files
from honewheel.store.held import Held
from honewheel.store.intake import Intake
from honewheel.store.jobs import Jobs
from honewheel.store.log import Log
from honewheel.store.migrate import migrate
from honewheel.store.outbox import Outbox
from honewheel.store.suites import Suites
from honewheel.store.trends import Trends
from honewheel.store.versions import Versions


class Store:
    """Everything remembered. Threads may share one; each process opens its own (not over fork)."""

    def __init__(self, url: str, files: Path) -> None:
        self._db = Database(url)
        try:
            migrate(self._db)
        except BaseException:
            self._db.close()
            raise
        self.files = Files(files)
        self.log = Log(self._db)
        self.arrivals = Arrivals(self._db)
        self.intake = Intake(self._db)
        self.held = Held(self._db)
        self.datasets = Datasets(self._db, self.files)
        self.versions = Versions(self._db, self.files)
        self.deployments = Deployments(self._db, self.versions)
        self.suites = Suites(self._db)
        self.cycles = Cycles(self._db)
        self.erasure = Erasure(self._db)
        self.jobs = Jobs(self._db)
        self.outbox = Outbox(self._db)
        self.trends = Trends(self._db, self.files)
        self.keys = Keys(self._db)
        self.audit = Audit(self._db)

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return self._db.shown

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold `name` ("cycle:artifacts", "intake") until the block ends or this process dies.

        Raises StoreBusy at once, with the holder's process id and start, when it is held.
        """
        with self._db.exclusive(name):
            yield

    def close(self) -> None:
        """Give back every connection; a SQLite log is folded into its database."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
