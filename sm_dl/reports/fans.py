"""Forecasts as fans: what was known, what came, and nested bands for what was thought likely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from sm_dl.contract.figures import FanPanel
from sm_dl.reports import time_axis
from sm_dl.reports.canvas import TickText, Values, alone, draw, numbers
from sm_dl.reports.style import BAND_OPACITY, LIGHT, Size

SINGLE_STEP_WIDTH = 0.3
"""Half the width of a forecast of one step, in steps: a band needs some."""
PAIR_TOLERANCE = 1e-6
TICK_ROOM_PX = 85


@dataclass(frozen=True)
class Spread:
    """The quantiles of a forecast, sorted into what is drawn."""

    pairs: tuple[tuple[str, str], ...]
    """Lower and upper level of each band, the widest first."""
    median: str | None
    others: tuple[str, ...]
    """Levels without a counterpart; each is a line of its own."""

    @property
    def coverages(self) -> tuple[float, ...]:
        """The share of outcomes that each band should hold, the widest first."""
        return tuple(float(high) - float(low) for low, high in self.pairs)


def spread(quantiles: Mapping[str, Sequence[float | None]]) -> Spread:
    """Return which levels are bands, which is the median and which stand alone."""
    levels = {name: level for name in quantiles if (level := _level(name)) is not None}
    median = next((name for name, level in levels.items() if _same(level, 0.5)), None)
    pairs = []
    for low in sorted(levels, key=lambda name: levels[name]):
        high = next((name for name in levels if _same(levels[name], 1 - levels[low])), None)
        if high is not None and levels[low] < 0.5 and low != median:
            pairs.append((low, high))
    drawn = {median, *(name for pair in pairs for name in pair)}
    return Spread(tuple(pairs), median, tuple(name for name in quantiles if name not in drawn))


def has_values(panel: FanPanel) -> bool:
    """Return whether there is a single point to draw."""
    rows = [panel.history, panel.truth, *panel.quantiles.values()]
    return any(np.isfinite(numbers(row, len(row))).any() for row in rows)


def period(panel: FanPanel) -> str:
    """Return the time the forecast covers, in words."""
    steps = f"{len(panel.times):,} step{'' if len(panel.times) == 1 else 's'}"
    times = time_axis.moments(panel.times)
    return f"{time_axis.period(times)}, {steps}" if times else steps


def chart(panel: FanPanel, size: Size, prefix: str) -> str:
    """Return one panel as an `<svg>` element."""
    return draw(lambda axes: _paint(axes, panel, size.width_px), size, prefix)


def _paint(axes: Axes, panel: FanPanel, width_px: int) -> None:
    times = time_axis.moments([*panel.history_times, *panel.times])
    past, ahead = _positions(panel, times)
    history = numbers(panel.history, len(past))
    truth = numbers(panel.truth, len(ahead))
    if len(past) and len(ahead):
        axes.axvline((past[-1] + ahead[0]) / 2, color=LIGHT["hairline"], linewidth=1.2)
    _paint_quantiles(axes, panel, past, ahead)
    _line(axes, past, history, LIGHT["past"])
    # the truth goes on from the last known value, or its first step would hang in the air
    joined = np.concatenate([past[-1:], ahead]), np.concatenate([history[-1:], truth])
    if np.isfinite(truth[:1]).any() and np.isfinite(history[-1:]).any():
        _line(axes, *joined, LIGHT["ink"])
    else:
        _line(axes, ahead, truth, LIGHT["ink"])
    axes.yaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(TickText())
    if times:
        _label_times(axes, times, width_px)
    else:
        axes.xaxis.set_major_locator(ticker.MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.xaxis.set_major_formatter(TickText())


def _positions(panel: FanPanel, times: Sequence[datetime] | None) -> tuple[Values, Values]:
    """Return where history and forecast lie: in days, or in steps from the forecast's first."""
    past, ahead = len(panel.history_times), len(panel.times)
    if not times:
        return np.arange(-past, 0.0), np.arange(0.0, ahead)
    every = np.array(time_axis.days(times))
    return every[:past], every[past:]


def _paint_quantiles(axes: Axes, panel: FanPanel, past: Values, ahead: Values) -> None:
    found = spread(panel.quantiles)
    rows = {name: numbers(row, len(ahead)) for name, row in panel.quantiles.items()}
    if len(ahead) == 1:
        step = past[-1] - past[-2] if len(past) > 1 else 1.0
        ahead = ahead + np.array([-1, 1]) * step * SINGLE_STEP_WIDTH
        rows = {name: np.repeat(row, 2) for name, row in rows.items()}
    for low, high in found.pairs:
        axes.fill_between(
            ahead, rows[low], rows[high], color=LIGHT["accent"], alpha=BAND_OPACITY, linewidth=0
        )
    for name in found.others:
        axes.plot(ahead, rows[name], color=LIGHT["accent"], linewidth=1, linestyle="dashed")
    if found.median is not None:
        _line(axes, ahead, rows[found.median], LIGHT["accent"])


def _line(axes: Axes, x: Values, y: Values, colour: str) -> None:
    if np.isfinite(y).any():
        axes.plot(x, y, color=colour, linewidth=1.6, marker="o", markevery=alone(y), markersize=3.5)


def _label_times(axes: Axes, times: Sequence[datetime], width_px: int) -> None:
    found, labels = time_axis.ticks(min(times), max(times), most=width_px // TICK_ROOM_PX)
    axes.set_xticks(time_axis.days(found), labels)


def _level(name: str) -> float | None:
    try:
        level = float(name)
    except ValueError:
        return None
    return level if 0 < level < 1 else None


def _same(one: float, other: float) -> bool:
    return abs(one - other) < PAIR_TOLERANCE
