"""What a finished run has to show, as data: the algorithm says what, the report draws it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import orjson

from sm_dl.files import beside_the_model, write_atomically


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers."""

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    note: str = ""


@dataclass(frozen=True)
class Lines:
    """Curves over a common axis, such as the loss by epoch."""

    kind: ClassVar[str] = "lines"
    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    series: Mapping[str, Sequence[float | None]]
    note: str = ""


@dataclass(frozen=True)
class Histogram:
    """How often values fall between edges, for several kinds of them over the same bins."""

    kind: ClassVar[str] = "histogram"
    title: str
    x_label: str
    y_label: str
    edges: Sequence[float | None]
    """One more than bins, rising."""
    series: Mapping[str, Sequence[float | None]]
    """By name the count of each bin; a kind with a different total is drawn as it is."""
    note: str = ""


@dataclass(frozen=True)
class FanPanel:
    """One forecast against the truth. Times are ISO 8601 text; None is a missing value."""

    title: str
    history_times: Sequence[str]
    history: Sequence[float | None]
    times: Sequence[str]
    truth: Sequence[float | None]
    quantiles: Mapping[str, Sequence[float | None]]
    """Level such as "0.1" to one value a step."""


@dataclass(frozen=True)
class Fans:
    """Fan charts, one a series."""

    kind: ClassVar[str] = "fans"
    title: str
    panels: Sequence[FanPanel]
    note: str = ""


@dataclass(frozen=True)
class Matrix:
    """Counts of pairs, such as true and predicted classes; a darker cell holds more of its row."""

    kind: ClassVar[str] = "matrix"
    title: str
    row_label: str
    column_label: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]
    """One row of values for each of `rows`."""
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """One small picture and what to say about it."""

    caption: str
    jpeg: str
    """A JPEG file, in base64."""
    width_px: int
    height_px: int
    detail: str = ""


@dataclass(frozen=True)
class Pictures:
    """A contact sheet."""

    kind: ClassVar[str] = "pictures"
    title: str
    pictures: Sequence[Picture]
    note: str = ""


@dataclass(frozen=True)
class BarPanel:
    """One list of names with a length each, e.g. the top words of a topic."""

    title: str
    labels: Sequence[str]
    values: Sequence[float | None]
    """Not negative, one for each label."""
    note: str = ""


@dataclass(frozen=True)
class Bars:
    """Small multiples of horizontal bars; the lengths of one panel compare, panels do not."""

    kind: ClassVar[str] = "bars"
    title: str
    panels: Sequence[BarPanel]
    note: str = ""


@dataclass(frozen=True)
class Scatter:
    """Points on a plane, in named groups, one of which may be the background of the others."""

    kind: ClassVar[str] = "scatter"
    title: str
    x_label: str
    y_label: str
    groups: Mapping[str, Sequence[Sequence[float | None]]]
    """Name to points, each of them x and y."""
    rest: str = ""
    """Name of the group that is background."""
    note: str = ""


Figure = Table | Lines | Histogram | Fans | Matrix | Pictures | Bars | Scatter


@dataclass(frozen=True)
class Report:
    """A page: what was run, what came out, and the figures in reading order."""

    title: str
    summary: str
    scores: Mapping[str, float | None]
    job: dict[str, Any]
    figures: Sequence[Figure] = field(default_factory=list)


def write_report_data(report: Report, folder: Path) -> Path | None:
    """Write `report.json` into a folder, from which the page is drawn, and return its path.

    None where it cannot be written: that is logged, never raised, since the model that it describes is
    already written. The report of an earlier run does not stay in its place.
    """
    document = asdict(report)
    for drawn, figure in zip(document["figures"], report.figures, strict=True):
        drawn["kind"] = figure.kind
    path = folder / "report.json"
    with beside_the_model(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2))
        return path
    with suppress(OSError):
        path.unlink(missing_ok=True)
    return None
