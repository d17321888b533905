"""Counts over bins: filled steps, which let what lies behind them through."""

from collections.abc import Callable

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from sm_dl.contract.figures import Histogram
from sm_dl.reports.canvas import TickText, Values, draw, numbers
from sm_dl.reports.lines import NICE_STEPS
from sm_dl.reports.style import LIGHT, SERIES, Size

FILL_OPACITY = 0.25


def colours(figure: Histogram) -> list[tuple[str, str]]:
    """Return the name and the colour's name of each series, for chart and legend."""
    return [(name, SERIES[index % len(SERIES)]) for index, name in enumerate(figure.series)]


def has_values(figure: Histogram) -> bool:
    """Return whether there is a bin with known edges and a count that can be drawn."""
    num_bins = max(0, len(_edges(figure)) - 1)
    every = [numbers(counts, num_bins) for counts in figure.series.values()]
    return any(np.isfinite(counts).any() for counts in every)


def chart(figure: Histogram, size: Size, prefix: str) -> str:
    """Return the steps as an `<svg>` element."""
    return draw(_painter(figure), size, prefix)


def _painter(figure: Histogram) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        edges = _edges(figure)
        for name, colour in colours(figure):
            counts = numbers(figure.series[name], len(edges) - 1)
            counts[~np.isfinite(counts)] = 0.0
            axes.stairs(counts, edges, fill=True, color=LIGHT[colour], alpha=FILL_OPACITY)
            axes.stairs(counts, edges, color=LIGHT[colour], linewidth=1.5)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(ticker.MaxNLocator("auto", steps=NICE_STEPS))
        axes.xaxis.set_major_formatter(TickText())
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5, steps=NICE_STEPS))
        axes.yaxis.set_major_formatter(TickText())

    return paint


def _edges(figure: Histogram) -> Values:
    """Return the edges as far as they are known and rise: a bin of no width shows nothing."""
    edges = numbers(figure.edges, len(figure.edges))
    rising = np.isfinite(edges)
    rising[1:] &= np.diff(edges) > 0
    length = len(edges) if rising.all() else int(np.argmin(rising))
    return edges[:length]
