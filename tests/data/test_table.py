"""Each row of a Parquet file is a record, lists as arrays, and damage is a sentence."""

import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.series import series_from_record
from sm_dl.content_types import PARQUET
from sm_dl.data import table as table_module
from sm_dl.data.source import DataFile, PipedEpoch
from sm_dl.data.table import ROWS_AT_ONCE, read_parquet, read_rows
from sm_dl.errors import JobError, PlatformError, UserError
from tests.data.test_parquet_footer import ENDS_PYARROW
from tests.fifo import feeding

steady = settings(derandomize=True, deadline=None)
Make = Callable[..., DataFile]
NAN = float("nan")


@pytest.fixture
def table(tmp_path: Path) -> Make:
    """Return a maker of files with one column, or with a whole table."""

    def make(values: Any, kind: pa.DataType | None = None, **options: Any) -> DataFile:
        whole = values if isinstance(values, pa.Table) else pa.table({"x": pa.array(values, kind)})
        path = tmp_path / "a.parquet"
        pq.write_table(whole, path, **options)
        return DataFile(path, "train/a.parquet", PARQUET)

    return make


@pytest.fixture
def raw(tmp_path: Path) -> Make:
    """Return a maker of files of any bytes."""

    def make(content: bytes) -> DataFile:
        path = tmp_path / "a.parquet"
        path.write_bytes(content)
        return DataFile(path, "train/a.parquet", PARQUET)

    return make


def _values(file: DataFile) -> list[Any]:
    return [row["x"] for _, row in read_rows(file)]


def _message(file: DataFile) -> str:
    with pytest.raises(UserError) as refusal:
        list(read_rows(file))
    return str(refusal.value)


# What a good file means.


def test_a_row_is_named_from_one(table: Make) -> None:
    places = [place for place, _ in read_rows(table([7, 8]))]
    assert places == ["train/a.parquet row 1", "train/a.parquet row 2"]


@pytest.mark.parametrize("rows", [0, 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 1000])
@pytest.mark.parametrize("group", [1000, 100])
def test_rows_are_counted_across_batches_and_groups(table: Make, rows: int, group: int) -> None:
    file = table(range(rows), pa.int64(), row_group_size=group)
    assert [place.rpartition(" ")[2] for place, _ in read_rows(file)] == [
        str(number + 1) for number in range(rows)
    ]


@pytest.mark.parametrize("compression", ["snappy", "gzip", "zstd", "lz4", "none"])
def test_every_usual_compression_is_read(table: Make, compression: str) -> None:
    file = table([[1.0, 2.0]] * 100, compression=compression)
    assert len(_values(file)) == 100


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (7, pa.int64()),
        (7, pa.int8()),
        (0.5, pa.float64()),
        ("2009-11-01 00:00:00", pa.string()),
        ("x", pa.large_string()),
        (True, pa.bool_()),
        (None, pa.string()),
        (None, pa.list_(pa.float64())),
        (None, pa.timestamp("us")),
        (None, pa.timestamp("us", tz="UTC")),
    ],
)
def test_a_plain_value_is_itself(table: Make, value: object, kind: pa.DataType) -> None:
    assert _values(table([value], kind)) == [value]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_timestamp_of_any_unit_is_a_datetime(table: Make, unit: str) -> None:
    moment = dt.datetime(2009, 11, 1, 12, 30, 15)  # noqa: DTZ001 - series have no zone
    found = _values(table([moment], pa.timestamp(unit)))[0]
    assert found == np.datetime64("2009-11-01T12:30:15")


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_a_date_is_its_first_moment(table: Make, kind: pa.DataType) -> None:
    found = _values(table([dt.date(2009, 11, 1)], kind))[0]
    assert found == np.datetime64("2009-11-01T00:00:00")


@pytest.mark.parametrize("text", ["0001-01-01", "1677-01-01", "2263-01-01", "9999-12-31"])
def test_a_timestamp_beyond_nanoseconds_is_exact(table: Make, text: str) -> None:
    found = _values(table([np.datetime64(text, "us")], pa.timestamp("us")))[0]
    assert found == np.datetime64(text)


def test_a_timestamp_finer_than_a_microsecond_is_read(table: Make) -> None:
    found = _values(table([1_500_000_000_000_000_001], pa.timestamp("ns")))[0]
    assert found.astype("datetime64[s]") == np.datetime64("2017-07-14T02:40:00")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "+01:00"])
