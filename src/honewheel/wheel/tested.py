"""Verbs on problems with exact answers: what is solved, and test cases from requirements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from honewheel.records import Progress
from honewheel.wheel.base import Opened, nobody

if TYPE_CHECKING:
    from honewheel.loop.solving import Solved
    from honewheel.testcases.cases import TestCases


class Tested(Opened):
    """Test cases written by versions, and what reviewers said of them."""

    def make_cases(
        self,
        path: str | Path,
        version: str | None = None,
        *,
        out: str | Path | None = None,
        rule: str = "two-value",
        digits: int | None = None,
        tasks: Sequence[str] = (),
        on_progress: Callable[[Progress], None] = nobody,
    ) -> TestCases:
        """The test cases that a version (None: the champion) writes for a requirements file.

        With `out` they are written there as CSV, Gherkin and pytest. `rule` is that of the
        boundary tables, `digits` what the version was trained on, `tasks` choose among several of
        one kind. Raises InputError, NotFound.
        """
        from honewheel.loop import testcases
        from honewheel.testcases import formats

        found = testcases.by_version(
            self.store,
            self.config,
            version,
            Path(path),
            rule=rule,
            digits=digits,
            tasks=tasks,
            now=self.clock(),
            listen=on_progress,
        )
        if out is not None:
            formats.write(found, Path(out))
        return found

    def solved(
        self,
        suite: str,
        version: str,
        against: str | None = None,
        on_progress: Callable[[Progress], None] = nobody,
    ) -> Solved:
        """How much of a suite of problems with exact answers a version solves, by difficulty.

        `against` names another version to count gained and lost items with. Raises NotFound,
        InputError.
        """
        from honewheel.loop import solving

        return solving.solved(
            self.store, self.config, suite, version, against, self.clock(), on_progress
        )

    def review_cases(
        self, folder: str | Path, *, source: str, tasks: Sequence[str] = ()
    ) -> list[str]:
        """Record what was changed in the `cases.csv` of a folder of test cases; the event ids.

        Raises InputError, and records nothing then.
        """
        from honewheel.loop import testcases

        return testcases.reviewed(
            self.store, self.config, Path(folder), tasks=tasks, source=source, now=self.clock()
        )
