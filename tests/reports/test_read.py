"""What the contract writes is what the page reads."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from sm_dl.contract.figures import FanPanel, Fans, Lines, Report, Table, write_report_data
from sm_dl.errors import UserError
from sm_dl.reports.read import read_report


def test_reading_gives_back_what_was_written(
    tmp_path: Path,
    panel: Callable[..., FanPanel],
    curves: Callable[..., Lines],
    report: Callable[..., Report],
) -> None:
    table = Table("Accuracy", ["metric", "value"], [["RMSE", 1.5], ["n", None]])
    whole = report(curves(loss=[2.0, None]), Fans("Forecasts", [panel()]), table)
    write_report_data(whole, tmp_path)
    found = read_report(tmp_path)
    assert (list(found.figures), found.job) == (list(whole.figures), whole.job)


def test_a_key_of_a_later_version_is_ignored(
    tmp_path: Path, curves: Callable[..., Lines], report: Callable[..., Report]
) -> None:
    path = write_report_data(report(curves(loss=[1.0])), tmp_path)
    assert path is not None
    document = orjson.loads(path.read_bytes())
    document["new"] = document["figures"][0]["new"] = 1
    path.write_bytes(orjson.dumps(document))
    assert read_report(tmp_path).title == "A run"


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"{}", b'{"figures": [{"kind": "pie"}]}', b"\xff"]
)
def test_other_data_are_refused_by_the_name_of_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(UserError, match=r"report\.json: expected"):
        read_report(tmp_path)


def test_absent_data_are_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"report\.json: expected the data of a report; No such"):
        read_report(tmp_path)
