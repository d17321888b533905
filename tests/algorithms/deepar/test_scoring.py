"""What is scored on the test channel, what is left out, and the yardstick beside it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.algorithms.deepar import ALGORITHM, scoring
from sm_dl.algorithms.deepar.scoring import seasonal_naive
from sm_dl.contract.metrics import MetricLog
from sm_dl.errors import UserError

AHEAD = 4
POINT = {"likelihood": "deterministic-L1"}


def records(*lengths, seed=0, **changes):
    """Return records of random hourly series."""
    random = np.random.default_rng(seed)
    return [
        {"start": "2020-01-01 00:00:00", "target": random.uniform(1, 9, length).round(3).tolist()}
        | changes
        for length in lengths
    ]


@pytest.fixture
def score(make_channel, make_hyperparameters):
    """Return a way to score records as the test channel of a job."""

    def run(predictor, given, **hyperparameters):
        return scoring.score(
            predictor,
            scoring.read_test_series(make_channel(given, "test"), predictor.schema),
            make_hyperparameters(time_freq=str(predictor.schema.frequency), **hyperparameters),
            MetricLog(ALGORITHM.metrics, "algo-1"),
        )

    return run


def naive_by_loop(target, season, steps):
    """Repeat the last season, missing values filled from the left, then from the right."""
    filled, last = [], None
    for value in target:
        last = last if math.isnan(value) else value
        filled.append(last)
    known = [value for value in filled if value is not None]
    if not known:
        return [0.0] * steps
    filled = [known[0] if value is None else value for value in filled]
    period = season if len(filled) >= season else 1
    answer = list(filled)
    for _ in range(steps):
        answer.append(answer[-period])
    return answer[len(filled) :]


@given(
    target=st.lists(st.sampled_from([math.nan, 1.0, 2.0, 5.0, -3.0]), min_size=1, max_size=14),
    season=st.integers(1, 8),
    steps=st.integers(1, 20),
)
def test_the_seasonal_naive_forecast_is_that_of_a_loop(make_series, target, season, steps):
    ours = seasonal_naive(make_series(target), season, steps)
    assert ours.tolist() == [naive_by_loop(target, season, steps)]


def test_a_series_shorter_than_a_season_repeats_its_last_value(make_series):
    assert seasonal_naive(make_series([1.0, 2.0]), 3, 4).tolist() == [[2.0] * 4]


def test_a_series_without_any_value_is_forecast_as_zero(make_series):
    assert seasonal_naive(make_series([np.nan, np.nan]), 1, 2).tolist() == [[0.0, 0.0]]


def test_an_empty_series_is_forecast_as_zero(make_series):
    assert seasonal_naive(make_series([]), 1, 2).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("frequency", "season"),
    [("H", 24), ("2H", 12), ("min", 1440), ("5min", 288), ("D", 7), ("W", 52), ("M", 12),
     ("3M", 4), ("30D", 1), ("1000H", 1)],
)  # fmt: skip
def test_a_season_is_counted_in_steps(make_predictor, score, frequency, season):
    tested = score(make_predictor(frequency=frequency, **POINT), records(20))
    assert tested.season == season


def test_the_last_points_are_forecast_from_the_rest(make_predictor, make_series, score):
    predictor, given_ = make_predictor(**POINT), records(30, 40)
    start = predictor.schema.frequency.time_of(np.datetime64("2020-01-01"))
    targets = [np.float32(one["target"]) for one in given_]
    known = [make_series(target[:-AHEAD], start=start) for target in targets]
    forecast = predictor.forecast(known, num_samples=1, num_steps=AHEAD)[:, 0]
    truth = np.stack([target[-AHEAD:] for target in targets])
    expected = np.sqrt(np.square(forecast - truth).mean())
    assert score(predictor, given_).scores.rmse == pytest.approx(expected, rel=1e-5)


def test_what_is_to_be_forecast_is_never_seen(make_predictor, score):
    predictor = make_predictor()
    first, second = records(30)[0], records(30)[0]
    second["target"][-AHEAD:] = [1000.0] * AHEAD
    panels = [score(predictor, [one]).panels[0] for one in (first, second)]
    assert panels[0].quantiles == panels[1].quantiles


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_how_many_series_are_forecast_at_once_changes_no_score(
    make_predictor, score, monkeypatch, at_once
):
    predictor, given_ = make_predictor(**POINT), records(30, 12, 40, 7, 25)
    whole = score(predictor, given_).scores
    monkeypatch.setattr(scoring, "SERIES_AT_ONCE", at_once)
    assert score(predictor, given_).scores.rmse == pytest.approx(whole.rmse, rel=1e-5)


def test_the_yardstick_is_scored_on_the_same_points(make_predictor, score):
    given_ = records(60, 70)
    errors = [
        np.subtract(naive_by_loop(one["target"][:-AHEAD], 24, AHEAD), one["target"][-AHEAD:])
        for one in given_
    ]
    tested = score(make_predictor(), given_)
    assert tested.naive.rmse == pytest.approx(np.sqrt(np.square(errors).mean()), rel=1e-5)


def test_the_scored_levels_are_those_of_the_job(make_predictor, score):
    tested = score(make_predictor(), records(30), test_quantiles="[0.25, 0.75]")
    assert list(tested.scores.weighted_quantile_losses) == [0.25, 0.75]


@pytest.mark.parametrize("length", [1, AHEAD - 1, AHEAD])
def test_a_series_without_a_point_before_the_forecast_is_left_out(make_predictor, score, length):
    predictor = make_predictor(**POINT)
    with_short = score(predictor, records(30) + records(length, seed=1))
    assert with_short.scores.rmse == pytest.approx(score(predictor, records(30)).scores.rmse)


def test_a_warning_tells_how_many_series_are_left_out(make_predictor, score, log):
    score(make_predictor(), records(30, AHEAD, 1))
    assert "channel test: 2 of 3 series have no point before" in log.text


def test_one_point_before_the_forecast_is_enough(make_predictor, score):
    assert score(make_predictor(), records(AHEAD + 1)) is not None


def test_without_any_series_long_enough_there_is_no_score(make_predictor, score):
    assert score(make_predictor(), records(AHEAD, 2)) is None


def test_without_any_known_truth_there_is_no_score(make_predictor, score):
    unknown = records(30)
    unknown[0]["target"][-AHEAD:] = [None] * AHEAD
    assert score(make_predictor(), unknown) is None


def test_missing_truth_is_left_out_of_the_score(make_predictor, score):
    predictor = make_predictor(**POINT)
    whole, unknown = records(30, 30), records(30, 30)
    unknown[1]["target"][-AHEAD:] = ["NaN"] * AHEAD
    expected = score(predictor, whole[:1]).scores.rmse
    assert score(predictor, unknown).scores.rmse == pytest.approx(expected)


def test_scores_are_printed_as_the_service_prints_them(make_predictor, score, log):
    tested = score(make_predictor(), records(30), test_quantiles="[0.5, 0.9]")
    scores = tested.scores
    losses = scores.weighted_quantile_losses
    printed = [message for message in log.messages if message.startswith("#")]
    assert printed == [
        f"#test_score (algo-1, RMSE): {scores.rmse}",
        f"#test_score (algo-1, mean_absolute_QuantileLoss): {scores.mean_absolute_quantile_loss}",
        f"#test_score (algo-1, mean_wQuantileLoss): {scores.mean_weighted_quantile_loss}",
        f"#test_score (algo-1, wQuantileLoss[0.5]): {losses[0.5]}",
        f"#test_score (algo-1, wQuantileLoss[0.9]): {losses[0.9]}",
        f"#quality_metric: host=algo-1, test RMSE <loss>={scores.rmse}",
        (
            "#quality_metric: host=algo-1, test mean_wQuantileLoss "
            f"<loss>={scores.mean_weighted_quantile_loss}"
        ),
    ]


def test_a_truth_of_zeros_has_no_weighted_loss_to_report(make_predictor, score, log):
    zeros = records(30)
    zeros[0]["target"][-AHEAD:] = [0.0] * AHEAD
    score(make_predictor(), zeros)
    assert not any("mean_wQuantileLoss <loss>" in message for message in log.messages)


def test_the_same_seed_scores_the_same(make_predictor, score):
    predictor = make_predictor()
    first, second = (score(predictor, records(30, 40), seed="3").scores for _ in range(2))
    assert first == second


def test_a_series_that_does_not_fit_the_model_is_named(make_predictor, score):
    with pytest.raises(UserError, match=r"^test/a.json line 2: cat\[0\]: expected 0 to 2"):
        score(make_predictor(cardinality=(3,)), records(30, cat=[2]) + records(30, cat=[3]))


@pytest.mark.parametrize("surplus", [0, AHEAD])
def test_features_may_end_with_the_target_or_reach_further(make_predictor, score, surplus):
    features = np.random.default_rng(0).normal(size=(1, 30 + AHEAD)).round(3)
    predictor = make_predictor(num_dynamic=1, **POINT)
    given_ = records(30, dynamic_feat=features[:, : 30 + surplus].tolist())
    whole = records(30, dynamic_feat=features.tolist())
    expected = score(predictor, whole).scores.rmse
    assert score(predictor, given_).scores.rmse == pytest.approx(expected)


@pytest.mark.parametrize(("length", "is_warned"), [("400", False), ("401", True)])
def test_a_long_context_brings_a_warning(make_predictor, score, log, length, is_warned):
    score(make_predictor(), records(30), context_length=length)
    assert any("scoring may take long" in message for message in log.messages) == is_warned


def test_a_few_forecasts_are_shown(make_predictor, score):
    assert len(score(make_predictor(), records(*[20] * 9)).panels) == 6


def test_forecasts_are_shown_from_the_best_to_the_worst(make_predictor, score):
    panels = score(make_predictor(), records(*range(10, 20))).panels
    errors = [float(panel.title.split("error ")[1].split()[0]) for panel in panels]
    assert errors == sorted(errors)


@pytest.mark.parametrize(("fields", "name"), [({"id": "a7"}, "a7"), ({}, "test/a.json line 1")])
def test_a_shown_forecast_is_titled_by_name_or_place(make_predictor, score, fields, name):
    panel = score(make_predictor(), records(30, **fields)).panels[0]
    assert panel.title.startswith(f"{name} · error ")


def test_a_shown_forecast_follows_its_history_in_time(make_predictor, score):
    panel = score(make_predictor(), records(30)).panels[0]
    times = np.array([*panel.history_times, *panel.times], dtype="datetime64[h]")
    last = np.datetime64("2020-01-02T05")
    np.testing.assert_array_equal(times, np.arange(last - 4 * AHEAD + 1, last + 1))


def test_a_shown_history_is_three_forecasts_long(make_predictor, score):
    target = records(30)[0]["target"]
    panel = score(make_predictor(), records(30)).panels[0]
    assert panel.history == pytest.approx(target[-4 * AHEAD : -AHEAD], rel=1e-6)


def test_missing_values_are_shown_as_none(make_predictor, score):
    gappy = records(30)
    gappy[0]["target"][-1] = None
    assert score(make_predictor(), gappy).panels[0].truth[-1] is None
