"""Numbers are short, keep their size and agree within a column."""

import math

import pytest

from sm_dl.reports.numerals import MINUS, MISSING, column, exact, log_tick, measured, ticks


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.061234, "0.06123"),
        (0.1, "0.1"),
        (1234567, "1,234,567"),
        (1234567.8, "1,234,568"),
        (-12.3456, f"{MINUS}12.35"),
        (1.5e18, "1.5\N{MULTIPLICATION SIGN}10¹⁸"),
        (1e12, "10¹²"),
        (5e-324, "4.941\N{MULTIPLICATION SIGN}10⁻³²⁴"),
        (1000000000.0, "10⁹"),
        (0.0, "0"),
    ],
)
def test_a_measured_value_keeps_four_digits(value: float, text: str) -> None:
    assert measured(value) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_no_number_is_a_dash(value: float | None) -> None:
    assert measured(value) == MISSING


def test_the_numbers_of_a_column_have_equal_decimals() -> None:
    assert column([12.5, None, 0.25, 3]) == ["12.50", MISSING, "0.25", "3.00"]


def test_a_column_of_integers_has_no_decimals() -> None:
    assert column([5952, 212]) == ["5,952", "212"]


def test_a_column_of_very_different_numbers_keeps_the_digits_of_each() -> None:
    assert column([123456.0, 0.0123]) == ["123,456", "0.01230"]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0, 0.25, 0.5], ["0.00", "0.25", "0.50"]),
        ([0, 5000, 10000], ["0", "5,000", "10,000"]),
        (
            [-2e9, 0, 2e9],
            [f"{MINUS}2\N{MULTIPLICATION SIGN}10⁹", "0", "2\N{MULTIPLICATION SIGN}10⁹"],
        ),
        ([5e10], ["50\N{MULTIPLICATION SIGN}10⁹"]),
        ([], []),
    ],
)
def test_ticks_agree_on_their_decimals(values: list[float], texts: list[str]) -> None:
    assert ticks(values) == texts


@pytest.mark.parametrize(
    ("offset", "step"), [(0.0, 1e-6), (1e3, 1e-6), (1e6, 0.25), (1e9, 0.25), (1e15, 1e5), (0, 1e20)]
)
def test_neighbouring_ticks_never_look_the_same(offset: float, step: float) -> None:
    assert len(set(ticks([offset + index * step for index in range(5)]))) == 5


def test_ticks_of_the_smallest_numbers_do_not_divide_by_zero() -> None:
    assert all(ticks([5e-324, 1e-323]))


def test_a_logarithmic_tick_of_a_power_of_ten_is_that_power() -> None:
    assert [log_tick(value) for value in (0.5, 1000.0, 1e8)] == ["0.5", "1,000", "10⁸"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-05, "1e-05"),
        (4294967295, "4294967295"),
        (True, "true"),
        ("", '""'),
        (None, MISSING),
        ([0.1, "a"], "0.1, a"),
        ([], "none"),
    ],
)
def test_a_setting_can_be_copied(value: object, text: str) -> None:
    assert exact(value) == text
