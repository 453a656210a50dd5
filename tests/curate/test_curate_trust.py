"""Who is believed how far; validators outrank thumbs."""

from __future__ import annotations

from curate_builders import BROKEN, accepted, check_target, corrected, event, said
from hypothesis import given
from hypothesis import strategies as st

from honewheel.curate import reward, rows, trust
from honewheel.records import Event


def gathered(*events: Event) -> list[rows.Row]:
    return rows.gather(events, checks=check_target, min_value=0.5, used=frozenset())[0]


def test_a_source_without_trust_is_not_heard() -> None:
    silent = trust.muted({"mallory": 0.0, "ana": 0.5})
    assert silent == {"mallory"}
    found = [trust.heard(one, silent) for one in (corrected(1, source="mallory"), corrected(2))]
    assert found[0].feedback == ()
    assert [one.event for one in gathered(*found)] == ["evt_00002"]


def test_full_trust_changes_nothing() -> None:
    for one in (corrected(1), accepted(2)):
        assert trust.heard(one, ()) is one


def test_trust_scales_the_weight_of_what_a_source_wrote_and_of_nothing_else() -> None:
    shares = {"ana": 0.25}
    assert [trust.factor(source, shares) for source in ("ana", "ben", "")] == [0.25, 1.0, 1.0]


def test_a_thumb_up_on_an_output_that_its_check_finds_invalid_is_never_a_target() -> None:
    praised = tuple(said("thumb", 1.0, source=f"fan-{number}") for number in range(50))
    one = event(1, check=BROKEN, feedback=(*praised, said("rating", 1.0, source="boss")))
    kept, dropped = rows.gather([one], checks=check_target, min_value=0.0, used=frozenset())
    assert kept == []
    assert dropped[0].reason == "invalid target"


def test_a_correction_that_its_check_finds_invalid_is_never_a_target() -> None:
    assert gathered(corrected(1, correction="BROKEN")) == []


def test_a_fault_that_a_validator_found_outranks_thumbs_up() -> None:
    fault = said("finding", source="linter", source_kind="validator", text="E1: no key")
    praised = tuple(said("thumb", 1.0, source=f"fan-{number}") for number in range(9))
    one = event(1, feedback=(fault, *praised))
    assert reward.value(one) > 0.9
    found = trust.heard(one, ())
    assert found.feedback == (fault,)
    assert gathered(found) == []
    assert trust.heard(one, {"linter"}).feedback == praised


def test_a_fault_leaves_thumbs_down_and_ratings() -> None:
    fault = said("finding", source="linter", source_kind="validator", text="E1: no key")
    others = (said("thumb", 0.0, source="ben"), said("rating", 0.9, source="chi"))
    one = event(1, feedback=(fault, *others))
    assert trust.heard(one, ()) is one


@given(st.sets(st.sampled_from(["ana", "ben", "linter"])))
def test_hearing_twice_is_hearing_once(silent: set[str]) -> None:
    fault = said("finding", source="linter", source_kind="validator", text="E1: no key")
    one = event(1, feedback=(fault, said("thumb", 1.0, source="ben"), said("rating", 0.4)))
    once = trust.heard(one, silent)
    assert trust.heard(once, silent) == once
