"""Scores against the formulas of the guide, written out point by point."""

import math

import numpy as np
import pytest

from sm_dl.algorithms.deepar.metrics import Scorer

LEVELS = (0.1, 0.5, 0.75)


def forecasts(series=5, paths=11, steps=4, seed=0):
    """Return random paths and truths."""
    random = np.random.default_rng(seed)
    shape = (series, paths, steps)
    return random.normal(3, 2, shape).astype(np.float32), random.normal(2, 3, (series, steps))


def scores_of(*batches, levels=LEVELS):
    scorer = Scorer(levels)
    for paths, truth in batches:
        scorer.add(paths, truth)
    return scorer.scores()


def point_by_point(paths, truth, levels=LEVELS):
    """Return RMSE, each weighted quantile loss, and the mean absolute one."""
    losses, squares, magnitude, count = dict.fromkeys(levels, 0.0), 0.0, 0.0, 0
    for one, values in zip(paths, truth, strict=True):
        for step, value in enumerate(values):
            if math.isnan(value):
                continue
            drawn = np.sort(one[:, step].astype(float))
            squares += (drawn.mean() - value) ** 2
            magnitude += abs(value)
            count += 1
            for level in levels:
                rank = level * (len(drawn) - 1)
                low, high = drawn[math.floor(rank)], drawn[math.ceil(rank)]
                quantile = low + (high - low) * (rank - math.floor(rank))
                over, under = max(value - quantile, 0.0), max(quantile - value, 0.0)
                losses[level] += 2 * (level * over + (1 - level) * under)
    weighted = {level: loss / magnitude for level, loss in losses.items()}
    return math.sqrt(squares / count), weighted, sum(losses.values()) / len(levels)


def with_gaps(truth):
    holes = truth.copy()
    holes[0], holes[2, 1] = np.nan, np.nan
    return holes


@pytest.mark.parametrize("change", [lambda truth: truth, with_gaps], ids=["whole", "with gaps"])
def test_rmse_is_that_of_the_mean_forecast(change):
    paths, truth = forecasts()
    expected, _, _ = point_by_point(paths, change(truth))
    assert scores_of((paths, change(truth))).rmse == pytest.approx(expected)


@pytest.mark.parametrize("change", [lambda truth: truth, with_gaps], ids=["whole", "with gaps"])
def test_quantile_losses_are_weighted_by_the_magnitude_of_the_truth(change):
    paths, truth = forecasts()
    _, expected, _ = point_by_point(paths, change(truth))
    ours = scores_of((paths, change(truth))).weighted_quantile_losses
    assert ours == pytest.approx(expected)


@pytest.mark.parametrize("change", [lambda truth: truth, with_gaps], ids=["whole", "with gaps"])
def test_the_absolute_quantile_loss_is_not_weighted(change):
    paths, truth = forecasts()
    _, _, expected = point_by_point(paths, change(truth))
    assert scores_of((paths, change(truth))).mean_absolute_quantile_loss == pytest.approx(expected)


def test_the_two_mean_losses_differ_by_the_magnitude_of_the_truth():
    paths, truth = forecasts()
    scores = scores_of((paths, truth))
    ratio = scores.mean_absolute_quantile_loss / scores.mean_weighted_quantile_loss
    assert ratio == pytest.approx(np.abs(truth).sum())


def test_the_mean_loss_is_the_mean_over_the_levels():
    scores = scores_of(forecasts())
    mean = np.mean(list(scores.weighted_quantile_losses.values()))
    assert scores.mean_weighted_quantile_loss == pytest.approx(mean)


def test_losses_come_in_the_order_of_the_levels():
    scores = scores_of(forecasts(), levels=(0.9, 0.1, 0.5))
    assert list(scores.weighted_quantile_losses) == [0.9, 0.1, 0.5]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_score_like_the_whole(size):
    paths, truth = forecasts()
    truth = with_gaps(truth)
    batches = [(paths[i : i + size], truth[i : i + size]) for i in range(0, len(paths), size)]
    whole, parts = scores_of((paths, truth)), scores_of(*batches)
    assert parts.weighted_quantile_losses == pytest.approx(whole.weighted_quantile_losses)


def test_rmse_of_batches_is_that_of_the_whole():
    paths, truth = forecasts()
    parts = scores_of((paths[:1], truth[:1]), (paths[1:], truth[1:]))
    assert parts.rmse == pytest.approx(scores_of((paths, truth)).rmse)


def test_missing_truth_is_left_out():
    paths, truth = forecasts()
    padded = np.concatenate([truth, np.full((2, 4), np.nan)])
    assert scores_of((paths, truth)) == scores_of((np.concatenate([paths, paths[:2]]), padded))


def test_a_perfect_forecast_loses_nothing():
    _, truth = forecasts()
    paths = np.repeat(truth[:, None], 7, axis=1)
    scores = scores_of((paths, truth))
    assert scores.rmse + scores.mean_weighted_quantile_loss == pytest.approx(0.0, abs=1e-12)


def test_the_median_loss_of_one_path_is_its_relative_absolute_error():
    paths, truth = forecasts(paths=1)
    expected = np.abs(paths[:, 0] - truth).sum() / np.abs(truth).sum()
    assert scores_of((paths, truth)).weighted_quantile_losses[0.5] == pytest.approx(expected)


def test_too_low_forecasts_cost_more_at_high_levels():
    losses = scores_of((np.zeros((1, 3, 2)), np.ones((1, 2))), levels=(0.1, 0.9))
    assert losses.weighted_quantile_losses == pytest.approx({0.1: 0.2, 0.9: 1.8})


def test_without_any_known_truth_there_is_no_score():
    paths, truth = forecasts()
    assert scores_of((paths, np.full_like(truth, np.nan))) is None


def test_without_any_forecast_there_is_no_score():
    assert scores_of() is None


def test_a_truth_of_zeros_has_no_weighted_loss():
    paths, truth = forecasts()
    assert math.isnan(scores_of((paths, 0 * truth)).mean_weighted_quantile_loss)


def test_a_truth_of_zeros_still_has_an_error():
    paths, truth = forecasts()
    expected = np.sqrt(np.square(paths.mean(axis=1)).mean())
    assert scores_of((paths, 0 * truth)).rmse == pytest.approx(expected, rel=1e-5)


def test_sums_do_not_lose_small_errors_among_many():
    paths = np.full((1, 1, 20_000), 1.0, dtype=np.float32)
    truth = np.full((1, 20_000), 1.0 + 1e-6)
    assert scores_of(*[(paths, truth)] * 20).rmse == pytest.approx(1e-6)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # gluonts uses old names of pandas
@pytest.mark.parametrize("level", LEVELS)
def test_quantile_losses_are_those_of_gluonts(level):
    metrics = pytest.importorskip(
        "gluonts.evaluation.metrics", reason="gluonts, the second implementation, is not installed"
    )
    paths, truth = forecasts()
    theirs = metrics.quantile_loss(truth, np.quantile(paths, level, axis=1), level)
    ours = scores_of((paths, truth)).weighted_quantile_losses[level]
    assert ours * np.abs(truth).sum() == pytest.approx(theirs)
