"""Windows cut by tensor operations against windows built by hand, value by value."""

import math
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.windows import SeriesPanel, WindowShape

FIELDS = (
    "target_SB", "observed_SB", "gap_SB", "calendar_TBF", "age_TB", "cat_BC", "dynamic_TBD",
)  # fmt: skip


@st.composite
def collections(draw):
    """Draw a few series of any length with gaps, categories and features, and windows of them."""
    num_cat, num_dynamic = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    values = st.sampled_from([None, 0.0, -2.5, 3.0, 7.25])
    drawn = []
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.lists(values, min_size=1, max_size=12))
        surplus = draw(st.integers(0, 3))
        feature = st.lists(
            st.integers(-9, 9),
            min_size=len(target) + surplus,
            max_size=len(target) + surplus,
        )
        facts = {
            "target": [math.nan if value is None else value for value in target],
            "start": 60 * draw(st.integers(-30, 30)),
            "cat_C": tuple(draw(st.integers(0, 5)) for _ in range(num_cat)) or None,
            "dynamic_DT": np.float32([draw(feature) for _ in range(num_dynamic)])
            if num_dynamic
            else None,
        }
        drawn.append(facts)
    windows = draw(
        st.lists(
            st.tuples(st.integers(0, len(drawn) - 1), st.integers(-6, 20)), min_size=1, max_size=5
        )
    )
    shape = WindowShape(draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(st.integers(0, 4)))
    return drawn, windows, shape


def by_hand(series, forecast_start, shape):
    """Return the fields of one window, step by step; the calendar is None outside the series."""
    length = len(series.target_T)
    fields = {name: [] for name in FIELDS}
    fields["cat_BC"] = list(series.cat_C or ())
    for position in range(shape.reach + shape.context + shape.prediction):
        step = forecast_start - shape.context - shape.reach + position
        is_inside = 0 <= step < length
        value = float(series.target_T[step]) if is_inside else math.nan
        fields["target_SB"].append(0.0 if math.isnan(value) else value)
        fields["observed_SB"].append(0.0 if math.isnan(value) else 1.0)
        fields["gap_SB"].append(1.0 if is_inside and math.isnan(value) else 0.0)
        if position < shape.reach:
            continue
        moment = datetime(1970, 1, 1) + timedelta(minutes=series.start + 60 * step)  # noqa: DTZ001
        day_of_year = moment.timetuple().tm_yday
        fields["calendar_TBF"].append(
            [moment.hour / 23, moment.weekday() / 6, (moment.day - 1) / 30, (day_of_year - 1) / 365]
            if is_inside
            else None
        )
        fields["age_TB"].append(math.log10(2 + max(step, 0)))
        rows = [] if series.dynamic_DT is None else series.dynamic_DT
        fields["dynamic_TBD"].append([float(row[step]) if is_inside else 0.0 for row in rows])
    return fields


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "calendar_TBF"])
@given(collection=collections())
@settings(deadline=None, max_examples=60)
def test_a_window_is_what_a_loop_over_its_steps_gives(make_series, make_panel, field, collection):
    drawn, pairs, shape = collection
    series = [make_series(**facts) for facts in drawn]
    windows = make_panel(series).cut(*torch.tensor(pairs).T, shape)
    expected = [by_hand(series[index], start, shape)[field] for index, start in pairs]
    ours = getattr(windows, field)
    ours = ours if field == "cat_BC" else ours.transpose(0, 1)
    np.testing.assert_allclose(ours, np.reshape(expected, ours.shape), rtol=1e-6)


@given(collection=collections())
@settings(deadline=None, max_examples=60)
def test_calendar_features_inside_a_series_are_those_of_its_steps(
    make_series, make_panel, collection
):
    drawn, pairs, shape = collection
    series = [make_series(**facts) for facts in drawn]
    windows = make_panel(series).cut(*torch.tensor(pairs).T, shape)
    expected = [by_hand(series[index], start, shape)["calendar_TBF"] for index, start in pairs]
    inside = [
        (ours, [feature - 0.5 for feature in theirs])
        for column, steps in zip(windows.calendar_TBF.transpose(0, 1), expected, strict=True)
        for ours, theirs in zip(column.tolist(), steps, strict=True)
        if theirs is not None
    ]
    assert all(ours == pytest.approx(theirs, abs=1e-6) for ours, theirs in inside)


@given(collection=collections())
@settings(deadline=None, max_examples=60)
def test_a_batch_of_windows_is_its_windows_one_by_one(make_series, make_panel, collection):
    drawn, pairs, shape = collection
    panel = make_panel([make_series(**facts) for facts in drawn])
    whole = panel.cut(*torch.tensor(pairs).T, shape)
    single = [panel.cut(*torch.tensor([pair]).T, shape) for pair in pairs]
    assert all(
        torch.equal(
            getattr(whole, field),
            torch.cat([getattr(one, field) for one in single], dim=0 if field == "cat_BC" else 1),
        )
        for field in FIELDS
    )


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("frequency", ["min", "H", "D", "W", "M"])
def test_a_window_is_the_same_whatever_series_stand_beside_its_own(
    make_series, make_panel, frequency, field
):
    short = make_series([1.0, 2.0], start=100_000 * 1440 if frequency != "M" else 100)
    old, recent = make_series(np.ones(9), start=0), make_series(np.ones(9), start=200_000 * 1440)
    cut = torch.tensor([0]), torch.tensor([4]), WindowShape(3, 20, 6)
    alone = make_panel([short], frequency).cut(*cut)
    beside = make_panel([short, old, recent], frequency).cut(*cut)
    assert torch.equal(getattr(alone, field), getattr(beside, field))


