"""The wheel turns: promotion, refusal, rollback, lineage; and it resumes wherever it was killed."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.errors import (
    Damaged,
    InputError,
    Moved,
    NotEnoughData,
    NotFound,
    NothingNew,
    StoreBusy,
    StoreError,
    TrainingFailed,
)
from honewheel.loop import intake, proof

STAGES = [
    ("build", "start"),
    ("build", "done"),
    ("train", "start"),
    ("train", "done"),
    ("evaluate", "start"),
    ("evaluate", "done"),
    ("gate", "start"),
    ("gate", "done"),
    ("promote", "done"),
]


@pytest.fixture
def wheel(tmp_path: Path) -> Any:
    folder = wheels.project(tmp_path / "acme")
    with wheels.open_wheel(folder) as found:
        wheels.fill(found, tmp_path)
        yield found


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first cycle, which promoted: for the tests of what comes then."""
    room = tmp_path_factory.mktemp("once")
    folder = wheels.project(room / "acme")
    with wheels.memo_installed(), wheels.open_wheel(folder) as found:
        wheels.fill(found, room)
        assert found.cycle().verdict == "promote"
    return folder


@pytest.fixture
def turned(once: Path, tmp_path: Path) -> Any:
    """A copy of it."""
    with wheels.open_wheel(Path(shutil.copytree(once, tmp_path / "turned"))) as found:
        yield found


def champion(wheel: Any) -> int:
    return int(wheel.store.versions.alias("artifacts").version)


def trained(wheel: Any) -> tuple[str, str]:
    """(dataset hash, weights digest) of the newest version."""
    version = wheel.versions()[-1]
    return str(version.dataset), str(version.files)


def test_feedback_becomes_a_promoted_version(wheel: Any) -> None:
    decision = wheel.cycle()
    assert decision.verdict == "promote"
    assert decision.gain > 40
    assert decision.interval[0] > 30
    assert champion(wheel) == 1
    html = wheel.report()
    assert html.is_file()
    assert "artifacts@1" in html.read_text()
    guards = {guard.comparison.name: guard.state for guard in decision.guards}
    assert guards["ddl"] in ("not worse", "better")


def test_without_replay_the_gate_refuses_what_forgot(tmp_path: Path) -> None:
    folder = wheels.project(tmp_path / "acme", curate="replay_share = 0.0")
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, tmp_path)
        decision = wheel.cycle()
        assert decision.verdict == "reject"
        assert "ddl" in decision.reasons[0]
        assert champion(wheel) == 0


def test_shuffled_corrections_are_refused(tmp_path: Path) -> None:
    with wheels.open_wheel(wheels.project(tmp_path / "acme")) as wheel:
        wheels.fill(wheel, tmp_path, shuffled=True)
        assert wheel.cycle().verdict != "promote"
        assert champion(wheel) == 0


def test_a_cycle_without_anything_new_says_so(turned: Any) -> None:
    with pytest.raises(NothingNew, match="Nothing to do"):
        turned.cycle()
    assert len(turned.cycles()) == 1


def test_only_settings_that_change_its_result_are_a_reason_for_a_cycle(turned: Any) -> None:
    for flag in (
        "models.artifacts.trigger.min_new=7",
        "models.artifacts.trigger.quiet_hours=08:00-09:00",
        'models.artifacts.watch.mode="canary"',
        "models.artifacts.watch.cooldown_hours=1",
        "models.artifacts.schedules.deep.trigger.every_days=3",
        "models.artifacts.train.start=base",  # what it is anyway
        'project.name="other"',
    ):
        with (
            wheels.open_wheel(turned.config.root, flag) as changed,
            pytest.raises(NothingNew, match="no setting that its result is made from"),
        ):
            changed.cycle()
    assert len(turned.cycles()) == 1
    for number, flag in enumerate(
        (
            "models.artifacts.train.steps=4",
            "models.artifacts.gate.min_gain=2",
            "tasks.ddl.gate.floor=1",
            "curate.replay_share=0.1",
            "evaluate.newest_days=3",
        ),
        start=2,
    ):
        with wheels.open_wheel(turned.config.root, flag) as changed:
            changed.cycle()
        assert len(turned.cycles()) == number, flag


