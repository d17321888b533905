"""What the contract writes about a run is plain JSON, with the kind of every figure."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.contract.figures import (
    FanPanel,
    Fans,
    Histogram,
    Lines,
    Report,
    Table,
    write_report_data,
)
from tests.full_disk import files_of_at_most

steady = settings(derandomize=True, deadline=None)
PANEL = FanPanel("a", ["2024-01-01"], [1.0], ["2024-01-02"], [None], {"0.5": [2.0], "0.9": [None]})
TABLE = Table("Scores", ["metric", "value"], [["RMSE", 1.5], ["n", None], ["k", 3]], "note")
LINES = Lines("Loss", "epoch", "loss", [0, 1], {"train": [2.0, None]})
HISTOGRAM = Histogram("Scores", "score", "pairs", [0.0, 1.0, 2.0], {"observed": [1, 2]})
FANS = Fans("Forecasts", [PANEL])


def _written(report: Report, folder: Path) -> dict[str, object]:
    path = write_report_data(report, folder)
    assert path is not None
    document: dict[str, object] = orjson.loads(path.read_bytes())
    return document


def test_the_file_lies_in_the_folder_even_when_that_is_new(tmp_path: Path) -> None:
    folder = tmp_path / "output" / "report"
    assert write_report_data(Report("t", "s", {}, {}), folder) == folder / "report.json"


@pytest.mark.parametrize(
    ("figure", "kind"),
    [(TABLE, "table"), (LINES, "lines"), (HISTOGRAM, "histogram"), (FANS, "fans")],
    ids=str,
)
def test_every_figure_says_its_kind(
    tmp_path: Path, figure: Table | Lines | Histogram | Fans, kind: str
) -> None:
    document = _written(Report("t", "s", {}, {}, [figure]), tmp_path)
    assert document["figures"][0]["kind"] == kind  # type: ignore[index]


def test_figures_keep_their_order(tmp_path: Path) -> None:
    document = _written(Report("t", "s", {}, {}, [FANS, TABLE, LINES, TABLE]), tmp_path)
    kinds = [figure["kind"] for figure in document["figures"]]  # type: ignore[attr-defined]
    assert kinds == ["fans", "table", "lines", "table"]


def test_a_table_comes_back(tmp_path: Path) -> None:
    found = _written(Report("t", "s", {}, {}, [TABLE]), tmp_path)["figures"][0]  # type: ignore[index]
    assert Table(**{key: value for key, value in found.items() if key != "kind"}) == TABLE


def test_curves_come_back(tmp_path: Path) -> None:
    found = _written(Report("t", "s", {}, {}, [LINES]), tmp_path)["figures"][0]  # type: ignore[index]
    assert Lines(**{key: value for key, value in found.items() if key != "kind"}) == LINES


def test_a_fan_comes_back(tmp_path: Path) -> None:
    found = _written(Report("t", "s", {}, {}, [FANS]), tmp_path)["figures"][0]  # type: ignore[index]
    assert FanPanel(**found["panels"][0]) == PANEL


def test_a_score_that_is_not_finite_is_null(tmp_path: Path) -> None:
    document = _written(Report("t", "s", {"a": float("nan"), "b": float("inf")}, {}), tmp_path)
    assert document["scores"] == {"a": None, "b": None}


def test_a_second_report_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write_report_data(Report("first", "s", {}, {}, [FANS]), tmp_path)
    assert _written(Report("second", "s", {}, {}), tmp_path)["title"] == "second"


def test_a_full_disk_costs_the_report_and_not_the_job(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    long = Report("long", "s" * 10_000, {}, {})
    write_report_data(Report("of an earlier run", "s", {}, {}), tmp_path)
    with files_of_at_most(1000):
        assert write_report_data(long, tmp_path) is None
    (warning,) = log.messages
    assert warning.startswith(f"{tmp_path / 'report.json'}: cannot be written (File too large); ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be_costs_the_report_and_not_the_job(tmp_path: Path) -> None:
    (tmp_path / "report").touch()
    assert write_report_data(Report("t", "s", {}, {}), tmp_path / "report") is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for many reports."""
    return tmp_path_factory.mktemp("report")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@steady
@given(
    title=st.text(max_size=20),
    scores=st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False)),
    job=st.dictionaries(st.text(max_size=8), JSON, max_size=4),
)
def test_text_scores_and_job_come_back(
    folder: Path, title: str, scores: dict[str, float], job: dict[str, object]
) -> None:
    document = _written(Report(title, title, scores, job), folder)
    assert document == {
        "title": title,
        "summary": title,
        "scores": scores,
        "job": job,
        "figures": [],
    }
