"""Points on a plane: all that can be drawn are, the background below the others."""

import math

import pytest

from sm_dl.contract.figures import Scatter
from sm_dl.reports.scatter import chart, colours, has_values, points_of
from sm_dl.reports.style import NARROW, SERIES


def figure(**groups):
    return Scatter("S", "x", "y", groups, rest="rest")


def test_every_point_is_drawn_once():
    one, three = (
        chart(figure(a=[[0, 1], [5, 5], *more]), NARROW, "a-").count("<use")
        for more in ([], [[1, 2], [2, 3]])
    )
    assert three - one == 2


def test_the_background_is_grey_and_named_last():
    assert colours(figure(rest=[[0, 0]], a=[[1, 1]])) == [("a", SERIES[0]), ("rest", "past")]


def test_groups_have_colours_of_their_own():
    found = colours(figure(**{f"g{index}": [[0, 0]] for index in range(len(SERIES))}))
    assert len({colour for _, colour in found}) == len(SERIES)


@pytest.mark.parametrize("point", [[None, 1], [math.nan, 1], [1, math.inf], [1e301, 0], [1], []])
def test_a_point_that_has_no_place_is_left_out(point):
    assert points_of(figure(a=[point, [1, 2]]), "a").tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("points", [[[0, 0]], [[1e200, -1e200], [0, 0]], [[5, 5]] * 3])
def test_any_points_can_be_drawn(points):
    assert chart(figure(a=points), NARROW, "a-").startswith("<svg")


def test_without_a_point_there_is_nothing_to_draw():
    assert not has_values(figure(a=[], b=[[None, 1]]))