def test_a_new_suite_is_something_new(wheel: Any, tmp_path: Path) -> None:
    wheel.cycle()
    path = wheels.write_jsonl(tmp_path / "more.jsonl", wheels.suites(35, seed=77)["ddl"])
    wheel.suite_import(path, task="ddl", role="guard")
    found = wheel.cycle()
    assert {guard.comparison.name for guard in found.guards} >= {"suite:more"}


def test_too_little_feedback_says_how_much_more(tmp_path: Path) -> None:
    folder = wheels.project(tmp_path / "acme")
    with wheels.open_wheel(folder, "curate.min_examples=500") as wheel:
        wheels.fill(wheel, tmp_path, n=10, items=5)
        with pytest.raises(NotEnoughData, match="at least 500"):
            wheel.cycle()
        assert wheel.cycles()[0].state == "failed"


def test_a_failed_training_leaves_the_champion_and_a_reason(turned: Any) -> None:
    turned.record(
        task="erd", prompt="p", output="erDiagram", correction="erDiagram\n a", source="x"
    )
    folder = turned.config.root
    with (
        wheels.open_wheel(folder, "models.artifacts.train.fail_at=2") as broken,
        pytest.raises(TrainingFailed, match="loss is nan at step 2"),
    ):
        broken.cycle()
    newest = turned.cycles()[0]
    assert (newest.state, champion(turned)) == ("failed", 1)
    assert "loss is nan" in newest.error
    assert turned.cycle().verdict in ("reject", "undecided")


def test_a_second_cycle_while_one_runs_is_refused(wheel: Any) -> None:
    def second(step: Any) -> None:
        if step.stage == "train":
            with wheels.open_wheel(wheel.config.root) as other, pytest.raises(StoreBusy) as busy:
                other.cycle()
            told.append(str(busy.value))

    told: list[str] = []
    wheel.cycle(on_progress=second)
    assert told


def kill_at(folder: Path, stage: str, when: str) -> None:
    words = [sys.executable, "-c", wheels.KILL, str(folder), stage, when]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    "store_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)
@pytest.mark.parametrize(
    ("stage", "when"),
    [
        pytest.param(*one, marks=[pytest.mark.slow] if one in STAGES[1:-1:2] else [])
        for one in STAGES
    ],
)
def test_killed_at_a_stage_it_ends_as_if_it_had_not_been(
    tmp_path: Path, store_url: str, stage: str, when: str, uninterrupted: dict[str, Any]
) -> None:
    folder = wheels.project(tmp_path / "acme", store_url)
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, tmp_path, n=30, items=32)
    kill_at(folder, stage, when)
    with wheels.open_wheel(folder) as wheel:
        seen = wheel.store.versions.alias("artifacts")
        assert (
            seen is None
            or seen.version == 0
            or wheel.store.files.verify(wheel.version(f"artifacts@{seen.version}").files)
        )
        decision = wheel.cycle()
        assert decision.verdict == "promote"
        assert [version.number for version in wheel.versions()] == [0, 1]
        assert [cycle.state for cycle in wheel.cycles()] == ["done"]
        assert [m.version for m in wheel.store.versions.history("artifacts")] == [0, 1]
        weights = trained(wheel)[1]
        assert uninterrupted.setdefault("weights", weights) == weights


def test_a_cycle_killed_before_its_report_can_still_be_reported(wheel: Any) -> None:
    kill_at(wheel.config.root, "cycle", "done")
    with pytest.raises(NothingNew, match="Nothing to do"):
        wheel.cycle()
    assert champion(wheel) == 1
    assert "artifacts@1" in wheel.report().read_text()


