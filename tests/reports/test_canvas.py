"""Charts are SVG elements that live side by side in one page."""

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes

from sm_dl.reports.canvas import alone, draw, numbers
from sm_dl.reports.style import DARK, LIGHT, Size

SIZE = Size(300, 200)


def _paint(axes: Axes) -> None:
    axes.plot([0, 1, 2], [1, 3, 2], color=LIGHT["accent"], marker="o")
    axes.fill_between([0, 1, 2], [0, 1, 1], [2, 4, 3], color=LIGHT["accent"], alpha=0.2)


@pytest.fixture(scope="module")
def svg() -> str:
    return draw(_paint, SIZE, "a-")


def test_a_chart_is_well_formed(svg: str) -> None:
    assert ET.fromstring(svg).get("viewBox") == "0 0 300 200"  # noqa: S314 - our own text


def test_the_same_chart_is_the_same_text(svg: str) -> None:
    assert draw(_paint, SIZE, "a-") == svg


def test_every_reference_finds_its_target(svg: str) -> None:
    ids = re.findall(r' id="([^"]+)"', svg)
    references = re.findall(r'(?:href="#|url\(#)([^")]+)', svg)
    assert set(references) == set(ids) != set()


def test_two_charts_of_a_page_share_no_id(svg: str) -> None:
    other = draw(_paint, SIZE, "b-")
    assert not set(re.findall(r' id="([^"]+)"', svg)) & set(re.findall(r' id="([^"]+)"', other))


def test_text_stays_text_in_the_font_of_the_page(svg: str) -> None:
    assert re.search(r"<text[^>]*>1.0</text>", svg)
    assert "font-family" not in svg and "DejaVu" not in svg  # noqa: PT018 - two spellings


def test_every_colour_is_a_variable_of_the_page(svg: str) -> None:
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg)) <= {
        "none",
        *(f"var(--{name})" for name in LIGHT),
    }


def test_no_two_colours_of_the_light_page_are_equal() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_both_pages_have_the_same_colours_by_name() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_no_style_sheet_leaks_into_the_page(svg: str) -> None:
    assert not re.search("<style|<metadata|<!|<\\?xml", svg)


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    draw(_paint, SIZE, "a-")
    assert dict(mpl.rcParams) == before


def test_a_users_matplotlib_settings_have_no_say(svg: str) -> None:
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        assert draw(_paint, SIZE, "a-") == svg


def test_numbers_are_as_many_as_asked_for() -> None:
    np.testing.assert_array_equal(numbers([1, None, 1e305], 4), [1, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("values", "positions"),
    [([1.0, None, 2, 3, None, 4], [0, 5]), ([1.0], [0]), ([None], []), ([], [])],
)
def test_a_value_without_neighbours_is_alone(
    values: list[float | None], positions: list[int]
) -> None:
    assert alone(numbers(values, len(values))) == positions
