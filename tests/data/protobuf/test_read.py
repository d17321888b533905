"""Protobuf records to arrays: golden values, the library's own reading, refusals."""

import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sm_dl.data.bad_records import BadRecords
from sm_dl.data.protobuf import record_pb2
from sm_dl.data.protobuf.columns import Batch, Column, joined
from sm_dl.data.protobuf.read import read_batches
from sm_dl.data.recordio import CHUNK_BYTES, framed, read_records
from sm_dl.data.width import Width
from sm_dl.errors import UserError
from tests.golden import content, expected, needs_golden

GOLDEN_PROTOBUF = [
    "dense_float32.rec.pbr",
    "dense_float64_nolabel.rec.pbr",
    "dense_int32.rec.pbr",
    "sparse_float32.rec.pbr",
    "seq2seq_int32_pair.rec",
    "segmentation_response.rec.pbr",
    "bytes_and_metadata.rec.pbr",
]
KINDS = {"float32_tensor": np.float32, "float64_tensor": np.float64, "int32_tensor": np.int32}


def _stream(records: Iterable[Any]) -> bytes:
    return b"".join(framed(record.SerializeToString(), cuts=False) for record in records)


def _batch(stream: bytes) -> Batch:
    (batch,) = read_batches(io.BytesIO(stream), "a.pbr")
    return batch


def _record(
    values: Iterable[float] = (), kind: str = "float32_tensor", name: str = "values", **more: Any
) -> Any:
    record = record_pb2.Record()
    tensor = getattr(record.features[name], kind)
    tensor.SetInParent()
    tensor.values.extend(values)
    for field, numbers in more.items():
        getattr(tensor, field).extend(numbers)
    return record


@needs_golden
@pytest.mark.parametrize("name", GOLDEN_PROTOBUF[:3])
def test_dense_golden_files_have_their_values_and_labels(name: str) -> None:
    listed = expected("protobuf")[name]
    batch = _batch(content(name))
    values = batch.features["values"].dense()
    assert values.tolist() == listed["values"]
    if listed["label"] is None:
        assert batch.label == {}
    else:
        assert batch.label["values"].scalars().tolist() == listed["label"]


@needs_golden
def test_the_sparse_golden_file_has_its_rows_and_an_empty_one() -> None:
    rows = expected("protobuf")["sparse_float32.rec.pbr"]["rows"]
    batch = _batch(content("sparse_float32.rec.pbr"))
    csr = batch.features["values"].csr()
    assert csr.num_columns == 8
    assert csr.row_starts.tolist() == [0, 2, 2, 4]
    assert csr.columns.tolist() == [key for row in rows for key in row["keys"]]
    assert csr.values.tolist() == [value for row in rows for value in row["values"]]
    assert batch.label["values"].scalars().tolist() == [row["label"] for row in rows]
    assert batch.features["values"].dense()[1].tolist() == [0.0] * 8


@needs_golden
def test_the_golden_pairs_of_sentences_have_their_lengths() -> None:
    batch = _batch(content("seq2seq_int32_pair.rec"))
    for name in ("source", "target"):
        listed = [pair[name] for pair in expected("protobuf")["seq2seq_int32_pair.rec"]]
        assert [row.tolist() for row in batch.features[name].rows()] == listed


@needs_golden
def test_the_golden_segmentation_response_has_shape_and_target() -> None:
    listed = expected("protobuf")["segmentation_response.rec.pbr"]
    batch = _batch(content("segmentation_response.rec.pbr"))
    assert {name: column.dense()[0].tolist() for name, column in batch.features.items()} == listed


@needs_golden
def test_bytes_and_texts_are_read() -> None:
    listed = expected("protobuf")["bytes_and_metadata.rec.pbr"]
    batch = _batch(content("bytes_and_metadata.rec.pbr"))
    assert batch.blobs == {"image": [[bytes.fromhex(listed["features.image.bytes.value_hex"])]]}
    assert batch.texts == {name: [listed[name]] for name in ("uid", "metadata", "configuration")}