def test_a_resumed_cycle_keeps_the_settings_it_started_with(wheel: Any) -> None:
    folder = wheel.config.root
    kill_at(folder, "build", "done")
    sealed = wheel.store.cycles.step("artifacts-0001", "build")[1]["dataset"]
    with wheels.open_wheel(folder, "curate.replay_share=0", "curate.seed=9") as changed:
        assert changed.cycle().verdict == "promote"
        assert trained(changed)[0] == sealed


def test_feedback_during_a_crash_waits_for_the_next_cycle(wheel: Any) -> None:
    kill_at(wheel.config.root, "build", "done")
    late = wheel.record(task="erd", prompt="p", output="erDiagram", correction="erDiagram\n a")
    wheel.cycle()
    assert "not seen by a cycle yet" in wheel.explain(late)["models"][0]["answer"]


def test_a_champion_moved_meanwhile_fails_the_cycle_and_the_next_one_starts_anew(
    turned: Any,
) -> None:
    turned.rollback()
    rows = wheels.feedback(20, seed=3)
    turned.import_file(wheels.write_jsonl(turned.config.root / "more.jsonl", rows))

    def move(step: Any) -> None:
        if step.stage == "gate" and step.step:
            with wheels.open_wheel(turned.config.root) as other:
                other.promote("artifacts@1")

    with pytest.raises(Moved, match="somebody moved it meanwhile"):
        turned.cycle(on_progress=move)
    assert turned.cycles()[0].state == "failed"
    assert turned.cycle().champion == "artifacts@1"


def test_a_suite_that_comes_after_the_build_does_not_judge(wheel: Any, tmp_path: Path) -> None:
    late = wheels.write_jsonl(tmp_path / "late.jsonl", wheels.suites(31, 9)["erd"])

    def bring(step: Any) -> None:
        if step.stage == "train" and step.total == 1 and not step.step:
            with wheels.open_wheel(wheel.config.root) as other:
                other.suite_import(late, task="erd")

    wheel.cycle(on_progress=bring)
    assert "late" not in {row["suite"] for row in wheel.status()["models"]["artifacts"]["panels"]}
    wheel.cycle()
    assert "late" in {row["suite"] for row in wheel.status()["models"]["artifacts"]["panels"]}


def test_nothing_like_a_test_event_is_trained_on_whatever_its_context(wheel: Any) -> None:
    held = next(
        event
        for event in wheel.store.log.events(["erd"], 10**9)
        if intake_split(wheel, event.id) == "test"
    )
    response = held.response
    twins = [
        wheel.record(
            task="erd",
            prompt=response.prompt,
            output=response.output,
            correction=held.correction.text,
            context={"notes": f"other words entirely, number {number}, {number * 7}"},
        )
        for number in range(8)
    ]
    wheel.cycle()
    behind = {row["event"] for row in wheel.trace("artifacts@1")["events"]}
    assert not behind & set(twins)


def intake_split(wheel: Any, event: str) -> str:
    if wheel.store.log.unplaced(1):
        intake.run(wheel.store, wheel.config, lambda _: None)
    return str(wheel.store.intake.placement(event).split)


def test_trace_goes_from_event_to_version_and_back(turned: Any) -> None:
    behind = {row["event"] for row in turned.trace("artifacts@1")["events"]}
    assert behind
    for event in sorted(behind)[:5]:
        found = turned.trace(event)["versions"]
        assert [row["version"] for row in found] == ["artifacts@1"]
        assert found[0]["verdict"] == "promote"
    unused = {f"evt_e0-{index}" for index in range(60)} - behind
    assert unused
    assert turned.trace(min(unused))["versions"] == []


def test_explain_knows_a_cycle_that_came_to_the_rows_of_the_one_before(turned: Any) -> None:
    diagram = "erDiagram\n a {\n int b\n }"
    said = {"task": "erd", "output": diagram, "correction": "no diagram", "source": "zed"}
    for number in range(4):
        turned.record(id=f"evt_bad{number}", prompt=f"make thing {number * 7}", **said)
    turned.cycle()
    first, second = (turned.store.cycles.step(one.id, "build")[1] for one in turned.cycles())
    assert first["dataset"] == second["dataset"]
    answers = {turned.explain(f"evt_bad{n}")["models"][0]["answer"] for n in range(4)}
    assert all(answer.startswith("not trained on in artifacts-0002: ") for answer in answers)
    assert any("invalid target" in answer for answer in answers)


