"""The page: one self-contained `index.html`, drawn from the `report.json` beside it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sm_dl import __version__
from sm_dl.contract.figures import (
    Bars,
    FanPanel,
    Fans,
    Figure,
    Histogram,
    Lines,
    Matrix,
    Pictures,
    Scatter,
    Table,
)
from sm_dl.files import write_atomically
from sm_dl.reports import bars, fans, histogram, lines, matrix, numerals, pictures, scatter
from sm_dl.reports.read import read_report
from sm_dl.reports.style import BAND_OPACITY, DARK, LIGHT, NARROW, PANEL, SQUARE, TALL, WIDE

PAGE_FILE = "index.html"
TEMPLATE = "page.html.jinja"


def draw(folder: Path) -> Path:
    """Return the path of the page drawn from a folder's `report.json`; same data, same bytes.

    Raises:
        UserError: The folder holds no readable report data.
    """
    report = read_report(folder)
    prefixes = (f"chart{number}-" for number in range(1, 1_000_000))
    html = _template().render(
        report=report,
        figures=[_section(figure, prefixes) for figure in report.figures],
        light=LIGHT,
        dark=DARK,
        version=__version__,
    )
    path = folder / PAGE_FILE
    write_atomically(path, html.encode())
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "measured": numerals.measured,
        "exact": numerals.exact,
        "breakable": _breakable,
    }
    environment.tests["mapping_list"] = _is_mapping_list
    return environment.get_template(TEMPLATE)


def _section(  # noqa: PLR0911 - one a kind
    figure: Figure, prefixes: Iterator[str]
) -> dict[str, Any]:
    """Return what the template needs to show one figure."""
    section = {"kind": figure.kind, "title": figure.title, "note": figure.note}
    match figure:
        case Table():
            return section | _table(figure)
        case Lines():
            return section | _lines(figure, prefixes)
        case Histogram():
            return section | _histogram(figure, prefixes)
        case Fans():
            return section | _fans(figure, prefixes)
        case Matrix():
            return section | matrix.cells(figure)
        case Pictures():
            return section | {"pictures": pictures.shown(figure)}
        case Bars():
            return section | {"panels": bars.panels(figure)}
        case Scatter():
            return section | _scatter(figure, prefixes)


def _table(figure: Table) -> dict[str, Any]:
    columns = [_cells([row[index] for row in figure.rows]) for index in range(len(figure.columns))]
    kinds = [is_numeric for _, is_numeric in columns]
    rows = zip(*(cells for cells, _ in columns), strict=True)
    return {
        "headings": list(zip(figure.columns, kinds, strict=True)),
        "rows": [list(zip(row, kinds, strict=True)) for row in rows],
    }


def _cells(values: Sequence[str | float | None]) -> tuple[list[str], bool]:
    """Return the texts of a column, and whether it is one of numbers."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) for value in known):
        numeric = [value for value in values if not isinstance(value, str)]
        return numerals.column(numeric), True
    return [
        value if isinstance(value, str) else numerals.measured(value) for value in values
    ], False


def _lines(figure: Lines, prefixes: Iterator[str]) -> dict[str, Any]:
    if not lines.has_values(figure):
        return {"charts": {}}
    legend = [
        {"name": name, "colour": colour, "dash": dash}
        for name, colour, dash in lines.colours(figure)
    ]
    return {
        "charts": {
            "wide": Markup(lines.chart(figure, WIDE, next(prefixes))),  # noqa: S704 - our own SVG
            "narrow": Markup(lines.chart(figure, NARROW, next(prefixes))),  # noqa: S704
        },
        "legend": legend,
        "x_label": figure.x_label,
        "y_label": figure.y_label,
        "is_logarithmic": lines.is_logarithmic(figure),
    }


def _scatter(figure: Scatter, prefixes: Iterator[str]) -> dict[str, Any]:
    if not scatter.has_values(figure):
        return {"charts": {}}
    return {
        "charts": {
            "wide": Markup(scatter.chart(figure, TALL, next(prefixes))),  # noqa: S704 - our own SVG
            "narrow": Markup(scatter.chart(figure, SQUARE, next(prefixes))),  # noqa: S704
        },
        "legend": [{"name": name, "colour": colour} for name, colour in scatter.colours(figure)],
        "x_label": figure.x_label,
        "y_label": figure.y_label,
    }


def _histogram(figure: Histogram, prefixes: Iterator[str]) -> dict[str, Any]:
    if not histogram.has_values(figure):
        return {"charts": {}}
    return {
        "charts": {
            "wide": Markup(histogram.chart(figure, WIDE, next(prefixes))),  # noqa: S704 - our own SVG
            "narrow": Markup(histogram.chart(figure, NARROW, next(prefixes))),  # noqa: S704
        },
        "legend": [{"name": name, "colour": colour} for name, colour in histogram.colours(figure)],
        "x_label": figure.x_label,
        "y_label": figure.y_label,
    }


def _fans(figure: Fans, prefixes: Iterator[str]) -> dict[str, Any]:
    found = [fans.spread(panel.quantiles) for panel in figure.panels]
    coverages = sorted(
        {f"{coverage:.3f}" for one in found for coverage in one.coverages}, reverse=True
    )
    return {
        "panels": [
            _panel(panel, prefixes, is_alone=len(figure.panels) == 1) for panel in figure.panels
        ],
        "has_truth": any(value is not None for panel in figure.panels for value in panel.truth),
        "has_median": any(one.median is not None for one in found),
        "others": sorted({name for one in found for name in one.others}),
        "bands": [
            # what `depth` bands on top of each other look like
            {
                "share": f"{100 * float(coverage):.3g}",
                "opacity": round(1 - (1 - BAND_OPACITY) ** depth, 3),
            }
            for depth, coverage in enumerate(coverages, start=1)
        ],
    }


def _panel(panel: FanPanel, prefixes: Iterator[str], *, is_alone: bool) -> dict[str, Any]:
    sizes = {"wide": WIDE, "narrow": NARROW} if is_alone else {"every": PANEL}
    return {
        "title": panel.title,
        "period": fans.period(panel),
        "charts": {
            name: Markup(fans.chart(panel, size, next(prefixes)))  # noqa: S704 - our own SVG
            for name, size in sizes.items()
            if fans.has_values(panel)
        },
    }


def _breakable(text: object) -> Markup:
    """Return the escaped text of a name, which may be broken after `:`, `_`, `/` or `.`."""
    escaped = str(Markup.escape(str(text)))
    for mark in ":_/.":
        escaped = escaped.replace(mark, f"{mark}<wbr>")
    return Markup(escaped)  # noqa: S704 - escaped above


def _is_mapping_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)