@needs_golden
@pytest.mark.parametrize("name", GOLDEN_PROTOBUF)
def test_a_payload_cut_at_any_byte_is_refused_or_what_the_library_reads(name: str) -> None:
    for payload in read_records(io.BytesIO(content(name)), name):
        for cut in range(len(payload)):
            _compare(payload[:cut])


def _compare(payload: bytes) -> bool:
    """Check a record against the library; return whether ours accepts it."""
    stream = framed(payload, cuts=False)
    try:
        batch = _batch(stream)
    except UserError as error:
        assert "a.pbr record 1 at byte 0" in str(error)  # noqa: PT017 - both ways out are right
        return False
    record = record_pb2.Record()
    record.ParseFromString(payload)  # what ours accepts, the library does
    for columns, entries in ((batch.features, record.features), (batch.label, record.label)):
        for name, column in columns.items():
            kind = entries[name].WhichOneof("value")
            tensor = getattr(entries[name], kind)
            wanted = np.array(tensor.values, dtype=KINDS[kind])
            assert column.values.dtype == wanted.dtype
            assert column.values.tobytes() == wanted.tobytes()
            assert column.keys.tolist() == list(tensor.keys)
            assert list(column.shape or ()) == list(tensor.shape)
    blobs = {
        name for name, value in record.features.items() if value.WhichOneof("value") == "bytes"
    }
    assert {*batch.features, *batch.blobs} == set(record.features)
    assert {name: list(record.features[name].bytes.value) for name in blobs} == {
        name: pieces[0] for name, pieces in batch.blobs.items()
    }
    texts = {"uid", "metadata", "configuration"}
    assert {name: getattr(record, name) for name in texts if record.HasField(name)} == {
        name: values[0] for name, values in batch.texts.items()
    }
    return True


VALUES = {
    "float32_tensor": st.floats(width=32, allow_nan=False),
    "float64_tensor": st.floats(allow_nan=False),
    "int32_tensor": st.integers(-(2**31), 2**31 - 1),
}


@st.composite
def _tensors(draw: Callable[..., Any], kind: str) -> tuple[list[float], list[int], list[int]]:
    values = draw(st.lists(VALUES[kind], max_size=6))
    if draw(st.booleans()):
        return values, [], draw(st.sampled_from([[], [len(values)]])) if values else []
    size = draw(st.integers(len(values), 2**62)) or 1
    keys = draw(
        st.lists(st.integers(0, size - 1), min_size=len(values), max_size=len(values), unique=False)
    )
    return values, keys, [size]


@st.composite
def _files(draw: Callable[..., Any]) -> list[Any]:
    """Some records with the same names and kinds, whatever else differs."""
    kind = draw(st.sampled_from(sorted(VALUES)))
    name = draw(st.sampled_from(["values", "source", "ä", ""]))
    width = draw(st.integers(0, 5))
    with_label, with_uid = draw(st.booleans()), draw(st.booleans())
    records = []
    for _ in range(draw(st.integers(1, 5))):
        record = _record(
            draw(st.lists(VALUES[kind], min_size=width, max_size=width)), kind=kind, name=name
        )
        if with_label:
            record.label["values"].float64_tensor.values.append(draw(VALUES["float64_tensor"]))
        if with_uid or draw(st.booleans()):
            record.uid = draw(st.text(max_size=5))
        records.append(record)
    return records


@given(records=_files())
def test_files_are_read_as_the_library_reads_them(records: list[Any]) -> None:
    batch = _batch(_stream(records))
    (name,) = records[0].features
    kind = records[0].features[name].WhichOneof("value")
    wanted = np.array([getattr(one.features[name], kind).values for one in records])
    assert batch.features[name].dense().tobytes() == wanted.astype(KINDS[kind]).tobytes()
    if records[0].label:
        labels = [record.label["values"].float64_tensor.values[0] for record in records]
        assert batch.label["values"].scalars().tolist() == labels
    uids = [record.uid if record.HasField("uid") else None for record in records]
    assert batch.texts.get("uid", [None] * len(records)) == uids


@given(data=st.data(), kind=st.sampled_from(sorted(VALUES)))
def test_a_tensor_is_read_as_the_library_reads_it(data: st.DataObject, kind: str) -> None:
    values, keys, shape = data.draw(_tensors(kind))
    assert _compare(_record(values, kind, keys=keys, shape=shape).SerializeToString())


