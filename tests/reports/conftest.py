"""Small reports to draw: one of each kind of figure, with names that try to break the page."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl.contract.figures import FanPanel, Fans, Lines, Report, Table, write_report_data

MARKUP = "<script>alert('x')</script> & \"quotes\" $\\frac$"


def _panel(title: str = "series 1", steps: int = 3, **changes: object) -> FanPanel:
    """Return a panel of ten hours of history and a forecast, with any field changed."""
    values: dict[str, object] = {
        "title": title,
        "history_times": [f"2024-03-01 {hour:02d}:00:00" for hour in range(10)],
        "history": [10.0 + math.sin(hour) for hour in range(10)],
        "times": [f"2024-03-01 {10 + step}:00:00" for step in range(steps)],
        "truth": [10.0 + step for step in range(steps)],
        "quantiles": {
            level: [10.0 + step + 10 * float(level) for step in range(steps)]
            for level in ("0.1", "0.3", "0.5", "0.7", "0.9")
        },
    }
    return FanPanel(**(values | changes))  # type: ignore[arg-type]  # fields of several types


def _curves(**series: list[float | None]) -> Lines:
    """Return curves over epochs counted from 1."""
    count = len(next(iter(series.values())))
    return Lines("Loss", "epoch", "loss", list(range(1, count + 1)), dict(series))


def _report(*figures: Table | Lines | Fans, **changes: object) -> Report:
    """Return a report of these figures, with any other field changed."""
    values: dict[str, object] = {
        "title": "A run",
        "summary": "What it did.",
        "scores": {"test:RMSE": 1234.5},
        "job": {"algorithm": "deepar", "hyperparameters": {"epochs": 3}},
        "figures": figures,
    }
    return Report(**(values | changes))  # type: ignore[arg-type]  # fields of several types


@pytest.fixture
def panel() -> Callable[..., FanPanel]:
    """Return the builder of panels."""
    return _panel


@pytest.fixture
def curves() -> Callable[..., Lines]:
    """Return the builder of curves."""
    return _curves


@pytest.fixture
def report() -> Callable[..., Report]:
    """Return the builder of reports."""
    return _report


@pytest.fixture
def markup() -> str:
    """Return the string of which the report in `folder` is full."""
    return MARKUP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a report in which every string is markup."""
    whole = _report(
        Lines(MARKUP, MARKUP, MARKUP, [1, 2], {MARKUP: [3.0, 2.0]}, MARKUP),
        Fans(MARKUP, [_panel(MARKUP), _panel(MARKUP, quantiles={MARKUP: [1, 2, 3]})], MARKUP),
        Table(MARKUP, [MARKUP, "n"], [[MARKUP, 1], [None, 2.5]], MARKUP),
        title=MARKUP,
        summary=MARKUP,
        scores={MARKUP: 0.5},
        job={MARKUP: {MARKUP: [MARKUP]}, "list": [{MARKUP: MARKUP}], "one": MARKUP},
    )
    write_report_data(whole, tmp_path)
    return tmp_path
