"""A job ends with the exit code of the culprit, and says why in 1024 characters."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Never

import pytest
import torch

from sm_dl.errors import (
    AlgorithmError,
    KilledProcessError,
    LostProcessError,
    PlatformError,
    UserError,
)
from sm_dl.job.outcome import FAILURE_CHARACTERS, run_to_exit_code
from sm_dl.job.paths import Paths

PLATFORM_NUMBERS = [
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
]
INTERNAL = "AlgorithmError: the job stopped on an internal error (caused by"
ENDS = [
    (UserError("channel train: empty."), 2, "ClientError: channel train: empty."),
    (AlgorithmError("the loss is nan"), 1, "AlgorithmError: the loss is nan"),
    (PlatformError("no GPU"), 3, "InternalServerError: no GPU"),
    (ValueError("x"), 1, f"{INTERNAL} ValueError)"),
    (KeyError("x"), 1, f"{INTERNAL} KeyError)"),
    (RecursionError(), 1, f"{INTERNAL} RecursionError)"),
    (OSError("x"), 1, f"{INTERNAL} OSError)"),
    (MemoryError(), 3, "InternalServerError: out of memory (caused by MemoryError)"),
]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return the folders of a job; none of them exists yet."""
    return Paths(tmp_path / "run")


def _raising(error: BaseException) -> Callable[[], Never]:
    def work() -> Never:
        raise error

    return work


def test_a_finished_job_is_zero(paths: Paths) -> None:
    assert run_to_exit_code(lambda: None, paths) == 0


@pytest.mark.parametrize("sizes", [(1 << 60,), (1 << 33, 1 << 31)], ids=str)
def test_a_tensor_the_host_has_no_room_for_is_the_platform_s_fault(
    paths: Paths, sizes: tuple[int, ...]
) -> None:
    code = run_to_exit_code(lambda: torch.empty(sizes).fill_(0), paths)  # type: ignore[arg-type, return-value]
    assert (
        code,
        "the host is out of memory; lower mini_batch_size" in paths.failure.read_text(),
    ) == (3, True)


def test_the_first_process_to_fail_has_the_word(paths: Paths) -> None:
    run_to_exit_code(_raising(UserError("the cause")), paths)
    run_to_exit_code(_raising(LostProcessError("a consequence")), paths, owns_output=False)
    assert paths.failure.read_text() == "ClientError: the cause"


def test_a_killed_process_comes_before_those_that_lost_it(paths: Paths) -> None:
    run_to_exit_code(_raising(LostProcessError("a consequence")), paths)
    run_to_exit_code(_raising(KilledProcessError("the cause")), paths, owns_output=False)
    assert paths.failure.read_text() == "InternalServerError: the cause"


def test_a_secret_in_the_environment_is_not_in_the_failure(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    run_to_exit_code(_raising(UserError("channel train: s3 refused wJalrXUtnFEMI")), paths)
    assert "wJalrXUtnFEMI" not in paths.failure.read_text()


def test_a_finished_job_leaves_no_failure_file(paths: Paths) -> None:
    run_to_exit_code(lambda: None, paths)
    assert not paths.failure.exists()


@pytest.mark.parametrize(("error", "code", "_"), ENDS, ids=repr)
def test_the_culprit_decides_the_exit_code(
    paths: Paths, error: Exception, code: int, _: str
) -> None:
    assert run_to_exit_code(_raising(error), paths) == code


@pytest.mark.parametrize(("error", "_", "text"), ENDS, ids=repr)
def test_the_culprit_is_named_in_the_failure_file(
    paths: Paths, error: Exception, _: int, text: str
) -> None:
    run_to_exit_code(_raising(error), paths)
    assert paths.failure.read_text().startswith(text)


@pytest.mark.parametrize("number", PLATFORM_NUMBERS, ids=errno.errorcode.get)
def test_what_the_machine_lacks_is_the_platforms_error(paths: Paths, number: int) -> None:
    error = OSError(number, os.strerror(number), "model/weights")
    assert run_to_exit_code(_raising(error), paths) == 3


def test_a_full_disk_names_the_file(paths: Paths) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model/weights")
    run_to_exit_code(_raising(error), paths)
    first = paths.failure.read_text().splitlines()[0]
    assert first == (
        "InternalServerError: No space left on device: model/weights (caused by OSError)"
    )


def test_a_full_disk_without_a_name_is_that_of_the_output_folder(paths: Paths) -> None:
    run_to_exit_code(_raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))), paths)
    assert paths.failure.read_text().splitlines()[0] == (
        "InternalServerError: No space left on device: the output folder (caused by OSError)"
    )


