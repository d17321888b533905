"""A file is whole or absent, whatever happens between its first byte and its name."""

import errno
from pathlib import Path

import pytest

from sm_dl.errors import PlatformError
from sm_dl.files import (
    TEMPORARY_SUFFIX,
    beside_the_model,
    data_files,
    iter_data_files,
    renamed_when_done,
    write_atomically,
)
from tests.full_disk import files_of_at_most


def _write_and_fail(path: Path) -> None:
    with renamed_when_done(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    write_atomically(path, b"\x00new")
    assert path.read_bytes() == b"\x00new"


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b"a longer old one")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_nothing_else_is_left_beside_a_finished_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "model.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_until_the_end_a_reader_sees_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    with renamed_when_done(path) as temporary:
        temporary.write_bytes(b"new")
        seen = path.read_bytes()
    assert seen == b"old"


def test_the_uploader_is_told_to_leave_the_unfinished_file_alone(tmp_path: Path) -> None:
    with renamed_when_done(tmp_path / "model.json") as temporary:
        temporary.touch()
    assert temporary.name.endswith(TEMPORARY_SUFFIX)


def test_a_write_that_fails_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    with files_of_at_most(1000), pytest.raises(OSError, match="File too large") as refusal:
        write_atomically(path, b"x" * 10_000)
    assert refusal.value.filename == str(path)


def test_what_fails_for_another_reason_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(ConnectionResetError) as refusal,
        renamed_when_done(tmp_path / "answers.out"),
    ):
        raise ConnectionResetError(errno.ECONNRESET, "reset by peer")
    assert refusal.value.filename is None


def test_the_unfinished_file_lies_in_the_same_folder(tmp_path: Path) -> None:
    with renamed_when_done(tmp_path / "model.json") as temporary:
        temporary.touch()
    assert temporary.parent == tmp_path  # a rename across file systems is a copy


def test_an_end_before_the_rename_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        _write_and_fail(path)
    assert path.read_bytes() == b"old"


def test_an_end_before_the_rename_leaves_no_part_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _write_and_fail(tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), renamed_when_done(tmp_path / "model.json"):
        pass


def test_a_folder_that_is_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "model.json", b"new")


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    leftover = tmp_path / f"model.json.1{TEMPORARY_SUFFIX}"
    leftover.write_bytes(b"half")
    write_atomically(tmp_path / "model.json", b"new")
    assert not leftover.exists()


def test_looking_for_one_file_ends_at_the_first(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    assert next(iter_data_files(tmp_path)) == tmp_path / "a"


def test_a_folder_that_cannot_be_listed_is_the_platforms_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"absent: cannot be listed \(No such file"):
        data_files(tmp_path / "absent")


def test_what_stands_beside_the_model_may_fail_to_be_written(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "absent" / "scores.json"
    with beside_the_model(tmp_path):
        write_atomically(path, b"new")
    (warning,) = log.messages
    assert warning.startswith(f"{path}.")
    assert warning.endswith(": cannot be written (No such file or directory); the model is whole.")