def test_explain_says_what_became_of_an_event(turned: Any) -> None:
    behind = turned.trace("artifacts@1")["events"]
    answers = {turned.explain(row["event"])["models"][0]["answer"] for row in behind}
    assert answers <= {"trained on in artifacts-0001", "validated on in artifacts-0001"}
    dropped = turned.store.datasets.dropped(trained(turned)[0])
    told = turned.explain(dropped[0].event)["models"][0]["answer"]
    assert dropped[0].reason in told
    with pytest.raises(NotFound):
        turned.explain("evt_unknown")


def test_rollback_returns_to_the_version_before_and_promote_back(turned: Any, wheel: Any) -> None:
    with pytest.raises(NotFound):
        wheel.rollback()
    move = turned.rollback(reason="it was slow")
    assert (move.version, move.previous, move.reason) == (0, 1, "rolled back: it was slow")
    with pytest.raises(InputError, match="first champion"):
        turned.rollback()
    assert turned.promote("artifacts@1").version == 1
    with pytest.raises(InputError, match="champion already"):
        turned.promote("artifacts@1")
    assert turned.rollback().version == 0


def test_a_refused_version_needs_a_reason_to_be_promoted(tmp_path: Path) -> None:
    folder = wheels.project(tmp_path / "acme", curate="replay_share = 0.0")
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, tmp_path)
        wheel.cycle()
        with pytest.raises(InputError, match="said reject"):
            wheel.promote("artifacts@1")
        move = wheel.promote("artifacts@1", force="we accept the loss")
        assert (move.forced, move.reason) == (True, "we accept the loss")
        assert champion(wheel) == 1