def test_what_is_not_about_a_file_names_none(paths: Paths) -> None:
    run_to_exit_code(_raising(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))), paths)
    assert paths.failure.read_text().splitlines()[0] == (
        "InternalServerError: Cannot allocate memory (caused by OSError)"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_write_to_a_full_device_is_the_platforms_error(paths: Paths) -> None:
    assert run_to_exit_code(lambda: _write_to(Path("/dev/full")), paths) == 3


def _write_to(path: Path) -> None:
    path.write_bytes(b"x" * 100_000)


def test_an_absent_file_is_not_blamed_on_the_platform(paths: Paths) -> None:
    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x")
    assert run_to_exit_code(_raising(error), paths) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_an_end_that_is_asked_for_is_no_failure(paths: Paths, error: BaseException) -> None:
    with pytest.raises(type(error)):
        run_to_exit_code(_raising(error), paths)


# The failure file.


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600", "\n"])
def test_the_failure_file_is_not_longer_than_the_platform_shows(
    paths: Paths, character: str
) -> None:
    run_to_exit_code(_raising(UserError(character * 5000)), paths)
    assert len(paths.failure.read_text(encoding="utf-8")) == FAILURE_CHARACTERS


def test_a_short_failure_is_told_whole(paths: Paths) -> None:
    run_to_exit_code(_raising(UserError("channel train: é")), paths)
    assert paths.failure.read_text(encoding="utf-8") == "ClientError: channel train: é"


def test_the_failure_of_an_earlier_run_is_removed(paths: Paths) -> None:
    paths.output.mkdir(parents=True)
    paths.failure.write_text("ClientError: old")
    run_to_exit_code(lambda: None, paths)
    assert not paths.failure.exists()


def test_the_failure_of_an_earlier_run_is_gone_before_the_work_begins(paths: Paths) -> None:
    paths.output.mkdir(parents=True)
    paths.failure.write_text("ClientError: old")
    seen: list[bool] = []
    run_to_exit_code(lambda: seen.append(paths.failure.exists()), paths)
    assert seen == [False]


def test_a_new_failure_takes_the_place_of_the_old(paths: Paths) -> None:
    run_to_exit_code(_raising(UserError("a long sentence of long ago")), paths)
    run_to_exit_code(_raising(UserError("new")), paths)
    assert paths.failure.read_text() == "ClientError: new"


@pytest.mark.parametrize("error", [ValueError("x"), UserError("x"), MemoryError()], ids=repr)
def test_the_trace_is_not_in_the_failure_file(paths: Paths, error: Exception) -> None:
    run_to_exit_code(_raising(error), paths)
    text = paths.failure.read_text()
    assert [word for word in ("Traceback", "File ", ".py", "line ") if word in text] == []


@pytest.mark.parametrize(
    "trace",
    [
        "\nException raised from THPUtils_unpackLong at numbers.h:1 (most recent call first):\nframe #0: c10::Error",
        " Exception raised from unpack at numbers.h:1 frame #0: c10::Error",
        " frame #0: c10::Error::Error(c10::SourceLocation, std::string)",
        "\nand so on",
    ],
)
def test_an_internal_error_is_told_in_one_line_and_whole_in_the_log(
    paths: Paths, log: pytest.LogCaptureFixture, trace: str
) -> None:
    run_to_exit_code(_raising(RuntimeError(f"Overflow when unpacking long{trace}")), paths)
    assert paths.failure.read_text() == f"{INTERNAL} RuntimeError)\n\nOverflow when unpacking long"
    assert trace in log.text


def test_the_environment_is_not_in_the_failure_file(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    run_to_exit_code(_raising(ValueError("x")), paths)
    assert "hunter2" not in paths.failure.read_text()


def test_the_trace_of_an_internal_error_is_in_the_log(
    paths: Paths, log: pytest.LogCaptureFixture
) -> None:
    run_to_exit_code(_raising(ValueError("x")), paths)
    assert "Traceback (most recent call last)" in log.text


def test_the_users_error_needs_no_trace_in_the_log(
    paths: Paths, log: pytest.LogCaptureFixture
) -> None:
    run_to_exit_code(_raising(UserError("x")), paths)
    assert "Traceback" not in log.text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("x"), "Customer Error: x"),
        (AlgorithmError("x"), "Algorithm Error: x"),
        (PlatformError("x"), "Platform Error: x"),
    ],
    ids=repr,
)
def test_the_log_speaks_the_services_language(
    paths: Paths, log: pytest.LogCaptureFixture, error: Exception, line: str
) -> None:
    run_to_exit_code(_raising(error), paths)
    assert log.messages == [line]


def test_without_a_place_for_the_failure_the_code_is_the_same() -> None:
    assert run_to_exit_code(_raising(UserError("x")), None) == 2


def test_a_failure_file_that_cannot_be_written_does_not_change_the_code(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("a file where a folder should be")
    assert run_to_exit_code(_raising(UserError("x")), Paths(tmp_path)) != 0


def test_a_name_that_is_no_utf_8_does_not_change_the_code(
    paths: Paths, log: pytest.LogCaptureFixture
) -> None:
    log.set_level(logging.CRITICAL, "sm_dl")  # no test process can send such text to another
    name = os.fsdecode(b"train/\xff.csv")
    assert run_to_exit_code(_raising(UserError(f"{name}: unknown")), paths) == 2
