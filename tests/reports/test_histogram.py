"""Histograms: any counts can be drawn, and each kind keeps its colour."""

import pytest

from sm_dl.contract.figures import Histogram
from sm_dl.reports.histogram import chart, colours, has_values
from sm_dl.reports.style import NARROW, SERIES


def histogram(edges, **series) -> Histogram:
    return Histogram("Scores", "score", "pairs", edges, series)


@pytest.mark.parametrize(
    ("edges", "counts"),
    [
        ([0, 1, 2], [3, 4]),
        ([-1e299, 0.0, 1e299], [0, 10**12]),
        ([0.0, 1e-12], [1]),
        ([0, 1, 2, None], [3, 4, 5]),
        ([0, 1, 1, 2], [3, 4, 5]),
        ([0, 1, 2], [None, 4]),
        ([0, 1, 2], [3]),
    ],
)
def test_any_counts_can_be_drawn(edges, counts):
    figure = histogram(edges, observed=counts)
    assert has_values(figure)
    assert chart(figure, NARROW, "a-").startswith("<svg")


@pytest.mark.parametrize(
    ("edges", "counts"),
    [([], []), ([1], []), ([None, 1], [2]), ([-1e300, 1], [2]), ([0, 1], [None]), ([0, 1], [])],
)
def test_without_a_bin_and_a_count_there_is_nothing_to_draw(edges, counts):
    assert not has_values(histogram(edges, observed=counts))


def test_every_kind_is_drawn_in_its_colour():
    figure = histogram([0, 1, 2], observed=[1, 2], generated=[2, 1])
    assert colours(figure) == [("observed", SERIES[0]), ("generated", SERIES[1])]
    drawn = chart(figure, NARROW, "a-")
    assert all(f"var(--{colour})" in drawn for _, colour in colours(figure))


def test_the_axis_of_counts_begins_at_zero():
    assert ">0</text>" in chart(histogram([10, 11, 12], observed=[100, 101]), NARROW, "a-")


def test_the_same_counts_give_the_same_picture():
    figure = histogram([0, 1, 2], observed=[1, 2])
    assert chart(figure, NARROW, "a-") == chart(figure, NARROW, "a-")