def test_a_window_may_begin_before_its_series(make_series, make_panel):
    windows = make_panel([make_series([1.0, 2.0, 3.0])]).cut(
        torch.tensor([0]), torch.tensor([1]), WindowShape(2, 2, 2)
    )
    assert windows.target_SB[:, 0].tolist() == [0, 0, 0, 1, 2, 3]


def test_nothing_is_observed_before_a_series_nor_flagged_as_a_gap(make_series, make_panel):
    windows = make_panel([make_series([1.0, 2.0, 3.0])]).cut(
        torch.tensor([0]), torch.tensor([0]), WindowShape(2, 2, 1)
    )
    flags = torch.stack([windows.observed_SB[:, 0], windows.gap_SB[:, 0]])
    assert flags.tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_the_steps_ahead_of_a_horizon_are_gaps_with_known_features(make_series, make_panel):
    series = make_series([5.0], dynamic_DT=np.float32([[1, 2, 3]]))
    windows = make_panel([series], horizon=2).cut(
        torch.tensor([0]), torch.tensor([1]), WindowShape(1, 1, 2)
    )
    assert windows.dynamic_TBD[:, 0, 0].tolist() == [1, 2, 3]


def test_a_horizon_makes_each_series_longer(make_series, make_panel):
    panel = make_panel([make_series([5.0]), make_series([5.0, 6.0])], horizon=3)
    assert panel.lengths.tolist() == [4, 5]


def test_the_known_future_of_training_features_is_dropped(make_series, make_panel):
    first = make_series([1.0], dynamic_DT=np.float32([[1, 98, 99]]))
    second = make_series([2.0], dynamic_DT=np.float32([[2]]))
    assert make_panel([first, second]).dynamic.tolist() == [[1], [2]]


def test_a_panel_counts_its_series(make_series, make_panel):
    assert len(make_panel([make_series([1.0])] * 3)) == 3


def test_categories_are_left_out_when_they_are_not_used(make_series, make_panel):
    panel = make_panel([make_series([1.0]), make_series([1.0], cat_C=(3,))])
    assert panel.cat_NC.shape == (2, 0)


def test_windows_are_cut_on_the_device_of_the_panel(make_series, make_panel):
    series = make_series([1.0, 2.0], cat_C=(1,), dynamic_DT=np.float32([[1, 2]]))
    panel = make_panel([series]).to(torch.device("meta"))
    windows = panel.cut(torch.tensor([0]), torch.tensor([1]), WindowShape(1, 1, 1))
    assert {getattr(windows, field).device.type for field in FIELDS} == {"meta"}


def test_windows_without_features_are_cut_on_the_device_of_the_panel(make_series, make_panel):
    panel = make_panel([make_series([1.0, 2.0])]).to(torch.device("meta"))
    windows = panel.cut(torch.tensor([0]), torch.tensor([1]), WindowShape(1, 1, 1))
    assert {getattr(windows, field).device.type for field in FIELDS} == {"meta"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_windows_cut_on_a_gpu_are_those_cut_on_a_cpu(make_wave, make_panel):
    series = [make_wave(50, seed, gaps=0.2, cardinality=(3,), num_dynamic=2) for seed in range(4)]
    cut = torch.arange(4), torch.tensor([0, 7, 20, 46]), WindowShape(9, 5, 4)
    cpu, gpu = make_panel(series).cut(*cut), make_panel(series).to(torch.device("cuda")).cut(*cut)
    assert all(
        torch.allclose(getattr(cpu, field), getattr(gpu, field).cpu(), rtol=1e-6, atol=1e-7)
        for field in FIELDS
    )


def test_a_shape_counts_the_steps_of_the_network():
    assert WindowShape(100, 3, 2).num_steps == 5


def test_windows_count_the_steps_of_the_network(make_series, make_panel):
    panel = make_panel([make_series([1.0])])
    assert panel.cut(torch.tensor([0]), torch.tensor([0]), WindowShape(4, 3, 2)).num_steps == 5


def test_features_are_cut_in_the_scale_the_model_has_learnt(make_series):
    series = make_series(np.ones(3), dynamic_DT=np.array([[10.0, 20.0, 30.0]], dtype=np.float32))
    panel = SeriesPanel(
        [series],
        Frequency.parse("H"),
        num_cat=0,
        num_dynamic=1,
        feature_means=[20.0],
        feature_deviations=[10.0],
    )
    windows = panel.cut(torch.tensor([0]), torch.tensor([2]), WindowShape(1, 2, 1))
    assert windows.dynamic_TBD[:, 0, 0].tolist() == [-1.0, 0.0, 1.0]
