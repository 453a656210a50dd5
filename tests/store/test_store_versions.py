from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from store_records import AT, decision, eval_row, version

from honewheel.errors import ConfigError, InputError, NotFound, StoreBusy, StoreError
from honewheel.records import AliasMove, Version
from honewheel.store import Store
from honewheel.store.evaluations import Answer


def move(revision: int, to: int, previous: int | None, **changes: object) -> AliasMove:
    fields = {
        "model": "artifacts",
        "alias": "champion",
        "revision": revision,
        "version": to,
        "previous": previous,
        "reason": "better",
        "at": AT,
    }
    return AliasMove(**fields | changes)


@pytest.fixture
def files(store: Store, tmp_path: Path) -> str:
    """Digest of an adapter's files."""
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights.bin").write_bytes(b"weights")
    return store.files.put(tmp_path / "adapter")


@pytest.fixture
def evaluated(store: Store, files: str) -> list[Version]:
    """Version 0, which is champion, and versions 1 and 2, evaluated in cycles 1 and 2."""
    base = store.versions.ensure_base("artifacts", "honewheel/tiny", "b" * 64, AT)
    rest = [version(number, files=files, cycle=f"cyc_{number}") for number in (1, 2)]
    for each in rest:
        store.versions.create(each)
        store.versions.save_eval(f"cyc_{each.number}", [eval_row(each.number, "i1")])
    store.versions.move_alias(move(1, 0, None, reason="first"), 0, None)
    return [base, *rest]


# --- versions -----------------------------------------------------------------------------------


def test_versions_are_kept_and_found_by_what_made_them(store: Store) -> None:
    full = version(1, files="f" * 64, dataset="d1", run="run_1", cycle="cyc_1")
    store.versions.create(full)
    store.versions.create(full)
    store.versions.create(version(2, dataset="d1"))
    assert store.versions.get("artifacts", 1) == full
    assert store.versions.list("artifacts") == [full, version(2, dataset="d1")]
    assert store.versions.by_dataset("d1") == store.versions.list("artifacts")
    assert store.versions.by_cycle("cyc_1") == full
    assert store.versions.by_cycle("cyc_9") is None
    assert store.versions.list("other") == []


def test_a_version_never_changes(store: Store) -> None:
    store.versions.create(version(1, cycle="cyc_1"))
    for other in (version(1, cycle="cyc_2"), version(2, cycle="cyc_1")):
        with pytest.raises(InputError, match="artifacts@1 of cycle cyc_1 exists"):
            store.versions.create(other)
    assert len(store.versions.list("artifacts")) == 1


def test_version_numbers_count_up_per_model(store: Store) -> None:
    assert store.versions.next_number("artifacts") == 1
    store.versions.ensure_base("artifacts", "honewheel/tiny", "b" * 64, AT)
    assert store.versions.next_number("artifacts") == 1
    store.versions.create(version(1))
    assert store.versions.next_number("artifacts") == 2
    assert store.versions.next_number("other") == 1


def test_an_unknown_version_is_not_found(store: Store) -> None:
    store.versions.create(version(1))
    with pytest.raises(NotFound, match=r"artifacts@7.*: 1\."):
        store.versions.get("artifacts", 7)
    with pytest.raises(NotFound, match=r": none\."):
        store.versions.get("other", 1)


def test_the_base_is_version_zero_and_stays(store: Store, clock) -> None:
    first = store.versions.ensure_base("artifacts", "honewheel/tiny", "b" * 64, clock())
    assert (first.number, first.files, first.name) == (0, None, "artifacts@0")
    assert store.versions.ensure_base("artifacts", "/same/weights", "b" * 64, clock()) == first
    with pytest.raises(ConfigError, match="started on base honewheel/tiny"):
        store.versions.ensure_base("artifacts", "other", "c" * 64, clock())


# --- aliases --------------------------------------------------------------------------------------


def test_an_alias_points_nowhere_at_first(store: Store) -> None:
    assert store.versions.alias("artifacts") is None
    assert store.versions.history("artifacts") == []


def test_a_promotion_keeps_its_history_and_its_evidence(
    store: Store, evaluated: list[Version]
) -> None:
    step = move(2, 1, 0, cycle="cyc_1")
    store.versions.move_alias(step, 1, decision(1))
    assert store.versions.alias("artifacts") == step
    assert store.versions.history("artifacts") == [move(1, 0, None, reason="first"), step]
    assert store.versions.evidence("artifacts", "champion", 2) == decision(1)
    assert store.versions.evidence("artifacts", "champion", 1) is None
    assert store.versions.decision("cyc_1") == decision(1)
    assert store.versions.alias("artifacts", "canary") is None


def test_a_roll_back_is_a_move_like_any_other(store: Store, evaluated: list[Version]) -> None:
    store.versions.move_alias(move(2, 1, 0), 1, decision(1))
    store.versions.move_alias(move(3, 0, 1, reason="complaints"), 2, None)
    assert [each.version for each in store.versions.history("artifacts")] == [0, 1, 0]


def test_a_stale_move_is_refused(store: Store, evaluated: list[Version]) -> None:
    store.versions.move_alias(move(2, 1, 0), 1, decision(1))
    with pytest.raises(StoreBusy, match=r"is at revision 2 \(version 1\), not 1"):
        store.versions.move_alias(move(2, 2, 0, cycle="cyc_2"), 1, decision(2))
    with pytest.raises(InputError, match="pointed to version 0; it points to 1"):
        store.versions.move_alias(move(3, 2, 0), 2, decision(2))
    with pytest.raises(InputError, match="cannot follow"):
        store.versions.move_alias(move(4, 2, 1), 2, decision(2))
    assert len(store.versions.history("artifacts")) == 2
    assert store.versions.decision("cyc_2") is None, "evidence without its move"


