"""Ticks stand at round times, never too many of them."""

from datetime import datetime, timedelta

import pytest

from sm_dl.reports.time_axis import STEPS_S, days, moments, period, ticks

START = datetime(2024, 2, 27, 5, 30)  # noqa: DTZ001 - times of series have no zone
SPANS_S = [0, 1, 90, 3000, 80_000, 400_000, 5_000_000, 40_000_000, 400_000_000, 8_000_000_000]


@pytest.mark.parametrize("most", [4, 6, 11])
@pytest.mark.parametrize("span_s", SPANS_S)
def test_ticks_lie_within_the_axis_and_are_few(span_s: int, most: int) -> None:
    last = START + timedelta(seconds=span_s)
    found, labels = ticks(START, last, most)
    assert 0 < len(found) == len(labels) <= most
    assert all(START <= time <= last for time in found)


@pytest.mark.parametrize("span_s", SPANS_S)
def test_labels_of_one_axis_differ(span_s: int) -> None:
    _, labels = ticks(START, START + timedelta(seconds=span_s), 6)
    if span_s < STEPS_S[-1] * 20:  # months come again every year
        assert len(set(labels)) == len(labels)


def test_a_day_of_hours_has_its_date_at_midnight() -> None:
    assert ticks(START, START + timedelta(days=1), 6)[1] == ["06:00", "12:00", "18:00", "28 Feb"]


def test_weeks_begin_on_mondays() -> None:
    found, _ = ticks(START, START + timedelta(days=35), 6)
    assert {time.weekday() for time in found} == {0}


def test_a_year_of_months_names_the_year_in_january() -> None:
    assert ticks(START, START + timedelta(days=365), 6)[1] == ["Apr", "Jul", "Oct", "2025"]


def test_positions_are_as_far_apart_as_the_times() -> None:
    one, other = days([START, START + timedelta(hours=6)])
    assert other - one == pytest.approx(0.25)


def test_a_zone_does_not_move_the_clock() -> None:
    assert moments(["2024-02-27T05:30:00Z", "2024-02-27 05:30"]) == [START, START]


@pytest.mark.parametrize("times", [["soon"], ["0001-01-01"], ["9999-12-31"], ["2024-01-01", "b"]])
def test_what_is_no_expected_date_is_no_moment(times: list[str]) -> None:
    assert moments(times) is None


def test_a_period_of_whole_days_has_no_clock() -> None:
    midnight = START.replace(hour=0, minute=0)
    assert period([midnight, midnight + timedelta(days=1)]) == "2024-02-27 to 2024-02-28"


def test_a_period_of_one_moment_is_named_once() -> None:
    assert period([START]) == "2024-02-27 05:30"
