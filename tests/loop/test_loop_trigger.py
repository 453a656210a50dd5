"""When a cycle is due: the rules on a fake clock, their laws, and the numbers read from a store."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wheels
from honewheel.cli.app import DONE, REFUSED, USAGE, call
from honewheel.curate import acceptance
from honewheel.errors import ConfigError
from honewheel.loop.quiet import Quiet, quiet_hours
from honewheel.loop.trigger import (
    Due,
    Panel,
    State,
    Sums,
    combine,
    due,
    power,
)
from honewheel.settings import Trigger

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROOM = Panel(prompts=1000)  # enough for the default of 10 points


def waiting(n: int, days: float = 1.0) -> Sums:
    """`n` equal examples, the oldest written `days` ago."""
    return Sums(count=n, weight=float(n), squares=float(n), oldest=NOW - days * DAY)


def state(n: int = 250, days: float = 1.0, **more: Any) -> State:
    return State(**{"waiting": {"erd": waiting(n, days)}, "panel": ROOM} | more)


def asked(found: State, at: datetime = NOW, **given_settings: Any) -> Due:
    return due(found, Trigger(**given_settings), at)


# --- wanted -------------------------------------------------------------------------------------


def test_enough_new_examples_fire_and_one_fewer_does_not() -> None:
    assert asked(state(200)).fire
    one_short = asked(state(199))
    assert not one_short.fire
    assert one_short.reasons == (
        "199 new examples wait, 199 effective, the oldest 1.0 days; a cycle takes 200, or 50 that "
        "are of a rare task or 14 days old",
    )
    assert one_short.examples == 199


def test_uneven_weights_count_less_than_their_number() -> None:
    sums = Sums()
    for index in range(250):
        sums = sums.add(1.0 if index < 100 else 0.01, NOW - DAY)
    assert sums.count == 250
    assert sums.effective == pytest.approx(101.5**2 / 100.015)
    assert not asked(state(waiting={"erd": sums})).fire


def test_old_examples_fire_on_the_day_and_not_before() -> None:
    soon = asked(state(60, days=13.0))
    assert not soon.fire
    assert soon.next_look == NOW + DAY
    assert asked(state(60, days=13.0), at=NOW + DAY).fire
    assert asked(state(60, days=14.0)).fire
    assert not asked(state(49, days=400.0)).fire  # too few to learn from, however old
    assert asked(state(49, days=400.0)).next_look is None


def test_a_rare_task_fires_with_fewer_examples_of_its_own() -> None:
    found = state(
        waiting={"erd": waiting(60), "ddl": waiting(60)}, recorded={"erd": 9_500, "ddl": 500}
    )
    assert asked(found).fire
    assert "of ddl wait, a rare task with 500 of 10,000 feedback rows" in asked(found).reasons[0]
    assert not asked(found, rare_below=0.0).fire
    assert not asked(replace(found, recorded={"erd": 9_000, "ddl": 1_000})).fire


def test_a_drift_alarm_fires_when_anything_waits() -> None:
    alarm = ("users accept 40 % of erd, 80 % before",)
    found = asked(state(5, drift=alarm))
    assert (found.fire, found.reasons) == (True, (f"drift: {alarm[0]}",))
    assert not asked(state(waiting={}, drift=alarm)).fire


def test_the_calendar_takes_the_place_of_counting() -> None:
    found = state(250, days=3.0, done=NOW - 6 * DAY)
    weekly = asked(found, every_days=7)
    assert (weekly.fire, weekly.next_look) == (False, NOW + DAY)
    assert "one cycle in 7 days takes any that wait" in weekly.reasons[0]
    assert asked(found, at=NOW + DAY, every_days=7).fire
    assert asked(replace(found, waiting={"erd": waiting(1)}), at=NOW + DAY, every_days=7).fire
    assert not asked(replace(found, waiting={}), at=NOW + DAY, every_days=7).fire
    first = asked(state(1, days=7.0), every_days=7)  # before the first cycle: by the oldest example
    assert first.reasons == ("the oldest new example was 7 days ago (every_days 7)",)
    assert not asked(state(250, days=6.0), every_days=7).fire
    assert asked(state(1, drift=("less is accepted",)), every_days=7).fire


# --- held back ----------------------------------------------------------------------------------


def test_nothing_fires_in_the_cooldown() -> None:
    found = state(ended=NOW - 2 * HOUR)
    held = asked(found)
    assert not held.fire
    assert held.reasons[0] == "cooldown of 6 hours until 2026-06-01 16:00 UTC"
    assert held.next_look == NOW + 4 * HOUR
    assert asked(found, at=NOW + 4 * HOUR).fire
    assert asked(found, cooldown_hours=0).fire


def test_the_budget_of_a_week_frees_itself() -> None:
    starts = tuple(NOW - hours * HOUR for hours in (10, 40, 160))
    found = state(starts=starts, ended=starts[0])
    assert asked(found, max_cycles_per_week=4).fire
    held = asked(found, max_cycles_per_week=3)
    assert not held.fire
    assert held.next_look == NOW + 8 * HOUR
    assert asked(found, at=NOW + 8 * HOUR, max_cycles_per_week=3).fire
    assert asked(found, max_cycles_per_week=None).fire


def test_quiet_hours_hold_also_over_midnight_and_in_their_own_time_zone() -> None:
    night = {"quiet_hours": "22:00-06:00", "timezone": "Europe/Berlin"}  # 20:00-04:00 UTC in June
    assert asked(state(), at=datetime(2026, 6, 1, 19, 59, tzinfo=UTC), **night).fire
    held = asked(state(), at=datetime(2026, 6, 1, 20, 0, tzinfo=UTC), **night)
    assert not held.fire
    assert held.reasons[0] == "quiet hours (22:00-06:00 Europe/Berlin)"
    assert held.next_look == datetime(2026, 6, 2, 4, 0, tzinfo=UTC)
    early = asked(state(), at=datetime(2026, 6, 2, 3, 59, tzinfo=UTC), **night)
    assert early.next_look == datetime(2026, 6, 2, 4, 0, tzinfo=UTC)
    assert asked(state(), at=datetime(2026, 6, 2, 4, 0, tzinfo=UTC), **night).fire


def test_quiet_hours_survive_the_change_of_the_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    quiet = Quiet(time(1, 30), time(2, 30), berlin)
    spring = datetime(2026, 3, 29, 1, 45, tzinfo=berlin)  # 02:30 does not exist that night
    assert quiet.over(spring) > spring.astimezone(UTC)
    assert quiet.over(quiet.over(spring)) == quiet.over(spring)
    for fold in (0, 1):  # 02:10 comes twice
        autumn = datetime(2026, 10, 25, 2, 10, tzinfo=berlin, fold=fold).astimezone(UTC)
        assert quiet.over(autumn) == autumn + timedelta(minutes=20)


@pytest.mark.parametrize(
    ("given_settings", "told"),
    [
        ({"quiet_hours": "22:00-25:00"}, "no pair of times"),
        ({"quiet_hours": "08:00-08:00"}, "never or all day"),
        ({"timezone": "Europe/Atlantis"}, "not known here"),
        ({"timezone": "/etc/passwd"}, "not known here"),
        ({"timezone": "Europe"}, "not known here"),
    ],
)
def test_settings_that_name_no_time_are_refused(given_settings: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        quiet_hours(Trigger(**given_settings))


def test_a_cycle_cut_short_goes_on_whatever_waits_but_not_in_quiet_hours() -> None:
    found = State(waiting={}, panel=Panel(prompts=0), ended=NOW, unfinished="cut short")
    assert asked(found).fire
    held = asked(found, quiet_hours="11:00-13:00")
    assert (held.fire, held.next_look) == (False, NOW + HOUR)


def test_a_running_cycle_is_left_alone() -> None:
    found = asked(state(unfinished="running"))
    assert (found.fire, found.next_look) == (False, None)
    assert found.reasons[0] == "a cycle of this model is running"


# --- power --------------------------------------------------------------------------------------


def test_the_number_of_items_is_that_of_the_formula() -> None:
    strict = power(Panel(prompts=0, level=0.95), 0.05)
    assert strict.needed == math.ceil((1.644854 + 0.841621) ** 2 * 0.42 / 0.05**2)
    assert power(Panel(prompts=0), 0.05).needed == 476
    assert power(Panel(prompts=0, spread=0.2), 0.05).needed == 46
    assert power(Panel(prompts=0, spread=0.2), 0.2).needed == 30  # never below the gate's own least


def test_a_test_set_that_cannot_see_the_gain_is_refused_with_what_is_missing() -> None:
    wide = Panel(prompts=120, spread=math.sqrt(0.42))
    found = asked(state(panel=wide), hoped_gain=5)
    assert (found.fire, found.next_look, found.power.missing) == (False, None, 356)
    assert found.reasons[0].startswith(
        "the test set is too small to see an effect of 5 points: 356 more items needed (476 "
        "independent prompts, there are 120; variance of the paired difference 0.42, measured by "
        "the last cycle)"
    )
    assert "set hoped_gain to 10 or more" in found.reasons[0]
    assert asked(state(panel=wide), hoped_gain=10).fire
    assert asked(state(panel=Panel(prompts=120, spread=0.2)), hoped_gain=5).fire


def test_before_a_cycle_has_measured_anything_only_the_gates_minimum_holds_back() -> None:
    assert asked(state(panel=Panel(prompts=30))).fire
    assert asked(state(panel=Panel(prompts=30)), hoped_gain=1).fire
    found = asked(state(panel=Panel(prompts=29)))
    assert (found.fire, found.power.missing, found.power.assumed) == (False, 1, True)
    assert found.reasons[0].startswith(
        "the test set is too small to decide anything: 1 more items needed (30 independent "
        "prompts, there are 29)"
    )


def test_the_default_gain_shows_on_a_panel_that_a_small_team_has() -> None:
    """At the variance that has to be assumed, the worst case, 119 prompts; at 0.1, 30."""
    gain = Trigger().hoped_gain / 100
    assert power(Panel(prompts=0), gain).needed == 119
    assert power(Panel(prompts=0, spread=math.sqrt(0.1)), gain).needed == 30


def test_a_spread_of_nothing_is_no_measurement() -> None:
    same_everywhere = power(Panel(prompts=100, spread=3e-17), 0.05)
    assert same_everywhere.assumed
    assert same_everywhere.needed == 476


@given(
    prompts=st.integers(30, 100_000),
    spread=st.one_of(st.none(), st.floats(0.01, 1.0)),
    level=st.floats(0.55, 0.99),
)
@settings(max_examples=60, deadline=None)
def test_what_is_detectable_is_what_needs_no_more_prompts(
    prompts: int, spread: float | None, level: float
) -> None:
    panel = Panel(prompts=prompts, spread=spread, level=level)
    smallest = power(panel, 0.05).detectable
    assert smallest is not None
    assert power(panel, smallest * 1.001).missing == 0
    if spread is not None and power(panel, smallest * 0.98).needed > panel.least:
        assert power(panel, smallest * 0.98).missing > 0


# --- laws ---------------------------------------------------------------------------------------

weights = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=60)


@given(weights)
@settings(max_examples=60, deadline=None)
def test_an_effective_size_is_between_one_and_the_count(found: list[float]) -> None:
    sums = combine(Sums().add(weight, NOW) for weight in found)
    expected = math.fsum(found) ** 2 / math.fsum(w * w for w in found)
    assert sums.effective == pytest.approx(expected, abs=1e-5)
    assert 1 - 1e-6 <= sums.effective <= len(found)


@given(weights, st.randoms(use_true_random=False), st.floats(0.01, 100.0))
@settings(max_examples=40, deadline=None)
def test_an_effective_size_ignores_order_and_scale(
    found: list[float], rng: random.Random, scale: float
) -> None:
    shuffled = rng.sample(found, len(found))
    one = combine(Sums().add(weight, NOW) for weight in found)
    other = combine(Sums().add(weight * scale, NOW) for weight in shuffled)
    assert other.effective == pytest.approx(one.effective, abs=1e-5)


@given(n=st.integers(1, 500))
@settings(max_examples=20, deadline=None)
def test_equal_weights_count_in_full(n: int) -> None:
    assert combine(Sums().add(0.1, NOW) for _ in range(n)).effective == n


@st.composite
def situations(draw: st.DrawFn) -> tuple[State, Trigger, datetime]:
    hours = st.integers(0, 400)
    tasks = draw(
        st.dictionaries(
            st.sampled_from(["erd", "ddl", "gherkin"]),
            st.builds(waiting, st.integers(1, 300), st.floats(0.0, 40.0)),
        )
    )
    starts = sorted(NOW - draw(hours) * HOUR for _ in range(draw(st.integers(0, 4))))
    return (
        State(
            waiting=tasks,
            panel=Panel(
                prompts=draw(st.integers(0, 1000)), spread=draw(st.sampled_from([None, 0.3]))
            ),
            recorded={task: draw(st.integers(0, 5_000)) for task in tasks},
            drift=draw(st.sampled_from([(), ("fell",)])),
            starts=tuple(starts),
            ended=starts[-1] + HOUR if starts else None,
            unfinished=draw(st.sampled_from(["", "", "", "running", "cut short"])),
        ),
        Trigger(
            cooldown_hours=draw(st.sampled_from([0, 6, 48])),
            quiet_hours=draw(st.sampled_from(["", "22:00-06:00", "09:30-17:00", "00:00-23:59"])),
            timezone=draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"])),
            max_cycles_per_week=draw(st.sampled_from([None, 1, 3])),
            stale_days=draw(st.sampled_from([1.0, 14.0])),
        ),
        NOW + draw(hours) * HOUR,
    )


@given(situations())
@settings(max_examples=200, deadline=None)
def test_the_next_look_fires_and_none_before_it_does(
    found: tuple[State, Trigger, datetime],
) -> None:
    where, rules, now = found
    answer = due(where, rules, now)
    assert answer == due(where, rules, now)
    assert answer.reasons
    if answer.fire:
        assert answer.next_look is None
        return
    late = now + 60 * DAY if answer.next_look is None else answer.next_look
    for share in (0.0, 0.25, 0.5, 0.9, 0.9999):
        assert not due(where, rules, now + share * (late - now)).fire
    if answer.next_look is not None:
        assert answer.next_look > now
        assert due(where, rules, answer.next_look).fire


@given(situations())
@settings(max_examples=100, deadline=None)
def test_what_fires_is_in_no_cooldown_within_budget_and_can_be_measured(
    found: tuple[State, Trigger, datetime],
) -> None:
    where, rules, now = found
    if not due(where, rules, now).fire:
        return
    assert quiet_hours(rules).over(now) == now
    if where.unfinished:
        return
    assert where.ended is None or now - where.ended >= rules.cooldown_hours * HOUR
    week = [start for start in where.starts if now - start < 7 * DAY]
    assert rules.max_cycles_per_week is None or len(week) < rules.max_cycles_per_week
    assert power(where.panel, rules.hoped_gain / 100).missing == 0


def test_a_calendar_that_ends_first_is_never() -> None:
    assert asked(state(60, days=13.0), stale_days=1e12).next_look is None
    assert asked(state(ended=NOW), cooldown_hours=1e12).next_look is None


def test_the_trigger_knows_no_store_and_no_family() -> None:
    code = "import sys; from honewheel.loop import trigger\n"
    code += "heavy = ('honewheel.store', 'honewheel.families', 'sqlalchemy', 'torch', 'numpy')\n"
    code += "print([name for name in sys.modules if name.startswith(heavy)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- drift --------------------------------------------------------------------------------------


def test_a_fall_in_acceptance_is_told_from_chance() -> None:
    steady, fallen = [0.9] * 80 + [0.1] * 20, [0.9] * 50 + [0.1] * 50
    found = acceptance.fall_p_value(steady, fallen)
    assert found is not None
    assert found < 1e-5
    assert acceptance.fall_p_value(steady, steady) == pytest.approx(0.5)
    risen = acceptance.fall_p_value(fallen, steady)
    assert risen is not None
    assert risen > 0.99
    assert acceptance.fall_p_value([0.9] * 40, [0.9] * 40) == 1.0
    assert acceptance.fall_p_value(steady, [0.1] * 29) is None


def test_false_alarms_are_as_rare_as_promised() -> None:
    rng = random.Random(3)

    def draw() -> list[float]:
        return [float(rng.random() < 0.8) for _ in range(200)]

    found = [acceptance.fall_p_value(draw(), draw()) for _ in range(2000)]
    assert sum(p is not None and p < 0.05 for p in found) / 2000 == pytest.approx(0.05, abs=0.015)


# --- from a store -------------------------------------------------------------------------------

EAGER = ("models.artifacts.trigger.min_new=40", "models.artifacts.trigger.hoped_gain=20")
CALM = ("models.artifacts.trigger.stale_days=10000",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return wheels.project(tmp_path / "acme")


def test_a_cycle_takes_what_waited_and_what_comes_later_waits_for_the_next(folder: Path) -> None:
    with wheels.open_wheel(folder, *EAGER, *CALM) as wheel:
        wheels.fill(wheel, folder)
        before = wheel.due()
        assert before.fire
        decision = wheel.cycle()
        built = wheel.store.cycles.step("artifacts-0001", "build")[1]
        assert before.examples == built["new"]
        assert 0.9 * before.examples < before.effective <= before.examples
        panels = wheel.store.cycles.step("artifacts-0001", "evaluate")[1]["panels"]
        assert before.power.prompts == sum(panel["items"] for panel in panels)

        after = wheel.due()
        assert (after.fire, after.examples) == (False, 0)
        assert after.reasons[0].startswith("cooldown of 6 hours until ")
        spread = decision.primary.spread
        assert before.power.assumed
        assert after.power.assumed == (spread < 1e-6)
        assert after.power.assumed or after.power.variance == pytest.approx(spread**2)

        rows = wheels.feedback(10, seed=1)
        wheel.import_file(wheels.write_jsonl(folder / "more.jsonl", rows))
        wheel.record(response="evt_d0-1", thumb=1, source="cara")  # accepted: nothing new to learn
        later = wheel.due()
        placed = [wheel.store.intake.placement(row["id"]) for row in rows if row["task"] == "erd"]
        assert later.examples == sum(place.split == "train" for place in placed)


def test_a_copy_of_a_prompt_is_no_second_example(folder: Path) -> None:
    with wheels.open_wheel(folder) as wheel:
        row = next(row for row in wheels.feedback(1) if row["task"] == "erd")
        for index in range(5):
            wheel.record(**row | {"id": f"evt_copy-{index}"})
        found = wheel.due()
        assert found.examples <= 1


def test_users_who_turn_away_raise_the_alarm(folder: Path) -> None:
    free = ("models.artifacts.trigger.cooldown_hours=0", EAGER[1], *CALM)
    with wheels.open_wheel(folder, *free) as wheel:
        wheels.fill(wheel, folder)
        wheel.cycle()

        def thumbs(value: int, seed: int) -> None:
            rows = [row for row in wheels.feedback(60, seed=seed) if row["task"] == "ddl"]
            spoken = [row | {"thumb": value} for row in rows]
            wheel.import_file(wheels.write_jsonl(folder / f"{seed}.jsonl", spoken))

        thumbs(1, seed=2)
        assert not any("drift" in reason for reason in wheel.due().reasons)
        thumbs(0, seed=3)
        assert not wheel.due().fire  # nothing waits, so there is nothing to learn from
        corrections = [row for row in wheels.feedback(5, seed=4) if row["task"] == "erd"]
        wheel.import_file(wheels.write_jsonl(folder / "new.jsonl", corrections))
        found = wheel.due()
        assert found.fire
        assert found.reasons[0].startswith("drift: users accept 50 % of the 120 newest outputs")


def test_a_cycle_that_is_not_due_says_so_in_json(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["--project", str(folder), "cycle", "--if-due", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert (found["cycle"], len(found["reasons"]) > 0) == (None, True)


@pytest.mark.parametrize("words", [["due"], ["cycle", "--if-due"]])
def test_the_command_line_says_why_not(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, folder, n=5)
    capsys.readouterr()
    code = call(["--project", str(folder), *words])
    told = capsys.readouterr()
    assert code == (REFUSED if words == ["due"] else DONE)
    where = told.out if words == ["due"] else told.err
    assert "new examples wait" in where
    with wheels.open_wheel(folder) as wheel:
        assert wheel.cycles() == []


def test_the_command_line_turns_the_wheel_when_due(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wheels.open_wheel(folder) as wheel:
        wheels.fill(wheel, folder)
    flags = [word for flag in EAGER for word in ("--set", flag)]
    assert call(["--project", str(folder), *flags, "due", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found["fire"] is True
    assert {"examples", "effective", "next_look", "power", "reasons"} <= set(found)
    assert found["power"]["missing"] == 0
    assert call(["--project", str(folder), *flags, "cycle", "--if-due"]) == DONE
    assert "artifacts is due: " in capsys.readouterr().err
    with wheels.open_wheel(folder) as wheel:
        assert len(wheel.cycles()) == 1


def test_unreadable_quiet_hours_are_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = "models.artifacts.trigger.quiet_hours=25:00-26:00"
    assert call(["--project", str(folder), "--set", flag, "due"]) == USAGE
    assert "no pair of times" in capsys.readouterr().err
