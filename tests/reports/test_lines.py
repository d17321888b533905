"""Curves: every point can be seen, and the axis suits the values."""

import re
from collections.abc import Callable

import pytest

from sm_dl.contract.figures import Lines
from sm_dl.reports.lines import chart, colours, has_values, is_logarithmic
from sm_dl.reports.style import NARROW, SERIES


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100.0, 1.0], True),
        ([5.0, 1.0], False),
        ([100.0, 0.0], False),
        ([100.0, -1.0], False),
        ([100.0, None, 1.0], True),
        ([None], False),
    ],
)
def test_only_positive_values_far_apart_get_a_logarithmic_axis(
    curves: Callable[..., Lines], values: list[float | None], *, expected: bool
) -> None:
    assert is_logarithmic(curves(loss=values)) is expected


@pytest.mark.parametrize(
    "values",
    [
        [3.2],
        [1e12, 1e6, 3.0],
        [1e300, 1e-300],
        [5e-324, 1.0],
        [-1e300, 1e300],
        [0.0, 0.0],
        [1e9, 1e9 + 1],
        [None, 1.0, None, 2.0],
        [float("inf"), 1.0],
    ],
)
def test_any_values_can_be_drawn(values: list[float | None], curves: Callable[..., Lines]) -> None:
    assert chart(curves(loss=values), NARROW, "a-").startswith("<svg")


def test_without_a_value_there_is_nothing_to_draw(curves: Callable[..., Lines]) -> None:
    assert not has_values(curves(loss=[None, float("nan")]))


def _moves(svg: str, colour: str) -> int:
    """Return how many separate pieces the curve of a colour has."""
    found = re.search(rf'<path d="([^"]+)"[^>]*style="fill: none; stroke: var\(--{colour}\)', svg)
    return found.group(1).count("M") if found else 0


def test_a_missing_value_leaves_a_gap(curves: Callable[..., Lines]) -> None:
    assert _moves(chart(curves(loss=[1, 2, None, 3, 4]), NARROW, "a-"), SERIES[0]) == 2


def test_a_curve_known_at_every_other_epoch_is_joined(curves: Callable[..., Lines]) -> None:
    assert _moves(chart(curves(loss=[1, None, 2, None, 3]), NARROW, "a-"), SERIES[0]) == 1


def test_a_point_between_gaps_gets_a_marker_in_a_long_curve(curves: Callable[..., Lines]) -> None:
    values = [1.0] * 40 + [None, 2.0, None] + [1.0] * 40
    assert chart(curves(loss=values), NARROW, "a-").count("<use") > chart(
        curves(loss=[1.0] * 83), NARROW, "a-"
    ).count("<use")


def test_more_series_than_colours_differ_in_their_dashes(curves: Callable[..., Lines]) -> None:
    figure = curves(**{f"s{index}": [1.0] for index in range(2 * len(SERIES))})
    assert len({(colour, dash) for _, colour, dash in colours(figure)}) == 2 * len(SERIES)