SEEDS = [
    _record([1.5, -2.0]).SerializeToString(),
    _record([3, -4, 300], "int32_tensor").SerializeToString(),
    _record([2.5], keys=[7], shape=[8]).SerializeToString(),
    _record([0.25], "float64_tensor", shape=[1]).SerializeToString(),
]


@settings(max_examples=600)
@given(
    payload=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
)
def test_damaged_records_are_refused_or_read_as_the_library_does(
    payload: bytes, edits: list[tuple[int, int]]
) -> None:
    damaged = bytearray(payload)
    for at, byte in edits:
        damaged[at % len(damaged)] = byte
    _compare(bytes(damaged))


@settings(max_examples=600)
@given(
    payload=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=3),
)
@example(payload=SEEDS[3], edits=[(14, 0x3A)])  # its values are no field any more: none, and sparse
def test_a_damaged_record_between_good_ones_is_refused_or_read_as_the_library_does(
    payload: bytes, edits: list[tuple[int, int]]
) -> None:
    damaged = bytearray(payload)
    for at, byte in edits:
        damaged[at % len(damaged)] = byte
    _compare_among(payload, bytes(damaged))


def _compare_among(good: bytes, damaged: bytes) -> bool:
    """Check a record among others, where all are read at once; return whether it is accepted."""
    payloads = [good, good, damaged, good, good]
    try:
        batch = _batch(b"".join(framed(payload, cuts=False) for payload in payloads))
    except UserError as error:
        assert "a.pbr record 3 at byte" in str(error)  # noqa: PT017 - both ways out are right
        return False
    for row, payload in enumerate(payloads):
        record = record_pb2.Record.FromString(payload)
        assert set(record.features) == set(batch.features)
        for name, column in batch.features.items():
            tensor = getattr(record.features[name], record.features[name].WhichOneof("value"))
            begin, end = column.row_starts[row : row + 2]
            wanted = np.array(tensor.values, dtype=column.values.dtype)
            assert column.values[begin:end].tobytes() == wanted.tobytes()
            if column.is_sparse:
                # among sparse records a dense one has all keys
                keys = list(tensor.keys) or list(range(len(tensor.values)))
                assert column.keys[begin:end].tolist() == keys
    return True


@given(st.binary(max_size=60))
def test_any_payload_is_refused_or_read_as_the_library_does(payload: bytes) -> None:
    _compare(payload)


def _pair(tensor: bytes) -> bytes:
    """Return a record of a tensor's fields, with each length in one byte."""
    value = bytes([0x12, len(tensor)]) + tensor
    entry = b"\x0a\x06values\x12" + bytes([len(value)]) + value
    return bytes([0x0A, len(entry)]) + entry


def test_records_of_many_layouts_are_read_together() -> None:
    with_uid = _record([3.0, 4.0])
    with_uid.uid = "x"
    one, other = np.float32(5).tobytes(), np.float32(6).tobytes()
    payloads = [
        _record([1.0, 2.0]).SerializeToString(),
        with_uid.SerializeToString(),
        _pair(b"\x0d" + one + b"\x0d" + other),  # not packed
        _pair(b"\x0a\x04" + one + b"\x0a\x04" + other),  # packed in two pieces
        _pair(b"\x1a\x00\x0a\x08" + one + other),  # an empty shape first
        _record([1.0, 2.0]).SerializeToString() + b"\x3a\x02hi",  # unknown field
        b"\x0a\x16\x12\x0c\x12\x0a\x0a\x08" + one + other + b"\x0a\x06values",  # name last
    ]
    for payload in payloads:
        assert _compare(payload)
    batch = _batch(b"".join(framed(payload, cuts=False) for payload in payloads * 3))
    rows = [[1, 2], [3, 4], [5, 6], [5, 6], [5, 6], [1, 2], [5, 6]]
    assert batch.features["values"].dense().tolist() == rows * 3
    assert batch.texts == {"uid": [None, "x", None, None, None, None, None] * 3}


