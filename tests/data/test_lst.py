"""List files."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.data.image_record import read_image_records
from sm_dl.data.lst import MAX_LINE_BYTES, image_path, line_from_bytes, list_line, read_list
from sm_dl.errors import PlatformError, UserError
from tests.golden import content, needs_golden


@needs_golden
@pytest.mark.parametrize("name", ["images", "multilabel", "detection", "detection_object_width6"])
def test_a_golden_list_has_the_labels_of_its_records(name: str) -> None:
    lines = list(read_list(io.BytesIO(content(f"{name}.lst")), "a.lst"))
    records = list(read_image_records(io.BytesIO(content(f"{name}.rec")), "a.rec"))
    assert [line.index for line in lines] == [record.identity for record in records]
    for line, record in zip(lines, records, strict=True):
        assert line.labels.tolist() == record.labels.tolist()
        assert record.image == content(f"images/{line.path}")


@needs_golden
def test_the_golden_list_of_classes_is_written_byte_for_byte() -> None:
    lines = read_list(io.BytesIO(content("images.lst")), "a.lst")
    text = "".join(list_line(line.index, line.labels, line.path) for line in lines)
    assert text.encode() == content("images.lst")


def test_blank_lines_and_carriage_returns_are_left_out() -> None:
    lines = list(read_list(io.BytesIO(b"5\t1\tdog/a b.jpg\r\n\r\n\n6\t0\tcat.jpg"), "a.lst"))
    assert [(line.path, line.place) for line in lines] == [
        ("dog/a b.jpg", "a.lst line 1 at byte 0"),
        ("cat.jpg", "a.lst line 4 at byte 20"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"1\ta.jpg", "index, label and path"),
        (b"1 0 a.jpg", "index, label and path"),
        (b"x\t0\ta.jpg", "a whole number as index; got 'x'"),
        (b"-1\t0\ta.jpg", "a whole number as index"),
        (b"1\tdog\ta.jpg", "numbers as labels; got 'dog'"),
        (b"1\tnan\ta.jpg", "numbers as labels"),
        (b"1\t1e39\ta.jpg", "numbers as labels"),
        (b"1\t\ta.jpg", "numbers as labels; got ''"),
        (b"1\t0\t ", "the path of an image"),
        (b"1\t0\ta\0.jpg", "the path of an image"),
        (b"1\t0\t\xff.jpg", "UTF-8"),
    ],
)
def test_a_line_that_is_none_is_named(line: bytes, problem: str) -> None:
    with pytest.raises(UserError, match=rf"a\.lst line 2 at byte 10: expected {problem}"):
        list(read_list(io.BytesIO(b"0\t0\ta.jpg\n" + line), "a.lst"))


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(UserError, match="at most 1048576 bytes"):
        list(read_list(io.BytesIO(b"1" * (MAX_LINE_BYTES + 5)), "a.lst"))


@given(
    index=st.integers(0, 10**9),
    labels=st.lists(st.integers(-1000, 1000), min_size=1, max_size=5),
    path=st.text("abc ä/.é", min_size=1).map(lambda text: f"a{text}z"),
)
def test_a_line_comes_back(index: int, labels: list[int], path: str) -> None:
    line = line_from_bytes(list_line(index, np.float32(labels), path).encode(), "a.lst line 1")
    assert (line.index, line.labels.tolist(), line.path) == (index, labels, path)


@pytest.mark.parametrize("path", ["a\tb", "a\nb"])
def test_a_path_that_a_list_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="cannot hold a path"):
        list_line(0, np.float32([0]), path)


@pytest.mark.parametrize("path", ["../secret.jpg", "/etc/passwd"])
def test_a_path_that_leads_out_is_refused(path: str, tmp_path: Path) -> None:
    line = line_from_bytes(f"0\t0\t{path}".encode(), "a.lst line 1")
    with pytest.raises(UserError, match=r"a\.lst line 1: .* which leads out"):
        image_path(tmp_path, line)


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.lst line 1: expected an image at .* no such file"):
        image_path(tmp_path, line_from_bytes(b"0\t0\ta.jpg", "a.lst line 1"))


def test_a_list_that_cannot_be_read_is_the_machines_fault() -> None:
    class Broken(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(PlatformError, match=r"a\.lst: cannot be read"):
        list(read_list(Broken(), "a.lst"))


@given(st.binary(max_size=80))
def test_any_line_is_read_or_refused(line: bytes) -> None:
    try:
        line_from_bytes(line, "a.lst line 1")
    except UserError as error:
        assert str(error).startswith("a.lst line 1: ")  # noqa: PT017 - both ways out are right
