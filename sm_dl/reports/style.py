"""Colours, sizes and matplotlib settings of a page. `page.css` holds the rest of its look."""

from dataclasses import dataclass
from typing import Any

LIGHT = {
    "page": "#fdfdfc",
    "card": "#f4f5f6",
    "ink": "#1d2530",
    "muted": "#626d7b",
    "hairline": "#e1e5ea",
    "past": "#8b95a3",
    "accent": "#2a6cb8",
    "series-1": "#2b6cb0",
    "series-2": "#c2571c",
    "series-3": "#2f7f5b",
    "series-4": "#7d52a0",
    "series-5": "#a8841a",
    "series-6": "#b0436e",
}
"""Colours by name on a light page. Each differs: a chart's colours are found again by value."""

DARK = {
    "page": "#14181d",
    "card": "#1c2229",
    "ink": "#e3e8ee",
    "muted": "#98a3b1",
    "hairline": "#2d353f",
    "past": "#7d8896",
    "accent": "#5fa2ea",
    "series-1": "#63a4e8",
    "series-2": "#e88c57",
    "series-3": "#63b58f",
    "series-4": "#b391d6",
    "series-5": "#d0af4c",
    "series-6": "#de7fa6",
}
"""The same names on a dark page."""

SERIES = tuple(name for name in LIGHT if name.startswith("series-"))
DASHES = ("solid", "dashed", "dotted")
"""When the colours run out they start again with the next dash."""

BAND_OPACITY = 0.2
"""Of one quantile band. Nested bands lie on each other, so the inner ones are darker."""


@dataclass(frozen=True)
class Size:
    """The drawing area of a chart, in CSS pixels at its natural size."""

    width_px: int
    height_px: int


WIDE, NARROW, PANEL = Size(980, 320), Size(380, 260), Size(450, 236)
"""A figure across the page, the same on a phone, and one of several panels."""

TALL, SQUARE = Size(980, 560), Size(380, 360)
"""A map across the page, and on a phone: it needs as much height as width."""

UNITS_PER_INCH = 72
"""What matplotlib writes: at this many units an inch, one unit is one CSS pixel."""

SETTINGS: dict[Any, object] = {
    "axes.axisbelow": True,
    "axes.edgecolor": LIGHT["hairline"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.xmargin": 0.015,
    "axes.ymargin": 0.06,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "grid.color": LIGHT["hairline"],
    "grid.linewidth": 1,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "sm_dl",
    "text.parse_math": False,
    "xtick.color": LIGHT["hairline"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.color": LIGHT["hairline"],
    "ytick.labelcolor": LIGHT["muted"],
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}
"""Keys have a type of matplotlib's own, which needs no import here."""
