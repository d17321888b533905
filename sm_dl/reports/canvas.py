"""From matplotlib to SVG that can live inside a page, next to others like it.

matplotlib's own file is a whole document: its ids repeat from chart to chart, its style sheet
would leak into the page and its colours know no dark mode. What goes into the page keeps the
shapes and the text, ids under a prefix of their own, and colours as the page's CSS variables.
"""

import io
import re
from collections.abc import Callable, Iterable
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sm_dl.reports.numerals import ticks
from sm_dl.reports.style import LIGHT, SETTINGS, UNITS_PER_INCH, Size

Values = NDArray[np.float64]

UNREADABLE = 1e300
"""Beyond this an axis cannot be scaled in double precision; such a value is left out."""

VARIABLES = {colour: f"var(--{name})" for name, colour in LIGHT.items()}
REFERENCE = re.compile(r"(?:url\()?#([\w-]+)\)?")
LONG_DECIMAL = re.compile(r"-?\d+\.\d{3,}")
COLOUR = re.compile(r"#[0-9a-f]{6}")
FONT_FAMILY = re.compile(r"font-family: [^;]*; ?|(?<=px) '[^;]*(?=;)")
"""As a property of its own, or at the end of `font`: the page's font is the right one."""


class TickText(ticker.Formatter):
    """Labels of a linear axis, written by our own rules."""

    def __call__(self, value: float, pos: int | None = None) -> str:  # noqa: ARG002 - their signature
        """Return the label of a single value."""
        return ticks([value])[0]

    def format_ticks(self, values: Iterable[float]) -> list[str]:
        """Return the labels of all ticks, which agree on their decimals."""
        return ticks([float(value) for value in values])


def draw(paint: Callable[[Axes], None], size: Size, prefix: str) -> str:
    """Return an `<svg>` element with the axes that `paint` fills; the same call, the same text.

    Args:
        paint: Draws on empty axes. It writes numbers and dates only: names that come from data
            belong into the page, where they are escaped and set in its own font.
        size: Natural size; the element takes the width of whatever holds it.
        prefix: Starts every id of this element; differs for each chart of a page.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's matplotlibrc has no say
        mpl.rcParams.update(SETTINGS)
        inches = (size.width_px / UNITS_PER_INCH, size.height_px / UNITS_PER_INCH)
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)  # attaches itself: no pyplot, no window, no global state
        paint(figure.add_subplot())
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _inlined(ET.fromstring(file.getvalue()), prefix)  # noqa: S314 - our own bytes


def numbers(values: Iterable[float | None], length: int) -> Values:
    """Return exactly `length` values; missing, absent and unreadable ones are NaN."""
    array = np.full(length, np.nan)
    given = [np.nan if value is None else float(value) for value in values][:length]
    array[: len(given)] = given
    array[~(np.abs(array) < UNREADABLE)] = np.nan
    return array


def alone(values: Values) -> list[int]:
    """Return the positions of values without a neighbour: no line would show them."""
    known = np.pad(np.isfinite(values), 1)
    return np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:]).tolist()


def _inlined(root: ET.Element, prefix: str) -> str:
    used = {
        found
        for element in root.iter()
        for name, value in element.attrib.items()
        if name.endswith("href") or "url(" in value
        for found in REFERENCE.findall(value)
    }
    for element in root.iter():
        for child in [c for c in element if _plain(c.tag) in ("metadata", "style")]:
            element.remove(child)
        element.tag = _plain(element.tag)
        element.tail = None
        if element.text is not None and not element.text.strip():
            element.text = None
        attributes = {_plain(name): value for name, value in element.attrib.items()}
        element.attrib.clear()
        for name, value in attributes.items():
            if name != "id":
                element.set(name, _rewritten(name, value, prefix))
            elif value in used:
                element.set("id", prefix + value)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("aria-hidden", "true")
    return ET.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    """Return a tag or attribute without its namespace, as HTML wants it."""
    return name.rpartition("}")[2]


def _rewritten(name: str, value: str, prefix: str) -> str:
    if name == "href" or "url(" in value:
        return value.replace("#", f"#{prefix}")
    if name == "style":
        value = FONT_FAMILY.sub("", value.replace("font: ", "font-size: "))
        return COLOUR.sub(lambda found: VARIABLES.get(found.group(), found.group()), value)
    return LONG_DECIMAL.sub(lambda found: f"{float(found.group()):.2f}", value)
