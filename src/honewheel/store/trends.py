"""What happened lately: the reads behind the trigger and behind a task's history.

Each follows an index and stops at its limit, so that none grows with the length of the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import select

from honewheel.errors import Damaged, NotFound
from honewheel.records import Cycle
from honewheel.store.db import CHUNK, Database
from honewheel.store.files import Files
from honewheel.store.tables import cycle, dataset, feedback, response

_EXAMPLES = "dataset.parquet"  # what store/datasets.py calls it


class Trends:
    """Newest finished cycles, and which responses were spoken of in a stretch of the log."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def last_done(self, model: str, *, without: str | None = None) -> Cycle | None:
        """The newest cycle of `model` that ended with a verdict, if any.

        `without`: a schedule whose cycles do not count.
        """
        return next(iter(self.done(model, 1, without=without)), None)

    def done(self, model: str, limit: int, *, without: str | None = None) -> list[Cycle]:
        """At most `limit` cycles of `model` that ended with a verdict, the newest first."""
        query = (
            select(cycle)
            .where(cycle.c.model == model, cycle.c.state == "done")
            .order_by(cycle.c.number.desc())
            .limit(limit)
        )
        if without is not None:
            query = query.where(cycle.c.schedule.is_distinct_from(without))
        with self._db.read() as connection:
            return [Cycle(**row._mapping) for row in connection.execute(query)]

    def spoken_of(self, tasks: Sequence[str], after: int, up_to: int) -> Iterator[list[str]]:
        """Ids of the responses that feedback with a number in (after, up_to] speaks of, by page.

        A response comes once a page, and again where a later page speaks of it again. Costs the
        length of the stretch, not of the log.
        """
        query = (
            select(feedback.c.seq, feedback.c.response_id, response.c.task)
            .join(response, response.c.id == feedback.c.response_id)
            .where(feedback.c.seq <= up_to)
            .order_by(feedback.c.seq)
            .limit(CHUNK)
        )
        wanted = set(tasks)
        while True:
            with self._db.read() as connection:
                rows = connection.execute(query.where(feedback.c.seq > after)).all()
            if not rows:
                return
            after = rows[-1].seq
            yield list(dict.fromkeys(row.response_id for row in rows if row.task in wanted))

    def newest_spoken_of(self, task: str, after: int, up_to: int, limit: int) -> list[str]:
        """Ids of the responses that the newest `limit` feedback rows in (after, up_to] speak of."""
        query = (
            select(feedback.c.response_id)
            .join(response, response.c.id == feedback.c.response_id)
            .where(feedback.c.seq > after, feedback.c.seq <= up_to, response.c.task == task)
            .order_by(feedback.c.seq.desc())
            .limit(limit)
        )
        with self._db.read() as connection:
            return list(dict.fromkeys(connection.scalars(query)))

    def difficulties(self, dataset_hash: str, task: str) -> list[float] | None:
        """Difficulties in [0, 1] of the new training rows of a task in a sealed dataset.

        None when its file was removed by `gc` or is damaged: a history goes on without it.
        """
        import pyarrow.parquet as pq

        query = select(dataset.c.files).where(dataset.c.hash == dataset_hash)
        with self._db.read() as connection:
            files = connection.scalar(query)
        try:
            path = self._files.verify(files) / _EXAMPLES if files else None
        except (Damaged, NotFound):
            return None
        if path is None:
            return None
        wanted = [("task", "==", task), ("part", "==", "train"), ("role", "==", "new")]
        found: list[float] = pq.read_table(path, columns=["difficulty"], filters=wanted)[
            "difficulty"
        ].to_pylist()
        return found
