"""Curves over a common axis."""

from collections.abc import Callable

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from sm_dl.contract.figures import Lines
from sm_dl.reports.canvas import TickText, Values, alone, draw, numbers
from sm_dl.reports.numerals import log_tick
from sm_dl.reports.style import DASHES, LIGHT, SERIES, Size

FEW_POINTS = 25
"""Up to here every point gets a marker."""
LOG_FROM = 1.0
"""A logarithmic axis helps when the largest value is this many powers of ten above the least."""

NICE_STEPS = [1, 2, 2.5, 5, 10]


def is_logarithmic(figure: Lines) -> bool:
    """Return whether the y axis should be logarithmic: all values positive and far apart."""
    known = _known(figure)
    return bool(known.size and known.min() > 0 and np.ptp(np.log10(known)) >= LOG_FROM)


def has_values(figure: Lines) -> bool:
    """Return whether there is a single point to draw."""
    return bool(_known(figure).size)


def colours(figure: Lines) -> list[tuple[str, str, str]]:
    """Return the name, the colour's name and the dash of each series, for chart and legend."""
    return [
        (name, SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)])
        for index, name in enumerate(figure.series)
    ]


def chart(figure: Lines, size: Size, prefix: str) -> str:
    """Return the curves as an `<svg>` element."""
    return draw(_painter(figure), size, prefix)


def _painter(figure: Lines) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        x = numbers(figure.x, len(figure.x))
        for name, colour, dash in colours(figure):
            y = numbers(figure.series[name], len(x))
            known = np.isfinite(y)
            single = alone(y)
            is_sampled = len(single) == known.sum()  # e.g. every fifth epoch: no gaps, a habit
            shown = slice(None) if is_sampled or len(x) <= FEW_POINTS else single
            places = known if is_sampled else slice(None)
            axes.plot(
                x[places],
                y[places],
                color=LIGHT[colour],
                linestyle=dash,
                marker="o",
                markevery=shown,
            )
        whole = bool(np.all(np.mod(x[np.isfinite(x)], 1) == 0))
        axes.xaxis.set_major_locator(
            ticker.MaxNLocator("auto", integer=whole, min_n_ticks=1, steps=NICE_STEPS)
        )
        axes.xaxis.set_major_formatter(TickText())
        if is_logarithmic(figure):
            _scale_logarithmically(axes)
        else:
            axes.yaxis.set_major_locator(ticker.MaxNLocator(6, steps=NICE_STEPS))
            axes.yaxis.set_major_formatter(TickText())

    return paint


def _scale_logarithmically(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = np.log10(axes.get_ylim())
    between = (1.0, 2.0, 5.0) if high - low < 3 else (1.0,)
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=between, numticks=8))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: log_tick(value)))
    axes.yaxis.set_minor_locator(ticker.NullLocator())


def _known(figure: Lines) -> Values:
    count = len(figure.x)
    every = [numbers(values, count) for values in figure.series.values()]
    joined: Values = np.concatenate([np.empty(0), *every])
    known: Values = joined[np.isfinite(joined)]
    return known
