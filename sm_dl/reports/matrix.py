"""Counts of pairs as a table whose cells are shaded by their share of the row."""

import math
from typing import Any

import numpy as np

from sm_dl.contract.figures import Matrix
from sm_dl.reports.canvas import numbers
from sm_dl.reports.numerals import measured

DEEPEST = 0.55
"""Opacity of a cell that holds its whole row: a number on it can still be read."""


def cells(figure: Matrix) -> dict[str, Any]:
    """Return what the page needs to show a matrix; names of rows and columns are text."""
    return {
        "row_label": figure.row_label,
        "column_label": figure.column_label,
        "columns": figure.columns,
        "rows": [
            {"name": name, "cells": _row(figure, index)} for index, name in enumerate(figure.rows)
        ],
    }


def _row(figure: Matrix, index: int) -> list[dict[str, Any]]:
    given = figure.values[index] if index < len(figure.values) else []
    values = numbers(given, len(figure.columns))
    known = np.where(np.isfinite(values), values, 0.0).clip(min=0)
    shares = known / max(known.sum(), np.finfo(float).tiny)
    return [
        {
            "text": _text(value),
            "shade": round(DEEPEST * share, 3),
            "is_own": name == figure.rows[index],
        }
        for name, value, share in zip(figure.columns, values.tolist(), shares.tolist(), strict=True)
    ]


def _text(value: float) -> str:
    """Return a number; zeros are left out, so that what is there can be seen."""
    if not math.isfinite(value) or value == 0:
        return ""
    return measured(int(value) if value.is_integer() else value)
