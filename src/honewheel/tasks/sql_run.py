"""SQL executed where it can do no harm: SQLite in memory, a list of what is allowed, a budget.

Allowed are statements and pure functions named here; ATTACH, PRAGMA, triggers, virtual tables,
extensions, randomness and printf (which can be made to write for seconds) are not. A statement
ends after `STEPS` instructions of SQLite's machine (counted, so the same everywhere) or, should
single instructions be slow, after `SECONDS`. Strings and answers are bounded. "Now" is a fixed
moment, so that answers do not depend on the day.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import Any

STEPS = 2_000_000
STEPS_A_LOOK = 1_000
SECONDS = 0.8
MAX_ANSWER = 2_000_000  # characters of all cells of an answer
MAX_COLUMNS = 200
TEXT_BYTES = 4_000  # longest string or row that a query may build
SCHEMA_BYTES = 100_000  # the same for DDL, whose text SQLite keeps in a row
PAGES = 1_000  # of 4 KiB: what INSERTs may fill
NOW = "2024-06-15 12:00:00"

_DDL = {
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_REINDEX,  # asked for by CREATE INDEX
    sqlite3.SQLITE_SELECT,
}
_QUERY = {sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_SELECT}
_MASTER = {"sqlite_master", "sqlite_sequence"}
_CLOCK = ["current_date", "current_time", "current_timestamp"]
_DATES = ["date", "datetime", "julianday", "strftime", "time", "unixepoch"]
_FUNCTIONS = {
    *_CLOCK,
    *_DATES,
    *"abs avg ceil ceiling char coalesce concat concat_ws count cume_dist dense_rank".split(),
    *"exp first_value floor group_concat hex ifnull iif instr lag last_value".split(),
    *"lead length like ln log lower ltrim max min mod nth_value ntile nullif".split(),
    *"percent_rank pow power quote rank replace round row_number rtrim sign".split(),
    *"sqrt string_agg substr substring sum total trim typeof unicode upper".split(),
}
_ACTIONS = {
    getattr(sqlite3, name): name.removeprefix("SQLITE_").replace("_", " ")
    for name in dir(sqlite3)
    if re.fullmatch(r"SQLITE_(ALTER|ANALYZE|ATTACH|CREATE|DELETE|DETACH|DROP|PRAGMA|REINDEX|"
                    r"SAVEPOINT|TRANSACTION|UPDATE|RECURSIVE)(_[A-Z_]+)?", name)
}  # fmt: skip


class Failed(Exception):
    """A statement did not run; the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Sandbox:
    """One in-memory database. Open it with `sandbox()`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._refused = ""

    def define(self, statement: str) -> None:
        """Run one DDL statement or INSERT. Raises Failed."""
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, SCHEMA_BYTES)
        self._run(statement, _DDL)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one SELECT. Raises Failed."""
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, TEXT_BYTES)
        return self._run(statement, _QUERY)

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement of ours, not checked."""
        return self.connection.execute(question, values).fetchall()

    def _run(self, statement: str, allowed: set[int]) -> list[tuple[Any, ...]]:
        self._refused = ""
        with self._guarded(allowed):
            try:
                with closing(self.connection.execute(statement)) as cursor:
                    return _fetched(cursor)
            except (sqlite3.Error, sqlite3.Warning) as error:
                if "interrupted" in str(error):
                    message = f"did not end within {STEPS:,} steps"
                    raise Failed("too-slow", message) from error
                if self._refused:
                    raise Failed("forbidden", f"{self._refused} is not allowed") from error
                raise Failed("sql-error", str(error)) from error

    @contextmanager
    def _guarded(self, allowed: set[int]) -> Iterator[None]:
        looks, deadline = STEPS // STEPS_A_LOOK, time.monotonic() + SECONDS

        def out_of_budget() -> int:
            nonlocal looks
            looks -= 1
            return int(looks < 0 or time.monotonic() > deadline)

        def verdict(action: int, first: str | None, second: str | None, *_: str | None) -> int:
            if action in allowed:
                return sqlite3.SQLITE_OK
            if action == sqlite3.SQLITE_FUNCTION:
                name = (second or "").lower()
                if name in _FUNCTIONS:
                    return sqlite3.SQLITE_OK
                self._refused = self._refused or f"the function {name}"
                return sqlite3.SQLITE_DENY
            own = action in (sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE) and first in _MASTER
            if own and allowed is _DDL:  # SQLite keeps its books; users cannot write there
                return sqlite3.SQLITE_OK
            self._refused = self._refused or _ACTIONS.get(action, "this statement")
            return sqlite3.SQLITE_DENY

        self.connection.set_authorizer(verdict)
        self.connection.set_progress_handler(out_of_budget, STEPS_A_LOOK)
        try:
            yield
        finally:
            self.connection.set_progress_handler(None, 0)
            self.connection.set_authorizer(None)


def _fetched(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    rows, room = [], MAX_ANSWER
    for row in cursor:
        room -= sum(len(cell) if isinstance(cell, str | bytes) else 8 for cell in row)
        if room < 0:
            raise Failed("too-slow", f"the answer has more than {MAX_ANSWER:,} characters")
        rows.append(row)
    return rows


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """An empty database in memory, closed on leaving."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA max_page_count = {PAGES}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, MAX_COLUMNS)
        for arguments in (2, 3):
            connection.create_function("like", arguments, _like, deterministic=True)
        for name in _CLOCK:
            connection.create_function(name, 0, _fixed_clock(name), deterministic=True)
        with closing(sqlite3.connect(":memory:")) as dates:
            for name in _DATES:
                connection.create_function(name, -1, _fixed_date(dates, name))
            yield Sandbox(connection)


