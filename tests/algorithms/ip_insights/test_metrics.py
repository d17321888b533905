"""Areas and curves are those of counting every pair of scores."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.ip_insights.metrics import area_under_curve, distribution, roc_curve

steady = settings(derandomize=True, deadline=None)
few_values = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12).map(np.array)


@steady
@given(few_values, few_values)
def test_the_area_is_the_share_of_pairs_in_order_with_ties_by_half(observed, generated):
    counted = [
        (one > two) + (one == two) / 2 for one, two in itertools.product(observed, generated)
    ]
    assert area_under_curve(observed, generated) == pytest.approx(np.mean(counted))


def test_without_scores_there_is_no_area():
    assert np.isnan(area_under_curve(np.zeros(0), np.ones(1)))


def test_the_curve_runs_from_corner_to_corner_and_never_falls():
    random = np.random.default_rng(0)
    false_rates, true_rates = roc_curve(random.normal(1, 1, 500), random.normal(0, 1, 400), 101)
    assert (false_rates[0], false_rates[-1], true_rates[-1]) == (0, 1, 1)
    assert all(two >= one for one, two in itertools.pairwise(true_rates))


def test_the_area_below_the_curve_is_the_area():
    random = np.random.default_rng(0)
    observed, generated = random.normal(1, 1, 5000), random.normal(0, 1, 4000)
    false_rates, true_rates = roc_curve(observed, generated, 1001)
    assert np.trapezoid(true_rates, false_rates) == pytest.approx(
        area_under_curve(observed, generated), abs=1e-3
    )


def test_a_distribution_counts_every_score_once_over_common_bins():
    random = np.random.default_rng(0)
    found = distribution(random.normal(3, 1, 300), random.normal(-3, 1, 200))
    assert (sum(found.observed), sum(found.generated)) == (300, 200)
    assert len(found.edges) == len(found.observed) + 1 == len(found.generated) + 1


def test_quantiles_are_those_of_the_observed_scores():
    found = distribution(np.arange(101.0), np.full(3, -1000.0))
    assert (found.quantiles[0.0], found.quantiles[0.5], found.quantiles[1.0]) == (0, 50, 100)


def test_equal_scores_can_be_counted_too():
    assert sum(distribution(np.zeros(5), np.zeros(5)).observed) == 5
