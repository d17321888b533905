"""A CSV file of numbers becomes arrays, however wide, and a line that is no good is named."""

import gzip
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.content_types import CSV
from sm_dl.data import csv_table
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.csv_numbers import read_numbers
from sm_dl.data.csv_table import read_csv
from sm_dl.data.source import DataFile
from sm_dl.data.width import Width
from sm_dl.errors import UserError

Make = Callable[[bytes], DataFile]
TWO = Width(2, ", as width says", " Change it.")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a maker of CSV files."""
    path = tmp_path_factory.mktemp("csv") / "a.csv"

    def write(content: bytes) -> DataFile:
        path.write_bytes(content)
        return DataFile(path, "train/a.csv", CSV)

    return write


def _read(
    file: DataFile, width: Width = TWO, bad: BadRecords | None = None
) -> dict[str, list[float]]:
    return {
        rows.place(row): values.tolist()
        for rows in read_numbers(file, width, bad)
        for row, values in enumerate(rows.values)
    }


def _as_columns(file: DataFile, bad: BadRecords) -> dict[str, list[float]]:
    """Return what the reader of tables finds, which has pyarrow take the lines apart."""
    return {
        columns.place(row): list(values.values())
        for columns in read_csv(file, "number", 2, bad)
        for row, values in enumerate(columns.batch.to_pylist())
    }


@pytest.mark.parametrize(
    "content",
    [
        b"1,2\n3,4.5\n",
        b"1,2\n3,4.5",
        b"\xef\xbb\xbf1,2\r\n3,4.5\r\n",
        b"1,2\n\n\r\n3,4.5\n\n",
        b"\n\r\n1,2\n3,4.5",
        b' 1 ,2\t\n"3","4.5"\n',
        gzip.compress(b"1,2\n3,4.5\n", mtime=0),
    ],
)
def test_the_same_numbers_come_out_of_every_spelling(make: Make, content: bytes) -> None:
    found = _read(make(content))
    assert list(found.values()) == [[1, 2], [3, 4.5]]
    assert found == _as_columns(make(content), BadRecords())


def test_lines_keep_their_numbers_beside_blank_ones(make: Make) -> None:
    assert list(_read(make(b"\n1,2\n\r\n\n3,4\n"))) == ["train/a.csv line 2", "train/a.csv line 5"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"1,2\n3\n", "line 2: expected 2 columns, as width says; got 1. Change it."),
        (b"1,2,3\n4\n", "line 1: expected 2 columns, as width says; got 3. Change it."),
        (b"1,2\n\n3,x\n", "line 3: expected a number in column 2; got 'x'."),
        (b"1,\n", "line 1: expected a number in column 2; got ''."),
        (b",1\n", "line 1: expected a number in column 1; got ''."),
        (b"1,2\n \n", "line 2: expected 2 columns, as width says; got 1. Change it."),
        (b'1,2\n3,"4\n5,6\n', "line 2: expected"),
        (b'1,2\n"3,4"\n', "line 2: expected a number in column 1; got '3'."),
        (b"1,2\n1\r2,3\n", "line 2: expected lines that end in LF or CRLF; got a CR alone."),
        (b"1,2\n\x003,4\n", "line 2: expected UTF-8 text; got a NUL byte"),
        (b"1,\xff\n", "line 1: expected a number in column 2"),
    ],
)
def test_a_line_that_is_no_good_is_named(make: Make, content: bytes, problem: str) -> None:
    with pytest.raises(UserError) as refusal:
        _read(make(content))
    assert str(refusal.value).startswith(f"train/a.csv {problem}")


LINES = st.lists(
    st.sampled_from(
        [b"1,2", b"3.5,-4", b"1", b"1,2,3", b"", b"x,1", b"1,", b'"1",2', b'1,"2', b'"1,2"',
         b'"\n",1', b'"1\n",2', b"nan,inf", b" 1, 2", b"1\r,2", b"\xff,1", b"1,\0", b'"', b'1,2"'],
    ),
    max_size=9,
)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=400)
@given(lines=LINES, end=st.sampled_from([b"\n", b"\r\n"]))
def test_any_lines_are_read_as_a_table_of_numbers_is(
    make: Make, lines: list[bytes], end: bytes
) -> None:
    """The good lines are the same ones, and the bad ones are named by the same numbers."""
    file = make(end.join([*lines, b""]))
    bad, other = BadRecords(99), BadRecords(99)
    found, expected = _read(file, bad=bad), _as_columns(file, other)
    assert str(found) == str(expected)  # nan is not nan
    assert [one.partition(":")[0] for one in bad.reasons] == [
        one.partition(":")[0] for one in other.reasons
    ]


def test_a_long_file_is_read_piece_by_piece(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 64)
    numbers = np.arange(3000).reshape(-1, 2)
    lines = [b"%d,%d" % tuple(row) for row in numbers.tolist()]
    lines[700] = b"nothing"
    bad = BadRecords(1)
    pieces = list(read_numbers(make(b"\n".join(lines)), TWO, bad))
    assert len(pieces) > 50
    found = np.concatenate([piece.values for piece in pieces])
    assert np.array_equal(found, np.delete(numbers, 700, axis=0))
    assert bad.reasons[0].startswith("train/a.csv line 701: ")


def test_a_million_columns_take_what_their_bytes_take(make: Make) -> None:
    wide = 1_000_000
    file = make(b",".join([b"1"] * wide) + b"\n")
    begin = time.process_time()
    tracemalloc.start()
    (rows,) = read_numbers(file, Width(wide))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows.values.shape == (1, wide)
    assert (peak < 64 << 20, time.process_time() - begin < 2) == (True, True)  # columns: 20 s, 7 GB


def test_a_width_costs_nothing_where_lines_are_short(make: Make) -> None:
    file = make(b"1,2\n" * 64)
    begin = time.process_time()
    with pytest.raises(UserError, match=r"line 1: expected 1000007 columns; got 2\."):
        _read(file, Width(1_000_007))
    bad = BadRecords(64)
    assert (_read(file, Width(1_000_007), bad), bad.count) == ({}, 64)
    assert time.process_time() - begin < 1
