"""A promoted version on trial: the split of the traffic, its evidence, and what follows."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.errors import InputError, NotFound, NothingNew
from honewheel.loop import watch
from honewheel.records import Feedback, Response

WATCH = """
[models.artifacts.watch]
mode = "{mode}"
share = 0.5
min_outcomes = 20
after_outcomes = {after}
"""


def settings(folder: Path, mode: str, after: int) -> None:
    with (folder / "honewheel.toml").open("a") as file:
        file.write(WATCH.format(mode=mode, after=after))


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a version that the gate promoted; the base is champion again."""
    made = tmp_path_factory.mktemp("promoted")
    with wheels.memo_installed(), wheels.open_wheel(wheels.project(made / "project")) as opened:
        wheels.fill(opened, made)
        assert opened.cycle().verdict == "promote"
        opened.rollback()
    return made / "project"


@pytest.fixture
def wheel(tmp_path: Path, promoted: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """That project, its version on trial against the base."""
    folder = shutil.copytree(promoted, tmp_path / "project")
    settings(folder, **({"mode": "canary", "after": 300} | getattr(request, "param", {})))
    with wheels.open_wheel(folder) as opened:
        new, old = opened.version("artifacts@1"), opened.version("artifacts@0")
        champion = opened.store.versions.alias("artifacts")
        watch.begin(
            opened.store,
            opened.config.model("artifacts")[1].watch,
            new,
            old,
            opened.store.versions.decision(new.cycle),
            champion_revision=champion.revision,
            at=opened.clock(),
        )
        yield opened


def ask(wheel: Any, n: int, seed: int, champion: float, canary: float) -> None:
    """`n` requests through the routing, each with a thumb: up with the version's probability."""
    rng, at = random.Random(seed), wheel.clock()
    found = wheel.store.deployments.current("artifacts")
    current = wheel.store.versions.alias("artifacts").version
    made, said = [], []
    for number in range(n):
        chosen = watch.split("artifacts", current, found, f"chat-{seed}-{number}")
        happy = rng.random() < (canary if chosen.version == 1 else champion)
        name = f"evt_{seed}-{number}"
        made.append(
            Response(
                id=name,
                task="ddl",
                prompt=f"a table of {seed} {number}",
                output="CREATE TABLE a (b int);",
                version=chosen.name,
                created_at=at,
            )
        )
        said.append(thumb(f"fb_{seed}-{number}", name, float(happy), f"user {number}", at))
    wheel.store.log.append(made, said)


def thumb(name: str, of: str, value: float, source: str, at: Any, kind: Any = "person") -> Feedback:
    return Feedback(
        id=name,
        response_id=of,
        kind="thumb",
        source=source,
        source_kind=kind,
        value=value,
        created_at=at,
    )


def observe(wheel: Any) -> Any:
    return watch.observe(wheel.store, wheel.config, "artifacts", wheel.clock())


def champion(wheel: Any) -> int:
    return int(wheel.store.versions.alias("artifacts").version)


def test_a_promoted_version_is_on_trial_and_the_champion_stays(wheel: Any) -> None:
    found = wheel.store.deployments.current("artifacts")
    assert (found.version, found.baseline, found.stage) == (1, 0, "canary")
    assert champion(wheel) == 0
    assert wheel.store.versions.alias("artifacts", "canary").version == 1
    assert wheel.store.versions.evidence("artifacts", "canary", 1).verdict == "promote"


def test_traffic_is_split_by_key_and_stays_split(wheel: Any) -> None:
    def named(key: int) -> str:
        return watch.route(wheel.store, "artifacts", str(key)).name

    names = [named(key) for key in range(300)]
    assert 110 < names.count("artifacts@1") < 190
    assert names == [named(key) for key in range(300)]


@pytest.mark.parametrize("wheel", [{"after": 0}], indirect=True)
def test_a_version_that_holds_in_traffic_becomes_champion(wheel: Any) -> None:
    ask(wheel, 400, 1, champion=0.6, canary=0.9)
    found = observe(wheel)
    assert found.ended == "kept"
    assert champion(wheel) == 1
    assert "not worse than artifacts@0 in live traffic" in found.reason
    assert observe(wheel) is None


def test_a_version_that_is_worse_is_taken_back_with_a_record_and_a_hold(wheel: Any) -> None:
    ask(wheel, 300, 2, champion=0.9, canary=0.3)
    found = observe(wheel)
    assert found.ended == "rolled back"
    assert champion(wheel) == 0
    last = wheel.store.versions.history("artifacts", "canary")[-1]
    assert (last.version, last.forced) == (0, True)
    assert last.reason.startswith("rolled back: artifacts@1 is worse than artifacts@0")
    (deed,) = wheel.store.audit.list(9, watch.ACTOR)
    assert (deed.action, deed.detail["version"]) == ("roll back", "artifacts@1")
    assert deed.detail["why"] in last.reason
    learnt = wheel.store.datasets.shown_events(wheel.version("artifacts@1").dataset)
    held = {one.name for one in wheel.held() if one.state == "held"}
    assert learnt
    assert learnt == held
    assert watch.route(wheel.store, "artifacts", "anybody").role == "champion"
    released = wheel.release("artifacts@1", reason="it was the outage", by="ana")
    assert {one["event"] for one in released} == learnt
    with pytest.raises(NotFound, match=r"Nothing is held for artifacts@0"):
        wheel.release("artifacts@0", reason="why", by="ana")


def test_the_new_champion_is_watched_on_and_taken_back_too(wheel: Any) -> None:
    ask(wheel, 400, 3, champion=0.8, canary=0.95)
    assert observe(wheel).stage == "champion"
    assert champion(wheel) == 1
    ask(wheel, 90, 4, champion=0.1, canary=0.1)
    assert observe(wheel).ended == "rolled back"
    assert champion(wheel) == 0


def test_a_new_champion_that_does_well_is_kept_after_the_asked_outcomes(wheel: Any) -> None:
    ask(wheel, 400, 3, champion=0.8, canary=0.95)
    assert observe(wheel).stage == "champion"
    ask(wheel, 300, 5, champion=0.9, canary=0.9)
    assert observe(wheel).ended == "kept"
    assert champion(wheel) == 1


def test_nothing_is_decided_without_outcomes(wheel: Any) -> None:
    assert observe(wheel).ended is None
    assert champion(wheel) == 0


def test_looking_often_or_once_is_the_same(wheel: Any) -> None:
    start = wheel.store.deployments.current("artifacts")
    for part in range(5):
        ask(wheel, 8, 10 + part, champion=0.7, canary=0.7)
        often = observe(wheel)
    assert sum(watch.standing(often)["outcomes"].values()) == 40
    assert wheel.store.deployments.current("artifacts") == often
    wheel.store.deployments.save(often, start.cursor, start.trial)  # as if nobody had looked yet
    once = observe(wheel)
    assert (once.trial, once.cursor) == (often.trial, often.cursor)


def test_each_response_counts_once_and_simulated_sources_never(wheel: Any) -> None:
    at = wheel.clock()
    made = Response(
        id="evt_once", task="ddl", prompt="p", output="o", created_at=at, version="artifacts@1"
    )

    wheel.store.log.append([made], [thumb("fb_r", made.id, 1.0, "robot", at, "simulated")])
    assert watch.standing(observe(wheel))["outcomes"]["version"] == 0
    wheel.store.log.append([], [thumb("fb_a", made.id, 0.0, "ana", at)])
    assert watch.standing(observe(wheel))["accepted"]["version"] == 0.0
    wheel.store.log.append([], [thumb("fb_b", made.id, 1.0, "ben", at)])
    assert watch.standing(observe(wheel))["outcomes"]["version"] == 1
    assert watch.standing(observe(wheel))["accepted"]["version"] == 0.0


def test_old_responses_are_no_outcomes_of_the_trial(wheel: Any) -> None:
    wheel.record(response="evt_d0-1", thumb=0, source="late")
    assert watch.standing(observe(wheel))["outcomes"] == {"version": 0, "baseline": 0}


def test_a_person_takes_a_version_on_trial_back(wheel: Any) -> None:
    move = wheel.rollback("artifacts", reason="looks odd")
    assert (move.alias, move.version) == ("canary", 0)
    assert champion(wheel) == 0
    assert wheel.store.deployments.list("artifacts")[0].ended == "rolled back"
    assert observe(wheel) is None


def test_rolling_a_watched_champion_back_ends_its_trial_in_the_same_transaction(
    wheel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(wheel, 400, 3, champion=0.8, canary=0.95)
    assert observe(wheel).stage == "champion"
    writes: list[str] = []
    write = wheel.store._db.write

    def counted(room: str) -> Any:
        writes.append(room)
        return write(room)

    monkeypatch.setattr(wheel.store._db, "write", counted)
    assert wheel.rollback("artifacts", reason="looks odd").version == 0
    assert writes == ["versions"]
    assert champion(wheel) == 0
    assert wheel.store.deployments.list("artifacts")[0].ended == "rolled back"


def test_a_person_makes_the_version_on_trial_champion(wheel: Any) -> None:
    wheel.promote("artifacts@1")
    assert champion(wheel) == 1
    assert wheel.store.deployments.list("artifacts")[0].ended == "superseded"


def test_a_cycle_puts_what_the_gate_promotes_on_trial(tmp_path: Path, postgres_url: str) -> None:
    folder = wheels.project(tmp_path / "project", postgres_url)
    settings(folder, "canary", 300)
    with wheels.open_wheel(folder) as opened:
        wheels.fill(opened, tmp_path)
        assert opened.cycle().verdict == "promote"
        found = opened.store.deployments.current("artifacts")
        assert (found.version, found.baseline, found.stage) == (1, 0, "canary")
        assert champion(opened) == 0
        with pytest.raises(NothingNew):  # a trial is no reason to run the same cycle again
            opened.cycle()
        ask(opened, 300, 2, champion=0.9, canary=0.3)
        assert observe(opened).ended == "rolled back"
        assert champion(opened) == 0


def test_the_files_of_a_version_on_trial_are_kept(wheel: Any) -> None:
    wheel.gc()
    assert wheel.store.files.verify(wheel.version("artifacts@1").files)


@pytest.mark.parametrize("wheel", [{"mode": "shadow", "after": 0}], indirect=True)
@pytest.mark.parametrize("good", [True, False])
def test_a_shadow_answers_unseen_and_is_judged_by_the_check(wheel: Any, good: bool) -> None:
    from honewheel.loop import intake

    at = wheel.clock()
    bodies = ("CREATE TABLE a (b int);", "CREATE TABEL")
    for number in range(400):
        chosen = watch.route(wheel.store, "artifacts", str(number))
        assert (chosen.version, chosen.role) == (0, "champion")
        if chosen.shadow is None:
            continue
        seen, unseen = f"evt_seen{number}", f"evt_unseen{number}"
        fields: Any = {"task": "ddl", "prompt": f"table {number} of the shop", "created_at": at}
        poor = not good and number % 2 == 0
        wheel.store.log.append(
            [
                Response(id=seen, output=bodies[0], version=chosen.name, **fields),
                Response(
                    id=unseen,
                    output=bodies[poor],
                    version=f"artifacts@{chosen.shadow}",
                    decoding={"shadow_of": seen},
                    **fields,
                ),
            ]
        )
    assert observe(wheel).ended is None  # intake has not checked the answers yet
    intake.run(wheel.store, wheel.config, lambda _: None)
    assert observe(wheel).ended == ("kept" if good else "rolled back")
    assert champion(wheel) == int(good)


def test_a_model_without_a_champion_cannot_be_routed(tmp_path: Path) -> None:
    with (
        wheels.open_wheel(wheels.project(tmp_path)) as opened,
        pytest.raises(NotFound, match=r"no champion yet\. Run: honewheel cycle artifacts"),
    ):
        watch.route(opened.store, "artifacts", "key")


def test_two_versions_side_by_side(wheel: Any) -> None:
    found = wheel.diff("artifacts@0", "artifacts@1", outputs=3)
    assert found["versions"] == ["artifacts@0", "artifacts@1"]
    learnt = wheel.store.datasets.shown_events(wheel.version("artifacts@1").dataset)
    assert found["data"]["events"] == [0, len(learnt)]
    assert set(found["data"]["only"][1]) == learnt
    assert found["data"]["only_by_task"][1]["erd"] > 0
    assert found["spec"]["steps"] == [None, 3]
    erd = next(row for row in found["scores"] if (row["task"], row["metric"]) == ("erd", "score"))
    assert erd["items"] >= 40
    assert erd["values"][1] > erd["values"][0] + 0.3
    assert len(found["outputs"]) == 3
    assert "vktext" in found["outputs"][0]["outputs"][1]
    with pytest.raises(InputError, match="name two versions"):
        wheel.diff("artifacts@1", "@1")


def test_only_what_changed_is_news(wheel: Any) -> None:
    before = wheel.store.deployments.current("artifacts")
    named = {"model": "artifacts", "version": "artifacts@1"}
    assert list(watch.news(before, before)) == list(watch.news(before, None)) == []
    crowned = replace(before, stage="champion")
    assert list(watch.news(before, crowned)) == [named | {"stage": "champion"}]
    ended = replace(crowned, ended="rolled back", reason="worse")
    told = named | {"ended": "rolled back", "why": "worse"}
    assert list(watch.news(crowned, ended)) == [told]
    assert list(watch.news(before, ended)) == [named | {"stage": "champion"}, told]