def test_a_cycle_that_moves_again_after_a_crash_changes_nothing(
    store: Store, evaluated: list[Version], clock
) -> None:
    for _ in range(2):
        again = move(2, 1, 0, cycle="cyc_1", at=clock())
        store.versions.move_alias(again, 1, decision(1))
    assert len(store.versions.history("artifacts")) == 2


def test_a_version_that_was_never_evaluated_is_not_served(store: Store, files: str) -> None:
    store.versions.create(version(1, files=files))
    with pytest.raises(StoreError, match="artifacts@1 was never evaluated"):
        store.versions.move_alias(move(1, 1, None), 0, None)
    assert store.versions.alias("artifacts") is None
    store.versions.move_alias(move(1, 1, None, forced=True), 0, None)
    assert store.versions.alias("artifacts").forced is True


@pytest.mark.parametrize("forced", [False, True])
def test_a_version_with_harmed_or_missing_files_is_not_served(
    store: Store, evaluated: list[Version], files: str, forced: bool
) -> None:
    (store.files.path(files) / "weights.bin").write_bytes(b"wEights")
    with pytest.raises(StoreError, match=rf"{files}.*weights\.bin is damaged"):
        store.versions.move_alias(move(2, 1, 0, forced=forced), 1, decision(1))
    store.files.gc(set())
    with pytest.raises(StoreError, match=f"No files {files}"):
        store.versions.move_alias(move(2, 1, 0, forced=forced), 1, decision(1))
    store.versions.create(version(3))
    with pytest.raises(StoreError, match="artifacts@3 has no files"):
        store.versions.move_alias(move(2, 3, 0, forced=forced), 1, None)
    assert store.versions.alias("artifacts").version == 0


def test_only_a_decision_to_promote_this_version_moves_an_alias(
    store: Store, evaluated: list[Version]
) -> None:
    for wrong in (decision(1, verdict="reject"), decision(1, verdict="undecided"), decision(2)):
        with pytest.raises(StoreError, match="does not let 'champion' move to artifacts@1"):
            store.versions.move_alias(move(2, 1, 0), 1, wrong)
    store.versions.move_alias(move(2, 1, 0, forced=True), 1, decision(1, verdict="reject"))
    assert store.versions.evidence("artifacts", "champion", 2).verdict == "reject"


def test_an_alias_never_points_to_an_unknown_version(store: Store) -> None:
    with pytest.raises(NotFound, match="artifacts@5"):
        store.versions.move_alias(move(1, 5, None, forced=True), 0, None)


# --- predictions, scores, decisions ---------------------------------------------------------------


def test_predictions_are_remembered_per_version_and_decoding(store: Store) -> None:
    answers = {
        "i1": Answer("SELECT 1", 4, True, 0.25),
        "i2": Answer("\0 \ud800", 512, False, 1.5),
    }
    store.versions.save_predictions("v1", "greedy", answers)
    store.versions.save_predictions("v1", "greedy", {"i1": Answer("other", 9, False, 9.0)})
    store.versions.save_predictions("v1", "greedy", {})
    assert store.versions.predictions("v1", "greedy", ["i1", "i2", "i3"]) == answers
    assert store.versions.predictions("v1", "greedy", ["i2"]) == {"i2": answers["i2"]}
    assert store.versions.predictions("v2", "greedy", ["i1"]) == {}
    assert store.versions.predictions("v1", "warm", ["i1"]) == {}


def test_an_answer_whose_time_nobody_measured_is_replaced(store: Store) -> None:
    old, new = Answer("SELECT 1", 4, True), Answer("SELECT 1", 4, True, 0.25)
    store.versions.save_predictions("v1", "greedy", {"i1": old})
    assert store.versions.predictions("v1", "greedy", ["i1"]) == {"i1": old}
    store.versions.save_predictions("v1", "greedy", {"i1": new})
    store.versions.save_predictions("v1", "greedy", {"i1": Answer("SELECT 2", 4, True, 9.0)})
    assert store.versions.predictions("v1", "greedy", ["i1"]) == {"i1": new}


def test_scores_are_read_back_by_cycle_and_version(store: Store) -> None:
    rows = [eval_row(1, "i1"), eval_row(1, "i2", output="\0"), eval_row(0, "i1")]
    store.versions.save_eval("cyc_1", rows)
    store.versions.save_eval("cyc_2", [eval_row(1, "i1")])
    better = replace(rows[0], metrics={"score": 0.1 + 0.2})
    store.versions.save_eval("cyc_1", [better])
    assert store.versions.eval_rows("cyc_1") == [rows[2], better, rows[1]]
    assert store.versions.eval_rows("cyc_1", "artifacts@1") == [better, rows[1]]
    assert store.versions.eval_rows("cyc_9") == []


def test_a_score_is_never_nan(store: Store) -> None:
    with pytest.raises(InputError, match="finite"):
        store.versions.save_eval("cyc_1", [eval_row(1, "i1", metrics={"score": math.nan})])
    assert store.versions.eval_rows("cyc_1") == []


def test_a_decision_is_read_back_whole(store: Store) -> None:
    assert store.versions.decision("cyc_1") is None
    bare = decision(1, verdict="undecided", primary=None, tasks=(), guards=(), next_steps=())
    for each in (bare, decision(1)):
        store.versions.save_decision("cyc_1", each)
        assert store.versions.decision("cyc_1") == each
