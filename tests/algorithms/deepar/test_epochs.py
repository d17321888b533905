"""What one epoch is: the printed examples of the service, and the counts of its logs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.epochs import EpochRule, draw_epoch

EPOCHS = 200


def counts(num_series, batch_size, length):
    """Return how many windows each of many epochs has."""
    rule = EpochRule.of(num_series, batch_size)
    starts = np.full(num_series, length)
    return np.array(
        [len(draw_epoch(starts, rule, seed=11, epoch=epoch)[0]) for epoch in range(EPOCHS)]
    )


@pytest.mark.parametrize(
    ("num_series", "batch_size", "passes", "probability"),
    [
        (156, 128, 9, 0.9116809116809116),
        (200, 32, 2, 0.8),
        (12, 128, 107, 1280 / 1284),
        (1280, 128, 1, 1.0),
        (5000, 128, 1, 1.0),
        (1, 1, 10, 1.0),
        (370, 64, 2, 640 / 740),
    ],
)
def test_few_series_are_visited_in_several_random_passes(
    num_series, batch_size, passes, probability
):
    assert EpochRule.of(num_series, batch_size) == EpochRule(passes, pytest.approx(probability))


def test_the_log_line_is_the_services_own():
    assert EpochRule.of(156, 128).log_line() == (
        "Small number of time series. Doing 9 passes over dataset "
        "with prob 0.9116809116809116 per epoch."
    )


def test_nothing_is_said_about_one_sure_pass():
    assert EpochRule.of(1280, 128).log_line() is None


@given(num_series=st.integers(1, 10**6), batch_size=st.integers(1, 10**4))
def test_a_pass_is_never_more_than_sure(num_series, batch_size):
    assert 0 < EpochRule.of(num_series, batch_size).probability <= 1


@given(num_series=st.integers(1, 10**6), batch_size=st.integers(1, 10**4))
def test_an_epoch_wants_ten_batches_or_every_series_once(num_series, batch_size):
    rule = EpochRule.of(num_series, batch_size)
    wanted = max(num_series, 10 * batch_size)
    assert rule.passes * rule.probability * num_series == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("num_series", "batch_size", "length", "wanted"),
    [(156, 128, 200, 1280), (200, 32, 305, 320), (400, 40, 305, 400), (12, 128, 30_000, 1280)],
)
def test_an_epoch_has_on_average_as_many_windows_as_wanted(num_series, batch_size, length, wanted):
    seen = counts(num_series, batch_size, length)
    assert abs(seen.mean() - wanted) < 4 * seen.std() / math.sqrt(EPOCHS)


def test_each_visit_of_a_sure_pass_draws_a_poisson_like_number_of_windows():
    seen = counts(400, 40, 305)  # 400 binomial(305, 1/305) counts: a standard deviation near 20
    assert 0.85 * 20 < seen.std() < 1.15 * 20


def test_counts_of_an_epoch_lie_in_the_range_of_the_services_logs():
    seen = counts(400, 40, 305)  # 412 epochs of the service: 367 to 451 windows
    assert 300 < seen.min() <= seen.max() < 500


@pytest.mark.parametrize("length", [1, 2, 7])
def test_each_visit_draws_one_window_on_average_however_short_the_series(length):
    visits = 20_000
    series, _ = draw_epoch(np.array([length]), EpochRule(visits, 1.0), seed=5, epoch=0)
    spread = math.sqrt(visits * (1 - 1 / length))
    assert abs(len(series) - visits) <= 4 * spread


def test_series_are_visited_alike():
    series, _ = draw_epoch(np.full(10, 50), EpochRule(3000, 0.5), seed=2, epoch=0)
    per_series = np.bincount(series, minlength=10)
    assert np.abs(per_series - 1500).max() < 4.5 * math.sqrt(1500 * 1.5)


def test_every_start_is_reachable():
    series, starts = draw_epoch(np.array([1, 5, 3]), EpochRule(400, 1.0), seed=0, epoch=0)
    assert {*zip(series.tolist(), starts.tolist(), strict=True)} == {
        (0, 0), (1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1), (2, 2),
    }  # fmt: skip


def test_starts_are_drawn_alike():
    _, starts = draw_epoch(np.array([20]), EpochRule(40_000, 1.0), seed=7, epoch=0)
    seen = np.bincount(starts, minlength=20)
    assert np.abs(seen - 2000).max() < 4.5 * math.sqrt(2000)


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    batch_size=st.integers(1, 64),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 10**6),
)
@settings(deadline=None)
def test_no_index_is_out_of_range(lengths, batch_size, seed, epoch):
    num_starts = np.array(lengths)
    rule = EpochRule.of(len(lengths), batch_size)
    series, starts = draw_epoch(num_starts, rule, seed=seed, epoch=epoch)
    assert ((starts >= 0) & (starts < num_starts[series])).all()


def test_the_same_epoch_of_the_same_seed_draws_the_same_windows():
    draws = [draw_epoch(np.full(9, 40), EpochRule(5, 0.9), seed=3, epoch=4) for _ in range(2)]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize(("seed", "epoch"), [(3, 5), (4, 4), (4, 3), (0, 0)])
def test_another_epoch_or_seed_draws_other_windows(seed, epoch):
    first = draw_epoch(np.full(9, 40), EpochRule(5, 0.9), seed=3, epoch=4)
    other = draw_epoch(np.full(9, 40), EpochRule(5, 0.9), seed=seed, epoch=epoch)
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_windows_come_in_random_order():
    series, _ = draw_epoch(np.full(50, 40), EpochRule(4, 1.0), seed=0, epoch=0)
    rises = np.mean(np.diff(series) >= 0)
    assert 0.35 < rises < 0.65


def test_even_an_unlucky_epoch_has_a_window():
    rule = EpochRule.of(1, 1)  # ten windows on average: none once in 20,000 epochs, here in this
    assert len(draw_epoch(np.array([300]), rule, seed=2, epoch=1376)[0]) > 0
