from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.report import numbers


def test_scores_read_as_points_with_one_decimal() -> None:
    assert numbers.points(0.4123) == "41.2"
    assert numbers.points(1.0) == "100.0"
    assert numbers.points(None) == "–"


def test_differences_carry_their_sign_and_zero_has_none() -> None:
    assert numbers.signed(0.4271) == "+42.7"
    assert numbers.signed(-0.004) == "-0.4"
    assert numbers.signed(-0.0003) == "0.0"
    assert numbers.interval(-0.021, 0.012) == "[-2.1, +1.2]"


@given(st.floats(-1, 1))
def test_a_difference_is_never_shown_with_the_wrong_sign(difference: float) -> None:
    shown = numbers.signed(difference)
    assert float(shown) == pytest.approx(100 * difference, abs=0.0501)
    assert shown != "-0.0"
    assert float(shown) * difference >= 0


def test_counts_shares_and_levels() -> None:
    assert numbers.count(1234567) == "1,234,567"
    assert numbers.share(1, 8) == "12.5 %"
    assert numbers.share(0, 0) == "–"
    assert numbers.percent(0.8) == "80 %"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (58.4, "58 s"),
        (59.7, "1 min 0 s"),
        (98.4, "1 min 38 s"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations_read_as_a_person_says_them(seconds: float | None, shown: str) -> None:
    assert numbers.duration(seconds) == shown


def test_settings_read_as_in_the_configuration() -> None:
    assert numbers.setting(0.0002) == "0.0002"
    assert numbers.setting(True) == "true"
    assert numbers.setting(["q_proj", "v_proj"]) == "q_proj, v_proj"
    assert numbers.setting({"a": None, "b": 12000}) == "a = –, b = 12,000"


def test_moments_are_shown_in_utc() -> None:
    there = datetime(2025, 11, 20, 10, 30, tzinfo=timezone(timedelta(hours=1)))
    assert numbers.moment(there) == numbers.moment(there.astimezone(UTC))
    assert numbers.moment(there) == "2025-11-20 09:30:00 UTC"
