"""The report door finds a run's data from any of its folders."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl import report as door
from sm_dl.contract.figures import Lines, Report, write_report_data
from sm_dl.errors import UserError
from sm_dl.job.paths import Paths


@pytest.fixture(params=[False, True], ids=["local", "platform"])
def paths(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    report: Callable[..., Report],
    curves: Callable[..., Lines],
) -> Paths:
    """Return the folders of a run with report data."""
    paths = Paths(tmp_path / "run", on_platform=request.param)
    write_report_data(report(curves(loss=[2.0, 1.0])), paths.report)
    return paths


@pytest.mark.parametrize("name", ["root", "output", "report"])
def test_a_page_is_drawn_from_each_folder_of_a_run(
    paths: Paths, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main([str(getattr(paths, name))]) == 0
    printed = Path(capsys.readouterr().out.strip())
    assert printed.samefile(paths.report / "index.html")


def test_the_folder_one_stands_in_is_enough(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paths.output)
    assert door.find(Path()).samefile(paths.report)


def test_another_folder_of_the_run_is_no_report(paths: Paths) -> None:
    paths.model.mkdir()
    with pytest.raises(UserError, match="expected the folder of a finished run"):
        door.find(paths.model)


def test_a_run_without_report_is_the_users_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main([str(tmp_path)]) == UserError.exit_code
    assert "report.json" in capsys.readouterr().err


def test_nothing_is_drawn_after_a_fit_that_left_no_data(tmp_path: Path) -> None:
    assert door.draw(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_the_page_is_drawn_after_a_fit(paths: Paths) -> None:
    assert door.draw(paths.report) == paths.report / "index.html"


def test_a_page_that_cannot_be_drawn_does_not_fail_the_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "report.json").write_text("{")
    with caplog.at_level(logging.ERROR, "sm_dl.report"):
        assert door.draw(tmp_path) is None
    assert "could not be drawn" in caplog.text


def test_an_old_page_stays_whole_when_a_new_one_fails(paths: Paths) -> None:
    old = paths.report / "index.html"
    old.write_text("old")
    (paths.report / "report.json").write_text("{")
    door.draw(paths.report)
    assert old.read_text() == "old"


def test_importing_the_door_imports_no_drawing() -> None:
    code = (
        "import sm_dl.report, sys; print(*({'matplotlib', 'jinja2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b""