def test_a_file_of_many_chunks_is_joined() -> None:
    records = [_record([number, number + 0.5], keys=[1, 2], shape=[9]) for number in range(500)]
    num_copies = CHUNK_BYTES // len(_stream(records)) + 1
    batches = list(read_batches(io.BytesIO(_stream(records) * num_copies), "a.pbr"))
    assert len(batches) > 1
    column = joined([batch.features["values"] for batch in batches])
    assert len(column) == 500 * num_copies == sum(batch.num_records for batch in batches)
    rows = column.dense().reshape(num_copies, 500, 9)
    assert (rows[:, :, 1] == np.arange(500)).all()
    assert column.places(500).startswith("a.pbr record 501 at byte")


def test_parts_of_a_record_are_joined_before_it_is_read() -> None:
    record = _record(np.frombuffer(bytes.fromhex("0a23d7ce") * 9, dtype=np.float32))
    payload = b"\x32\x01x" + record.SerializeToString()
    stream = framed(payload, cuts=True) * 3
    values = np.array(record.features["values"].float32_tensor.values, dtype=np.float32)
    assert (_batch(stream).features["values"].dense() == values).all()


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        (
            [_record([1]), _record([1], name="other")],
            "record 2 .* expected float32_tensor, .* got no value",
        ),
        ([_record([1], keys=[8], shape=[8])], r"record 1 .* keys below 8, .* got 8"),
        ([_record([1], keys=[1])], "record 1 .* needs a shape"),
        ([_record([1, 2], keys=[1], shape=[8])], "record 1 .* a key for each value"),
        (
            [_record([1, 2], shape=[3])],
            r"record 1 .* expected 3 values, for the shape \[3\]; got 2",
        ),
        (
            [_record([1], keys=[1], shape=[8]), _record([1], keys=[1], shape=[9])],
            r"record 2 .* expected the shape \[8\]",
        ),
        (
            [_record([1], keys=[1], shape=[8]), _record([1], keys=[1], shape=[8, 1])],
            r"record 2 .* expected the shape \[8\]",
        ),
        ([_record([1], keys=[1], shape=[2**40, 2**40])], r"fewer than 2\^63"),
    ],
)
def test_records_that_do_not_fit_are_named(records: list[Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        _batch(_stream(records))


def test_dense_and_sparse_rows_of_any_type_may_be_mixed() -> None:
    records = [
        _record([1.5, -2]),
        _record([2.5], "float64_tensor", keys=[1], shape=[2]),
        _record(shape=[2]),
        _record([-3, 2**31 - 1], "int32_tensor", shape=[2]),
        _record([0.1], keys=[0], shape=[2]),
    ]
    rows = [[1.5, -2], [0, 2.5], [0, 0], [-3, 2**31 - 1], [float(np.float32(0.1)), 0]]
    for step in (1, -1):
        column = _batch(_stream(records[::step])).features["values"]
        assert (column.values.dtype, column.shape, column.is_sparse) == (np.float64, (2,), True)
        assert column.dense().tolist() == rows[::step]
    for count in (2, 3):  # dense rows that say no shape, or no type of their own
        column = _batch(_stream([*records[:1], *records[3:4]] * count)).features["values"]
        assert (column.is_sparse, column.dense().tolist()) == (False, [rows[0], rows[3]] * count)


WIDTH = Width(2, ", as asked", " Do.")


def test_only_what_is_wanted_is_looked_at() -> None:
    records = [_record([1, 2]) for _ in range(4)]
    records[1].label["values"].float32_tensor.values.append(1)
    records[2].features["more"].bytes.value.append(b"x")
    records[3].uid = "uid"
    (batch,) = read_batches(io.BytesIO(_stream(records)), "a.pbr", wanted={"values": WIDTH})
    assert (list(batch.features), batch.label, batch.blobs, batch.texts) == (["values"], {}, {}, {})
    assert batch.features["values"].dense().tolist() == [[1, 2]] * 4


def test_a_width_decides_which_records_are_wrong_not_the_first_one() -> None:
    records = [_record([1], keys=[1], shape=[3]), *[_record([1], keys=[1], shape=[2])] * 3]
    bad = BadRecords(9)
    stream = _stream([*records, _record([1, 2, 3]), *records])
    (batch,) = read_batches(io.BytesIO(stream), "a.pbr", bad, wanted={"values": WIDTH})
    assert batch.features["values"].dense().tolist() == [[0, 1]] * 6
    assert [reason.split()[2] for reason in bad.reasons] == ["1", "6", "5"]
    assert bad.reasons[0].endswith(
        "features['values']: expected the shape [2], as asked; got [3]. Do."
    )
    assert bad.reasons[2].endswith("features['values']: expected 2 values, as asked; got 3. Do.")


def test_rows_of_other_lengths_are_named_when_a_matrix_is_asked_for() -> None:
    column = _batch(_stream([_record([1, 2]), _record([1, 2, 3])])).features["values"]
    for read in (column.dense, column.csr):
        with pytest.raises(UserError, match=r"record 2 .* expected 2 values, .* got 3"):
            read()
    with pytest.raises(UserError, match=r"record 1 .* expected one value; got 2"):
        column.scalars()


def test_a_shape_alone_takes_no_memory() -> None:
    column = _batch(_stream([_record([1], keys=[5], shape=[2**50])])).features["values"]
    assert column.csr().num_columns == 2**50
    with pytest.raises(UserError, match="too many to be spread at once"):
        column.dense()


@pytest.mark.parametrize("lengths", [(2, 2, 2), (1, 3, 2)])
def test_the_arrays_may_be_written_to(lengths: tuple[int, ...]) -> None:
    records = [_record(range(length), keys=range(length), shape=[9]) for length in lengths]
    csr = _batch(_stream(records)).features["values"].csr()
    for array in (csr.values, csr.columns, csr.row_starts):
        assert array.flags.writeable


def test_dense_rows_become_sparse_ones() -> None:
    csr = _batch(_stream([_record([1, 0]), _record([2, 3])])).features["values"].csr()
    assert (csr.columns.tolist(), csr.row_starts.tolist()) == ([0, 1, 0, 1], [0, 2, 4])


def test_batches_of_other_kinds_are_not_joined() -> None:
    def column(**options: Any) -> Column:
        return _batch(_stream([_record([1], **options)])).features["values"]

    for other in (column(kind="float64_tensor"), column(keys=[0], shape=[3]), column(shape=[1])):
        with pytest.raises(UserError, match=r"a\.pbr record 1 .* as in the records before"):
            joined([column(), other])


def _pair_of_kinds() -> bytes:
    return b"\x0a\x0b\x0a\x01v\x12\x06\x12\x00\x3a\x02\x0a\x00"


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"\x0a\x05\x0a\x01a", "a field of 5 bytes where 3 are left at byte 0 of its payload"),
        (b"\x0d\x00\x00\x00\x00", "wire type 5 where 2 belongs"),
        (b"\x0b", "wire type 3"),
        (b"\x0a\x02\x1a\x00", "field number 3 in an entry"),
        (b"\x02", "field number 0"),
        (b"\xff" * 11, "a number that does not end"),
        (b"\x0a\x0a\x0a\x01v\x12\x05\x12\x03\x0a\x01\x00", "1 bytes that end within a number"),
        (b"\x0a\x0a\x0a\x01v\x12\x05\x3a\x03\x0a\x01\x80", "1 bytes that end within a number"),
        (b"\x0a\x08\x0a\x01\xff\x12\x03\x12\x01\x00", None),
        (_record([1]).SerializeToString() * 2, "the name b'values' a second time"),
        (_pair_of_kinds(), "float32_tensor and int32_tensor under one name"),
        (b"\x1a\x01\xff", "expected text in UTF-8"),
    ],
)
def test_a_payload_that_is_no_record_is_named(payload: bytes, problem: str | None) -> None:
    with pytest.raises(UserError, match=problem):
        _batch(framed(payload, cuts=False))


def test_the_library_refuses_what_it_must_for_the_comparison_to_mean_something() -> None:
    with pytest.raises(DecodeError):
        record_pb2.Record.FromString(b"\x0a\x05\x0a")