def test_a_time_zone_is_kept_for_the_algorithm_to_refuse(table: Make, zone: str) -> None:
    file = table([0], pa.timestamp("us", tz=zone))
    record = {"start": _values(file)[0], "target": [1.0]}
    with pytest.raises(UserError, match=r"row 1: start: expected .* Remove the time zone\."):
        series_from_record(record, "train/a.parquet row 1", Frequency.parse("H"))


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2], pa.list_(pa.int64()), [1.0, 2.0]),
        ([1, None], pa.list_(pa.int64()), [1.0, NAN]),
        ([1, None], pa.list_(pa.uint8()), [1.0, NAN]),
        ([], pa.list_(pa.int64()), []),
        ([0.5, None, NAN], pa.list_(pa.float64()), [0.5, NAN, NAN]),
        ([0.5, None], pa.list_(pa.float32()), [0.5, NAN]),
        ([np.float16(0.5), None], pa.list_(pa.float16()), [0.5, NAN]),
        ([0.5, None], pa.large_list(pa.float64()), [0.5, NAN]),
        ([0.5, None], pa.list_(pa.float64(), 2), [0.5, NAN]),
        ([None, None], pa.list_(pa.float64()), [NAN, NAN]),
    ],
    ids=str,
)
def test_a_list_of_numbers_is_an_array_with_nan_for_null(
    table: Make, values: list[float | None], kind: pa.DataType, expected: list[float]
) -> None:
    found = _values(table([values], kind))[0]
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found.astype(np.float64), np.array(expected, np.float64))


def test_an_integer_with_a_null_beside_it_may_be_large(table: Make) -> None:
    found = _values(table([[2**53 + 1, None]], pa.list_(pa.int64())))[0]
    assert found[0] == pytest.approx(2**53)


def test_a_list_of_lists_is_a_list_of_arrays(table: Make) -> None:
    rows = _values(table([[[0.5, None], [1.0], []]], pa.list_(pa.list_(pa.float64()))))[0]
    assert [row.tolist()[:1] for row in rows] == [[0.5], [1.0], []]


def test_a_null_among_lists_is_none(table: Make) -> None:
    rows = _values(table([[[0.5], None]], pa.list_(pa.list_(pa.float64()))))[0]
    assert rows[1] is None


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.list_(pa.float64())], ids=str)
def test_neighbouring_rows_do_not_mix(table: Make, kind: pa.DataType) -> None:
    lists = [[1], None, [], [2, 3], [4, 5, 6]]
    found = [None if row is None else row.tolist() for row in _values(table(lists, kind))]
    assert found == lists


def test_every_column_is_in_the_row(table: Make) -> None:
    file = table(pa.table({"start": ["a"], "target": [[1.0]], "item id": ["x"]}))
    assert list(next(read_rows(file))[1]) == ["start", "target", "item id"]


def test_a_reader_that_stops_early_leaves_no_file_open(table: Make) -> None:
    reading = read_rows(table(range(1000)))
    next(reading)
    reading.close()


