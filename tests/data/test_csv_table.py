"""A CSV file becomes columns, and a line that is no good is named by its number."""

import csv
import gzip
import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.content_types import CSV
from sm_dl.data import csv_table
from sm_dl.data.columns import labels_and_features
from sm_dl.data.csv_table import Kind, label_size_of, read_csv
from sm_dl.data.source import DataFile
from sm_dl.errors import UserError

steady = settings(derandomize=True, deadline=None)
Make = Callable[..., DataFile]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for many files."""
    return tmp_path_factory.mktemp("csv")


@pytest.fixture
def csv_file(tmp_path: Path) -> Make:
    """Return a maker of CSV files."""

    def make(content: bytes) -> DataFile:
        path = tmp_path / "a.csv"
        path.write_bytes(content)
        return DataFile(path, "train/a.csv", CSV)

    return make


def _rows(file: DataFile, kind: Kind = "text", num_columns: int | None = None) -> list[list[Any]]:
    rows = []
    for columns in read_csv(file, kind, num_columns):
        rows += [list(row.values()) for row in columns.batch.to_pylist()]
    return rows


def _places(file: DataFile, kind: Kind = "text") -> list[str]:
    return [columns.place(row) for columns in read_csv(file, kind) for row in range(len(columns))]


def _message(file: DataFile, kind: Kind = "text", num_columns: int | None = None) -> str:
    with pytest.raises(UserError) as refusal:
        _rows(file, kind, num_columns)
    message = str(refusal.value)
    assert len(message) < 300
    return message


# What a good file means.

TWO = b"ann,10.0.0.1\nbob,10.0.0.2\n"


@pytest.mark.parametrize(
    "content",
    [
        TWO,
        TWO[:-1],
        TWO.replace(b"\n", b"\r\n"),
        TWO.replace(b"\n", b"\r\n")[:-2],
        b"\xef\xbb\xbf" + TWO,
        b"\n\n" + TWO.replace(b"\n", b"\n\n\n"),
        b"\r\n" + TWO.replace(b"\n", b"\r\n\r\n"),
        b'"ann","10.0.0.1"\n"bob",10.0.0.2\n',
        gzip.compress(TWO),
        gzip.compress(TWO[:20]) + gzip.compress(TWO[20:]),
        gzip.compress(b"\xef\xbb\xbf" + TWO),
    ],
    ids=[
        "plain", "no end", "windows", "windows without end", "byte order mark", "blank lines",
        "blank windows lines", "quotes", "gzip", "two members", "gzip and mark",
    ],
)  # fmt: skip
def test_every_usual_form_is_read(csv_file: Make, content: bytes) -> None:
    assert _rows(csv_file(content)) == [["ann", "10.0.0.1"], ["bob", "10.0.0.2"]]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_row_has_none(csv_file: Make, content: bytes) -> None:
    assert _rows(csv_file(content)) == []


def test_text_stays_as_it_is(csv_file: Make) -> None:
    cells = ["NULL", "NA", "nan", "", " x ", "0010", 'say ""hi""', "a,b", "é", "true", "1e5"]
    line = ",".join(f'"{cell}"' for cell in cells).encode()
    assert _rows(csv_file(line)) == [[cell.replace('""', '"') for cell in cells]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-0.5", -0.5),
        ("1e-4", 1e-4),
        (" 2 ", 2.0),
        ('"3"', 3.0),
        ("16777217", 16777217.0),
    ],
)
def test_a_number_is_a_number(csv_file: Make, text: str, value: float) -> None:
    assert _rows(csv_file(f"{text},0\n".encode()), "number") == [[value, 0.0]]


@pytest.mark.parametrize(
    "text", ["", "x", "0x10", "1_0", "1,5"[:1] + ";5", "NULL", "--1", "\uff11"]
)
def test_a_number_is_nothing_else(csv_file: Make, text: str) -> None:
    message = _message(csv_file(b"1,2\n\n3,4\n" + f"5,{text}\n".encode()), "number")
    assert message == f"train/a.csv line 4: expected a number in column 2; got {text!r}."


def test_rows_know_their_lines(csv_file: Make) -> None:
    assert _places(csv_file(b"a\n\nb\r\n\r\nc")) == [
        "train/a.csv line 1",
        "train/a.csv line 3",
        "train/a.csv line 5",
    ]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make lines straddle blocks."""
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 16)
    monkeypatch.setattr(csv_table, "THREAD_BLOCK_BYTES", 7)


