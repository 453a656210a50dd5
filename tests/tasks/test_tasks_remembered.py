"""Remembered verdicts are those the task gives, and it is asked once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from honewheel import plugins
from honewheel.errors import ParseError
from honewheel.records import Check
from honewheel.tasks import remembered
from honewheel.tasks.sql import Sql

GOOD, OTHER = "CREATE TABLE a (b INTEGER PRIMARY KEY);", "CREATE TABLE a (c INTEGER PRIMARY KEY);"


class Counted(Sql):
    """Counts how often it is asked. Like many a record, it has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.asked = 0

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        self.asked += 1
        return super().check(output, context)


def test_the_same_question_is_answered_once_and_as_the_task_answers_it() -> None:
    task = Counted()
    for _ in range(3):
        assert remembered.check(task, GOOD, {}) == Sql().check(GOOD, {})
    assert task.asked == 1
    for _ in range(3):
        found = remembered.compare(task, GOOD, OTHER, {})
        assert found == Sql().compare(GOOD, OTHER, {})
        found["score"] = 2.0  # whoever changes what was given changes nothing that is kept
    assert task.asked == 2


def test_another_output_context_reference_or_version_is_another_question() -> None:
    task = Counted()
    remembered.check(task, GOOD, {})
    remembered.check(task, OTHER, {})
    remembered.check(task, "SELECT b FROM a", {"schema": GOOD})
    assert task.asked == 3
    task.version = "sql/next"
    remembered.check(task, GOOD, {})
    assert task.asked == 4
    remembered.compare(task, GOOD, GOOD, {})
    remembered.compare(task, GOOD, OTHER, {})
    assert task.asked == 6


def test_a_reference_that_cannot_be_read_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ParseError):
            remembered.compare(plugins.task("similarity"), "1", "very", {})
