"""Points on a plane, in groups."""

from collections.abc import Callable

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from sm_dl.contract.figures import Scatter
from sm_dl.reports.canvas import TickText, Values, draw, numbers
from sm_dl.reports.style import LIGHT, SERIES, Size

POINT_AREA = 18.0
"""Of one point, in square units."""
OPACITY, BACKGROUND_OPACITY = 0.75, 0.35
NICE_STEPS = [1, 2, 2.5, 5, 10]


def has_values(figure: Scatter) -> bool:
    """Return whether there is a single point to draw."""
    return any(len(points_of(figure, name)) for name in figure.groups)


def colours(figure: Scatter) -> list[tuple[str, str]]:
    """Return the name and the colour's name of each group, for chart and legend; the background last."""
    named = [name for name in figure.groups if name != figure.rest]
    found = [(name, SERIES[index % len(SERIES)]) for index, name in enumerate(named)]
    return found + [(figure.rest, "past")] * (figure.rest in figure.groups)


def points_of(figure: Scatter, name: str) -> Values:
    """Return the points of a group that can be drawn, shape (points, 2)."""
    rows = figure.groups[name]
    table = np.array([numbers(row, 2) for row in rows]).reshape(len(rows), 2)
    known: Values = table[np.isfinite(table).all(axis=1)]
    return known


def chart(figure: Scatter, size: Size, prefix: str) -> str:
    """Return the points as an `<svg>` element."""
    return draw(_painter(figure), size, prefix)


def _painter(figure: Scatter) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        axes.grid(visible=True, axis="both")
        for name, colour in reversed(colours(figure)):  # the background first, below the others
            points = points_of(figure, name)
            axes.scatter(
                points[:, 0],
                points[:, 1],
                s=POINT_AREA,
                color=LIGHT[colour],
                alpha=BACKGROUND_OPACITY if name == figure.rest else OPACITY,
                linewidths=0,
            )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(ticker.MaxNLocator(6, steps=NICE_STEPS))
            axis.set_major_formatter(TickText())

    return paint
