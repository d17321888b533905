"""Log lines look as the service's own do, and a metric's pattern finds its line."""

import io
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from sm_dl.job.log import start_logging

PREFIX = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d (INFO|WARNING|ERROR) \d+\] "


@pytest.fixture(autouse=True)
def _logger_is_left_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("sm_dl")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING, logging.ERROR])
def test_a_line_begins_with_time_level_and_thread(
    capsys: pytest.CaptureFixture[str], level: int
) -> None:
    start_logging()
    logging.getLogger("sm_dl.train").log(level, "completed %s %%", 50)
    assert re.fullmatch(PREFIX + "completed 50 %\n", capsys.readouterr().out)


def test_nothing_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging()
    logging.getLogger("sm_dl").error("x")
    assert capsys.readouterr().err == ""


def test_debug_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging()
    logging.getLogger("sm_dl").debug("x")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("level", "lines"), [(logging.INFO, 0), (logging.WARNING, 1)])
def test_a_quiet_process_says_warnings_only(
    capsys: pytest.CaptureFixture[str], level: int, lines: int
) -> None:
    start_logging(quiet=True)
    logging.getLogger("sm_dl").log(level, "x")
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_starting_twice_does_not_print_twice(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging()
    start_logging()
    logging.getLogger("sm_dl").info("x")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_line_goes_to_whatever_stdout_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    start_logging()
    taken_over = io.StringIO()
    monkeypatch.setattr(sys, "stdout", taken_over)
    logging.getLogger("sm_dl").info("x")
    assert taken_over.getvalue().endswith("] x\n")


def test_other_packages_stay_silent(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging()
    logging.getLogger("somebody_else").info("x")
    assert capsys.readouterr().out == ""


def test_a_closed_stdout_does_not_end_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    start_logging()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    logging.getLogger("sm_dl").info("x")  # must not raise