def flip(path: Path) -> None:
    found = bytearray(path.read_bytes())
    found[len(found) // 2] ^= 1
    path.write_bytes(bytes(found))


def test_damaged_weights_are_named_and_never_promoted(turned: Any) -> None:
    files = trained(turned)[1]
    turned.rollback()
    flip(turned.store.files.path(files) / "table.json")
    with pytest.raises(StoreError, match=files[:12]):
        turned.promote("artifacts@1")
    assert champion(turned) == 0


def test_a_damaged_champion_stops_a_cycle_and_is_named(turned: Any, tmp_path: Path) -> None:
    files = trained(turned)[1]
    flip(turned.store.files.path(files) / "table.json")
    for number in range(12):  # other data, so that the challenger's weights are not the same
        plain = f"erDiagram\n zebra{number} {{\n string stripe{number}\n }}"
        turned.record(task="erd", prompt=plain, output=plain, correction=plain.replace("z", "Z"))
    turned.suite_import(
        wheels.write_jsonl(tmp_path / "new.jsonl", wheels.suites(31, 5)["erd"]), task="erd"
    )
    with pytest.raises(Damaged, match=files[:12]):
        turned.cycle()
    assert turned.cycles()[0].state == "failed"


def test_a_damaged_dataset_is_named(turned: Any) -> None:
    dataset = trained(turned)[0]
    summary = next(row for row in turned.store.datasets.list() if row.hash == dataset)
    flip(turned.store.files.path(summary.files) / "dataset.parquet")
    with pytest.raises(Damaged, match=dataset[:12]):
        turned.store.datasets.load(dataset)


def test_a_version_is_traced_though_gc_removed_its_rows(turned: Any) -> None:
    before = turned.trace("artifacts@1")["events"]
    turned.store.files.gc(set())
    assert turned.trace("artifacts@1")["events"] == before != []
    with pytest.raises(NotFound, match="gc removed"):
        turned.store.datasets.load(trained(turned)[0])


def test_gc_keeps_every_live_lineage(turned: Any) -> None:
    before = turned.gc(dry_run=True)
    after = turned.gc()
    assert before["runs"] == after["runs"] == ["runs/artifacts-0001"]
    version = turned.version("artifacts")
    assert turned.store.files.verify(version.files)
    assert turned.store.datasets.load(version.dataset).hash == version.dataset
    assert turned.trace("artifacts@1")["events"]


def test_gc_removes_what_killed_searches_and_ablations_left(wheel: Any) -> None:
    left = [wheel.config.state / room / "run-0123" for room in ("search", "ablate")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(b"x" * 1000)
    kept = left[0].with_name("newest-artifacts.json")
    kept.write_text("{}")
    with wheel.store.exclusive("search:artifacts"), pytest.raises(StoreBusy, match="search"):
        wheel.gc()
    assert wheel.gc(dry_run=True)["bytes"] >= 2000
    assert all(folder.exists() for folder in left)
    assert {"search/run-0123", "ablate/run-0123"} <= {*wheel.gc()["runs"]}
    assert not any(folder.exists() for folder in left)
    assert kept.exists()


def test_gc_removes_refused_weights_beyond_those_kept(turned: Any) -> None:
    for index in range(2):
        turned.record(task="erd", prompt=f"p{index}", output="a", correction="erDiagram\n a")
        turned.cycle()
    refused = [version for version in turned.versions() if version.number > 1]
    with wheels.open_wheel(turned.config.root, "store.keep_refused=0") as strict:
        gone = {row["digest"] for row in strict.gc()["files"]}
    kept = turned.version("artifacts").files
    assert {version.files for version in refused} - {kept} <= gone
    assert kept not in gone


def test_an_excluded_source_is_not_learnt_from(wheel: Any) -> None:
    with wheels.open_wheel(wheel.config.root, 'curate.exclude_sources=["ben"]') as without:
        without.cycle()
        sources = {row["event"][4] for row in without.trace("artifacts@1")["events"]}
    assert sources == {"e"}


def test_status_counts_what_there_is(wheel: Any, turned: Any) -> None:
    empty = wheel.status()
    assert empty["log"]["events"] == 120
    assert empty["models"]["artifacts"]["champion"] is None
    found = turned.status()["models"]["artifacts"]
    assert found["champion"] == "artifacts@1"
    assert found["by_verdict"] == {"promote": 1}
    assert {row["suite"]: row["items"] for row in found["panels"]}["erd"] == 40
    assert 0 < sum(found["dropped"].values()) < 1


def test_every_number_of_a_decision_can_be_recomputed_from_the_stored_rows(wheel: Any) -> None:
    decision = wheel.cycle()
    rows = wheel.store.versions.eval_rows("artifacts-0001")

    def mean(version: str) -> float:
        scores = [
            row.metrics["score"] for row in rows if row.version == version and row.task == "erd"
        ]
        return sum(scores) / len(scores)

    assert decision.primary.challenger == pytest.approx(mean("artifacts@1"))
    assert decision.primary.champion == pytest.approx(mean("artifacts@0"))
    assert wheel.store.versions.decision("artifacts-0001") == decision


def test_a_version_that_takes_longer_than_allowed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the answers is ours: the challenger's take four times as long."""
    folder = wheels.project(tmp_path / "acme")
    toml = folder / "honewheel.toml"
    toml.write_text(
        toml.read_text() + "\n[models.artifacts.gate]\nmax_latency_ratio = 1.5\nmin_gain = 0.1\n"
    )
    times = {0: 0.25, 1: 1.0}
    plain = proof.predict

    def predict(store: Any, config: Any, version: Any, *more: Any) -> Any:
        now = itertools.count()
        each = times[version.number]
        return plain(store, config, version, *more, timer=lambda: each * next(now))

    monkeypatch.setattr(proof, "predict", predict)
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, folder)
        decision = wheel.cycle()
        assert decision.verdict == "reject"
        told = next(reason for reason in decision.reasons if "latency" in reason)
        assert "takes 1 s" in told
        assert "0.25 s" in told
        assert "4.00x, allowed 1.5x" in told
        assert wheel.store.versions.decision(wheel.cycles()[0].id) == decision
