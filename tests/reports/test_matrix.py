"""A matrix is a table whose cells say how much of their row they hold."""

import math

import pytest

from sm_dl.contract.figures import Matrix, write_report_data
from sm_dl.reports.matrix import DEEPEST, cells
from sm_dl.reports.page import draw


def _matrix(values: list[list[float | None]], names: tuple[str, ...] = ("cat", "dog")) -> Matrix:
    return Matrix("Confusion", "true", "predicted", names, names, values)


def test_shades_are_shares_of_a_row() -> None:
    shown = cells(_matrix([[3, 1], [0, 4]]))
    shades = [[cell["shade"] for cell in row["cells"]] for row in shown["rows"]]
    assert shades == [[round(DEEPEST * 0.75, 3), round(DEEPEST * 0.25, 3)], [0, DEEPEST]]


def test_zeros_are_left_out_and_counts_are_whole() -> None:
    shown = cells(_matrix([[1234, 0], [0, 1]]))
    assert [[cell["text"] for cell in row["cells"]] for row in shown["rows"]] == [
        ["1,234", ""],
        ["", "1"],
    ]


def test_a_name_s_own_cell_is_marked() -> None:
    shown = cells(_matrix([[1, 1], [1, 1]]))
    assert [[cell["is_own"] for cell in row["cells"]] for row in shown["rows"]] == [
        [True, False],
        [False, True],
    ]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -3])
def test_what_is_no_count_has_no_shade(value: float | None) -> None:
    (first, _), _ = (row["cells"] for row in cells(_matrix([[value, 1], [1, 1]]))["rows"])
    assert first["shade"] == 0


def test_short_rows_and_no_rows_are_drawn(report, tmp_path) -> None:
    write_report_data(report(_matrix([[1]]), _matrix([], ())), tmp_path)
    page = draw(tmp_path).read_text()
    assert "No values to show." in page
    assert '<th scope="row">dog</th>' in page


def test_names_are_text(report, markup, tmp_path) -> None:
    write_report_data(report(_matrix([[1]], (markup,))), tmp_path)
    assert "<script>" not in draw(tmp_path).read_text()
