"""The sizes in a footer are those that pyarrow reads, and a broken footer is an error."""

import base64
import io
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.data import parquet_footer
from sm_dl.data.parquet_footer import check_pages, read_footer

steady = settings(derandomize=True, deadline=None, max_examples=200)
ENDS_PYARROW = base64.b64decode(
    "UEFSMRUAFUgVQCwVBhUAFQYVBhwYCAMAAAAAAAAAGAgBAAAAAAAAABYAKAgDAAAAAAAAABgIAQAAAAAAAAAREQAA"
    "ACQUAgAAAAMEAQYMBgMBAAkBAQ4sAAAAAAMAAAAAAAAAFQQZTDUAGAZzY2hlbWEVAgA1EhgBeBUCFQZMPAAAADUE"
    "GARsaXN0FQIAFQQlAhgHZWxlbWVudAAWBBkcGRwmABwVBBklBgAZOAF4BGxpc3QHZWxlbWVudBUCFgYWxgEWvgEm"
    "CDwYCAMAAAAAAAAAGAgBAAAAAAAAABYAKAgDAAAAAAAAABgIAQAAAAAAAAAREQAZHBUAFQAVAgA8KSYEAhlGAAAA"
    "BgAAABbGARYEJggWvgEAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRkcHAAAANwAAABQQVIx"
)
"""A file of a column of lists; of its definition level histogram one number is left out."""


def _written(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue().to_pybytes())


TABLES = {
    "numbers": pa.table({"a": range(1000), "b": [0.5] * 1000}),
    "lists": pa.table({"x": [[1.0] * 7, [], None, [2.0]]}),
    "text": pa.table({"s": ["é" * 300, None, ""]}),
    "nested": pa.table({"n": [{"a": [1], "b": {"c": "x"}}]}),
    "many columns": pa.table({f"c{number}": [number] for number in range(40)}),
    "no rows": pa.table({"a": pa.array([], pa.int64())}),
}
SHORT = _written(TABLES["lists"])


@pytest.mark.parametrize("options", [{}, {"row_group_size": 300, "compression": "zstd"}], ids=str)
@pytest.mark.parametrize("name", TABLES)
def test_sizes_are_those_that_pyarrow_reads(name: str, options: dict[str, Any]) -> None:
    content = _written(TABLES[name], **options)
    metadata = pq.ParquetFile(pa.BufferReader(content)).metadata
    expected = []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = [group.column(number) for number in range(group.num_columns)]
        longest = max([group.num_rows, *(column.num_values for column in columns)])
        num_bytes = sum(column.total_uncompressed_size for column in columns)
        stored_bytes = sum(column.total_compressed_size for column in columns)
        expected.append((group.num_rows, longest, num_bytes, stored_bytes))
    found = [
        (group.num_rows, group.num_values, group.num_bytes, group.stored_bytes)
        for group in read_footer(io.BytesIO(content))
    ]
    assert found == expected


OPTIONS = [
    {},
    {"compression": "none", "use_dictionary": False},
    {"compression": "zstd", "data_page_size": 100, "write_batch_size": 10},
    {"data_page_version": "2.0", "write_page_index": True, "row_group_size": 3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", TABLES)
def test_pages_hold_what_the_footer_declares(name: str, options: dict[str, Any]) -> None:
    stream = io.BytesIO(_written(TABLES[name], **options))
    for group in read_footer(stream):
        check_pages(stream, group)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_pages_of_more_values_are_an_error(options: dict[str, Any]) -> None:
    _check_lie({"num_values": 2}, options)


def test_pages_of_more_bytes_are_an_error() -> None:
    _check_lie({"num_bytes": 100}, OPTIONS[1])


def _check_lie(lie: dict[str, int], options: dict[str, Any]) -> None:
    """Declare less of the first column than is there."""
    stream = io.BytesIO(_written(pa.table({"x": [["some text"] * 3_000] * 4}), **options))
    group = read_footer(stream)[0]
    liar = replace(group, chunks=(replace(group.chunks[0], **lie),))
    with pytest.raises(ValueError, match=r"^a column of .* values and .* bytes has pages of"):
        check_pages(stream, liar)


def test_a_dictionary_of_more_values_than_bytes_is_an_error() -> None:
    content = _written(pa.table({"x": ["ab", "cd"]}), compression="none")
    header = b"\x15\x04\x15\x18\x15\x18\x4c\x15\x04"  # 12 bytes, 2 values
    assert content.count(header) == 1
    stream = io.BytesIO(content.replace(header, header[:-1] + b"\x7e"))  # 63 values
    with pytest.raises(ValueError, match="a dictionary of 12 bytes names 63 values"):
        check_pages(stream, read_footer(stream)[0])


def test_a_page_header_with_long_statistics_is_read() -> None:
    table = pa.table({"s": ["x" * 100_000, "y" * 100_000]})
    stream = io.BytesIO(_written(table, use_dictionary=False))
    for group in read_footer(stream):
        check_pages(stream, group)


def test_a_footer_without_row_groups_is_one() -> None:
    assert read_footer(io.BytesIO(b"PAR1\x00\x01\x00\x00\x00PAR1")) == []


def test_a_footer_that_would_end_the_process_is_read() -> None:
    (group,) = read_footer(io.BytesIO(ENDS_PYARROW))
    assert (group.num_rows, group.num_values) == (2, 3)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"x" * 20, b"\xff\xff\xff\xffPAR1", b"\0\0\0\0PARE"]
)
def test_what_has_no_footer_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="footer"):
        read_footer(io.BytesIO(content))


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x19\xf5\xff\xff\xff\xff\x0f\x00",
        b"\x49\x1c" + b"\x1c" * 40 + b"\x00" * 42,
        b"\x49\x0c\x15",
        b"\x46" + b"\xff" * 11,
        b"\x4b\x00",
        b"\x45\x02\x00",
        b"\x48\xff\xff\x03x",
    ],
    ids=["empty", "endless list", "deep", "cut", "long number", "map", "no list", "long text"],
)
def test_a_broken_footer_is_an_error(footer: bytes) -> None:
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(ValueError, match=r"footer"):
        read_footer(io.BytesIO(content))


def test_a_footer_longer_than_the_bound_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_footer, "MAX_FOOTER_BYTES", 100)
    with pytest.raises(ValueError, match="is too long"):
        read_footer(io.BytesIO(SHORT))


@steady
@given(st.data())
def test_no_footer_leads_to_anything_but_sizes_or_an_error(data: st.DataObject) -> None:
    damaged = bytearray(SHORT)
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(SHORT) - 1))] = data.draw(st.integers(0, 255))
    stream = io.BytesIO(damaged)
    try:
        groups = read_footer(stream)
        for group in groups:
            check_pages(stream, group)
    except ValueError:
        return
    assert all(group.num_values >= group.num_rows >= 0 for group in groups)


@steady
@given(st.binary(max_size=100))
def test_no_bytes_take_more_than_a_moment(footer: bytes) -> None:
    content = footer + len(footer).to_bytes(4, "little") + b"PAR1"
    try:
        read_footer(io.BytesIO(content))
    except ValueError:
        return