def statements(text: str) -> list[tuple[int, str]]:
    """(line, statement) for each statement; semicolons in quotes and comments do not split."""
    found, start = [], 0
    ends = [match.end() for match in _PIECE.finditer(text) if match[0] == ";"]
    for end in [*ends, len(text)]:
        piece = text[start:end]
        bare = _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), piece)
        if first := re.search(r"[^\s;]", bare):
            found.append((1 + text.count("\n", 0, start + first.start()), piece))
        start = end
    return found


_PIECE = re.compile(
    r"'[^']*+(?:''[^']*+)*+(?:'|\Z)|\"[^\"]*+(?:\"|\Z)|`[^`]*+(?:`|\Z)|\[[^\]]*+(?:\]|\Z)"
    r"|--[^\n]*+|/\*(?:.*?\*/|.*)|;",
    re.DOTALL,
)
_COMMENT = re.compile(r"\A(?:\s+|--[^\n]*+|/\*(?:.*?\*/|.*))+", re.DOTALL)


def _like(pattern: object, value: object, escape: str | None = None) -> bool | None:
    """SQLite's LIKE (case-blind in ASCII), without its exponential worst case."""
    if pattern is None or value is None:
        return None
    text = str(value)
    *heads, tail = _like_parts(str(pattern), escape)
    at = 0
    for place, part in enumerate(heads):
        match = part.match(text) if place == 0 else part.search(text, at)
        if match is None:
            return False
        at = match.end()
    if not heads:
        return tail.fullmatch(text) is not None
    room = len(text) - _width(tail)
    return room >= at and tail.fullmatch(text, room) is not None


@lru_cache(maxsize=256)
def _like_parts(pattern: str, escape: str | None) -> list[re.Pattern[str]]:
    parts, part, literal = [], "", False
    for char in pattern:
        if char == escape and not literal:
            literal = True
        elif char == "%" and not literal:
            parts.append(part)
            part = ""
        else:
            part += "." if char == "_" and not literal else re.escape(char)
            literal = False
    flags = re.IGNORECASE | re.ASCII | re.DOTALL
    return [re.compile(part, flags) for part in [*parts, part]]


def _width(part: re.Pattern[str]) -> int:
    return len(re.sub(r"\\(.)", r"\1", part.pattern, flags=re.DOTALL))


def _fixed_clock(name: str) -> Callable[[], str]:
    day, hour = NOW.split()
    return {"current_date": lambda: day, "current_time": lambda: hour}.get(name, lambda: NOW)


def _fixed_date(dates: sqlite3.Connection, name: str) -> Callable[..., Any]:
    """SQLite's own date function, in which "now" and a missing time mean `NOW`."""

    def function(*values: object) -> Any:
        fixed = [NOW if str(value).lower() == "now" else value for value in values]
        if len(fixed) < (2 if name == "strftime" else 1):
            fixed.append(NOW)
        marks = ", ".join("?" * len(fixed))
        return dates.execute(f"SELECT {name}({marks})", fixed).fetchone()[0]

    return function