@pytest.mark.usefixtures("small_blocks")
def test_lines_that_straddle_blocks_are_whole(csv_file: Make) -> None:
    rows = [[f"user{number}" * (number % 9), str(number)] for number in range(200)]
    content = "".join(f"{user},{number}\n" for user, number in rows).encode()
    assert _rows(csv_file(content)) == rows


@pytest.mark.usefixtures("small_blocks")
def test_lines_are_counted_across_blocks(csv_file: Make) -> None:
    content = b"".join(b"%d,x\n" % number + b"\n" * (number % 3) for number in range(100))
    lines = content.split(b"\n")
    expected = [f"train/a.csv line {n}" for n, line in enumerate(lines, 1) if line]
    assert _places(csv_file(content)) == expected


@pytest.mark.usefixtures("small_blocks")
def test_a_bad_line_is_named_across_blocks(csv_file: Make) -> None:
    message = _message(csv_file(b"a,b\n" * 57 + b"a,b,c\n" + b"a,b\n" * 9))
    assert message == "train/a.csv line 58: expected 2 columns; got 3."


CELLS = st.lists(
    st.lists(
        st.text(st.characters(exclude_characters="\0\r\n\ufeff"), max_size=6),
        min_size=2,
        max_size=2,
    ),
    max_size=12,
)


@steady
@given(CELLS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_was_written_is_read(
    folder: Path, rows: list[list[str]], end: str, packed: bool
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows(rows)
    content = text.getvalue().encode()
    path = folder / "a.csv"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert _rows(DataFile(path, "t", CSV)) == rows


@steady
@given(st.binary(max_size=200) | st.text('a1,"\r\n\0é', max_size=60).map(str.encode), st.booleans())
def test_no_bytes_lead_to_anything_but_rows_or_a_sentence(
    folder: Path, content: bytes, as_text: bool
) -> None:
    path = folder / "b.csv"
    path.write_bytes(content)
    try:
        rows = _rows(DataFile(path, "t", CSV), "text" if as_text else "number")
        assert len({len(row) for row in rows}) <= 1
    except UserError as refusal:
        assert str(refusal).startswith("t line ")  # noqa: PT017 - both ends are right


PACKED = gzip.compress(TWO * 20, mtime=0)


@steady
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255), st.booleans())
def test_damaged_gzip_is_never_more_than_a_refusal(
    folder: Path, position: int, change: int, is_cut: bool
) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    path = folder / "c.csv"
    path.write_bytes(PACKED[:position] if is_cut else damaged)
    try:
        _rows(DataFile(path, "t", CSV))
    except UserError:
        return


# Refusals, each with file and line.


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"a", "expected 2 columns; got 1"),
        (b"a,b,c", "expected 2 columns; got 3"),
        (b"a,b,", "expected 2 columns; got 3"),
        (b" ", "expected 2 columns; got 1"),
        (b"a,\xff", "expected UTF-8 text in column 2"),
        (b"\xe9,b", "expected UTF-8 text in column 1"),
        (b"\xed\xa0\x80,b", "expected UTF-8 text in column 1"),
        (b'a,"b\nc"', "expected quotes that close on their line; got a line break within them"),
        (b'a,"b', "expected quotes that close on their line; got a line break within them"),
        (b"a,b\rc,d", "expected lines that end in LF or CRLF; got a CR alone"),
        (b"a,\0b", "expected UTF-8 text; got a NUL byte, as in UTF-16. Save the file as UTF-8"),
    ],
)
def test_a_line_that_is_no_good_is_named(csv_file: Make, line: bytes, problem: str) -> None:
    file = csv_file(b"a,b\n\nc,d\n" + line + b"\ne,f\n")
    assert _message(file) == f"train/a.csv line 4: {problem}."


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_text_is_refused_on_its_first_line(csv_file: Make, encoding: str) -> None:
    message = _message(csv_file("a,b\nc,d\n".encode(encoding)))
    assert message.startswith(
        "train/a.csv line 1: expected UTF-8 text; got a NUL byte, as in UTF-16"
    )


