"""A JSON file of the platform is read within bounds, whatever lies there."""

import tracemalloc
from pathlib import Path

import pytest

from sm_dl.errors import UserError
from sm_dl.job.json_file import MAX_FILE_BYTES, read_object

DENSE = {
    "empty lists": b'{"a": [' + b"[]," * (MAX_FILE_BYTES // 3 - 10) + b"]}",
    "empty objects": b'{"a": [' + b"{}," * (MAX_FILE_BYTES // 3 - 10) + b"]}",
    "short keys": b"{" + b'"k":1,' * (MAX_FILE_BYTES // 6 - 10) + b"}",
    "one text": b'"' + b"x" * (MAX_FILE_BYTES - 10) + b'"',
    "escapes": b'"' + rb"\u0041" * (MAX_FILE_BYTES // 6 - 10) + b'"',
    "deep lists": b"[" * (MAX_FILE_BYTES - 10),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file that is not there yet."""
    return tmp_path / "hyperparameters.json"


def test_an_object_is_returned(path: Path) -> None:
    path.write_bytes(b'{"a": {"b": [1]}}')
    assert read_object(path) == {"a": {"b": [1]}}


def test_an_absent_file_holds_nothing(path: Path) -> None:
    assert read_object(path) == {}


@pytest.mark.parametrize("content", DENSE.values(), ids=DENSE)
def test_the_worst_file_of_the_largest_size_is_refused_within_100_mb(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(UserError):
        read_object(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100e6


def test_a_file_of_the_largest_size_is_read(path: Path) -> None:
    head, tail = b'{"a": "', b'"}'
    path.write_bytes(head + b"x" * (MAX_FILE_BYTES - len(head) - len(tail)) + tail)
    assert len(read_object(path)["a"]) == MAX_FILE_BYTES - len(head) - len(tail)
