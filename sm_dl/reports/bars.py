"""Small multiples of named bars, drawn by the page itself: names are text that can be searched."""

import math
from typing import Any

from sm_dl.contract.figures import BarPanel, Bars
from sm_dl.reports import numerals


def panels(figure: Bars) -> list[dict[str, Any]]:
    """Return what the template needs to show each panel; the longest bar fills its width."""
    return [
        {"title": panel.title, "note": panel.note, "bars": _bars(panel)} for panel in figure.panels
    ]


def _bars(panel: BarPanel) -> list[dict[str, Any]]:
    known = [value for value in panel.values if _is_drawn(value)]
    longest = max((float(value or 0) for value in known), default=0.0)
    shown = [value if _is_drawn(value) else None for value in panel.values]
    return [
        {
            "label": label,
            "percent": f"{100 * (value or 0) / longest:.1f}" if longest else "0",
            "text": text,
        }
        for label, value, text in zip(panel.labels, shown, numerals.column(shown), strict=False)
    ]


def _is_drawn(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value >= 0
