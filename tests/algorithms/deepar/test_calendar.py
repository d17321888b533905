"""Lags and calendar features against the tables of the guide and a second implementation."""

import datetime as dt

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.calendar import FEATURES, MAX_DAYS, Calendar, Frequency
from sm_dl.errors import UserError

LISTED = {
    "M": [*range(1, 8), *range(11, 14), *range(23, 26), *range(35, 38)],
    "W": [*range(1, 9), 12, *range(51, 54), *range(103, 106), *range(155, 158)],
    "D": [
        *range(1, 9), *range(13, 16), *range(20, 23), *range(27, 32), 56, 84,
        *range(363, 366), *range(727, 730), *range(1091, 1094),
    ],
    "H": [
        *range(1, 8), *range(23, 26), *range(47, 50), *range(71, 74), *range(95, 98),
        *range(119, 122), *range(143, 146), *range(167, 170), *range(335, 338),
        *range(503, 506), *range(671, 674), *range(719, 722),
    ],
    "2H": [
        *range(1, 8), *range(11, 14), *range(23, 26), *range(35, 38), *range(47, 50),
        *range(59, 62), *range(71, 74), *range(83, 86), *range(167, 170), *range(251, 254),
        *range(335, 338), *range(359, 362), 672, 1008,
    ],
    "min": [*range(1, 8), *range(58, 63), *range(118, 123), *range(178, 183)],
    "5min": [
        *range(1, 8), *range(10, 15), *range(22, 27), *range(34, 39), *range(287, 290),
        *range(575, 578), *range(863, 866), *range(1151, 1154),
    ],
    "10min": [
        *range(1, 9), *range(10, 15), *range(16, 21), *range(143, 146), *range(287, 290),
        *range(431, 434), *range(575, 578), *range(719, 722), *range(863, 866),
        *range(1007, 1010),
    ],
    "15min": [
        *range(1, 15), *range(95, 98), *range(191, 194), *range(287, 290), *range(383, 386),
        *range(479, 482), *range(575, 578), *range(671, 674),
    ],
    "30min": [
        *range(1, 9), *range(47, 50), *range(95, 98), *range(143, 146), *range(191, 194),
        *range(239, 242), *range(287, 290), *range(335, 338), *range(671, 674),
        *range(1007, 1010),
    ],
}  # fmt: skip
DERIVED = {
    "3M": [*range(1, 10), 11, 12, 13],  # 4, 8 and 12 steps are one, two and three years
    "2W": [*range(1, 8), *range(25, 28), *range(51, 54), *range(77, 80)],
    "6H": [
        *range(1, 10), *range(11, 14), *range(15, 18), *range(19, 22), *range(23, 26),
        *range(27, 30), *range(55, 58), *range(83, 86), *range(111, 114), *range(119, 122),
    ],
    "5H": [  # a day is 4.8 steps
        *range(1, 8), *range(9, 12), *range(13, 16), *range(18, 21), *range(23, 26),
        *range(28, 31), *range(33, 36), *range(66, 69), *range(100, 103), *range(133, 136),
        *range(143, 146),
    ],
    "20min": [
        *range(1, 11), *range(71, 74), *range(143, 146), *range(215, 218), *range(287, 290),
        *range(359, 362), *range(431, 434), *range(503, 506), *range(1007, 1010),
    ],
    "40D": [*range(1, 11), *range(17, 20), *range(26, 29)],
}  # fmt: skip
PANDAS_NAMES = {"M": "ME", "W": "W", "D": "D", "H": "h", "min": "min"}
DATES = [
    "0001-01-01", "0004-02-29", "1582-10-15", "1677-09-21", "1900-02-28", "1900-03-01",
    "1969-12-31", "1970-01-01", "2000-02-29", "2000-12-31", "2020-12-31", "2021-01-03",
    "2024-02-29", "2024-12-30", "2024-12-31", "2262-04-12", "9999-12-31",
]  # fmt: skip
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - series have no time zone
FIRST_MINUTE = -(EPOCH - dt.datetime(1, 1, 1)) // dt.timedelta(minutes=1)  # noqa: DTZ001
LAST_MINUTE = (dt.datetime(9999, 12, 31, 23, 59) - EPOCH) // dt.timedelta(minutes=1)  # noqa: DTZ001

minutes = st.integers(FIRST_MINUTE, LAST_MINUTE)


def reference(base: str, moment: dt.datetime) -> list[float]:
    """Return the features of the guide's table, element by element."""
    every = {
        "minute-of-hour": moment.minute / 59,
        "hour-of-day": moment.hour / 23,
        "day-of-week": moment.weekday() / 6,
        "day-of-month": (moment.day - 1) / 30,
        "day-of-year": (moment.timetuple().tm_yday - 1) / 365,
        "week-of-year": (moment.isocalendar().week - 1) / 52,
        "month-of-year": (moment.month - 1) / 11,
    }
    names = {
        "min": ["minute-of-hour", "hour-of-day", "day-of-week", "day-of-month", "day-of-year"],
        "H": ["hour-of-day", "day-of-week", "day-of-month", "day-of-year"],
        "D": ["day-of-week", "day-of-month", "day-of-year"],
        "W": ["day-of-month", "week-of-year"],
        "M": ["month-of-year"],
    }
    return [every[name] - 0.5 for name in names[base]]