@steady
@given(
    st.lists(
        st.none() | st.lists(st.none() | st.floats(allow_nan=False, width=32), max_size=5),
        max_size=20,
    )
)
def test_what_was_written_is_read(folder: Path, lists: list[list[float | None] | None]) -> None:
    path = folder / "a.parquet"
    pq.write_table(pa.table({"x": pa.array(lists, pa.list_(pa.float64()))}), path)
    found = [
        None if row is None else [None if np.isnan(value) else value for value in row]
        for row in _values(DataFile(path, "t", PARQUET))
    ]
    assert found == lists


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for many files."""
    return tmp_path_factory.mktemp("table")


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    """Return the bytes of a file of several row groups."""
    path = folder / "whole.parquet"
    lists = [[float(row)] * 20 for row in range(3 * ROWS_AT_ONCE)]
    pq.write_table(pa.table({"x": lists}), path, row_group_size=ROWS_AT_ONCE)
    return path.read_bytes()


# Refusals.


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b'{"a": 1}\n' * 10,
        b"\x00" * 1000,
        b"PAR1" + b"\xff" * 100 + b"PAR1",
    ],
    ids=["empty", "magic", "magic twice", "json lines", "zeros", "noise"],
)
def test_what_is_no_parquet_is_refused_by_name(raw: Make, content: bytes) -> None:
    assert _message(raw(content)).startswith(
        "train/a.parquet: after row 0: expected a whole Parquet file; "
    )


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(raw: Make, whole: bytes, share: float) -> None:
    assert "expected a whole Parquet file" in _message(raw(whole[: int(len(whole) * share)]))


def test_damage_within_a_file_names_the_last_good_row(raw: Make, whole: bytes) -> None:
    start = pq.ParquetFile(pa.BufferReader(whole)).metadata.row_group(1).column(0)
    position = start.dictionary_page_offset or start.data_page_offset
    damaged = whole[:position] + b"\xff" * 40 + whole[position + 40 :]
    assert f"train/a.parquet: after row {ROWS_AT_ONCE}: expected" in _message(raw(damaged))


def test_a_refusal_is_one_short_line(raw: Make) -> None:
    message = _message(raw(b"x" * 1000))
    assert (len(message.splitlines()), len(message) < 400) == (1, True)


@settings(steady, max_examples=60)
@given(st.data())
def test_a_changed_byte_is_never_more_than_a_refusal(
    folder: Path, whole: bytes, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[position] ^= data.draw(st.integers(1, 255))
    path = folder / "damaged.parquet"
    path.write_bytes(damaged)
    try:
        list(read_rows(DataFile(path, "t", PARQUET)))
    except JobError:
        return


def test_text_that_is_no_utf_8_is_refused(table: Make) -> None:
    offsets = pa.py_buffer(np.array([0, 1], np.int32).tobytes())
    text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff")])
    assert "train/a.parquet" in _message(table(pa.table({"x": text})))


def test_two_columns_of_one_name_are_refused(table: Make) -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["target", "target"])
    assert "target" in _message(table(twice))


def test_a_file_that_cannot_be_read_is_the_platforms_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"train/a: cannot be read \(No such file"):
        list(read_rows(DataFile(tmp_path / "absent.parquet", "train/a", PARQUET)))


# Columns.


def test_columns_come_as_they_are_stored(table: Make) -> None:
    file = table(pa.table({"a": [1, 2], "b": ["x", "y"]}))
    (columns,) = read_parquet(file)
    assert columns.batch.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_only_the_columns_that_are_wanted_are_read(table: Make) -> None:
    file = table(pa.table({"a": [1], "b": [2], "c": [3]}))
    (columns,) = read_parquet(file, ["c", "a"])
    assert set(columns.batch.schema.names) == {"a", "c"}


def test_a_missing_column_is_named(table: Make) -> None:
    with pytest.raises(UserError, match=r"train/a\.parquet: expected a column ip; got a, b\."):
        list(read_parquet(table(pa.table({"a": [1], "b": [2]})), ["a", "ip"]))


def test_rows_of_batches_know_their_numbers(table: Make) -> None:
    batches = list(read_parquet(table(range(10), row_group_size=4), rows_at_once=3))
    places = [columns.place(row) for columns in batches for row in range(len(columns))]
    assert places == [f"train/a.parquet row {number}" for number in range(1, 11)]


def test_long_lists_are_decoded_a_few_rows_at_a_time(
    table: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "VALUES_AT_ONCE", 1000)
    sizes = [len(columns) for columns in read_parquet(table([[0.5] * 300] * 20))]
    assert max(sizes) == 3


def test_a_pipe_cannot_hold_parquet(tmp_path: Path) -> None:
    epoch = PipedEpoch(tmp_path / "train_0", "train_0", PARQUET, 20.0)
    with (
        feeding(tmp_path / "train", [[b"PAR1"]]),
        pytest.raises(UserError, match="train_0: Parquet cannot be read from a pipe"),
    ):
        list(read_parquet(epoch))


# Bombs: what the table of contents declares is looked at before anything is decoded.


def test_more_values_than_bytes_allow_are_refused(
    table: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "FREE_VALUES", 1000)
    monkeypatch.setattr(table_module, "VALUES_PER_BYTE", 10)
    message = _message(table([7] * 1_000_000, pa.int8()))
    assert message.startswith("train/a.parquet: row group 0: expected at most ")
    assert message.endswith(" stored bytes; got 1000000. Write smaller row groups.")


def test_more_bytes_than_compression_explains_are_refused(
    table: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "FREE_BYTES", 0)
    file = table(np.zeros(1_000_000), compression="zstd", use_dictionary=False)
    assert "bytes from" in _message(file)


def test_a_long_list_of_one_number_is_read(table: Make) -> None:
    assert len(_values(table([[0.0] * 5_000_000]))[0]) == 5_000_000


def test_a_footer_that_would_end_the_process_is_refused(raw: Make) -> None:
    assert "train/a.parquet: after row 0: expected a whole Parquet file; " in _message(
        raw(ENDS_PYARROW)
    )


@pytest.fixture(scope="module")
def short(folder: Path) -> bytes:
    """Return the bytes of a file of every kind of column."""
    path = folder / "short.parquet"
    columns = {
        "s": ["a", None],
        "x": [[0.5], [1.5, 2.5]],
        "t": [dt.date(2020, 1, 1)] * 2,
        "n": [1, 2],
    }
    pq.write_table(pa.table(columns), path)
    return path.read_bytes()


def test_a_file_cut_anywhere_is_refused(raw: Make, short: bytes) -> None:
    for kept in range(len(short)):
        assert "expected a whole Parquet file" in _message(raw(short[:kept]))


@settings(steady, max_examples=150)
@given(st.data())
def test_changed_bytes_of_any_column_are_never_more_than_a_refusal(
    folder: Path, short: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(short)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(short) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "changed.parquet"
    path.write_bytes(damaged)
    try:
        list(read_rows(DataFile(path, "t", PARQUET)))
    except JobError as refusal:
        assert str(refusal).startswith("t: ")  # noqa: PT017 - both ends are right


@pytest.mark.parametrize("kind", [pa.timestamp("us", "UTC"), pa.timestamp("us", "Mars/Olympus")])
def test_a_value_that_cannot_be_read_is_named(
    table: Make, monkeypatch: pytest.MonkeyPatch, kind: pa.DataType
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    message = _message(table(pa.array([2**60 + 1], kind)))
    assert "row 1: " in message
    assert f"got one of type {kind}" in message
