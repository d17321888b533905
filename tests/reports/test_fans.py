"""Fan charts: bands are symmetric pairs, and whatever is missing is left out."""

from collections.abc import Callable

import pytest

from sm_dl.contract.figures import FanPanel
from sm_dl.reports.fans import chart, has_values, period, spread
from sm_dl.reports.style import PANEL


def test_bands_are_pairs_of_levels_the_widest_first() -> None:
    levels = ("0.9", "0.5", "0.3", "0.7", "0.1")
    assert spread({level: [] for level in levels}).pairs == (("0.1", "0.9"), ("0.3", "0.7"))


def test_the_share_of_a_band_is_the_distance_of_its_levels() -> None:
    assert spread({"0.05": [], "0.95": []}).coverages == pytest.approx((0.9,))


def test_a_level_without_a_counterpart_is_a_line_of_its_own() -> None:
    found = spread({"0.1": [], "0.9": [], "0.2": [], "mean": []})
    assert found.others == ("0.2", "mean")


@pytest.mark.parametrize("name", ["0.5", "0.50", "5e-1"])
def test_the_median_is_found_by_its_level(name: str) -> None:
    assert spread({"0.1": [], name: []}).median == name


def _bands(svg: str) -> int:
    return svg.count("fill-opacity: 0.2")


def test_every_pair_of_levels_is_a_band(panel: Callable[..., FanPanel]) -> None:
    assert _bands(chart(panel(), PANEL, "a-")) == 2


def test_a_forecast_of_one_step_has_bands_to_be_seen(panel: Callable[..., FanPanel]) -> None:
    assert _bands(chart(panel(steps=1), PANEL, "a-")) == 2


def test_without_truth_no_truth_is_drawn(panel: Callable[..., FanPanel]) -> None:
    assert "var(--ink)" not in chart(panel(truth=[None] * 3), PANEL, "a-")


def test_the_truth_is_drawn_where_it_is_known(panel: Callable[..., FanPanel]) -> None:
    assert "var(--ink)" in chart(panel(truth=[None, 3.0, None]), PANEL, "a-")


@pytest.mark.parametrize(
    "changes",
    [
        {"history": [None] * 10},
        {"history": [], "history_times": []},
        {"truth": []},
        {"quantiles": {}},
        {"quantiles": {"0.5": [1.0, None, 2.0], "0.1": [None] * 3, "0.9": [3.0, 4.0, 5.0]}},
        {"times": ["a", "b", "c"]},
        {"times": ["0001-01-01"] * 3},
        {"times": [], "truth": [], "quantiles": {"0.5": []}},
        {"history": [1e12] * 10, "quantiles": {"0.5": [1e300, 1e305, -1e300]}},
    ],
)
def test_any_panel_can_be_drawn(changes: dict[str, object], panel: Callable[..., FanPanel]) -> None:
    assert chart(panel(**changes), PANEL, "a-").startswith("<svg")


def test_a_panel_without_a_value_has_nothing_to_draw(panel: Callable[..., FanPanel]) -> None:
    assert not has_values(panel(history=[None], truth=[], quantiles={"0.5": [None]}))


def test_the_period_of_a_forecast_names_its_ends_and_its_length(
    panel: Callable[..., FanPanel],
) -> None:
    assert period(panel()) == "2024-03-01 10:00 to 2024-03-01 12:00, 3 steps"


def test_the_period_of_steps_without_dates_is_their_number(panel: Callable[..., FanPanel]) -> None:
    assert period(panel(times=["a"])) == "1 step"