def features_at(base: str, time: int) -> torch.Tensor:
    """Return the features of one time by a calendar that spans nothing else."""
    return Calendar(Frequency(base, 1), time, time).features(torch.tensor([time]))[0]


@pytest.mark.parametrize("text", LISTED)
def test_lags_are_those_of_the_guides_table(text):
    assert list(Frequency.parse(text).lags()) == LISTED[text]


@pytest.mark.parametrize("text", DERIVED)
def test_lags_of_another_multiple_lie_around_its_seasons(text):
    assert list(Frequency.parse(text).lags()) == DERIVED[text]


def test_one_written_before_a_base_changes_nothing():
    assert Frequency.parse("1H").lags() == Frequency.parse("H").lags()


@given(base=st.sampled_from(list(FEATURES)), multiple=st.integers(1, 10_000_000))
def test_lags_of_any_frequency_rise(base, multiple):
    lags = Frequency(base, multiple).lags()
    assert list(lags) == sorted(set(lags))


@given(base=st.sampled_from(list(FEATURES)), multiple=st.integers(1, 10_000_000))
def test_lags_of_any_frequency_begin_with_the_last_seven_steps(base, multiple):
    assert Frequency(base, multiple).lags()[:7] == (1, 2, 3, 4, 5, 6, 7)


@given(base=st.sampled_from(list(FEATURES)), multiple=st.integers(1, 10_000_000))
def test_no_lag_reaches_much_further_back_than_the_listed_ones(base, multiple):
    assert Frequency(base, multiple).lags()[-1] <= 1201


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # gluonts uses old names of pandas
@pytest.mark.parametrize("text", LISTED)
def test_lags_are_those_of_gluonts(text):
    time_feature = pytest.importorskip(
        "gluonts.time_feature", reason="gluonts, the second implementation, is not installed"
    )
    frequency = Frequency.parse(text)
    name = f"{frequency.multiple}{PANDAS_NAMES[frequency.base]}"
    assert list(frequency.lags()) == time_feature.get_lags_for_frequency(name)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # gluonts uses old names of pandas
@pytest.mark.parametrize("base", FEATURES)
def test_features_are_those_of_gluonts(base):
    time_feature = pytest.importorskip(
        "gluonts.time_feature", reason="gluonts, the second implementation, is not installed"
    )
    pandas = pytest.importorskip("pandas", reason="gluonts reads time from pandas")
    index = pandas.date_range("2019-12-25 22:47", periods=3000, freq="7h13min")
    functions = time_feature.time_features_from_frequency_str(PANDAS_NAMES[base])
    theirs = np.stack([np.asarray(function(index)) for function in functions], axis=-1)
    frequency = Frequency(base, 1)
    times = [frequency.time_of(np.datetime64(moment, "m")) for moment in index.to_numpy()]
    ours = Calendar(frequency, times[0], times[-1]).features(torch.tensor(times))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("text", ["M", "W", "2D", "H", "12H", "min", "30min"])
def test_a_frequency_is_printed_as_the_service_spells_it(text):
    assert str(Frequency.parse(f" {text} ")) == text


@pytest.mark.parametrize("text", ["", "0H", "-1D", "h", "1.5H", "Hour", "H2", "T"])
def test_text_that_names_no_frequency_is_refused(text):
    with pytest.raises(ValueError, match=r"not a frequency"):
        Frequency.parse(text)


@pytest.mark.parametrize(
    ("text", "step"),
    [("min", 1), ("15min", 15), ("H", 60), ("2H", 120), ("D", 1440), ("W", 10080), ("3M", 3)],
)
def test_a_step_is_counted_in_minutes_or_months(text, step):
    assert Frequency.parse(text).step == step


@pytest.mark.parametrize(
    ("text", "start", "cut"),
    [
        ("min", "2016-01-31T05:47:59", "2016-01-31T05:47:00"),
        ("15min", "2016-01-31T05:47", "2016-01-31T05:47:00"),
        ("H", "2016-01-31T05:47", "2016-01-31T05:00:00"),
        ("2H", "2016-01-31T05:47", "2016-01-31T05:00:00"),
        ("H", "1969-12-31T23:30", "1969-12-31T23:00:00"),
        ("D", "2016-01-31T23:59", "2016-01-31T00:00:00"),
        ("D", "0001-01-01T00:01", "0001-01-01T00:00:00"),
        ("W", "2016-01-31T23:59", "2016-01-31T00:00:00"),
        ("M", "2016-01-31T23:59", "2016-01-01T00:00:00"),
        ("M", "1969-12-31T23:59", "1969-12-01T00:00:00"),
    ],
)
def test_what_is_finer_than_the_base_step_is_cut_off(text, start, cut):
    frequency = Frequency.parse(text)
    assert frequency.text_of(frequency.time_of(np.datetime64(start))) == cut


