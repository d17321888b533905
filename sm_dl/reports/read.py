"""`report.json` as the records it was written from."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import orjson

from sm_dl.contract.figures import (
    BarPanel,
    Bars,
    FanPanel,
    Fans,
    Figure,
    Histogram,
    Lines,
    Matrix,
    Picture,
    Pictures,
    Report,
    Scatter,
    Table,
)
from sm_dl.errors import UserError, shown

DATA_FILE = "report.json"

T = TypeVar("T")


def read_report(folder: Path) -> Report:
    """Return the report whose data lie in a folder.

    Missing values (None) may stand wherever a number is expected: JSON has no NaN.

    Raises:
        UserError: There is no such file, or it was not written by `write_report_data`.
    """
    path = folder / DATA_FILE
    try:
        document = orjson.loads(path.read_bytes())
        figures = [_figure(values) for values in document["figures"]]
        return _record(Report, {**document, "figures": figures})
    except OSError as error:
        raise UserError(f"{path}: expected the data of a report; {error.strerror}.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: expected a report as sm_dl/contract/figures.py writes it; got {shown(error)}."
        ) from error


def _figure(values: Mapping[str, Any]) -> Figure:  # noqa: PLR0911 - one a kind
    match values["kind"]:
        case Table.kind:
            return _record(Table, values)
        case Lines.kind:
            return _record(Lines, values)
        case Histogram.kind:
            return _record(Histogram, values)
        case Fans.kind:
            panels = [_record(FanPanel, panel) for panel in values["panels"]]
            return _record(Fans, {**values, "panels": panels})
        case Matrix.kind:
            return _record(Matrix, values)
        case Pictures.kind:
            pictures = [_record(Picture, picture) for picture in values["pictures"]]
            return _record(Pictures, {**values, "pictures": pictures})
        case Bars.kind:
            bars = [_record(BarPanel, panel) for panel in values["panels"]]
            return _record(Bars, {**values, "panels": bars})
        case Scatter.kind:
            return _record(Scatter, values)
        case kind:
            raise ValueError(f"figure kind {kind!r}")


def _record(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return the record; a key that a later version added is ignored."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    return kind(**{name: value for name, value in values.items() if name in known})
