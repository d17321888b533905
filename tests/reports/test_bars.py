"""Small multiples of bars: lengths compare within a panel, names are text."""

import math

import pytest

from sm_dl.contract.figures import BarPanel, Bars
from sm_dl.reports.bars import panels


def drawn(values, labels=None):
    panel = BarPanel("topic", labels or [f"w{i}" for i in range(len(values))], values, "note")
    (found,) = panels(Bars("T", [panel]))
    return found["bars"]


def test_the_longest_bar_fills_its_width_and_the_others_are_in_proportion():
    assert [bar["percent"] for bar in drawn([0.5, 0.25, 0.0])] == ["100.0", "50.0", "0.0"]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -1.0])
def test_a_value_that_is_no_length_has_no_bar_and_a_dash(value):
    bars = drawn([1.0, value])
    assert (bars[1]["percent"], bars[1]["text"]) == ("0.0", "\N{EN DASH}")


@pytest.mark.parametrize("values", [[], [0.0], [None, 0.0]])
def test_a_panel_without_lengths_is_drawn_all_the_same(values):
    assert [bar["percent"] for bar in drawn(values)] == ["0"] * len(values)