@pytest.mark.parametrize(
    ("text", "count", "words"),
    [
        ("H", 48, "48 hours"), ("D", 1, "1 day"), ("M", 12, "12 months"), ("W", 2, "2 weeks"),
        ("5min", 12, "12 steps of 5 minutes"), ("min", 90, "90 minutes"),
    ],
)  # fmt: skip
def test_a_number_of_steps_has_words(text, count, words):
    assert Frequency.parse(text).words(count) == words


@pytest.mark.parametrize("text", ["min", "H", "D", "W", "M"])
@pytest.mark.parametrize("year", ["0001", "1677", "2262", "9999"])
def test_any_year_can_be_written_out(text, year):
    frequency = Frequency.parse(text)
    written = frequency.text_of(frequency.time_of(np.datetime64(f"{year}-12-01T00:00")))
    assert written == f"{year}-12-01T00:00:00"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_a_start_does_not_matter(unit):
    start = np.datetime64("2016-01-31T05:47:00", unit)
    assert Frequency.parse("H").time_of(start) == (16_831 * 24 + 5) * 60


@pytest.mark.parametrize("base", FEATURES)
@pytest.mark.parametrize("date", DATES)
def test_features_of_a_date_are_those_of_the_standard_library(base, date):
    moment = dt.datetime.fromisoformat(f"{date}T17:43:00")
    time = Frequency(base, 1).time_of(np.datetime64(moment))
    np.testing.assert_allclose(features_at(base, time), reference(base, moment), atol=1e-6)


@pytest.mark.parametrize("base", ["min", "H", "D", "W"])
@given(minute=minutes)
@example(minute=FIRST_MINUTE)
@example(minute=LAST_MINUTE)
@settings(deadline=None)
def test_features_of_any_minute_are_those_of_the_standard_library(base, minute):
    moment = EPOCH + dt.timedelta(minutes=minute)
    time = Frequency(base, 1).time_of(np.datetime64(minute, "m"))
    np.testing.assert_allclose(features_at(base, time), reference(base, moment), atol=1e-6)


@given(year=st.integers(1, 9999), month=st.integers(1, 12))
def test_features_of_any_month_are_those_of_the_standard_library(year, month):
    moment = dt.datetime(year, month, 1)  # noqa: DTZ001 - series have no time zone
    time = Frequency("M", 1).time_of(np.datetime64(moment))
    np.testing.assert_allclose(features_at("M", time), reference("M", moment), atol=1e-6)


@pytest.mark.parametrize("base", FEATURES)
@given(time=minutes)
@settings(deadline=None)
def test_every_feature_lies_within_a_half_of_zero(base, time):
    assert features_at(base, time).abs().max() <= 0.5


@pytest.mark.parametrize("base", FEATURES)
def test_there_are_as_many_features_as_names(base):
    assert len(features_at(base, 0)) == len(Frequency(base, 1).feature_names)


@pytest.mark.parametrize("base", FEATURES)
def test_features_of_a_batch_are_those_of_its_elements(base):
    times = torch.from_numpy(np.random.default_rng(3).integers(-90_000, 90_000, (4, 5, 2)))
    calendar = Calendar(Frequency(base, 1), -90_000, 90_000)
    single = torch.stack([calendar.features(time) for time in times.flatten()])
    assert torch.equal(calendar.features(times).flatten(0, 2), single)


@pytest.mark.parametrize("base", FEATURES)
def test_a_longer_calendar_gives_the_same_features(base):
    times = torch.arange(0, 30_000, 617)
    frequency = Frequency(base, 1)
    narrow, wide = Calendar(frequency, 0, 30_000), Calendar(frequency, -500_000, 900_000)
    assert torch.equal(narrow.features(times), wide.features(times))


@pytest.mark.parametrize("base", FEATURES)
def test_padding_around_the_span_has_features_too(base):
    calendar = Calendar(Frequency(base, 1), 0, 1440)
    assert calendar.features(torch.tensor([-10_000_000, 10_000_000])).abs().max() <= 0.5


@pytest.mark.parametrize("base", ["min", "H", "D", "W"])
def test_a_span_longer_than_any_calendar_is_refused(base):
    with pytest.raises(
        UserError, match=f"{MAX_DAYS + 1} days.*at most {MAX_DAYS}.*time_freq={base}"
    ):
        Calendar(Frequency(base, 1), 0, MAX_DAYS * 1440)


def test_months_need_no_table_and_have_no_longest_span():
    calendar = Calendar(Frequency("M", 10_000_000), -(10**12), 10**12)
    assert calendar.features(torch.tensor(10**12)).item() == pytest.approx(10**12 % 12 / 11 - 0.5)


def test_a_calendar_moves_to_the_device_of_the_windows():
    meta = torch.device("meta")
    features = Calendar(Frequency("min", 1), 0, 0).to(meta).features(torch.tensor([0], device=meta))
    assert features.device == meta
