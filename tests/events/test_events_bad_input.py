"""Bad rows in a file: each refused with its row and its rule, the good neighbours kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import honewheel as hw
from honewheel.cli.app import DONE, call

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)  # the clock of the project, so no run is too slow
GOOD = {"task": "erd", "prompt": "draw {}", "output": "erDiagram", "thumb": 1, "source": "ana"}
BEFORE, AFTER = (
    GOOD | {"id": f"evt_{place}", "prompt": f"draw {place}"} for place in ("before", "after")
)


def line(**change: Any) -> bytes:
    return json.dumps(GOOD | {"id": "evt_bad", "prompt": "draw it"} | change).encode()


def ahead(**amount: float) -> str:
    return (NOW + timedelta(**amount)).isoformat()


BAD: dict[str, tuple[bytes, str]] = {
    "cut off": (line()[:40], "not valid JSON"),
    "not JSON": (b"2026-11-02 INFO exported", "not valid JSON"),
    "not an object": (b"[" + line() + b"]", "JSON object, this is a list"),
    "deeply nested": (b"[" * 50_000, "nested too deeply|not valid JSON"),
    "too large": (line(comment="x" * (1 << 20)), "larger than 1,048,576 bytes"),
    "NUL": (line(correction="erDiagram\0"), "NUL"),
    "NUL in a key": (line(context={"a\0": "b"}), "NUL"),
    "a raw NUL byte": (line().replace(b"draw it", b"draw\0it"), "not valid JSON|NUL"),
    "half a surrogate": (line(correction="a\ud800b"), "nicode"),
    "bytes that are not UTF-8": (line().replace(b"draw it", b"draw \xff"), "nicode"),
    "score NaN": (line(score=float("nan")), "NaN"),
    "score Infinity": (line(score=float("inf")), "Infinity"),
    "score -Infinity": (line(score=float("-inf")), "-Infinity"),
    "score too large for a number": (line().replace(b'"thumb": 1', b'"score": 1e999'), "score"),
    "score out of range": (line(score=1.7), "score.*less than or equal to 1"),
    "a thumb that is no thumb": (line(thumb=7), "^thumb: Input should be 0, 1, 'up' or 'down'"),
    "a day that is none": (line(created_at="yesterday"), "^created_at: Input"),
    "the future": (line(created_at=ahead(minutes=10)), "in the future.*5 minutes"),
    "the far future": (line(created_at="9999-12-31T23:59:59Z"), "in the future"),
    "unknown task": (line(task="haiku"), "task 'haiku' is not defined; defined: ddl, erd"),
    "unknown key": (line(corection="x"), "corection is no key"),
    "the id of another row": (line(id="evt_before", prompt="other"), "evt_before is already"),
}


@pytest.fixture
def wheel(tmp_path: Path) -> Iterator[Any]:
    settings = tmp_path / "honewheel.toml"
    settings.write_text('[tasks.erd]\nkind = "mermaid-erd"\n[tasks.ddl]\nkind = "sql"\n')
    with hw.open(settings, environment={}, clock=lambda: NOW) as found:
        yield found


def write(path: Path, *lines: bytes) -> Path:
    around = [json.dumps(BEFORE).encode(), *lines, json.dumps(AFTER).encode()]
    path.write_bytes(b"".join(part + b"\n" for part in around))
    return path


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_named_with_its_rule_and_its_neighbours_are_kept(
    wheel: Any, tmp_path: Path, what: str
) -> None:
    raw, rule = BAD[what]
    found = wheel.import_file(write(tmp_path / "rows.jsonl", raw))
    assert (found.rows, found.stored) == (3, 2)
    (bad,) = found.quarantined
    assert (bad.origin, bad.row) == ("rows.jsonl", 2)
    assert pytest.raises(AssertionError, match=rule).matches(AssertionError(bad.reason))
    assert wheel.store.log.event("evt_after").response.prompt == "draw after"
    assert wheel.store.log.event("evt_before").response.prompt == "draw before"
    # Nothing half-written: two responses with one thumb each, and the bad row set aside.
    counts = wheel.store.log.counts()
    assert (counts["events"], counts["feedback"], counts["quarantined"]) == (2, 2, 1)
    assert [row.reason for row in wheel.store.log.quarantined(9)] == [bad.reason]


def test_all_of_them_in_one_file_leave_the_good_rows(wheel: Any, tmp_path: Path) -> None:
    found = wheel.import_file(write(tmp_path / "rows.jsonl", *(raw for raw, _ in BAD.values())))
    assert (found.rows, found.stored) == (len(BAD) + 2, 2)
    assert sorted(bad.row for bad in found.quarantined) == list(range(2, len(BAD) + 2))
    again = wheel.import_file(tmp_path / "rows.jsonl")
    assert again.stored == 2
    counts = wheel.store.log.counts()
    assert (counts["events"], counts["quarantined"]) == (2, len(BAD))


def test_a_little_clock_skew_is_accepted_and_stays_the_same_row(wheel: Any, tmp_path: Path) -> None:
    row = line(created_at=ahead(minutes=3))
    for _ in range(2):
        assert wheel.import_file(write(tmp_path / "rows.jsonl", row)).stored == 3
    assert wheel.store.log.counts()["events"] == 3


def test_a_conflicting_row_dated_later_is_refused_and_stops_nothing(
    wheel: Any, tmp_path: Path
) -> None:
    """The stored row of the same id is older than the skew allows: no reason to give up."""
    first = line(created_at="2026-01-01T00:00:00Z")
    wheel.import_file(write(tmp_path / "first.jsonl", first))
    later = line(created_at="2026-02-01T00:00:00Z", prompt="another")
    found = wheel.import_file(write(tmp_path / "second.jsonl", later))
    assert found.stored == 2
    assert "evt_bad is already recorded" in found.quarantined[0].reason


def test_the_command_line_names_every_bad_row_with_its_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = '[tasks.erd]\nkind = "mermaid-erd"\n[tasks.ddl]\nkind = "sql"\n'
    (tmp_path / "honewheel.toml").write_text(kinds)
    soon = line(created_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())  # by our own clock
    bad = BAD | {"the future": (soon, "in the future")}
    path = write(tmp_path / "rows.jsonl", *(raw for raw, _ in bad.values()))
    assert call(["--project", str(tmp_path), "import", str(path), "--json"]) == DONE
    told = capsys.readouterr()
    (found,) = json.loads(told.out)
    assert found["stored"] == 2
    assert "row 2: " in told.err
    assert f"... {len(bad) - 10} more quarantined (--json)" in told.err
    reasons = {row["row"]: row["reason"] for row in found["quarantined"]}
    for row, (what, (_, rule)) in enumerate(bad.items(), start=2):
        assert re.search(rule, reasons[row]), what
    assert call(["--project", str(tmp_path), "status", "--json"]) == DONE
    log = json.loads(capsys.readouterr().out)["log"]
    assert (log["events"], log["quarantined"]) == (2, len(bad))