def test_another_number_of_columns_than_wanted_is_refused(csv_file: Make) -> None:
    message = _message(csv_file(b"a,b,c\n"), num_columns=2)
    assert message == "train/a.csv line 1: expected 2 columns; got 3."


def test_the_longest_line_is_read(csv_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 16)
    monkeypatch.setattr(csv_table, "MAX_LINE_BYTES", 100)
    assert _rows(csv_file(b"a\n" + b"x" * 99 + b"\nb\n"))[1] == ["x" * 99]


@pytest.mark.parametrize("packed", [False, True])
def test_a_longer_line_is_refused(
    csv_file: Make, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 16)
    monkeypatch.setattr(csv_table, "MAX_LINE_BYTES", 100)
    content = b"a\n" + b"x" * 300 + b"\nb\n"
    message = _message(csv_file(gzip.compress(content) if packed else content))
    assert message == "train/a.csv line 2: expected at most 100 bytes; got more."


def test_a_line_of_too_many_columns_is_refused(
    csv_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "MAX_COLUMNS", 10)
    message = _message(csv_file(b"," * 10 + b"\n"))
    assert message == "train/a.csv line 1: expected at most 10 columns; got more."


def test_gzip_that_is_cut_short_names_the_last_whole_line(csv_file: Make) -> None:
    noise = b"".join(b"%s\n" % os.urandom(40).hex().encode() for _ in range(4000))
    message = _message(csv_file(gzip.compress(noise)[:-2000]))
    assert message.startswith("train/a.csv: after line ")


def test_a_bomb_without_a_line_end_does_not_fill_the_memory(
    csv_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(csv_table, "MAX_LINE_BYTES", 1 << 18)
    bomb = csv_file(gzip.compress(b"x" * 50_000_000, compresslevel=1))
    tracemalloc.start()
    _message(bomb)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 8e6


# Labels and features.


@pytest.mark.parametrize(
    ("content_type", "size"),
    [
        (None, 1),
        ("text/csv", 1),
        ("text/csv;label_size=0", 0),
        ("text/CSV; label_size=0", 0),
        ("text/csv; Label_Size = 12 ; encoding=utf-8", 12),
    ],
)
def test_the_content_type_says_how_many_labels(content_type: str | None, size: int) -> None:
    assert label_size_of(content_type) == size


@pytest.mark.parametrize("value", ["", "x", "-1", "1.0", "٣", "1" * 10])
def test_a_label_size_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(UserError, match="label_size: expected a whole number; got"):
        label_size_of(f"text/csv;label_size={value}")


@pytest.mark.parametrize("size", [0, 1, 2])
def test_labels_lead_and_features_follow(csv_file: Make, size: int) -> None:
    (columns,) = read_csv(csv_file(b"1,2,3\n4,5,6\n"), "number")
    labels, features = labels_and_features(columns, size)
    whole = np.array([[1, 2, 3], [4, 5, 6]])
    assert (labels.tolist(), features.tolist()) == (
        whole[:, :size].tolist(),
        whole[:, size:].tolist(),
    )


def test_a_label_may_be_a_large_identity(csv_file: Make) -> None:
    (columns,) = read_csv(csv_file(b"16777217,0\n"), "number")
    assert labels_and_features(columns, 1)[0][0, 0] == 16777217


def test_labels_alone_are_refused(csv_file: Make) -> None:
    (columns,) = read_csv(csv_file(b"1\n"), "number")
    with pytest.raises(
        UserError, match="line 1: expected 1 label columns and at least one feature"
    ):
        labels_and_features(columns, 1)


@pytest.mark.parametrize(
    ("text", "column"),
    [("nan", 0), ("nan", 1), ("inf", 0), ("-inf", 1), ("1e400", 0), ("1e400", 1), ("1e300", 1)],
)
def test_a_number_that_is_not_finite_is_named(csv_file: Make, text: str, column: int) -> None:
    cells = ["1", "2"]
    cells[column] = text
    (columns,) = read_csv(csv_file(b"1,2\n\n" + ",".join(cells).encode() + b"\n"), "number")
    with pytest.raises(
        UserError, match=f"line 3: expected finite numbers; got .* in column {column + 1}"
    ):
        labels_and_features(columns, 1)
